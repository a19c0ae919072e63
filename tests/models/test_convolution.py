"""The fused convolution against XLA's own operations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from qfm_jax.models import convolution
from qfm_jax.models.convolution import WIDE, Convolution

RNG = np.random.default_rng(3)
SIZES = ((28, 28), (7, 5), (6, 9), (2, 3), (2, 2))


def build(pool, normalized, c_in=2):
    layer = Convolution(c_in, 4, pool=pool, normalized=normalized, rngs=nnx.Rngs(0))
    bias = layer.norm.bias if normalized else layer.bias
    bias[...] = jnp.asarray(RNG.normal(size=4), jnp.float32)
    if normalized:
        layer.norm.scale[...] = jnp.asarray(RNG.uniform(0.5, 2, size=4), jnp.float32)
    layer.train()
    return layer


def reference(layer, x):
    """Convolution ("same"), pooling, normalisation, ReLU: one after another."""
    axes = ("NHWC", "HWIO", "NHWC")
    kernel = layer.kernel[...]
    y = lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=axes)
    if layer.pool:
        window = (1, 2, 2, 1)
        y = lax.reduce_window(y, -jnp.inf, lax.max, window, window, "VALID")
    if layer.norm is None:
        return jnp.maximum(y + layer.bias[...], 0)
    mean, variance = y.mean(axis=(0, 1, 2)), y.var(axis=(0, 1, 2))
    y = (y - mean) / jnp.sqrt(variance + 1e-5)
    return jnp.maximum(layer.norm.scale[...] * y + layer.norm.bias[...], 0)


@pytest.mark.parametrize("c_in", [2, WIDE])  # by one product, by Winograd's method
@pytest.mark.parametrize(
    ("size", "pool", "normalized"),
    [
        *((size, pool, False) for size in SIZES for pool in (True, False)),
        *((size, pool, True) for size in SIZES[1:3] for pool in (True, False)),
    ],
)
def test_it_is_each_step_after_another_in_values_and_gradients(
    size, pool, normalized, c_in, monkeypatch
):
    monkeypatch.setattr(convolution, "CHUNK", 10)  # chunks of one or two images of 3
    layer, (height, width) = build(pool, normalized, c_in), size
    x = jnp.asarray(RNG.normal(size=(3, height, width, c_in)), jnp.float32)
    if pool:
        height, width = height // 2, width // 2
    cotangent = RNG.normal(size=(3, height, width, 4)).astype(np.float32)

    def gradients_and_output(function):
        def loss(layer, x):
            y = function(layer, x)
            return jnp.sum(y * cotangent), y

        return nnx.jit(nnx.grad(loss, argnums=(0, 1), has_aux=True))(layer, x)

    expected = gradients_and_output(reference)
    actual = gradients_and_output(lambda layer, x: layer(x))
    leaves = list(zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True))
    assert len(leaves) == (5 if normalized else 4)  # also of x, and the output
    for a, b in leaves:
        assert np.any(b != 0)
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4)


def test_images_in_chunks_are_images_at_once(monkeypatch):
    layer = build(pool=True, normalized=False, c_in=WIDE)
    x = jnp.asarray(RNG.normal(size=(7, 6, 8, WIDE)), jnp.float32)

    def found():
        def loss(layer, x):
            return jnp.sum(jnp.sin(layer(x)))

        return nnx.value_and_grad(loss, argnums=(0, 1))(layer, x)

    def n_loops():
        return str(jax.make_jaxpr(lambda x: layer(x))(x)).count("scan[")

    whole, n_before = found(), n_loops()
    monkeypatch.setattr(convolution, "CHUNK", 24)  # two of the images, 12 windows each
    assert (n_before, n_loops()) == (0, 1)
    for a, b in zip(jax.tree.leaves(found()), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    # Forwards too, and by a loop over a vmapped axis.
    direction = jnp.asarray(RNG.normal(size=x.shape), jnp.float32)
    value, slope = jax.jvp(lambda x: jnp.sum(jnp.sin(layer(x))), (x,), (direction,))
    np.testing.assert_allclose(value, whole[0], rtol=1e-5, atol=1e-4)
    expected = jnp.vdot(whole[1][1], direction)
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-3)
    both = jax.vmap(lambda x: layer(x))(jnp.stack([x, direction]))
    for one, alone in zip(both, (x, direction), strict=True):
        np.testing.assert_allclose(one, layer(alone), rtol=1e-5, atol=1e-5)


def test_on_a_gpu_it_is_one_product(monkeypatch):
    layer = build(pool=False, normalized=False, c_in=WIDE)
    x = jnp.asarray(RNG.normal(size=(2, 6, 8, WIDE)), jnp.float32)
    expected = layer(x)
    monkeypatch.setattr(convolution, "on_gpu", lambda: True)
    assert str(jax.make_jaxpr(lambda x: layer(x))(x)).count("dot_general") == 1
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-4)


def test_its_parameters_are_a_kernel_and_a_bias_per_channel():
    layer = build(pool=True, normalized=False)
    shapes = sorted(leaf.shape for leaf in jax.tree.leaves(nnx.state(layer, nnx.Param)))
    assert shapes == [(3, 3, 2, 4), (4,)]


def test_outside_of_training_an_image_does_not_depend_on_its_batch():
    layer = build(pool=True, normalized=True)
    x = jnp.asarray(RNG.normal(size=(50, 6, 6, 2)), jnp.float32)
    step = nnx.jit(lambda layer, x: layer(x))
    for _ in range(50):
        step(layer, x)  # the averages settle
    trained = layer(x)
    layer.eval()
    np.testing.assert_allclose(layer(x[:1]), layer(x)[:1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer(x), trained, atol=0.05)


def test_a_frozen_one_keeps_its_averages_in_training():
    layer = build(pool=True, normalized=True)
    x = jnp.asarray(RNG.normal(size=(5, 6, 6, 2)), jnp.float32)
    layer.frozen = True
    before = layer.norm.mean[...]
    layer.eval()
    expected = layer(x)
    layer.train()
    np.testing.assert_array_equal(layer(x), expected)
    np.testing.assert_array_equal(layer.norm.mean[...], before)
