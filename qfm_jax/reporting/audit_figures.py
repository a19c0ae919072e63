"""An audit -> its figures. Every function returns a figure that no window holds."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..audit import Audit, ModelResult
from .style import COLORS, INK, MUTED, house_style, lay_out

SIDE = 5.0
"""Width in inches of one of two figures side by side."""


def plot_accuracies(audit: Audit) -> Figure:
    """Draws the test accuracy of every seed, and the mean, in per cent."""
    with house_style():
        figure = Figure(figsize=(SIDE, _height(audit.results)), layout="constrained")
        axes = figure.subplots()
        # Seeds keep their height within a row, so that pairs can be followed.
        offsets = np.linspace(-0.25, 0.25, len(audit.seeds))
        for y, result in enumerate(audit.results):
            accuracy = 100 * np.array(result.accuracy)
            color = COLORS[1] if y == 0 else COLORS[0]
            axes.plot(accuracy, y + offsets, "o", color=color, alpha=0.6, markersize=4)
            mean = [accuracy.mean()] * 2
            axes.plot(mean, [y - 0.35, y + 0.35], color=INK, linewidth=2)
        _name_rows(axes, audit.results)
        axes.set_xlabel("test accuracy (%): each seed, and the mean")
        return lay_out(figure)


def plot_differences(audit: Audit) -> Figure:
    """Draws the accuracy minus each control's, with 95 % interval, in points."""
    results = audit.results[1:]
    with house_style():
        figure = Figure(figsize=(SIDE, _height(audit.results)), layout="constrained")
        axes = figure.subplots()
        axes.axvline(0, color=MUTED, linewidth=1)
        for y, result in enumerate(results, start=1):
            difference = result.difference
            assert difference is not None
            mean = 100 * difference.mean
            low, high = (100 * limit for limit in difference.interval)
            axes.errorbar(
                mean,
                y,
                xerr=[[max(mean - low, 0)], [max(high - mean, 0)]],
                color=COLORS[0],
                marker="s",
                capsize=4,
            )
        _name_rows(axes, audit.results)
        axes.set_xlabel(f"{audit.model} minus control (points), with 95 % interval")
        return lay_out(figure)


def _height(results: Sequence[ModelResult]) -> float:
    return 0.8 + 0.42 * len(results)


def _name_rows(axes: Axes, results: Sequence[ModelResult]) -> None:
    axes.set_yticks(range(len(results)), [result.name for result in results])
    axes.set_ylim(len(results) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
