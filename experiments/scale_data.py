"""How do quantum and classical models scale with the images?

Question: test accuracy against the resolution of the images, their number, the number
    of classes and the scale of the inputs, one at a time, of a circuit on all pixels
    (`amplitude`), of circuits on patches (`quanvolution`), and of their classical
    controls (`linear`: the pixels without the circuit; `patch-cnn`: a convolution
    for it).

Command:  python experiments/scale_data.py --preset laptop

Expected: about a minute for smoke, nearly all of it compiling; 35 minutes on one core
    for laptop (up to 10,000 images, 3 seeds). Full (up to 55,000, 5 seeds: hours on a
    GPU) has not been run. README.md says what came.

Every model gets the same seeds, images, number of steps and learning rates to choose
from. Rows are written as they come; rows that the output file holds are not computed
again. The figure lies beside the file.
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import paired_training
import tyro
from paired_training import train_paired
from rich.console import Console
from rich.table import Table
from scaling_figures import plot_sweeps, seed_interval

from qfm_jax import load_dataset
from qfm_jax.cli import in_sentences
from qfm_jax.evaluation import percent
from qfm_jax.models import ModelConfig
from qfm_jax.parallel import Scheduler
from qfm_jax.reporting.style import render
from qfm_jax.runs.presets import get_preset
from qfm_jax.runs.results import Row, measure_missing
from qfm_jax.training.progress import UnitProgress

EXPERIMENT = "scale_data"

AMPLITUDE = dataclasses.replace(get_preset("amplitude").network, head="dense")
"""With a trained read-out, as its control has."""
QUANVOLUTION = get_preset("quanvolution").network
MODELS: dict[str, ModelConfig] = {
    "amplitude": AMPLITUDE,
    "linear": dataclasses.replace(AMPLITUDE, block="removed"),
    "quanvolution": QUANVOLUTION,
    "patch-cnn": dataclasses.replace(QUANVOLUTION, block="dense"),
}

LABELS = {
    "resolution": "pixels on a side of an image",
    "train_size": "training images",
    "n_classes": "classes",
    "input_scale": "factor of the pixels",
}
"""What is changed, one at a time, with its axis in the figure."""


@dataclasses.dataclass(frozen=True)
class DataSweep:
    """The sizes of a preset: for each of `LABELS` the values, the usual one first."""

    resolution: tuple[int, ...]
    train_size: tuple[int, ...]
    n_classes: tuple[int, ...]
    input_scale: tuple[float, ...]
    n_layers: int
    """Layers of `amplitude`."""
    seeds: int
    n_steps: int
    rates: tuple[float, ...]
    validation_size: int
    test_size: int | None


PLANS = {
    "smoke": DataSweep((4,), (100,), (10,), (1.0,), 1, 2, 6, (0.01,), 50, 100),
    "laptop": DataSweep(
        resolution=(28, 4, 8, 16),
        train_size=(1_000, 100, 10_000),
        n_classes=(10, 2, 4),
        input_scale=(1.0, 0.25, 0.5, 2.0, 4.0),
        n_layers=2,
        seeds=3,
        n_steps=250,
        rates=(0.003, 0.01),
        validation_size=500,
        test_size=2_000,
    ),
    "full": DataSweep(
        resolution=(28, 4, 8, 16),
        train_size=(10_000, 100, 1_000, 55_000),
        n_classes=(10, 2, 4),
        input_scale=(1.0, 0.25, 0.5, 2.0, 4.0),
        n_layers=8,
        seeds=5,
        n_steps=4_000,
        rates=(0.001, 0.003, 0.01),
        validation_size=1_000,
        test_size=None,
    ),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What is trained."""

    preset: Literal["smoke", "laptop", "full"] = "laptop"
    """How much of it."""
    models: tuple[str, ...] = tuple(MODELS)
    """Names of the models."""
    dataset: str = "fashion-mnist"
    """Name of the data set."""
    out: Path = Path(__file__).parent / "results" / f"{EXPERIMENT}.json"
    """JSON file to write, the figure beside it."""
    scheduler: str | None = None
    """Where to train: `local`, or the address of a Dask scheduler."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    plan, console = PLANS[options.preset], Console()
    siblings, scheduler = (paired_training.__file__,), None
    if options.scheduler is not None:
        scheduler = Scheduler(options.scheduler, files=siblings)
    with UnitProgress() as progress:
        rows = measure_missing(
            options.out,
            EXPERIMENT,
            cells_of(plan, options),
            train_cell,
            show,
            scheduler=scheduler,
            show_units=progress,
        )
    console.print(table_of(rows))
    figure = plot_sweeps(rows, base_of(plan), LABELS)
    picture = options.out.with_name(f"{options.out.stem}_{options.preset}.png")
    picture.write_bytes(render(figure, "png"))
    print(f"Written: {options.out}, {picture}")


def show(row: Row) -> None:
    cell = row["cell"]
    said = ", ".join(f"{name} {cell[name]}" for name in LABELS)
    print(f"{cell['model']}: {said}", flush=True)


def base_of(plan: DataSweep) -> dict[str, Any]:
    """The usual value of each thing that is changed."""
    return {name: getattr(plan, name)[0] for name in LABELS}


def cells_of(plan: DataSweep, options: Options) -> list[dict[str, Any]]:
    """One cell a model for the usual values, and for each that differs in one."""
    base = base_of(plan)
    changes = [base] + [
        base | {name: value} for name in LABELS for value in getattr(plan, name)[1:]
    ]
    fixed = {
        field.name: getattr(plan, field.name)
        for field in dataclasses.fields(DataSweep)
        if field.name not in LABELS
    }
    return [
        {"model": model, "dataset": options.dataset, **change, **fixed}
        for change in changes
        for model in options.models
    ]


def train_cell(cell: Mapping[str, Any]) -> Row:
    """Trains the model of a cell over its seeds."""
    network = dataclasses.replace(
        MODELS[cell["model"]],
        resolution=cell["resolution"] % 28,  # 28: images as they are
        input_scale=cell["input_scale"],
    )
    if network.features == "pixels":
        network = dataclasses.replace(network, n_layers=cell["n_layers"])
    classes = tuple(map(str, range(cell["n_classes"])))
    data = [
        load_dataset(
            cell["dataset"],
            train_size=cell["train_size"],
            validation_size=cell["validation_size"],
            test_size=cell["test_size"],
            classes=() if len(classes) == 10 else classes,
            seed=seed,
        )
        for seed in range(cell["seeds"])
    ]
    return train_paired(network, data, n_steps=cell["n_steps"], rates=cell["rates"])


def table_of(rows: Sequence[Row]) -> Table:
    table = Table(title="Test accuracy, mean over seeds")
    for column in ("model", "side", "images", "classes", "scale", "rate"):
        table.add_column(column, justify="right")
    table.add_column("%, 95 %", justify="right")
    for row in rows:
        cell = row["cell"]
        low, high = seed_interval(row["accuracy"])
        table.add_row(
            cell["model"],
            str(cell["resolution"]),
            f"{cell['train_size']:,}",
            str(cell["n_classes"]),
            f"{cell['input_scale']:g}",
            f"{row['chosen_rate']:g}",
            f"{percent(float(np.mean(row['accuracy'])))} "
            f"({percent(low)} to {percent(high)})",
        )
    return table


if __name__ == "__main__":
    sys.exit(in_sentences(main))
