"""Rows of the scaling studies -> their figures, with what is seen in sentences."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from ..growth import Growth, doubling
from .scaling_figures import (
    Record,
    plot_random_circuits,
    plot_step_growth,
    plot_sweeps,
    seed_interval,
    sweep,
)


@dataclass(frozen=True)
class Scaling:
    """A figure, what it shows, and what the numbers say."""

    heading: str
    """What is changed, in words."""
    figure: Figure
    """The figure."""
    caption: str
    """What its marks are."""
    sentences: tuple[str, ...]
    """What is seen, with its numbers; the first one says it in short."""


def scaled_steps(
    records: Sequence[Record], time: Growth, memory: Growth, *, until: int = 30
) -> Scaling:
    """What a step costs by qubits and layers.

    Args:
        records: As for `plot_step_growth`, with two numbers of qubits at least.
        time: Seconds of a step of one sample, against qubits.
        memory: Bytes of a step of one sample, against qubits.
        until: Qubits that the fits are carried on to.
    """
    single = sorted(
        (r for r in records if r["cell"]["batch"] == 1),
        key=lambda record: record["cell"]["n_qubits"],
    )
    numbers = [record["cell"]["n_qubits"] for record in single]
    medians = [statistics.median(record["times_s"]) for record in single]
    depth, most = single[0]["cell"]["n_layers"], numbers[-1]
    sentences = [
        f"Value and gradient of one sample ({depth} layers) take {_time(medians[0])} "
        f"on {numbers[0]} qubits and {_time(medians[-1])} on {most}, "
        f"{doubling(numbers, medians):.1f} times as long for each of the last qubits.",
        f"A step of one sample holds {_memory(single[0]['memory_bytes'])} on "
        f"{numbers[0]} qubits and {_memory(single[-1]['memory_bytes'])} on {most}.",
    ]
    if until > most:
        sentences.append(
            f"On paper {until} qubits would take {_time(time(until))} and "
            f"{_memory(memory(until))}: the fits carried on, no measurement. Of the "
            f"times measured the fit is off by up to {100 * time.largest_misfit:.0f} %."
        )
    return Scaling(
        "What a step costs",
        plot_step_growth(records, time, memory, until=until),
        "Value and gradient of the mean square of all expectations. Bars span the "
        "quartiles of the repeated steps; dashed is the fit c + a n 2^n (seconds) or "
        "c + a 2^n (bytes) of one sample, a calculation beyond the last point.",
        tuple(sentences),
    )


def scaled_random(records: Sequence[Record]) -> Scaling:
    """What circuits with random weights are like, by qubits and layers.

    Args:
        records: As for `plot_random_circuits`.
    """
    sentences = []
    for depth in sorted({r["cell"]["n_layers"] for r in records}, reverse=True):
        rows = sweep(records, "n_qubits", {"n_layers": depth})
        if len(rows) > 1:
            sentences.append(_slopes(depth, rows))
    return Scaling(
        "Circuits with random weights",
        plot_random_circuits(records),
        "Above against qubits, below against layers: the variance of a slope for an "
        "observable on one qubit (local) and on all (global), the divergence from "
        "Haar-random states (small: expressive; dotted: what as many of those give), "
        "and the Meyer-Wallach measure of entanglement. Bars are 95 % intervals.",
        tuple(sentences),
    )


def scaled_accuracy(
    records: Sequence[Record],
    base: Mapping[str, float],
    labels: Mapping[str, str],
    twins: Mapping[str, str],
    heading: str,
) -> Scaling:
    """What models reach when one thing is changed at a time.

    Args:
        records: As for `plot_sweeps`.
        base: The usual value of each thing that is changed.
        labels: What is changed, in words.
        twins: Models, and for each the one that it is compared with.
        heading: What is changed, in few words.
    """
    pairs = " ".join(_compare(records, *pair) for pair in twins.items())
    ends = [
        f"Against {label}: {found}."
        for name, label in labels.items()
        if (found := _ends(records, name, base))
    ]
    return Scaling(
        heading,
        plot_sweeps(records, base, labels),
        "Test accuracy; points are seeds, lines their means, bars 95 % intervals of "
        "the means (Student's t). One thing is changed at a time.",
        (f"{heading}: {pairs[0].lower()}{pairs[1:]}", *ends),
    )


def _slopes(depth: int, rows: Sequence[Record]) -> str:
    first, last = rows[0], rows[-1]
    few, many = first["cell"]["n_qubits"], last["cell"]["n_qubits"]
    falls = []
    for name, (before, _) in first["gradient_variance"].items():
        after = last["gradient_variance"][name][0]
        fall = (before / after) ** (1 / (many - few))
        falls.append(f"{fall:.2f} for a {name} observable")
    return (
        f"With {depth} layer{'s' if depth > 1 else ''}, from {few} to {many} qubits, "
        "each qubit divides the variance of a slope with random weights by "
        f"{' and by '.join(falls)}; by 2 would be a barren plateau, 2^-n."
    )


def _compare(records: Sequence[Record], model: str, twin: str) -> str:
    """In how many settings a model is above its twin, and is told apart from it."""
    found: dict[str, dict[str, Sequence[float]]] = {}
    for record in records:
        rest = {k: v for k, v in record["cell"].items() if k != "model"}
        setting = found.setdefault(repr(sorted(rest.items())), {})
        setting[record["cell"]["model"]] = record["accuracy"]
    both = [(s[model], s[twin]) for s in found.values() if {model, twin} <= s.keys()]
    n_above = sum(statistics.mean(a) > statistics.mean(b) for a, b in both)
    n_better = sum(seed_interval(a)[0] > seed_interval(b)[1] for a, b in both)
    n_worse = sum(seed_interval(a)[1] < seed_interval(b)[0] for a, b in both)
    apart = f"are apart in {n_better + n_worse}, with it above in {n_better}"
    return (
        f"The mean of “{model}” is higher than that of “{twin}” in {n_above} of "
        f"{len(both)} settings; their 95 % intervals "
        f"{apart if n_better + n_worse else 'overlap in all'}."
    )


def _ends(records: Sequence[Record], name: str, base: Mapping[str, float]) -> str:
    """Each model's mean at the smallest and at the largest value."""
    found = []
    for model in dict.fromkeys(record["cell"]["model"] for record in records):
        own = [record for record in records if record["cell"]["model"] == model]
        rows = sweep(own, name, base)
        if len({row["cell"][name] for row in rows}) > 1:
            low, high = (row["cell"][name] for row in (rows[0], rows[-1]))
            before, after = (
                100 * statistics.mean(row["accuracy"]) for row in (rows[0], rows[-1])
            )
            found.append(
                f"{model} {before:.1f} % at {low:,g} and {after:.1f} % at {high:,g}"
            )
    return "; ".join(found)


def _time(seconds: float) -> str:
    """A time as a person says it.

    Example:
        >>> _time(0.0004), _time(2.5), _time(1440)
        ('0.4 ms', '2.5 s', '24 minutes')
    """
    if seconds < 1:
        return f"{1e3 * seconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 120 else f"{seconds / 60:,.0f} minutes"


def _memory(size: float) -> str:
    """A size as a person says it.

    Example:
        >>> _memory(4096), _memory(3 * 2**20), _memory(2**40)
        ('4 KiB', '3 MiB', '1,024 GiB')
    """
    if size < 2**20:
        return f"{size / 2**10:.3g} KiB"
    gibibytes = size / 2**30
    if gibibytes < 1:
        return f"{size / 2**20:.3g} MiB"
    return f"{gibibytes:,.0f} GiB" if gibibytes >= 100 else f"{gibibytes:.3g} GiB"
