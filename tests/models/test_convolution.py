"""The fused convolution and pooling against XLA's own operations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from qfm_jax.models.convolution import ConvolutionPool

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def layer():
    layer = ConvolutionPool(2, 4, rngs=nnx.Rngs(0))
    layer.bias[...] = jnp.asarray(RNG.normal(size=4), jnp.float32)
    return layer


def reference(layer, x):
    """Convolution ("same"), bias, max pooling, ReLU: one operation after another."""
    axes = ("NHWC", "HWIO", "NHWC")
    kernel, bias = layer.kernel[...], layer.bias[...]
    y = lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=axes)
    window = (1, 2, 2, 1)
    y = lax.reduce_window(y + bias, -jnp.inf, lax.max, window, window, "VALID")
    return jnp.maximum(y, 0)


@pytest.mark.parametrize("size", [(28, 28), (7, 5), (2, 3), (6, 9), (2, 2)])
def test_it_is_convolution_then_pooling_in_values_and_gradients(layer, size):
    height, width = size
    x = jnp.asarray(RNG.normal(size=(3, height, width, 2)), jnp.float32)
    cotangent = RNG.normal(size=(3, height // 2, width // 2, 4)).astype(np.float32)

    def gradients_and_output(function):
        def loss(layer, x):
            y = function(layer, x)
            return jnp.sum(y * cotangent), y

        return nnx.jit(nnx.grad(loss, argnums=(0, 1), has_aux=True))(layer, x)

    expected = gradients_and_output(reference)
    actual = gradients_and_output(lambda layer, x: layer(x))
    leaves = list(zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True))
    assert len(leaves) == 4  # gradients of kernel, bias and x; the output
    for a, b in leaves:
        assert np.any(b != 0)
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_its_parameters_are_a_kernel_and_a_bias_per_channel(layer):
    shapes = sorted(leaf.shape for leaf in jax.tree.leaves(nnx.state(layer, nnx.Param)))
    assert shapes == [(3, 3, 2, 4), (4,)]
