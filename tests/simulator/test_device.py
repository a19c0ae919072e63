"""The device against the oracle, default.qubit and itself, transformed."""

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest
import reference

from qfm_jax._checks import InputError
from qfm_jax.simulator import StateVectorDevice, memory

N, LAYERS, BATCH = 4, 3, 5


def _numbers(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


W, X = jnp.asarray(_numbers(LAYERS, N, 3)), jnp.asarray(_numbers(BATCH, N, seed=1))


def _strong(weights, features):
    qml.AngleEmbedding(features, range(N), rotation="Y")
    qml.StronglyEntanglingLayers(weights, range(N))


def _reupload(weights, features):
    for layer in range(LAYERS):
        qml.AngleEmbedding(features, range(N), rotation="X")
        for wire in range(N):
            qml.RY(weights[layer, wire, 0], wire)
            qml.RZ(weights[layer, wire, 1], wire)
        for wire in range(N - 1):
            qml.CNOT([wire, wire + 1])


def _phases(weights, features):
    qml.AmplitudeEmbedding(features, range(2), normalize=True)
    qml.IQPEmbedding(features, range(N), n_repeats=2)
    for wire in range(N):
        qml.CRX(weights[0, wire, 0], [wire, (wire + 1) % N])
        qml.CZ([wire, (wire + 2) % N])
    qml.QubitUnitary(qml.RX.compute_matrix(weights[1, 0, 0]), 1)


CIRCUITS = [_strong, _reupload, _phases]

# Autograd, in the reference, casts what a complex embedding gave back to real.
pytestmark = pytest.mark.filterwarnings("ignore:Casting complex values to real")


def _node(circuit, **how):
    @qml.qnode(qml.device("qfm.statevector", wires=N), **how)
    def node(weights, features):
        circuit(weights, features)
        return [qml.expval(qml.Z(i)) for i in range(N)]

    return lambda weights, features: jnp.stack(node(weights, features), -1)


def _by_default_qubit(circuit, weights, features):
    """Expectations, and both gradients of the loss: NumPy, double precision."""

    @qml.qnode(qml.device("default.qubit", wires=N))
    def node(weights, features):
        circuit(weights, features)
        return [qml.expval(qml.Z(i)) for i in range(N)]

    run = lambda w, x: qml.numpy.stack(node(w, x))  # noqa: E731
    values = [qml.numpy.array(np.asarray(a, float)) for a in (weights, features)]
    loss = lambda w, x: qml.numpy.mean(run(w, x) ** 2)  # noqa: E731
    return run(*values).T, qml.grad(loss)(*values)


def _loss(run):
    return lambda weights, features: jnp.mean(run(weights, features) ** 2)


def _close(got, expected, atol=2e-6):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=atol), got, expected
    )


@pytest.mark.parametrize("circuit", CIRCUITS)
def test_agrees_with_default_qubit_and_with_every_way_to_batch(circuit):
    run = _node(circuit)
    expected, _ = _by_default_qubit(circuit, W, X)
    _close(jax.jit(run)(W, X), expected)
    _close(jax.jit(jax.vmap(run, (None, 0)))(W, X), expected)
    _close(jnp.stack([jax.jit(run)(W, x) for x in X]), expected)
    _close(run(np.asarray(W, float), np.asarray(X, float)), expected)


@pytest.mark.parametrize("method", ["backprop", "adjoint"])
@pytest.mark.parametrize("circuit", CIRCUITS)
def test_gradients_agree_with_default_qubit(circuit, method):
    _, expected = _by_default_qubit(circuit, W, X)
    run = _node(circuit, diff_method=method)
    _close(jax.jit(jax.grad(_loss(run), (0, 1)))(W, X), expected)


@pytest.mark.parametrize("method", ["backprop", "adjoint"])
def test_every_nesting_of_transformations_agrees(method):
    # Three qubits and two layers: second derivatives compile for seconds.
    W, X = jnp.asarray(_numbers(2, 3, 3)), jnp.asarray(_numbers(BATCH, 3, seed=1))

    @qml.qnode(StateVectorDevice(wires=3), diff_method=method)
    def node(weights, features):
        qml.AngleEmbedding(features, range(3), rotation="Y")
        qml.StronglyEntanglingLayers(weights, range(3))
        return qml.expval(qml.Z(0)), qml.expval(qml.X(1) @ qml.Z(2))

    def run(weights, features):
        return jnp.stack(node(weights, features), -1)

    def small(w):
        return run(w, X[0])[0]

    forward, reverse = jax.jit(jax.jacfwd(small))(W), jax.jit(jax.jacrev(small))(W)
    _close(forward, reverse)
    hessian = jax.jit(jax.hessian(small))(W)
    _close(hessian, jnp.moveaxis(hessian, (0, 1, 2), (3, 4, 5)))
    step = 1e-2
    direction = jnp.ones_like(W)
    slope = jax.jit(jax.grad(small))
    change = slope(W + step * direction) - slope(W - step * direction)
    product = jnp.tensordot(hessian, direction, 3)
    _close(product, change / (2 * step), atol=5e-3)
    seeds = jnp.stack([W, 2 * W, -W])
    over_data = jax.jit(jax.vmap(run, (None, 0)))
    both = jax.jit(jax.vmap(over_data, (0, None)))(seeds, X)
    _close(both, jnp.stack([over_data(w, X) for w in seeds]))
    each = jax.jit(jax.vmap(jax.grad(_loss(over_data)), (0, None)))(seeds, X)
    one = jax.jit(jax.grad(_loss(over_data)))
    _close(each, jnp.stack([one(w, X) for w in seeds]))
    swapped = jax.jit(jax.vmap(jax.vmap(run, (0, None)), (None, 0)))(seeds, X)
    _close(swapped, jnp.swapaxes(both, 0, 1))
    twice = jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (None, 0)))(W, X[None] * 1.0)
    _close(twice[0], over_data(W, X))


def test_no_callback_in_the_program():
    for method in ("backprop", "adjoint"):
        step = jax.grad(_loss(jax.vmap(_node(_strong, diff_method=method), (None, 0))))
        assert "callback" not in str(jax.make_jaxpr(step)(W, X))


def test_a_batch_beyond_the_budget_runs_in_chunks():
    device = StateVectorDevice(wires=N, batch_memory=2_000)

    @qml.qnode(device)
    def node(weights, features):
        _strong(weights, features)
        return qml.probs(wires=range(N))

    whole = _node(_strong)
    lowered = jax.jit(node).lower(W, X).as_text()
    assert "while" in lowered
    probabilities = jax.jit(node)(W, X)
    signs = 1 - 2 * (np.arange(2**N)[:, None] >> np.arange(N)[::-1] & 1)
    _close(probabilities @ signs, whole(W, X))


def test_numpy_and_autograd_need_no_jax_input():
    @qml.qnode(qml.device("qfm.statevector", wires=["a", "b", 7]))
    def node(x, y):
        qml.RX(x, "a")
        qml.CNOT(["a", 7])
        qml.RY(y, 7)
        return qml.expval(qml.Z("a") @ qml.Z(7)), qml.probs(wires=["b", 7])

    operations = [qml.RX(0.3, 0), qml.CNOT([0, 2]), qml.RY(0.4, 2)]
    vector = reference.state(operations, 3)
    np.testing.assert_allclose(node(0.3, 0.4)[0], reference.expectation(vector, "ZIZ"))
    x, y = qml.numpy.array([0.3, 0.4], requires_grad=True)
    gradient = qml.grad(lambda x, y: node(x, y)[0])(x, y)
    np.testing.assert_allclose(gradient[1], -np.sin(0.4), atol=1e-12)


def test_state_preparation_anywhere_and_batched():
    states = np.random.default_rng(0).normal(size=(3, 4))
    states /= np.linalg.norm(states, axis=1, keepdims=True)

    @qml.qnode(qml.device("qfm.statevector", wires=3))
    def late(state):
        qml.RX(0.4, 2)
        qml.StatePrep(state, [1, 0])
        qml.CNOT([0, 2])
        return qml.state()

    first = reference.state([qml.RX(0.4, 0)], 1)
    for got, state in zip(late(states), states, strict=True):
        vector = np.kron(state.reshape(2, 2).T.ravel(), first)
        cnot = reference.embed(qml.matrix(qml.CNOT([0, 1])), [0, 2], 3)
        np.testing.assert_allclose(got, cnot @ vector, atol=1e-12)


def test_mid_circuit_measurements_are_deferred():
    @qml.qnode(qml.device("qfm.statevector", wires=3))
    def node(x):
        qml.RX(x, 0)
        outcome = qml.measure(0)
        qml.cond(outcome, qml.RY)(0.7, 1)
        return qml.expval(qml.Z(1)), qml.expval(outcome)

    chance = np.sin(0.5) ** 2
    expected = [1 - chance + chance * np.cos(0.7), chance]
    np.testing.assert_allclose(node(1.0), expected, atol=1e-12)


def test_samples_are_reproducible_and_new_at_every_call():
    def node(seed):
        @qml.set_shots((500, 700))
        @qml.qnode(StateVectorDevice(wires=2, seed=seed))
        def circuit():
            qml.Hadamard(0)
            qml.CNOT([0, 1])
            return qml.sample(wires=[0, 1]), qml.counts(), qml.expval(qml.Z(0))

        return circuit

    first, again = node(3), node(3)
    one, two = first(), again()
    np.testing.assert_array_equal(one[0][0], two[0][0])
    assert not np.array_equal(one[0][0], first()[0][0])
    assert [len(copy[0]) for copy in one] == [500, 700]
    assert set(one[1][1]) == {"00", "11"}
    assert abs(one[1][2]) < 0.2


def test_double_precision_follows_the_parameters():
    with jax.enable_x64(True):
        w, x = np.float64(W), np.float64(X)
        run = _node(_strong)
        got = jax.jit(jax.grad(_loss(run), (0, 1)))(jnp.asarray(w), jnp.asarray(x))
        _, expected = _by_default_qubit(_strong, w, x)
        assert got[0].dtype == np.float64
        _close(got, expected, atol=1e-14)


def test_errors_are_sentences():
    class Nothing(qml.operation.Operation):
        num_wires = 1

    def run(operation, device, **how):
        node = qml.qnode(device, **how)(
            lambda: (qml.apply(operation), qml.expval(qml.Z(0)))[1]
        )
        return node()

    device = qml.device("qfm.statevector", wires=2)
    with pytest.raises(InputError, match="must have a matrix or a decomposition, but"):
        run(Nothing(0), device)
    with pytest.raises(qml.wires.WireError, match="wires not found on the device"):
        run(qml.X(5), device)
    with pytest.raises(InputError, match=r"`wires` must fit .* Choose at most"):
        qml.device("qfm.statevector", wires=60)
    with pytest.raises(ValueError, match="norm"):
        run(qml.StatePrep(np.ones(4), [0, 1], validate_norm=True), device)
    with pytest.raises(InputError, match="`c_dtype` must be one of"):
        StateVectorDevice(wires=1, c_dtype="float32")
    node = qml.set_shots(qml.qnode(device, diff_method="backprop")(_one), 10)
    with pytest.raises(InputError, match="`shots` must be None where"):
        node(0.1)


def _one(x):
    qml.RX(x, 0)
    return qml.expval(qml.Z(0))


@pytest.mark.parametrize(("method", "fits"), [("backprop", False), ("adjoint", True)])
def test_a_gradient_beyond_the_memory_is_refused_before_it_is_compiled(
    monkeypatch, method, fits
):
    # 12 qubits: 32 KiB a state; adjoint holds six of them, backprop one more a step.
    monkeypatch.setattr(memory, "available_bytes", lambda: 7 * 2**15)
    weights = jax.ShapeDtypeStruct((6, 12, 3), jnp.float32)

    @qml.qnode(StateVectorDevice(wires=12, batch_memory=10**9), diff_method=method)
    def node(weights):
        qml.StronglyEntanglingLayers(weights, range(12))
        return qml.expval(qml.Z(0))

    assert jax.eval_shape(node, weights).shape == ()  # the value alone fits
    if fits:
        jax.eval_shape(jax.grad(node), weights)
        monkeypatch.setattr(memory, "available_bytes", lambda: 5 * 2**15)
        cure = "Choose fewer wires"
    else:
        cure = "Choose diff_method='adjoint'"
    must = r"`wires` must leave the gradient of one sample within .* need .*"
    with pytest.raises(InputError, match=must + cure):
        jax.eval_shape(jax.grad(node), weights)


def test_a_template_whose_wires_cannot_be_mapped_runs_by_its_decomposition():
    def circuit(angle):
        qml.HilbertSchmidt(V=qml.RZ(angle, wires=1), U=qml.Hadamard(0))
        return qml.probs(wires=[0, 1])

    ours, theirs = (
        qml.QNode(circuit, qml.device(name, wires=2))(0.4)
        for name in ("qfm.statevector", "default.qubit")
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-7)


@pytest.mark.parametrize("wires", [None, 3])
def test_a_subroutine_measures_and_deferral_adds_its_wires_itself(wires):
    @qml.templates.Subroutine
    def measured(wires):
        return [qml.measure(wire, reset=True) for wire in wires]

    def circuit(x):
        for wire in range(3):
            qml.RY(x + wire, wire)
        first, second = measured((0, 1))
        qml.cond(first, qml.RX)(x, 1)
        qml.cond(second, qml.RX)(2 * x, 2)
        return qml.expval(qml.Z(1)), qml.probs(wires=[0, 2])

    ours = qml.QNode(circuit, qml.device("qfm.statevector", wires=wires))
    theirs = qml.QNode(
        circuit, qml.device("default.qubit", wires=3), mcm_method="tree-traversal"
    )
    for one, other in zip(ours(0.7), theirs(0.7), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
