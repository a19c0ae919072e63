"""What has the study found, on one page?

Question: none of its own. The page shows what the files of results/ hold: all models,
    accuracy against cost, the audits, what hardware would do and cost, how it scales,
    the records; under each number what repeats it.
Command:  make study
          python experiments/write_study.py --preset laptop --out build/study.html
Expected: half a minute on one core, most of it drawing. It trains nothing, and needs no
    network. A file that is damaged or of another version is named, here and on the
    page, and left out; a part whose file is not there has no section.

The numbers are those of the files, and no sentence of the page is older than they are:
all of them are made from the rows.
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import accuracy_vs_cost
import scale_data
import scale_qubits
import tyro
import write_results
from compare_models import COMPARISON, PLANS, check_is_of_today, rows_of_preset

from qfm_jax._checks import InputError, input_error
from qfm_jax.audit import Audit, read_audit
from qfm_jax.audit.records import FORMAT as AUDIT
from qfm_jax.cli import in_sentences
from qfm_jax.files import read_table
from qfm_jax.reporting.configuration import config_toml, train_command
from qfm_jax.reporting.hardware_records import Cost
from qfm_jax.reporting.scaling_section import (
    scaled_accuracy,
    scaled_random,
    scaled_steps,
)
from qfm_jax.reporting.study import (
    Comparison,
    Devices,
    Records,
    Repeat,
    Scalings,
    Study,
    write_study,
)
from qfm_jax.reporting.study_records import (
    ComparedRow,
    DeviceRow,
    PricedRow,
    RandomRow,
    RecordRow,
    StepRow,
    TrainedRow,
    checked,
)
from qfm_jax.results import Row
from qfm_jax.runs import RunConfig, converter, to_toml

T = TypeVar("T")

FILES = {
    COMPARISON: "python experiments/compare_models.py --preset laptop",
    accuracy_vs_cost.EXPERIMENT: "python experiments/accuracy_vs_cost.py "
    "--preset laptop",
    "hardware_limits": "python experiments/hardware_limits.py --runs RUN...",
    scale_qubits.EXPERIMENT: "python experiments/scale_qubits.py --preset laptop",
    scale_data.EXPERIMENT: "python experiments/scale_data.py --preset laptop",
    "zoo": "python experiments/zoo.py",
}
"""The files of the study, with the command that makes each; those of audits beside."""
AUDITS = "qfm audit MODEL --out DIR, and DIR/audit.json as audit_MODEL.json"

TWINS = {
    scale_qubits.EXPERIMENT: {"circuit": "no circuit"},
    scale_data.EXPERIMENT: {"amplitude": "linear", "quanvolution": "patch-cnn"},
}
"""Models of the scaling studies, and what each has in place of its circuit."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is written."""

    results: Path = write_results.RESULTS
    """Folder of the JSON files."""
    preset: Literal["smoke", "laptop", "full"] | None = None
    """Rows of this preset of compare_models.py; where left out, of the one that has the
    most models, the larger one of equals."""
    out: Path = Path("build") / "study.html"
    """HTML file to write."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    study = read_study(options.results, options.preset)
    for note in study.notes:
        print(note, file=sys.stderr)
    print(f"Written: {write_study(study, options.out)}")


def read_study(results: Path, preset: str | None = None) -> Study:
    """All that can be read in a folder, with a note about each file that cannot.

    Raises:
        InputError: If nothing can be read, or there are no rows of the preset that is
            asked for.
    """
    audits = sorted(results.glob("audit_*.json"))
    files = {name: results / f"{name}.json" for name in FILES}
    if not audits and not any(path.exists() for path in files.values()):
        raise InputError(
            f"{results} holds no file of the study, and no page is written. Run an "
            f"experiment first, such as {FILES[COMPARISON]}."
        )
    reading = Reading(results)
    prices = reading.part(accuracy_vs_cost.EXPERIMENT, priced_rows)
    if preset is not None:  # what is asked for is not left out
        check_holds(files[COMPARISON], preset)

    def compared(table: Any) -> Comparison:
        return comparison_of(table, preset, prices or {"rows": []})

    scalings = (
        reading.part(scale_qubits.EXPERIMENT, scaling_of_qubits),
        reading.part(scale_data.EXPERIMENT, scaling_of_data),
    )
    study = Study(
        comparison=reading.part(COMPARISON, compared),
        audits=[audit for path in audits if (audit := reading.audit(path)) is not None],
        devices=reading.part("hardware_limits", devices_of),
        scalings=[scaling for scaling in scalings if scaling is not None],
        records=reading.part("zoo", records_of),
    )
    parts = (study.comparison, study.devices, study.records)
    if not (any(parts) or study.audits or study.scalings):
        raise InputError(
            f"Nothing in {results} can be shown, and no page is written. "
            + " ".join(reading.notes)
        )
    return dataclasses.replace(study, notes=[*reading.notes, *reading.absent(audits)])


class Reading:
    """Reads files, and notes which could not be."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self.notes: list[str] = []
        self._missing: list[str] = []

    def part(self, name: str, part_of: Callable[[Any], T]) -> T | None:
        """What a file gives; None where it cannot be read, or is not there."""
        path = self.results / f"{name}.json"
        if not path.exists():
            self._missing.append(f"{name}.json ({FILES[name]})")
            return None
        try:
            found: T = write_results.read(path, part_of)
        except InputError as error:
            self._leave_out(path, error)
            return None
        return found

    def audit(self, path: Path) -> Audit | None:
        """An audit; None where this version does not read it."""
        try:
            if (found := read_table(path).get("format", AUDIT)) != AUDIT:
                was = f"{path} has format {found!r}, and {AUDIT!r} is read"
                raise InputError(f"{was}. Run the audit again.")
            return read_audit(path)
        except (ValueError, OSError) as error:
            self._leave_out(path, error)
            return None

    def absent(self, audits: Sequence[Path]) -> list[str]:
        """A note about the files that are not there, with what makes them."""
        missing = [*self._missing, *([] if audits else [f"audit_*.json ({AUDITS})"])]
        said = "Not there, so that their parts are missing: " + "; ".join(missing)
        return [f"{said}."] if missing else []

    def _leave_out(self, path: Path, error: Exception) -> None:
        # The page does not say where this machine keeps its files.
        said = str(error).replace(f"{path.parent}/", "")
        named = said if path.name in said else f"{path.name} is damaged: {said}."
        self.notes.append(f"Left out: {named}")


def check_holds(path: Path, preset: str) -> None:
    """Raises unless the file holds rows of the preset."""
    if not write_results.read(path, lambda t: rows_of_preset(t["rows"], preset)):
        must = f"name a preset that {path.name} holds"
        cure = f"Run experiments/compare_models.py --preset {preset} first."
        raise input_error("preset", must, f"it has no row of {preset!r}", cure)


# -- the comparison --------------------------------------------------------------------


def comparison_of(
    table: Any, preset: str | None, prices: Mapping[str, Any]
) -> Comparison:
    """The rows of a preset, what each cost, and what repeats it."""
    check_experiment(table, COMPARISON)
    names = ("full", "laptop", "smoke") if preset is None else (preset,)
    found = {name: rows_of_preset(table["rows"], name) for name in names}
    preset = max(found, key=lambda name: len(found[name]))
    rows = checked_rows(found[preset], ComparedRow)
    if not rows:
        raise InputError(f"{COMPARISON}.json holds no row of {' or '.join(names)}.")
    models = [row["cell"]["model"] for row in rows]
    if len(set(models)) < len(models):
        raise InputError(f"{COMPARISON}.json holds two rows of one model in {preset}.")
    backend = prices.get(f"fronts_{preset}", {}).get(
        "backend", accuracy_vs_cost.Options().backend
    )
    seconds = [qpu_seconds(row, backend, prices) for row in rows]
    about = {"preset": preset, "backend": backend, "shots": accuracy_vs_cost.SHOTS}
    fronts = Repeat(
        "the fronts",
        f"python experiments/compare_models.py --preset {preset}\n"
        f"python experiments/accuracy_vs_cost.py --preset {preset} --backend {backend}",
        to_toml(about),
        versions_of([*rows, *prices["rows"]]),
    )
    return Comparison(
        rows=rows,
        costs=list(map(accuracy_vs_cost.record_of, rows, seconds)),
        repeats=[compared_repeat(row) for row in rows],
        fronts=fronts,
        missing=[name for name in PLANS[preset].models if name not in models],
        outdated=[row["cell"]["model"] for row in rows if is_outdated(row)],
        unpriced=[
            row["cell"]["model"]
            for row, price in zip(rows, seconds, strict=True)
            if row["executions_per_image"] and price is None
        ],
    )


def priced_rows(table: Any) -> dict[str, Any]:
    """What circuits cost on backends."""
    check_experiment(table, accuracy_vs_cost.EXPERIMENT)
    checked_rows(table["rows"], PricedRow)
    return dict(table)


def qpu_seconds(row: Row, backend: str, prices: Mapping[str, Any]) -> float | None:
    """Seconds of QPU an image; None without a circuit, or where nobody priced it."""
    if not row["executions_per_image"]:
        return None
    cell = accuracy_vs_cost.cell_of(row, backend)
    own = (found for found in prices["rows"] if found["cell"] == cell)
    return next((found["seconds_qpu_per_image"] for found in own), None)


def is_outdated(row: Row) -> bool:
    """Whether a row's preset was another one when it was measured."""
    try:
        check_is_of_today(row)
    except InputError:
        return True
    return False


def compared_repeat(row: Row) -> Repeat:
    """What repeats a row: the experiment, and for a model its training alone."""
    cell = row["cell"]
    script = "python experiments/compare_models.py"
    command = f"{script} --preset {cell['preset']} --models {cell['model']}"
    if row.get("config") is None:  # a classifier of scikit-learn
        return Repeat(cell["model"], command, to_toml(cell), row["versions"])
    config = converter().structure(row["config"], RunConfig)
    training = train_command(config, cell["dataset"], cell["model"])
    both = f"{command}\n# the training alone:\n{training}"
    return Repeat(cell["model"], both, config_toml(config), row["versions"])


# -- devices, scaling, records ---------------------------------------------------------


def devices_of(table: Any) -> Devices:
    """What devices did to trained models, and would cost."""
    rows = checked_rows(table["rows"], DeviceRow)
    if not rows:
        raise InputError("hardware_limits.json holds no row.")
    costs = {name: checked(cost, Cost) for name, cost in table["costs"].items()}
    models = list(dict.fromkeys(row["model"] for row in rows))
    about = {
        "models": models,
        "n_test": sorted({row["n_test"] for row in rows}),
        "seeds": sorted({row["seed"] for row in rows}),
        "devices": list(dict.fromkeys(row["label"] for row in rows)),
    }
    repeat = Repeat(
        "what devices did",
        f"{FILES['hardware_limits']}\n# with the run directories of `qfm train` of "
        + ", ".join(models),
        to_toml(about),
        versions_of([table]),
    )
    return Devices(rows, costs, repeat)


def scaling_of_qubits(table: Any) -> Scalings:
    """What qubits and layers cost and bring, of the largest preset."""
    check_experiment(table, scale_qubits.EXPERIMENT)
    plan, rows = write_results.largest_preset(scale_qubits, table["rows"])
    kinds = {"step": StepRow, "random": RandomRow, "accuracy": TrainedRow}
    parts = {
        part: checked_rows([r for r in rows if r["cell"]["part"] == part], kind)
        for part, kind in kinds.items()
    }
    seconds, memory = scale_qubits.fits_of(parts["step"])
    most = max(r["cell"]["n_qubits"] for r in parts["step"])
    is_known = most >= scale_qubits.LEAST_FITTED
    base = {"n_qubits": plan.trained_qubits[0], "n_layers": plan.trained_layers[0]}
    figures = (
        scaled_steps(
            parts["step"],
            seconds,
            memory,
            until=scale_qubits.ON_PAPER if is_known else most,
        ),
        scaled_random(parts["random"]),
        scaled_accuracy(
            parts["accuracy"],
            base,
            scale_qubits.LABELS,
            TWINS[scale_qubits.EXPERIMENT],
            "Accuracy by qubits and layers",
        ),
    )
    tables = (
        ("Times and memory of a step", *write_results.steps_table(table)),
        ("Circuits with random weights", *write_results.circuits_table(table)),
        ("Test accuracy, %, behind one layer", *write_results.widths_table(table)),
    )
    return Scalings(figures, plain(tables), scaling_repeat(scale_qubits, plan, rows))


def scaling_of_data(table: Any) -> Scalings:
    """What the images change, of the largest preset."""
    check_experiment(table, scale_data.EXPERIMENT)
    plan, rows = write_results.largest_preset(scale_data, table["rows"])
    figure = scaled_accuracy(
        checked_rows(rows, TrainedRow),
        scale_data.base_of(plan),
        scale_data.LABELS,
        TWINS[scale_data.EXPERIMENT],
        "Accuracy by resolution, images, classes and scale",
    )
    tables = (("Test accuracy, %", *write_results.images_table(table)),)
    return Scalings((figure,), plain(tables), scaling_repeat(scale_data, plan, rows))


def scaling_repeat(experiment: Any, plan: Any, rows: Sequence[Row]) -> Repeat:
    """What repeats a preset of a scaling study."""
    name = next(name for name, known in experiment.PLANS.items() if known == plan)
    stem = experiment.EXPERIMENT
    return Repeat(
        stem,
        f"python experiments/{stem}.py --preset {name}",
        to_toml(json.loads(json.dumps(dataclasses.asdict(plan)))),
        versions_of(rows),
    )


def records_of(table: Any) -> Records:
    """What recipes reached, and what repeats each."""
    rows = checked_rows(table["rows"], RecordRow)
    rows = [row for row in rows if row["preset"] == "full"]
    if not rows:
        raise InputError("zoo.json holds no row of full.")
    parts = (("", *write_results.records_table(write_results.zoo_records(table))),)
    ((_, head, texts),) = plain(parts)
    return Records(head, texts, [record_repeat(row) for row in rows])


def record_repeat(row: Row) -> Repeat:
    """What repeats a recipe."""
    config = converter().structure(row["config"], RunConfig)
    out = row["name"].replace(" ", "-")
    command = train_command(config, row["result"]["dataset"], out)
    versions = row["result"]["versions"]
    return Repeat(row["name"], command, config_toml(config), versions)


def checked_rows(rows: Sequence[Row], kind: type) -> list[Row]:
    """The rows as they are, if each holds what `kind` says."""
    for row in rows:
        checked(row, kind)
    return list(rows)


def check_experiment(table: Mapping[str, Any], experiment: str) -> None:
    """Raises unless the file is one of this experiment."""
    if (found := table.get("experiment")) != experiment:
        must = f"{experiment}.json must hold rows of {experiment!r}"
        raise InputError(f"{must}, but holds those of {found!r}.")


def versions_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The versions of rows; where they are of several, all."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for name, version in row["versions"].items():
            found.setdefault(name, {})[str(version)] = None
    return {name: " and ".join(versions) for name, versions in found.items()}


def plain(tables: Iterable[tuple[str, Sequence[str], Iterable[Sequence[str]]]]) -> Any:
    """The tables without the marks of Markdown."""

    def unmarked(texts: Sequence[str]) -> list[str]:
        return [text.replace("`", "") for text in texts]

    return [
        (title, unmarked(head), [unmarked(row) for row in rows])
        for title, head, rows in tables
    ]


if __name__ == "__main__":
    sys.exit(in_sentences(main))
