"""What do scikit-learn's classifiers reach on the pixels, and on a circuit's features?

Question: a front end that was trained with a circuit hands the circuit a few features.
    How well do classical classifiers do on these very features, and on all pixels?

Command:  qfm train hybrid-cnn --dataset fashion-mnist --out runs/hybrid
          python experiments/classical_baselines.py --run runs/hybrid

Expected: with --preset smoke five minutes on 2 busy cores, nearly all of them for
    gradient boosting on 784 pixels; longer presets have not been timed. On the features
    a linear classifier comes within a point of the whole model.

Rows are written as they come; rows that the output file holds are not computed again.
The circuit is scored on the same test images. Nothing is tuned.
"""

import dataclasses
import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from qfm_jax._checks import check_one_of
from qfm_jax.audit.classifiers import (
    BASELINES,
    circuit_features,
    pixel_features,
    score_baseline,
)
from qfm_jax.cli import in_sentences
from qfm_jax.runs.directory import Run, read_run
from qfm_jax.runs.model import load_data, load_model
from qfm_jax.runs.results import Row, measure_missing

EXPERIMENT = "classical_baselines"
FEATURES = ("pixels", "the circuit's")

SIZES = {"smoke": 1_000, "laptop": 10_000, "full": None}
"""Training images of each preset."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is compared."""

    run: Path
    """Directory of a finished run of a model with a circuit."""
    preset: Literal["smoke", "laptop", "full"] = "laptop"
    """Training images: 1,000, 10,000 or all."""
    baselines: tuple[str, ...] = tuple(BASELINES)
    """Names of baselines."""
    seed: int = 0
    """Of what is random in a fit."""
    out: Path = Path(__file__).parent / "results" / "classical_baselines.json"
    """JSON file to write."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    run = read_run(options.run)
    for name in options.baselines:
        check_one_of("baselines", name, BASELINES)
    setting = {"preset": options.preset, "seed": options.seed, "run": about(run)}
    cells = [
        {**setting, "features": features, "baseline": name}
        for features in FEATURES
        for name in options.baselines
    ]

    @functools.cache
    def samples_of(features: str) -> tuple[Samples, Samples]:
        return samples(run, features, SIZES[options.preset])

    def measure(cell: Mapping[str, Any]) -> Row:
        train, test = samples_of(cell["features"])
        found = score_baseline(cell["baseline"], train, test, seed=cell["seed"])
        return dataclasses.asdict(found)

    rows = measure_missing(options.out, EXPERIMENT, cells, measure)
    width = max(Console().width, 110)
    Console(width=width).print(table_of(rows, run))
    print(f"Written: {options.out}")


def about(run: Run) -> dict[str, Any]:
    """What tells a run from others, as its file spells it."""
    result = run.result
    return {
        "model": result.model,
        "dataset": result.dataset,
        "seed": result.seed,
        "n_train": result.n_train,
        "accuracy": result.scores.accuracy,
        "accuracy_interval": list(result.scores.accuracy_interval),
    }


Samples = tuple[np.ndarray, np.ndarray]


def samples(run: Run, features: str, train_size: int | None) -> tuple[Samples, Samples]:
    """Training and test samples: all pixels, or what the run's circuit sees."""
    data, features_of = load_data(run), pixel_features
    if features != "pixels":
        features_of = functools.partial(circuit_features, load_model(run))
    few = slice(None, train_size)
    return (
        (features_of(data.train.pixels[few]), data.train.labels[few]),
        (features_of(data.test.pixels), data.test.labels),
    )


def table_of(rows: Sequence[Row], run: Run) -> Table:
    table = Table(title=f"{run.result.model} and classical classifiers")
    for column in ("features", "classifier"):
        table.add_column(column, no_wrap=True)
    for column in ("number", "test accuracy, %", "95 % interval", "fit, s"):
        table.add_column(column, justify="right")
    scores = run.result.scores
    low, high = scores.accuracy_interval
    both = f"{100 * scores.accuracy:.2f}", f"{100 * low:.2f} to {100 * high:.2f}"
    table.add_row("the circuit's", f"{run.result.model}, trained as a whole", "", *both)
    for row in rows:
        low, high = row["accuracy_interval"]
        table.add_row(
            row["cell"]["features"],
            row["baseline"],
            str(row["n_features"]),
            f"{100 * row['accuracy']:.2f}",
            f"{100 * low:.2f} to {100 * high:.2f}",
            f"{row['seconds_training']:.1f}",
        )
    return table


if __name__ == "__main__":
    sys.exit(in_sentences(main))
