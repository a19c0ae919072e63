"""The 1,797 handwritten digits inside scikit-learn, which need no network."""

import numpy as np
from numpy.typing import NDArray

from .images import IMAGE_SHAPE, Images


def read_digits() -> Images:
    """All 1,797 images, enlarged from 8x8 to 28x28, with their labels 0 to 9.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI
    Machine Learning Repository, 1998.

    Example:
        >>> digits = read_digits()
        >>> len(digits), digits.labels[:3]
        (1797, array([0, 1, 2], dtype=int32))
    """
    from sklearn.datasets import load_digits

    small, labels = load_digits(return_X_y=True)
    return Images(enlarge(small.reshape(-1, 8, 8)), labels.astype(np.int32))


def enlarge(small: NDArray) -> NDArray[np.uint8]:
    """Bilinear interpolation of grey levels 0 to 16 from (n, 8, 8) to (n, 28, 28).

    Whole numbers throughout, so that every machine gets the same bytes: pixel i of 28
    has its centre at (4 i - 5) / 14 on the axis of the 8, and thus weights in 14ths.

    Example:
        >>> enlarge(np.full((1, 8, 8), 16)).min()
        np.uint8(255)
    """
    side = IMAGE_SHAPE[0]
    fourteenths = np.clip(4 * np.arange(side) - 5, 0, 14 * 7)
    left, weight = np.divmod(fourteenths, 14)
    weights = np.zeros((side, 8), np.int64)
    weights[np.arange(side), left] = 14 - weight
    weights[np.arange(side), np.minimum(left + 1, 7)] += weight
    sums = weights @ small.astype(np.int64) @ weights.T  # (n, 28, 28), 14**2 too large
    return ((255 * sums + 8 * 14**2) // (16 * 14**2)).astype(np.uint8)
