"""Samples of a labelled set that keep the proportions of its classes."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import check_at_least, check_shape, input_error


def stratified_split(
    labels: ArrayLike, size: int, *, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Splits a set in two so that both parts have its class proportions.

    Class c, with n_c of the n labels, gives size * n_c / n of the chosen ones, rounded
    by largest remainders; on equal remainders the lower class comes first. Which ones
    depends on the seed only. In a set whose classes are of equal size, the choice of a
    smaller `size` is part of that of a larger one.

    Args:
        labels: class of each item, whole numbers (n,).
        size: number of items to choose, 1 to n.
        seed: at least 0.

    Returns:
        The indices (n - size,) of the rest and those (size,) of the chosen, each in
        ascending order.

    Raises:
        InputError: if `size` is not in 1 to n.

    Example:
        >>> rest, chosen = stratified_split([0, 0, 0, 0, 1, 1], 3, seed=0)
        >>> np.array([0, 0, 0, 0, 1, 1])[chosen]
        array([0, 0, 1])
    """
    labels = np.asarray(labels)
    check_shape("labels", labels.shape, ("n",))
    check_size("size", size, len(labels))
    check_at_least("seed", seed, 0)
    rng = np.random.default_rng(seed)
    classes, counts = np.unique(labels, return_counts=True)
    is_chosen = np.zeros(len(labels), bool)
    for label, quota in zip(classes, _quotas(counts, size), strict=True):
        members = rng.permutation(np.flatnonzero(labels == label))
        is_chosen[members[:quota]] = True
    return np.flatnonzero(~is_chosen), np.flatnonzero(is_chosen)


def check_size(argument: str, size: int, available: int, cure: str = "") -> None:
    """Raises unless `size` is a whole number from 1 to `available`."""
    check_at_least(argument, size, 1)
    if size > available:
        must = f"be at most {available:,}"
        raise input_error(argument, must, f"is {size:,}", cure)


def _quotas(counts: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Items of each class in a sample of `size`: largest remainders, exact integers."""
    quotas, remainders = np.divmod(counts * size, counts.sum())
    missing = size - quotas.sum()
    quotas[np.argsort(-remainders, kind="stable")[:missing]] += 1
    return quotas
