"""Images and their labels, and the reading of one image of a person's own."""

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import InputError, check_shape, input_error
from .npz import most_bytes

IMAGE_SHAPE = (28, 28)

PIXELS = "hold whole numbers from 0 to 255 or floats in [0, 1]"
"""What an array of images must do."""


class Images:
    """Grey images and the class of each.

    Images that were taken of others share their arrays, and copy them when they are
    first asked for: ten splits of 60,000 images are ten lists of numbers.

    Args:
        images: uint8 (n, 28, 28), from 0, the background, to 255.
        labels: int32 (n,), from 0 to n_classes - 1.

    Raises:
        InputError: if the shapes or types are others than those above, or no pixel is
            above 1.

    Example:
        >>> blank = Images(np.zeros((3, 28, 28), np.uint8), np.arange(3, dtype="i4"))
        >>> len(blank), blank.take([2, 0]).labels
        (3, array([2, 0], dtype=int32))
    """

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int32]):
        check_pixel_shape("images", images, ("n", *IMAGE_SHAPE))
        check_shape("labels", labels.shape, (len(images),))
        for name, array, kind in (
            ("images", images, "uint8"),
            ("labels", labels, "int32"),
        ):
            if array.dtype != kind:
                cure = f"Convert them with `.astype({kind!r})`."
                raise input_error(name, f"be {kind}", f"is {array.dtype}", cure)
        check_contrast("images", images)
        self._pool = images, labels
        self._rows: NDArray[np.integer] | None = None

    @functools.cached_property
    def images(self) -> NDArray[np.uint8]:
        """uint8 (n, 28, 28), from 0, the background, to 255."""
        return self._pool[0] if self._rows is None else self._pool[0][self._rows]

    @functools.cached_property
    def labels(self) -> NDArray[np.int32]:
        """int32 (n,), from 0 to n_classes - 1."""
        return self._pool[1] if self._rows is None else self._pool[1][self._rows]

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Rows and columns of every image."""
        return self._pool[0].shape[1:]

    def __len__(self) -> int:
        return len(self._pool[1] if self._rows is None else self._rows)

    def take(self, indices: Sequence[int] | NDArray[np.integer]) -> "Images":
        """The images at `indices` (k,), in that order."""
        taken = object.__new__(Images)
        taken._pool = self._pool
        of_all = np.arange(len(self)) if self._rows is None else self._rows
        taken._rows = of_all[np.asarray(indices, int)]
        return taken


def pooled(
    parts: Sequence[Images],
) -> tuple[NDArray[np.uint8], NDArray[np.int32], list[NDArray[np.integer]]]:
    """Images and labels of several parts, each array once, and the rows of each part.

    Example:
        >>> blank = Images(np.zeros((3, 28, 28), np.uint8), np.arange(3, dtype="i4"))
        >>> images, labels, rows = pooled([blank.take([2, 0]), blank.take([1])])
        >>> len(images), [list(map(int, own)) for own in rows]
        (3, [[2, 0], [1]])
    """
    starts: dict[int, int] = {}
    pools: list[tuple[Any, Any]] = []
    rows, end = [], 0
    for part in parts:
        images, labels = part._pool
        if id(images) not in starts:
            starts[id(images)] = end
            pools.append((images, labels))
            end += len(images)
        own = np.arange(len(part)) if part._rows is None else part._rows
        rows.append(starts[id(images)] + own)
    if len(pools) == 1:
        return *pools[0], rows
    images, labels = map(np.concatenate, zip(*pools, strict=True))
    return images, labels, rows


def check_pixel_shape(
    argument: str, pixels: NDArray[Any], expected: tuple[int | str, ...]
) -> None:
    """Raises unless `pixels` has the expected shape; the cure is for images."""
    cure = "Every image is grey, without a channel axis: resize it to 28 x 28."
    check_shape(argument, pixels.shape, expected, cure)


def check_contrast(argument: str, pixels: np.ndarray) -> None:
    """Raises where whole numbers go up to 1 alone: black and white, read as all black.

    Raises:
        InputError: For images whose highest grey level is 1; all zeros may be.
    """
    if pixels.size and pixels.max() == 1:
        was = f"is {pixels.dtype} with no value but 0 and 1, all but black"
        cure = "If 1 is white, multiply by 255."
        raise input_error(argument, PIXELS, was, cure)


def to_pixels(argument: str, array: np.ndarray) -> NDArray[np.uint8]:
    """Grey levels as uint8: of whole numbers from 0 to 255, or floats in [0, 1].

    Raises:
        InputError: For other types and values, and all that `check_contrast` refuses.
    """
    is_whole, is_float = array.dtype.kind in "iu", array.dtype.kind == "f"
    highest = 255 if is_whole else 1
    if not (is_whole or is_float):
        cure = "Multiply by 255." if array.dtype == bool else ""
        raise input_error(argument, PIXELS, f"has type {array.dtype}", cure)
    if not ((array >= 0) & (array <= highest)).all():  # NaN fails both
        was = f"is {array.dtype} from {array.min()} to {array.max()}"
        raise input_error(argument, PIXELS, was, "Rescale the values.")
    if is_whole:
        check_contrast(argument, array)
    scaled = array if is_whole else np.rint(array * 255)
    return scaled.astype(np.uint8)


def read_image(path: str | Path, *, resize: bool = False) -> NDArray[np.uint8]:
    """Reads one image of a person's own, as `qfm predict` takes it.

    Colours become grey levels and what is transparent becomes black, the background
    of the training images.

    Args:
        path: a PNG or JPEG file of 8 bits a channel, or a NumPy file `.npy` that
            holds whole numbers from 0 to 255 or floats in [0, 1].
        resize: stretch an image of any size to 28 x 28 (Lanczos) instead of refusing
            it. Crop it to a square around the object first.

    Returns:
        Grey levels, uint8 (28, 28).

    Raises:
        InputError: if the file is missing, damaged, of another type or another size, or
            its whole numbers are 0 and 1 alone.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "white.npy"
        >>> np.save(path, np.ones((14, 14)))
        >>> read_image(path, resize=True).min()
        np.uint8(255)
    """
    path = Path(path)
    if not path.is_file():
        was = f"{path} is {'a folder' if path.is_dir() else 'not there'}"
        raise input_error("path", "name a PNG, JPEG or .npy file", was)
    read = _read_npy if path.suffix == ".npy" else _read_picture
    try:
        pixels = read(path)
    except InputError:
        raise
    except Exception as error:  # decoders fail in many ways on damaged bytes
        was = f"{path} cannot be read ({error})"
        must = "name an intact PNG, JPEG or .npy file"
        raise input_error("path", must, was, "Save the image again.") from error
    if pixels.shape != IMAGE_SHAPE and not (resize and pixels.size):
        was = f"{path} has {' x '.join(str(length) for length in pixels.shape)}"
        cure = "Use `resize=True` (`--resize`), which stretches it to 28 x 28."
        raise input_error("path", "name an image of 28 x 28 pixels", was, cure)
    return _resized(pixels)


def _read_npy(path: Path) -> NDArray[np.uint8]:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    check_shape(str(path), array.shape, ("rows", "columns"), "Save one grey image.")
    return to_pixels(str(path), array)


def _read_picture(path: Path) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    with Image.open(path, formats=("PNG", "JPEG")) as file:
        n_pixels, limit = math.prod(file.size), most_bytes(path) // 4
        if n_pixels > limit:  # a file of a kilobyte can claim a gigabyte
            was = f"{path} claims {n_pixels:,} pixels"
            cure = "Make it smaller."
            must = f"have at most {limit:,} pixels for a file of its size"
            raise input_error("path", must, was, cure)
        if file.mode.startswith(("I", "F")):  # Pillow would cut these at 255
            was = f"{path} has mode {file.mode}"
            cure = "Save it with 8 bits."
            raise input_error("path", "have 8 bits a channel", was, cure)
        picture: Any = ImageOps.exif_transpose(file)
    if picture.has_transparency_data:
        black = Image.new("RGBA", picture.size, "black")
        picture = Image.alpha_composite(black, picture.convert("RGBA"))
    pixels = np.asarray(picture.convert("L"))
    check_contrast(str(path), pixels)
    return pixels


def _resized(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.shape == IMAGE_SHAPE:
        return pixels
    from PIL import Image

    picture: Any = Image.fromarray(pixels)
    return np.asarray(picture.resize(IMAGE_SHAPE[::-1], Image.Resampling.LANCZOS))
