"""How much faster do ten seeds train together than one after another?

Question: seconds of an epoch of n seeds at once against n times that of one seed, with
    and without compiling. One seed alone has all cores; seeds that train together share
    them out, or are a `vmap` axis on a GPU, as in an audit.

Command:  python experiments/bench_seeds.py

Expected: about ten minutes on one core. README.md says what came.

Rows are written as they come; rows that the output file holds are not measured again.
"""

import dataclasses
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import tyro
from flax import nnx
from rich.console import Console
from rich.table import Table

from qfm_jax import load_dataset
from qfm_jax.cli import in_sentences
from qfm_jax.models import Classifier
from qfm_jax.parallel.mesh import cores_as_devices, make_mesh, make_seed_mesh
from qfm_jax.runs.presets import get_preset
from qfm_jax.runs.results import Row, measure_missing
from qfm_jax.training import fit_seeds

EXPERIMENT = "bench_seeds"


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured."""

    models: tuple[str, ...] = ("cnn", "hybrid-cnn", "compact-hybrid", "qcnn")
    """Models to train."""
    seeds: tuple[int, ...] = (1, 2, 10)
    """How many train together; 1 is what the others are compared with."""
    train_size: int = 2_000
    """Training images of each seed."""
    epochs: int = 3
    """Epochs; the median counts."""
    dataset: str = "fashion-mnist"
    """Data set."""
    out: Path = Path(__file__).parent / "results" / f"{EXPERIMENT}.json"
    """JSON file to write."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    cores_as_devices(None, max(options.seeds))
    mesh = make_seed_mesh(None, max(options.seeds))
    n_devices = mesh.size if mesh else 1
    cells = [
        {
            "model": model,
            "n_seeds": n_seeds,
            "devices": min(n_devices, n_seeds),
            "train_size": options.train_size,
            "epochs": options.epochs,
            "dataset": options.dataset,
        }
        for model in options.models
        for n_seeds in dict.fromkeys((1, *options.seeds))
    ]
    rows = measure_missing(options.out, EXPERIMENT, cells, train_cell, show)
    Console().print(table_of(rows))
    print(f"Written: {options.out}")


def show(row: Row) -> None:
    cell = row["cell"]
    print(f"{cell['model']}, {cell['n_seeds']}: {row['seconds_per_epoch']:.2f} s")


def train_cell(cell: Mapping[str, Any]) -> Row:
    """Times the seeds of a cell, trained together."""
    preset, seeds = get_preset(cell["model"]), range(cell["n_seeds"])
    data = load_dataset(cell["dataset"], train_size=cell["train_size"])
    models = [
        Classifier(preset.network, n_classes=data.n_classes, rngs=nnx.Rngs(seed))
        for seed in seeds
    ]
    training = dataclasses.replace(preset.training, epochs=cell["epochs"], min_steps=0)
    histories = fit_seeds(
        models,
        [data.train for _ in seeds],
        [data.validation for _ in seeds],
        training,
        [jax.random.key(seed) for seed in seeds],
        mesh=make_mesh(cell["devices"]),
    )
    epochs = zip(*(history.epochs for history in histories), strict=True)
    return {  # a record says the seed's share
        "seconds_per_epoch": statistics.median(
            sum(record.seconds for record in of_seeds) for of_seeds in epochs
        ),
        "seconds_compiling": sum(history.seconds_compiling for history in histories),
    }


def table_of(rows: Sequence[Row]) -> Table:
    table = Table(title="Seeds trained together, all figures of one run")
    for column in (
        "model",
        "seeds",
        "s an epoch",
        "one by one / together",
        "compiling, s",
    ):
        table.add_column(column, justify="right")
    alone = {
        row["cell"]["model"]: row["seconds_per_epoch"]
        for row in rows
        if row["cell"]["n_seeds"] == 1
    }
    for row in rows:
        model, n_seeds = row["cell"]["model"], row["cell"]["n_seeds"]
        ratio = n_seeds * alone[model] / row["seconds_per_epoch"]
        table.add_row(
            model,
            str(n_seeds),
            f"{row['seconds_per_epoch']:.2f}",
            f"{ratio:.2f}",
            f"{row['seconds_compiling']:.1f}",
        )
    return table


if __name__ == "__main__":
    sys.exit(in_sentences(main))
