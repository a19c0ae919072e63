"""Every circuit on our simulator: jitted, batched, differentiated."""

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest

from qfm_jax.circuits import (
    AmplitudeEmbedding,
    AngleEmbedding,
    ChainLayers,
    Circuit,
    ConvolutionalCircuit,
    ConvolutionalLayers,
    PixelReuploading,
    RealAmplitudes,
    Separable,
    StronglyEntanglingLayers,
    TreeLayers,
)
from qfm_jax.devices import as_jax_function

RNG = np.random.default_rng(43)
BATCH = 3

CIRCUITS = {
    "convolutional": ConvolutionalCircuit(
        AngleEmbedding(3), ConvolutionalLayers(3, 1), ("XIY", "ZII")
    ),
    "tree": Circuit(AngleEmbedding(4), TreeLayers(4, 1, "real")),
    "chain": Circuit(AngleEmbedding(3), ChainLayers(3, 2, "real")),
    "pixels": PixelReuploading(3, 4),
    "separable": Separable(
        Circuit(AngleEmbedding(3), StronglyEntanglingLayers(3, 1), ("ZIX", "XYZ"))
    ),
    "separable behind amplitudes": Separable(
        Circuit(AmplitudeEmbedding(3, 6), RealAmplitudes(3, 1))
    ),
}


def in_double_precision(circuit, inputs, weights):
    """Expectations (n_observables, ...) by NumPy on default.qubit."""
    qnode = qml.QNode(circuit, qml.device("default.qubit", wires=circuit.n_qubits))
    return np.stack(qnode(inputs, weights))


@pytest.fixture(scope="module", params=CIRCUITS.values(), ids=CIRCUITS)
def case(request):
    """A circuit, its arguments, and all that one compilation on our device gives."""
    circuit = request.param
    inputs = RNG.uniform(0.1, 1, (BATCH, circuit.n_features))
    weights = RNG.uniform(-2, 2, circuit.weights_shape)
    direction = RNG.normal(size=(BATCH, circuit.n_observables))
    batched = jax.vmap(as_jax_function(circuit), (0, None))

    def loss(inputs, weights):
        expectations = batched(inputs, weights)
        return jnp.sum(direction * expectations), expectations

    # Each is run once: what the CPU gains by optimised code is lost in compiling it.
    options = {"xla_backend_optimization_level": 0}
    gradient = jax.jit(jax.grad(loss, (0, 1), has_aux=True), compiler_options=options)
    gradients, expectations = gradient(jnp.asarray(inputs), jnp.asarray(weights))
    return circuit, inputs, weights, direction, expectations, gradients


def test_batched_is_a_loop_over_samples_on_default_qubit(case):
    circuit, inputs, weights, _, expectations, _ = case
    expected = [in_double_precision(circuit, sample, weights) for sample in inputs]
    assert expectations.shape == (BATCH, circuit.n_observables)
    np.testing.assert_allclose(expectations, expected, atol=1e-5)


def central_differences(function, array, step=1e-5):
    """Jacobian (n_outputs, *array.shape); the steps are one broadcast batch."""
    steps = step * np.eye(array.size).reshape(array.size, *array.shape)
    slopes = (function(array + steps) - function(array - steps)) / (2 * step)
    return slopes.reshape(-1, *array.shape)


def test_gradients_are_finite_differences(case):
    circuit, inputs, weights, direction, _, (by_inputs, by_weights) = case
    expected = np.zeros_like(weights)
    for i, sample in enumerate(inputs):
        jacobian = central_differences(
            lambda x: in_double_precision(circuit, x, weights), sample
        )
        np.testing.assert_allclose(by_inputs[i], direction[i] @ jacobian, atol=2e-5)
        jacobian = central_differences(
            lambda w, sample=sample: in_double_precision(circuit, sample, w), weights
        )
        expected += np.tensordot(direction[i], jacobian, 1)
    np.testing.assert_allclose(by_weights, expected, atol=2e-5)
