"""One model on several devices -> a table, and a figure.

A record is what `Deployment.as_table` gives, or `hardware_records` read from a file.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich import box
from rich.table import Table
from rich.text import Text

from .._checks import input_error
from ..evaluation import percent
from .style import COLORS, MUTED, WIDE, house_style, lay_out

Record = Mapping[str, Any]


def deployment_table(records: Sequence[Record]) -> Table:
    """The devices for a terminal of 80 columns, in the order in which they ran."""
    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False
    )
    table.add_column("Device", overflow="fold", max_width=24)
    names = ("Accuracy, %\n95 % interval", "Images", "Flipped\n%", "Margin\n", "s")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for record in records:
        low, high = record["accuracy_interval"]
        margin = record["margin_flipped"]
        table.add_row(
            Text(record["label"]),
            f"{percent(record['accuracy'], 2)} "
            f"({percent(low, 2)}\u2013{percent(high, 2)})",
            f"{record['n_test']:,}",
            percent(record["flipped"], 2),
            "" if margin is None else f"{margin:.2f}",
            f"{record['seconds']:,.1f}",
        )
    return table


def plot_deployments(records: Sequence[Record]) -> Figure:
    """Draws the accuracy on each device with its 95 % interval, beside the exact one.

    Raises:
        InputError: If there are no records.
    """
    if not records:
        raise input_error("records", "hold at least one", "is empty")
    rows = np.arange(len(records))
    is_mitigated = np.array([record["mitigation"] != "none" for record in records])
    with house_style():
        size = (WIDE, 1.4 + 0.42 * len(records))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        _draw_exact(axes, records)
        kinds = (("as measured", "o", ~is_mitigated), ("mitigated", "s", is_mitigated))
        for color, (name, marker, chosen) in zip(COLORS, kinds, strict=False):
            own = [
                record for record, is_in in zip(records, chosen, strict=True) if is_in
            ]
            if own:
                accuracy, errors = accuracies(own)
                axes.errorbar(
                    accuracy,
                    rows[chosen],
                    xerr=errors,
                    color=color,
                    marker=marker,
                    linestyle="",
                    capsize=4,
                    label=name,
                )
        axes.set_yticks(rows, [record["label"] for record in records])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("test accuracy (%), with 95 % interval")
        figure.legend(loc="outside upper left", ncols=3)
        return lay_out(figure)


def accuracies(records: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies in per cent (n,), and their distances to the limits (2, n)."""
    accuracy = 100 * np.array([record["accuracy"] for record in records])
    limits = 100 * np.array([record["accuracy_interval"] for record in records]).T
    return accuracy, np.maximum([accuracy - limits[0], limits[1] - accuracy], 0)


def _draw_exact(axes: Any, records: Sequence[Record]) -> None:
    """A mark in each row: each sample of test images has an exact accuracy."""
    axes.plot(
        [100 * record["accuracy_ideal"] for record in records],
        range(len(records)),
        color=MUTED,
        marker="|",
        markersize=18,
        linestyle="",
        label="exact, on the same images",
    )
