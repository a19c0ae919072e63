"""Pixels as features: the frame, the pooling, the patches."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.models import Classifier, ModelConfig
from qfm_jax.models.pixels import CENTRE, SCALE, coarse, framed, patches, pooled

IMAGES = np.random.default_rng(3).uniform(size=(4, 28, 28)).astype(np.float32)


@pytest.mark.parametrize(
    ("n_qubits", "frame", "inner"),
    [(10, (32, 32), (28, 28)), (9, (32, 16), (28, 14)), (6, (8, 8), (7, 7))],
)
def test_the_pooled_image_lies_in_the_middle_of_ones(n_qubits, frame, inner):
    found = np.asarray(framed(IMAGES, 2**n_qubits)).reshape(-1, *frame)
    rows, columns = inner
    blocks = IMAGES.reshape(-1, rows, 28 // rows, columns, 28 // columns)
    expected = (blocks.mean((2, 4)) - CENTRE) / SCALE
    top, left = (frame[0] - rows) // 2, (frame[1] - columns) // 2
    inside = found[:, top : top + rows, left : left + columns]
    np.testing.assert_allclose(inside, expected, atol=1e-5)
    n_ones = (found == 1).sum((1, 2))
    assert (n_ones >= frame[0] * frame[1] - rows * columns).all()


def test_no_image_is_without_a_direction():
    assert (np.linalg.norm(framed(np.zeros((1, 28, 28)), 64), axis=1) > 1).all()


def test_patches_are_cut_row_by_row():
    found = np.asarray(patches(IMAGES, 4))
    assert found.shape == (4, 7, 7, 16)
    for row, column in ((0, 0), (2, 5), (6, 6)):
        cut = IMAGES[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        expected = np.pi * cut.reshape(4, 16)
        np.testing.assert_allclose(found[:, row, column], expected, rtol=1e-6)


def test_pooled_pixels_are_means_of_blocks_row_by_row():
    expected = (IMAGES.reshape(4, 14, 2, 14, 2).mean((2, 4)) - CENTRE) / SCALE
    found = pooled(IMAGES, 196)
    np.testing.assert_allclose(found, expected.reshape(4, 196), atol=1e-5)


@pytest.mark.parametrize("side", [5, 27, 30])
def test_pixels_of_any_number_are_means_over_equal_areas(side):
    """Against sums over a grid so fine that both sides divide it."""
    fine = 28 * side
    large = np.kron(np.asarray(IMAGES, float), np.ones((side, side)))
    expected = large.reshape(4, side, fine // side, side, fine // side).mean((2, 4))
    found = pooled(IMAGES, side**2, raw=True)
    np.testing.assert_allclose(found, expected.reshape(4, -1), atol=1e-5)


@pytest.mark.parametrize(
    ("height", "width", "inside"),
    [
        (64, 64, (28, 28)),
        (37, 31, (28, 28)),
        (29, 31, (29, 31)),
        (50, 28, (25, 28)),
        (8, 9, (8, 9)),
    ],
)
def test_images_of_any_size_have_a_frame_around_them(height, width, inside):
    drawn = np.random.default_rng(0).uniform(0, 1, (2, height, width))
    images = jnp.asarray(drawn, jnp.float32)
    found = np.asarray(framed(images, 1024)).reshape(2, 32, 32)
    top, left = ((32 - side) // 2 for side in inside)
    rows, columns = slice(top, top + inside[0]), slice(left, left + inside[1])
    expected = (images.mean((1, 2)) - CENTRE) / SCALE
    np.testing.assert_allclose(
        found[:, rows, columns].mean((1, 2)), expected, rtol=1e-3, atol=1e-4
    )
    outside = np.ones((32, 32), bool)
    outside[rows, columns] = False
    assert (found[:, outside] == 1).all()


def test_bad_input():
    with pytest.raises(InputError, match=r"`circuit` must be one .* but takes 12"):
        framed(IMAGES, 12)
    with pytest.raises(InputError, match=r"`n_qubits` must leave a frame .* but is 2"):
        framed(jnp.zeros((1, 4, 4)), 4)
    with pytest.raises(InputError, match=r"`patch` must divide .* 28 x 28 .* is 3"):
        patches(IMAGES, 3)


# -- resolution and scale --------------------------------------------------------------


def test_blocks_that_fill_the_image_are_plain_means():
    means = IMAGES.reshape(4, 4, 7, 4, 7).mean((2, 4))
    expected = means.repeat(7, axis=1).repeat(7, axis=2)
    np.testing.assert_allclose(coarse(IMAGES, 4), expected, atol=1e-6)
    np.testing.assert_allclose(coarse(IMAGES, 28), IMAGES, atol=1e-6)


@pytest.mark.parametrize("side", [1, 8, 16, 27])
def test_a_coarse_image_keeps_its_mean_and_no_more_than_its_pixels(side):
    found = np.asarray(coarse(IMAGES, side), float)
    np.testing.assert_allclose(found.mean((1, 2)), IMAGES.mean((1, 2)), rtol=1e-5)
    assert np.linalg.matrix_rank(found[0], tol=1e-4) <= side
    assert found.min() >= 0
    assert found.max() <= 1
    # By hand at 8: the first pixel covers 3.5 of the small ones.
    if side == 8:
        weights = np.array([1, 1, 1, 0.5]) / 3.5
        corner = weights @ IMAGES[0, :4, :4] @ weights
        assert found[0, 0, 0] == pytest.approx(corner, rel=1e-4)


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(hidden=(4,)),
        ModelConfig(block="removed", features="pixels", embedding="amplitude"),
    ],
)
def test_every_model_sees_the_same_pixels(config):
    """A model of a resolution and a scale is the plain one on such images."""
    asked = dataclasses.replace(config, resolution=8, input_scale=0.5)
    plain, changed = (Classifier(c, rngs=nnx.Rngs(0)) for c in (config, asked))
    expected = plain(0.5 * coarse(IMAGES, 8))
    np.testing.assert_allclose(changed(IMAGES), expected, atol=1e-5)
    assert not np.allclose(changed(IMAGES), plain(IMAGES), atol=1e-2)


def test_a_resolution_or_a_scale_that_cannot_be():
    with pytest.raises(InputError, match=r"`resolution` must be at most 28, .* is 29"):
        coarse(IMAGES, 29)
    with pytest.raises(InputError, match=r"`resolution` must be .* at least 0, but is"):
        ModelConfig(resolution=-1)
    with pytest.raises(InputError, match=r"`input_scale` must lie in .* but is 0"):
        ModelConfig(input_scale=0)
