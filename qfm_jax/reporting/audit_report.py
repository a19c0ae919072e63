"""An audit -> its figures on disk, a table, and one self-contained HTML file."""

import dataclasses
import statistics
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from .._checks import InputError
from ..audit import Audit, ModelResult
from ..audit.controls import SUBJECTS
from ..audit.stored import CONFIG_FORMAT
from ..evaluation import percent
from ..models.block import BLOCKS
from ..runs.config import to_toml
from . import audit_figures
from .page import picture, write_page
from .repetition import audit_command, without_folders
from .style import save_figure

AT_CHANCE = "at chance with every seed"
"""What a control says that learns nothing: not, for instance, that entangling helps."""


def write_audit_report(audit: Audit, path: Path | str) -> Path:
    """Writes one HTML file that needs nothing else, and the figures beside it.

    An older report at `path` is replaced.

    Args:
        audit: A finished audit.
        path: Where to, such as `runs/audit/report.html`.

    Returns:
        `path`.

    Raises:
        InputError: If `path` cannot be written.

    Example:
        >>> from qfm_jax.audit import read_audit
        >>> write_audit_report(read_audit("runs/audit"), "a.html")  # doctest: +SKIP
    """
    path = Path(path)
    content = audit_content(audit)
    title = f"What the circuit of {audit.model} contributes"
    write_page(path, "audit.html.j2", {"title": title, **content})
    try:
        figures = path.parent / "figures"
        save_figure(audit_figures.plot_accuracies(audit), figures / "accuracies")
        save_figure(audit_figures.plot_differences(audit), figures / "differences")
    except OSError as error:
        raise InputError(
            f"The figures beside {path} cannot be written: {error.strerror}. "
            "Choose another path."
        ) from error
    return path


def audit_table(audit: Audit) -> Table:
    """The model and its controls for a terminal of 80 columns."""
    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False
    )
    table.add_column("", no_wrap=True)
    for name in (
        "Accuracy, %\nmean \u00b1 sd",
        "Model \u2212 control,\npoints, 95 %",
        "p,\nHolm",
        "Para-\nmeters",
        "Training\ns a seed",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for row in _rows(audit):
        table.add_row(
            Text(row["name"]),
            f"{row['mean']} \u00b1 {row['sd']}",
            row["difference"],
            row["p"],
            f"{row['n_parameters']:,}",
            f"{row['seconds']:,.1f}",
        )
    return table


def baselines_table(audit: Audit) -> Table:
    """The classical classifiers beside an audit, for a terminal of 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("scikit-learn, one fit", no_wrap=True)
    table.add_column("sees", no_wrap=True)
    for name in (
        "Accuracy, %\n95 % interval",
        "Model (mean) \u2212 it,\npoints",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for row in _baselines(audit):
        accuracy = f"{row['accuracy']} ({row['interval']})"
        table.add_row(row["name"], row["sees"], accuracy, row["difference"])
    return table


def audit_content(audit: Audit) -> dict[str, Any]:
    """All that the templates show of an audit."""
    run = without_folders(audit.config.run)
    return {
        "audit": audit,
        "rows": _rows(audit),
        "n_epochs": audit.config.run.training.settled(audit.n_train).epochs,
        "rates": _rates_tried(audit),
        "n_tuning_seeds": audit.config.tuning_seeds,
        "at_edge": [
            result.name for result in audit.results if result.tuning.is_at_edge
        ],
        "n_seeds": len(audit.seeds),
        "baselines": _baselines(audit),
        "verdict": verdict_of(audit),
        "command": audit_command(audit),
        "config": to_toml(dataclasses.replace(audit.config, run=run), CONFIG_FORMAT),
        "accuracies": picture(
            audit_figures.plot_accuracies(audit),
            f"Test accuracy of {audit.model} and of each control, every seed; the "
            "means stand in the table",
        ),
        "differences": picture(
            audit_figures.plot_differences(audit),
            f"Accuracy of {audit.model} minus that of each control, 95 % interval; "
            "the numbers stand in the table",
        ),
    }


def _baselines(audit: Audit) -> list[dict[str, Any]]:
    mean = statistics.mean(audit.results[0].accuracy)
    return [
        {
            "name": baseline.score.baseline,
            "sees": baseline.sees,
            "n_features": baseline.score.n_features,
            "accuracy": percent(baseline.score.accuracy, 2),
            "interval": " to ".join(
                percent(limit, 2) for limit in baseline.score.accuracy_interval
            ),
            "difference": percent(mean - baseline.score.accuracy, 2, "+"),
            "seconds": baseline.score.seconds_training,
        }
        for baseline in audit.baselines
    ]


def _rates_tried(audit: Audit) -> list[float]:
    """The learning rates that were chosen from; none where there was no choice."""
    rates = audit.results[0].tuning.learning_rates
    return sorted(rates) if len(rates) > 1 else []


def _rows(audit: Audit) -> list[dict[str, Any]]:
    return [_row(audit, result) for result in audit.results]


def _row(audit: Audit, result: ModelResult) -> dict[str, Any]:
    d = result.difference
    training = audit.config.run.training.settled(audit.n_train)
    n_forward = training.n_steps(audit.n_train) * training.batch_size
    return {
        "name": result.name,
        "what": BLOCKS["circuit" if d is None else result.name].summary,
        "question": result.question,
        "verdict": AT_CHANCE if _learns_nothing(result) else _says(result),
        "mean": percent(statistics.mean(result.accuracy), 2),
        "sd": percent(statistics.stdev(result.accuracy), 2),
        "raw": ", ".join(percent(accuracy, 2) for accuracy in result.accuracy),
        "validation": percent(statistics.mean(result.validation_accuracy), 2),
        "dead": ", ".join(map(str, result.dead_seeds)) or "none",
        "diverged": ", ".join(map(str, result.diverged_seeds)) or "none",
        "difference": "" if d is None else _interval(d.mean, d.interval),
        "effect": "" if d is None or d.effect_size is None else f"{d.effect_size:+.2f}",
        "wins": "" if d is None else f"{d.n_wins} of {d.n_seeds}",
        "p": "" if d is None else _p(d.p_adjusted),
        "p_raw": "" if d is None or d.p_value is None else _p(d.p_value),
        "learning_rate": result.tuning.learning_rate,
        "tried": _tried(result),
        "n_parameters": result.n_parameters,
        "n_parameters_quantum": result.n_parameters_quantum,
        "executions": n_forward * result.executions_per_image,
        "flops": _count(result.flops_per_image / 1e3),
        "memory": _count(result.memory_bytes / 2**20),
        "seconds": statistics.mean(result.seconds),
    }


def _tried(result: ModelResult) -> list[tuple[float, float]]:
    """Each learning rate with its mean validation accuracy in per cent, in order."""
    means = [100 * mean for mean in result.tuning.means]
    return sorted(zip(result.tuning.learning_rates, means, strict=True))


def _count(value: float) -> str:
    """Three digits at least; nothing for what is not known."""
    return "" if not value else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _learns_nothing(result: ModelResult) -> bool:
    return len(result.dead_seeds) == len(result.accuracy)


def verdict_of(audit: Audit) -> str:
    """The verdict, with what it is about: `the circuit helps`."""
    results = {result.name: result for result in audit.results}
    return _says(results[audit.control])


def _says(result: ModelResult) -> str:
    """The verdict, with what it is about: the whole circuit, or one thing about it."""
    about = SUBJECTS.get(result.name, "the circuit")
    is_effect = result.verdict in ("helps", "hurts")
    return f"{about} {result.verdict}" if is_effect else result.verdict or ""


def _interval(mean: float, interval: tuple[float, float]) -> str:
    value, low, high = (percent(share, 2, "+") for share in (mean, *interval))
    return f"{value} ({low} to {high})"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"
