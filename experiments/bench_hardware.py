"""How much faster than PennyLane's plugin does the fast path run Qiskit's simulator?

Question: is one parameterised job for a batch and all its shifts at least 100 times
    faster a circuit than `qiskit.aer` through pennylane-qiskit, on the same work?

Command:  python experiments/bench_hardware.py

Expected: about three minutes on 2 cores. The plugin takes 70 to 100 ms a circuit, so
    that it gets few samples, and is asked for the gradients by parameter shift of one
    set of weights; the fast path gets the same work, and a larger batch beside it.
    Values and gradients agree to 1e-6. Compiling is not counted: both run once before.
"""

import dataclasses
import importlib.metadata
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from qfm_jax import (
    AngleEmbedding,
    Circuit,
    DeviceConfig,
    StronglyEntanglingLayers,
    as_jax_function,
    estimator_function,
)
from qfm_jax.cli import in_sentences
from qfm_jax.files import write_json


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured."""

    sizes: tuple[tuple[int, int], ...] = ((4, 1), (8, 2))
    """Qubits and layers of each circuit."""
    batch: int = 2
    """Samples that both get."""
    large_batch: int = 128
    """Samples that the fast path gets beside it, for values alone."""
    repeats: int = 5
    """Runs of the fast path, of which the median counts; the plugin runs once."""
    out: Path = Path(__file__).parent / "results" / "bench_hardware.json"
    """JSON file to write."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    jax.config.update("jax_enable_x64", True)  # to compare what both compute
    rows = [row for size in options.sizes for row in rows_of(*size, options)]
    names = ("qiskit", "qiskit-aer", "pennylane", "pennylane-qiskit", "jax")
    versions = {name: importlib.metadata.version(name) for name in names}
    console = Console()
    console.print(table_of(rows))
    write_json(options.out, {"rows": rows, "versions": versions})
    console.print(f"Written: {options.out}")


def rows_of(n_qubits: int, n_layers: int, options: Options) -> list[dict[str, Any]]:
    """Values, then values and gradients, by both; a large batch by the fast path."""
    layers = StronglyEntanglingLayers(n_qubits, n_layers)
    circuit = Circuit(AngleEmbedding(n_qubits), layers)
    rng = np.random.default_rng(0)
    weights = jnp.asarray(rng.normal(size=circuit.weights_shape))
    large = jnp.asarray(rng.uniform(0, 1, (options.large_batch, n_qubits)))
    inputs = large[: options.batch]
    plugin_config = DeviceConfig("qiskit.aer", diff_method="parameter-shift")
    plugin = as_jax_function(circuit, plugin_config)
    fast = estimator_function(circuit)
    shared = {"n_qubits": n_qubits, "n_layers": n_layers, "batch": options.batch}
    n_angles = weights.size
    rows: list[dict[str, Any]] = []
    for work, per_sample in (("values", 1), ("values and gradients", 1 + 2 * n_angles)):
        made = [program(function, work) for function in (plugin, fast)]
        n_circuits = options.batch * per_sample
        by_plugin, seconds_plugin = timed(made[0], inputs, weights, 1)
        by_fast, seconds_fast = timed(made[1], inputs, weights, options.repeats)
        pairs = zip(jax.tree.leaves(by_plugin), jax.tree.leaves(by_fast), strict=True)
        rows.append(
            {
                **shared,
                "work": work,
                "n_circuits": n_circuits,
                "plugin_ms_a_circuit": 1e3 * seconds_plugin / n_circuits,
                "fast_ms_a_circuit": 1e3 * seconds_fast / n_circuits,
                "ratio": seconds_plugin / seconds_fast,
                "largest_difference": max(float(jnp.max(abs(a - b))) for a, b in pairs),
            }
        )
    _, seconds = timed(program(fast, "values"), large, weights, options.repeats)
    fast_ms = 1e3 * seconds / options.large_batch
    plugin_ms = rows[0]["plugin_ms_a_circuit"]
    rows.append(
        {
            **shared,
            "batch": options.large_batch,
            "work": "values, the plugin's time from the small batch",
            "n_circuits": options.large_batch,
            "plugin_ms_a_circuit": plugin_ms,
            "fast_ms_a_circuit": fast_ms,
            "ratio": plugin_ms / fast_ms,
        }
    )
    return rows


def program(function: Callable[..., jax.Array], work: str) -> Callable[..., Any]:
    """The jitted program on a batch; gradients of a sum, by the weights alone."""
    batched = jax.vmap(function, (0, None))
    if work == "values":
        return jax.jit(batched)

    def total(weights: jax.Array, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        values = batched(inputs, weights)
        return jnp.sum(jnp.sin(values)), values

    slopes = jax.grad(total, has_aux=True)
    return jax.jit(lambda inputs, weights: slopes(weights, inputs))


def timed(
    run: Callable[..., Any], inputs: jax.Array, weights: jax.Array, repeats: int
) -> tuple[Any, float]:
    """The result, and the median wall time after one run to compile."""
    result = jax.block_until_ready(run(inputs, weights))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(run(inputs, weights))
        times.append(time.perf_counter() - start)
    return result, statistics.median(times)


def table_of(rows: Sequence[dict[str, Any]]) -> Table:
    columns = ("qubits, layers", "work", "circuits", "plugin, ms", "fast, ms", "ratio")
    table = Table(*columns, title="A circuit on Aer, without shots")
    for row in rows:
        table.add_row(
            f"{row['n_qubits']}, {row['n_layers']}",
            row["work"],
            str(row["n_circuits"]),
            f"{row['plugin_ms_a_circuit']:.1f}",
            f"{row['fast_ms_a_circuit']:.3f}",
            f"{row['ratio']:.0f}",
        )
    return table


if __name__ == "__main__":
    sys.exit(in_sentences(main))
