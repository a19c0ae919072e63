"""Words pulled back to the product state of the data: many samples, few qubits."""

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

RNG = np.random.default_rng(3)
MANY = 700
"""More than twice the 256 coefficients of four qubits."""


def prepare(name, x):
    """Gates of single qubits that take the data in, on all wires but the last."""
    for wire, value in enumerate(x):
        if name == "real":
            qml.RY(value, wire)
        elif name == "complex":
            qml.Hadamard(wire)
            qml.RZ(value, wire)
            qml.RX(0.4 * value, wire)
        else:  # one qubit of each sort
            (qml.RY, qml.RX, qml.RZ)[wire % 3](value, wire)


def operations(name, x, weights):
    prepare(name, x)
    n = len(x) + 1
    qml.StronglyEntanglingLayers(weights, range(n))
    qml.IsingXY(0.7, [0, n - 1])


def build(name, n, measure, method="best", dtype="complex64"):
    device = qml.device("qfm.statevector", wires=n, c_dtype=dtype)

    @qml.qnode(device, diff_method=method)
    def circuit(x, weights):
        operations(name, x, weights)
        return measure(n)

    return lambda x, weights: jnp.stack(circuit(x, weights))


def all_z(n):
    return [qml.expval(qml.Z(i)) for i in range(n)]


def mixed(n):
    """Words that share no basis, a sum of words, and a variance."""
    word = qml.X(0) @ qml.Y(n - 1)
    return [
        qml.expval(word),
        qml.expval(0.5 * qml.Z(1) - 2.0 * qml.Y(0) @ qml.Z(n - 1) + 0.25 * qml.I(0)),
        qml.var(qml.X(n - 1)),
    ]


def expected(name, x, weights, words):
    with qml.QueuingManager.stop_recording():
        tape = qml.tape.make_qscript(operations)(name, list(map(float, x)), weights)
    vector = reference.state(tape.operations, len(x) + 1)
    return np.array([reference.expectation(vector, word) for word in words])


def keeps_no_states(function, *arguments, n):
    """Whether the program holds no array of a state a sample."""
    text = jax.jit(function).lower(*arguments).as_text()
    return f"tensor<2x{2**n}x{MANY}x" not in text


@pytest.mark.parametrize("name", ["real", "complex", "either"])
@pytest.mark.parametrize("n", [3, 4])
def test_many_samples_are_those_of_dense_matrices(name, n):
    run = jax.vmap(build(name, n, all_z), in_axes=(0, None))
    x = RNG.uniform(-3, 3, (MANY, n - 1)).astype(np.float32)
    weights = RNG.uniform(-3, 3, (2, n, 3)).astype(np.float32)
    assert keeps_no_states(run, x, weights, n=n)
    found = jax.jit(run)(x, weights)
    words = ["I" * i + "Z" + "I" * (n - 1 - i) for i in range(n)]
    for i in (0, 17, MANY - 1):
        truth = expected(name, x[i], weights, words)
        np.testing.assert_allclose(found[i], truth, atol=3e-6)


@pytest.mark.parametrize("method", ["backprop", "adjoint"])
@pytest.mark.parametrize("measure", [all_z, mixed])
def test_values_and_slopes_are_those_of_a_loop(measure, method):
    n = 3
    one = build("either", n, measure, method)
    x = jnp.asarray(RNG.uniform(-3, 3, (MANY, n - 1)), jnp.float32)
    weights = jnp.asarray(RNG.uniform(-3, 3, (2, n, 3)), jnp.float32)
    factors = jnp.asarray(RNG.normal(size=(MANY, n)), jnp.float32)

    def together(x, weights):
        values = jax.vmap(one, (0, None))(x, weights)
        return (factors * values**2).sum(), values

    def in_turn(x, weights):
        values = jax.lax.map(lambda row: one(row, weights), x)
        return (factors * values**2).sum(), values

    assert keeps_no_states(lambda *a: together(*a)[1], x, weights, n=n)
    both = [
        jax.jit(jax.value_and_grad(f, (0, 1), has_aux=True))(x, weights)
        for f in (together, in_turn)
    ]
    ((_, found), slopes), ((_, truth), true_slopes) = both
    np.testing.assert_allclose(found, truth, atol=3e-6)
    for slope, true_slope in zip(slopes, true_slopes, strict=True):
        np.testing.assert_allclose(slope, true_slope, atol=1e-3, rtol=1e-4)


def test_slopes_are_finite_differences_in_double_precision():
    with jax.enable_x64(True):
        n = 3
        run = jax.vmap(build("complex", n, mixed, dtype="complex128"), (0, None))
        x = jnp.asarray(RNG.uniform(-3, 3, (MANY, n - 1)))
        weights = jnp.asarray(RNG.uniform(-3, 3, (1, n, 3)))
        along = jnp.asarray(RNG.normal(size=weights.shape))
        loss = jax.jit(lambda t: (run(x, weights + t * along) ** 3).sum(1).mean())
        assert keeps_no_states(run, x, weights, n=n)
        step = 1e-5
        difference = (loss(step) - loss(-step)) / (2 * step)
        np.testing.assert_allclose(jax.grad(loss)(0.0), difference, rtol=1e-7)
        forward = jax.jvp(loss, (0.0,), (1.0,))[1]
        np.testing.assert_allclose(forward, difference, rtol=1e-7)
        slope = jax.grad(loss)
        second = (slope(step) - slope(-step)) / (2 * step)
        np.testing.assert_allclose(jax.grad(slope)(0.0), second, rtol=1e-6)


def test_seeds_of_weights_each_with_its_samples():
    n = 3
    one = build("real", n, all_z)
    x = jnp.asarray(RNG.uniform(-3, 3, (2, MANY, n - 1)), jnp.float32)
    weights = jnp.asarray(RNG.uniform(-3, 3, (2, 2, n, 3)), jnp.float32)
    seed = jax.vmap(one, (0, None))
    found = jax.jit(jax.vmap(seed))(x, weights)
    for i in range(2):
        few = jax.jit(seed)(x[i, :5], weights[i])  # too few to be pulled back
        np.testing.assert_allclose(found[i, :5], few, atol=3e-6)


@settings(max_examples=15, deadline=None)
@given(
    letters=st.lists(st.text("IXYZ", min_size=3, max_size=3), min_size=1, max_size=3),
    seed=st.integers(0, 2**16),
)
def test_any_words(letters, seed):
    rng, n = np.random.default_rng(seed), 3

    def measure(_):
        return [
            qml.expval(qml.pauli.string_to_pauli_word(word, dict(enumerate(range(n)))))
            for word in letters
        ]

    x = rng.uniform(-3, 3, (MANY, n - 1)).astype(np.float32)
    weights = rng.uniform(-3, 3, (1, n, 3)).astype(np.float32)
    found = jax.vmap(build("complex", n, measure), (0, None))(x, weights)
    truth = expected("complex", x[1], weights, letters)
    np.testing.assert_allclose(found[1], truth, atol=3e-6)


def test_few_samples_run_through_the_circuit(by_xla):
    run = jax.vmap(build("real", 3, all_z), (0, None))
    x, weights = np.zeros((5, 2), np.float32), np.zeros((1, 3, 3), np.float32)
    assert "tensor<2x8x5x" in jax.jit(run).lower(x, weights).as_text()


@pytest.mark.parametrize("what", ["later", "prepared", "probabilities"])
def test_circuits_that_cannot_be_pulled_back_run_as_before(by_xla, what):
    n, device = 3, qml.device("qfm.statevector", wires=3, c_dtype="complex64")

    @qml.qnode(device)
    def circuit(x):
        if what == "prepared":
            qml.AmplitudeEmbedding(x, range(n), normalize=True)
        else:
            qml.AngleEmbedding(x[:n], range(n), rotation="Y")
        qml.Hadamard(0)
        qml.CNOT([0, 1])
        if what == "later":  # the data come in again
            qml.RX(x[3], 1)
        qml.CNOT([1, 2])
        if what == "probabilities":
            return (qml.probs([0, 2]),)
        return all_z(n)

    x = RNG.uniform(0.1, 3, (MANY, 8)).astype(np.float32)
    together = jax.vmap(lambda row: jnp.stack(circuit(row)))
    found = jax.jit(together)(x)
    assert not keeps_no_states(together, x, n=n)
    for i in (0, 9):
        truth = jnp.stack(circuit(jnp.asarray(x[i])))
        np.testing.assert_allclose(found[i], truth, atol=3e-6)


def test_a_projection_is_not_linear_and_is_not_pulled_back():
    device = qml.device("qfm.statevector", wires=3, c_dtype="complex64")

    @qml.qnode(device)
    def circuit(x):
        qml.RY(x[0], 0)
        qml.RY(x[1], 1)
        qml.CNOT([0, 1])
        qml.measure(1, postselect=0)
        qml.CRY(0.8, [0, 2])
        return qml.expval(qml.Z(2))

    x = RNG.uniform(0.3, 2, (MANY, 2)).astype(np.float32)
    found = jax.jit(jax.vmap(circuit))(x)
    # What is left are |00> and |11>, which leads to |10>; the angle of qubit 2 is 0.8.
    zeros, ones = np.cos(x / 2).prod(1) ** 2, np.sin(x / 2).prod(1) ** 2
    truth = (zeros + ones * np.cos(0.8)) / (zeros + ones)
    np.testing.assert_allclose(found, truth, atol=3e-6)
    step = np.array([1e-3, 0], np.float32)
    slope = (circuit(x[0] + step) - circuit(x[0] - step)) / 2e-3
    by_jax = jax.grad(circuit)(jnp.asarray(x[0]))
    np.testing.assert_allclose(by_jax[0], slope, atol=1e-3)
