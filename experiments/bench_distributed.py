"""Do two processes on two cores train faster than one process on one core?

Question: how many images per second do N processes with a compute thread each train,
    joined on loopback (gloo), and how far is that from N times what one of them does?

Command:  python experiments/bench_distributed.py

Expected: about 6 minutes on 2 idle cores; with batches of 1,024 images at least 1.5
    times the images per second with two processes. A step's collectives take tens of
    milliseconds whatever the batch, as gloo moves each array on its own: small batches
    are better off in one process.

The median leaves the first epoch out: its collectives connect. Losses are in the file;
they agree to rounding in the first steps (tests/parallel/test_processes.py), which
training then magnifies as it would any other rounding.
"""

import dataclasses
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table

from qfm_jax._checks import input_error
from qfm_jax.cli import in_sentences
from qfm_jax.runs.results import Row, measure_missing
from qfm_jax.training.history import read_records

NAME = "bench_distributed"


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured."""

    processes: tuple[int, ...] = (1, 2)
    """Numbers of processes; the first one is what the others are divided by."""
    model: str = "hybrid-cnn"
    """Model to train."""
    dataset: str = "fashion-mnist"
    """Data set."""
    train_size: int | None = 20_000
    """Training images."""
    epochs: int = 3
    """Epochs of each training, at least 2."""
    batch_sizes: tuple[int, ...] = (128, 1024)
    """Images a step, of all processes together."""
    out: Path = Path(__file__).parent / "results" / f"{NAME}.json"
    """JSON file to write."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    cores = sorted(os.sched_getaffinity(0))
    if max(options.processes) > len(cores):
        must = f"be at most {len(cores)}, a core for each process"
        raise input_error("processes", must, f"is {max(options.processes)}")
    if options.epochs < 2:
        raise input_error("epochs", "be at least 2", f"is {options.epochs}")
    asked = dataclasses.asdict(options)
    del asked["out"], asked["batch_sizes"]
    cells = [
        {**asked, "batch_size": size, "processes": n}
        for size in options.batch_sizes
        for n in options.processes
    ]
    rows = measure_missing(options.out, NAME, cells, measure)
    Console().print(table_of(rows))
    print(f"Written: {options.out}")


def measure(cell: Mapping[str, Any]) -> Row:
    """Trains with as many processes; the losses, and the images per second."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        commands = [
            [*command_of(cell), "--out", str(out), *place]
            for place in places_of(cell["processes"])
        ]
        # A thread to compute each, on any core: gloo's own threads wait for the core
        # of a process that is pinned to one.
        environment = {**os.environ, "PJRT_NPROC": "1"}
        started = [subprocess.Popen(command, env=environment) for command in commands]
        statuses = [process.wait() for process in started]
        if any(statuses):
            raise RuntimeError(f"The processes ended with {statuses}.")
        records = read_records(out / "metrics.jsonl")
    return {
        "images_per_second": [record.images_per_second for record in records],
        "median": statistics.median(r.images_per_second for r in records[1:]),
        "train_loss": [record.train_loss for record in records],
        "validation_loss": [record.validation_loss for record in records],
    }


def command_of(cell: Mapping[str, Any]) -> list[str]:
    """The command of a process, without its place among the others."""
    qfm = "import sys; from qfm_jax.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", qfm, "train", cell["model"]]
    for name in ("dataset", "train_size", "epochs", "batch_size"):
        if cell[name] is not None:
            command += [f"--{name.replace('_', '-')}", str(cell[name])]
    return command


def places_of(n_processes: int) -> list[list[str]]:
    """The options that join the processes; none for a single one."""
    if n_processes == 1:
        return [[]]
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port = found.getsockname()[1]
    joined = ["--coordinator", f"localhost:{port}", "--processes", str(n_processes)]
    return [[*joined, "--process-id", str(i)] for i in range(n_processes)]


def table_of(rows: Sequence[Row]) -> Table:
    """A line for each number of processes, and its ratio to the first of its batch."""
    table = Table("Batch", "Processes", "Images/s", "Ratio")
    first: dict[int, float] = {}
    for row in rows:
        size = row["cell"]["batch_size"]
        ratio = row["median"] / first.setdefault(size, row["median"])
        numbers = (str(size), str(row["cell"]["processes"]))
        table.add_row(*numbers, f"{row['median']:,.0f}", f"{ratio:.2f}")
    return table


if __name__ == "__main__":
    sys.exit(in_sentences(main))
