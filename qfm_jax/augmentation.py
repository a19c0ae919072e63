"""Random changes of training images that leave their class as it is."""

import jax
import jax.numpy as jnp

from ._checks import check_at_least


def shift_and_flip(
    images: jax.Array, *, key: jax.Array, max_shift: int = 2
) -> jax.Array:
    """Shifts each image by whole pixels in both directions and mirrors half of them.

    Args:
        images: (batch, height, width), any type.
        key: PRNG key.
        max_shift: Largest shift in pixels; what moves in from outside is zero.

    Returns:
        Images of the same shape and type.

    Raises:
        InputError: For a negative `max_shift`.

    Example:
        >>> images = jnp.ones((5, 28, 28))
        >>> shift_and_flip(images, key=jax.random.key(0)).shape
        (5, 28, 28)
    """
    check_at_least("max_shift", max_shift, 0)
    batch, height, width = images.shape
    shift_key, flip_key = jax.random.split(key)
    span = 2 * max_shift + 1
    offsets = jax.random.randint(shift_key, (batch, 2), 0, span)
    flips = jax.random.bernoulli(flip_key, shape=(batch, 1))
    rows = offsets[:, :1] + jnp.arange(height)  # (batch, height)
    columns = jnp.arange(width)
    columns = offsets[:, 1:] + jnp.where(flips, columns[::-1], columns)
    border = (max_shift, max_shift)
    padded = jnp.pad(images, ((0, 0), border, border))
    return jax.vmap(lambda image, r, c: image[r[:, None], c])(padded, rows, columns)
