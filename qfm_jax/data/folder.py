"""Data of a person's own: pictures, four IDX files, or one NumPy archive."""

import zipfile
from pathlib import Path

from .._checks import input_error
from .archive import FILES, read_idx_images
from .idx import damaged
from .images import Images, images_of
from .npz import read_npz
from .pictures import is_folder_of_pictures, read_pictures

KEYS = {
    "train": ("x_train", "y_train"),
    "validation": ("x_val", "y_val"),
    "test": ("x_test", "y_test"),
}
"""Images and labels of an archive; those of validation may be missing."""

MEDMNIST = {
    "train": ("train_images", "train_labels"),
    "validation": ("val_images", "val_labels"),
    "test": ("test_images", "test_labels"),
}
"""The same as MedMNIST calls them."""


def read_folder(path: Path) -> tuple[dict[str, Images], tuple[str, ...] | None]:
    """Images of a person's own from a folder or a file.

    Args:
        path: a folder with a folder of PNG or JPEG files for each class; a folder with
            the four FILES, each plain or `.gz`; or an `.npz` file, or a folder with
            one, that holds the arrays KEYS, or those of MedMNIST.

    Returns:
        The images by part: `train`, and `test` and `validation` where there are any;
        and the names of the classes, where folders have them.

    Raises:
        InputError: if the files are missing or damaged, the images have several sizes,
            or images and labels do not fit each other.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "mine.npz"
        >>> x, y = np.zeros((4, 28, 28)), np.arange(4)
        >>> np.savez(path, x_train=x, y_train=y, x_test=x[:1], y_test=y[:1])
        >>> {part: len(images) for part, images in read_folder(path)[0].items()}
        {'train': 4, 'test': 1}
    """
    parts, names = _read(path)
    for part, images in parts.items():
        if not len(images):
            called = "training" if part == "train" else part
            raise input_error("folder", f"hold {called} images", f"{path} holds none")
    shapes = {images.image_shape for images in parts.values()}
    if len(shapes) > 1:
        must = "hold images of one size, all grey or all in colour"
        raise input_error("folder", must, f"{path} holds {sorted(shapes)}")
    return parts, names


def _read(path: Path) -> tuple[dict[str, Images], tuple[str, ...] | None]:
    if path.is_file():
        return _read_npz(path), None
    files = [_idx_path(path, file) for file in FILES]
    present = [file for file in files if file.is_file()]
    if len(present) == len(FILES):
        train, test = read_idx_images(*files[:2]), read_idx_images(*files[2:])
        return {"train": train, "test": test}, None
    archives = sorted(path.glob("*.npz"))
    if not present and not archives and is_folder_of_pictures(path):
        return read_pictures(path)
    if present or len(archives) != 1:
        must = f"hold {', '.join(FILES)} (plain or .gz), one .npz file, or a folder "
        must += "of pictures for each class"
        found = sorted(file.name for file in path.iterdir())[:8]
        was = f"{path} holds {', '.join(found) or 'nothing'}"
        raise input_error("folder", must, was)
    return _read_npz(archives[0]), None


def _idx_path(folder: Path, file: str) -> Path:
    compressed = folder / f"{file}.gz"
    return compressed if compressed.is_file() else folder / file


def _read_npz(path: Path) -> dict[str, Images]:
    if path.suffix != ".npz":
        raise input_error("folder", "name a folder or an .npz file", f"is {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            held = {name.removesuffix(".npy") for name in archive.namelist()}
        keys = MEDMNIST if set(MEDMNIST["train"]) <= held else KEYS
        parts = {part: own for part, own in keys.items() if part != "validation"}
        if held & set(keys["validation"]):
            parts = keys
        arrays = read_npz(path, [name for own in parts.values() for name in own])
    except KeyError as error:
        ours, theirs = (
            ", ".join((*own["train"], *own["test"])) for own in (KEYS, MEDMNIST)
        )
        must = f"hold the arrays {ours}, or {theirs}"
        raise input_error("folder", must, f"{path} lacks {error.args[0]}") from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise damaged(path, f"is no intact .npz file ({error})") from error
    return {
        part: images_of(arrays[x], arrays[y], (x, y)) for part, (x, y) in parts.items()
    }
