"""Several runs -> the figures that compare them, in the order of the runs.

Every function returns a figure that no window and no global holds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, StrMethodFormatter
from scipy.stats import binomtest

from ..evaluation import N_BINS
from ..runs.directory import Run
from ..training.history import History
from .style import (
    INK,
    MUTED,
    WIDE,
    Look,
    check_some,
    house_style,
    lay_out,
    looks,
    looks_of,
    short,
)


def plot_leaderboard(runs: Sequence[Run], own: Sequence[Look] | None = None) -> Figure:
    """Draws the test accuracy of each run with its 95 % Wilson interval, in per cent.

    Args:
        runs: Finished runs.
        own: The look of each; made where left out.

    Raises:
        InputError: If there are no runs.
    """
    own = own or looks(runs)
    with house_style():
        figure = Figure(figsize=(5.6, 0.8 + 0.4 * len(runs)), layout="constrained")
        axes = figure.subplots()
        for y, (look, run) in enumerate(zip(own, runs, strict=True)):
            accuracy = 100 * run.result.scores.accuracy
            low, high = (100 * limit for limit in run.result.scores.accuracy_interval)
            axes.errorbar(
                accuracy,
                y,
                xerr=[[accuracy - low], [high - accuracy]],
                color=look.color,
                marker=look.marker,
                markersize=7,
                capsize=4,
            )
            text = f"{accuracy:.1f}"
            axes.annotate(
                text, (high, y), (8, 0), textcoords="offset points", va="center"
            )
        axes.set_yticks(range(len(runs)), map(_name, own))
        axes.set_ylim(len(runs) - 0.4, -0.6)
        axes.margins(x=0.12)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("test accuracy (%), with 95 % interval")
        return lay_out(figure)


def plot_training_curves(
    runs: Sequence[Run] | Mapping[str, History], own: Sequence[Look] | None = None
) -> Figure:
    """Draws loss (nats) and accuracy (per cent) over the epochs.

    A ring marks the epoch whose weights were scored.

    Args:
        runs: Finished runs, or histories that `fit` gave, by the names to show.
        own: The look of each; made where left out.

    Raises:
        InputError: If there are no runs.

    Example:
        >>> from qfm_jax.training.history import EpochRecord
        >>> epoch = EpochRecord(1, 10, 0.9, 0.6, 0.8, 0.7, 0.001, 2.0, 640.0)
        >>> figure = plot_training_curves({"mine": History((epoch,), 1)})
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['cross-entropy (nats)', 'accuracy (%)']
    """
    if isinstance(runs, Mapping):
        check_some(list(runs))
        histories, own = list(runs.values()), own or looks_of(list(runs))
    else:
        own = own or looks(runs)
        histories = [run.history for run in runs]
    with house_style():
        figure = Figure(figsize=(WIDE, 3.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        for look, history in zip(own, histories, strict=True):
            _draw_curve(left, look, history, "loss", unit=1)
            _draw_curve(right, look, history, "accuracy", unit=100)
        left.set(title="Loss", xlabel="epoch", ylabel="cross-entropy (nats)")
        right.set(title="Accuracy", xlabel="epoch", ylabel="accuracy (%)")
        handles = _curve_handles(own)
        columns = min(len(handles), 4 if len(own) > 4 else 7)
        figure.legend(handles=handles, loc="outside upper left", ncols=columns)
        return lay_out(figure)


def plot_class_scores(runs: Sequence[Run], own: Sequence[Look] | None = None) -> Figure:
    """Draws the recall of each class with its 95 % Wilson interval, in per cent.

    Args:
        runs: Finished runs.
        own: The look of each; made where left out.

    Raises:
        InputError: If there are no runs.
    """
    own = own or looks(runs)
    with house_style():
        figure = Figure(figsize=(WIDE, 3.9), layout="constrained")
        axes = figure.subplots()
        for i, (look, run) in enumerate(zip(own, runs, strict=True)):
            width = 0.84 / len(runs)
            shift = (i - (len(runs) - 1) / 2) * width
            recall = 100 * np.array(run.result.scores.recall)
            counts = np.array(run.result.scores.confusion)
            axes.bar(
                np.arange(len(recall)) + shift,
                recall,
                0.9 * width,
                yerr=_error_lengths(np.diag(counts), counts.sum(axis=1)),
                error_kw={"ecolor": INK, "elinewidth": 1},
                facecolor=look.tint,
                edgecolor=look.color,
                hatch=look.hatch,
                label=_name(look),
            )
        names = [short(name) for name in runs[0].result.class_names]
        axes.set_xticks(range(len(names)), names)
        axes.tick_params(axis="x", length=0, rotation=60 if len(names) > 10 else 0)
        axes.grid(visible=False, axis="x")
        axes.set_ylim(0, 101)
        axes.set(xlabel="true class", ylabel="recall (%), with 95 % interval")
        figure.legend(loc="outside upper left", ncols=min(len(runs), 4))
        return lay_out(figure)


def plot_calibration(runs: Sequence[Run], own: Sequence[Look] | None = None) -> Figure:
    """Draws a reliability diagram of each run, and how many images each bin holds.

    On the dashed line a model is right as often as it expects to be. Error bars are
    95 % Wilson intervals; the lower axes count images on a logarithmic scale.

    Args:
        runs: Finished runs.
        own: The look of each; made where left out.

    Raises:
        InputError: If there are no runs.
    """
    own, n_columns = own or looks(runs), min(len(runs), 4)
    with house_style():
        n_rows = -(-len(runs) // n_columns)
        size = (WIDE * max(n_columns, 2) / 4, 3.9 * n_rows)
        figure = Figure(figsize=size, layout="constrained")
        # One pair of axes, diagram over counts, for each run.
        grid = figure.subplots(
            2 * n_rows,
            n_columns,
            squeeze=False,
            sharex=True,
            sharey="row",
            height_ratios=[3, 1] * n_rows,
        )
        for i, (look, run) in enumerate(zip(own, runs, strict=True)):
            top, bottom = grid[2 * (i // n_columns) :, i % n_columns][:2]
            _draw_reliability(top, look, run)
            _draw_counts(bottom, look, run)
        for row in range(n_rows):
            grid[2 * row, 0].set_ylabel("accuracy (%)")
            grid[2 * row + 1, 0].set_ylabel("images")
        for i in range(len(runs), n_rows * n_columns):
            for axes in grid[2 * (i // n_columns) :, i % n_columns][:2]:
                axes.remove()
        return lay_out(figure)


def _draw_curve(
    axes: Axes, look: Look, history: History, name: str, *, unit: int
) -> None:
    """Training dotted, validation with markers; `name` is `loss` or `accuracy`."""
    records = history.epochs
    epochs = [record.epoch for record in records]
    train = [unit * getattr(record, f"train_{name}") for record in records]
    validation = [unit * getattr(record, f"validation_{name}") for record in records]
    best = history.best_epoch
    axes.plot(epochs, train, color=look.color, **_TRAIN)
    axes.plot(epochs, validation, color=look.color, marker=look.marker)
    axes.plot([best], [validation[best - 1]], **_RING)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


_TRAIN: dict[str, Any] = {"linestyle": ":", "linewidth": 1.3}
_RING: dict[str, Any] = {
    "color": INK,
    "fillstyle": "none",
    "linestyle": "none",
    "marker": "o",
    "markersize": 10,
}


def _curve_handles(all_looks: Sequence[Look]) -> list[Line2D]:
    models = [
        Line2D([], [], color=look.color, marker=look.marker, label=_name(look))
        for look in all_looks
    ]
    return [
        *models,
        Line2D([], [], color=MUTED, marker=".", label="validation"),
        Line2D([], [], color=MUTED, label="training", **_TRAIN),
        Line2D([], [], label="epoch scored", **_RING),
    ]


def _draw_reliability(axes: Axes, look: Look, run: Run) -> None:
    confidence, accuracy, counts = np.array(run.result.scores.calibration).T
    right = np.rint(accuracy * counts).astype(int)
    axes.plot([0, 100], [0, 100], color=MUTED, linestyle="--", linewidth=1)
    axes.errorbar(
        100 * confidence,
        100 * accuracy,
        yerr=_error_lengths(right, counts.astype(int)),
        color=look.color,
        marker=look.marker,
        elinewidth=1,
    )
    axes.set(xlim=(0, 100), ylim=(0, 102), xticks=(0, 50, 100))
    axes.set_title(short(look.label, 22))
    error = 100 * run.result.scores.calibration_error
    axes.text(4, 93, f"ECE {error:.1f} %", color=INK)


def _draw_counts(axes: Axes, look: Look, run: Run) -> None:
    confidence, _, counts = np.array(run.result.scores.calibration).T
    bins = np.minimum(np.floor(confidence * N_BINS), N_BINS - 1)
    axes.bar(
        100 * (bins + 0.5) / N_BINS,
        counts,
        88 / N_BINS,
        facecolor=look.tint,
        edgecolor=look.color,
        hatch=look.hatch,
    )
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.7)
    axes.yaxis.set_major_locator(LogLocator(base=10, numticks=4))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.minorticks_off()
    axes.set_xlabel("confidence (%)")


def _name(look: Look) -> str:
    return short(look.label, 32)


def _error_lengths(right: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Distances (2, n) in per cent from right / counts to its 95 % Wilson interval."""
    lengths = np.zeros((2, len(counts)))
    for i in np.flatnonzero(counts):
        share = right[i] / counts[i]
        interval = binomtest(int(right[i]), int(counts[i])).proportion_ci(
            method="wilson"
        )
        lengths[:, i] = share - interval.low, interval.high - share
    # Rounding leaves -1e-17 where the share is 0 or 1, which matplotlib refuses.
    return 100 * np.maximum(lengths, 0)
