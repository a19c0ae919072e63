"""The last layer of a classifier, and how large it starts."""

import jax
import jax.numpy as jnp
from flax import nnx

from .._checks import input_error
from .block import BLOCKS
from .configuration import ModelConfig

SMALL_START, LARGE_START, REDUCED_START = 0.1, 5.0, 0.03
"""How a head starts, small or large, and the layer that reduces the features for a
block: multiples of the usual start, whose variance is 1 / fan-in."""

GAIN = 10.0
"""Factor on the logits of a small head of results in [-1, 1]."""


class ScaledHead(nnx.Module):
    """Logits that are results themselves, times one factor, plus an offset a class.

    Args:
        n_results: Numbers that it takes; the first n_classes are used.
        n_classes: Logits that it gives.

    Raises:
        InputError: If there are fewer results than classes.

    Example:
        >>> ScaledHead(4, 3)(jnp.array([[1.0, 0.0, -1.0, 0.5]]))
        Array([[ 5.,  0., -5.]], dtype=float32)
    """

    def __init__(self, n_results: int, n_classes: int):
        if n_results < n_classes:
            must = f"be 'dense' where the block has fewer results than {n_classes}"
            was = f"is 'scale', and there are {n_results}"
            cure = "Take more qubits, or a data set of fewer classes."
            raise input_error("head", must, was, cure)
        # Expectations lie within [-1, 1]: too near to each other for sure logits.
        self.scale = nnx.Param(jnp.float32(5.0))
        self.offset = nnx.Param(jnp.zeros(n_classes, jnp.float32))

    def __call__(self, results: jax.Array) -> jax.Array:
        """Maps results (batch, n_results) to logits (batch, n_classes)."""
        first = results[..., : self.offset[...].shape[0]]
        return self.scale[...] * first + self.offset[...]


class Amplified(nnx.Module):
    """A dense layer whose results are multiplied by a constant.

    Adam's steps are as long as its rate, whatever the gradient: with a gain g, the
    weights g W of the results move g times as far in each.

    Args:
        linear: The layer.
        gain: The constant.

    Example:
        >>> layer = Amplified(nnx.Linear(3, 2, rngs=nnx.Rngs(0)), gain=10.0)
        >>> layer(jnp.zeros((5, 3))).shape
        (5, 2)
    """

    def __init__(self, linear: nnx.Linear, gain: float):
        self.linear = linear
        self.gain = gain

    def __call__(self, results: jax.Array) -> jax.Array:
        """Maps results (batch, n_results) to logits (batch, n_classes)."""
        return self.gain * self.linear(results)


def build_head(
    config: ModelConfig, n_features: int, n_classes: int, rngs: nnx.Rngs
) -> nnx.Module:
    """The last layer; its start follows from what it takes in, for every block alike.

    Results in [-1, 1] are too near to each other for sure logits. Behind a reducing
    layer the head starts large: small, it would have that layer drive the tanh into
    saturation first. Where the block takes the pixels, a large start would be a random
    classifier that is sure of itself: there the weights start small and move faster.
    """
    if config.head == "scale" and not gives_features(config):
        return ScaledHead(n_features, n_classes)
    if _has_reduction(config):
        return scaled_linear(n_features, n_classes, LARGE_START, rngs)
    is_bounded = config.block != "none" and BLOCKS[config.block].is_bounded
    if config.features == "pixels" and is_bounded:
        small = scaled_linear(n_features, n_classes, SMALL_START / GAIN, rngs)
        return Amplified(small, GAIN)
    return scaled_linear(n_features, n_classes, SMALL_START, rngs)


def gives_features(config: ModelConfig) -> bool:
    """Whether the head takes the features themselves: there is no block, or nothing.

    Example:
        >>> gives_features(ModelConfig(block="removed"))
        True
    """
    return config.block == "none" or BLOCKS[config.block].is_nothing


def scaled_linear(n_in: int, n_out: int, start: float, rngs: nnx.Rngs) -> nnx.Linear:
    """A dense layer whose weights start `start` times as large as usual."""
    init = nnx.initializers.variance_scaling(start**2, "fan_in", "truncated_normal")
    return nnx.Linear(n_in, n_out, kernel_init=init, rngs=rngs)


def _has_reduction(config: ModelConfig) -> bool:
    """Whether a trained layer reduces the features to those that the block takes."""
    takes_features = config.block != "none" and config.features == "dense"
    return takes_features and not config.patch
