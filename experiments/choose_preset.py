"""Which front end and which circuit make a good `hybrid-cnn`?

Question: which values of the preset give the best validation accuracy after ten epochs,
    mean of a few seeds? The test images are not looked at.

Command:  python experiments/choose_preset.py [--worker I --workers N]

Expected: 24 variants of 3 seeds; about 30 s each on an NVIDIA H100 (five workers at a
    time: ten minutes in all), some 12 minutes each on 2 cores. Values differ by 0.4
    points from seed to seed, so that differences of less say little.

Each variant's seeds train together. Results are written as they come, and variants that
the output file holds are not trained again.
"""

import dataclasses
import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import tyro
from flax import nnx

from qfm_jax import load_dataset
from qfm_jax.cli import in_sentences
from qfm_jax.data import Dataset
from qfm_jax.evaluation import percent
from qfm_jax.models import Classifier, ModelConfig
from qfm_jax.runs.results import Row, measure_missing
from qfm_jax.training import TrainConfig, fit_seeds

EXPERIMENT = "choose_preset"

START: dict[str, Any] = {
    "channels": (16, 32, 64),
    "hidden": (64,),
    "dropout": 0.3,
    "block": "circuit",
    "layers": "strongly-entangling",
}
"""The preset before the search."""

VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    *({"dropout": share} for share in (0.15, 0.0)),
    *({"learning_rate": rate} for rate in (2e-3, 6e-3)),
    *({"n_layers": count} for count in (3, 6)),
    *({"layers": name} for name in ("efficient-su2", "real-amplitudes")),
    *({"hidden": widths} for widths in ((96,), (), (64, 32))),
    {"hidden": (112,), "learning_rate": 3e-3},
    {"hidden": (96,), "dropout": 0.2, "learning_rate": 3e-3},
    {"channels": (16, 32, 48), "hidden": (96,)},
    {"dropout": 0.15, "n_layers": 4},
    {"dropout": 0.15, "learning_rate": 2e-3},
    {"clip_norm": 0.0},
    {"optimizer": "adamw", "weight_decay": 0.02},
    {"batch_size": 64, "learning_rate": 3e-3},
    {"block": "dense"},
    {"block": "dense", "dropout": 0.15},
    {"block": "dense", "hidden": (96,)},
    {"block": "dense", "learning_rate": 2e-3},
)
"""What differs from the start, in the network or in the training."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is searched."""

    seeds: int = 3
    """Seeds of each variant."""
    epochs: int = 10
    """Epochs of each training."""
    dataset: str = "fashion-mnist"
    """Data set."""
    train_size: int | None = None
    """Training images; all where left out."""
    variants: tuple[int, ...] = ()
    """Numbers of the variants, from 0; all where left out."""
    worker: int = 0
    """Which share of the variants this process trains, from 0."""
    workers: int = 1
    """Number of processes that share the variants; each writes a file of its own."""
    out: Path = Path(__file__).parent / "results" / "choose_preset.json"
    """JSON file to write."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    out = options.out
    if options.workers > 1:
        out = out.with_stem(f"{out.stem}_{options.worker}")
    numbers = options.variants or tuple(range(len(VARIANTS)))
    asked = {
        name: getattr(options, name)
        for name in ("dataset", "train_size", "seeds", "epochs")
    }
    cells = [
        {**asked, "change": VARIANTS[number]}
        for number in numbers[options.worker :: options.workers]
    ]
    measure_missing(out, EXPERIMENT, cells, train, show)
    print(f"Written: {out}")


def show(row: Row) -> None:
    best = ", ".join(f"{percent(value, 2)}%" for value in row["validation_accuracy"])
    print(f"{row['cell']['change'] or 'the start'}: {best}", flush=True)


@functools.cache
def split(dataset: str, train_size: int | None, seed: int) -> Dataset:
    return load_dataset(dataset, train_size=train_size, seed=seed)


def train(cell: Mapping[str, Any]) -> Row:
    """The best validation accuracy of each seed, and that of every epoch."""
    change = structured(cell["change"])
    data = [
        split(cell["dataset"], cell["train_size"], seed)
        for seed in range(cell["seeds"])
    ]
    names = {field.name for field in dataclasses.fields(ModelConfig)}
    network = ModelConfig(**START | {k: v for k, v in change.items() if k in names})
    rest = {k: v for k, v in change.items() if k not in names}
    histories = fit_seeds(
        [Classifier(network, rngs=nnx.Rngs(seed)) for seed in range(len(data))],
        [part.train for part in data],
        [part.validation for part in data],
        TrainConfig(epochs=cell["epochs"], **rest),
        [jax.random.key(seed) for seed in range(len(data))],
    )
    curves = [[record.validation_accuracy for record in h.epochs] for h in histories]
    return {"validation_accuracy": [max(curve) for curve in curves], "curves": curves}


def structured(change: Mapping[str, Any]) -> dict[str, Any]:
    """A change as it stands in `VARIANTS`: files have lists for tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in change.items()}


if __name__ == "__main__":
    sys.exit(in_sentences(main))
