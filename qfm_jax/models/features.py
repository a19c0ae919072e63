"""What a block takes, as its circuit declares it: of a trained layer, or of pixels."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from .._checks import input_error
from ..circuits import Amplitudes, Angles, Bits
from ..circuits.declaration import Takes, takes_of
from .block import BLOCKS
from .configuration import ModelConfig, circuit_of
from .pixels import framed, patches, pooled

Map = Callable[[jax.Array], jax.Array]


def squash_of(config: ModelConfig) -> Map | None:
    """What bounds a trained layer before the block; None where nothing does.

    Raises:
        InputError: For a circuit of bits, through which no gradient passes.

    Example:
        >>> squash = squash_of(ModelConfig(block="dense"))
        >>> squash(jnp.array([0.0, 99.0]))
        Array([0., 1.], dtype=float32)
    """
    takes = takes_of(circuit_of(config))
    if isinstance(takes, Bits):
        must = "be 'pixels' where the circuit takes bits: no trained layer before them "
        must += "would get a gradient"
        raise input_error("features", must, f"is {config.features!r}")
    kind = BLOCKS[config.block]
    if kind.features == "centred":
        return jnp.tanh
    squashes = kind.features == "declared" and isinstance(takes, Angles)
    return _to_range(takes) if squashes else None


def middle_of(config: ModelConfig) -> float:
    """The middle of what the block takes, where a feature says nothing.

    Example:
        >>> middle_of(ModelConfig(block="circuit")) == math.pi / 2
        True
        >>> middle_of(ModelConfig(block="dense"))
        0.0
    """
    if config.block == "none" or BLOCKS[config.block].features != "declared":
        return 0.0
    takes = takes_of(circuit_of(config))
    return takes.middle if isinstance(takes, Angles) else 0.0


# Cached: models that are alike have the same functions, and so one program.
@functools.cache
def features_of_images(takes: Takes, n_features: int) -> Map:
    """What makes features (batch, n_features) of images (batch, height, width).

    Example:
        >>> to_angles = features_of_images(Angles(-1, 1), 4)
        >>> to_angles(jnp.ones((1, 8, 8)))
        Array([[1., 1., 1., 1.]], dtype=float32)
    """
    if isinstance(takes, Amplitudes):
        return functools.partial(framed, n_features=n_features)
    if math.isqrt(n_features) ** 2 != n_features:
        must = "be a circuit of a square number of features where these are pixels"
        cure = "Circuits of amplitudes take 2**n_qubits of them."
        raise input_error("circuit", must, f"takes {n_features} features", cure)
    if isinstance(takes, Angles):
        return lambda images: _spread(takes, pooled(images, n_features, raw=True))
    if isinstance(takes, Bits):
        return lambda images: _as_bits(pooled(images, n_features, raw=True))
    return functools.partial(pooled, n_features=n_features)


@functools.cache
def features_of_patches(takes: Angles, side: int) -> Map:
    """What makes features (batch, rows, columns, side**2) of images.

    Example:
        >>> features_of_patches(Angles(), 2)(jnp.ones((5, 28, 28))).shape
        (5, 14, 14, 4)
    """
    if (takes.low, takes.high) == (0.0, math.pi):
        return functools.partial(patches, side=side)
    return lambda images: _spread(takes, patches(images, side) / jnp.pi)


@functools.cache
def _to_range(takes: Angles) -> Map:
    """Squashes to (low, high)."""
    half = (takes.high - takes.low) / 2

    def squash(x: jax.Array) -> jax.Array:
        above = half * (1 + jnp.tanh(x))
        return above + takes.low if takes.low else above

    return squash


def _spread(takes: Angles, shares: jax.Array) -> jax.Array:
    return takes.low + (takes.high - takes.low) * shares


def _as_bits(pixels: jax.Array) -> jax.Array:
    return (pixels >= 0.5).astype(pixels.dtype)
