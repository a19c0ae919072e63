"""Autograd, NumPy and PennyLane's derivative methods, against default.qubit."""

import jax
import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp

N, LAYERS, BATCH = 3, 2, 4
RNG = np.random.default_rng(6)
WEIGHTS = RNG.uniform(-2, 2, (LAYERS, N, 3))
FEATURES = RNG.uniform(-2, 2, (BATCH, N))


def strong(x, w):
    qml.AngleEmbedding(x, range(N), rotation="Y")
    qml.StronglyEntanglingLayers(w, range(N))
    return qml.expval(qml.Z(0)), qml.probs(wires=[2, 1])


def on(name, circuit=strong, **how):
    return qml.QNode(circuit, qml.device(name, wires=N), **how)


def loss_of(node):
    def loss(x, w):
        first, second = node(x, w)
        return pnp.sum(first**2) + pnp.sum(pnp.sin(second) * np.arange(4))

    return loss


@pytest.mark.parametrize("x", [FEATURES[0], FEATURES], ids=["one", "batch"])
def test_autograd_has_the_derivatives_of_default_qubit(x):
    x, w = pnp.array(x), pnp.array(WEIGHTS)
    ours, theirs = (loss_of(on(name)) for name in ("qfm.statevector", "default.qubit"))
    np.testing.assert_allclose(ours(x, w), theirs(x, w), atol=1e-12)
    for one, other in zip(qml.grad(ours)(x, w), qml.grad(theirs)(x, w), strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=1e-10)


def test_autograd_differentiates_twice():
    x, w = FEATURES[0], pnp.array(WEIGHTS)
    found = []
    for name in ("qfm.statevector", "default.qubit"):
        loss = loss_of(on(name, max_diff=2))
        slope = qml.grad(lambda w, loss=loss: loss(x, w))
        found.append(qml.grad(lambda w, slope=slope: pnp.sum(slope(w) ** 3))(w))
    np.testing.assert_allclose(*found, atol=1e-9)


class Own(qml.operation.Operation):
    """A user's gate: its tape is read with the library's own numbers, at each call."""

    def decomposition(self):
        return [qml.RX(self.data[0], self.wires)]


def beside_an_own_gate(t, c):
    Own(t[0], 0)
    qml.exp(qml.X(0) @ qml.Z(1), t[1])
    qml.ctrl(qml.exp(qml.Y(2), 1j * t[2]), 0)
    hermitian = np.array([[0.5, 0.2 - 0.1j], [0.2 + 0.1j, -0.3]])
    word, matrix = qml.X(0) @ qml.Y(2), qml.Hermitian(hermitian, 1)
    return (
        qml.expval(qml.dot(c[:2], [word, qml.Z(1)])),
        qml.expval(qml.s_prod(c[2], matrix) + qml.Z(0)),
        qml.var(qml.s_prod(c[0], qml.Z(2))),
        qml.var(qml.s_prod(c[1], matrix) @ qml.Z(2)),
    )


def test_beside_an_own_gate_every_number_has_its_derivative():
    t, c = pnp.array([0.4, -0.7, 1.1]), pnp.array([0.8, -1.3, 0.6])
    found = []
    for name in ("qfm.statevector", "default.qubit"):
        node = on(name, beside_an_own_gate)
        loss = lambda t, c, node=node: pnp.sum(pnp.array(node(t, c)) * np.arange(1, 5))  # noqa: E731
        found.append([loss(t, c), *qml.grad(loss)(t, c)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)


@pytest.mark.parametrize(("c_dtype", "atol"), [("complex64", 1e-5), (None, 1e-10)])
def test_autograd_has_its_precision_whatever_jax_is_set_to(c_dtype, atol):
    def circuit(x, w):  # gates whose code keeps arrays, or asks for a precision
        qml.PauliRot(x[0], "XYZ", range(N))
        qml.PSWAP(x[1], [0, 2])
        qml.exp(qml.X(1), 0.3j)
        return strong(x, w)

    args = pnp.array(FEATURES[0]), pnp.array(WEIGHTS)
    expected = qml.grad(loss_of(on("default.qubit", circuit)))(*args)
    device = qml.device("qfm.statevector", wires=N, c_dtype=c_dtype)
    node = qml.QNode(circuit, device)
    for x64 in (False, True, False):
        with jax.enable_x64(x64):
            in_jax = node(*map(jax.numpy.asarray, args))  # of the session's precision
            found = node(*args)
            for one, other in zip(found, in_jax, strict=True):
                assert one.dtype == ("float64" if c_dtype is None else "float32")
                np.testing.assert_allclose(one, other, atol=1e-5)
            gradients = qml.grad(loss_of(node))(*args)
        for one, other in zip(gradients, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=atol)


def test_autograd_compiles_once_for_all_numbers():
    device = qml.device("qfm.statevector", wires=N)
    gradient = qml.grad(loss_of(qml.QNode(strong, device)), argnums=1)
    first = gradient(FEATURES[0], pnp.array(WEIGHTS))
    (lifted,) = device._followed.lifted.values()
    assert np.abs(gradient(FEATURES[1], pnp.array(-WEIGHTS)) - first).max() > 0.1
    assert list(device._followed.lifted.values()) == [lifted]
    assert lifted._both._cache_size() == lifted._pull._cache_size() == 1


def tape_of(x, w, trainable=None):
    tape = qml.tape.QuantumScript.from_queue(queue_of(x, w))
    tape.trainable_params = [0, 1] if trainable is None else trainable
    return tape


def queue_of(x, w):
    with qml.queuing.AnnotatedQueue() as queue:
        strong(x, w)
    return queue


@pytest.mark.parametrize("x", [FEATURES[0], FEATURES], ids=["one", "batch"])
def test_products_with_the_jacobian_agree_with_jax(x):
    def results(x, w):
        first, second = on("default.qubit")(x, w)
        return first, second

    device, tape = qml.device("qfm.statevector", wires=N), tape_of(x, WEIGHTS)
    cotangents = tuple(RNG.normal(size=np.shape(r)) for r in results(x, WEIGHTS))
    with jax.enable_x64(True):
        given = [jax.numpy.asarray(a) for a in (x, WEIGHTS)]
        # Compiled: JAX keeps products of other tests, in single precision, by shape.
        program = jax.jit(results)
        expected, pull = jax.vjp(program, *given)
        gradients = pull(tuple(map(jax.numpy.asarray, cotangents)))
        jacobian = jax.jacfwd(program, (0, 1))(*given)
    found = device.execute_and_compute_vjp(tape, cotangents)
    _close(found, (expected, gradients))
    _close(device.compute_vjp(tape, cotangents), gradients)
    _close(device.compute_vjp([tape, tape], [cotangents] * 2), [gradients] * 2)
    _close(device.compute_derivatives(tape), jacobian)


def _close(found, expected):
    for one, other in zip(
        jax.tree.leaves(found), jax.tree.leaves(expected), strict=True
    ):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=1e-10)


def test_only_trainable_parameters_have_gradients():
    device = qml.device("qfm.statevector", wires=N)
    assert device.supports_vjp()
    one = tape_of(FEATURES[0], WEIGHTS, trainable=[1])
    both = tape_of(FEATURES[0], WEIGHTS)
    cotangents = np.array(1.0), np.zeros(4)
    (gradient,) = device.compute_vjp(one, cotangents)
    np.testing.assert_allclose(gradient, device.compute_vjp(both, cotangents)[1])


@pytest.mark.parametrize("how", [{"device_vjp": True}, {"diff_method": "adjoint"}])
def test_every_way_to_ask_for_the_devices_gradient(how):
    x, w = FEATURES[0], pnp.array(WEIGHTS)
    one, other = (
        qml.grad(loss_of(node), argnums=1)(x, w)
        for node in (on("qfm.statevector", **how), on("default.qubit"))
    )
    np.testing.assert_allclose(one, other, atol=1e-10)
