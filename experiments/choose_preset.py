"""Which front end and which circuit make a good `hybrid-cnn`?

Question: which values of the preset give the best validation accuracy after ten epochs,
    mean of a few seeds? The test images are not looked at.

Command:  python experiments/choose_preset.py [--worker I --workers N]

Expected: 24 variants of 3 seeds; about 30 s each on an NVIDIA H100 (five workers at a
    time: ten minutes in all), some 12 minutes each on 2 cores. Values differ by 0.3
    points from seed to seed, so that differences of less say little.

Each variant's seeds train together. Results are written as they come, and variants that
the output file holds are not trained again.
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import tyro
from flax import nnx
from rich.console import Console

from qfm_jax import load_dataset
from qfm_jax.cli import in_sentences
from qfm_jax.data import Dataset
from qfm_jax.models import Classifier, ModelConfig
from qfm_jax.runs import machine_versions, write_json
from qfm_jax.training import TrainConfig, fit_seeds

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
    rows = json.loads(out.read_text())["rows"] if out.exists() else []
    numbers = options.variants or tuple(range(len(VARIANTS)))
    data = [
        load_dataset(options.dataset, train_size=options.train_size, seed=seed)
        for seed in range(options.seeds)
    ]
    console = Console()
    for number in numbers[options.worker :: options.workers]:
        change = json.loads(json.dumps(VARIANTS[number]))  # as the file spells it
        if any(row["change"] == change for row in rows):
            continue
        row = {"change": change, **train(VARIANTS[number], data, options)}
        rows.append(row)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_json(out, {"rows": rows, "versions": machine_versions()})
        best = ", ".join(f"{value:.2%}" for value in row["validation_accuracy"])
        console.print(f"{change or 'the start'}: {best}", highlight=False)
    console.print(f"Written: {out}")


def train(
    change: dict[str, Any], data: Sequence[Dataset], options: Options
) -> dict[str, Any]:
    """The best validation accuracy of each seed, and that of every epoch."""
    names = {field.name for field in dataclasses.fields(ModelConfig)}
    network = ModelConfig(**START | {k: v for k, v in change.items() if k in names})
    rest = {k: v for k, v in change.items() if k not in names}
    histories = fit_seeds(
        [Classifier(network, rngs=nnx.Rngs(seed)) for seed in range(len(data))],
        [part.train for part in data],
        [part.validation for part in data],
        TrainConfig(epochs=options.epochs, **rest),
        [jax.random.key(seed) for seed in range(len(data))],
    )
    curves = [[record.validation_accuracy for record in h.epochs] for h in histories]
    return {"validation_accuracy": [max(curve) for curve in curves], "curves": curves}


if __name__ == "__main__":
    sys.exit(in_sentences(main))
