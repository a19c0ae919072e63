"""Runs -> the leaderboard, as rows and as a table for the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from .._checks import input_error
from ..evaluation import percent, shortfall
from ..runs.directory import Run
from .style import Look, check_some, looks


@dataclass(frozen=True)
class LeaderboardRow:
    """The figures of one run that stand side by side."""

    label: str
    """The model's name, with the seed where one model ran several times."""
    accuracy: float
    """Share of the test images classified rightly, in [0, 1]."""
    accuracy_interval: tuple[float, float]
    """95 % Wilson interval of the accuracy."""
    log_loss: float
    """Mean negative log-likelihood of the true class, in nats."""
    calibration_error: float
    """Expected calibration error, in [0, 1]."""
    f1: float
    """Mean of the classes' F1 scores, in [0, 1]."""
    balanced_accuracy: float
    """Mean of the classes' recalls, in [0, 1]."""
    auroc: float | None
    """Mean area under the classes' ROC curves, if it is known."""
    n_parameters_quantum: int
    """Trainable angles of the circuit."""
    n_parameters_classical: int
    """All other trainable numbers."""
    n_parameters_frozen: int
    """Weights that are not trained, such as a trunk's."""
    n_train: int
    """Training images."""
    n_epochs: int
    """Epochs done."""
    seconds_training: float
    """Time of all training steps."""
    seconds_compiling: float
    """Time of the compilation of the training step."""
    images_per_second: float
    """Test images classified in a second, after compilation."""
    device: str
    """Where the circuit ran."""
    shortfall: str | None
    """That the model did not learn, if it did not (see `evaluation.shortfall`)."""


def rank(runs: Sequence[Run]) -> list[Run]:
    """Sorts by test accuracy, best first; of equals the one with fewer parameters.

    Raises:
        InputError: If there are no runs, or they are on different data sets.
    """
    check_some(runs)
    datasets = {(run.result.dataset, run.result.class_names) for run in runs}
    if len(datasets) > 1:
        names = sorted({run.result.dataset for run in runs})
        was = f"has {', '.join(names)} with different classes"
        cure = "Write one report for each data set."
        raise input_error("runs", "share one data set and its classes", was, cure)
    return sorted(
        runs, key=lambda run: (-run.result.scores.accuracy, run.result.n_parameters)
    )


def leaderboard(runs: Sequence[Run]) -> list[LeaderboardRow]:
    """The rows of the leaderboard, best test accuracy first.

    Raises:
        InputError: If there are no runs, or they are on different data sets.
    """
    runs = rank(runs)
    return rows_of(runs, looks(runs))


def rows_of(runs: Sequence[Run], own: Sequence[Look]) -> list[LeaderboardRow]:
    """The same of runs that are ranked, each with its look."""
    return [_row(look.label, run) for look, run in zip(own, runs, strict=True)]


def leaderboard_table(runs: Sequence[Run]) -> Table:
    """The leaderboard for a terminal of 80 columns.

    Where classes are uneven, balanced accuracy and AUROC stand beside the accuracy.

    Raises:
        InputError: If there are no runs, or they are on different data sets.
    """
    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False
    )
    table.add_column("Model", overflow="ellipsis", no_wrap=True, max_width=16)
    rows, is_uneven = leaderboard(runs), runs[0].result.scores.is_uneven
    for name in (
        "Accuracy, %\n95 % interval",
        *(["Balanced, %\nAUROC, %"] if is_uneven else []),
        "Parameters\nquantum + other",
        "Training\ns",
        "Test\nimages/s",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        low, high = row.accuracy_interval
        table.add_row(
            Text(f"{row.label}{' !' if row.shortfall else ''}"),
            f"{percent(row.accuracy)} ({percent(low)}\u2013{percent(high)})",
            *([_balanced(row)] if is_uneven else []),
            f"{row.n_parameters_quantum:,} + {row.n_parameters_classical:,}",
            f"{row.seconds_training:,.1f}",
            f"{row.images_per_second:,.0f}",
        )
    return table


def _balanced(row: LeaderboardRow) -> str:
    auroc = "-" if row.auroc is None else percent(row.auroc)
    return f"{percent(row.balanced_accuracy)}, {auroc}"


def shortfalls(rows: Sequence[LeaderboardRow]) -> list[str]:
    """A sentence about each model that did not learn.

    Example:
        >>> shortfalls([])
        []
    """
    return [
        f"{row.label} {row.shortfall}. It did not learn: do not compare it."
        for row in rows
        if row.shortfall
    ]


def _row(label: str, run: Run) -> LeaderboardRow:
    result, scores = run.result, run.result.scores
    return LeaderboardRow(
        label=label,
        accuracy=scores.accuracy,
        accuracy_interval=scores.accuracy_interval,
        log_loss=scores.log_loss,
        calibration_error=scores.calibration_error,
        f1=sum(scores.f1) / len(scores.f1),
        balanced_accuracy=scores.balanced_accuracy,
        auroc=scores.auroc,
        n_parameters_quantum=result.n_parameters_quantum,
        n_parameters_classical=result.n_parameters_classical,
        n_parameters_frozen=result.n_parameters_frozen,
        n_train=result.n_train,
        n_epochs=len(run.history.epochs),
        seconds_training=result.seconds_training,
        seconds_compiling=result.seconds_compiling,
        images_per_second=scores.n_test / max(result.seconds_inference, 1e-9),
        device=result.device,
        shortfall=shortfall(scores, result.class_names),
    )
