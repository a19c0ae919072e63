"""Operations counted in a program, against formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from qfm_jax.circuits import AmplitudeEmbedding, Circuit, UnitaryLayers
from qfm_jax.devices import DeviceConfig, as_jax_function
from qfm_jax.models import Classifier, ModelConfig, circuits_per_image
from qfm_jax.models.flops import count_flops, flops_of_image


def test_products_loops_and_branches():
    a, b = jnp.ones((3, 4)), jnp.ones((4, 5))
    assert count_flops(lambda a, b: a @ b, a, b) == 2 * 3 * 4 * 5
    assert count_flops(lambda a, b: (a + 0j) @ b, a, b) == 8 * 3 * 4 * 5 + 12

    def loop(x):
        return jax.lax.scan(lambda x, _: (jnp.sin(x) * 2, None), x, length=7)[0]

    assert count_flops(loop, jnp.ones(10)) == 7 * 2 * 10
    assert count_flops(jax.jit(loop), jnp.ones(10)) == 7 * 2 * 10
    branch = lambda x: jax.lax.cond(x.sum() > 0, lambda x: x + 1, lambda x: x, x)  # noqa: E731
    assert count_flops(branch, jnp.ones(10)) == pytest.approx(20, abs=4)
    assert count_flops(lambda a: a.T.reshape(2, 6), a) == 0


def test_an_mlp_costs_its_products():
    config = ModelConfig(hidden=(32, 16))
    model = Classifier(config, image_shape=(8, 8), rngs=nnx.Rngs(0))
    products = 2 * (64 * 32 + 32 * 16 + 16 * 10)
    found = flops_of_image(model, (8, 8))
    assert products < found < 1.1 * products + 3 * 64


@pytest.mark.parametrize("method", ["backprop", "adjoint"])
def test_a_circuit_costs_its_passes_over_the_state(method):
    # Groups of five qubits are not fused any further: real products of side 64.
    circuit = Circuit(AmplitudeEmbedding(10), UnitaryLayers(10, n_layers=3))
    function = as_jax_function(circuit, DeviceConfig(diff_method=method))
    batch = jnp.ones((200, 1024))
    weights = jnp.zeros(circuit.weights_shape)
    one = count_flops(jax.vmap(function, (0, None)), batch[:1], weights)
    many = count_flops(jax.vmap(function, (0, None)), batch, weights)
    passes = 3 * 2 * 2 * 64 * 64 * 1024 // 32
    per_sample = (many - one) / 199
    assert passes < per_sample < 1.2 * passes


def test_circuits_of_an_image():
    plain = ModelConfig(block="circuit")
    assert circuits_per_image(plain, (28, 28)) == 1
    side_by_side = ModelConfig(block="circuit", n_circuits=3)
    assert circuits_per_image(side_by_side, (28, 28)) == 3
    on_patches = ModelConfig(block="circuit", patch=2, n_qubits=4)
    assert circuits_per_image(on_patches, (8, 6)) == np.prod((4, 3))
