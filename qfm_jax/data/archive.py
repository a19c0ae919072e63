"""The two published data sets: their official files, found, downloaded and verified."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._checks import InputError, input_error
from .download import DownloadError, download
from .idx import damaged, read_idx
from .images import Images, check_contrast, check_pixel_shape

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""The four files of a data set in IDX format, `.gz` as they are published."""


class UnavailableError(InputError):
    """No copy of a published data set is at hand, and none could be downloaded."""


@dataclass(frozen=True)
class Archive:
    """A published data set: how its files are known, and who serves them."""

    class_names: tuple[str, ...]
    sha256: tuple[str, ...]
    """Checksum of each of FILES with `.gz`, as published."""
    mirrors: tuple[str, ...]
    """Addresses to which a file name is appended, tried in this order."""


ARCHIVES = {
    "fashion-mnist": Archive(
        class_names=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        sha256=(
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
    ),
    "mnist": Archive(
        class_names=tuple("0123456789"),
        # As in TensorFlow Datasets, url_infos of `mnist`.
        sha256=(
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
}


def find_archive(name: str) -> Path:
    """The folder with the files of a published data set, which it downloads if need be.

    Looks in the folder QFM_DATA_DIR, below it in a folder `name`, in the user's cache
    (QFM_CACHE_DIR, or where the system keeps caches), and asks the mirrors.

    Raises:
        UnavailableError: if the files are nowhere and no mirror delivers them.
    """
    data_dir = os.environ.get("QFM_DATA_DIR")
    if data_dir:
        for folder in (Path(data_dir) / name, Path(data_dir)):
            if any((folder / f"{file}.gz").exists() for file in FILES):
                return folder
    return _fill_cache(name, ARCHIVES[name])


def read_archive(name: str, folder: Path) -> tuple[Images, Images]:
    """Training and test images of a published data set, every file verified.

    Raises:
        InputError: if a file is missing, corrupt or that of another data set.
    """
    paths = [folder / f"{file}.gz" for file in FILES]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        was = f"{folder} lacks {', '.join(missing)}"
        cure = "Data of your own is read with `folder` alone, without a name."
        raise input_error("folder", f"hold the four files of {name}", was, cure)
    for path, expected in zip(paths, ARCHIVES[name].sha256, strict=True):
        _verify(path, name, expected)
    return read_idx_images(*paths[:2]), read_idx_images(*paths[2:])


def read_idx_images(images: Path, labels: Path) -> Images:
    """One pair of IDX files; sizes and counts are checked, the range of labels is not.

    Raises:
        InputError: if a file is damaged, or the two do not fit each other.
    """
    pixels, classes = read_idx(images, n_axes=3), read_idx(labels, n_axes=1)
    check_pixel_shape(str(images), pixels)
    check_contrast(str(images), pixels)
    if len(pixels) != len(classes):
        defect = f"holds {len(classes):,} labels for {len(pixels):,} images"
        raise damaged(labels, defect)
    return Images(pixels, classes.astype(np.int32))


def recognise(folder: Path) -> str | None:
    """The name of the published data set whose training images lie in `folder`."""
    path = folder / f"{FILES[0]}.gz"
    return _owner(_sha256(path)) if path.is_file() else None


def _verify(path: Path, name: str, expected: str) -> None:
    found = _sha256(path)
    if found == expected:
        return
    owner = _owner(found)
    hint = f" (that of {owner})" if owner else ""
    raise input_error(
        "folder",
        f"hold the official files of {name}",
        f"{path} is mislabelled or corrupt: expected sha256 {expected}, got {found}"
        + hint,
        f"Put the right files there or into a folder `{name}` below QFM_DATA_DIR.",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _owner(sha256: str) -> str | None:
    """The published data set that has a file with this checksum."""
    owners = (name for name, archive in ARCHIVES.items() if sha256 in archive.sha256)
    return next(owners, None)


def _fill_cache(name: str, archive: Archive) -> Path:
    """The user's cache folder of a data set, complete."""
    import pooch

    cache = Path(os.environ.get("QFM_CACHE_DIR") or pooch.os_cache("qfm_jax"))
    files = [f"{file}.gz" for file in FILES]
    checksums = dict(zip(files, archive.sha256, strict=True))
    try:
        download(checksums, archive.mirrors, cache / name)
    except DownloadError as error:
        data_dir = os.environ.get("QFM_DATA_DIR") or "not set"
        was = (
            f"{name} is neither in QFM_DATA_DIR ({data_dir}) nor in the cache "
            f"{cache / name}, and no mirror delivers it: {error}"
        )
        cure = (
            f"Put {', '.join(files)} into a folder and name it in QFM_DATA_DIR, or "
            "choose the data set `digits`, which needs no network."
        )
        must = "be a data set that can be found or downloaded"
        raise UnavailableError(str(input_error("name", must, was, cure))) from error
    return cache / name
