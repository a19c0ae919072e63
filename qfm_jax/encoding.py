"""Images -> features for circuits: pooling, principal components, angles, amplitudes.

Whatever is fitted is fitted on the training split alone and then frozen. Encodings are
called one after the other: `angles = scaling(pca(images))`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._checks import check_at_least, check_range, check_shape, input_error
from .data.images import check_contrast

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class AveragePooling:
    """Means over square blocks of an image, size x size of them.

    Raises:
        InputError: if `size` is not at least 1; on a call, if it does not divide the
            sides of the images.

    Example:
        >>> AveragePooling(2)(np.eye(4, dtype=np.uint8)[None] * 255)
        array([[0.5, 0. , 0. , 0.5]], dtype=float32)
    """

    size: int
    """Blocks on each side; a divisor of the side of the images."""

    def __post_init__(self) -> None:
        check_at_least("size", self.size, 1)

    def __call__(self, images: ArrayLike) -> Floats:
        """Features (batch, size**2) in [0, 1], row by row, of images (batch, n, n)."""
        pixels = _unit_range(images)
        side, size = pixels.shape[1], self.size
        if side % size:
            divisors = [str(d) for d in range(1, side + 1) if side % d == 0]
            cure = f"Choose one of {', '.join(divisors)}."
            raise input_error("size", f"divide {side}", f"is {size}", cure)
        block = side // size
        blocks = pixels.reshape(-1, size, block, size, block)
        return blocks.mean((2, 4)).reshape(-1, size**2)


@dataclass(frozen=True, eq=False)
class PCA:
    """Coordinates of an image along the principal components of a training set."""

    mean: Floats
    """Mean training image in [0, 1], flattened (n_pixels,)."""
    components: Floats
    """Orthonormal rows (n_features, n_pixels), the largest variance first."""

    def __call__(self, images: ArrayLike) -> Floats:
        """Features (batch, n_features) of images (batch, n, n)."""
        pixels = _unit_range(images)
        side = pixels.shape[1]
        if side**2 != len(self.mean):
            was = f"are {side} x {side}"
            raise input_error("images", f"have {len(self.mean)} pixels", was)
        centred = pixels.reshape(-1, side**2) - self.mean
        return np.matmul(centred, self.components.T, dtype=np.float32)


def fit_pca(images: ArrayLike, n_features: int) -> PCA:
    """Principal components of training images, by scikit-learn's covariance solver.

    Args:
        images: (batch, n, n), uint8 or floats in [0, 1].
        n_features: 1 to the smaller of the numbers of images and of pixels.

    Raises:
        InputError: if `n_features` is not in that range.

    Example:
        >>> images = np.random.default_rng(0).random((20, 4, 4))
        >>> fit_pca(images, 3)(images).shape
        (20, 3)
    """
    from sklearn import decomposition

    pixels = _unit_range(images)
    # In float64: sums over 60,000 images lose four digits of float32's seven.
    pixels = pixels.reshape(len(pixels), -1).astype(np.float64)
    check_at_least("n_features", n_features, 1)
    check_range("n_features", n_features, 1, min(pixels.shape))
    fitted = decomposition.PCA(n_features, svd_solver="covariance_eigh").fit(pixels)
    return PCA(fitted.mean_.astype("f4"), fitted.components_.astype("f4"))


@dataclass(frozen=True, eq=False)
class AngleScaling:
    """A linear map of each feature's training range to [-max_angle, max_angle]."""

    low: Floats
    """Smallest value of each feature in the training set (n_features,)."""
    high: Floats
    """Largest value (n_features,); where it equals `low`, the angle is 0."""
    max_angle: float
    """Largest angle in radians."""

    def __call__(self, features: ArrayLike) -> Floats:
        """Angles (batch, n_features); what lies beyond the training range is cut."""
        features = np.asarray(features, np.float32)
        check_shape("features", features.shape, ("batch", len(self.low)))
        width = self.high - self.low
        centred = 2 * features - self.low - self.high  # [-width, width] in training
        zeros = np.zeros_like(centred)
        ratio = np.divide(centred, width, out=zeros, where=width > 0)
        return np.float32(self.max_angle) * np.clip(ratio, -1, 1)


def fit_angle_scaling(
    features: ArrayLike, max_angle: float = np.pi / 2
) -> AngleScaling:
    """The scaling that sends each training feature's extremes to +-`max_angle`.

    Args:
        features: of the training set, (batch, n_features).
        max_angle: in radians, 1e-6 or more. Up to pi / 2, a rotation about Y keeps the
            order of the features in the expectation of X.

    Example:
        >>> fit_angle_scaling([[0.0], [4.0]], max_angle=1.0)([[1.0], [9.0]])
        array([[-0.5],
               [ 1. ]], dtype=float32)
    """
    features = np.asarray(features, np.float32)
    check_shape("features", features.shape, ("batch", "n_features"))
    check_at_least("len(features)", len(features), 1)
    check_range("max_angle", max_angle, 1e-6)
    return AngleScaling(features.min(0), features.max(0), float(max_angle))


def pad_to_unit_norm(images: ArrayLike, n_qubits: int) -> Floats:
    """Amplitudes of `n_qubits` qubits: images in a frame of zeros, scaled to norm 1.

    The frame has 2**ceil(n_qubits / 2) rows and 2**floor(n_qubits / 2) columns, so that
    the first half of the wires counts rows and the second columns: 28x28 images stand
    in the middle of 32x32 on ten qubits. Images that fit only as a row of pixels, and
    features, get their zeros at the end.

    Args:
        images: (batch, n, n) or features (batch, n), of any scale.
        n_qubits: at least 1, with 2**n_qubits values or more than an image has.

    Returns:
        Amplitudes (batch, 2**n_qubits) of norm 1, wire 0 the most significant bit.

    Raises:
        InputError: if an image has too many values, or nothing but zeros.

    Example:
        >>> pad_to_unit_norm(np.full((1, 2, 2), 9), n_qubits=4).reshape(4, 4)
        array([[0. , 0. , 0. , 0. ],
               [0. , 0.5, 0.5, 0. ],
               [0. , 0.5, 0.5, 0. ],
               [0. , 0. , 0. , 0. ]], dtype=float32)
    """
    check_at_least("n_qubits", n_qubits, 1)
    values = np.asarray(images, np.float32)
    if values.ndim not in (2, 3):
        check_shape("images", values.shape, ("batch", "rows", "columns"))
    n_values = int(np.prod(values.shape[1:]))
    if n_values > 2**n_qubits:
        needed = (n_values - 1).bit_length()
        must = f"have at most {2**n_qubits} values each on {n_qubits} qubits"
        cure = f"Take {needed} qubits or pool the images."
        raise input_error("images", must, f"has shape {values.shape}", cure)
    framed = _framed(values, n_qubits)
    # In float64, where the square of any float32 but 0 is neither 0 nor infinite.
    squares = np.einsum("bi,bi->b", framed, framed, dtype=np.float64)
    norms = np.sqrt(squares).astype(np.float32)[:, None]
    if not (usable := (norms > 0) & np.isfinite(norms)).all():
        index = int(np.argmin(usable))
        was = f"image {index} has norm {norms[index, 0]}"
        cure = "An image of zeros has no quantum state: leave it out."
        raise input_error("images", "have a positive, finite norm", was, cure)
    return framed / norms


def _framed(values: Floats, n_qubits: int) -> Floats:
    """Zeros around images where the frame is large enough, else after the values."""
    frame = 2 ** ((n_qubits + 1) // 2), 2 ** (n_qubits // 2)
    spare = [
        outer - inner for outer, inner in zip(frame, values.shape[1:], strict=False)
    ]
    if values.ndim == 3 and min(spare) >= 0:
        margins = [(0, 0), *((gap // 2, gap - gap // 2) for gap in spare)]
        return np.pad(values, margins).reshape(len(values), -1)
    flat = values.reshape(len(values), -1)
    return np.pad(flat, [(0, 0), (0, 2**n_qubits - flat.shape[1])])


def _unit_range(images: ArrayLike) -> Floats:
    """Square images (batch, n, n) as float32 in [0, 1]; uint8 is divided by 255."""
    pixels = np.asarray(images)
    check_shape("images", pixels.shape, ("batch", "n", "n"))
    check_shape("images", pixels.shape, ("batch", *pixels.shape[1:2] * 2))
    if pixels.dtype == np.uint8:
        check_contrast("images", pixels)
        return pixels.astype(np.float32) / np.float32(255)
    low, high = pixels.min(initial=0), pixels.max(initial=0)
    if pixels.dtype.kind != "f" or not (low >= 0 and high <= 1):
        was = f"is {pixels.dtype} from {low} to {high}"
        raise input_error("images", "be uint8 or floats in [0, 1]", was)
    return pixels.astype(np.float32)
