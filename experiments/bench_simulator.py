"""Question: how fast does qfm.statevector train a circuit, next to other simulators?

Command: python experiments/bench_simulator.py [--short] [--peers ...] [--cases ...]
Expected: about 15 minutes on 2 cores (default.qubit compiles for minutes at 8 qubits
and 16 layers), 2 minutes with --short; qfm.statevector at least 6 times faster than
default.qubit from 8 qubits on.

The work: RY angle embedding, L strongly entangling layers, all <Z_i>; loss = mean of
squares; value and gradient with respect to weights and features. Each peer runs each
case in a process of its own. Gradients are checked against lightning.qubit's adjoint
method in double precision. Ceilings (matrix product, copy): measured in the same run.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

CASES = ["4,2,256", "8,4,256", "10,4,128", "12,4,64", "16,4,8", "8,16,256"]
SHORT = ["4,2,256", "8,4,256"]
GPU = ["8,4,4096", "12,4,4096", "16,4,256", "20,4,16", "24,2,1"]
OURS = ["qfm.statevector", "qfm.statevector adjoint"]
PEERS = [*OURS, "default.qubit"]


@dataclass(frozen=True)
class Options:
    """What to measure."""

    short: bool = False
    """Only the first two cases."""
    gpu: bool = False
    """Cases for a GPU: batches of 4,096 and up to 24 qubits."""
    cases: tuple[str, ...] = ()
    """Cases "qubits,layers,batch"; overrides the sets above."""
    peers: tuple[str, ...] = tuple(PEERS)
    """Devices: names of PennyLane devices; "... adjoint" chooses that method."""
    repeats: int = 15
    """Steps, of which the median is reported."""
    out: Path = Path("experiments/results/bench_simulator.json")


def inputs(n: int, layers: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (layers, n, 3) and features (batch, n), the same for every peer."""
    rng = np.random.default_rng(0)
    return rng.uniform(0, 1, (layers, n, 3)), rng.uniform(0, 1, (batch, n))


def circuit(device: Any, n: int, **how: Any) -> Any:
    """The QNode (weights, features) -> list of <Z_i>."""
    import pennylane as qml

    @qml.qnode(device, **how)
    def node(weights: Any, features: Any) -> Any:
        qml.AngleEmbedding(features, range(n), rotation="Y")
        qml.StronglyEntanglingLayers(weights, range(n))
        return [qml.expval(qml.Z(i)) for i in range(n)]

    return node


def run_jax(peer: str, n: int, layers: int, batch: int, repeats: int) -> dict[str, Any]:
    """First result, step time, gradient and peak memory of a device under jit."""
    import jax
    import jax.numpy as jnp
    import pennylane as qml

    name, _, method = peer.partition(" ")
    device = qml.device(name, wires=n)
    node = circuit(device, n, diff_method=method or "backprop")
    weights, features = (jnp.asarray(a, jnp.float32) for a in inputs(n, layers, batch))
    loss = lambda w, x: jnp.mean(jnp.stack(node(w, x)) ** 2)  # noqa: E731
    step = jax.jit(jax.value_and_grad(loss, (0, 1)))
    start = time.perf_counter()
    _, gradient = jax.block_until_ready(step(weights, features))
    first, times = time.perf_counter() - start, []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(step(weights, features))
        times.append(time.perf_counter() - start)
    return {
        "first_s": first,
        "step_s": float(np.median(times)),
        "gradient": [np.asarray(g).tolist() for g in gradient],
        "platform": jax.devices()[0].platform,
    }


def run_autograd(n: int, layers: int, batch: int, repeats: int) -> dict[str, Any]:
    """The same by lightning.qubit, sample by sample, in double precision."""
    import pennylane as qml

    node = circuit(qml.device("lightning.qubit", wires=n), n, diff_method="adjoint")
    weights, features = (qml.numpy.array(a) for a in inputs(n, layers, batch))
    loss = lambda w, x: qml.numpy.mean(qml.numpy.stack(node(w, x)) ** 2)  # noqa: E731
    step, times = qml.grad(loss), []
    for _ in range(min(repeats, 2)):
        start = time.perf_counter()
        gradient = step(weights, features)
        times.append(time.perf_counter() - start)
    return {
        "first_s": times[0],
        "step_s": float(np.median(times)),
        "gradient": [np.asarray(g).tolist() for g in gradient],
        "platform": "cpu",
    }


def ceilings() -> dict[str, float]:
    """This machine's matrix product (GFLOP/s) and copy (GB/s), by JAX."""
    import jax
    import jax.numpy as jnp

    def fastest(function: Any, *arguments: Any) -> float:
        compiled, times = jax.jit(function), []
        jax.block_until_ready(compiled(*arguments))
        for _ in range(20):
            start = time.perf_counter()
            jax.block_until_ready(compiled(*arguments))
            times.append(time.perf_counter() - start)
        return min(times)

    a = jnp.ones((1024, 1024), jnp.float32)
    product = fastest(lambda a: jnp.matmul(a, a, precision="highest"), a)
    copy = fastest(lambda a: a + 1, a)
    return {
        "gflops": 2 * 1024**3 / product / 1e9,
        "copy_gbs": 2 * a.nbytes / copy / 1e9,
    }


def work(peer: str, case: str, repeats: int) -> dict[str, Any]:
    """What a worker process measures."""
    n, layers, batch = map(int, case.split(","))
    if peer == "ceilings":
        return ceilings()
    if peer == "lightning.qubit":
        found = run_autograd(n, layers, batch, repeats)
    else:
        found = run_jax(peer, n, layers, batch, repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # 58 x 2^n flop: the least work of an adjoint pass for a sample and a rotation.
    least = 58 * 2**n * batch * layers * n
    return {**found, "peak_mib": peak, "least_gflops": least / found["step_s"] / 1e9}


def in_process(peer: str, case: str, repeats: int) -> dict[str, Any]:
    """Runs `work` in a fresh Python."""
    command = [sys.executable, __file__, "--worker", peer, case, str(repeats)]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def gradient_error(found: Any, expected: Any) -> float:
    """The larger of both gradients' errors, relative to their norm."""
    pairs = [(np.array(a), np.array(b)) for a, b in zip(found, expected, strict=True)]
    return max(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in pairs)


def measure(options: Options) -> dict[str, Any]:
    """All cases and peers, one process after another."""
    cases = options.cases or (GPU if options.gpu else SHORT if options.short else CASES)
    console, rows = Console(stderr=True), []
    for case in cases:
        exact = in_process("lightning.qubit", case, 1)
        for peer in options.peers:
            found = in_process(peer, case, options.repeats)
            if "gradient" in found and "gradient" in exact:
                found["gradient_error"] = gradient_error(
                    found["gradient"], exact["gradient"]
                )
            found.pop("gradient", None)
            rows.append({"peer": peer, "case": case, **found})
            console.print(rows[-1])
        exact.pop("gradient", None)
        rows.append({"peer": "lightning.qubit", "case": case, **exact})
    return {
        "machine": {"platform": platform.platform(), "cpus": os.cpu_count()},
        "versions": {name: version(name) for name in ("jax", "pennylane", "numpy")},
        "ceilings": in_process("ceilings", "0,0,0", 0),
        "rows": rows,
    }


def table(result: dict[str, Any]) -> Table:
    """First result, step, memory, ratio to ours and gradient error, a row each."""
    shown = Table("case", "peer", "first s", "step ms", "MiB", "x ours", "grad. error")
    ours = {r["case"]: r.get("step_s") for r in result["rows"] if r["peer"] == OURS[0]}
    for row in result["rows"]:
        if "step_s" not in row:
            shown.add_row(row["case"], row["peer"], row.get("error", ""), *[""] * 4)
            continue
        base = ours.get(row["case"])
        error = row.get("gradient_error")
        shown.add_row(
            row["case"],
            row["peer"],
            f"{row['first_s']:.2f}",
            f"{1e3 * row['step_s']:.2f}",
            f"{row['peak_mib']:.0f}",
            f"{row['step_s'] / base:.1f}" if base else "",
            "" if error is None else f"{error:.1e}",
        )
    return shown


def figure(result: dict[str, Any], path: Path) -> None:
    """Step time of every peer against the case, beside its share of the ceiling."""
    import matplotlib.pyplot as plt

    rows = [row for row in result["rows"] if "step_s" in row]
    cases = list(dict.fromkeys(row["case"] for row in rows))
    fig, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    top = result["ceilings"]["gflops"]
    for peer in dict.fromkeys(row["peer"] for row in rows):
        own = [row for row in rows if row["peer"] == peer]
        at = [cases.index(row["case"]) for row in own]
        axes[0].semilogy(at, [1e3 * r["step_s"] for r in own], "o-", label=peer)
        axes[1].semilogy(at, [r["first_s"] for r in own], "o-")
        axes[2].semilogy(at, [r["least_gflops"] / top for r in own], "o-")
    titles = ("step, ms", "first result, s", "least work / matrix-product rate")
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title)
        axis.set_xticks(range(len(cases)), cases, rotation=30)
        axis.set_xlabel("qubits, layers, batch")
    axes[0].legend()
    fig.savefig(path)
    plt.close(fig)


def main(argv: list[str] | None = None) -> None:
    """Measures, prints the table, writes JSON and the figure beside it."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["--worker"]:
        print(json.dumps(work(arguments[1], arguments[2], int(arguments[3]))))
        return
    options = tyro.cli(Options, args=arguments)
    result = measure(options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1))
    Console().print(table(result))
    figure(result, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
