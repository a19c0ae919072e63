"""Splits, the embedded digits, and the sizes of a data set."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits

from qfm_jax._checks import InputError
from qfm_jax.data import Images, load_dataset, stratified_split
from qfm_jax.data.digits import enlarge

REAL_DATA = os.environ.get("QFM_DATA_DIR")


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def flat(images):
    return {image.tobytes() for image in images.pixels}


@st.composite
def labels_and_size(draw):
    labels = draw(st.lists(st.integers(0, 5), min_size=1, max_size=60))
    return np.array(labels), draw(st.integers(1, len(labels)))


@given(labels_and_size(), st.integers(0, 2**32))
def test_split_is_a_partition_with_the_class_proportions(labels_size, seed):
    labels, size = labels_size
    rest, chosen = stratified_split(labels, size, seed=seed)
    assert len(chosen) == size
    assert sorted([*rest, *chosen]) == list(range(len(labels)))
    for label in np.unique(labels):
        share = size * np.mean(labels == label)
        assert abs(np.sum(labels[chosen] == label) - share) < 1


def test_largest_remainders_by_hand():
    labels = np.repeat([0, 1, 2], [5, 3, 2])  # 4 of 10: shares 2.0, 1.2, 0.8
    _, chosen = stratified_split(labels, 4, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [2, 1, 1]


def test_split_follows_the_seed_alone():
    labels = np.arange(300) % 3
    first, again, other = (
        stratified_split(labels, 60, seed=s)[1].tolist() for s in (7, 7, 8)
    )
    assert first == again != other


def test_every_member_is_chosen_equally_often():
    labels = np.repeat([0, 1], [30, 10])
    chosen = [stratified_split(labels, 10, seed=s)[1] for s in range(800)]
    counts = np.bincount(np.concatenate(chosen), minlength=40)  # mean 200, sd 12.2
    assert np.abs(counts - 200).max() < 5 * 12.2


@given(st.integers(1, 40), st.integers(1, 40))
def test_smaller_samples_of_equal_classes_are_nested(a, b):
    labels = np.arange(40) % 4
    small, large = (stratified_split(labels, k, seed=3)[1] for k in sorted((a, b)))
    assert set(small) <= set(large)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "`size` must be a whole number of at least 1, but is 0"),
        (-3, "`size` must be a whole number of at least 1, but is -3"),
        (2.5, "`size` must be a whole number of at least 1, but is 2.5"),
        (11, "`size` must be at most 10, but is 11"),
    ],
)
def test_split_refuses_sizes_out_of_range(size, message):
    with pytest.raises(InputError, match=message):
        stratified_split(np.zeros(10, int), size, seed=0)


def test_enlarged_digits_are_bilinear_as_pillow_does_it():
    small = load_digits().images[:50].astype(np.uint8)
    for image, enlarged in zip(small, enlarge(small), strict=True):
        scaled = Image.fromarray(image.astype(np.float32) * 255 / 16)
        expected = scaled.resize((28, 28), Image.Resampling.BILINEAR)
        assert np.abs(enlarged - np.asarray(expected)).max() <= 0.5 + 1e-3


def test_digits_split_whole_and_without_overlap(digits):
    sizes = len(digits.train), len(digits.validation), len(digits.test)
    assert sizes == (1318, 119, 360)
    distinct = [flat(part) for part in (digits.train, digits.validation, digits.test)]
    assert sum(map(len, distinct)) == len(set.union(*distinct))
    together = np.concatenate(
        [part.labels for part in (digits.train, digits.validation, digits.test)]
    )
    assert (np.bincount(together) == np.bincount(load_digits().target)).all()
    for part in (digits.train, digits.validation, digits.test):
        shares = np.bincount(part.labels) / len(part)
        assert np.abs(shares - np.bincount(together) / 1797).max() < 1 / len(part)


def test_seed_moves_validation_but_never_test(digits):
    other = load_dataset("digits", seed=1, test_size=50)
    assert flat(other.validation) != flat(digits.validation)
    assert flat(other.test) <= flat(digits.test)
    same = load_dataset("digits", seed=2, test_size=50)
    assert np.array_equal(same.test.pixels, other.test.pixels)


def test_train_size_counts_after_the_validation_images(digits):
    small = load_dataset("digits", train_size=100, validation_size=200)
    assert (len(small.train), len(small.validation)) == (100, 200)
    everything = load_dataset("digits", train_size=1237, validation_size=200)
    assert flat(small.train) < flat(everything.train)
    assert digits.image_shape == (28, 28)
    assert digits.warning is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "fashion"}, "`name` must be one of.*Did you mean 'fashion-mnist'"),
        ({"train_size": 0}, "`train_size` must be a whole number of at least 1"),
        ({"train_size": 1319}, "`train_size` must be at most 1,318.*set apart before"),
        ({"validation_size": -1}, "`validation_size` must be a whole number"),
        ({"validation_size": 1437}, "`validation_size` must be at most 1,436"),
        ({"test_size": 361}, "`test_size` must be at most 360, but is 361"),
        ({"seed": -1}, "`seed` must be a whole number of at least 0"),
        ({"folder": "."}, "`folder` must be left out for `digits`"),
    ],
)
def test_load_dataset_refuses(arguments, message):
    with pytest.raises(InputError, match=message):
        load_dataset(**({"name": "digits"} | arguments))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 7, 9), "u1"), np.zeros(2, "i4"), "8 pixels high and wide.*7 x 9"),
        (np.zeros((2, 28), "u1"), np.zeros(2, "i4"), r"shape \(n, height, width\)"),
        (np.zeros((2, 9, 9, 4), "u1"), np.zeros(2, "i4"), "red, green and blue"),
        (np.zeros((2, 3, 9, 9), "u1"), np.zeros(2, "i4"), "np.moveaxis"),
        (np.zeros((2, 28, 28), "f4"), np.zeros(2, "i4"), "be uint8, but is float32"),
        (np.zeros((2, 28, 28), "u1"), np.zeros(2, "i8"), "be int32, but is int64"),
        (np.zeros((2, 28, 28), "u1"), np.zeros(3, "i4"), r"`labels` .*\(2,\)"),
        (np.eye(28, dtype="u1")[None], np.zeros(1, "i4"), "but 0 and 1, all but black"),
    ],
)
def test_images_hold_uint8_of_one_size(images, labels, message):
    with pytest.raises(InputError, match=message):
        Images(images, labels)


@pytest.mark.skipif(not REAL_DATA, reason="QFM_DATA_DIR names no folder with the files")
def test_real_fashion_mnist():
    dataset = load_dataset("fashion-mnist")
    sizes = len(dataset.train), len(dataset.validation), len(dataset.test)
    assert sizes == (55_000, 5_000, 10_000)
    assert np.bincount(dataset.validation.labels).tolist() == [500] * 10
    assert np.bincount(dataset.test.labels).tolist() == [1_000] * 10
    both = np.concatenate([dataset.train.pixels, dataset.validation.pixels])
    assert both.mean() / 255 == pytest.approx(0.28604, abs=5e-6)
    assert both.std() / 255 == pytest.approx(0.35302, abs=5e-6)
    assert dataset.class_names[dataset.test.labels[0]] == "Ankle boot"


def test_some_classes_are_kept_in_the_order_asked_for(digits):
    chosen = load_dataset("digits", classes=("7", "0", "3"))
    assert chosen.class_names == ("7", "0", "3")
    for part, whole in ((chosen.test, digits.test), (chosen.train, digits.train)):
        assert set(np.unique(part.labels)) == {0, 1, 2}
        if part is chosen.test:  # the training split depends on the labels
            for new, old in enumerate((7, 0, 3)):
                np.testing.assert_array_equal(
                    part.pixels[part.labels == new], whole.pixels[whole.labels == old]
                )


def test_classes_must_exist_and_be_two():
    with pytest.raises(InputError, match=r"`classes` must be one of .* but is 'tie'"):
        load_dataset("digits", classes=("0", "tie"))
    with pytest.raises(InputError, match=r"`classes` must name two .* names '4' alone"):
        load_dataset("digits", classes=("4", "4"))
