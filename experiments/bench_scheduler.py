"""What does a Dask scheduler cost an audit of a hundred units?

Question: seconds that a hundred units take on a scheduler with one worker, against the
    same units in this process. A unit keeps a core busy for a set time, so that all
    else is what the scheduler adds. `connected` counts from a scheduler whose worker
    is there; `local` also starts one, which imports JAX and this package.

Command:  python experiments/bench_scheduler.py

Expected: about four minutes on an idle machine; at most 2 s and 5 % once connected.
"""

import contextlib
import dataclasses
import hashlib
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table

from qfm_jax.cli import in_sentences
from qfm_jax.parallel import Scheduler, connect, run_units
from qfm_jax.runs.results import Row, measure_missing

NAME = "bench_scheduler"
WHERE = ("here", "connected", "local")
BLOCK = bytes(2**20)


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured."""

    units: int = 100
    """Units of work."""
    seconds: float = 0.5
    """CPU seconds of a unit."""
    out: Path = Path(__file__).parent / "results" / f"{NAME}.json"
    """JSON file to write."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    cells = [
        {"where": where, "units": options.units, "seconds": options.seconds}
        for where in WHERE
    ]
    rows = measure_missing(options.out, NAME, cells, measure)
    Console().print(table_of(rows))
    print(f"Written: {options.out}")


def measure(cell: Mapping[str, Any]) -> Row:
    """The seconds from the first unit's start to the last one's result."""
    units = {f"unit {i}": cell["seconds"] for i in range(cell["units"])}
    scheduler = Scheduler(n_workers=1)
    if cell["where"] == "here":
        start = time.perf_counter()
        for seconds in units.values():
            work(seconds)
        return {"seconds_in_all": time.perf_counter() - start}
    with contextlib.ExitStack() as stack:
        start = time.perf_counter()
        connection = stack.enter_context(connect(scheduler))
        assert connection is not None
        if cell["where"] == "connected":
            start = time.perf_counter()
        n_done = sum(1 for _ in run_units(units, work, connection))
        assert n_done == len(units)
        if cell["where"] == "connected":
            return {"seconds_in_all": time.perf_counter() - start}
    return {"seconds_in_all": time.perf_counter() - start}  # with the end of the worker


def work(seconds: float) -> None:
    """Keeps a core busy outside of Python's lock, as a training in XLA does."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        hashlib.sha256(BLOCK)


def table_of(rows: Sequence[Row]) -> Table:
    table = Table(title="The same units in this process, and on one worker")
    for column in ("where", "s", "more than here, s", "more, %"):
        table.add_column(column, justify="right")
    here = rows[0]["seconds_in_all"]
    for row in rows:
        more = row["seconds_in_all"] - here
        table.add_row(
            row["cell"]["where"],
            f"{row['seconds_in_all']:.1f}",
            f"{more:.1f}",
            f"{100 * more / here:.1f}",
        )
    return table


if __name__ == "__main__":
    sys.exit(in_sentences(main))
