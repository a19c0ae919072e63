"""Accuracy against what it cost: records, the Pareto front, a figure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from .._checks import InputError, input_error
from ..runs.directory import Run, read_run
from .style import INK, MUTED, WIDE, Look, house_style, lay_out, looks_of, short
from .tables import LeaderboardRow, leaderboard, rank

NEAR = 8.0
"""Points from a marker to its name, where there is room."""
MARKER = 6.0
"""Pixels from the middle of a marker to what may stand beside it."""


@dataclass(frozen=True)
class CostRecord:
    """A model's accuracy, and what it cost."""

    label: str
    """Its name, unlike that of every other record."""
    accuracy: float
    """Share of the test images classified rightly, in [0, 1]."""
    accuracy_interval: tuple[float, float]
    """95 % interval of the accuracy."""
    costs: Mapping[str, float]
    """Each cost, at least 0, by its name with its unit."""
    kind: str = ""
    """What it is one of: records of a kind look alike; its name where empty."""


def cost_records(runs: Sequence[Run]) -> list[CostRecord]:
    """What finished runs cost, best test accuracy first.

    A trunk's weights and the seconds of its training count too; where its run is not
    there, those seconds are not known, and are left out.

    Raises:
        InputError: If there are no runs, or they are on different data sets.

    Example:
        >>> from qfm_jax.runs.directory import read_run
        >>> cost_records([read_run("runs/cnn")])  # doctest: +SKIP
    """
    return records_of(rank(runs), leaderboard(runs))


def records_of(runs: Sequence[Run], rows: Sequence[LeaderboardRow]) -> list[CostRecord]:
    """The same of runs in the order of their rows in the leaderboard."""
    return [_record(row, run) for row, run in zip(rows, runs, strict=True)]


def _record(row: LeaderboardRow, run: Run) -> CostRecord:
    costs = {
        "parameters": row.n_parameters_quantum
        + row.n_parameters_classical
        + row.n_parameters_frozen,
        "training (s)": _seconds_training(run),
        "inference (ms an image)": 1e3 / row.images_per_second,
    }
    known = {name: cost for name, cost in costs.items() if cost is not None}
    return CostRecord(row.label, row.accuracy, row.accuracy_interval, known)


def _seconds_training(run: Run) -> float | None:
    """All that was trained, trunks too; None where one of them is not there."""
    seconds, seen = run.result.seconds_training, set()
    while run.config.trunk is not None:
        if run.config.trunk in seen:
            return None
        seen.add(run.config.trunk)
        try:
            run = read_run(Path(run.config.trunk))
        except InputError:
            return None
        seconds += run.result.seconds_training
    return seconds


def pareto_front(records: Sequence[CostRecord], cost: str) -> list[CostRecord]:
    """The records that no other dominates, cheapest first.

    One dominates another if it costs no more, is at least as accurate, and is better in
    one of the two. Records without this cost are left out.

    Example:
        >>> def record(label, accuracy, seconds):
        ...     return CostRecord(label, accuracy, (0, 1), {"training (s)": seconds})
        >>> models = [record("a", 0.9, 60), record("b", 0.8, 5), record("c", 0.7, 9)]
        >>> [record.label for record in pareto_front(models, "training (s)")]
        ['b', 'a']
    """
    priced = [record for record in records if cost in record.costs]
    front = [
        record
        for record in priced
        if not any(_dominates(other, record, cost) for other in priced)
    ]
    return sorted(front, key=lambda record: record.costs[cost])


def plot_pareto(records: Sequence[CostRecord]) -> Figure:
    """Draws accuracy against each cost, and the Pareto front.

    Filled markers lie on the front, hollow ones do not. Bars are 95 % intervals. An
    axis is logarithmic where its costs span a factor of ten.

    Args:
        records: Models, in the order of their colours; each cost that one of them names
            has axes of its own. Kinds, where they have some, stand in the legend.

    Raises:
        InputError: If there are no records, or they name no cost.

    Example:
        >>> record = CostRecord("linear", 0.84, (0.83, 0.85), {"parameters": 7850})
        >>> plot_pareto([record]).axes[0].get_xlabel()
        'parameters'
    """
    costs = list(dict.fromkeys(cost for record in records for cost in record.costs))
    if not costs:
        raise input_error("records", "hold a record with a cost", "hold none")
    kinds = [record.kind or record.label for record in records]
    looks = {look.label: look for look in looks_of(list(dict.fromkeys(kinds)))}
    all_looks = [looks[kind] for kind in kinds]
    named = [looks[kind] for kind in dict.fromkeys(r.kind for r in records) if kind]
    n_columns = min(2, len(costs))
    n_rows = -(-len(costs) // n_columns)
    with house_style():
        size = (WIDE * n_columns / 2, 3.6 * n_rows)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)  # letters are measured with it
        grid = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True)
        for axes in grid.flat[len(costs) :]:
            axes.remove()
        for axes, cost in zip(grid.flat, costs, strict=False):
            _draw_costs(axes, cost, records, all_looks)
        for axes in grid[:, 0]:
            axes.set_ylabel("test accuracy (%), with 95 % interval")
        handles = [*_handles(), *map(_handle, named)]
        figure.legend(handles=handles, loc="outside upper left", ncols=4)
        lay_out(figure)
        for axes, cost in zip(grid.flat, costs, strict=False):
            _draw_labels(axes, cost, records)
        return figure


def _dominates(one: CostRecord, other: CostRecord, cost: str) -> bool:
    gains = (other.costs[cost] - one.costs[cost], one.accuracy - other.accuracy)
    return min(gains) >= 0 and max(gains) > 0


def _draw_costs(
    axes: Axes, cost: str, records: Sequence[CostRecord], all_looks: Sequence[Look]
) -> None:
    front = pareto_front(records, cost)
    steps = [record.costs[cost] for record in front]
    heights = [100 * record.accuracy for record in front]
    axes.plot(steps, heights, **_FRONT)
    for record, look in zip(records, all_looks, strict=True):
        if cost not in record.costs:
            continue
        accuracy = 100 * record.accuracy
        low, high = (100 * limit for limit in record.accuracy_interval)
        axes.errorbar(
            record.costs[cost],
            accuracy,
            yerr=[[max(accuracy - low, 0)], [max(high - accuracy, 0)]],
            color=look.color,
            marker=look.marker,
            markersize=7,
            markerfacecolor=look.color if record in front else "white",
            elinewidth=1,
            capsize=2,
        )
    _scale(axes, [r.costs[cost] for r in records if cost in r.costs])
    axes.margins(x=0.14, y=0.12)
    axes.set_xlabel(cost)


def _scale(axes: Axes, costs: Sequence[float]) -> None:
    """Decades get a logarithmic axis; with zeros among them, one linear near zero."""
    positive = [cost for cost in costs if cost > 0]
    if not positive or max(positive) < 10 * min(positive):
        return
    if len(positive) == len(costs):
        axes.set_xscale("log")
        subs = (1.0,) if max(positive) > 100 * min(positive) else (1.0, 2.0, 5.0)
        axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=8))
    else:
        axes.set_xscale("symlog", linthresh=min(positive))
    axes.xaxis.set_major_formatter(lambda x, _: _MILLIONS(x) if x >= 1e6 else f"{x:,g}")
    axes.xaxis.set_minor_formatter(NullFormatter())  # Matplotlib's own writes TeX


def _draw_labels(axes: Axes, cost: str, records: Sequence[CostRecord]) -> None:
    """Writes each name inside the axes, near its point, where nothing stands yet."""
    priced = [record for record in records if cost in record.costs]
    taken = [_extent(axes, cost, record) for record in priced]
    canvas = axes.get_figure(root=True).canvas  # type: ignore[union-attr]
    assert isinstance(canvas, FigureCanvasAgg)
    renderer = canvas.get_renderer()
    for record in priced:
        point = (record.costs[cost], 100 * record.accuracy)
        text = axes.annotate(short(record.label, 20), point, **_LABEL)
        offset = _place(text, axes, taken, renderer)
        if offset is None:  # full: the tables have its numbers
            text.remove()
        elif math.hypot(*offset) > NEAR + 1:
            axes.annotate("", point, offset, arrowprops=_LEADER, **_AT_OFFSET)


def _place(
    text: Annotation, axes: Axes, taken: list[Bbox], renderer: RendererBase
) -> tuple[float, float] | None:
    """Moves the text to the first free place, which is taken then; its offset."""
    for offset, across, along in _places():
        text.set(position=offset, ha=across, va=along)
        box = text.get_window_extent(renderer)
        inside = Bbox.intersection(box, axes.bbox)
        is_whole = inside is not None and np.allclose(inside.extents, box.extents)
        if is_whole and not box.count_overlaps(taken):
            taken.append(box)
            return offset
    return None


def _extent(axes: Axes, cost: str, record: CostRecord) -> Bbox:
    """The pixels that a marker and its interval cover."""
    low, high = (100 * limit for limit in record.accuracy_interval)
    corners = [(record.costs[cost], low), (record.costs[cost], high)]
    return Bbox(axes.transData.transform(corners)).padded(MARKER)


def _places() -> Iterator[tuple[tuple[float, float], str, str]]:
    """Offsets from a point, in points, and alignments; nearest first."""
    for distance in (NEAR, 17, 26, 38, 52, 70):
        for degrees in (0, 180, 90, 270, 45, 135, 225, 315):
            x = distance * math.cos(math.radians(degrees))
            y = distance * math.sin(math.radians(degrees))
            across = "center" if abs(x) < 1 else "left" if x > 0 else "right"
            along = "center" if abs(y) < 1 else "bottom" if y > 0 else "top"
            yield (x, y), across, along


def _handles() -> list[Line2D]:
    mark: dict[str, Any] = {"color": MUTED, "linestyle": "none", "marker": "o"}
    return [
        Line2D([], [], label="Pareto front", **_FRONT),
        Line2D([], [], label="on the front", **mark),
        Line2D([], [], label="not on it", markerfacecolor="white", **mark),
    ]


def _handle(look: Look) -> Line2D:
    mark: dict[str, Any] = {"marker": look.marker, "linestyle": "none"}
    return Line2D([], [], color=look.color, label=look.label, **mark)


_MILLIONS = EngFormatter(sep="")
_FRONT: dict[str, Any] = {"color": MUTED, "drawstyle": "steps-post", "linewidth": 1}
_AT_OFFSET: dict[str, Any] = {"textcoords": "offset points"}
_PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
_LABEL: dict[str, Any] = {
    **_AT_OFFSET,
    "xytext": (0, 0),
    "fontsize": 8,
    "color": INK,
    "bbox": _PAPER,
}
_LEADER = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.6, "shrinkB": 4}
