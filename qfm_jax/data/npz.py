"""NumPy archives (`.npz`): zip files of arrays, read without trust in their claims.

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

MOST_GROWTH = 100
"""What is read has at most so many times the bytes of its file: data sets of images
have 2 to 20, and deflate reaches 1,000 with nothing but zeros."""

LEAST_LIMIT = 2**26
"""Bytes up to which a file is read, however small it is."""


def most_bytes(path: Path) -> int:
    """The bytes that a compressed file may unpack to.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "small"
        >>> path.write_bytes(b"abc")
        3
        >>> most_bytes(path) == LEAST_LIMIT
        True
    """
    return max(LEAST_LIMIT, MOST_GROWTH * path.stat().st_size)


def read_npz(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Reads arrays of an archive by their names; no pickle is ever loaded.

    Memory stays within `most_bytes` for all arrays together.

    Raises:
        KeyError: Naming the arrays that it lacks.
        ValueError: For a file that is no intact archive, holds objects, or unpacks to
            more than its size allows.
        OSError: If it cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "mine.npz"
        >>> np.savez(path, labels=np.arange(3))
        >>> read_npz(path, ["labels"])
        {'labels': array([0, 1, 2])}
    """
    limit = most_bytes(path)
    try:
        with zipfile.ZipFile(path) as archive:
            held = set(archive.namelist())
            if missing := [name for name in names if f"{name}.npy" not in held]:
                raise KeyError(", ".join(missing))
            members = [archive.getinfo(f"{name}.npy") for name in names]
            claimed = sum(member.file_size for member in members)
            if claimed > limit:
                raise ValueError(f"it claims {claimed:,} bytes, and may have {limit:,}")
            return {
                member.filename.removesuffix(".npy"): _read_member(archive, member)
                for member in members
            }
    except (OSError, ValueError, KeyError):
        raise
    except Exception as error:  # zip, zlib and NumPy fail in many ways
        raise ValueError(str(error) or type(error).__name__) from error


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """An array whose header claims no more bytes than its member has."""
    with archive.open(member) as opened:
        file = cast(BinaryIO, opened)
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"it is of NumPy's format {version}")
        first = version == (1, 0)
        read_header = (
            np.lib.format.read_array_header_1_0
            if first
            else np.lib.format.read_array_header_2_0
        )
        shape, is_fortran, dtype = read_header(file)
        if dtype.hasobject:
            raise ValueError("it holds objects, which only a pickle could restore")
        n_bytes = math.prod(shape) * dtype.itemsize
        if n_bytes > member.file_size or min(shape, default=0) < 0:
            raise ValueError(f"its header claims {n_bytes:,} bytes, and fewer follow")
        # One more than there should be: meets the end, and with it the checksum.
        content = file.read(n_bytes + 1)
    if len(content) != n_bytes:
        raise ValueError(f"its header claims {n_bytes:,} bytes, and others follow")
    array = np.frombuffer(content, dtype)
    return array.reshape(shape[::-1]).T if is_fortran else array.reshape(shape)
