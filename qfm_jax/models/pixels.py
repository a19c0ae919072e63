"""Pixels as the features of a block, with nothing trained in between."""

import jax
import jax.numpy as jnp

from .._checks import input_error

CENTRE, SCALE = 0.286, 0.353
"""Mean and standard deviation of Fashion-MNIST's training pixels; near enough for
others."""


def centred(images: jax.Array) -> jax.Array:
    """Pixels in [0, 1], (..., height, width), at about mean 0 and variance 1."""
    return (images - CENTRE) / SCALE


def framed(images: jax.Array, n_features: int) -> jax.Array:
    """Centred pixels in the middle of a frame of ones, as amplitudes of a circuit.

    Images that are too large are pooled by the smallest whole number. The frame gives
    each state a part that does not depend on the image: expectations, which are
    quadratic forms in the amplitudes, then have a linear and a constant term in the
    pixels too; and no image is all zeros.

    Args:
        images: (batch, height, width) in [0, 1].
        n_features: Pixels of the frame, a power of two.

    Returns:
        Features (batch, n_features).

    Raises:
        InputError: If `n_features` is no power of two, or the image fills the frame.

    Example:
        >>> framed(jnp.zeros((1, 2, 2)) + CENTRE, 16).reshape(4, 4)
        Array([[1., 1., 1., 1.],
               [1., 0., 0., 1.],
               [1., 0., 0., 1.],
               [1., 1., 1., 1.]], dtype=float32)
        >>> framed(jnp.zeros((5, 28, 28)), 256).shape  # 14 x 14 pixels in 16 x 16
        (5, 256)
    """
    frame = _frame(n_features)
    pooled = _pooled(centred(images), frame)
    spare = [
        outer - inner for outer, inner in zip(frame, pooled.shape[1:], strict=True)
    ]
    if max(spare) == 0:
        must = f"leave a frame around the image in {frame[0]} x {frame[1]} pixels"
        raise input_error("n_qubits", must, f"is {n_features.bit_length() - 1}")
    margins = [(0, 0), *((gap // 2, gap - gap // 2) for gap in spare)]
    padded = jnp.pad(pooled, margins, constant_values=1.0)
    return padded.reshape(len(images), n_features)


def _frame(n_features: int) -> tuple[int, int]:
    n_qubits = n_features.bit_length() - 1
    if n_features != 1 << n_qubits:
        must = "be an embedding that takes 2**n_qubits features, where these are pixels"
        raise input_error("embedding", must, f"takes {n_features}", "Try 'amplitude'.")
    return 1 << (n_qubits + 1) // 2, 1 << n_qubits // 2


def _pooled(images: jax.Array, frame: tuple[int, int]) -> jax.Array:
    """Means over blocks, so that the image fits into the frame."""
    batch, height, width = images.shape
    factors = [
        next(f for f in range(1, side + 1) if side % f == 0 and side // f <= most)
        for side, most in zip((height, width), frame, strict=True)
    ]
    shape = (batch, height // factors[0], factors[0], width // factors[1], factors[1])
    return images.reshape(shape).mean((2, 4))


def patches(images: jax.Array, side: int) -> jax.Array:
    """Cuts images into squares and writes each pixel as an angle in [0, pi].

    Args:
        images: (batch, height, width) in [0, 1].
        side: Pixels on the side of a square, a divisor of height and width.

    Returns:
        Features (batch, height / side, width / side, side**2).

    Raises:
        InputError: If the squares do not fill the image.

    Example:
        >>> patches(jnp.ones((5, 28, 28)), 2).shape
        (5, 14, 14, 4)
    """
    batch, height, width = images.shape
    if height % side or width % side:
        must = f"divide both sides of the image, {height} x {width} pixels"
        raise input_error("patch", must, f"is {side}")
    rows, columns = height // side, width // side
    cut = images.reshape(batch, rows, side, columns, side).swapaxes(2, 3)
    return jnp.pi * cut.reshape(batch, rows, columns, side**2)
