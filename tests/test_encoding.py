"""Encodings against scikit-learn and direct formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import decomposition, preprocessing

from qfm_jax._checks import InputError
from qfm_jax.encoding import (
    AveragePooling,
    fit_angle_scaling,
    fit_pca,
    pad_to_unit_norm,
)


def random_images(n, side=28, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, side, side), np.uint8)


@pytest.mark.parametrize("size", [1, 2, 4, 7, 14, 28])
def test_pooling_is_the_mean_of_each_block(size):
    images = random_images(3)
    block = 28 // size
    expected = [
        [
            image[i : i + block, j : j + block].mean() / 255
            for i in range(0, 28, block)
            for j in range(0, 28, block)
        ]
        for image in images
    ]
    features = AveragePooling(size)(images)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, rtol=1e-5)


def test_pooling_refuses_sizes_that_leave_pixels_over():
    with pytest.raises(InputError, match=r"divide 28, but is 5.*1, 2, 4, 7, 14, 28"):
        AveragePooling(5)(random_images(1))
    with pytest.raises(InputError, match="`size` must be a whole number of at least 1"):
        AveragePooling(0)


def test_pca_is_that_of_scikit_learn():
    images = random_images(200, side=6)
    images[:, :3] //= 4  # unequal variances, so that the order is plain
    pixels = images.reshape(200, 36) / 255
    oracle = decomposition.PCA(5, svd_solver="full").fit(pixels[:150])
    pca = fit_pca(images[:150], 5)
    signs = np.sign((pca.components * oracle.components_).sum(1))
    features = pca(images[150:])  # not seen when fitted
    assert features.dtype == np.float32
    expected = oracle.transform(pixels[150:]) * signs
    np.testing.assert_allclose(features, expected, atol=2e-5)


def test_pca_in_full_is_a_rotation():
    images = random_images(40, side=4)
    features = fit_pca(images, 16)(images)
    pixels = images.reshape(40, 16) / 255
    distances, expected = (
        np.linalg.norm(points[:, None] - points, axis=-1)
        for points in (features, pixels)
    )
    np.testing.assert_allclose(distances, expected, atol=1e-5)


def test_pca_refuses():
    with pytest.raises(InputError, match=r"`n_features` must lie in \[1, 10\]"):
        fit_pca(random_images(10), 11)
    with pytest.raises(InputError, match="`n_features` must be a whole number"):
        fit_pca(random_images(10), 0)
    pca = fit_pca(random_images(10, side=4), 2)
    with pytest.raises(InputError, match="must have 16 pixels, but are 5 x 5"):
        pca(random_images(1, side=5))


def test_angles_are_scikit_learns_min_max_scaling():
    rng = np.random.default_rng(1)
    training, unseen = rng.normal(3, 5, (50, 4)), rng.normal(3, 9, (50, 4))
    oracle = preprocessing.MinMaxScaler((-1.2, 1.2), clip=True).fit(training)
    scaling = fit_angle_scaling(training, max_angle=1.2)
    angles = scaling(unseen)
    assert angles.dtype == np.float32
    np.testing.assert_allclose(angles, oracle.transform(unseen), atol=1e-5)
    assert np.abs(scaling(training)).max(0) == pytest.approx(1.2)


def test_a_constant_feature_has_angle_zero():
    scaling = fit_angle_scaling([[2.0, 0.0], [2.0, 1.0]])
    half = np.pi / 2
    np.testing.assert_allclose(scaling([[2, 1], [9, 0]]), [[0, half], [0, -half]])


@pytest.mark.parametrize("max_angle", [0, -1.0, float("nan")])
def test_angle_scaling_refuses(max_angle):
    with pytest.raises(InputError, match="`max_angle` must be at least"):
        fit_angle_scaling([[0.0], [1.0]], max_angle)
    with pytest.raises(InputError, match=r"`features` must have shape \(batch, 1\)"):
        fit_angle_scaling([[0.0], [1.0]])([[1.0, 2.0]])
    with pytest.raises(InputError, match=r"`len\(features\)` must be"):
        fit_angle_scaling(np.zeros((0, 3)))


def test_images_of_28x28_stand_in_the_middle_of_ten_qubits():
    images = random_images(3)
    amplitudes = pad_to_unit_norm(images, 10)
    assert (amplitudes.dtype, amplitudes.shape) == (np.float32, (3, 1024))
    frame = amplitudes.reshape(3, 32, 32)
    expected = images / np.sqrt((images.astype(float) ** 2).sum((1, 2), keepdims=True))
    np.testing.assert_allclose(frame[:, 2:30, 2:30], expected, rtol=1e-6)
    frame[:, 2:30, 2:30] = 0
    assert not frame.any()


@given(st.integers(1, 9), st.integers(0, 3), st.floats(1e-30, 1e30))
def test_amplitudes_have_unit_norm_at_any_scale(side, spare, scale):
    n_qubits = max(1, (side**2 - 1).bit_length() + spare)
    images = np.random.default_rng(side).random((4, side, side))
    amplitudes = pad_to_unit_norm(images * scale, n_qubits)
    assert amplitudes.shape == (4, 2**n_qubits)
    np.testing.assert_allclose((amplitudes**2.0).sum(1), 1, atol=1e-6)
    values = np.sort(amplitudes, axis=1)[:, -(side**2) :]
    flat = np.sort(images.reshape(4, -1), axis=1)
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    np.testing.assert_allclose(values, flat / norms, atol=1e-6)


def test_an_odd_qubit_goes_to_the_rows():
    amplitudes = pad_to_unit_norm(np.ones((1, 4, 4)), 5).reshape(8, 4)
    np.testing.assert_allclose(amplitudes.sum(1), [0, 0, 1, 1, 1, 1, 0, 0])


@pytest.mark.parametrize("values", [np.ones((2, 5, 5)), np.ones((2, 25))])
def test_values_without_a_frame_get_their_zeros_at_the_end(values):
    amplitudes = pad_to_unit_norm(values, 5)  # 5 columns do not fit 8 x 4
    expected = np.repeat([0.2, 0.0], [25, 7])
    np.testing.assert_allclose(amplitudes, np.tile(expected, (2, 1)), rtol=1e-6)


def test_padding_refuses_black_and_too_large_images():
    images = random_images(4)
    images[2] = 0
    with pytest.raises(InputError, match=r"norm, but image 2 has norm 0\.0"):
        pad_to_unit_norm(images, 10)
    with pytest.raises(InputError, match="image 1 has norm nan"):
        pad_to_unit_norm([[1.0, 0.0], [np.nan, 0.0]], 1)
    with pytest.raises(InputError, match=r"at most 512 values.*28, 28\).*Take 10"):
        pad_to_unit_norm(images, 9)
    with pytest.raises(InputError, match="`n_qubits` must be a whole number"):
        pad_to_unit_norm(images, 0)
    with pytest.raises(InputError, match=r"shape \(batch, rows, columns\)"):
        pad_to_unit_norm(images[..., None], 10)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 3, 4)), r"shape \(batch, 3, 3\)"),
        (np.zeros((4, 4)), r"shape \(batch, n, n\)"),
        (np.full((1, 4, 4), 255.0), r"floats in \[0, 1\], but is float64"),
        (np.full((1, 4, 4), np.nan), r"floats in \[0, 1\]"),
        (np.full((1, 4, 4), 7), r"floats in \[0, 1\], but is int64"),
        (np.eye(4, dtype="u1")[None], "no value but 0 and 1, all but black"),
    ],
)
def test_encodings_refuse_other_images(images, message):
    with pytest.raises(InputError, match=message):
        AveragePooling(2)(images)


def test_uint8_and_fractions_mean_the_same():
    images = random_images(2)
    np.testing.assert_array_equal(
        AveragePooling(7)(images), AveragePooling(7)((images / 255).astype(np.float32))
    )
