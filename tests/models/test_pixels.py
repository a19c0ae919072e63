"""Pixels as features: the frame, the pooling, the patches."""

import jax.numpy as jnp
import numpy as np
import pytest

from qfm_jax._checks import InputError
from qfm_jax.models.pixels import CENTRE, SCALE, framed, patches

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


def test_bad_input():
    with pytest.raises(InputError, match=r"`embedding` must .* but takes 12"):
        framed(IMAGES, 12)
    with pytest.raises(InputError, match=r"`n_qubits` must leave a frame .* but is 4"):
        framed(jnp.zeros((1, 4, 4)), 16)
    with pytest.raises(InputError, match=r"`patch` must divide .* 28 x 28 .* is 3"):
        patches(IMAGES, 3)
