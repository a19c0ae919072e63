"""Logits and labels of all test images -> Scores."""

import dataclasses
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
from scipy.special import log_softmax
from scipy.stats import binomtest
from sklearn.metrics import (
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

from ._checks import check_at_least, check_shape, input_error

NEAR_CHANCE = 0.15
"""Share of the way from a guess to perfection up to which a model did not learn."""

N_BINS = 15
"""Equal-width confidence bins of the calibration error (Guo et al., 2017)."""


@dataclasses.dataclass(frozen=True)
class Scores:
    """What a model reached on images that neither trained nor chose it."""

    n_test: int
    """Number of images scored."""
    accuracy: float
    """Share of them classified rightly, in [0, 1]."""
    accuracy_interval: tuple[float, float]
    """95 % Wilson score interval of the accuracy."""
    log_loss: float
    """Mean negative log-likelihood of the true class, in nats."""
    calibration_error: float
    """Expected calibration error, in [0, 1]."""
    precision: tuple[float, ...]
    """For each class: share of its predictions that are right; 0 without any."""
    recall: tuple[float, ...]
    """For each class: share of its images that are found."""
    f1: tuple[float, ...]
    """For each class: harmonic mean of precision and recall."""
    confusion: tuple[tuple[int, ...], ...]
    """Images of true class (row) predicted as class (column)."""
    calibration: tuple[tuple[float, float, int], ...]
    """For each confidence bin: mean confidence, accuracy, number of images."""
    auroc: float | None = None
    """Area under the ROC curve in [0, 1]: the mean over the classes, of each against
    all others. None where a class has no image, and in scores of before it was kept."""

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that have images, in [0, 1].

        Example:
            >>> lazy = score(np.eye(2)[[0, 0, 0, 0]], np.array([0, 0, 0, 1]))
            >>> lazy.accuracy, lazy.balanced_accuracy
            (0.75, 0.5)
        """
        counts = np.sum(self.confusion, axis=1)
        return float(np.mean(np.array(self.recall)[counts > 0]))

    @property
    def is_uneven(self) -> bool:
        """Whether one class has more than one and a half times the images of another.

        Then the accuracy alone says little: see `balanced_accuracy` and `auroc`.
        """
        counts = np.sum(self.confusion, axis=1)
        return bool(counts.max() > 1.5 * counts.min())


def score(logits: np.ndarray, labels: np.ndarray) -> Scores:
    """Scores the logits of a test set.

    The calibration error is ECE = sum_b (n_b / n) |accuracy_b - confidence_b| over 15
    bins of equal width (Guo et al., "On calibration of modern neural networks", 2017).

    Args:
        logits: (n, n_classes), finite.
        labels: Whole numbers (n,) in [0, n_classes).

    Raises:
        InputError: For shapes that do not match, labels out of range, or logits that
            are not finite.

    Example:
        >>> scores = score(np.eye(3) * 4, np.array([0, 1, 1]))
        >>> round(scores.accuracy, 3), scores.confusion[1]
        (0.667, (0, 1, 1))
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    check_shape("labels", labels.shape, ("n",))
    check_at_least("labels", len(labels), 1, "Pass at least one image.")
    if labels.dtype.kind not in "iu":
        raise input_error("labels", "be whole numbers", f"has type {labels.dtype}")
    check_shape("logits", logits.shape, (len(labels), "n_classes"))
    n, n_classes = logits.shape
    if labels.min() < 0 or labels.max() >= n_classes:
        raise input_error(
            "labels",
            f"lie in [0, {n_classes - 1}]",
            f"has {labels.min()} to {labels.max()}",
            "The model was built for another number of classes.",
        )
    if not np.isfinite(logits).all():
        raise input_error("logits", "be finite", "has NaN or infinite values")
    log_probabilities = log_softmax(logits, axis=1)
    predictions = logits.argmax(axis=1)
    n_right = int((predictions == labels).sum())
    classes = np.arange(n_classes)
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, predictions, labels=classes, zero_division=0
    )
    confidence = np.exp(log_probabilities.max(axis=1))
    calibration = _calibration(confidence, predictions == labels)
    return Scores(
        n_test=n,
        accuracy=n_right / n,
        accuracy_interval=accuracy_interval(n_right, n),
        log_loss=float(-log_probabilities[np.arange(n), labels].mean()),
        calibration_error=sum(k * abs(a - c) for c, a, k in calibration) / n,
        precision=tuple(map(float, precision)),
        recall=tuple(map(float, recall)),
        f1=tuple(map(float, f1)),
        confusion=tuple(
            tuple(map(int, row))
            for row in confusion_matrix(labels, predictions, labels=classes)
        ),
        calibration=calibration,
        auroc=_auroc(np.exp(log_probabilities), labels),
    )


def _auroc(probabilities: np.ndarray, labels: np.ndarray) -> float | None:
    n_classes = probabilities.shape[1]
    if len(np.unique(labels)) < n_classes:
        return None
    of_each = [
        roc_auc_score(labels == number, probabilities[:, number])
        for number in range(n_classes)
    ]
    return float(np.mean(of_each))


def is_near_chance(accuracy: float, guess: float) -> bool:
    """Whether less than 15 % of the way from a guess to perfection was gone.

    Args:
        accuracy: Share of the images classified rightly, in [0, 1].
        guess: The same of always guessing the most frequent class.

    Example:
        >>> is_near_chance(0.22, 0.1), is_near_chance(0.30, 0.1)
        (True, False)
    """
    return accuracy - guess < NEAR_CHANCE * (1 - guess)


def shortfall(scores: Scores, class_names: Sequence[str]) -> str | None:
    """What a reader must know of a model that did not learn; None of one that did.

    Args:
        scores: On the test images.
        class_names: Name of each class.

    Example:
        >>> shortfall(score(np.eye(2)[[0, 0, 0]], np.array([0, 0, 1])), ("cat", "dog"))
        "predicts one class only, 'cat'"
        >>> shortfall(score(np.eye(2), np.array([0, 1])), ("cat", "dog")) is None
        True
    """
    predicted = np.flatnonzero(np.sum(scores.confusion, axis=0))
    if len(predicted) == 1:
        return f"predicts one class only, {class_names[predicted[0]]!r}"
    guess = max(map(sum, scores.confusion)) / scores.n_test
    if not is_near_chance(scores.accuracy, guess):
        return None
    return (
        f"is near chance: {scores.accuracy:.1%} right, where always guessing the most "
        f"frequent class gives {guess:.1%}"
    )


def percent(share: float, digits: int = 1, sign: str = "") -> str:
    """A share in per cent, rounded half to even on the stored decimal value.

    Args:
        share: 1 is a hundred per cent.
        digits: Behind the point.
        sign: "+" writes the sign of positive numbers too.

    Example:
        >>> percent(0.91785, 2), percent(-0.03965, 2, "+"), percent(0.5, 0)
        ('91.78', '-3.96', '50')
    """
    exact = 100 * Decimal(repr(float(share)))
    rounded = exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
    return f"{rounded + 0:{sign}}"


def accuracy_interval(n_right: int, n: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of an accuracy n_right / n.

    Example:
        >>> [round(limit, 3) for limit in accuracy_interval(9, 10)]
        [0.596, 0.982]
    """
    interval = binomtest(n_right, n).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def _calibration(
    confidence: np.ndarray, right: np.ndarray
) -> tuple[tuple[float, float, int], ...]:
    """Mean confidence, accuracy and count of each bin that is not empty."""
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    return tuple(
        (
            float(confidence[bins == b].mean()),
            float(right[bins == b].mean()),
            int((bins == b).sum()),
        )
        for b in np.unique(bins)
    )
