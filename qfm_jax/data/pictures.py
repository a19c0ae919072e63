"""PNG and JPEG files of a person's own, one by one or in a folder for each class."""

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._checks import InputError, check_shape, first_line, input_error
from .images import IMAGE_SHAPE, Images, check_contrast, images_of, to_pixels
from .npz import most_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg")

PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""Folders above the classes, where a data set is split already."""


def read_image(
    path: str | Path,
    *,
    resize: bool = False,
    shape: Sequence[int] = IMAGE_SHAPE,
) -> NDArray[np.uint8]:
    """Reads one image of a person's own, as `qfm predict` takes it.

    Colours become grey levels where grey images are asked for. What is transparent
    becomes black, the background of the published images.

    Args:
        path: a PNG or JPEG file, or a NumPy file `.npy` that holds whole numbers from
            0 to 255 or floats in [0, 1].
        resize: stretch an image of another size (Lanczos) instead of refusing it. Crop
            it first to the same proportions around the object.
        shape: (height, width) of the image, or (height, width, 3) in colour.

    Returns:
        uint8, of that shape.

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
    path, mode = Path(path), "L" if len(shape) == 2 else "RGB"
    check_is_there(path)
    try:
        picture = _read_npy(path) if path.suffix == ".npy" else decoded(path)
        picture = picture.convert(mode)
    except InputError:
        raise
    except Exception as error:  # decoders fail in many ways on damaged bytes
        was = f"{path} cannot be read ({first_line(error)})"
        must = "name an intact PNG, JPEG or .npy file"
        raise input_error("path", must, was, "Save the image again.") from error
    height, width = shape[:2]
    if picture.size != (width, height):
        size = f"{height} x {width}"
        if not (resize and min(picture.size)):
            was = f"{path} has {picture.size[1]} x {picture.size[0]}"
            cure = f"Use `resize=True` (`--resize`), which stretches it to {size}."
            raise input_error("path", f"name an image of {size} pixels", was, cure)
        from PIL.Image import Resampling

        picture = picture.resize((width, height), Resampling.LANCZOS)
    pixels = np.asarray(picture)
    check_contrast(str(path), pixels)
    return pixels


def check_is_there(path: Path) -> None:
    """Raises unless a path names a file.

    Raises:
        InputError: Naming it.
    """
    if not path.is_file():
        was = f"{path} is {'a folder' if path.is_dir() else 'not there'}"
        raise input_error("path", "name a PNG, JPEG or .npy file", was)


def _read_npy(path: Path) -> "Image":
    from PIL import Image

    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.ndim == 3 and array.shape[-1] == 3:
        return Image.fromarray(to_pixels(str(path), array))
    check_shape(str(path), array.shape, ("rows", "columns"), "Save one grey image.")
    return Image.fromarray(to_pixels(str(path), array))


def decoded(path: Path) -> "Image":
    """A picture as grey levels (mode L) or red, green and blue (mode RGB).

    It is turned as its EXIF entry says; 16 bits become 8; palettes and CMYK become
    colours; what is transparent becomes black.

    Raises:
        InputError: For a file that claims far more pixels than its size allows.
        Exception: What Pillow raises for damaged files.
    """
    from PIL import Image, ImageOps

    with Image.open(path, formats=("PNG", "JPEG")) as file:
        n_pixels, limit = math.prod(file.size), most_bytes(path) // 4
        if n_pixels > limit:  # a file of a kilobyte can claim a gigabyte
            was = f"{path} claims {n_pixels:,} pixels"
            must = f"have at most {limit:,} pixels for a file of its size"
            raise input_error("path", must, was, "Make it smaller.")
        picture: Any = ImageOps.exif_transpose(file)
        picture.load()
    if picture.mode.startswith("I"):  # Pillow would cut these at 255
        levels = np.asarray(picture).astype(np.int64)
        return Image.fromarray(np.clip((levels + 128) // 257, 0, 255).astype(np.uint8))
    is_grey = picture.mode in ("1", "L", "LA", "La")
    if picture.has_transparency_data:
        black = Image.new("RGBA", picture.size, "black")
        picture = Image.alpha_composite(black, picture.convert("RGBA"))
    return picture.convert("L" if is_grey else "RGB")


def is_folder_of_pictures(path: Path) -> bool:
    """Whether a folder holds folders, as those of the classes or of the parts."""
    return path.is_dir() and any(map(_is_seen_folder, path.iterdir()))


def read_pictures(path: Path) -> tuple[dict[str, Images], tuple[str, ...]]:
    """All pictures of a folder with a folder for each class.

    Above the classes there may be the folders `train` and `test`, and `val` too.

    Returns:
        The images by part (`train` alone where nothing is split), and the names of the
        classes, which are those of the folders in alphabetical order.

    Raises:
        InputError: For a single class, a class without pictures, a file that is no
            intact picture, or pictures of several sizes.
    """
    folders = {
        part: next((path / name for name in names if (path / name).is_dir()), None)
        for part, names in PARTS.items()
    }
    found = {part: folder for part, folder in folders.items() if folder}
    if "train" not in found:
        found = {"train": path}
    classes = _classes_of(found["train"])
    files: dict[str, list[tuple[Path, int]]] = {}
    for part, folder in found.items():
        own = classes if part == "train" else _classes_of(folder)
        if strange := sorted(set(own) - set(classes)):
            must = "hold the classes of its training images alone"
            raise input_error("folder", must, f"{folder} holds {strange[0]!r} too")
        files[part] = [
            (file, classes.index(name))
            for name in own
            for file in _files(folder / name)
        ]
    pictures = _read_all([file for part in files.values() for file, _ in part])
    images, start = {}, 0
    for part, rows in files.items():
        labels = np.array([label for _, label in rows], np.int32)
        images[part] = Images(pictures[start : start + len(rows)], labels)
        start += len(rows)
    return images, tuple(classes)


def _is_seen_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "__"))


def _classes_of(folder: Path) -> list[str]:
    classes = sorted(path.name for path in folder.iterdir() if _is_seen_folder(path))
    if len(classes) < 2:
        must = "hold a folder of pictures for each of two classes or more"
        was = f"{folder} holds {', '.join(map(repr, classes)) or 'none'}"
        raise input_error("folder", must, was)
    return classes


def _files(folder: Path) -> list[Path]:
    hidden = ("Thumbs.db", "desktop.ini")
    files = [
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and path.name not in hidden
    ]
    for path in files:
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            must = "hold PNG and JPEG files alone, in a folder for each class"
            raise input_error("folder", must, f"holds {path}", "Move it elsewhere.")
    if not files:
        must = "hold pictures of every class"
        raise input_error("folder", must, f"{folder} is empty")
    return files


def _read_all(files: Sequence[Path]) -> NDArray[np.uint8]:
    """Grey where all are; with one in colour, all are."""
    with ThreadPoolExecutor() as threads:  # decoders leave Python's lock alone
        pictures = list(threads.map(_read_one, files))
    first = pictures[0].shape
    for path, pixels in zip(files, pictures, strict=True):
        if pixels.shape[:2] != first[:2]:
            must = "hold pictures of one size"
            was = f"{files[0]} has {_size(first)} pixels, and "
            was += f"{path} {_size(pixels.shape)}"
            raise input_error("folder", must, was, "Resize or crop them to one size.")
    return _stacked(pictures)


def _read_one(path: Path) -> NDArray[np.uint8]:
    try:
        return np.asarray(decoded(path))
    except InputError:
        raise
    except Exception as error:
        must = "hold intact PNG and JPEG files"
        was = f"{path} cannot be read ({first_line(error)})"
        raise input_error("folder", must, was, "Save it again, or move it.") from error


def _stacked(pictures: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    pictures = list(pictures)
    if all(pixels.ndim == 2 for pixels in pictures):
        return np.stack(pictures)
    coloured = (p if p.ndim == 3 else np.repeat(p[..., None], 3, -1) for p in pictures)
    return np.stack(list(coloured))


def _size(shape: Sequence[int]) -> str:
    return f"{shape[0]} x {shape[1]}"


def images_of_pairs(pairs: Any, part: str = "train") -> Images:
    """Images of a sequence of (image, label), such as a data set of PyTorch's.

    Args:
        pairs: With a length and items by number: pairs (image, label), or mappings with
            `image` and `label`, as Hugging Face has them. An image is a picture of
            Pillow's, or an array (height, width), (height, width, channels) or (1 or 3,
            height, width), of whole numbers from 0 to 255 or floats in [0, 1].
        part: What they are called in errors.

    Raises:
        InputError: For no images, images of several sizes, labels that are no whole
            numbers, and all that `images_of` refuses.

    Example:
        >>> images_of_pairs([(np.ones((3, 8, 9)), 1), (np.zeros((3, 8, 9)), 0)]).labels
        array([1, 0], dtype=int32)
    """
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for i in range(len(pairs)):
        image, label = _pair(pairs[i], part)
        pixels = to_pixels(f"image {i} of {part}", _as_array(image))
        if images and pixels.shape[:2] != images[0].shape[:2]:
            must = "have one size"
            was = f"image {i} has {_size(pixels.shape)} pixels, and the first one "
            raise input_error(f"images of {part}", must, was + _size(images[0].shape))
        images.append(pixels)
        number = np.asarray(label)
        if number.size != 1 or number.dtype.kind not in "iu":
            must = "be whole numbers"
            raise input_error(f"labels of {part}", must, f"one is {label!r}")
        labels.append(int(number.reshape(())))
    if not images:
        raise input_error(part, "hold at least one image", "holds none")
    names = f"images of {part}", f"labels of {part}"
    return images_of(_stacked(images), labels, names)


def _pair(item: Any, part: str) -> tuple[Any, Any]:
    if isinstance(item, Mapping):
        image = next((item[key] for key in ("image", "img") if key in item), None)
        if image is not None and "label" in item:
            return image, item["label"]
    elif len(item) == 2:
        return item[0], item[1]
    must = "hold pairs (image, label), or mappings with `image` and `label`"
    raise input_error(part, must, f"one is {type(item).__name__}")


def _as_array(image: Any) -> np.ndarray:
    """(height, width) or (height, width, 3)."""
    if hasattr(image, "convert"):  # Pillow's
        image = image.convert("L" if image.mode in ("1", "L") else "RGB")
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[-1] not in (1, 3):
        array = np.moveaxis(array, 0, -1)
    return array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array
