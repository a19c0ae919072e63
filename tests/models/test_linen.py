"""The Linen layer against its NNX counterpart with the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest
from flax import linen, nnx

from qfm_jax._checks import InputError
from qfm_jax.circuits import AngleEmbedding, Circuit, RealAmplitudes
from qfm_jax.devices import DeviceConfig
from qfm_jax.models import LinenQuantumLayer, QuantumLayer

CIRCUIT = Circuit(AngleEmbedding(3), RealAmplitudes(3, 1))
LIGHTNING = DeviceConfig("lightning.qubit", diff_method="adjoint")
FEATURES = np.random.default_rng(9).uniform(-2, 2, (2, 2, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def nnx_layer():
    return QuantumLayer(CIRCUIT, device=LIGHTNING, rngs=nnx.Rngs(4))


@pytest.fixture(scope="module")
def variables(nnx_layer):
    return {"params": {"weights": nnx_layer.weights["weights"][...]}}


LAYER = LinenQuantumLayer(CIRCUIT, device=LIGHTNING)


def test_init_makes_the_weights_of_the_circuit():
    variables = jax.jit(LAYER.init)(jax.random.key(0), FEATURES)
    shapes = jax.tree.map(jnp.shape, variables)
    assert shapes == {"params": {"weights": CIRCUIT.weights_shape}}
    weights = variables["params"]["weights"]
    assert weights.dtype == jnp.float32
    assert 0 <= weights.min() < weights.max() < 2 * np.pi


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_it_gives_the_results_of_the_nnx_layer(nnx_layer, variables, transform):
    expected = nnx_layer(FEATURES)
    actual = transform(LAYER.apply)(variables, FEATURES)
    assert actual.shape == (2, 2, 3)
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    assert np.ptp(actual) > 0.1


def test_it_has_the_gradients_of_the_nnx_layer(nnx_layer, variables):
    def loss(variables):
        return jnp.sum(LAYER.apply(variables, FEATURES) ** 2)

    expected = nnx.grad(lambda layer: jnp.sum(layer(FEATURES) ** 2))(nnx_layer)
    expected = expected["weights"]["weights"][...]
    actual = jax.jit(jax.grad(loss))(variables)["params"]["weights"]
    assert np.any(np.abs(expected) > 0.1)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


class CountingCircuit:
    """Counts how often the quantum function is run, that is, traced."""

    n_qubits = n_features = n_observables = 3
    weights_shape = CIRCUIT.weights_shape

    def __init__(self):
        self.calls = 0

    def __call__(self, inputs, weights):
        self.calls += 1
        return CIRCUIT(inputs, weights)


@pytest.mark.parametrize(
    "device", ["lightning.qubit", LIGHTNING], ids=["name", "config"]
)
def test_it_is_traced_once_for_many_calls(variables, device):
    circuit = CountingCircuit()
    LinenQuantumLayer(circuit, device=device).apply(variables, FEATURES)
    traced = circuit.calls
    assert traced > 0
    for step in range(3):  # each call binds a new module, and here each is a new one
        layer = LinenQuantumLayer(circuit, device=device)
        layer.apply(variables, FEATURES + step)
    assert circuit.calls == traced


@qml.qnode(qml.device("lightning.qubit", wires=3))
def user_qnode(inputs, angles, phase):
    for wire in range(3):
        qml.RX(inputs[wire], wire)
        qml.RY(angles[wire] + phase, wire)
    return qml.probs(wires=[0, 1]), qml.expval(qml.Z(2))


class Network(linen.Module):
    """The layer as users write it: inline, among others."""

    @linen.compact
    def __call__(self, x):
        x = LinenQuantumLayer(
            user_qnode,
            {"angles": 3, "phase": ()},
            init_method={
                "angles": nnx.initializers.constant(0.25),
                "phase": nnx.initializers.constant(-0.5),
            },
        )(x)
        return 2 * x


def test_a_users_qnode_works_inside_a_network():
    actual, variables = Network().init_with_output(jax.random.key(0), FEATURES[0])
    weights = {"angles": np.full(3, 0.25), "phase": np.array(-0.5)}
    params = variables["params"]["LinenQuantumLayer_0"]
    jax.tree.map(np.testing.assert_array_equal, params, weights)
    # As independent rotations leave it: P(1) = (1 - cos x cos y) / 2 on each wire.
    p1 = (1 - np.cos(FEATURES[0]) * np.cos(0.25 - 0.5)) / 2  # (sample, wire)
    for p, result in zip(p1, actual, strict=True):
        probs = np.kron([1 - p[0], p[0]], [1 - p[1], p[1]])
        np.testing.assert_allclose(
            result, 2 * np.array([*probs, 1 - 2 * p[2]]), atol=1e-5
        )


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (LAYER, r"`features` must have shape \(2, 3\), but has shape \(2, 4\)"),
        (
            LinenQuantumLayer(CIRCUIT, {"weights": 3}),
            "`weight_shapes` must be left out",
        ),
        (LinenQuantumLayer(CIRCUIT, device="lightning"), "`device` must be one of"),
        (
            LinenQuantumLayer(user_qnode, {"angles": 3}),
            r"`weight_shapes` .* \['angles'\]",
        ),
        (
            LinenQuantumLayer(CIRCUIT, init_method={"angles": nnx.initializers.ones}),
            r"`init_method` must be one .* but names \['angles'\]",
        ),
    ],
)
def test_bad_input_gets_a_sentence(layer, message):
    with pytest.raises(InputError, match=message):
        layer.init(jax.random.key(0), jnp.zeros((2, 4)))
