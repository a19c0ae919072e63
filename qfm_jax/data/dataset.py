"""A data set split in three, by name or from a person's own files."""

import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .._checks import check_at_least, check_one_of, input_error
from .archive import ARCHIVES, UnavailableError, find_archive, read_archive, recognise
from .digits import read_digits
from .folder import read_folder
from .images import Images
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
        """Rows and columns of every image."""
        return self.train.image_shape


@dataclass(frozen=True, eq=False)
class _Source:
    """What a source holds, before the validation images are set apart."""

    name: str
    train: Images
    test: Images
    class_names: tuple[str, ...]
    place: str
    warning: str | None = None


def load_dataset(
    name: str = "auto",
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
            where it can be had, else `digits` with a warning.
        folder: with a published name, where its four `.gz` files lie. With `auto`, data
            of your own: a folder of four IDX files named as those of MNIST, plain or
            `.gz`, or an `.npz` file, or a folder with one, with the arrays `x_train`
            (n, 28, 28), `y_train` (n,), `x_test` and `y_test`. Pixels are whole numbers
            from 0 to 255, not 0 and 1 alone, or floats in [0, 1]; labels count from 0,
            two classes or more.
        train_size: number of training images to keep, after the validation images have
            been set apart; all of them by default.
        validation_size: number of validation images; a twelfth of the training file by
            default, which is 5,000 of 60,000.
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
    name: str = "auto",
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
    check_one_of("name", name, DATASETS, "Data of your own is named by `folder`.")
    for seed in seeds:
        check_at_least("seed", seed, 0)
    source = _read_source(name) if folder is None else _read_given(name, Path(folder))
    if classes:
        source = _of_classes(source, classes)
    test = _sample("test_size", source.test, test_size, TEST_SEED)
    found = {}
    for seed in seeds:
        train, validation = _split_training(source.train, validation_size, seed)
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
        return Images(kept.images, number[kept.labels])

    return replace(
        source,
        train=of_part(source.train),
        test=of_part(source.test),
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
        warnings.warn(f"{warning} {error}", stacklevel=5)
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
    train, test = read_folder(folder)
    class_names = _numbered_classes(train.labels, test.labels)
    return _Source(folder.resolve().stem, train, test, class_names, str(folder))


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
    images: Images, size: int | None, seed: int
) -> tuple[Images, Images]:
    """Training and validation images out of the training file."""
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
