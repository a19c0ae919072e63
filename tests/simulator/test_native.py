"""The native kernels against dense matrices, `default.qubit` and XLA's program."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qfm_jax.circuits.unitary import known_unitary
from qfm_jax.simulator import native
from qfm_jax.simulator.native.compiler import in_levels
from qfm_jax.simulator.native.program import Placed

pytestmark = pytest.mark.skipif(
    not native.are_there(), reason=f"no native kernels: {native.why_missing()}"
)
RNG = np.random.default_rng(0)


def layers(n, x, weights):
    """Gates of all sorts: real, complex, of each sample, permutations, phases."""
    for i in range(n):
        qml.RY(x[i], i)
    qml.CNOT([0, n - 1])
    for layer in weights:
        for i in range(n):
            qml.Rot(*layer[i], i)
            qml.CNOT([i, (i + 1) % n])
        qml.X(0)
        qml.SWAP([0, n - 1])
        qml.RZ(x[0], 1)
        qml.IsingXX(x[1], [0, n - 1])
        qml.IsingZZ(layer[0, 0], [0, 1])
        qml.CRY(layer[0, 1], [n - 1, 0])
        qml.Toffoli([0, 1, n - 1])
        qml.RY(layer[1, 0], 1)
        qml.Hadamard(0)


def of_words(n):
    """Means with signs, of several wires, in a basis of their own."""
    return [
        qml.expval(qml.Z(0)),
        qml.expval(qml.Z(0) @ qml.Y(1)),
        qml.expval(0.3 * qml.X(n - 1) - 2 * qml.Z(0)),
        qml.var(qml.Y(1)),
    ]


def of_other_words(n):
    """Means in several bases, with an even and an odd number of Y."""
    return [
        qml.expval(qml.X(0) @ qml.Y(1) @ qml.Z(n - 1)),
        qml.expval(qml.Y(0) @ qml.Y(1)),
        qml.expval(0.3 * qml.Y(0) - 2 * qml.Z(0) + qml.X(0) @ qml.Y(1) @ qml.Y(2)),
        qml.var(qml.Y(0) @ qml.Z(1) @ qml.Y(2)),
    ]


def build(n, device="qfm.statevector", read=of_words, **how):
    @qml.qnode(qml.device(device, wires=n), **how)
    def circuit(x, weights):
        layers(n, x, weights)
        return read(n)

    return lambda x, weights: jnp.stack(circuit(x, weights))


def runs_natively(function, *arguments):
    return "qfm_forward" in jax.jit(function).lower(*arguments).as_text()


def numbers(n, batch, depth=2):
    x, weights = RNG.uniform(0, 3, (batch, n)), RNG.uniform(0, 3, (depth, n, 3))
    return x, weights


def value_and_gradients(run, x, weights):
    """Of a loss whose cotangents are all different."""
    scale = jnp.asarray(np.linspace(0.5, 1.5, 4 * len(x)).reshape(len(x), 4))

    def loss(x, weights):
        values = jax.vmap(run, (0, None))(x, weights)
        return jnp.sum(scale * values), values

    (_, values), found = jax.jit(
        jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
    )(x, weights)
    return [values, *found]


@pytest.mark.parametrize("read", [of_words, of_other_words])
@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize(("n", "batch"), [(3, 1), (3, 5), (5, 37), (13, 3)])
def test_values_and_gradients_are_those_of_default_qubit(n, batch, double, read):
    # Of 13 wires a state is worked on in blocks.
    x, weights = numbers(n, batch, depth=1 if n > 9 else 2)
    with jax.enable_x64(True):
        exact = value_and_gradients(
            build(n, "default.qubit", read, diff_method="backprop"), x, weights
        )
    with jax.enable_x64(double):
        kind = jnp.float64 if double else jnp.float32
        given = jnp.asarray(x, kind), jnp.asarray(weights, kind)
        run = build(n, read=read)
        assert runs_natively(jax.vmap(run, (0, None)), *given)
        found = value_and_gradients(run, *given)
    for one, other in zip(found, exact, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-11 if double else 3e-5)


def test_a_gate_of_five_wires_is_its_matrix():
    n, batch = 6, 3
    rng = np.random.default_rng(1)
    raw = rng.normal(size=(2, 32, 32)) + 1j * rng.normal(size=(2, 32, 32))
    first, second = (np.linalg.qr(m)[0] for m in raw)
    x = rng.uniform(0, 3, (batch, n))

    @qml.qnode(qml.device("qfm.statevector", wires=n, c_dtype="complex128"))
    def circuit(x, matrix):
        qml.AngleEmbedding(x, range(n), rotation="Y")
        qml.QubitUnitary(matrix, [4, 0, 2, 5, 1])
        qml.CNOT([5, 3])
        qml.QubitUnitary(second, [1, 3, 4, 0, 2])
        return [qml.expval(qml.Z(i)) for i in range(n)]

    with jax.enable_x64(True):
        run = jax.jit(
            lambda x: jax.vmap(lambda r: jnp.stack(circuit(r, jnp.asarray(first))))(x)
        )
        found = run(x)
    for i in range(batch):
        state = np.ones(1)
        for angle in x[i]:
            state = np.kron(state, [np.cos(angle / 2), np.sin(angle / 2)])
        for matrix, wires in (
            (first, [4, 0, 2, 5, 1]),
            (qml.CNOT.compute_matrix(), [5, 3]),
            (second, [1, 3, 4, 0, 2]),
        ):
            state = qml.math.expand_matrix(matrix, wires, range(n)) @ state
        weights = (np.abs(state) ** 2).reshape((2,) * n)
        for wire in range(n):
            one = weights.sum(tuple(set(range(n)) - {wire}))
            np.testing.assert_allclose(found[i, wire], one[0] - one[1], atol=1e-12)


def rotations(n, x, weights):
    """Rotations about all axes, phases of the batch and of each sample, diagonals."""
    for i in range(n):
        qml.RX(x[i], i)
    for layer in weights:
        for i in range(n):
            qml.U3(*layer[i], i)
            qml.RX(layer[i, 0], i)
            qml.PhaseShift(layer[i, 1], (i + 1) % n)
        for i in range(n):
            qml.IsingZZ(layer[i, 2], [i, (i + 1) % n])
        for i in range(n):
            qml.CNOT([i, (i + 1) % n])
            qml.RY(x[i], i)
        qml.MultiRZ(x[0], [0, n - 1, 1])
        qml.RZ(x[1], 2)
        phases = jnp.outer(jnp.array([0.3, 1.0]), layer[:2, 0]).ravel() * x[1]
        known_unitary(qml.DiagonalQubitUnitary(jnp.exp(1j * phases), [n - 1, 1]))
        shared = jnp.exp(1j * jnp.resize(layer.ravel(), 2**n))
        known_unitary(qml.DiagonalQubitUnitary(shared, [*range(1, n), 0]))
        qml.RX(layer[0, 0], 0)
        qml.Rot(x[0], layer[0, 1], x[1], 1)


@pytest.mark.parametrize(
    ("n", "batch", "double"),
    [(3, 4, True), (3, 4, False), (6, 19, False), (9, 3, True), (9, 3, False)],
)
def test_rotations_phases_and_diagonals(n, batch, double):
    # Of few samples and nine wires, amplitudes are side by side.
    def circuit(x, weights):
        rotations(n, x, weights)
        return of_other_words(n)

    x, weights = numbers(n, batch, depth=1 if n > 6 else 2)
    with jax.enable_x64(True):
        device = qml.device("default.qubit", wires=n)
        node = qml.QNode(circuit, device, diff_method="backprop")
        exact = value_and_gradients(lambda *a: jnp.stack(node(*a)), x, weights)
    with jax.enable_x64(double):
        kind = jnp.float64 if double else jnp.float32
        given = jnp.asarray(x, kind), jnp.asarray(weights, kind)
        node = qml.QNode(circuit, qml.device("qfm.statevector", wires=n))
        run = lambda *a: jnp.stack(node(*a))  # noqa: E731
        assert runs_natively(jax.vmap(run, (0, None)), *given)
        found = value_and_gradients(run, *given)
    for one, other in zip(found, exact, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-11 if double else 1e-4)


@pytest.mark.parametrize(
    ("n", "batch", "angle"), [(3, 5, 3.0), (3, 5, 1e6), (9, 2, 1e3), (9, 2, -2.5e4)]
)
def test_large_angles_lose_nothing(n, batch, angle):
    def circuit(x, turn):
        for i in range(n):
            qml.RY(x[i] * 100, i)
            qml.RZ(turn + i, i)
            qml.RY(turn * 1.1, i)
            qml.IsingZZ(turn, [i, (i + 1) % n])
            qml.RX(turn - i, i)
        return [qml.expval(qml.Z(i)) for i in range(n)]

    def found(name):
        node = qml.QNode(circuit, qml.device(name, wires=n))
        each = lambda t: jax.vmap(lambda r: jnp.stack(node(r, t)))(x)  # noqa: E731
        return jax.jit(lambda t: (each(t), jax.jacfwd(lambda t: each(t).sum())(t)))(
            angle
        )

    with jax.enable_x64(True):
        x = jnp.asarray(RNG.uniform(0, 30, (batch, n)))
        for one, other in zip(
            *map(found, ("qfm.statevector", "default.qubit")), strict=True
        ):
            np.testing.assert_allclose(one, other, atol=1e-8)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(1, 15), st.integers(1, 15)), max_size=12
    )
)
def test_gates_in_levels_keep_the_order_of_those_that_conflict(rows):
    gates = [
        Placed(i, 0, 0, 1, 0, (0,) if is_phase else (flip,), (reads,))
        for i, (is_phase, flip, reads) in enumerate(rows)
    ]
    found = in_levels(gates)
    assert sorted(gate.source for gate in found) == list(range(len(rows)))
    place = {gate.source: i for i, gate in enumerate(found)}
    for i, one in enumerate(gates):
        for other in gates[i + 1 :]:
            crossed = [one.flips[0] & other.reads[0], other.flips[0] & one.reads[0]]
            if any(bits.bit_count() & 1 for bits in crossed):
                assert place[one.source] < place[other.source]


def test_prepared_states_and_their_gradients():
    n, batch = 4, 7
    x = RNG.uniform(0.1, 1, (batch, 8)) + 0j

    def circuit(x):
        qml.StatePrep(x, [3, 0, 2], normalize=True)
        qml.RY(0.3, 1)
        qml.CNOT([3, 1])
        qml.IsingXX(0.4, [0, 2])
        return [qml.expval(qml.Z(i)) for i in range(n)]

    def gradients(device):
        node = qml.QNode(circuit, qml.device(device, wires=n))
        loss = lambda x: jnp.sum(jax.vmap(lambda r: jnp.stack(node(r)))(x)[:, 1] ** 2)  # noqa: E731
        return jax.value_and_grad(loss)(jnp.asarray(x))

    with jax.enable_x64(True):
        for one, other in zip(
            *map(gradients, ("qfm.statevector", "default.qubit")), strict=True
        ):
            np.testing.assert_allclose(one, other, atol=1e-12)


def test_other_derivatives_are_those_of_xlas_program(request):
    n, batch = 3, 4
    x, weights = (jnp.asarray(a, jnp.float32) for a in numbers(n, batch, depth=1))

    def found():
        run = build(n)
        each = jax.vmap(run, (0, None))
        loss = lambda w: jnp.sum(each(x, w) ** 2)  # noqa: E731
        return [
            jax.jvp(lambda w: each(x, w), (weights,), (jnp.ones_like(weights),))[1],
            jax.jacrev(lambda w: run(x[0], w))(weights),
            jax.jacfwd(lambda w: run(x[0], w))(weights),
            jax.hessian(loss)(weights),
            jax.vmap(jax.grad(lambda r, w: run(r, w).sum(), 1), (0, None))(x, weights),
            jax.grad(lambda w: jnp.sum(jax.grad(loss)(w) ** 2))(weights),
        ]

    natively = found()
    request.getfixturevalue("by_xla")
    for one, other in zip(natively, found(), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3, rtol=2e-3)


def test_the_bits_do_not_depend_on_the_number_of_threads():
    program = """
import hashlib, sys; sys.path.insert(0, "tests/simulator")
import jax, jax.numpy as jnp, numpy as np
from test_native import build, numbers, value_and_gradients
for n, batch in [(3, 300), (9, 300), (13, 3)]:
    x, w = (jnp.asarray(a, jnp.float32) for a in numbers(n, batch, 1))
    found = value_and_gradients(build(n), x, w)
    print(hashlib.sha256(b"".join(np.asarray(a).tobytes() for a in found)).hexdigest())
"""
    digests = set()
    for threads in (1, 2, 5):
        environment = {**os.environ, "NPROC": str(threads), "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            **{"capture_output": True, "text": True, "env": environment},
        )
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout)
    assert len(digests) == 1, digests


def raw(code, shared, samples):
    """The forward call with any program, however wrong."""
    words = int(code[3]) if len(code) > 3 else 1
    outs = [
        jax.ShapeDtypeStruct((max(words, 0), samples.shape[1]), np.float32),
        jax.ShapeDtypeStruct((0,), np.float32),
    ]
    run = jax.ffi.ffi_call("qfm_forward_f32", outs)
    return jax.jit(lambda a, b: run(a, b, code=np.asarray(code, np.int32)))(
        shared, samples
    )


def good_code():
    """One wire: a part of two numbers, a real gate, a diagonal, <Z>."""
    part, word = [1, 0, 0, 0], [1, 1, 0, 0, 0]
    gate = [0, 1, 0, 0, 0, 2, 0, *(1, 0, 0, 0, 0), *(1, 0, 0, 0, 0)]
    diagonal = [3, 1, 0, 0, 0, 3, 0, *(0, 0, 0, 0, 0), *(0, 0, 0, 0, 0)]
    body = [*part, *gate, *diagonal, *word, 1]
    return [1, 1, 2, 1, 8 + len(body), 6, 1, 1, *body]


SHARED = np.array([1, 0, 0, 1, -1, 0], np.float32)
SAMPLES = np.zeros((1, 3), np.float32)


def test_a_program_by_hand():
    (words, _) = raw(good_code(), SHARED, SAMPLES)
    np.testing.assert_array_equal(words, [[-1, -1, -1]])


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (0, 31, "numbers of wires"),
        (0, 2, "do not make up all wires"),
        (4, 5, "another length"),
        (5, 7, "other sizes"),
        (7, 2, "another length"),
        (7, -1, "out of range"),
        (8, 9, "initial state is too wide"),
        (9, 3, "no known sort"),
        (11, 5, "initial state is read outside"),
        (12, 4, "no known kind"),
        (13, 6, "no known kind or width"),
        (17, 3, "a gate is read outside"),
        (17, -1, "a gate is read outside"),
        (19, 2, "wires are out of range"),
        (19, 0, "flips depend on each other"),
        (24, -1, "wires are out of range"),
        (30, 2, "a diagonal's wires"),
        (34, 5, "a diagonal is read outside"),
        (35, 2, "a diagonal's wires"),
        (36, 1, "a diagonal's wires"),
        (36, -1, "a diagonal's wires"),
        (46, 8, "word's wires"),
        (48, 8, "word's wires"),
        (50, 1, "word's wires or its row"),
    ],
)
def test_what_a_program_says_is_checked_before_memory_is_touched(
    place, value, sentence
):
    code = good_code()
    code[place] = value
    with pytest.raises(jax.errors.JaxRuntimeError, match=sentence):
        jax.block_until_ready(raw(code, SHARED, SAMPLES))


def test_a_program_that_is_cut_off():
    with pytest.raises(jax.errors.JaxRuntimeError, match="too short"):
        jax.block_until_ready(raw([1, 1, 1, 1], SHARED, SAMPLES))


@pytest.mark.parametrize(
    "what", ["probabilities", "not unitary", "backprop", "matrix observable"]
)
def test_what_the_kernels_lack_runs_by_xla(what):
    def circuit(x):
        qml.RY(x, 0)
        qml.CNOT([0, 1])
        if what == "not unitary":
            qml.exp(qml.Z(0), 0.2)
        if what == "probabilities":
            return qml.probs(wires=[0])
        if what == "matrix observable":
            return qml.expval(qml.Hermitian(np.diag([1.0, 2.0]), 0))
        return qml.expval(qml.Z(0))

    method = "backprop" if what == "backprop" else "best"
    device = qml.device("qfm.statevector", wires=2)
    node = qml.QNode(circuit, device, diff_method=method)
    assert not runs_natively(node, jnp.float32(0.3))
    exact = qml.QNode(circuit, qml.device("default.qubit", wires=2))
    np.testing.assert_allclose(node(jnp.float32(0.3)), exact(0.3), atol=1e-6)


@pytest.mark.parametrize("name", ["avx2", "baseline"])
def test_narrower_vectors_give_the_same(name):
    program = """
import sys; sys.path.insert(0, "tests/simulator")
import numpy as np, jax.numpy as jnp
import test_native as here
from qfm_jax.circuits.unitary import known_unitary
from qfm_jax.simulator import native
for n, batch, read in [(3, 5, here.of_words), (4, 37, here.of_other_words),
                       (15, 2, here.of_words)]:
    x, w = (jnp.asarray(a, jnp.float32) for a in here.numbers(n, batch, 1))
    found = here.value_and_gradients(here.build(n, read=read), x, w)
    rows = [f"{v:.3f}" for a in found for v in np.ravel(a)[:40]]
    print(native.lanes(4, 3, 64), *rows)
"""
    found = []
    for chosen in (name, ""):
        environment = {**os.environ, "QFM_NATIVE": chosen, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            **{"capture_output": True, "text": True, "env": environment},
        )
        assert done.returncode == 0, done.stderr
        found.append([row.split() for row in done.stdout.splitlines()])
    assert int(found[0][0][0]) <= int(found[1][0][0])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(
            np.array(one[1:], float), np.array(other[1:], float), atol=2e-3
        )


def test_switched_off_by_the_environment():
    program = "from qfm_jax.simulator import native; print(native.why_missing())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        **{
            "capture_output": True,
            "text": True,
            "env": {**os.environ, "QFM_NATIVE": "0"},
        },
    )
    assert done.stdout == "QFM_NATIVE=0 switches them off\n", done.stderr
