"""How long does an epoch take, and what does it reach?

Question: what does the circuit of `hybrid-cnn` cost beside its classical control `cnn`,
    an epoch of all 60,000 images, and do both reach 91 % on the 10,000 test images
    within ten epochs, under 100,000 parameters and 2 GiB of memory?

Command:  python experiments/bench_training.py

Expected: four minutes on 2 cores; 8 to 10 s an epoch for both. Each model trains in a
    process of its own, one after the other, so that neither's memory counts for the
    other.
"""

import dataclasses
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table

from qfm_jax.cli import in_sentences
from qfm_jax.evaluation import percent
from qfm_jax.files import write_json
from qfm_jax.runs.directory import Run, read_run


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured."""

    models: tuple[str, ...] = ("cnn", "hybrid-cnn")
    """Models to train; the first one is what the others are divided by."""
    dataset: str = "fashion-mnist"
    """Data set."""
    train_size: int | None = None
    """Training images; all where left out."""
    epochs: int = 10
    """Epochs of each model."""
    device: str | None = None
    """PennyLane device of the circuit; the default one where left out."""
    out: Path = Path(__file__).parent / "results" / "bench_training.json"
    """JSON file to write."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    start_up = {
        "import qfm_jax": seconds_of([sys.executable, "-c", "import qfm_jax"]),
        "import of everything": seconds_of([sys.executable, "-c", IMPORT_ALL]),
        "qfm --help": seconds_of([*QFM, "--help"]),
    }
    with tempfile.TemporaryDirectory() as folder:
        runs = [train(name, Path(folder) / name, options) for name in options.models]
        rows = [row_of(run, runs[0]) for run in runs]
        versions = runs[0].result.versions
    console = Console()
    console.print(table_of(rows))
    for name, seconds in start_up.items():
        console.print(f"{name}: {seconds:.2f} s")
    result = {"start_up_seconds": start_up, "models": rows}
    result |= {"versions": versions}
    write_json(options.out, result)
    console.print(f"Written: {options.out}")


QFM = (sys.executable, "-c", "import sys; from qfm_jax.cli import main; main()")
IMPORT_ALL = "from qfm_jax import QuantumLayer, fit, load_dataset, write_report"


def seconds_of(command: Sequence[str]) -> float:
    """Median wall time of five runs, after one to warm the file cache."""
    times = []
    for _ in range(6):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def train(model: str, directory: Path, options: Options) -> Run:
    command = [*QFM, "train", model, "--dataset", options.dataset]
    command += ["--epochs", str(options.epochs), "--out", str(directory)]
    if options.train_size:
        command += ["--train-size", str(options.train_size)]
    if options.device:
        command += ["--device", options.device]
    subprocess.run(command, check=True)
    return read_run(directory)


def row_of(run: Run, reference: Run) -> dict[str, Any]:
    return {
        "model": run.result.model,
        "device": run.result.device,
        "n_train": run.result.n_train,
        "epochs": len(run.history.epochs),
        "accuracy": run.result.scores.accuracy,
        "accuracy_interval": run.result.scores.accuracy_interval,
        "n_parameters": run.result.n_parameters,
        "seconds_per_epoch": seconds_per_epoch(run),
        "seconds_per_epoch_60000": scaled(run),
        "ratio": seconds_per_epoch(run) / seconds_per_epoch(reference),
        "seconds_compiling": run.result.seconds_compiling,
        "seconds_inference": run.result.seconds_inference,
        "peak_memory_gib": run.result.peak_memory_bytes / 2**30,
    }


def seconds_per_epoch(run: Run) -> float:
    """Median over the epochs: the machine is shared, and single epochs stray."""
    return statistics.median(record.seconds for record in run.history.epochs)


def scaled(run: Run) -> float:
    """The time of 60,000 images, since 5,000 of them validate."""
    return seconds_per_epoch(run) * 60_000 / run.result.n_train


def table_of(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="Training, all figures of one run")
    table.add_column("model", no_wrap=True)
    for column in (
        "test accuracy, %",
        "parameters",
        "s an\nepoch",
        "s for\n60,000",
        "ratio",
        "compiling\ns",
        "peak\nGiB",
    ):
        table.add_column(column, justify="right")
    for row in rows:
        low, high = row["accuracy_interval"]
        table.add_row(
            row["model"],
            f"{percent(row['accuracy'], 2)}\n{percent(low, 2)} to {percent(high, 2)}",
            f"{row['n_parameters']:,}",
            f"{row['seconds_per_epoch']:.1f}",
            f"{row['seconds_per_epoch_60000']:.1f}",
            f"{row['ratio']:.2f}",
            f"{row['seconds_compiling']:.1f}",
            f"{row['peak_memory_gib']:.2f}",
        )
    return table


if __name__ == "__main__":
    sys.exit(in_sentences(main))
