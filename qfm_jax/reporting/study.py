"""The raw numbers of the whole study -> one self-contained HTML file."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._checks import input_error
from ..audit import Audit
from .audit_report import audit_content, verdict_of
from .hardware_section import (
    comparing_figures,
    device_section,
    hardware_sentences,
    names_of,
)
from .page import Picture, picture, write_page
from .pareto import CostRecord, pareto_front, plot_pareto
from .scaling_figures import Record
from .scaling_section import Scaling
from .summary import Answer, Scored, learning_sentences, verdict_sentence

MARK = '<meta name="generator" content="qfm_jax write_study">'
"""What a page of the study has in its head: only such a file is replaced."""

SECTIONS = {
    "leaderboard": "Leaderboard",
    "fronts": "Accuracy against cost",
    "audits": "Did the circuit matter?",
    "hardware": "What hardware would do, and cost",
    "scaling": "How it scales",
    "records": "Records",
    "terms": "Terms",
}
"""The page in order, as in `report.SECTIONS`: a template `sections/study_*.html.j2`
where the study needs one of its own, the report's otherwise."""


@dataclass(frozen=True)
class Repeat:
    """What repeats a number."""

    what: str
    """What is repeated."""
    command: str
    """The command."""
    config: str
    """All that it was measured with, in TOML."""
    versions: Mapping[str, str]
    """Versions of what it rests on, and the machine."""


@dataclass(frozen=True)
class Comparison:
    """All models on one protocol."""

    rows: Sequence[Record]
    """Rows of experiments/compare_models.py, best test accuracy first."""
    costs: Sequence[CostRecord]
    """What each row reached and cost, in their order."""
    repeats: Sequence[Repeat]
    """What repeats each row, in their order."""
    fronts: Repeat
    """What repeats the fronts."""
    missing: Sequence[str] = ()
    """Models that have no row yet."""
    outdated: Sequence[str] = ()
    """Models whose preset was another one when they were measured."""
    unpriced: Sequence[str] = ()
    """Models with a circuit that has no seconds of QPU."""


@dataclass(frozen=True)
class Devices:
    """What devices did to trained models."""

    rows: Sequence[Record]
    """Rows of experiments/hardware_limits.py."""
    costs: Mapping[str, Any]
    """What the test images of each model would cost, by its name."""
    repeat: Repeat
    """What repeats them."""


@dataclass(frozen=True)
class Scalings:
    """Figures of one experiment."""

    figures: Sequence[Scaling]
    """The figures, with what is seen."""
    tables: Sequence[tuple[str, Sequence[str], Sequence[Sequence[str]]]]
    """Their numbers: a title, a heading, rows."""
    repeat: Repeat
    """What repeats them."""


@dataclass(frozen=True)
class Records:
    """What models reach with recipes of their own."""

    head: Sequence[str]
    """The heading of the table."""
    rows: Sequence[Sequence[str]]
    """Its rows."""
    repeats: Sequence[Repeat]
    """What repeats each recipe."""


@dataclass(frozen=True)
class Study:
    """All that the page shows; what is left out has no section."""

    comparison: Comparison | None = None
    """All models on one protocol."""
    audits: Sequence[Audit] = ()
    """Finished audits."""
    devices: Devices | None = None
    """What devices did."""
    scalings: Sequence[Scalings] = ()
    """How it scales."""
    records: Records | None = None
    """What recipes reached."""
    notes: Sequence[str] = ()
    """What a reader must know, such as a file that could not be read."""


def write_study(study: Study, path: Path | str) -> Path:
    """Writes one HTML file that needs nothing else, and nothing but that file.

    The same numbers give the same bytes. An older page of the study at `path` is
    replaced, nothing else is.

    Args:
        study: What is shown.
        path: Where to, such as `build/study.html`.

    Returns:
        `path`.

    Raises:
        InputError: If there is nothing to show, something else is at `path`, or it
            cannot be written.

    Example:
        >>> from qfm_jax.audit import read_audit
        >>> audits = [read_audit("runs/audit")]  # doctest: +SKIP
        >>> write_study(Study(audits=audits), "study.html")  # doctest: +SKIP
    """
    path = Path(path)
    _check_replaceable(path)
    write_page(path, "study.html.j2", _content(study))
    return path


def _check_replaceable(path: Path) -> None:
    must = "name a new file, or an earlier page of the study"
    try:
        is_other = path.exists() and MARK.encode() not in path.read_bytes()
    except OSError as error:
        cure = "Choose another path."
        was = f"{path} cannot be read ({error.strerror})"
        raise input_error("out", must, was, cure) from error
    if is_other:
        was = f"{path} is something else"
        raise input_error("out", must, was, "Choose another path, or move it away.")


def _content(study: Study) -> dict[str, Any]:
    """All that the templates show."""
    comparison, devices = study.comparison, study.devices
    hardware = [] if devices is None else _hardware(devices)
    content: dict[str, Any] = {
        "title": _title(comparison),
        "mark": MARK,
        "notes_shown": [*study.notes, *_warnings(study)],
        "summary": _summary(study, hardware),
        "leaderboard": [] if comparison is None else list(map(_row, comparison.rows)),
        "machines": [] if comparison is None else _machines(comparison),
        "comparison": comparison,
        "fronts": None if comparison is None else _fronts(comparison),
        "audits": [audit_content(audit) for audit in study.audits],
        "hardware": hardware,
        "devices": devices,
        "compared": [] if devices is None else _compared(devices),
        "scaling": [_scaled(scalings) for scalings in study.scalings],
        "records": study.records,
    }
    shown = {name for name in SECTIONS if content.get(name)}
    if not shown:
        cure = "Run an experiment first, such as experiments/compare_models.py."
        raise input_error("study", "hold a part to show", "is empty", cure)
    sections = {k: v for k, v in SECTIONS.items() if k in {*shown, "terms"}}
    return content | {"sections": sections}


def _title(comparison: Comparison | None) -> str:
    if comparison is None:
        return "The study"
    names = dict.fromkeys(row["cell"]["dataset"] for row in comparison.rows)
    return f"The study: {len(comparison.rows)} classifiers of {' and '.join(names)}"


def _warnings(study: Study) -> list[str]:
    """What the rows themselves warn of, each once."""
    rows = [] if study.comparison is None else study.comparison.rows
    return list(dict.fromkeys(row["warning"] for row in rows if row["warning"]))


def _row(row: Record) -> dict[str, Any]:
    """A row of the leaderboard; None is what is not known."""
    epochs, other = row["seconds_of_epochs"], row["n_parameters_classical"]
    return {
        "label": _label(row),
        "kind": row["kind"],
        "accuracy": row["accuracy"],
        "interval": row["accuracy_interval"],
        "n_quantum": row["n_parameters_quantum"],
        "n_other": other,
        "n_frozen": row.get("n_parameters_frozen", 0),
        "seconds_epoch": statistics.median(epochs) if epochs else None,
        "seconds_training": row["seconds_training"],
        "ms": 1e3 * row["seconds_per_image"],
        "mebibytes": row["peak_memory_bytes"] / 2**20,
        "executions": row["executions_per_image"],
    }


def _machines(comparison: Comparison) -> list[str]:
    """The machines that rows were measured on, each once."""
    versions = (row["versions"] for row in comparison.rows)
    return list(dict.fromkeys(v.get("machine", "an unknown machine") for v in versions))


def _label(row: Record) -> str:
    name: str = row["cell"]["model"]
    return f"{name} (on {row['trunk']})" if row["trunk"] else name


def _fronts(comparison: Comparison) -> dict[str, Any]:
    costs = dict.fromkeys(cost for record in comparison.costs for cost in record.costs)
    fronts = {
        cost: [record.label for record in pareto_front(comparison.costs, cost)]
        for cost in costs
    }
    on_it = "; ".join(f"{cost}: {', '.join(names)}" for cost, names in fronts.items())
    alt = f"Test accuracy against what it costs. On the Pareto front, by {on_it}"
    return {"picture": picture(plot_pareto(comparison.costs), alt), "names": fronts}


def _hardware(devices: Devices) -> list[dict[str, Any]]:
    """A section for each model and number of qubits, for the report's template."""
    models: dict[tuple[str, int], list[Record]] = {}
    for row in devices.rows:
        models.setdefault((row["model"], row["n_qubits"]), []).append(row)
    sections = []
    for (model, n_qubits), rows in models.items():
        cost = devices.costs.get(model)
        # Costs are kept by name alone: they may be those of a wider circuit.
        is_its_own = cost is not None and any(
            backend["n_qubits"] == n_qubits for backend in cost["backends"].values()
        )
        label = f"{model}, {n_qubits} qubits"
        sections.append(device_section(label, rows, cost if is_its_own else None))
    return sections


def _compared(devices: Devices) -> list[tuple[Picture, str]]:
    return comparing_figures(devices.rows, names_of(devices.rows))


def _scaled(scalings: Scalings) -> dict[str, Any]:
    figures = [
        {
            "heading": scaling.heading,
            "picture": picture(scaling.figure, " ".join(scaling.sentences)),
            "caption": scaling.caption,
            "sentences": scaling.sentences,
        }
        for scaling in scalings.figures
    ]
    return {
        "figures": figures,
        "tables": scalings.tables,
        "repeat": scalings.repeat,
    }


def _summary(study: Study, hardware: Sequence[Mapping[str, Any]]) -> list[Answer]:
    """What a reader asks first; a question without numbers is not asked."""
    scaling = [
        figure.sentences[0]
        for scalings in study.scalings
        for figure in scalings.figures
        if figure.sentences
    ]
    answers = {
        "Which models learn?": _learning(study.comparison),
        "Did the circuit matter?": _matter(study),
        "What would hardware do to it, and what would it cost?": hardware_sentences(
            hardware
        ),
        "How does it scale?": scaling,
    }
    return [Answer(asked, tuple(said)) for asked, said in answers.items() if said]


def _learning(comparison: Comparison | None) -> list[str]:
    if comparison is None:
        return []
    rows = comparison.rows
    first = rows[0]
    epochs = sorted({row["cell"]["epochs"] for row in rows} - {None})
    protocol = "".join(f", {n} epoch{'s' if n > 1 else ''} each" for n in epochs)
    said = [
        f"{len(rows)} model{'s were' if len(rows) > 1 else ' was'} trained on "
        f"{first['n_train']:,} images of {first['cell']['dataset']}{protocol}, and "
        f"scored on {first['n_test']:,} test images. One seed each: intervals "
        "cover the choice of test images, not of the seed."
    ]
    models = [
        Scored(
            _label(row),
            row["accuracy"],
            row["accuracy_interval"],
            row["executions_per_image"] > 0,
        )
        for row in rows
    ]
    counted = [row["confusion"] for row in rows if row.get("confusion")]
    if counted:  # scikit-learn's rows have no matrix
        guess = max(map(sum, counted[0])) / first["n_test"]
        said += learning_sentences(models, guess)
    return said


def _matter(study: Study) -> list[str]:
    """What audits found, and what none has looked at."""
    said = []
    verdicts = list(map(verdict_of, study.audits))
    if len(verdicts) > 1:
        counts = Counter(verdicts)
        found = (
            f"“{v}” {'once' if n == 1 else f'{n} times'}" for v, n in counts.items()
        )
        said.append(f"The verdict of {len(verdicts)} audits: {', '.join(found)}.")
    said += map(verdict_sentence, study.audits)
    rows = [] if study.comparison is None else study.comparison.rows
    audited = {audit.model for audit in study.audits}
    names = [
        row["cell"]["model"]
        for row in rows
        if row["executions_per_image"] and row["cell"]["model"] not in audited
    ]
    if names:
        said.append(
            f"Not audited on this page: {', '.join(names)}. That their accuracy is "
            "high or low says nothing about their circuits."
        )
    return said
