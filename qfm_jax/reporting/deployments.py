"""One model on several devices -> a table, and a figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from rich import box
from rich.table import Table
from rich.text import Text

from .._checks import input_error
from ..deployment import Deployment
from .style import COLORS, MUTED, WIDE, house_style, lay_out


def deployment_table(deployments: Sequence[Deployment]) -> Table:
    """The devices for a terminal of 80 columns, in the order in which they ran."""
    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False
    )
    table.add_column("Device", overflow="fold", max_width=24)
    names = ("Accuracy, %\n95 % interval", "Images", "Flipped\n%", "Margin\n", "s")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for deployment in deployments:
        scores = deployment.scores
        low, high = scores.accuracy_interval
        margin = deployment.margin_flipped
        table.add_row(
            Text(deployment.target.label),
            f"{100 * scores.accuracy:.2f} ({100 * low:.2f}\u2013{100 * high:.2f})",
            f"{scores.n_test:,}",
            f"{100 * deployment.flipped:.2f}",
            "" if margin is None else f"{margin:.2f}",
            f"{deployment.seconds:,.1f}",
        )
    return table


def plot_deployments(deployments: Sequence[Deployment]) -> Figure:
    """Draws the accuracy on each device with its 95 % interval, beside the exact one.

    Raises:
        InputError: If there are no deployments.
    """
    if not deployments:
        raise input_error("deployments", "hold at least one", "is empty")
    accuracy = 100 * np.array([d.scores.accuracy for d in deployments])
    limits = 100 * np.array([d.scores.accuracy_interval for d in deployments])
    ideal = 100 * deployments[0].ideal.accuracy
    rows = np.arange(len(deployments))
    with house_style():
        size = (WIDE, 1.4 + 0.42 * len(deployments))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        axes.axvline(ideal, color=MUTED, linewidth=1, linestyle="--", label="exact")
        axes.errorbar(
            accuracy,
            rows,
            xerr=np.maximum([accuracy - limits[:, 0], limits[:, 1] - accuracy], 0),
            color=COLORS[0],
            marker="o",
            linestyle="",
            capsize=4,
        )
        axes.set_yticks(rows, [d.target.label for d in deployments])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("test accuracy (%), with 95 % interval")
        axes.legend(loc="best")
        return lay_out(figure)
