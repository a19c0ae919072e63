"""Augmentation against all shifts and flips, listed by brute force."""

import functools
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.models import Classifier, ModelConfig
from qfm_jax.training import TrainConfig, steps
from qfm_jax.training.augmentation import erase, shift_and_flip

augment = jax.jit(shift_and_flip, static_argnames="max_shift")
erase_some = jax.jit(erase, static_argnames="share")


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).integers(1, 256, shape, np.uint8)


def variants(image, max_shift):
    """Every image that shifting and flipping can give, as bytes, in a set."""
    height, width = image.shape
    result = set()
    for down in range(-max_shift, max_shift + 1):
        for right in range(-max_shift, max_shift + 1):
            shifted = np.zeros_like(image)
            for i in range(height):
                for j in range(width):
                    if 0 <= i - down < height and 0 <= j - right < width:
                        shifted[i, j] = image[i - down, j - right]
            result |= {shifted.tobytes(), shifted[:, ::-1].tobytes()}
    return result


@pytest.mark.parametrize("max_shift", [0, 1, 2])
def test_every_variant_occurs_about_equally_often_and_nothing_else(max_shift):
    image = random_images(6, 5)  # oblong, so that rows and columns cannot be swapped
    expected = variants(image, max_shift)
    assert len(expected) == 2 * (2 * max_shift + 1) ** 2
    batch = np.tile(image, (100 * len(expected), 1, 1))
    actual = augment(batch, key=jax.random.key(7), max_shift=max_shift)
    counts = Counter(image.tobytes() for image in np.asarray(actual))
    assert counts.keys() == expected
    # 100 each on average, with a standard deviation of about 10.
    assert 50 < min(counts.values()) <= max(counts.values()) < 150


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_each_image_gives_one_of_its_own_variants(dtype):
    images = random_images(16, 5, 7).astype(dtype)
    augmented = augment(images, key=jax.random.key(1))
    assert augmented.dtype == dtype
    assert augmented.shape == images.shape
    for image, actual in zip(images, np.asarray(augmented), strict=True):
        assert actual.tobytes() in variants(image, 2)


def test_the_key_decides():
    images = random_images(16, 5, 7)
    first, again, other = (
        np.asarray(augment(images, key=jax.random.key(seed))) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_a_negative_shift_is_refused():
    with pytest.raises(
        InputError, match=r"`max_shift` must be .* at least 0, but is -1"
    ):
        shift_and_flip(random_images(1, 5, 5), key=jax.random.key(0), max_shift=-1)


def test_a_share_of_the_images_has_one_rectangle_of_one_grey():
    images = random_images(400, 16, 24)
    erased = np.asarray(erase_some(images, key=jax.random.key(5), share=0.5))
    assert erased.dtype == images.dtype
    changed = erased != images
    is_changed = changed.any(axis=(1, 2))
    assert 160 < is_changed.sum() < 240  # 200, with a standard deviation of 10
    sides, corners, greys = [], [], set()
    for image, where in zip(erased[is_changed], changed[is_changed], strict=True):
        rows, columns = (np.flatnonzero(where.any(axis=axis)) for axis in (1, 0))
        inside = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        # A pixel that had the grey already is not seen to change.
        assert len(np.unique(inside)) == 1
        assert inside.size - where.sum() <= 5
        sides.append(inside.shape)
        corners.append((rows[0], columns[0]))
        greys.add(inside.item(0))
    heights, widths = np.transpose(sides)
    assert (heights.min(), heights.max()) == (2, 8)
    assert (widths.min(), widths.max()) == (3, 12)
    assert len(set(corners)) > 100
    assert len(greys) > 50


def test_no_image_or_every_image_is_erased():
    images = random_images(50, 16, 16)
    none = erase_some(images, key=jax.random.key(0), share=0.0)
    np.testing.assert_array_equal(none, images)
    every = erase_some(images, key=jax.random.key(0), share=1.0)
    assert (np.asarray(every) != images).any(axis=(1, 2)).all()


def test_a_share_beyond_one_is_refused():
    with pytest.raises(InputError, match=r"`share` must lie in .0, 1., but is 1.5"):
        erase(random_images(1, 5, 5), key=jax.random.key(0), share=1.5)


def test_what_is_covered_does_not_hang_on_how_it_is_shifted(monkeypatch):
    keys = {}

    def note(name, images, *, key, **_):
        keys[name] = key
        return images

    for name in ("shift_and_flip", "erase"):
        monkeypatch.setattr(steps, name, functools.partial(note, name))
    model = Classifier(ModelConfig(), rngs=nnx.Rngs(0))
    config = TrainConfig(batch_size=5, augment=True, erase=0.5)
    own = steps.Steps.of(model, config, 5)
    state = own.initial_state([model], [jax.random.key(0)])
    own.step(state, jnp.zeros((5, 28, 28), jnp.uint8), jnp.zeros(5, jnp.int32))
    used = [keys["shift_and_flip"], *jax.random.split(keys["shift_and_flip"])]
    assert all(key != keys["erase"] for key in used)
