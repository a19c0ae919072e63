"""The IDX file format, in which MNIST and Fashion-MNIST are published.

A file is a header of big-endian numbers, two zero bytes, a type (8: unsigned byte), the
number of axes, the length of each axis in four bytes, and then the values.
Source: http://yann.lecun.com/exdb/mnist/, "File formats".
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from .._checks import InputError, input_error
from .npz import most_bytes

_GZIP_MAGIC = b"\x1f\x8b"
_PIECE = 2**20


def read_idx(path: Path, n_axes: int) -> NDArray[np.uint8]:
    r"""Reads a file of unsigned bytes, plain or gzip, and trusts none of its claims.

    Memory stays within what the header claims, what the file holds, and for a
    compressed file `most_bytes` of it.

    Args:
        path: the file; its first bytes, not its name, tell whether it is compressed.
        n_axes: 3 for images, 1 for labels.

    Returns:
        The values, uint8 with `n_axes` axes.

    Raises:
        InputError: if the file is truncated, corrupt, too long or of another format.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "train-labels-idx1-ubyte"
        >>> path.write_bytes(b"\0\0\x08\x01" + b"\0\0\0\x03" + bytes([7, 8, 9]))
        11
        >>> read_idx(path, n_axes=1)
        array([7, 8, 9], dtype=uint8)
    """
    try:
        with path.open("rb") as file:
            is_gzip = file.peek(2)[:2] == _GZIP_MAGIC
            stream = gzip.GzipFile(fileobj=file) if is_gzip else file
            return _read_values(cast(BinaryIO, stream), path, n_axes)
    except EOFError as error:
        raise damaged(path, "is truncated") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise damaged(path, f"is corrupt ({error})") from error
    except OSError as error:
        raise damaged(path, f"cannot be read ({error})") from error


def damaged(path: Path, defect: str) -> InputError:
    """The error for a file that cannot be trusted, after its path and `defect`."""
    cure = "Copy or download the file again."
    return input_error("folder", "hold intact data files", f"{path} {defect}", cure)


def _read_values(stream: BinaryIO, path: Path, n_axes: int) -> NDArray[np.uint8]:
    header = stream.read(4 + 4 * n_axes)
    expected = bytes([0, 0, 8, n_axes])
    if header[:4] != expected[: len(header)]:
        expectation = f"{expected.hex(' ')}, unsigned bytes on {n_axes} axes"
        raise damaged(path, f"starts with {header[:4].hex(' ')}, not {expectation}")
    if len(header) < 4 + 4 * n_axes:
        raise damaged(path, f"is truncated: it ends after {len(header)} bytes")
    shape = struct.unpack(f">{n_axes}I", header[4:])
    n_values = math.prod(shape)
    limit = most_bytes(path)
    # One more than there should be: meets the end, and with it the gzip checksum.
    values = _read_at_most(stream, min(n_values, limit) + 1)
    if len(values) > limit:
        raise damaged(path, f"unpacks to more than {limit:,} bytes")
    if len(values) != n_values:
        state = "truncated" if len(values) < n_values else "too long"
        claim = f"its header claims {n_values:,} values"
        raise damaged(path, f"is {state}: {claim}, but {len(values):,} follow")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _read_at_most(stream: BinaryIO, n_bytes: int) -> bytearray:
    """Reads piece by piece: one read of `n_bytes` would allocate them all at once."""
    values = bytearray()
    while piece := stream.read(min(_PIECE, n_bytes - len(values))):
        values += piece
    return values
