"""Accuracy on devices against what spoils it: noise, few shots, gates on two qubits.

Records are those of `deployments`; where they are of several models, they name theirs.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from .._checks import input_error
from .deployments import Record, accuracies
from .style import COLORS, MARKERS, MUTED, WIDE, house_style, lay_out

KINDS = {
    "depolarizing": "depolarizing strength of each gate",
    "readout": "probability of a flipped bit",
}
"""Noise that one number describes, and that number's name."""

SETTING = ("model", "device", "noise", "mitigation")
"""What records with other numbers of shots have in common."""


def plot_accuracy_against_noise(
    records: Sequence[Record], *, linear: float | None = None
) -> Figure:
    """Draws the accuracy on Aer against the strength of each kind of noise.

    Args:
        records: Those with `depolarizing:P` or `readout:P` alone are drawn.
        linear: Accuracy of a linear model on the same task, in [0, 1], for a line.

    Raises:
        InputError: If none has noise of one kind.

    Example:
        >>> record = {"accuracy": 0.8, "accuracy_interval": (0.7, 0.9), "shots": 100}
        >>> record |= {"accuracy_ideal": 0.9, "device": "aer", "mitigation": "none"}
        >>> record |= {"noise": "depolarizing:0.01"}
        >>> plot_accuracy_against_noise([record]).axes[0].get_xlabel()
        'depolarizing strength of each gate'
    """
    kinds = {kind: [r for r in records if _strength(r, kind)] for kind in KINDS}
    kinds = {kind: own for kind, own in kinds.items() if own}
    if not kinds:
        must = "hold one with noise of one kind, such as depolarizing:0.01"
        raise input_error("records", must, "holds none")
    with house_style():
        figure = Figure(figsize=(WIDE, 3.9), layout="constrained")
        panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
        for axes, (kind, own) in zip(panels, kinds.items(), strict=True):
            x = [_strength(record, kind) for record in own]
            _draw(axes, own, x, ("model", "shots", "mitigation"), linear)
            _space_by_factors(axes, x)
            axes.set_xlabel(KINDS[kind])
        return _finished(figure)


def plot_accuracy_against_shots(
    records: Sequence[Record], *, linear: float | None = None
) -> Figure:
    """Draws the accuracy against the measurements of each circuit.

    Args:
        records: A line is drawn for each device and noise that was run with several
            numbers of shots.
        linear: As for `plot_accuracy_against_noise`.

    Raises:
        InputError: If there is no such device.
    """
    own = with_several_shots(records)
    if not own:
        must = "hold a device with two numbers of shots"
        raise input_error("records", must, "holds none")
    with house_style():
        figure = Figure(figsize=(WIDE, 3.9), layout="constrained")
        axes = figure.subplots()
        _draw(axes, own, [record["shots"] for record in own], SETTING, linear)
        _space_by_factors(axes, [record["shots"] for record in own])
        axes.set_xlabel("shots of each circuit")
        return _finished(figure)


def plot_accuracy_against_gates(
    records: Sequence[Record], *, linear: float | None = None
) -> Figure:
    """Draws the accuracy against the gates on two qubits of a transpiled circuit.

    Args:
        records: Those on backends with couplings are drawn: there a model has as many
            gates as the way through them asks for. Their `two_qubit_gates` are those of
            all circuits of an image.
        linear: As for `plot_accuracy_against_noise`.

    Raises:
        InputError: If none has such gates.
    """
    own = [record for record in records if _is_on_a_backend(record)]
    if not own:
        must = "hold one on a fake backend, with its gates on two qubits"
        raise input_error("records", must, "holds none")
    with house_style():
        figure = Figure(figsize=(WIDE, 3.9), layout="constrained")
        axes = figure.subplots()
        x = [record["two_qubit_gates"] for record in own]
        _draw(axes, own, x, ("model", "device", "shots", "mitigation"), linear)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("gates on two qubits, after transpilation")
        return _finished(figure)


def hardware_figures(
    records: Sequence[Record], *, linear: float | None = None
) -> dict[str, Figure]:
    """Draws those of the figures above that have two places or more to compare.

    Returns:
        Figures by the names of their files, none where there is nothing to compare.

    Example:
        >>> hardware_figures([])
        {}
    """
    strengths = [
        {x for r in records if (x := _strength(r, kind)) is not None} for kind in KINDS
    ]
    places: dict[str, tuple[Callable[..., Figure], int]] = {
        "accuracy_against_noise": (
            plot_accuracy_against_noise,
            max(map(len, strengths)),
        ),
        "accuracy_against_shots": (
            plot_accuracy_against_shots,
            len({r["shots"] for r in with_several_shots(records)}),
        ),
        "accuracy_against_gates": (
            plot_accuracy_against_gates,
            len({r["two_qubit_gates"] for r in records if _is_on_a_backend(r)}),
        ),
    }
    return {
        name: plot(records, linear=linear)
        for name, (plot, n) in places.items()
        if n > 1
    }


def with_several_shots(records: Sequence[Record]) -> list[Record]:
    """The records of settings that were run with two numbers of shots or more."""
    own = [record for record in records if record["shots"] is not None]
    numbers = Counter(
        setting for setting, _ in {(_setting(r), r["shots"]) for r in own}
    )
    return [record for record in own if numbers[_setting(record)] > 1]


def _strength(record: Record, kind: str) -> float | None:
    """The strength of a record's noise, where it is of this kind alone."""
    name, _, value = record["noise"].partition(":")
    return float(value) if name == kind and "+" not in value else None


def _setting(record: Record) -> tuple[Any, ...]:
    return tuple(record.get(field) for field in SETTING)


def _is_on_a_backend(record: Record) -> bool:
    return record["device"] != "aer" and bool(record.get("two_qubit_gates"))


def _draw(
    axes: Axes,
    records: Sequence[Record],
    x: Sequence[Any],
    same: Sequence[str],
    linear: float | None,
) -> None:
    """A line for each set of records that agree in the fields `same`."""
    different = [f for f in same if len({record.get(f) for record in records}) > 1]
    sets: dict[str, list[tuple[Any, Record]]] = {}
    for value, record in zip(x, records, strict=True):
        name = ", ".join(_word(record, field) for field in different)
        sets.setdefault(name or "as measured", []).append((value, record))
    looks = itertools.cycle(zip(COLORS, MARKERS, strict=True))
    for (name, found), (color, marker) in zip(sets.items(), looks, strict=False):
        found.sort(key=lambda pair: pair[0])
        values, own = zip(*found, strict=True)
        accuracy, errors = accuracies(own)
        axes.errorbar(
            values,
            accuracy,
            yerr=errors,
            color=color,
            marker=marker,
            capsize=3,
            label=name,
        )
    models = {record.get("model"): record["accuracy_ideal"] for record in records}
    for model, ideal in models.items():
        name = f"{model}, exact" if len(models) > 1 else "exact"
        _draw_level(axes, ideal, name, "--")
    if linear is not None:
        _draw_level(axes, linear, "linear model", ":")


def _space_by_factors(axes: Axes, x: Sequence[Any]) -> None:
    """A logarithmic axis with a tick at each place."""
    axes.set_xscale("log")
    axes.set_xticks(sorted(set(x)), [f"{place:,g}" for place in sorted(set(x))])
    axes.xaxis.set_minor_locator(NullLocator())


def _draw_level(axes: Axes, accuracy: float, label: str, linestyle: str) -> None:
    look: dict[str, Any] = {"color": MUTED, "linewidth": 1, "linestyle": linestyle}
    axes.axhline(100 * accuracy, label=label, **look)


def _word(record: Record, field: str) -> str:
    value = record.get(field)
    if field == "shots":
        return "exact" if value is None else f"{value:,} shots"
    return f"no {field}" if value == "none" else str(value)


def _finished(figure: Figure) -> Figure:
    """Puts a legend beside the panels, each name once."""
    figure.axes[0].set_ylabel("test accuracy (%), with 95 % interval")
    found: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    look: dict[str, Any] = {"loc": "outside upper left", "ncols": 4}
    figure.legend(list(found.values()), list(found), **look)
    return lay_out(figure)
