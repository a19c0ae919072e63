"""How do circuits scale with qubits and layers?

Question: seconds and memory of a step (value and gradient) against 2^n; the variance of
    gradients of a local and a global observable, expressibility and entangling
    capability of circuits with random weights; test accuracy of a circuit behind one
    trained layer, beside the same model without the circuit and with a dense layer for
    it. Then, on paper, 30 qubits, and a cluster.

Command:  python experiments/scale_qubits.py --preset laptop

Expected: about a minute for smoke, nearly all of it compiling; 40 minutes on one core
    for laptop (16 qubits; 20 for one sample). Full, for a GPU, has not been run.
    README.md says what came.

Rows are written as they come; rows that the output file holds are not computed again.
Times of two machines are not comparable: each row names its own. Figures lie beside the
file.
"""

import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import paired_training
import tyro
from growth import (
    CLUSTER_FORMULA,
    Cluster,
    Growth,
    cluster_step,
    doubling,
    fit_growth,
    largest_circuit,
)
from paired_training import train_paired
from rich.console import Console
from rich.table import Table
from scaling_figures import (
    plot_random_circuits,
    plot_step_growth,
    plot_sweeps,
    seed_interval,
)

from qfm_jax import as_jax_function, load_dataset
from qfm_jax.circuits import build_circuit
from qfm_jax.cli import in_sentences
from qfm_jax.descriptors import describe
from qfm_jax.evaluation import percent
from qfm_jax.models import ModelConfig
from qfm_jax.parallel import Scheduler
from qfm_jax.reporting.style import render
from qfm_jax.runs.results import Row, add_rows, measure_missing
from qfm_jax.simulator.memory import available_bytes
from qfm_jax.training.progress import UnitProgress

EXPERIMENT = "scale_qubits"
LAYERS = "efficient-su2"
"""All layers alike: they run as one loop, however many they are."""
BLOCKS = {"circuit": "circuit", "no circuit": "removed", "dense layer": "dense"}
"""The models by name, and their blocks."""
LABELS = {"n_qubits": "qubits, width of the controls", "n_layers": "layers"}
ON_PAPER = 30
LEAST_FITTED = 12
"""Qubits below which a step's time is mostly overhead, and shows no law to go on."""
CLUSTER = Cluster(nodes=64, memory=512 * 2**30, bandwidth=25e9)
"""An assumption, not a machine of ours: 64 nodes of 512 GiB, 200 Gbit/s each."""


@dataclasses.dataclass(frozen=True)
class QubitSweep:
    """The sizes of a preset."""

    step_depth: int
    """Layers of the steps that are timed against qubits."""
    step_qubits: Mapping[int, tuple[int, ...]]
    """For each number of samples the qubits of the steps that are timed."""
    step_layers: tuple[int, ...]
    """Layers of the steps that are timed at `width` qubits."""
    width: int
    """Qubits where layers are changed."""
    random_qubits: Mapping[int, tuple[int, ...]]
    """For a shallow and a deep number of layers the qubits of random circuits."""
    random_layers: tuple[int, ...]
    n_samples: int
    trained_qubits: tuple[int, ...]
    trained_layers: tuple[int, ...]
    """The usual number first, of both."""
    train_size: int
    test_size: int | None
    seeds: int
    n_steps: int
    rates: tuple[float, ...]


PLANS = {
    "smoke": QubitSweep(
        step_depth=1,
        step_qubits={1: (2, 3)},
        step_layers=(1, 2),
        width=2,
        random_qubits={1: (2, 3)},
        random_layers=(1,),
        n_samples=10,
        trained_qubits=(2,),
        trained_layers=(1,),
        train_size=100,
        test_size=100,
        seeds=2,
        n_steps=6,
        rates=(0.01,),
    ),
    "laptop": QubitSweep(
        step_depth=4,
        step_qubits={1: tuple(range(2, 21, 2)), 32: tuple(range(2, 17, 2))},
        step_layers=(1, 2, 4, 8, 16, 32, 64),
        width=8,
        random_qubits={2: tuple(range(2, 17, 2)), 32: tuple(range(2, 13, 2))},
        random_layers=(1, 2, 4, 8, 16, 32, 64),
        n_samples=100,
        trained_qubits=(8, 2, 4, 12),
        trained_layers=(4, 1, 16, 64),
        train_size=1_000,
        test_size=2_000,
        seeds=3,
        n_steps=120,
        rates=(0.01,),
    ),
    "full": QubitSweep(
        step_depth=4,
        step_qubits={1: tuple(range(2, 27, 2)), 256: tuple(range(2, 17, 2))},
        step_layers=(1, 2, 4, 8, 16, 32, 64),
        width=8,
        random_qubits={2: tuple(range(2, 17, 2)), 64: tuple(range(2, 17, 2))},
        random_layers=(1, 2, 4, 8, 16, 32, 64),
        n_samples=1_000,
        trained_qubits=(8, 2, 4, 6, 10, 12, 14, 16),
        trained_layers=(4, 1, 2, 8, 16, 32, 64),
        train_size=10_000,
        test_size=None,
        seeds=5,
        n_steps=3_000,
        rates=(0.003, 0.01, 0.03),
    ),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured."""

    preset: Literal["smoke", "laptop", "full"] = "laptop"
    """How much of it."""
    parts: tuple[Literal["step", "random", "accuracy"], ...] = (
        "step",
        "random",
        "accuracy",
    )
    """Steps timed, circuits with random weights, models trained."""
    dataset: str = "fashion-mnist"
    """Name of the data set."""
    out: Path = Path(__file__).parent / "results" / f"{EXPERIMENT}.json"
    """JSON file to write, figures beside it."""
    scheduler: str | None = None
    """Where models are trained and random circuits run: `local`, or the address of a
    Dask scheduler. Steps are timed in this process, one after another."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    plan, console = PLANS[options.preset], Console()
    siblings, scheduler = (paired_training.__file__,), None
    if options.scheduler is not None:
        scheduler = Scheduler(options.scheduler, files=siblings)
    rows: dict[str, list[Row]] = {}
    for part in options.parts:
        with UnitProgress() as progress:
            rows[part] = measure_missing(
                options.out,
                EXPERIMENT,
                CELLS[part](plan, options),
                MEASURES[part],
                show,
                scheduler=None if part == "step" else scheduler,
                show_units=progress,
            )
    figures = {}
    if "step" in rows:
        seconds, memory = fits_of(rows["step"])
        paper = on_paper(rows["step"], seconds, memory, plan.step_depth)
        add_rows(options.out, EXPERIMENT, tables={f"on_paper_{options.preset}": paper})
        for name, value in paper.items():
            console.print(f"{name}: {value}", highlight=False)
        most = paper["fitted_up_to_qubits"]
        until = ON_PAPER if most >= LEAST_FITTED else most
        figures["cost"] = plot_step_growth(rows["step"], seconds, memory, until=until)
    if "random" in rows:
        console.print(random_table(rows["random"]))
        figures["random"] = plot_random_circuits(rows["random"])
    if "accuracy" in rows:
        console.print(accuracy_table(rows["accuracy"]))
        base = {"n_qubits": plan.trained_qubits[0], "n_layers": plan.trained_layers[0]}
        figures["accuracy"] = plot_sweeps(rows["accuracy"], base, LABELS)
    for name, figure in figures.items():
        stem = f"{options.out.stem}_{options.preset}_{name}.png"
        options.out.with_name(stem).write_bytes(render(figure, "png"))
    print(f"Written: {options.out}, and figures beside it")


def show(row: Row) -> None:
    cell = row["cell"]
    print(
        cell["part"],
        cell["n_qubits"],
        "qubits,",
        cell["n_layers"],
        "layers",
        flush=True,
    )


# -- steps -----------------------------------------------------------------------------


def step_cells(plan: QubitSweep, options: Options) -> list[dict[str, Any]]:
    pairs = [
        (n, plan.step_depth, batch)
        for batch, numbers in plan.step_qubits.items()
        for n in numbers
    ]
    batch = max(plan.step_qubits)
    pairs += [(plan.width, n_layers, batch) for n_layers in plan.step_layers]
    return [
        {"part": "step", "n_qubits": n, "n_layers": n_layers, "batch": size}
        for n, n_layers, size in dict.fromkeys(pairs)
    ]


def measure_step(cell: Mapping[str, Any]) -> Row:
    """Seconds of compiling and of each step; bytes that the compiled program holds."""
    n = cell["n_qubits"]
    circuit = build_circuit("angle", LAYERS, n, cell["n_layers"])
    function = jax.vmap(as_jax_function(circuit), (0, None))

    def loss(weights: jax.Array, features: jax.Array) -> jax.Array:
        return jnp.mean(function(features, weights) ** 2)

    keys = jax.random.split(jax.random.key(0))
    weights = jax.random.uniform(keys[0], circuit.weights_shape)
    features = jax.random.uniform(keys[1], (cell["batch"], n))
    start = time.perf_counter()
    program = jax.jit(jax.value_and_grad(loss)).lower(weights, features).compile()
    compiling = time.perf_counter() - start
    times: list[float] = []
    jax.block_until_ready(program(weights, features))
    while len(times) < 3 or (len(times) < 15 and sum(times) < 5):
        start = time.perf_counter()
        jax.block_until_ready(program(weights, features))
        times.append(time.perf_counter() - start)
    sizes = program.memory_analysis()
    held = ("argument", "output", "temp")
    return {
        "seconds_compiling": compiling,
        "times_s": times,
        "memory_bytes": sum(getattr(sizes, f"{part}_size_in_bytes") for part in held),
    }


def fits_of(rows: Sequence[Row]) -> tuple[Growth, Growth]:
    """Seconds and bytes of a step of one sample, against qubits."""
    single = [row for row in rows if row["cell"]["batch"] == 1]
    numbers = [row["cell"]["n_qubits"] for row in single]
    seconds = [float(np.median(row["times_s"])) for row in single]
    memory = [float(row["memory_bytes"]) for row in single]
    return fit_growth(numbers, seconds, power=1), fit_growth(numbers, memory, power=0)


def on_paper(
    rows: Sequence[Row], seconds: Growth, memory: Growth, n_layers: int
) -> dict[str, Any]:
    """The fits, and what they say of 30 qubits: a calculation, no measurement."""
    single = [row for row in rows if row["cell"]["batch"] == 1]
    numbers = [row["cell"]["n_qubits"] for row in single]
    medians = [float(np.median(row["times_s"])) for row in single]
    fitted = {
        "what": f"value and gradient of one sample, {n_layers} layers of {LAYERS}",
        "fitted_up_to_qubits": max(numbers),
        "seconds": seconds.formula("s"),
        "seconds_largest_misfit": seconds.largest_misfit,
        "seconds_growth_for_a_qubit": doubling(numbers, medians),
        "memory": memory.formula("bytes"),
        "memory_largest_misfit": memory.largest_misfit,
    }
    if max(numbers) < LEAST_FITTED:
        return fitted
    free = available_bytes()
    return fitted | {
        "free_memory_gib": free / 2**30,
        "most_qubits_in_it": largest_circuit(memory, free),
        f"seconds_at_{ON_PAPER}": seconds(ON_PAPER),
        f"memory_gib_at_{ON_PAPER}": memory(ON_PAPER) / 2**30,
        "cluster": dataclasses.asdict(CLUSTER),
        "cluster_formula": CLUSTER_FORMULA,
        f"cluster_seconds_at_{ON_PAPER}": cluster_step(
            seconds, ON_PAPER, n_layers, CLUSTER
        ),
        "cluster_most_qubits": largest_circuit(memory, CLUSTER.nodes * CLUSTER.memory),
    }


# -- random weights --------------------------------------------------------------------


def random_cells(plan: QubitSweep, options: Options) -> list[dict[str, Any]]:
    pairs = [(n, depth) for depth, ns in plan.random_qubits.items() for n in ns]
    pairs += [(plan.width, n_layers) for n_layers in plan.random_layers]
    return [
        {"part": "random", "n_qubits": n, "n_layers": depth, "samples": plan.n_samples}
        for n, depth in dict.fromkeys(pairs)
    ]


def measure_random(cell: Mapping[str, Any]) -> Row:
    """Gradients of both observables, expressibility and entangling capability."""
    circuit = build_circuit("angle", LAYERS, cell["n_qubits"], cell["n_layers"])
    return describe(circuit, n_samples=cell["samples"], key=jax.random.key(0))


def random_table(rows: Sequence[Row]) -> Table:
    table = Table(title="Random weights; ± standard error")
    columns = ("n", "layers", "local gradients", "global gradients", "KL", "entangled")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        slopes = row["gradient_variance"].values()
        table.add_row(
            str(row["cell"]["n_qubits"]),
            str(row["cell"]["n_layers"]),
            *(f"{value:.1e}±{error:.0e}" for value, error in slopes),
            "{:.3f}±{:.3f}".format(*row["expressibility"]),
            "{:.3f}±{:.3f}".format(*row["entangling_capability"]),
        )
    return table


# -- accuracy --------------------------------------------------------------------------


def accuracy_cells(plan: QubitSweep, options: Options) -> list[dict[str, Any]]:
    usual = plan.trained_qubits[0], plan.trained_layers[0]
    pairs = [(n, usual[1]) for n in plan.trained_qubits]
    pairs += [(usual[0], n_layers) for n_layers in plan.trained_layers]
    names = ("train_size", "test_size", "seeds", "n_steps", "rates")
    fixed = {name: getattr(plan, name) for name in names}
    return [
        {
            "part": "accuracy",
            "model": model,
            "n_qubits": n,
            "n_layers": n_layers,
            "dataset": options.dataset,
            **fixed,
        }
        for n, n_layers in dict.fromkeys(pairs)
        for model in BLOCKS
        # Controls have no layers: they stand beside the usual depth.
        if model == "circuit" or n_layers == usual[1]
    ]


def measure_accuracy(cell: Mapping[str, Any]) -> Row:
    """Trains images -> dense layer -> angles -> block -> read-out, over the seeds."""
    network = ModelConfig(
        block=BLOCKS[cell["model"]],
        layers=LAYERS,
        n_qubits=cell["n_qubits"],
        n_layers=cell["n_layers"],
    )
    data = [
        load_dataset(
            cell["dataset"],
            train_size=cell["train_size"],
            validation_size=100 if cell["train_size"] <= 100 else 500,
            test_size=cell["test_size"],
            seed=seed,
        )
        for seed in range(cell["seeds"])
    ]
    return train_paired(network, data, n_steps=cell["n_steps"], rates=cell["rates"])


def accuracy_table(rows: Sequence[Row]) -> Table:
    table = Table(title="Test accuracy, mean over seeds")
    for column in ("model", "qubits", "layers", "parameters", "rate", "%, 95 %"):
        table.add_column(column, justify="right")
    for row in rows:
        low, high = seed_interval(row["accuracy"])
        table.add_row(
            row["cell"]["model"],
            str(row["cell"]["n_qubits"]),
            str(row["cell"]["n_layers"]),
            f"{row['n_parameters']:,}",
            f"{row['chosen_rate']:g}",
            f"{percent(float(np.mean(row['accuracy'])))} "
            f"({percent(low)} to {percent(high)})",
        )
    return table


CELLS = {"step": step_cells, "random": random_cells, "accuracy": accuracy_cells}
MEASURES = {
    "step": measure_step,
    "random": measure_random,
    "accuracy": measure_accuracy,
}


def cells_of(plan: QubitSweep, options: Options) -> list[dict[str, Any]]:
    """All cells of the parts that are asked for."""
    return [cell for part in options.parts for cell in CELLS[part](plan, options)]


if __name__ == "__main__":
    sys.exit(in_sentences(main))
