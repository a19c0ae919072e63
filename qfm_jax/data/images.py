"""Images and their labels."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import check_shape, input_error

IMAGE_SHAPE = (28, 28)
"""Of the published data sets."""

LEAST_SIDE = 8
"""Pixels that an image must have on each side."""

PIXELS = "hold whole numbers from 0 to 255 or floats in [0, 1]"
"""What an array of images must do."""


class Images:
    """Images, grey or in colour, and the class of each.

    Images that were taken of others share their arrays, and copy them when they are
    first asked for: ten splits of 60,000 images are ten lists of numbers.

    Args:
        pixels: uint8 (n, height, width), from 0, black, to 255, or (n, height, width,
            3) in colour: red, green, blue. At least 8 pixels high and wide.
        labels: int32 (n,), from 0 to n_classes - 1.

    Raises:
        InputError: if the shapes or types are others than those above, or no pixel is
            above 1.

    Example:
        >>> blank = Images(np.zeros((3, 28, 28), np.uint8), np.arange(3, dtype="i4"))
        >>> len(blank), blank.take([2, 0]).labels
        (3, array([2, 0], dtype=int32))
    """

    def __init__(self, pixels: NDArray[np.uint8], labels: NDArray[np.int32]):
        check_pixel_shape("pixels", pixels)
        check_shape("labels", labels.shape, (len(pixels),))
        for name, array, kind, cure in (
            ("pixels", pixels, "uint8", "`images_of` makes them of other numbers."),
            ("labels", labels, "int32", "Convert them with `.astype('int32')`."),
        ):
            if array.dtype != kind:
                raise input_error(name, f"be {kind}", f"is {array.dtype}", cure)
        check_contrast("pixels", pixels)
        self._pool = pixels, labels
        self._rows: NDArray[np.integer] | None = None

    @functools.cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """uint8 (n, height, width[, 3]), from 0, black, to 255."""
        return self._pool[0] if self._rows is None else self._pool[0][self._rows]

    @property
    def values(self) -> NDArray[np.float32]:
        """float32 in [0, 1], of the same shape: what models take. Made at each call."""
        return self.pixels.astype(np.float32) / np.float32(255)

    @property
    def images(self) -> Any:
        """Gone: bytes and numbers were easily mistaken for each other."""
        cure = "`.values` are float32 in [0, 1], as models take them, `.pixels` uint8."
        raise AttributeError(f"Images have no `images`. {cure}")

    @functools.cached_property
    def labels(self) -> NDArray[np.int32]:
        """int32 (n,), from 0 to n_classes - 1."""
        return self._pool[1] if self._rows is None else self._pool[1][self._rows]

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(height, width) of every image, or (height, width, 3)."""
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


def images_of(
    pixels: ArrayLike,
    labels: ArrayLike,
    names: tuple[str, str] = ("pixels", "labels"),
) -> Images:
    """Images of arrays of any number type.

    Args:
        pixels: (n, height, width), (n, height, width, 1) or (n, height, width, 3),
            whole numbers from 0 to 255 or floats in [0, 1].
        labels: Whole numbers from 0, (n,) or (n, 1).
        names: What the arrays are called in errors.

    Raises:
        InputError: For other shapes, types or values.

    Example:
        >>> images_of(np.ones((2, 8, 8, 3)), [0, 1]).image_shape
        (8, 8, 3)
    """
    pixels, labels = np.asarray(pixels), np.asarray(labels)
    if pixels.ndim == 4 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if labels.ndim == 2 and labels.shape[-1] == 1:
        labels = labels[:, 0]
    check_pixel_shape(names[0], pixels)
    check_shape(names[1], labels.shape, (len(pixels),), "Give one label per image.")
    return Images(to_pixels(names[0], pixels), to_labels(names[1], labels))


def to_labels(argument: str, labels: np.ndarray) -> NDArray[np.int32]:
    """Labels as int32.

    Raises:
        InputError: For other types than whole numbers, and numbers below 0.
    """
    if labels.dtype.kind not in "iu":
        raise input_error(argument, "hold whole numbers", f"has type {labels.dtype}")
    if len(labels) and not (labels.min() >= 0 and labels.max() < 2**31):
        was = f"goes from {labels.min()} to {labels.max()}"
        raise input_error(argument, "hold labels that count from 0", was)
    return labels.astype(np.int32)


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


def check_pixel_shape(argument: str, pixels: NDArray[Any]) -> None:
    """Raises unless these are images: grey or of three colours, 8 x 8 or more."""
    shape = pixels.shape
    is_grey, is_coloured = pixels.ndim == 3, pixels.ndim == 4 and shape[-1] == 3
    if not (is_grey or is_coloured):
        must = "have shape (n, height, width) or (n, height, width, 3)"
        cure = ""
        if pixels.ndim == 4:
            cure = "Images are grey, without a channel axis, or red, green and blue."
        if pixels.ndim == 4 and shape[1] in (1, 3):
            cure = "Move the channels to the end: `np.moveaxis(pixels, 1, -1)`."
        raise input_error(argument, must, f"has shape {shape}", cure)
    if len(pixels) and min(shape[1:3]) < LEAST_SIDE:
        must = f"be at least {LEAST_SIDE} pixels high and wide"
        raise input_error(
            argument, must, f"has {shape[1]} x {shape[2]}", "Resize them."
        )


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
