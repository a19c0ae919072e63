"""Damaged images and data sets end in images, or in our own sentence."""

import gzip
import io
import pickle
import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from fuzz.mutations import mutated
from hypothesis import strategies as st
from PIL import Image

from qfm_jax._checks import InputError
from qfm_jax.data import load_dataset, read_image
from qfm_jax.data.idx import read_idx
from qfm_jax.data.npz import LEAST_LIMIT, read_npz

PIXELS = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
IDX = struct.pack(">4B3I", 0, 0, 8, 3, 2, 28, 28) + PIXELS.tobytes() * 2


def refuses_or_reads(read, *arguments, **options):
    """What it reads; our own error is no failure, every other one is."""
    try:
        return read(*arguments, **options)
    except InputError:
        return None


def npz_content():
    n, labels = 12, np.arange(12) % 2
    images = np.broadcast_to(PIXELS, (n, 28, 28))
    file = io.BytesIO()
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def picture(kind):
    file = io.BytesIO()
    if kind == "npy":
        np.save(file, PIXELS)
    else:
        Image.fromarray(PIXELS).save(file, {"png": "PNG", "jpg": "JPEG"}[kind])
    return file.getvalue()


def test_idx(fuzz, tmp_path):
    path = tmp_path / "images"

    def check(content):
        path.write_bytes(content)
        values = refuses_or_reads(read_idx, path, n_axes=3)
        assert values is None or values.ndim == 3

    strategy = mutated(IDX) | mutated(IDX).map(gzip.compress)
    fuzz(strategy | mutated(gzip.compress(IDX, mtime=0)), check, 20)


def test_npz(fuzz, tmp_path):
    path = tmp_path / "mine.npz"

    def check(content):
        path.write_bytes(content)
        refuses_or_reads(load_dataset, folder=path, validation_size=2)

    fuzz(mutated(npz_content()), check, 20)


def test_pictures(fuzz, tmp_path):
    def check(value):
        kind, content = value
        path = tmp_path / f"photo.{kind}"
        path.write_bytes(content)
        pixels = refuses_or_reads(read_image, path, resize=True)
        assert pixels is None or pixels.shape == (28, 28)

    kinds = [
        st.tuples(st.just(kind), mutated(picture(kind)))
        for kind in ("png", "jpg", "npy")
    ]
    fuzz(st.one_of(kinds), check, 30)


def peak_of(read, *arguments, **options):
    """Bytes that a refused read held at most, as far as Python and NumPy say."""
    tracemalloc.start()
    with pytest.raises(InputError):
        read(*arguments, **options)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def npy(shape, content=b"", dtype="|u1"):
    """A `.npy` file that claims a shape."""
    file = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + content


def archive_of(path, member):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", member)
    return path


def test_an_archive_that_claims_more_than_it_holds(tmp_path):
    path = archive_of(tmp_path / "false.npz", npy((10**9, 28, 28)))
    assert peak_of(load_dataset, folder=path) < 2**20
    path = archive_of(tmp_path / "wide.npz", npy((0, 2**63)))
    assert peak_of(load_dataset, folder=path) < 2**20


def test_an_archive_of_zeros_a_thousand_times_its_size(tmp_path):
    size = LEAST_LIMIT // 4 + 1
    path = archive_of(tmp_path / "bomb.npz", npy((size,), bytes(size)))
    assert path.stat().st_size < LEAST_LIMIT / 500
    with pytest.raises(
        ValueError, match=r"claims 67,.* bytes, and may have 67,108,864"
    ):
        read_npz(path, ["x_train", "y_train", "x_test", "y_test"])
    assert peak_of(load_dataset, folder=path) < 2**20


def test_a_compressed_idx_file_of_zeros(tmp_path):
    path = tmp_path / "images.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(struct.pack(">4B3I", 0, 0, 8, 3, 2**20, 28, 28))
        for _ in range(LEAST_LIMIT // 2**20 + 1):
            file.write(bytes(2**20))
    assert path.stat().st_size < LEAST_LIMIT / 100
    with pytest.raises(InputError, match="unpacks to more than 67,108,864 bytes"):
        read_idx(path, n_axes=3)


def test_a_picture_that_claims_a_gigabyte(tmp_path):
    def chunk(kind, content):
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = chunk(b"IHDR", struct.pack(">2I5B", 9000, 9000, 8, 6, 0, 0, 0))
    path = tmp_path / "photo.png"
    data = chunk(b"IDAT", zlib.compress(bytes(10**5))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + data)
    with pytest.raises(InputError, match=r"at most 16,777,216 pixels .* 81,000,000"):
        read_image(path, resize=True)
    assert peak_of(read_image, path, resize=True) < 2**20


class Harmful:
    """What would run, if a pickle were loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_no_pickle_is_loaded(tmp_path):
    proof = tmp_path / "proof"
    content = pickle.dumps(Harmful(proof))
    pickled = npy((1,), content, dtype="|O")
    with pytest.raises(InputError, match="holds objects, which only a pickle"):
        load_dataset(folder=archive_of(tmp_path / "mine.npz", pickled))
    for name, member in (("plain.npy", pickled), ("raw.npy", content)):
        (tmp_path / name).write_bytes(member)
        with pytest.raises(InputError, match="cannot be read"):
            read_image(tmp_path / name)
    assert not proof.exists()
