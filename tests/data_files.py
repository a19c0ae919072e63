"""Small data files in the published formats, written without the code under test."""

import gzip
import hashlib
import struct

import numpy as np

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def idx_bytes(values):
    """An IDX file of unsigned bytes."""
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    return header + values.astype(np.uint8).tobytes()


def four_arrays(n_train=60, n_test=20, n_classes=10, seed=0):
    """Random training and test images with labels in turn, keyed by file name."""
    rng = np.random.default_rng(seed)
    arrays = []
    for n in (n_train, n_test):
        arrays += [rng.integers(0, 256, (n, 28, 28)), np.arange(n) % n_classes]
    return dict(zip(NAMES, arrays, strict=True))


def write_idx_folder(folder, arrays, suffix=".gz"):
    """Writes the four files; `suffix` is empty for plain ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in arrays.items():
        plain = idx_bytes(values)
        content = gzip.compress(plain, mtime=0) if suffix else plain
        (folder / f"{name}{suffix}").write_bytes(content)
    return folder


def checksums(folder):
    """SHA-256 of the four .gz files, in order."""
    contents = [(folder / f"{name}.gz").read_bytes() for name in NAMES]
    return tuple(hashlib.sha256(content).hexdigest() for content in contents)
