"""The layer in a Linen model, by Flax's bridge, against NNX with the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen, nnx

from qfm_jax.circuits import AngleEmbedding, Circuit, RealAmplitudes
from qfm_jax.models import QuantumLayer

CIRCUIT = Circuit(AngleEmbedding(3), RealAmplitudes(3, 1))
FEATURES = np.random.default_rng(9).uniform(-2, 2, (8, 3)).astype(np.float32)


class Network(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = nnx.bridge.to_linen(QuantumLayer, CIRCUIT, name="circuit")(x)
        return linen.Dense(2)(x)


def test_it_gives_the_results_and_gradients_of_the_nnx_layer():
    network = Network()
    variables = network.init(jax.random.key(0), FEATURES)
    weights = variables["QuantumParam"]["circuit"]["weights"]["weights"]
    assert weights.shape == CIRCUIT.weights_shape
    dense = variables["params"]["Dense_0"]
    layer = QuantumLayer(CIRCUIT, rngs=nnx.Rngs(1))
    layer.weights["weights"][...] = weights

    def expected(layer):
        return layer(FEATURES) @ dense["kernel"] + dense["bias"]

    found = jax.jit(network.apply)(variables, FEATURES)
    np.testing.assert_allclose(found, expected(layer), atol=1e-5)
    gradient = jax.jit(jax.grad(lambda v: (network.apply(v, FEATURES) ** 2).sum()))(
        variables
    )
    own = nnx.grad(lambda layer: (expected(layer) ** 2).sum())(layer)
    np.testing.assert_allclose(
        gradient["QuantumParam"]["circuit"]["weights"]["weights"],
        own["weights"]["weights"][...],
        atol=1e-4,
    )


def test_it_trains_with_optax():
    network, labels = Network(), jnp.arange(8) % 2
    variables = network.init(jax.random.key(0), FEATURES)
    optimizer = optax.adam(0.05)

    def loss(variables):
        logits = network.apply(variables, FEATURES)
        found = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return found.mean()

    @jax.jit
    def step(variables, state):
        value, gradient = jax.value_and_grad(loss)(variables)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(variables, updates), state, value

    state, losses = optimizer.init(variables), []
    for _ in range(30):
        variables, state, value = step(variables, state)
        losses.append(float(value))
    assert losses[-1] < 0.8 * losses[0]
