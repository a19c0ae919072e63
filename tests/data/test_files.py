"""Data of a person's own: IDX and .npz files, whole and damaged."""

import gzip
import tracemalloc

import numpy as np
import pytest
from data_files import NAMES, four_arrays, idx_bytes, write_idx_folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qfm_jax._checks import InputError
from qfm_jax.data import load_dataset
from qfm_jax.data.idx import read_idx

IMAGES = np.arange(3 * 28 * 28).reshape(3, 28, 28) % 251


def write(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_folder_keeps_every_pixel_and_label(tmp_path, suffix):
    arrays = four_arrays(n_train=36, n_test=9, n_classes=3)
    folder = write_idx_folder(tmp_path / "shapes", arrays, suffix)
    dataset = load_dataset(folder=folder)
    images = np.concatenate([dataset.train.pixels, dataset.validation.pixels])
    order = np.lexsort(arrays[NAMES[0]].reshape(36, -1).T)
    found = np.lexsort(images.reshape(36, -1).T)
    np.testing.assert_array_equal(images[found], arrays[NAMES[0]][order])
    np.testing.assert_array_equal(dataset.test.pixels, arrays[NAMES[2]])
    np.testing.assert_array_equal(dataset.test.labels, arrays[NAMES[3]])
    assert (dataset.name, dataset.source) == ("shapes", str(folder))
    assert dataset.class_names == ("0", "1", "2")


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_idx_of_three_axes(tmp_path, compress):
    path = write(tmp_path / "images", compress(idx_bytes(IMAGES)))
    values = read_idx(path, n_axes=3)
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(values, IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "truncated: it ends after 0 bytes"),
        (idx_bytes(IMAGES)[:10], "truncated: it ends after 10 bytes"),
        (idx_bytes(IMAGES)[:-1], r"truncated: its header claims 2,352 .* 2,351 follow"),
        (idx_bytes(IMAGES) + b"\0", "too long"),
        (idx_bytes(np.arange(4)), "starts with 00 00 08 01, not 00 00 08 03"),
        (b"\0\0\x0d\x03" + bytes(12), "starts with 00 00 0d 03"),  # floats
        (b"<html>Not found</html>", "starts with 3c 68 74 6d"),
        (gzip.compress(idx_bytes(IMAGES))[:-9], "is truncated"),
        (gzip.compress(idx_bytes(IMAGES))[:-8] + bytes(8), "is corrupt.*CRC"),
        (gzip.compress(idx_bytes(IMAGES)) + b"more", "is corrupt"),
        (b"\x1f\x8b" + bytes(30), "is corrupt"),
    ],
)
def test_damaged_idx_is_refused(tmp_path, content, message):
    path = write(tmp_path / "train-images-idx3-ubyte", content)
    with pytest.raises(
        InputError, match=f"`folder` must hold.*{path.name} .*{message}"
    ):
        read_idx(path, n_axes=3)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_single_changed_byte_of_gzip_passes(tmp_path, data):
    content = bytearray(gzip.compress(idx_bytes(IMAGES[:1]), mtime=0))
    # Bytes 3 to 9 of a gzip header (flags, time, system) do not bear on the values.
    at = data.draw(st.sampled_from([*range(3), *range(10, len(content))]))
    content[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InputError, match="must hold intact data files"):
        read_idx(write(tmp_path / "images.gz", bytes(content)), n_axes=3)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_memory_does_not_follow_a_false_header(tmp_path, compress):
    header = b"\0\0\x08\x03" + b"\xff\xff\xff\xff" + b"\0\0\0\x1c" * 2
    path = write(tmp_path / "images", compress(header + bytes(1000)))
    tracemalloc.start()
    with pytest.raises(InputError, match="is truncated"):
        read_idx(path, n_axes=3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20  # the header claims 3 TiB


def test_images_and_labels_must_agree(tmp_path):
    arrays = four_arrays()
    arrays[NAMES[1]] = arrays[NAMES[1]][:-1]
    folder = write_idx_folder(tmp_path, arrays)
    with pytest.raises(InputError, match=r"train-labels.*59 labels for 60 images"):
        load_dataset(folder=folder)


def test_other_image_sizes_are_refused_with_the_cure(tmp_path):
    arrays = four_arrays()
    arrays[NAMES[0]] = arrays[NAMES[0]][:, :14, :14]
    folder = write_idx_folder(tmp_path, arrays)
    with pytest.raises(InputError, match=r"one size.*\(14, 14\), \(28, 28\)"):
        load_dataset(folder=folder)


def test_incomplete_folder_names_what_it_holds(tmp_path):
    folder = write_idx_folder(tmp_path, four_arrays())
    (folder / f"{NAMES[3]}.gz").unlink()
    with pytest.raises(InputError, match=r"must hold train-images.*holds t10k-images"):
        load_dataset(folder=folder)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="holds nothing"):
        load_dataset(folder=empty)
    with pytest.raises(InputError, match="nowhere is not there"):
        load_dataset(folder=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "labels", "message"),
    [
        (NAMES[1], np.arange(60) % 10 + 1, "count from 0.*they are 1, 2, 3"),
        (NAMES[1], np.where(np.arange(60) == 7, 255, 0), "they are 0, 255"),
        (NAMES[1], np.zeros(60), "two classes or more"),
        (NAMES[3], np.arange(20) + 1, r"test labels from 0 to 9.*one is 10\b"),
    ],
)
def test_labels_out_of_range(tmp_path, name, labels, message):
    folder = write_idx_folder(tmp_path, four_arrays() | {name: labels})
    with pytest.raises(InputError, match=message):
        load_dataset(folder=folder)


def npz_arrays(n_train=24, n_test=8):
    rng = np.random.default_rng(1)
    return {
        "x_train": rng.random((n_train, 28, 28)),
        "y_train": np.arange(n_train) % 4,
        "x_test": rng.random((n_test, 28, 28)),
        "y_test": np.arange(n_test) % 4,
    }


@pytest.mark.parametrize("where", ["file", "folder"])
@pytest.mark.parametrize("compressed", [False, True])
def test_npz_by_file_or_folder(tmp_path, where, compressed):
    arrays = npz_arrays()
    (np.savez_compressed if compressed else np.savez)(tmp_path / "mine.npz", **arrays)
    path = tmp_path / "mine.npz" if where == "file" else tmp_path
    dataset = load_dataset(folder=path)
    assert dataset.n_classes == 4
    assert dataset.name == path.stem
    error = dataset.test.pixels / 255 - arrays["x_test"]
    assert np.abs(error).max() <= 0.5 / 255 + 1e-12


def test_npz_of_whole_numbers_is_taken_as_it_is(tmp_path):
    x = np.random.default_rng(2).integers(0, 256, (8, 28, 28))  # int64
    np.savez(tmp_path / "mine.npz", **(npz_arrays() | {"x_test": x}))
    dataset = load_dataset(folder=tmp_path)
    np.testing.assert_array_equal(dataset.test.pixels, x)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("x_train", np.full((24, 28, 28), 1.5), r"`x_train`.*floats in \[0, 1\]"),
        ("x_train", np.full((24, 28, 28), np.nan), r"`x_train`.*floats in \[0, 1\]"),
        ("x_train", np.full((24, 28, 28), 256), "from 0 to 255"),
        ("x_train", np.full((24, 28, 28), -1), "from 0 to 255"),
        ("x_test", np.zeros((8, 28, 28), bool), "`x_test`.*has type bool. Multiply"),
        (
            "x_train",
            np.ones((24, 28, 28), int),
            "`x_train`.*int64 with .* 0 and 1,",
        ),
        ("x_test", np.tile(np.eye(28, dtype="u1"), (8, 1, 1)), "If 1 is white, mult"),
        ("x_test", np.zeros((8, 28, 28, 4)), r"has shape \(8, 28, 28, 4\).*channel"),
        ("x_test", np.zeros((0, 28, 28)), r"`y_test` must have shape \(0,\)"),
        ("y_train", np.arange(23), r"`y_train` must have shape \(24,\)"),
        ("y_train", np.arange(24) / 4, "`y_train` must hold whole numbers"),
        ("y_test", np.arange(8) - 1, "`y_test`.*count from 0.*from -1 to 6"),
        ("y_test", np.array([None] * 8), "no intact .npz file.*only a pickle could"),
    ],
)
def test_npz_with_wrong_arrays(tmp_path, key, value, message):
    np.savez(tmp_path / "mine.npz", **(npz_arrays() | {key: value}))
    with pytest.raises(InputError, match=message):
        load_dataset(folder=tmp_path)


def test_npz_without_test_images(tmp_path):
    empty = {"x_test": np.zeros((0, 28, 28)), "y_test": np.zeros(0, int)}
    np.savez(tmp_path / "mine.npz", **(npz_arrays() | empty))
    with pytest.raises(InputError, match="must hold test images"):
        load_dataset(folder=tmp_path)


def test_npz_with_missing_keys_or_another_suffix(tmp_path):
    arrays = npz_arrays()
    del arrays["x_test"], arrays["y_test"]
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(InputError, match="lacks x_test, y_test"):
        load_dataset(folder=tmp_path)
    text = write(tmp_path / "mine.csv", b"1,2,3")
    with pytest.raises(InputError, match=r"name a folder or an \.npz file"):
        load_dataset(folder=text)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(length=st.floats(0, 0.999))
def test_truncated_npz_is_refused(tmp_path, length):
    np.savez_compressed(tmp_path / "whole.npz", **npz_arrays(8, 4))
    content = (tmp_path / "whole.npz").read_bytes()
    path = write(tmp_path / "cut.npz", content[: int(length * len(content))])
    with pytest.raises(InputError, match=r"cut\.npz is no intact \.npz file"):
        load_dataset(folder=path)
