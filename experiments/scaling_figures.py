"""Rows of the scaling studies -> figures; records are rows as their files hold them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from growth import Growth
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from scipy.stats import t as student

from qfm_jax._checks import input_error
from qfm_jax.reporting.style import COLORS, MARKERS, MUTED, WIDE, house_style, lay_out

Record = Mapping[str, Any]
"""A row: what was asked in its entry `cell`, what was found in the others."""

LINES = ("-", "--", ":", "-.")


def seed_interval(accuracy: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of a mean over seeds, by Student's t, within [0, 1].

    One seed says nothing about others: (0, 1).

    Example:
        >>> [round(limit, 3) for limit in seed_interval([0.8, 0.82, 0.81])]
        [0.785, 0.835]
    """
    n = len(accuracy)
    if n < 2:
        return 0.0, 1.0
    mean, sd = float(np.mean(accuracy)), float(np.std(accuracy, ddof=1))
    half = float(student.ppf(0.975, n - 1)) * sd / math.sqrt(n)
    return max(mean - half, 0.0), min(mean + half, 1.0)


def sweep(
    records: Sequence[Record], name: str, base: Mapping[str, Any]
) -> list[Record]:
    """The records that differ from the usual values in one thing at most, by its value.

    Example:
        >>> cells = [{"n": 4, "L": 1}, {"n": 2, "L": 1}, {"n": 4, "L": 2}]
        >>> records = [{"cell": cell} for cell in cells]
        >>> [r["cell"]["n"] for r in sweep(records, "n", {"n": 4, "L": 1})]
        [2, 4]
    """
    others = {key: value for key, value in base.items() if key != name}
    kept = [r for r in records if others.items() <= r["cell"].items()]
    return sorted(kept, key=lambda record: record["cell"][name])


def plot_sweeps(
    records: Sequence[Record], base: Mapping[str, Any], labels: Mapping[str, str]
) -> Figure:
    """Draws the accuracy of each model against one thing at a time, in per cent.

    Points are seeds, lines their means, bars 95 % intervals of the means (Student's t).
    The axis begins at the last ten per cent below all of them.

    Args:
        records: Rows with `accuracy`, a number a seed; their cells name the `model`.
        base: The usual value of each thing that is changed.
        labels: What to draw against, with the words on its axis.

    Raises:
        InputError: If there are no records.
    """
    _check_any(records)
    models = list(dict.fromkeys(record["cell"]["model"] for record in records))
    with house_style():
        n_columns = min(len(labels), 2)
        n_rows = -(-len(labels) // n_columns)
        figure = Figure(figsize=(WIDE, 0.7 + 3.1 * n_rows), layout="constrained")
        grid = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True)
        for axes, (name, label) in zip(grid.flat, labels.items(), strict=False):
            values = {r["cell"][name] for r in sweep(records, name, base)}
            for i, model in enumerate(models):
                own = [r for r in records if r["cell"]["model"] == model]
                # Side by side, so that bars do not hide each other.
                shift = 0.015 * (i - (len(models) - 1) / 2)
                factor = (max(values) / min(values)) ** shift
                _draw_accuracy(axes, sweep(own, name, base), name, factor, model, i)
            _log_ticks(axes, values)
            axes.set_xlabel(label)
        for axes in grid[:, 0]:
            axes.set_ylabel("test accuracy (%)")
        lowest = min(axes.dataLim.y0 for axes in grid.flat)
        grid[0, 0].set_ylim(max(0, 10 * (lowest // 10)), 101)
        handles, names = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=4)
        return lay_out(figure)


def plot_step_growth(
    records: Sequence[Record], time: Growth, memory: Growth, *, until: int = 30
) -> Figure:
    """Draws seconds and memory of a step against qubits, and seconds against layers.

    Bars span the quartiles of the repeated steps. Dashed is the fit, drawn on to
    `until` qubits: beyond the last point it is a calculation.

    Args:
        records: Rows with `times_s` and `memory_bytes`; their cells hold `n_qubits`,
            `n_layers` and `batch`.
        time: Seconds of a step of one sample.
        memory: Bytes of a step of one sample.
        until: Qubits at which the fits end.

    Raises:
        InputError: If there are no records.
    """
    _check_any(records)
    with house_style():
        figure = Figure(figsize=(WIDE, 3.6), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        depth = _most_common(records, "n_layers")
        batches = sorted({r["cell"]["batch"] for r in records})
        for i, batch in enumerate(batches):
            of_depth = {"n_layers": depth, "batch": batch}
            rows = sweep(records, "n_qubits", {"n_qubits": None, **of_depth})
            _draw_times(left, rows, "n_qubits", _samples(batch), i)
            gib = [row["memory_bytes"] / 2**30 for row in rows]
            numbers = [row["cell"]["n_qubits"] for row in rows]
            right.plot(numbers, gib, COLORS[i], marker=MARKERS[i], linestyle="none")
        paper = range(2, until + 1)
        for axes, fit, unit in ((left, time, 1), (right, memory, 2**30)):
            curve = [fit(n) / unit for n in paper]
            axes.plot(paper, curve, color=MUTED, linestyle="--", label="fit, 1 sample")
            axes.set_xlabel("qubits")
            _log_values(axes)
        left.set(title=f"Step, {_layers(depth)}", ylabel="time (s), with quartiles")
        right.set(title=f"Memory, {_layers(depth)}", ylabel="memory (GiB)")
        width, batch = _deepest(records)
        of_width = {"n_qubits": width, "batch": batch, "n_layers": None}
        rows = sweep(records, "n_layers", of_width)
        _draw_times(middle, rows, "n_layers", _samples(batch), batches.index(batch))
        middle.set(title=f"Step, {width} qubits", xlabel="layers")
        _log_values(middle)
        middle.set_ylabel("time (s), with quartiles")
        _log_ticks(middle, {row["cell"]["n_layers"] for row in rows})
        handles, names = left.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=4)
        return lay_out(figure)


FLOOR = "as many Haar-random states"

DESCRIPTORS = {
    "gradient_variance": "variance of the gradients (1/rad²)",
    "expressibility": "divergence from Haar (nats)",
    "entangling_capability": "mean Meyer-Wallach measure",
}


def plot_random_circuits(records: Sequence[Record]) -> Figure:
    """Draws what random circuits are like, against qubits above and layers below.

    The variance of the gradients for each observable, expressibility (0: as spread out
    as Haar-random states; dotted: what so many samples of those would give) and
    entangling capability. Bars are 95 % intervals.

    Args:
        records: Rows with the entries of `DESCRIPTORS`, each a list [value, standard
            error] or a dictionary of these by observable, and `expressibility_floor`;
            their cells hold `n_qubits` and `n_layers`.

    Raises:
        InputError: If there are no records.
    """
    _check_any(records)
    width = _most_common(records, "n_qubits")
    depths = sorted(
        {
            r["cell"]["n_layers"]
            for r in records
            if len(sweep(records, "n_qubits", {"n_layers": r["cell"]["n_layers"]})) > 1
        }
    )
    with house_style():
        figure = Figure(figsize=(WIDE, 6.6), layout="constrained")
        grid = figure.subplots(2, 3)
        for column, (name, label) in enumerate(DESCRIPTORS.items()):
            above, below = grid[:, column]
            for i, depth in enumerate(depths):
                rows = sweep(records, "n_qubits", {"n_layers": depth})
                _draw_estimates(above, rows, "n_qubits", name, _layers(depth), i)
            rows = sweep(records, "n_layers", {"n_qubits": width})
            _draw_estimates(below, rows, "n_layers", name, "", len(depths))
            _log_ticks(below, {row["cell"]["n_layers"] for row in rows})
            above.set(xlabel="qubits", ylabel=label)
            below.set(xlabel=f"layers ({width} qubits)", ylabel=label)
            above.xaxis.set_major_locator(MaxNLocator(integer=True))
            for axes in (above, below):
                if name == "gradient_variance":
                    _log_values(axes)
                elif name == "expressibility":
                    floor = records[0]["expressibility_floor"]
                    axes.axhline(floor, color=MUTED, linestyle=":", label=FLOOR)
                    axes.set_ylim(bottom=0)
                else:
                    axes.set_ylim(0, 1.02)
        found = dict(zip(*grid[0, 0].get_legend_handles_labels()[::-1], strict=True))
        spread = dict(zip(*grid[0, 1].get_legend_handles_labels()[::-1], strict=True))
        found[FLOOR] = spread[FLOOR]
        figure.legend(
            list(found.values()), list(found), loc="outside upper left", ncols=3
        )
        return lay_out(figure)


def _check_any(records: Sequence[Record]) -> None:
    if not records:
        cure = "Run the experiment first; it writes them into its file."
        raise input_error("records", "hold at least one row", "is empty", cure)


def _samples(batch: int) -> str:
    return "1 sample" if batch == 1 else f"{batch} samples"


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"


def _most_common(records: Sequence[Record], name: str) -> Any:
    values = [record["cell"][name] for record in records]
    return max(sorted(set(values)), key=values.count)


def _deepest(records: Sequence[Record]) -> tuple[int, int]:
    """Qubits and batch of the row of most layers."""
    cell = max(records, key=lambda record: record["cell"]["n_layers"])["cell"]
    return cell["n_qubits"], cell["batch"]


def _draw_accuracy(
    axes: Axes,
    rows: Sequence[Record],
    name: str,
    factor: float,
    model: str,
    i: int,
) -> None:
    color, marker = COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]
    x = [factor * row["cell"][name] for row in rows]
    for place, row in zip(x, rows, strict=True):
        found = [100 * share for share in row["accuracy"]]
        axes.plot([place] * len(found), found, ".", color=color, alpha=0.5)
    means = [100 * float(np.mean(row["accuracy"])) for row in rows]
    axes.errorbar(
        x,
        means,
        yerr=_distances(means, [seed_interval(row["accuracy"]) for row in rows]),
        color=color,
        marker=marker,
        linestyle=LINES[i % len(LINES)],
        capsize=3,
        elinewidth=1,
        label=model,
    )


def _distances(
    means: Sequence[float], intervals: Sequence[tuple[float, float]]
) -> np.ndarray:
    """Lengths (2, n) of error bars in per cent; over all there is, for one seed."""
    lengths = [
        (mean - 100 * low, 100 * high - mean)
        for mean, (low, high) in zip(means, intervals, strict=True)
    ]
    return np.maximum(np.transpose(lengths), 0)


def _draw_times(
    axes: Axes, rows: Sequence[Record], name: str, label: str, i: int
) -> None:
    quartiles = np.array(
        [np.quantile(row["times_s"], [0.25, 0.5, 0.75]) for row in rows]
    )
    axes.errorbar(
        [row["cell"][name] for row in rows],
        quartiles[:, 1],
        yerr=np.abs(quartiles[:, [0, 2]] - quartiles[:, [1]]).T,
        color=COLORS[i],
        marker=MARKERS[i],
        linestyle="none" if name == "n_qubits" else "-",
        capsize=3,
        label=label,
    )


def _draw_estimates(
    axes: Axes, rows: Sequence[Record], x: str, name: str, label: str, i: int
) -> None:
    """One line, or one for each observable; error bars of 1.96 standard errors."""
    found = rows[0][name]
    parts = list(found) if isinstance(found, dict) else [None]
    for j, part in enumerate(parts):
        pairs = [row[name] if part is None else row[name][part] for row in rows]
        axes.errorbar(
            [row["cell"][x] for row in rows],
            [value for value, _ in pairs],
            yerr=[1.96 * error for _, error in pairs],
            color=COLORS[i],
            marker=MARKERS[i],
            fillstyle="full" if j == 0 else "none",
            linestyle=LINES[j],
            capsize=3,
            elinewidth=1,
            label=label if part is None else f"{label}, {part} observable",
        )


def _log_values(axes: Axes) -> None:
    """A logarithmic axis of values, with plain numbers: no text here is mathematics."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    subs = (1.0,) if high > 100 * low else (1.0, 2.0, 5.0)
    axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=8))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _log_ticks(axes: Axes, values: set[Any]) -> None:
    """A logarithmic axis whose ticks are the values themselves."""
    ticks = sorted(values)
    if len(ticks) > 1:
        axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
    axes.minorticks_off()
