"""Data of a person's own: four IDX files, or one NumPy archive."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .._checks import check_shape, input_error
from .archive import FILES, read_idx_images
from .idx import damaged
from .images import IMAGE_SHAPE, Images, check_pixel_shape, to_pixels
from .npz import read_npz

KEYS = ("x_train", "y_train", "x_test", "y_test")


def read_folder(path: Path) -> tuple[Images, Images]:
    """Training and test images from a folder of IDX files or an `.npz` file.

    Args:
        path: a folder with the four FILES, each plain or `.gz`; or an `.npz` file, or
            a folder with one, that holds the arrays KEYS.

    Raises:
        InputError: if the files are missing or damaged, the images are not 28x28, or
            images and labels do not fit each other.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "mine.npz"
        >>> x, y = np.zeros((4, 28, 28)), np.arange(4)
        >>> np.savez(path, x_train=x, y_train=y, x_test=x[:1], y_test=y[:1])
        >>> [len(images) for images in read_folder(path)]
        [4, 1]
    """
    train, test = _read(path)
    for part, images in (("training", train), ("test", test)):
        if not len(images):
            raise input_error("folder", f"hold {part} images", f"{path} holds none")
    return train, test


def _read(path: Path) -> tuple[Images, Images]:
    if path.is_file():
        return _read_npz(path)
    files = [_idx_path(path, file) for file in FILES]
    present = [file for file in files if file.is_file()]
    if len(present) == len(FILES):
        return read_idx_images(*files[:2]), read_idx_images(*files[2:])
    archives = sorted(path.glob("*.npz"))
    if present or len(archives) != 1:
        must = f"hold {', '.join(FILES)} (plain or .gz), or one .npz file"
        found = sorted(file.name for file in path.iterdir())[:8]
        was = f"{path} holds {', '.join(found) or 'nothing'}"
        raise input_error("folder", must, was)
    return _read_npz(archives[0])


def _idx_path(folder: Path, file: str) -> Path:
    compressed = folder / f"{file}.gz"
    return compressed if compressed.is_file() else folder / file


def _read_npz(path: Path) -> tuple[Images, Images]:
    if path.suffix != ".npz":
        raise input_error("folder", "name a folder or an .npz file", f"is {path}")
    try:
        arrays = read_npz(path, KEYS)
    except KeyError as error:
        must = f"hold the arrays {', '.join(KEYS)}"
        raise input_error("folder", must, f"{path} lacks {error.args[0]}") from error
    except (OSError, ValueError) as error:
        raise damaged(path, f"is no intact .npz file ({error})") from error
    x_train, y_train, x_test, y_test = (arrays[key] for key in KEYS)
    return _to_images("train", x_train, y_train), _to_images("test", x_test, y_test)


def _to_images(part: str, x: np.ndarray, y: np.ndarray) -> Images:
    check_pixel_shape(f"x_{part}", x, ("n", *IMAGE_SHAPE))
    check_shape(f"y_{part}", y.shape, (len(x),), "Give one label per image.")
    return Images(to_pixels(f"x_{part}", x), _to_labels(f"y_{part}", y))


def _to_labels(argument: str, y: np.ndarray) -> NDArray[np.int32]:
    if y.dtype.kind not in "iu":
        raise input_error(argument, "hold whole numbers", f"has type {y.dtype}")
    if len(y) and not (y.min() >= 0 and y.max() < 2**31):
        was = f"goes from {y.min()} to {y.max()}"
        raise input_error(argument, "hold labels that count from 0", was)
    return y.astype(np.int32)
