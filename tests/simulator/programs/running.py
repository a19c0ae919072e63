"""Runs a program in every interface and compares it with the judge.

A program is one operation, behind a start that leaves no wire in |0> and before
rotations that make its phases visible. The judge is `default.qubit` in double precision
with NumPy, one sample at a time; its gradients are finite differences. So it shares
with what is judged neither the interface nor the batch nor the derivative.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml

STARTS = ("Hadamards", "rotations")
PRECISIONS = ("complex64", "complex128")
ANGLES = np.array([0.83, -1.37, 2.1])
TOLERANCE = {"complex64": 5e-5, "complex128": 1e-8}
STEP = 3e-3
SHIFTS = (0.0, 0.23)
"""What `vmap` adds to all arguments, a sample each."""
BATCH = 0.17 * np.arange(3)
"""What broadcasting adds to the arguments that have a batch axis."""


@dataclass(frozen=True, eq=False)
class Program:
    """One operation or one read-out, and what may be done with it."""

    build: Callable
    """Called with `values`: queues operations, or returns measurements."""
    values: tuple = ()
    """Numbers and arrays that are traced, mapped over and differentiated."""
    n_wires: int = 3
    """The start touches wires 0 to n_wires - 1; work wires come after."""
    batch: tuple = ()
    """Which values may have a leading batch axis."""
    without: dict = field(default_factory=dict)
    """Modes that `default.qubit` does not run, and why."""
    is_readout: bool = False


def numbers(*shape, seed=0):
    """Reproducible numbers of both signs, beyond 1 in size; a float without a shape."""
    drawn = np.random.default_rng([seed, *shape]).uniform(-2.2, 2.2, shape)
    return drawn if shape else float(drawn)


def unit(n, seed=0):
    """A random normalised vector of n complex amplitudes."""
    vector = numbers(n, seed=seed) + 1j * numbers(n, seed=seed + 1)
    return vector / np.linalg.norm(vector)


def unitary(n, seed=0):
    """A random n x n unitary matrix."""
    return np.linalg.qr(numbers(n, n, seed=seed) + 1j * numbers(n, n, seed=seed + 1))[0]


def hermitian(n, seed=0):
    """A random n x n Hermitian matrix."""
    matrix = numbers(n, n, seed=seed) + 1j * numbers(n, n, seed=seed + 1)
    return (matrix + matrix.conj().T) / 2


def node_of(program, begin, name, precision="complex128", **how):
    """The program as a QNode of three angles and its values."""

    def circuit(angles, *values):
        _start(begin, program.n_wires, angles)
        if program.is_readout:
            qml.CRX(angles[..., 1], [0, 1])
            qml.CRX(angles[..., 2], [1, 2])
            return program.build(*values)
        program.build(*values)
        return _finish(angles)

    options = {"c_dtype": precision} if name == "qfm.statevector" else {}
    return qml.QNode(circuit, qml.device(name, **options), **how)


def _start(begin, n, angles):
    """Leaves no wire in |0>: a constant state, or one that depends on the angles."""
    for wire in range(n):
        if begin == "Hadamards":
            qml.Hadamard(wire)
        else:
            qml.RY(angles[..., 0] + 0.7 * wire, wire)
            qml.RZ(1.3 - 0.4 * wire, wire)
    if begin == "rotations":
        for wire in range(n):
            qml.CNOT([wire, (wire + 1) % n])


def _finish(angles):
    qml.RX(angles[..., 1], 0)
    qml.CRY(angles[..., 2], [0, 1])
    qml.Rot(0.3, -1.1, 0.8, 2)
    qml.CNOT([1, 2])
    qml.RY(-0.9, 1)
    word = qml.X(0) @ qml.Y(1) @ qml.Z(2)
    return [qml.expval(word), qml.expval(qml.Z(1)), qml.probs(wires=[0, 2])]


def flat(results):
    """All results, however nested, as one list."""
    if not isinstance(results, list | tuple):
        return [results]
    return [part for result in results for part in flat(result)]


def weigh(results):
    """A number that depends on every result: its gradient is what is compared."""
    total = 0.0
    for i, part in enumerate(flat(results)):
        count = int(np.prod(qml.math.shape(part)))
        part = qml.math.reshape(part, (count,))
        parts = [qml.math.real(part)]
        if qml.math.get_dtype_name(part).startswith("complex"):
            parts.append(qml.math.imag(part))
        for j, real in enumerate(parts):
            ramp = np.cos(1 + i + 0.5 * j + np.arange(count))
            like = qml.math.get_interface(real)
            ramp = qml.math.cast_like(qml.math.asarray(ramp, like=like), real)
            total = total + qml.math.sum(real * ramp)
    return total


def arguments(program):
    """The angles and the values, of float64."""
    return [ANGLES, *(np.asarray(value, float) for value in program.values)]


@cache
def expected(program, begin, kind):
    """What the judge gives for a program."""
    node = node_of(program, begin, "default.qubit")
    return judge(node, arguments(program), kind, (0, *(i + 1 for i in program.batch)))


def compare(program, begin, mode, precision, name="qfm.statevector"):
    """Asserts that the device gives, in this mode, what the judge gives."""
    node = node_of(program, begin, name, precision)
    args, batch = arguments(program), (0, *(i + 1 for i in program.batch))
    results, slope = run(node, args, mode, precision, batch)
    kind = mode if mode in {"vmap", "broadcast"} else "value"
    assert_close(results, expected(program, begin, kind), precision)
    if slope is not None:
        right = expected(program, begin, SLOPES[mode])
        assert_close([slope], [np.asarray(right)], precision, loose=10)


def assert_close(got, wanted, precision, loose=1):
    """Equal in shape, and in value to the precision, beside the largest value."""
    atol = loose * TOLERANCE[precision]
    for one, other in zip(got, wanted, strict=True):
        assert one.shape == other.shape
        size = max(1.0, np.abs(other).max(initial=0))
        np.testing.assert_allclose(one, other, atol=atol * size, rtol=0)


def directions(args):
    """A unit vector in the space of all arguments, along which gradients are taken."""
    drawn = [numbers(*np.shape(a), seed=7 + i) for i, a in enumerate(args)]
    size = np.sqrt(sum(np.sum(np.square(d)) for d in drawn))
    return [d / size for d in drawn]


def batched(args, batch):
    """The arguments, those in `batch` with a leading axis of three samples."""
    return [
        np.stack([a + step for step in BATCH]) if i in batch else a
        for i, a in enumerate(args)
    ]


def judge(node, args, kind, batch=(0,)):
    """By a QNode on NumPy: "value", "broadcast", "vmap", "gradient" or "curvature"."""

    def values(args):
        return [np.asarray(part) for part in flat(node(*args))]

    def loss(t):
        way = directions(args)
        return weigh(values([a + t * d for a, d in zip(args, way, strict=True)]))

    with jax.enable_x64(True):  # pulses are solved by JAX
        if kind == "value":
            return values(args)
        if kind == "slope":
            near, far = (loss(h) - loss(-h) for h in (STEP, 2 * STEP))
            return (8 * near - far) / (12 * STEP)
        if kind == "curvature":
            near, far = (loss(h) + loss(-h) for h in (3 * STEP, 6 * STEP))
            return (16 * near - far - 30 * loss(0)) / (12 * (3 * STEP) ** 2)
        if kind == "vmap":
            samples = [[a + step for a in args] for step in SHIFTS]
        else:
            whole = batched(args, batch)
            samples = [
                [w[i] if j in batch else w for j, w in enumerate(whole)]
                for i in range(len(BATCH))
            ]
        runs = [values(sample) for sample in samples]
        return [np.stack(parts) for parts in zip(*runs, strict=True)]


def run(node, args, mode, precision, batch=(0,)):
    """Results, as NumPy arrays, and the gradient where the mode gives one."""
    with jax.enable_x64(precision == "complex128"):
        if mode == "broadcast":
            args = batched(args, batch)
        results, slope = MODES[mode](node, args)
        results = [np.asarray(qml.math.detach(part)) for part in flat(results)]
        return results, None if slope is None else np.asarray(slope)


def _on_jax(args):
    return [jnp.asarray(a, float) for a in args]


def _along(args, gradients):
    pairs = zip(gradients, directions(args), strict=True)
    return sum(np.sum(np.asarray(g) * d) for g, d in pairs)


def _loss_along(node, args):
    """The loss as a function of the distance from the arguments."""
    way = _on_jax(directions(args))

    def loss(t):
        return weigh(node(*(a + t * d for a, d in zip(args, way, strict=True))))

    return loss


def _in_numpy(node, args):
    return node(*args), None


def _in_jax(node, args):
    return node(*_on_jax(args)), None


def _in_jit(node, args):
    return jax.jit(node)(*_on_jax(args)), None


def _in_grad(node, args):
    def loss(*args):
        results = node(*args)
        return weigh(results), results

    every = tuple(range(len(args)))
    both = jax.jit(jax.value_and_grad(loss, every, has_aux=True))
    (_, results), gradients = both(*_on_jax(args))
    return results, _along(args, gradients)


def _in_forward(node, args):
    on_jax = _on_jax(args)
    way = tuple(_on_jax(directions(args)))
    _, slope = jax.jvp(lambda *a: weigh(node(*a)), tuple(on_jax), way)
    return node(*on_jax), slope


def _in_second(node, args):
    on_jax = _on_jax(args)
    slope = jax.grad(jax.grad(_loss_along(node, on_jax)))(0.0)
    return node(*on_jax), slope


def _in_vmap(node, args):
    stacked = [np.stack([a + step for step in SHIFTS]) for a in args]
    return jax.vmap(node)(*_on_jax(stacked)), None


def _in_autograd(node, args):
    boxed = [qml.numpy.array(a, requires_grad=True) for a in args]
    every = list(range(len(args)))
    gradients = qml.grad(lambda *a: weigh(node(*a)), argnums=every)(*boxed)
    return node(*boxed), _along(args, gradients)


def _in_torch(node, args):
    import torch

    tensors = [torch.tensor(a, requires_grad=True) for a in args]
    results = node(*tensors)
    total = weigh(results)
    if not qml.math.requires_grad(total):  # nothing of the data reached the circuit
        return results, None
    total.backward()
    gradients = [np.zeros(t.shape) if t.grad is None else t.grad for t in tensors]
    return results, _along(args, gradients)


MODES = {
    "numpy": _in_numpy,
    "jax": _in_jax,
    "jit": _in_jit,
    "grad": _in_grad,
    "forward": _in_forward,
    "second": _in_second,
    "vmap": _in_vmap,
    "broadcast": _in_jax,
    "autograd": _in_autograd,
    "torch": _in_torch,
}
SLOPES = dict.fromkeys(("grad", "forward", "autograd", "torch"), "slope")
SLOPES["second"] = "curvature"
