"""A data set split in three, by name or from a person's own files."""

import os
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import check_at_least, check_one_of, input_error
from .archive import ARCHIVES, UnavailableError, find_archive, read_archive, recognise
from .digits import read_digits
from .folder import read_folder
from .images import Images, images_of
from .pictures import images_of_pairs
from .split import check_size, stratified_split

DATASETS = ("auto", "digits", "fashion-mnist", "mnist")

TEST_SEED = 0
"""Chooses a subset of the test images: the same for every seed of a comparison."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images to train on, to choose by and to score once."""

    name: str
    train: Images
    validation: Images
    test: Images
    class_names: tuple[str, ...]
    source: str
    """The folder that the images were read from, or the library that holds them."""
    warning: str | None = None
    """What the reader of a report must know, such as a fallback to `digits`."""

    @property
    def n_classes(self) -> int:
        """Number of classes, those that an image may have."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(height, width) of every image, or (height, width, 3) in colour."""
        return self.train.image_shape

    def __str__(self) -> str:
        """Name, size of the images, and how many each part has of each class."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        counts = [
            np.bincount(images.labels, minlength=self.n_classes)
            for images in parts.values()
        ]
        rows = list(zip(self.class_names, *counts, strict=True))
        if len(rows) > MOST_SHOWN:
            rows = [*rows[: MOST_SHOWN - 1], ("...", "", "", "")]
        table = [("", *parts), ("all", *map(len, parts.values())), *rows]
        widths = [max(len(str(row[i])) for row in table) for i in range(4)]
        lines = [
            "  ".join(
                str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in table
        ]
        height, width = self.image_shape[:2]
        colour = "in colour" if len(self.image_shape) == 3 else "grey"
        title = f"{self.name}: {height} x {width} pixels, {colour}, "
        return "\n".join([f"{title}{self.n_classes} classes", *lines])


MOST_SHOWN = 12
"""Classes of which `print` shows the counts."""


@dataclass(frozen=True, eq=False)
class _Source:
    """What a source holds, before the validation images are set apart."""

    name: str
    train: Images
    test: Images
    class_names: tuple[str, ...]
    place: str
    warning: str | None = None
    validation: Images | None = None
    """Where the source has its own; chosen of the training images otherwise."""


Part = Any
"""Images and labels: a pair of arrays, or a sequence of (image, label)."""


def load_dataset(
    name: str | Path | Mapping[str, Part] | Sequence[Part] = "auto",
    *,
    folder: str | Path | None = None,
    train_size: int | None = None,
    validation_size: int | None = None,
    test_size: int | None = None,
    classes: Sequence[str] = (),
    seed: int = 0,
) -> Dataset:
    """Finds, verifies, reads and splits a data set.

    The published sets are looked for in `folder` if given, otherwise in QFM_DATA_DIR (a
    folder with their four files, or with a folder of that name), in the user's cache
    (QFM_CACHE_DIR) and on two mirrors; every file is verified by SHA-256. Validation
    images come from the training file only. All splits keep the class proportions.

    Args:
        name: `fashion-mnist`; `mnist`; `digits`, the 1,797 real 8x8 images inside
            scikit-learn, enlarged, 360 of them to test on; or `auto`, Fashion-MNIST
            where it can be had, else `digits` with a warning. Or data of your own:
            the path that `folder` takes; a pair of arrays (images, labels); a sequence
            of (image, label), such as a data set of PyTorch or of Hugging Face; or a
            mapping of the parts `train`, `test` and `validation` to such.
        folder: with a published name, where its four `.gz` files lie. With `auto`, data
            of your own: a folder with a folder of PNG or JPEG files for each class,
            below `train`, `val` and `test` where it is split; an `.npz` file, or a
            folder with one, with the arrays `x_train` (n, height, width[, 3]),
            `y_train` (n,), `x_test` and `y_test`, and `x_val` and `y_val` if you like,
            or with those of MedMNIST; or four IDX files named as those of MNIST, plain
            or `.gz`. Images are grey or of three colours, all of one size, 8 pixels
            high and wide or more. Pixels are whole numbers from 0 to 255, not 0 and 1
            alone, or floats in [0, 1]; labels count from 0, two classes or more. Of
            images without a test part, a fifth is for testing.
        train_size: number of training images to keep, after the validation images have
            been set apart; all of them by default.
        validation_size: number of validation images; by default those of the data's
            own validation part, or a twelfth of the training file, which is 5,000 of
            60,000.
        test_size: number of test images to keep, chosen without regard to `seed`; all
            of them by default.
        classes: names of the classes to keep, or their numbers as in "0", two or more,
            which are then counted in this order; all of them by default.
        seed: chooses the validation and the training images, at least 0.

    Raises:
        InputError: if the name or a class is unknown, a size is not in range, a file is
            missing, corrupt, truncated or of another data set, or no mirror answers.

    Example:
        >>> digits = load_dataset("digits", train_size=500)
        >>> len(digits.train), len(digits.validation), len(digits.test)
        (500, 119, 360)
        >>> digits.n_classes, digits.image_shape
        (10, (28, 28))
        >>> x, y = np.random.default_rng(0).uniform(size=(60, 8, 9, 3)), [0, 1, 2] * 20
        >>> print(load_dataset((x, y)))
        arrays: 8 x 9 pixels, in colour, 3 classes
             train  validation  test
        all     44           4    12
        0       14           2     4
        1       15           1     4
        2       15           1     4
    """
    found = load_splits(
        name,
        folder=folder,
        train_size=train_size,
        validation_size=validation_size,
        test_size=test_size,
        classes=classes,
        seeds=(seed,),
    )
    return found[seed]


def load_splits(
    name: str | Path | Mapping[str, Part] | Sequence[Part] = "auto",
    *,
    folder: str | Path | None = None,
    train_size: int | None = None,
    validation_size: int | None = None,
    test_size: int | None = None,
    classes: Sequence[str] = (),
    seeds: Sequence[int],
) -> dict[int, Dataset]:
    """What `load_dataset` loads with each seed; all share the images in memory.

    Args:
        name: as for `load_dataset`, and so are those below.
        folder: where the files lie.
        train_size: number of training images to keep.
        validation_size: number of validation images.
        test_size: number of test images to keep.
        classes: the classes to keep.
        seeds: of the splits, each at least 0.

    Raises:
        InputError: as `load_dataset` does.

    Example:
        >>> splits = load_splits("digits", seeds=(3, 4))
        >>> splits[3].test is splits[4].test
        True
    """
    for seed in seeds:
        check_at_least("seed", seed, 0)
    source = _source_of(name, folder)
    if classes:
        source = _of_classes(source, classes)
    test = _sample("test_size", source.test, test_size, TEST_SEED)
    found = {}
    for seed in seeds:
        train, validation = _split_training(source, validation_size, seed)
        found[seed] = Dataset(
            name=source.name,
            train=_sample("train_size", train, train_size, seed),
            validation=validation,
            test=test,
            class_names=source.class_names,
            source=source.place,
            warning=source.warning,
        )
    return found


def _source_of(name: Any, folder: str | Path | None) -> _Source:
    """What was named, or handed over."""
    if not isinstance(name, str | Path):
        if folder is not None:
            was = f"is {str(folder)!r}"
            raise input_error("folder", "be left out for images of your own", was)
        return _of_parts(name)
    if isinstance(name, Path) or (name not in DATASETS and Path(name).exists()):
        if folder is not None:
            raise input_error(
                "folder", "be left out", f"is {folder!r}, beside {name!r}"
            )
        return _read_given("auto", Path(name))
    cure = "Data of your own is named by its path."
    check_one_of("name", name, DATASETS, cure)
    return _read_source(name) if folder is None else _read_given(name, Path(folder))


def _of_parts(given: Any) -> _Source:
    """Of arrays and sequences that a person has in memory."""
    parts = dict(given) if isinstance(given, Mapping) else {"train": given}
    allowed = ("train", "validation", "test")
    for part in parts:
        check_one_of("name", part, allowed, "These are the parts of a data set.")
    if "train" not in parts:
        raise input_error("name", "have the part 'train'", f"has {sorted(parts)}")
    images = {part: _images_of_part(value, part) for part, value in parts.items()}
    names = [getattr(value, "classes", None) for value in parts.values()]
    return _of_images("arrays", images, next(filter(None, names), None), "memory")


def _images_of_part(value: Any, part: str) -> Images:
    if isinstance(value, Images):
        return value
    is_pair = isinstance(value, tuple) and len(value) == 2 and np.ndim(value[0]) >= 3
    if not is_pair:
        return images_of_pairs(value, part)
    names = f"images of {part}", f"labels of {part}"
    return images_of(value[0], value[1], names)


def _of_images(
    name: str, images: dict[str, Images], names: Sequence[str] | None, place: str
) -> _Source:
    """Classes are named by number where they have no names; a fifth may test."""
    if len({part.image_shape for part in images.values()}) > 1:
        shapes = {part: own.image_shape for part, own in images.items()}
        raise input_error("name", "have images of one shape", f"has {shapes}")
    train, test = images["train"], images.get("test")
    others = [part for name, part in images.items() if name != "train"]
    labels = np.concatenate([np.zeros(0, np.int32), *(part.labels for part in others)])
    numbered = _numbered_classes(train.labels, labels)
    if test is None:
        rest, chosen = stratified_split(
            train.labels, len(train) // 5 or 1, seed=TEST_SEED
        )
        train, test = train.take(rest), train.take(chosen)
    if names is not None and len(names) == len(numbered):
        numbered = tuple(map(str, names))
    return _Source(name, train, test, numbered, place, None, images.get("validation"))


def _of_classes(source: _Source, classes: Sequence[str]) -> _Source:
    """The images of some classes, numbered again."""
    names = source.class_names
    numbers = {str(i): i for i in range(len(names))}
    numbers |= {name: i for i, name in enumerate(names)}
    for name in classes:
        check_one_of("classes", name, list(numbers))
    chosen = list(dict.fromkeys(numbers[name] for name in classes))
    if len(chosen) < 2:
        must = "name two classes or more"
        raise input_error("classes", must, f"names {names[chosen[0]]!r} alone")

    def of_part(images: Images) -> Images:
        kept = images.take(np.flatnonzero(np.isin(images.labels, chosen)))
        number = np.full(len(names), -1, kept.labels.dtype)
        number[chosen] = np.arange(len(chosen))
        return Images(kept.pixels, number[kept.labels])

    return replace(
        source,
        train=of_part(source.train),
        test=of_part(source.test),
        validation=source.validation and of_part(source.validation),
        class_names=tuple(names[i] for i in chosen),
    )


def _read_source(name: str) -> _Source:
    if name == "auto":
        return _read_auto()
    return _read_embedded() if name == "digits" else _read_published(name)


RETRY_SECONDS = 600
"""Time in which `auto` does not ask mirrors again that delivered nothing: an audit
loads its images a dozen times, and a mirror may take seconds to stay silent."""

_unavailable: dict[tuple[str | None, ...], tuple[float, str]] = {}
"""By where the files are sought: until when they are taken to be nowhere, and why."""


def _read_auto() -> _Source:
    sought = os.environ.get("QFM_DATA_DIR"), os.environ.get("QFM_CACHE_DIR")
    until, why = _unavailable.get(sought, (0.0, ""))
    try:
        if time.monotonic() < until:
            raise UnavailableError(why)
        return _read_published("fashion-mnist")
    except UnavailableError as error:
        if time.monotonic() >= until:
            _unavailable[sought] = time.monotonic() + RETRY_SECONDS, str(error)
        warning = (
            "Fashion-MNIST was neither found nor delivered by a mirror. These are the "
            "1,797 digits inside scikit-learn instead, a much easier task."
        )
        # The line that calls load_dataset; where it was sought is not for a report.
        warnings.warn(f"{warning} {error}", stacklevel=6)
        return _read_embedded(warning)


def _read_published(name: str, folder: Path | None = None) -> _Source:
    folder = folder or find_archive(name)
    train, test = read_archive(name, folder)
    return _Source(name, train, test, ARCHIVES[name].class_names, str(folder))


def _read_embedded(warning: str | None = None) -> _Source:
    images = read_digits()
    train, test = stratified_split(images.labels, len(images) // 5 + 1, seed=TEST_SEED)
    class_names = tuple("0123456789")
    place = "scikit-learn, load_digits"
    parts = images.take(train), images.take(test)
    return _Source("digits", *parts, class_names, place, warning)


def _read_given(name: str, folder: Path) -> _Source:
    if name == "digits":
        was = f"is {str(folder)!r}"
        raise input_error("folder", "be left out for `digits`", was)
    if not folder.exists():
        must = "name a folder, or an .npz file"
        raise input_error("folder", must, f"{folder} is not there")
    published = recognise(folder) if name == "auto" else name
    if published:
        return _read_published(published, folder)
    images, names = read_folder(folder)
    return _of_images(folder.resolve().stem, images, names, str(folder))


def _numbered_classes(
    train: NDArray[np.int32], test: NDArray[np.int32]
) -> tuple[str, ...]:
    """Names 0 to n_classes - 1, if every class has an image to train on."""
    present = np.unique(train)
    n_classes = len(present)
    cure = "Number the classes 0, 1, 2, ... without a gap."
    if n_classes < 2 or present[0] != 0 or present[-1] != n_classes - 1:
        must = "hold training labels of two classes or more that count from 0"
        listed = ", ".join(map(str, present[:12])) + (", ..." if n_classes > 12 else "")
        raise input_error("folder", must, f"they are {listed}", cure)
    strange = test[(test < 0) | (test >= n_classes)]
    if len(strange):
        must = f"hold test labels from 0 to {n_classes - 1}, as its training labels are"
        raise input_error("folder", must, f"one is {strange[0]}", cure)
    return tuple(map(str, present))


def _split_training(
    source: _Source, size: int | None, seed: int
) -> tuple[Images, Images]:
    """Training and validation images, out of the training file where need be."""
    images, own = source.train, source.validation
    if own is not None:
        return images, _sample("validation_size", own, size, TEST_SEED)
    if size is None:
        size = max(1, len(images) // 12)
    cure = "At least one image must remain to train on."
    check_size("validation_size", size, len(images) - 1, cure)
    train, validation = stratified_split(images.labels, size, seed=seed)
    return images.take(train), images.take(validation)


def _sample(argument: str, images: Images, size: int | None, seed: int) -> Images:
    if size is None:
        return images
    cure = "The validation images are set apart before." * (argument == "train_size")
    check_size(argument, size, len(images), cure)
    return images.take(stratified_split(images.labels, size, seed=seed)[1])
