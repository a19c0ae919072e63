"""Random changes of training images that leave their class as it is."""

import jax
import jax.numpy as jnp

from .._checks import check_at_least, check_range


def shift_and_flip(
    images: jax.Array, *, key: jax.Array, max_shift: int = 2
) -> jax.Array:
    """Shifts each image by whole pixels in both directions and mirrors half of them.

    Args:
        images: (batch, height, width[, channels]), any type.
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
    batch, height, width, *channels = images.shape
    shift_key, flip_key = jax.random.split(key)
    span = 2 * max_shift + 1
    offsets = jax.random.randint(shift_key, (batch, 2), 0, span)
    flips = jax.random.bernoulli(flip_key, shape=(batch, 1))
    rows = offsets[:, :1] + jnp.arange(height)  # (batch, height)
    columns = jnp.arange(width)
    columns = offsets[:, 1:] + jnp.where(flips, columns[::-1], columns)
    border = (max_shift, max_shift)
    padded = jnp.pad(images, ((0, 0), border, border, *((0, 0),) * len(channels)))
    return jax.vmap(lambda image, r, c: image[r[:, None], c])(padded, rows, columns)


def erase(images: jax.Array, *, key: jax.Array, share: float = 0.5) -> jax.Array:
    """Covers a rectangle of some images, each with a grey of its own.

    Its sides are between an eighth and a half of the image's, its place and its grey
    anything (random erasing: Zhong et al., arXiv 1708.04896).

    Args:
        images: (batch, height, width[, channels]), pixels from 0 to 255 of any type.
        key: PRNG key.
        share: Of the images, in [0, 1].

    Returns:
        Images of the same shape and type.

    Raises:
        InputError: For a share that is none.

    Example:
        >>> images = jnp.zeros((5, 28, 28), jnp.uint8)
        >>> erase(images, key=jax.random.key(0)).shape
        (5, 28, 28)
    """
    check_range("share", share, 0, 1)
    batch, height, width, *channels = images.shape
    chosen_key, grey_key, *keys = jax.random.split(key, 4)

    def covered(key: jax.Array, length: int) -> jax.Array:
        """Which rows, or columns, of each image the rectangle covers."""
        size_key, place_key = jax.random.split(key)
        sizes = (max(1, length // 8), max(1, length // 2) + 1)
        size = jax.random.randint(size_key, (batch, 1), *sizes)
        first = jax.random.randint(place_key, (batch, 1), 0, length - size + 1)
        here = jnp.arange(length)
        return (first <= here) & (here < first + size)

    rows, columns = covered(keys[0], height), covered(keys[1], width)
    is_chosen = jax.random.bernoulli(chosen_key, share, (batch, 1, 1))
    grey = jax.random.randint(grey_key, (batch, 1, 1), 0, 256).astype(images.dtype)
    covers = is_chosen & rows[:, :, None] & columns[:, None, :]
    if channels:
        covers, grey = covers[..., None], grey[..., None]
    return jnp.where(covers, grey, images)
