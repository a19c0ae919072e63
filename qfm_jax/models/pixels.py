"""Pixels as the features of a block, with nothing trained in between."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from .._checks import input_error

CENTRE, SCALE = 0.286, 0.353
"""Mean and standard deviation of Fashion-MNIST's training pixels; near enough for
others."""


def centred(images: jax.Array) -> jax.Array:
    """Pixels in [0, 1], (..., height, width), at about mean 0 and variance 1."""
    return (images - CENTRE) / SCALE


def coarse(images: jax.Array, side: int, colours: bool = False) -> jax.Array:
    """Images of `side` x `side` pixels, spread over as many pixels as there were.

    Each large pixel is the mean of what it covers, weighted by area, and each small one
    that of the large ones that cover it: no more than side**2 numbers of an image are
    left, whatever takes it has the same shape as before.

    Args:
        images: (..., height, width), or with colours (..., height, width, 3).
        colours: Whether the last axis is that of the colours.
        side: Large pixels on each side, at least 1 and at most height and width.

    Raises:
        InputError: If there are more large pixels than small ones.

    Example:
        >>> coarse(jnp.array([[1.0, 3.0], [5.0, 7.0]]), side=1)
        Array([[4., 4.],
               [4., 4.]], dtype=float32)
    """
    if colours:
        by_colour = coarse(jnp.moveaxis(images, -1, 0), side)
        return jnp.moveaxis(by_colour, 0, -1)
    height, width = images.shape[-2:]
    if side > min(height, width):
        must = f"be at most {min(height, width)}, as many pixels as images have"
        raise input_error("resolution", must, f"is {side}")
    rows, columns = (_averaging(length, side) for length in (height, width))
    return jnp.einsum("hr,...rc,wc->...hw", rows, images, columns, precision="highest")


def _averaging(length: int, side: int) -> np.ndarray:
    """The matrix (length, length) that averages to `side` pixels and spreads them."""
    means = _area_means(length, side)
    return (length / side * means.T @ means).astype(np.float32)


def _area_means(length: int, side: int) -> np.ndarray:
    """The matrix (side, length) of means over equal areas; rows sum up to 1."""
    small, large = (np.arange(k) / k for k in (length, side))
    # How much of each small pixel lies within each large one.
    ends = np.minimum(large[:, None] + 1 / side, small + 1 / length)
    shared = np.maximum(ends - np.maximum(large[:, None], small), 0)
    means: np.ndarray = side * shared
    return means


def framed(images: jax.Array, n_features: int) -> jax.Array:
    """Centred pixels in the middle of a frame of ones, as amplitudes of a circuit.

    Images that are too large are pooled by the smallest whole number, or where none
    does, to means over areas that fill seven eighths of each side. The frame gives each
    state a part that does not depend on the image: expectations, which are quadratic
    forms in the amplitudes, then have a linear and a constant term in the pixels too;
    and no image is all zeros.

    Args:
        images: (batch, height, width) in [0, 1].
        n_features: Pixels of the frame, a power of two.

    Returns:
        Features (batch, n_features).

    Raises:
        InputError: If `n_features` is no power of two, or too few for a frame.

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
    if max(frame) < 4:
        must = f"leave a frame around the image in {frame[0]} x {frame[1]} pixels"
        raise input_error("n_qubits", must, f"is {n_features.bit_length() - 1}")
    sides = _inside(images.shape[1:], frame)
    inside = _means(centred(images), sides)
    spare = [outer - inner for outer, inner in zip(frame, sides, strict=True)]
    margins = [(0, 0), *((gap // 2, gap - gap // 2) for gap in spare)]
    padded = jnp.pad(inside, margins, constant_values=1.0)
    return padded.reshape(len(images), n_features)


def pooled(images: jax.Array, n_features: int, *, raw: bool = False) -> jax.Array:
    """Centred pixels, row by row; means over equal areas where there are too many.

    Args:
        images: (batch, height, width) in [0, 1].
        n_features: Pixels that are left, a square number.
        raw: Leave the pixels in [0, 1].

    Returns:
        Features (batch, n_features).

    Example:
        >>> pooled(jnp.zeros((5, 28, 28)), 196).shape
        (5, 196)
    """
    side = math.isqrt(n_features)
    shown = images if raw else centred(images)
    return _means(shown, (side, side)).reshape(len(images), n_features)


def _frame(n_features: int) -> tuple[int, int]:
    n_qubits = n_features.bit_length() - 1
    if n_features != 1 << n_qubits:
        must = "be one that takes 2**n_qubits amplitudes, where these are pixels"
        cure = "Try the embedding 'amplitude'."
        raise input_error("circuit", must, f"takes {n_features}", cure)
    return 1 << (n_qubits + 1) // 2, 1 << n_qubits // 2


def _inside(shape: Sequence[int], frame: tuple[int, int]) -> tuple[int, int]:
    """Sides of the image within the frame."""

    def by_whole_number(side: int, most: int) -> int:
        factor = next(
            f for f in range(1, side + 1) if side % f == 0 and side // f <= most
        )
        return side // factor

    def by_area(side: int, most: int) -> int:
        return min(side, 7 * most // 8)

    pairs = list(zip(shape, frame, strict=True))
    whole = [by_whole_number(side, most) for side, most in pairs]
    fills = all(inner == most for inner, (_, most) in zip(whole, pairs, strict=True))
    is_tiny = any(
        2 * inner < min(side, most)
        for inner, (side, most) in zip(whole, pairs, strict=True)
    )
    rows, columns = (
        [by_area(side, most) for side, most in pairs] if fills or is_tiny else whole
    )
    return rows, columns


def _means(images: jax.Array, sides: tuple[int, int]) -> jax.Array:
    """Means over areas, (batch, *sides); over blocks where these fill the image."""
    batch, height, width = images.shape
    rows, columns = sides
    if height % rows == 0 and width % columns == 0:
        shape = (batch, rows, height // rows, columns, width // columns)
        return images.reshape(shape).mean((2, 4))
    along, across = (
        _area_means(length, side).astype(np.float32)
        for length, side in ((height, rows), (width, columns))
    )
    return jnp.einsum("rh,bhw,cw->brc", along, images, across, precision="highest")


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
