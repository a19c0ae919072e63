"""One simulator, one case, one process: the worker of `bench_simulator.py`.

Command: python experiments/simulator_peers.py '{"peer": "qujax", "case": "4,2,16"}'

Expected: some seconds; prints one line of JSON after the first result and one at the
end. Runs in any Python that has NumPy and the simulator; needs no qfm_jax for a peer.

The work: RY angle embedding of the features (batch, n), L strongly entangling layers
with weights (L, n, 3), all <Z_i>; loss = mean of their squares; value and gradient
with respect to weights and features. Each peer is written as its manual would have it;
where there is a choice, the faster way was taken.
"""

import base64
import contextlib
import importlib.abc
import importlib.metadata
import importlib.util
import json
import os
import runpy
import sys
import time
import unittest.mock
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

Step = Callable[[], tuple[Any, Sequence[Any]]]
"""A step: () -> (loss, (gradient in weights, gradient in features)), finished."""
Build = Callable[[np.ndarray, np.ndarray], Step]
"""(weights, features) -> step; all that allocates or compiles happens after this."""


@dataclass(frozen=True)
class Job:
    """What a worker process measures."""

    peer: str
    """A name of `PEERS`, "ceilings", or the path of a script (see `script`)."""
    case: str = ""
    """Numbers "qubits,layers,batch"."""
    repeats: int = 15
    """Steps after the first result; 0, or at least 2, whatever they take."""
    budget_s: float = 10.0
    """Seconds of steps after which no other one starts."""
    samples: int | None = None
    """Only the first samples of the batch; all where left out."""


@dataclass(frozen=True)
class Peer:
    """A simulator."""

    packages: tuple[str, ...]
    """Distributions without which it is "not installed"."""
    variants: dict[str, Callable[[], Build]]
    """Ways to use it, of which the fastest counts; each function does the imports.

    All run in one process: the first result of a later one is not quite cold.
    """


def main(argv: Sequence[str]) -> None:
    job = Job(**json.loads(argv[0]))
    print(json.dumps(work(job, lambda row: print(json.dumps(row), flush=True))))


def work(job: Job, report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The row of a job; `report` gets what is known of it so far."""
    if job.peer == "ceilings":
        return ceilings()
    n, layers, batch = map(int, job.case.split(","))
    weights, features = inputs(n, layers, batch)
    peer = script(Path(job.peer), n) if job.peer.endswith(".py") else PEERS[job.peer]
    try:
        versions = {name: importlib.metadata.version(name) for name in peer.packages}
    except importlib.metadata.PackageNotFoundError:
        return {"error": "not installed"}
    finished: list[dict[str, Any]] = []
    for variant, load in peer.variants.items():
        row: dict[str, Any] = {}
        for found in measure(load(), weights, features[: job.samples], job):
            row = {"variant": variant, **found, "versions": versions, **platform_of()}
            report(fastest([*finished, row]))
        finished.append(row)
    return fastest(finished)


def fastest(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The row with the shortest step; the first one where none made any."""
    return min(rows, key=lambda row: row.get("step_s", float("inf")))


def inputs(n: int, layers: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (layers, n, 3) and features (batch, n) in [0, 1), the same for all.

    Double precision, but every number is one of single precision: rounding the inputs
    is no part of a gradient's error.
    """
    rng = np.random.default_rng(0)
    arrays = rng.uniform(0, 1, (layers, n, 3)), rng.uniform(0, 1, (batch, n))
    weights, features = (a.astype(np.float32).astype(np.float64) for a in arrays)
    return weights, features


def measure(
    build: Build, weights: np.ndarray, features: np.ndarray, job: Job
) -> Iterator[dict[str, Any]]:
    """First result, gradient, steps and peak memory, as far as they are known."""
    imports = reset_peak_memory()
    start = time.perf_counter()
    step = build(weights, features)
    _, gradient = step()
    row: dict[str, Any] = {"first_s": time.perf_counter() - start}
    row["gradient"] = [encode(np.asarray(g, np.float64)) for g in gradient]
    row["imports_mib"] = imports
    times: list[float] = []
    yield row | {"peak_mib": status_mib("VmHWM")}
    while len(times) < job.repeats and (len(times) < 2 or sum(times) < job.budget_s):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
        row |= {"step_s": float(np.median(times)), "times_s": times}
        if times[-1] > 1:  # quick steps are not disturbed by telling of each
            yield row | {"peak_mib": status_mib("VmHWM")}
    yield row | {"peak_mib": status_mib("VmHWM")}


def reset_peak_memory() -> float | None:
    """Lets the peak start from now; returns the MiB that are held now."""
    with contextlib.suppress(OSError):  # the peak then includes that of the imports
        Path("/proc/self/clear_refs").write_text("5")
    return status_mib("VmRSS")


def status_mib(name: str) -> float | None:
    """A line of Linux's /proc/self/status, in MiB; None elsewhere.

    Not `ru_maxrss`: a process inherits that from the one that started it.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
    return None


def platform_of() -> dict[str, Any]:
    """Where it ran, and the peak memory of JAX's device where that is known."""
    if (jax := sys.modules.get("jax")) is None:
        return {"platform": "cpu"}
    device = jax.devices()[0]
    peak = (device.memory_stats() or {}).get("peak_bytes_in_use")
    memory = {} if peak is None else {"device_peak_mib": peak / 2**20}
    return {"platform": device.platform, "machine": device.device_kind, **memory}


def encode(array: np.ndarray) -> str:
    """Every bit of an array of float64, short enough to be kept in JSON."""
    return base64.b64encode(np.ascontiguousarray(array, "<f8").tobytes()).decode()


def decode(text: str) -> np.ndarray:
    """The flat array that `encode` was given.

    Example:
        >>> decode(encode(np.array([[0.1, 2.0]])))
        array([0.1, 2. ])
    """
    return np.frombuffer(base64.b64decode(text), "<f8")


def ceilings() -> dict[str, Any]:
    """The machine's matrix product (GFLOP/s) and copy (GB/s), by JAX.

    The product is one of float32 at full precision. The copy reads and writes an array
    of 1 to 64 MiB in place (GPU: to 1 GiB); the fastest size counts. Of many
    repetitions the fastest one counts, too: a ceiling is what can be reached.
    """
    import jax
    import jax.numpy as jnp

    def seconds(function: Callable[[Any], Any], a: Any) -> float:
        compiled, times = jax.jit(function, donate_argnums=0), []
        a = jax.block_until_ready(compiled(a))
        for _ in range(50):
            start = time.perf_counter()
            a = jax.block_until_ready(compiled(a))
            times.append(time.perf_counter() - start)
        return min(times)

    on_cpu = jax.devices()[0].platform == "cpu"
    size = 1024 if on_cpu else 8192
    product = partial(jnp.matmul, precision="highest")
    taken = seconds(lambda a: product(a, a), jnp.full((size, size), 1 / size))
    copies = {}
    for mib in (1, 2, 4, 8, 64) if on_cpu else (64, 1024):
        taken_by_copy = seconds(lambda a: a + 1, jnp.ones(mib * 2**18))
        copies[str(mib)] = 2 * mib * 2**20 / taken_by_copy / 1e9
    return {
        "gflops": 2 * size**3 / taken / 1e9,
        "copy_gbs": max(copies.values()),
        "copy_gbs_by_mib": copies,
    }


# -- the circuit in PennyLane ----------------------------------------------------------


def qnode(name: str, n: int, **how: Any) -> Callable[..., Any]:
    """(weights, features) -> list of <Z_i>; features (n,) or (batch, n)."""
    import pennylane as qml

    @qml.qnode(qml.device(name, wires=n), **how)
    def node(weights: Any, features: Any) -> Any:
        qml.AngleEmbedding(features, range(n), rotation="Y")
        qml.StronglyEntanglingLayers(weights, range(n))
        return [qml.expval(qml.Z(i)) for i in range(n)]

    return node


def pennylane_jax(
    name: str,
    method: str = "best",
    vmap: bool = False,
    x64: bool = False,
    precision: str | None = None,
) -> Build:
    """A device under `jax.jit`: a broadcast batch, or `vmap` of one sample."""
    import jax
    import jax.numpy as jnp
    import pennylane as qml

    if x64:
        jax.config.update("jax_enable_x64", True)
    if precision:
        jax.config.update("jax_default_matmul_precision", precision)
    jax.devices()  # starts the backend
    qml.device(name, wires=1)  # imports the plugin

    def build(weights: np.ndarray, features: np.ndarray) -> Step:
        node = qnode(name, features.shape[1], diff_method=method)
        stacked = lambda w, x: jnp.stack(node(w, x))  # noqa: E731
        return jax_step(
            jax.vmap(stacked, (None, 0)) if vmap else stacked,
            weights,
            features,
            jnp.float64 if x64 else jnp.float32,
        )

    return build


def by_xla() -> Build:
    """Our device without its native kernels."""
    os.environ["QFM_NATIVE"] = "0"
    return pennylane_jax("qfm.statevector")


def pennylane_torch(name: str, **how: Any) -> Build:
    """A device with PyTorch tensors and a broadcast batch."""
    import pennylane as qml
    import torch

    qml.device(name, wires=1)

    def build(weights: np.ndarray, features: np.ndarray) -> Step:
        node = qnode(name, features.shape[1], interface="torch", **how)
        return torch_step(lambda w, x: torch.stack(node(w, x)), weights, features)

    return build


def lightning() -> Build:
    """lightning.qubit's adjoint method: double precision, sample by sample."""
    import pennylane as qml

    qml.device("lightning.qubit", wires=1)

    def build(weights: np.ndarray, features: np.ndarray) -> Step:
        node = qnode("lightning.qubit", features.shape[1], **ADJOINT)

        def loss(w: Any, x: Any) -> Any:
            return qml.numpy.mean(qml.numpy.stack(node(w, x)) ** 2)

        arrays = [qml.numpy.array(a, requires_grad=True) for a in (weights, features)]
        return lambda: (None, qml.grad(loss)(*arrays))

    return build


def one_mean(name: str, **how: Any) -> Build:
    """<Z_0> of one sample, and its gradient in the weights alone, in complex64."""
    import jax
    import jax.numpy as jnp
    import pennylane as qml

    qml.device(name, wires=2)  # imports the plugin
    jax.devices()  # starts the backend

    def build(weights: np.ndarray, features: np.ndarray) -> Step:
        n = features.shape[1]
        device = qml.device(name, wires=n, c_dtype=np.complex64)

        @qml.qnode(device, **how)
        def node(weights: Any) -> Any:
            qml.AngleEmbedding(features[0], range(n), rotation="Y")
            qml.StronglyEntanglingLayers(weights, range(n))
            return qml.expval(qml.Z(0))

        if name == "lightning.qubit":
            array = qml.numpy.array(weights, requires_grad=True)
            return lambda: (None, [qml.grad(node)(array)])
        array = jnp.asarray(weights, jnp.float32)
        compiled = jax.jit(jax.value_and_grad(node))

        def step() -> tuple[Any, Sequence[Any]]:
            value, gradient = jax.block_until_ready(compiled(array))
            return value, [gradient]

        return step

    return build


# -- the circuit elsewhere -------------------------------------------------------------


def rings(n: int, layers: int) -> Iterator[list[tuple[int, int]]]:
    """The CNOTs (control, target) of each strongly entangling layer."""
    for layer in range(layers):
        reach = layer % (n - 1) + 1
        yield [(i, (i + reach) % n) for i in range(n)]


def signs(n: int) -> np.ndarray:
    """(2^n, n): <Z_i> of each basis state; qubit 0 is the most significant bit."""
    bits = np.arange(2**n)[:, None] >> np.arange(n - 1, -1, -1) & 1
    return (1 - 2 * bits).astype(np.float32)


def qujax() -> Build:
    """One circuit for the features, one for the weights, under `vmap` and `jit`."""
    import jax
    import jax.numpy as jnp
    import qujax as library

    jax.devices()  # starts the backend

    def rot(phi: Any, theta: Any, omega: Any) -> Any:
        c, s = jnp.cos(theta / 2), jnp.sin(theta / 2)
        half, diff = 0.5j * (phi + omega), 0.5j * (phi - omega)
        upper = [jnp.exp(-half) * c, -jnp.exp(diff) * s]
        lower = [jnp.exp(-diff) * s, jnp.exp(half) * c]
        return jnp.array([upper, lower])

    def build(weights: np.ndarray, features: np.ndarray) -> Step:
        layers, n, _ = weights.shape
        gates, wires, which = [], [], []
        for layer, ring in enumerate(rings(n, layers)):
            starts = [3 * (layer * n + i) for i in range(n)]
            gates += [rot] * n + ["CX"] * n
            wires += [[i] for i in range(n)] + [list(pair) for pair in ring]
            which += [[i, i + 1, i + 2] for i in starts] + [[]] * n
        entangle = library.get_params_to_statetensor_func(gates, wires, which, n)
        each = [[i] for i in range(n)]
        embed = library.get_params_to_statetensor_func(["Ry"] * n, each, each, n)
        z = signs(n)

        def sample(w: Any, x: Any) -> Any:
            state = entangle(w.ravel(), embed(x / jnp.pi)).ravel()  # angles in pi
            return (state.real**2 + state.imag**2) @ z

        return jax_step(jax.vmap(sample, (None, 0)), weights, features)

    return build


def tensorcircuit() -> Build:
    """TensorCircuit-NG on its JAX backend, under `vmap` and `jit`."""
    import jax
    import tensorcircuit as tc

    jax.devices()  # starts the backend
    tc.set_backend("jax")

    def build(weights: np.ndarray, features: np.ndarray) -> Step:
        layers, n, _ = weights.shape
        z = signs(n)

        def sample(w: Any, x: Any) -> Any:
            circuit = tc.Circuit(n)
            for i in range(n):
                circuit.ry(i, theta=x[i])
            for layer, ring in enumerate(rings(n, layers)):
                for i in range(n):
                    phi, theta, omega = w[layer, i]
                    circuit.u(i, theta=theta, phi=omega, lbd=phi)
                for control, target in ring:
                    circuit.cnot(control, target)
            state = circuit.state()
            return (state.real**2 + state.imag**2) @ z

        return jax_step(jax.vmap(sample, (None, 0)), weights, features)

    return build


def torchquantum(method: str) -> Build:
    """TorchQuantum, eagerly; `method` is how it applies a matrix: bmm or einsum."""
    sys.meta_path.insert(0, StandIns())
    import torch
    import torchquantum as tq
    import torchquantum.functional as tqf

    def build(weights: np.ndarray, features: np.ndarray) -> Step:
        layers, n, _ = weights.shape
        z, how = torch.tensor(signs(n)), {"comp_method": method}

        def expectations(w: Any, x: Any) -> Any:
            device = tq.QuantumDevice(n_wires=n, bsz=len(x))
            for i in range(n):
                tqf.ry(device, wires=i, params=x[:, i : i + 1], **how)
            for layer, ring in enumerate(rings(n, layers)):
                for i in range(n):
                    phi, theta, omega = w[layer, i]
                    angles = torch.stack([theta, omega, phi])[None]
                    tqf.u3(device, wires=i, params=angles, **how)
                for pair in ring:
                    tqf.cnot(device, wires=list(pair), **how)
            state = device.get_states_1d()
            return (state.real**2 + state.imag**2) @ z

        return torch_step(expectations, weights, features)

    return build


def script(path: Path, n: int) -> Peer:
    """A script with `circuit(n, layers, g)` -> ((features, weights) -> (batch, n)).

    The g qubits of one matrix product are its choice to make: all sizes are tried.
    """
    sizes = [g for g in (4, 5, 6) if g <= n] or [n]
    return Peer(("jax",), {f"g={g}": partial(script_jax, path, g) for g in sizes})


def script_jax(path: Path, g: int) -> Build:
    import jax

    jax.devices()  # starts the backend
    circuit = runpy.run_path(str(path))["circuit"]

    def build(weights: np.ndarray, features: np.ndarray) -> Step:
        function = circuit(features.shape[1], len(weights), g)
        return jax_step(lambda w, x: function(x, w), weights, features)

    return build


# -- value and gradient ----------------------------------------------------------------


def jax_step(
    expectations: Callable[[Any, Any], Any],
    weights: np.ndarray,
    features: np.ndarray,
    dtype: Any = np.float32,
) -> Step:
    """Compiles value and gradient."""
    import jax
    import jax.numpy as jnp

    w, x = jnp.asarray(weights, dtype), jnp.asarray(features, dtype)
    loss = lambda w, x: jnp.mean(expectations(w, x) ** 2)  # noqa: E731
    compiled = jax.jit(jax.value_and_grad(loss, (0, 1)))
    return lambda: jax.block_until_ready(compiled(w, x))


def torch_step(
    expectations: Callable[[Any, Any], Any], weights: np.ndarray, features: np.ndarray
) -> Step:
    """Value and gradient on the CPU, eagerly."""
    import torch

    arrays = [torch.tensor(a, dtype=torch.float32) for a in (weights, features)]
    w, x = (a.requires_grad_() for a in arrays)

    def step() -> tuple[Any, Sequence[Any]]:
        loss = (expectations(w, x) ** 2).mean()
        return loss, torch.autograd.grad(loss, (w, x))

    return step


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Empty packages for what TorchQuantum imports, but does not simulate with.

    TorchQuantum 0.1.8 imports parts of Qiskit that are gone since Qiskit 1.0.
    """

    NAMES = ("qiskit", "qiskit_ibm_runtime", "qiskit_nature", "torchvision")

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """Answers for the packages in `NAMES` and everything below them."""
        if name.split(".")[0] not in self.NAMES:
            return None
        return importlib.util.spec_from_loader(name, self, is_package=True)

    def create_module(self, spec: Any) -> Any:
        """A module that has every name."""
        return unittest.mock.MagicMock(__all__=[], __file__=spec.name)

    def exec_module(self, module: Any) -> None:
        """Nothing to run."""


OURS = ("jax", "pennylane", "qfm_jax")
TORCH = ("pennylane", "torch")
BACKPROP = {"diff_method": "backprop"}
ADJOINT = {"diff_method": "adjoint", "device_vjp": True}
OUR_DEVICE = partial(pennylane_jax, "qfm.statevector")
JAX_DEVICE = partial(pennylane_jax, "default.qubit")
PEERS = {
    "qfm.statevector": Peer(OURS, {"adjoint": OUR_DEVICE}),
    "qfm.statevector by XLA": Peer(OURS, {"adjoint": by_xla}),
    "qfm.statevector backprop": Peer(
        OURS, {"": partial(OUR_DEVICE, method="backprop")}
    ),
    "qfm.statevector vmap": Peer(OURS, {"adjoint": partial(OUR_DEVICE, vmap=True)}),
    "qfm.statevector complex128": Peer(OURS, {"": partial(OUR_DEVICE, x64=True)}),
    # A broadcast batch compiled longer and ran slower in a trial at 7 qubits.
    "default.qubit": Peer(
        ("jax", "pennylane"), {"jit+vmap": partial(JAX_DEVICE, vmap=True)}
    ),
    # On a GPU default.qubit takes TF32 products, and its gradients are as inexact.
    "default.qubit float32": Peer(
        ("jax", "pennylane"),
        {"jit+vmap": partial(JAX_DEVICE, vmap=True, precision="highest")},
    ),
    "default.qubit broadcast": Peer(("jax", "pennylane"), {"jit": JAX_DEVICE}),
    "lightning.qubit": Peer(
        ("pennylane", "pennylane_lightning"), {"adjoint, complex128": lightning}
    ),
    "PennyLane-PyTorch": Peer(
        TORCH, {"broadcast": partial(pennylane_torch, "default.qubit", **BACKPROP)}
    ),
    "PyTorch on lightning.qubit": Peer(
        (*TORCH, "pennylane_lightning"),
        {"adjoint": partial(pennylane_torch, "lightning.qubit", **ADJOINT)},
    ),
    "PyTorch on qfm.statevector": Peer(
        (*TORCH, *OURS), {"adjoint": partial(pennylane_torch, "qfm.statevector")}
    ),
    "one mean": Peer(OURS, {"adjoint": partial(one_mean, "qfm.statevector")}),
    "one mean on lightning.qubit": Peer(
        ("pennylane", "pennylane_lightning"),
        {"adjoint": partial(one_mean, "lightning.qubit", diff_method="adjoint")},
    ),
    "TensorCircuit-NG": Peer(("jax", "tensorcircuit-ng"), {"jit+vmap": tensorcircuit}),
    "TorchQuantum": Peer(
        ("torch", "torchquantum"),
        {method: partial(torchquantum, method) for method in ("bmm", "einsum")},
    ),
    "qujax": Peer(("jax", "qujax"), {"jit+vmap": qujax}),
}


if __name__ == "__main__":
    main(sys.argv[1:])
