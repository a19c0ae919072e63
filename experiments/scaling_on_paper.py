"""What would larger data, circuits and clusters take? A calculation, no measurement.

Question: seconds, memory, traffic and dollars for 60,000 to 10 million images, 8 to 34
    qubits, 1 to 1,024 GPUs, from what one GPU was measured to take.

Command:  python experiments/scaling_on_paper.py --write

Expected: some seconds; the tables of docs/scaling.md. A test compares the two.
"""

import dataclasses
import json
import math
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from growth import Growth, fit_growth

from qfm_jax.cli import in_sentences

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"
MARKS = "<!-- scaling_on_paper.py writes from here -->", "<!-- to here -->"

IMAGES = (60_000, 1_000_000, 10_000_000)
QUBITS = (8, 12, 16, 20, 24, 28, 30, 32, 34)
GPUS = (1, 8, 64, 1024)
LAYERS, EPOCHS, BATCH = 4, 10, 4096

# Assumptions; docs/scaling.md names the sources.
MEMORY = 0.75 * 80e9
"""Bytes of a GPU that JAX takes, unless it is told otherwise."""
IN_NODE, NODE = 450e9, 8
"""Bytes a second that a GPU sends to others in its node, and how many there are."""
BETWEEN = 50e9
"""Bytes a second that a GPU sends to other nodes."""
LATENCY = 20e-6
"""Seconds of a hop of a sum over all GPUs."""
WAITING = 0.27e-3
"""Seconds of a step in which a GPU waits for its next kernels."""
PARAMETERS = 60_882
"""Of hybrid-cnn, whose gradient all GPUs add up."""
PRICE = 39.33 / 8
"""Dollars for a GPU and hour."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is done with the tables."""

    write: bool = False
    """Whether they replace those of docs/scaling.md."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    tables = "\n\n".join(["\n".join(lines) for lines in all_tables()])
    if not options.write:
        print(tables)
        return
    start, end = MARKS
    between = re.compile(f"{re.escape(start)}.*{re.escape(end)}", re.DOTALL)
    text = PAGE.read_text(encoding="utf-8")
    text = between.sub(lambda _: f"{start}\n\n{tables}\n\n{end}", text)
    PAGE.write_text(text, encoding="utf-8")


def all_tables() -> Iterator[list[str]]:
    gpu, cpu = rows_of("bench_simulator_gpu"), rows_of("bench_simulator")
    yield measured_table(gpu)
    yield [
        f"- a sample and layer on the GPU: {fit(gpu).formula('s')}, off by at most "
        f"{fit(gpu).largest_misfit:.0%} of a measured value;",
        f"- on 2 CPU cores: {fit(cpu).formula('s')}, off by at most "
        f"{fit(cpu).largest_misfit:.0%};",
        f"- the gradient of a sample on the GPU: {states_held(gpu):.1f} * 8 bytes * "
        "2^n at 24 qubits.",
    ]
    costs = [state_cost(n, gpu) for n in QUBITS]
    yield state_table(costs)
    for n_images in IMAGES:
        yield [f"{EPOCHS} epochs of {n_images:,} images, time and dollars:"]
        yield time_table(costs, n_images)


# -- what was measured -----------------------------------------------------------------


def rows_of(name: str) -> dict[tuple[int, int, int], dict[str, Any]]:
    """Our simulator's rows by qubits, layers and batch; of several turns the median."""
    found: dict[tuple[int, int, int], list[dict[str, Any]]] = {}
    for row in json.loads((RESULTS / f"{name}.json").read_text())["rows"]:
        n, layers, batch = map(int, row["case"].split(","))
        if (row["peer"], row["variant"]) == ("qfm.statevector", "adjoint"):
            found.setdefault((n, layers, batch), []).append(row)
    return {
        case: turns[0] | {"step_s": float(np.median([row["step_s"] for row in turns]))}
        for case, turns in found.items()
        if case[1] <= LAYERS
    }


def fit(rows: dict[tuple[int, int, int], dict[str, Any]]) -> Growth:
    """Seconds of a sample and layer."""
    numbers = [n for n, _, _ in rows]
    seconds = [row["step_s"] / (ls * batch) for (_, ls, batch), row in rows.items()]
    return fit_growth(numbers, seconds, power=1)


def states_held(rows: dict[tuple[int, int, int], dict[str, Any]]) -> float:
    """States that the gradient of one sample holds at once."""
    (n, _, batch), row = max(rows.items())
    return row["device_peak_mib"] * 2**20 / (batch * 8 * 2**n)


def measured_table(rows: dict[tuple[int, int, int], dict[str, Any]]) -> list[str]:
    growth = fit(rows)
    lines = table("qubits, layers, batch", "a step, measured", "by the fit")
    for (n, layers, batch), row in sorted(rows.items()):
        fitted = layers * batch * growth(n)
        lines += line(f"{n}, {layers}, {batch:,}", time(row["step_s"]), time(fitted))
    return lines


# -- one sample ------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class StateCost:
    """Value and gradient of one sample, on as few GPUs as hold it."""

    n_qubits: int
    memory: float
    """Bytes, of all GPUs together."""
    n_gpus: int
    working: float
    """Seconds of passes over the state."""
    sent: float
    """Bytes that each GPU sends to others."""

    @property
    def exchanging(self) -> float:
        """Seconds in which qubits change places."""
        outside = max(self.n_gpus - NODE, 0) / max(self.n_gpus - 1, 1)
        return self.sent * ((1 - outside) / IN_NODE + outside / BETWEEN)


def state_cost(n: int, rows: dict[tuple[int, int, int], dict[str, Any]]) -> StateCost:
    memory = states_held(rows) * 8 * 2.0**n
    n_gpus = 2 ** max(math.ceil(math.log2(memory / MEMORY)), 0)
    # The state forwards, once more as the steps are undone, and its cotangent.
    sent = 3 * LAYERS * (1 - 1 / n_gpus) * 8 * 2.0**n / n_gpus
    return StateCost(n, memory, n_gpus, LAYERS * fit(rows)(n) / n_gpus, sent)


def state_table(costs: Sequence[StateCost]) -> list[str]:
    lines = table(
        *("qubits", "a state", "its gradient", "GPUs that hold it"),
        *("a sample: working", "exchanging", "each GPU sends"),
    )
    for cost in costs:
        lines += line(
            *(cost.n_qubits, size(8 * 2.0**cost.n_qubits), size(cost.memory)),
            *(cost.n_gpus, time(cost.working), time(cost.exchanging)),
            size(cost.sent),
        )
    return lines


# -- training --------------------------------------------------------------------------


def training(cost: StateCost, n_images: int, n_gpus: int) -> float | None:
    """Seconds of all epochs; None where the GPUs do not hold a state."""
    groups = n_gpus // cost.n_gpus
    if groups == 0:
        return None
    summing = 0.0
    if n_gpus > 1:
        speed = IN_NODE if n_gpus <= NODE else BETWEEN
        summing = 2 * 4 * PARAMETERS / speed + LATENCY * math.log2(n_gpus)
    steps = EPOCHS * math.ceil(n_images / BATCH)
    each = math.ceil(BATCH / groups) * (cost.working + cost.exchanging)
    return steps * (WAITING + summing + each)


def time_table(costs: Sequence[StateCost], n_images: int) -> list[str]:
    lines = table("qubits", *(f"{n:,} GPU{'s' * (n > 1)}" for n in GPUS))
    for cost in costs:
        cells = []
        for n_gpus in GPUS:
            seconds = training(cost, n_images, n_gpus)
            if seconds is None:
                cells.append("does not fit")
                continue
            dollars = n_gpus * seconds / 3600 * PRICE
            cells.append(f"{time(seconds)}, ${rounded(dollars)}")
        lines += line(cost.n_qubits, *cells)
    return lines


# -- how it looks ----------------------------------------------------------------------


def table(*names: str) -> list[str]:
    return [*line(*names), "|" + "---|" * len(names)]


def line(*cells: Any) -> list[str]:
    return [f"| {' | '.join(map(str, cells))} |"]


UNITS = (
    *((365.25 * 86400, "years"), (86400, "d"), (3600, "h"), (60, "min")),
    *((1, "s"), (1e-3, "ms")),
)


def time(seconds: float) -> str:
    """Two digits: '0', '0.27 µs', '3.5 h'."""
    if seconds == 0:
        return "0"
    unit, name = next((u for u in UNITS if seconds >= u[0]), (1e-6, "µs"))
    return f"{rounded(seconds / unit)} {name}"


def size(count: float) -> str:
    if count == 0:
        return "0"
    power = min(int(math.log2(count)) // 10, 4)
    name = ("bytes", "KiB", "MiB", "GiB", "TiB")[power]
    return f"{count / 1024**power:.3g} {name}"


def rounded(number: float) -> str:
    """Two digits, without a power of ten."""
    digits = 1 - math.floor(math.log10(number))
    return f"{round(number, digits):,.{max(digits, 0)}f}"


if __name__ == "__main__":
    sys.exit(in_sentences(main))
