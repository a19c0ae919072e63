"""Runs -> their figures on disk, and one self-contained HTML file."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ..audit import Audit
from ..evaluation import percent
from ..models import ModelConfig
from ..models.block import BLOCKS
from ..models.configuration import circuit_in_words, circuit_of
from ..runs.directory import Run
from . import comparison_figures, run_figures
from .audit_report import audit_content
from .hardware_section import hardware_section, hardware_sentences
from .page import Picture, picture, write_page
from .pareto import pareto_front, plot_pareto, records_of
from .repetition import config_toml, repeat_command
from .style import looks, save_figure
from .summary import Answer, summary_of
from .tables import LeaderboardRow, rank, rows_of

SECTIONS = {
    "leaderboard": "Leaderboard",
    "fronts": "Accuracy against cost",
    "audits": "Did the circuit matter?",
    "hardware": "On other devices",
    "training": "Training",
    "classes": "Classes",
    "calibration": "Calibration",
    "models": "Models",
    "terms": "Terms",
}
"""The page in order: the template of each section, in `sections/`, and its heading. One
whose content is empty is left out."""

MOST_LAYERS_DRAWN = 2
"""The layers of a circuit are alike: a drawing of the first ones is enough."""


def write_report(
    runs: Sequence[Run],
    path: Path | str,
    *,
    audits: Sequence[Audit] = (),
    left_out: Sequence[str] = (),
) -> Path:
    """Writes one HTML file that needs nothing else, and nothing but that file.

    The same runs give the same bytes. An older report at `path` is replaced.

    Args:
        runs: Finished runs on one data set, in any order.
        path: Where to, such as `runs/report.html`.
        audits: Finished audits, of these models or of others.
        left_out: A sentence about each result that could not be read.

    Returns:
        `path`.

    Raises:
        InputError: If there are no runs, they are on different data sets, or `path`
            cannot be written.

    Example:
        >>> from qfm_jax.runs.directory import read_run
        >>> write_report([read_run("runs/cnn")], "report.html")  # doctest: +SKIP
    """
    path = Path(path)
    write_page(path, "report.html.j2", _content(rank(runs), audits, left_out))
    return path


def write_figures(run: Run) -> Path:
    """Writes a run's figures, each as PNG and SVG, into its directory.

    Returns:
        The directory `figures` of the run.

    Example:
        >>> from qfm_jax.runs.directory import read_run
        >>> write_figures(read_run("runs/cnn"))  # doctest: +SKIP
    """
    directory = run.directory / "figures"
    figures = {
        "training_curves": comparison_figures.plot_training_curves([run]),
        "class_scores": comparison_figures.plot_class_scores([run]),
        "calibration": comparison_figures.plot_calibration([run]),
        "confusion": run_figures.plot_confusion(run),
        "mistakes": run_figures.plot_mistakes(run),
    }
    if run.config.network.block == "circuit":
        figures["circuit"] = _circuit_figure(run.config.network)
    for name, figure in figures.items():
        save_figure(figure, directory / name)
    return directory


def _content(
    runs: Sequence[Run], audits: Sequence[Audit], left_out: Sequence[str]
) -> dict[str, Any]:
    """All that the templates show; `runs` are ranked."""
    first, own = runs[0].result, looks(runs)
    rows = rows_of(runs, own)
    labels = [row.label for row in rows]
    names = ", ".join(labels)
    hardware, unreadable = hardware_section(runs, labels)
    summary = summary_of(runs, rows, audits)
    if sentences := hardware_sentences(hardware):
        summary.append(Answer("What would hardware do to it?", tuple(sentences)))
    content: dict[str, Any] = {
        "title": _title(first.dataset, labels),
        "class_names": first.class_names,
        "guess_loss": math.log(len(first.class_names)),
        "summary": summary,
        "warnings": [*_warnings(runs), *left_out, *unreadable],
        "rows": rows,
        "machines": {run.result.versions.get("machine") for run in runs},
        "version": first.versions.get("qfm_jax", ""),
        "accuracy": picture(
            comparison_figures.plot_leaderboard(runs, own),
            "Test accuracy with 95 % interval: "
            + "; ".join(f"{row.label} {percent(row.accuracy)} %" for row in rows),
        ),
        "fronts": _fronts(runs, rows),
        "audits": [audit_content(audit) for audit in audits],
        "curves": picture(
            comparison_figures.plot_training_curves(runs, own),
            "Loss and accuracy over the epochs, on training and validation images, of "
            + names,
        ),
        "class_scores": picture(
            comparison_figures.plot_class_scores(runs, own),
            f"Recall of each class with 95 % interval, of {names}; the numbers stand "
            "in the tables of the models",
        ),
        "calibration": picture(
            comparison_figures.plot_calibration(runs, own),
            "Reliability diagrams. Expected calibration error: "
            + "; ".join(
                f"{row.label} {percent(row.calibration_error)} %" for row in rows
            ),
        ),
        "hardware": hardware,
        "models": list(map(_model, runs, labels)),
    }
    is_empty = {name for name in SECTIONS if not content.get(name, True)}
    sections = {k: v for k, v in SECTIONS.items() if k not in is_empty}
    return content | {"sections": sections}


def _title(dataset: str, labels: Sequence[str]) -> str:
    what = labels[0] if len(labels) == 1 else f"{len(labels)} models"
    return f"{what} on {dataset}"


def _fronts(runs: Sequence[Run], rows: Sequence[LeaderboardRow]) -> Picture | None:
    """Accuracy against each cost; a single model is compared with nothing."""
    if len(runs) == 1:
        return None
    records = records_of(runs, rows)
    fronts = {
        cost: ", ".join(record.label for record in pareto_front(records, cost))
        for cost in records[0].costs
    }
    on_it = "; ".join(f"{cost}: {names}" for cost, names in fronts.items())
    alt = f"Test accuracy against what it costs. On the Pareto front, by {on_it}"
    return picture(plot_pareto(records), alt)


def _warnings(runs: Sequence[Run]) -> list[str]:
    """Each warning once."""
    warnings = (run.result.warning for run in runs)
    return list(dict.fromkeys(warning for warning in warnings if warning))


def _model(run: Run, label: str) -> dict[str, Any]:
    scores, network = run.result.scores, run.config.network
    n_right = sum(row[i] for i, row in enumerate(scores.confusion))
    counts = [sum(row) for row in scores.confusion]
    has_circuit = network.block == "circuit"
    return {
        "label": label,
        "description": _description(
            network, run.result.image_shape, len(run.result.class_names)
        ),
        "n_right": n_right,
        "n_test": scores.n_test,
        "best_epoch": run.result.best_epoch,
        "n_epochs": len(run.history.epochs),
        "seed": run.result.seed,
        "classes": list(
            zip(
                run.result.class_names,
                counts,
                scores.precision,
                scores.recall,
                scores.f1,
                strict=True,
            )
        ),
        "confusion": picture(
            run_figures.plot_confusion(run),
            f"Confusion matrix of {label}: {n_right:,} of {scores.n_test:,} images on "
            "the diagonal",
        ),
        "mistakes": picture(run_figures.plot_mistakes(run), _mistakes_alt(run, label)),
        "circuit": picture(
            _circuit_figure(network),
            f"Circuit of {label}: {circuit_in_words(network)} on {network.n_qubits} "
            "qubits",
        )
        if has_circuit
        else None,
        "network": network,
        "n_layers_drawn": min(network.n_layers, MOST_LAYERS_DRAWN),
        "command": repeat_command(run),
        "config": config_toml(run.config),
        "versions": run.result.versions,
    }


def _mistakes_alt(run: Run, label: str) -> str:
    mistakes, names = run.mistakes, run.result.class_names
    if not len(mistakes.labels):
        return f"{label} made no mistakes"
    return (
        f"The most certain mistakes of {label}; the first is of class "
        f"{names[mistakes.labels[0]]} and was taken for "
        f"{names[mistakes.predictions[0]]} with {percent(mistakes.confidence[0], 0)} % "
        "confidence"
    )


def _description(
    network: ModelConfig, image_shape: Sequence[int], n_classes: int
) -> str:
    """The network from pixels to logits, in words."""
    height, width, *colours = image_shape
    colour = " in colour" if colours else ""
    parts = [f"{height} x {width} pixels{colour}"]
    if network.channels:
        widths = ", ".join(map(str, network.channels))
        parts.append(f"3 x 3 convolutions to {widths} channels")
    if network.hidden:
        parts.append(f"dense layers of width {', '.join(map(str, network.hidden))}")
    if network.block == "circuit":
        parts.append(
            f"circuit on {network.n_qubits} qubits ({circuit_in_words(network)})"
        )
    elif network.block != "none":
        parts.append(f"in place of the circuit: {BLOCKS[network.block].summary}")
    return " → ".join([*parts, f"{n_classes} logits"])


def _circuit_figure(network: ModelConfig) -> Figure:
    n_layers = min(network.n_layers, MOST_LAYERS_DRAWN)
    circuit = circuit_of(dataclasses.replace(network, n_layers=n_layers))
    return run_figures.plot_circuit(circuit)
