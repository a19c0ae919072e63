"""Right answers of a model and its controls, seed by seed -> their differences.

A control is the same model with its circuit removed, replaced or frozen; seed i of
every control has the split and the batches of seed i of the model, so differences are
paired.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import bootstrap, rankdata, wilcoxon

from .._checks import check_at_least, check_range, check_shape, input_error

MOST_EXACT = 50
"""Differences up to which the signed-rank test counts every pattern of signs."""
DEAD_BAND = 0.02
"""A seed that stays within this accuracy of guessing has learned nothing."""


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """One control against the model: differences model - control in accuracy, by seed.

    Interval and p-value describe new training runs judged on these test images, not
    new test images.
    """

    control: str
    """Name of the control."""
    n_seeds: int
    """Number of paired seeds; those that learned nothing count too."""
    n_controls: int
    """Controls of the audit: the comparisons that `p_adjusted` corrects for."""
    differences: tuple[float, ...]
    """Accuracy of the model minus that of the control, each in [-1, 1], by seed."""
    mean: float
    """Their mean."""
    interval: tuple[float, float]
    """95 % bootstrap interval (BCa) of the mean; the mean itself if all are equal."""
    effect_size: float | None
    """Cohen's d_z, mean / standard deviation (n - 1); None if all are equal."""
    p_value: float | None
    """Two-sided Wilcoxon signed-rank p-value; None if all differences are zero."""
    p_floor: float
    """The smallest p-value that this many seeds can give, 2 / 2^n_seeds."""
    p_adjusted: float
    """Holm's p-value over all controls, never below `p_floor`; 1 without a
    `p_value`."""
    n_wins: int
    """Seeds in which the model is better."""


def compare(
    model_right: np.ndarray, controls_right: Mapping[str, np.ndarray], *, seed: int = 0
) -> tuple[PairedDifference, ...]:
    """Compares a model with all of its controls, seed by seed.

    The interval is the bias-corrected and accelerated bootstrap (Efron, "Better
    bootstrap confidence intervals", 1987, 9,999 resamples of the seeds); with ten seeds
    it is somewhat too narrow, so `verdict` asks for a significant test as well. The
    test is Wilcoxon's (1945): zeros are left out; up to 50 seeds its p-value is exact,
    with ties too, beyond them the normal approximation. It counts images, so that
    rounding neither makes nor breaks a tie. Exchanging model and control turns the
    signs round and changes nothing else.

    Args:
        model_right: Which test images the model classifies rightly; bool (n_seeds,
            n_test), at least two seeds and one image.
        controls_right: The same for each control, by name: the whole family that
            Holm's correction is for.
        seed: Seed of the bootstrap, at least 0.

    Returns:
        One difference for each control, in their order.

    Raises:
        InputError: For arrays of another shape or type, or too few seeds, images or
            controls.

    Example:
        >>> right = np.random.default_rng(0).random((8, 500)) < 0.8
        >>> (d,) = compare(right, {"removed": right & (np.arange(500) > 24)})
        >>> d.control, d.n_wins, round(d.mean, 2), d.p_value == d.p_floor == 2 / 2**8
        ('removed', 8, 0.04, True)
    """
    model_right = _checked_model(model_right)
    check_at_least("seed", seed, 0)
    if not controls_right:
        must = "hold at least one control"
        raise input_error("controls_right", must, "is empty", "Name a control.")
    controls = {
        name: _checked(f"controls_right[{name!r}]", right, model_right.shape)
        for name, right in controls_right.items()
    }
    images_won = [_images_won(model_right, right) for right in controls.values()]
    p_values = [_signed_rank(won) for won in images_won]
    adjusted = holm([1.0 if p is None else p for p in p_values])
    n_seeds, n_test = model_right.shape
    p_floor = 0.5 ** (n_seeds - 1)
    return tuple(
        PairedDifference(
            control=name,
            n_seeds=n_seeds,
            n_controls=len(controls),
            differences=tuple(map(float, won / n_test)),
            mean=float(won.mean() / n_test),
            interval=_interval(won, n_test, seed),
            effect_size=float(won.mean() / won.std(ddof=1)) if np.ptp(won) else None,
            p_value=p_value,
            p_floor=p_floor,
            p_adjusted=p_adjusted,
            n_wins=int((won > 0).sum()),
        )
        for name, won, p_value, p_adjusted in zip(
            controls, images_won, p_values, adjusted, strict=True
        )
    )


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusts p-values for being several (Holm, 1979).

    The k-th smallest of m becomes max over j <= k of min(1, (m - j + 1) p_(j)). No
    adjusted value is smaller than m times the smallest p-value (or 1).

    Example:
        >>> holm([0.01, 0.04, 0.03, 0.005])
        (0.03, 0.06, 0.06, 0.02)
    """
    p = np.asarray(p_values, np.float64)
    order = p.argsort()
    steps = np.minimum(1, p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(steps)
    return tuple(map(float, adjusted))


def dead_seeds(accuracy: np.ndarray, chance: float) -> tuple[int, ...]:
    """Finds the seeds that learned nothing: accuracy at most chance + 2 points.

    They are reported, never dropped: failing to train is a property of a model.

    Args:
        accuracy: Test accuracies (n_seeds,), in [0, 1].
        chance: Accuracy of always guessing the most frequent class, in [0, 1].

    Raises:
        InputError: For another shape, or numbers outside [0, 1].

    Example:
        >>> dead_seeds(np.array([0.86, 0.10, 0.12, 0.13]), chance=0.1)
        (1, 2)
    """
    accuracy = np.asarray(accuracy, np.float64)
    check_shape("accuracy", accuracy.shape, ("n_seeds",))
    check_range("chance", chance, 0, 1)
    if not ((accuracy >= 0) & (accuracy <= 1)).all():
        raise input_error(
            "accuracy", "lie in [0, 1]", f"is {accuracy}", "Divide percentages by 100."
        )
    above_chance = accuracy - chance
    rounding = 1e-12  # 0.22 - 0.2 is above 0.02
    return tuple(map(int, np.flatnonzero(above_chance <= DEAD_BAND + rounding)))


def _checked_model(right: np.ndarray) -> np.ndarray:
    """Returns the model's answers as an array that holds enough of them."""
    right = _checked("model_right", right, ("n_seeds", "n_test"))
    n_seeds, n_test = right.shape
    cure = "Each row of `model_right` is a seed; one seed has no spread."
    check_at_least("n_seeds", n_seeds, 2, cure)
    check_at_least("n_test", n_test, 1, "Pass at least one test image.")
    return right


def _checked(
    argument: str, right: np.ndarray, shape: tuple[int | str, ...]
) -> np.ndarray:
    """Returns answers as an array of truth values of this shape."""
    right = np.asarray(right)
    check_shape(argument, right.shape, shape, "Pair the seeds, on the same images.")
    if right.dtype != bool:
        cure = "Pass `predictions == labels`."
        raise input_error(argument, "be boolean", f"has type {right.dtype}", cure)
    return right


def _images_won(model_right: np.ndarray, control_right: np.ndarray) -> np.ndarray:
    """Test images by which the model is better, for each seed; whole numbers."""
    return (model_right.sum(axis=1) - control_right.sum(axis=1)).astype(np.float64)


def _signed_rank(images_won: np.ndarray) -> float | None:
    """Wilcoxon's p-value, exact where 2^n still fits into a float.

    SciPy is exact with ties up to 13 values only, and takes a second for these.
    """
    d = images_won[images_won != 0]
    if len(d) == 0:
        return None
    if len(d) > MOST_EXACT:
        return float(wilcoxon(d).pvalue)
    ranks = (2 * rankdata(abs(d))).astype(int)  # ties share a rank: halves
    patterns = np.ones(1)  # how many of the 2^n sign patterns have this rank sum
    for rank in ranks:
        patterns = np.pad(patterns, (rank, 0)) + np.pad(patterns, (0, rank))
    sums = np.arange(len(patterns))
    off_centre = abs(2 * sums - ranks.sum())
    far = off_centre >= off_centre[ranks[d > 0].sum()]
    return float(patterns[far].sum() / patterns.sum())


def _interval(images_won: np.ndarray, n_test: int, seed: int) -> tuple[float, float]:
    """Bootstraps the mean accuracy difference.

    BCa is defined for any mean of values that are not all equal.
    """
    if np.ptp(images_won) == 0:
        point = float(images_won[0] / n_test)
        return point, point
    # One of the two mirror images, in one order, is drawn from: so neither the order of
    # the seeds nor the exchange of model and control moves the interval.
    ascending = np.sort(images_won)
    mirrored = -ascending[::-1]
    turned = tuple(mirrored) > tuple(ascending)
    sample = mirrored if turned else ascending
    result = bootstrap((sample,), np.mean, method="BCa", rng=seed)
    low, high = (float(end / n_test) for end in result.confidence_interval)
    return (-high, -low) if turned else (low, high)
