"""Which of the models with a name classifies best, and for what?

Question: every model of `qfm models`, and scikit-learn's classifiers on the pixels, on
    one protocol: the same images and split, the same number of images seen in training,
    the best epoch chosen on the same validation images, all test images scored then.
    Learning rate, dropout and augmentation are those of each model's preset.

Command:  python experiments/compare_models.py --preset laptop
          the same again goes on where it was stopped, by epochs

Expected: about a minute for smoke (four models on the digits); 20 minutes on one core
    for laptop (10,000 images, 6 epochs), two hours for full (55,000 images, 10 epochs),
    25 minutes of them for strong-cnn; less on a GPU, but for scikit-learn. It prints
    what is left. README.md says what came.

Each model trains in a process of its own, one after the other, so that neither memory
nor time of one counts for another; what fails is named, and the others go on. Its run
directory stays under --runs, its row in the file; neither is made again. `zoo.py` asks
something else: how far a model gets with as many epochs as it takes. Its rows were
trained longer, and never stand in this table.
"""

import dataclasses
import functools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import cattrs
import tyro
from rich.console import Console
from rich.table import Table

from qfm_jax import load_dataset
from qfm_jax._checks import check_one_of, input_error
from qfm_jax.audit.classifiers import BASELINES, pixel_features, score_baseline
from qfm_jax.cli import in_sentences
from qfm_jax.evaluation import percent
from qfm_jax.models import ModelConfig, circuits_per_image
from qfm_jax.models.block import CIRCUIT_BLOCKS
from qfm_jax.runs.config import DataConfig, RunConfig, converter
from qfm_jax.runs.directory import Run, read_config, read_run, write_config
from qfm_jax.runs.execute import check_same, peak_memory, reset_peak_memory
from qfm_jax.runs.presets import MODELS, get_preset
from qfm_jax.runs.results import Row, measure_missing, read_rows
from qfm_jax.runs.versions import machine_versions
from qfm_jax.training import TrainConfig

COMPARISON = "compare_models"
RESULTS = Path(__file__).parent / "results"
EVERY = (*MODELS, *BASELINES)

TRUNKS = {"transfer-hybrid": "cnn"}
"""Models that start from another one's layers: both trainings count, the table says."""

STEP_MS = {
    **{"linear": 0.2, "mlp": 0.6, "cnn-2k": 5, "cnn-10k": 10, "cnn": 25},
    **{"deep-cnn": 136, "strong-cnn": 260, "hybrid-cnn": 33, "deep-hybrid": 146},
    **{"compact-hybrid": 19, "residual-hybrid": 32, "parallel-hybrid": 31},
    **{"transfer-hybrid": 18, "patch-cnn": 9, "quanvolution": 15},
    **{"quanvolution-random": 14, "amplitude": 47, "hamiltonian": 67, "qcnn": 61},
    **{"pixel-reuploading": 145, "tree": 28, "chain": 23},
}
"""Milliseconds of a training step on one core, for what is left to be printed: median
epochs of the full preset's rows."""
FIT_MS = {"logistic-regression": 1.3, "rbf-svm": 4.5, "gradient-boosting": 9}
"""Milliseconds a training image that a baseline takes; likewise."""
START_S = 25.0
"""Seconds until a process has imported and compiled everything."""


@dataclasses.dataclass(frozen=True)
class Protocol:
    """The protocol of a preset."""

    dataset: str
    train_size: int | None
    """Training images; all where left out."""
    epochs: int
    models: tuple[str, ...] = EVERY


PLANS = {
    "smoke": Protocol(
        *("digits", 300, 2),
        ("linear", "cnn-2k", "compact-hybrid", "logistic-regression"),
    ),
    "laptop": Protocol("fashion-mnist", 10_000, 6),
    "full": Protocol("fashion-mnist", None, 10),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What is compared."""

    preset: Literal["smoke", "laptop", "full"] = "laptop"
    """How much of it."""
    models: tuple[str, ...] | None = None
    """Names of models and baselines; the preset's where left out."""
    dataset: str | None = None
    """Name of the data set; the preset's where left out."""
    seed: int = 0
    """Of split, start, shuffling and augmentation."""
    runs: Path = Path("runs") / COMPARISON
    """Folder of the run directories."""
    out: Path = RESULTS / f"{COMPARISON}.json"
    """JSON file to write."""


class TrainingError(RuntimeError):
    """A training that ended before it had scores."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    cells = cells_of(options)
    known = [row for row in read_rows(options.out, COMPARISON) if row["cell"] in cells]
    for row in known:
        check_is_of_today(row)
    todo = [cell for cell in cells if cell not in [row["cell"] for row in known]]
    measure_cell = functools.partial(measure, runs=options.runs)
    failures, pace = [], Pace()
    for i, cell in enumerate(todo):
        name, left = cell["model"], pace.minutes_left(todo[i:])
        print(f"{name}: {i + 1} of {len(todo)}, {left} left", flush=True)
        start = time.perf_counter()
        try:
            measure_missing(options.out, COMPARISON, [cell], measure_cell)
        except TrainingError as error:
            failures.append(str(error))
        pace.took(cell, time.perf_counter() - start)
    rows = rows_of_preset(
        read_rows(options.out, COMPARISON),
        options.preset,
        options.dataset,
        options.seed,
    )
    if rows:
        Console().print(table_of(rows))
        print(f"Written: {options.out}")
    if failures:
        raise SystemExit("\n".join(failures))


def cells_of(options: Options) -> list[dict[str, Any]]:
    """What is asked of each model, as the file spells it."""
    plan = PLANS[options.preset]
    names = options.models or plan.models
    for name in names:
        check_one_of("models", name, EVERY)
    return [
        {
            "preset": options.preset,
            "model": name,
            "dataset": options.dataset or plan.dataset,
            "train_size": plan.train_size,
            "epochs": None if name in BASELINES else plan.epochs,
            "seed": options.seed,
        }
        for name in dict.fromkeys(names)
    ]


def check_is_of_today(row: Row) -> None:
    """Raises unless the preset of a row is still what it was when the row was made.

    Raises:
        InputError: Naming the model.
    """
    if row["cell"]["model"] in BASELINES:
        return
    now, read = config_of(row["cell"], row["trunk"]), converter().structure
    network = read(row["config"]["network"], ModelConfig)
    training = read(row["config"]["training"], TrainConfig)
    if (network, training) != (now.network, now.training):
        must, was = "hold rows of today's presets", "another preset then"
        cure = "Remove its row, and its folder under --runs, to train it again."
        raise input_error("out", must, f"{now.model} was {was}", cure)


class Pace:
    """How long the rest takes: planned, and corrected by what was done so far."""

    def __init__(self) -> None:
        self.planned = self.spent = 0.0

    def took(self, cell: Mapping[str, Any], seconds: float) -> None:
        """Told how long a cell took."""
        self.planned += planned_seconds(cell)
        self.spent += seconds

    def minutes_left(self, cells: Sequence[Mapping[str, Any]]) -> str:
        """Of a first cell nothing is known but the plan's machine.

        Example:
            >>> Pace().minutes_left([])
            'about 0 minutes'
        """
        factor = self.spent / self.planned if self.planned else 1.0
        seconds = factor * sum(map(planned_seconds, cells))
        return f"about {seconds / 60:.0f} minutes"


def planned_seconds(cell: Mapping[str, Any]) -> float:
    """What a model takes on the machine of `STEP_MS`."""
    n_train, name = cell["train_size"] or 55_000, cell["model"]
    if name in BASELINES:
        return 1e-3 * FIT_MS[name] * n_train
    # A forward pass is a third of a step: 5,000 validation images, 10,000 test images.
    images = cell["epochs"] * (n_train + 5_000 / 3) + 10_000 / 3
    steps = images / get_preset(name).training.batch_size
    return START_S + 1e-3 * STEP_MS[name] * steps


def measure(cell: Mapping[str, Any], *, runs: Path) -> Row:
    """Trains and scores the model of a cell, or fits the baseline."""
    if cell["model"] in BASELINES:
        # A process of its own: what the one before it left counts for nobody.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(fit_baseline, cell).result()
    return row_of(trained(cell, runs))


def trained(cell: Mapping[str, Any], runs: Path) -> Run:
    """The finished run of a cell: as it stands, continued, or trained.

    Raises:
        TrainingError: If its process failed; what it said stands above.
        InputError: If its directory holds a run of another configuration.
    """
    folder = runs / f"{cell['preset']}-{cell['dataset']}-seed{cell['seed']}"
    directory, trunk = folder / cell["model"], TRUNKS.get(cell["model"])
    if trunk is not None:
        trained({**cell, "model": trunk}, runs)
    config = config_of(cell, trunk and str(folder / trunk))
    if (directory / "config.toml").exists():
        check_same(config, read_config(directory), directory)
    else:
        write_config(directory, config)
    if not (directory / "scores.json").exists():
        qfm = "from qfm_jax.cli import main; main()"
        command = [sys.executable, "-c", qfm, "train", "--resume", str(directory)]
        # Compiling takes memory: what a cache holds would not count for all alike.
        env = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
        done = subprocess.run(command, stdout=subprocess.DEVNULL, env=env)
        if done.returncode:
            raise TrainingError(
                f"{cell['model']} has no row: its training ended with status "
                f"{done.returncode}. The same command tries again."
            )
    return read_run(directory)


def config_of(cell: Mapping[str, Any], trunk: str | None) -> RunConfig:
    """The run of a cell: its preset, with the epochs and images of all."""
    preset = get_preset(cell["model"])
    return RunConfig(
        cell["model"],
        preset.network,
        dataclasses.replace(preset.training, epochs=cell["epochs"], min_steps=0),
        DataConfig(cell["dataset"], train_size=cell["train_size"]),
        seed=cell["seed"],
        trunk=trunk,
    )


def row_of(run: Run) -> Row:
    """What a run is, reached and took."""
    result, network = run.result, run.config.network
    has_circuit = network.block in CIRCUIT_BLOCKS
    confusion = result.scores.confusion
    return {
        "kind": kind_of(network),
        "n_train": result.n_train,
        "n_validation": result.n_validation,
        "n_test": result.scores.n_test,
        "n_right": sum(confusion[i][i] for i in range(len(confusion))),
        "accuracy": result.scores.accuracy,
        "accuracy_interval": result.scores.accuracy_interval,
        "log_loss": result.scores.log_loss,
        "confusion": confusion,
        "n_parameters_quantum": result.n_parameters_quantum,
        "n_parameters_classical": result.n_parameters_classical,
        "n_parameters_frozen": result.n_parameters_frozen,
        "executions_per_image": circuits_per_image(network, (28, 28)) * has_circuit,
        "seconds_of_epochs": [record.seconds for record in run.history.epochs],
        "seconds_training": result.seconds_training,
        "seconds_compiling": result.seconds_compiling,
        "seconds_per_image": result.seconds_inference / result.scores.n_test,
        "peak_memory_bytes": result.peak_memory_bytes,
        "best_epoch": result.best_epoch,
        "trunk": TRUNKS.get(result.model),
        "config": cattrs.unstructure(run.config),
        "warning": result.warning,
        "versions": result.versions,
    }


def kind_of(network: ModelConfig) -> str:
    """What a model is, as figures and tables group it."""
    if network.block not in CIRCUIT_BLOCKS:
        return "classical"
    return "circuit on pixels" if network.features == "pixels" else "hybrid"


def fit_baseline(cell: Mapping[str, Any]) -> Row:
    """A baseline of scikit-learn on the same images; it chooses no epoch."""
    data = load_dataset(
        cell["dataset"], train_size=cell["train_size"], seed=cell["seed"]
    )
    parts = (data.train, data.test)
    train, test = ((pixel_features(part.pixels), part.labels) for part in parts)
    reset_peak_memory()
    found = score_baseline(cell["model"], train, test, seed=cell["seed"])
    is_linear = cell["model"] == "logistic-regression"
    n_weights = (found.n_features + 1) * data.n_classes if is_linear else None
    return {
        "kind": "scikit-learn",
        "n_train": found.n_train,
        "n_test": found.n_test,
        "n_right": round(found.accuracy * found.n_test),
        "accuracy": found.accuracy,
        "accuracy_interval": found.accuracy_interval,
        "n_parameters_quantum": 0,
        "n_parameters_classical": n_weights,
        "n_parameters_frozen": 0,
        "executions_per_image": 0,
        "seconds_of_epochs": [],
        "seconds_training": found.seconds_training,
        "seconds_per_image": found.seconds_inference / found.n_test,
        "peak_memory_bytes": peak_memory(),
        "trunk": None,
        "warning": data.warning,
        "versions": machine_versions(accelerator=False),
    }


def rows_of_preset(
    rows: Sequence[Row], preset: str, dataset: str | None = None, seed: int = 0
) -> list[Row]:
    """The rows of one protocol, best first; rows of other protocols are left out."""
    plan = PLANS[preset]
    wanted = {
        "preset": preset,
        "dataset": dataset or plan.dataset,
        "train_size": plan.train_size,
        "seed": seed,
    }
    own = [
        row
        for row in rows
        if wanted.items() <= row["cell"].items()
        and row["cell"]["epochs"] in (None, plan.epochs)
    ]
    return sorted(own, key=lambda row: -row["accuracy"])


COLUMNS = (
    *("model", "accuracy, %, 95 % interval", "parameters: angles + other (+ frozen)"),
    *("s an epoch", "ms an image", "peak, MiB", "circuits an image"),
)


def leaderboard(rows: Sequence[Row], digits: int = 2) -> Iterator[tuple[str, ...]]:
    """The rows as the texts of `COLUMNS`, best first; of epochs the median."""
    for row in sorted(rows, key=lambda row: -row["accuracy"]):
        low, high = (percent(limit, digits) for limit in row["accuracy_interval"])
        quantum, other = row["n_parameters_quantum"], row["n_parameters_classical"]
        both = "" if other is None else f"{other:,}"
        frozen = row.get("n_parameters_frozen", 0)
        epochs = row["seconds_of_epochs"]
        yield (
            row["cell"]["model"] + (f" (on {row['trunk']})" if row["trunk"] else ""),
            f"{percent(row['accuracy'], digits)} ({low}\u2013{high})",
            (f"{quantum:,} + {both}" if quantum else both)
            + (f" (+ {frozen:,})" if frozen else ""),
            f"{statistics.median(epochs):.1f}" if epochs else "",
            f"{1e3 * row['seconds_per_image']:.2f}",
            f"{row['peak_memory_bytes'] / 2**20:,.0f}",
            f"{row['executions_per_image']:,}" if row["executions_per_image"] else "",
        )


def table_of(rows: Sequence[Row]) -> Table:
    """The leaderboard for a terminal of 80 columns."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("model", overflow="ellipsis", no_wrap=True, max_width=19)
    for name in (
        *("accuracy, %\n95 % interval", "parameters\nangles+other\n(+ frozen)"),
        *("epoch\ns", "image\nms", "peak\nMiB", "circuits\nan image"),
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for texts in leaderboard(rows, digits=1):
        table.add_row(*(text.replace(" (+", "\n(+") for text in texts))
    return table


if __name__ == "__main__":
    sys.exit(in_sentences(main))
