"""Baselines of scikit-learn, on pixels or on the very features that a circuit sees."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from flax import nnx
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from .._checks import check_at_least, check_one_of, check_shape, input_error
from ..evaluation import accuracy_interval
from ..models import Classifier
from ..models.prediction import predict_logits

BASELINES: dict[str, Callable[[int], ClassifierMixin]] = {
    "logistic-regression": lambda seed: make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=2000, random_state=seed)
    ),
    "rbf-svm": lambda seed: SVC(C=10.0, random_state=seed),
    "gradient-boosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
}
"""Baselines by name; each is called with a seed. Their settings are scikit-learn's own
but for more steps of the regression, and C of the support vector machine."""


@dataclasses.dataclass(frozen=True)
class BaselineScore:
    """What a baseline reached on images that it was not fitted to."""

    baseline: str
    """A name in `BASELINES`."""
    n_train: int
    """Samples that it was fitted to."""
    n_features: int
    """Numbers in a sample."""
    n_test: int
    """Samples scored."""
    accuracy: float
    """Share of them classified rightly, in [0, 1]."""
    accuracy_interval: tuple[float, float]
    """95 % Wilson score interval of the accuracy."""
    seconds_training: float
    """Time of the fit."""
    seconds_inference: float
    """Time of all predictions."""


def pixel_features(images: np.ndarray) -> np.ndarray:
    """Flattens images (n, height, width[, 3]) of uint8 to (n, n_features) in [0, 1].

    Example:
        >>> pixel_features(np.full((2, 28, 28), 255, np.uint8)).shape
        (2, 784)
    """
    colours = (3,) * (images.ndim == 4)
    check_shape("images", images.shape, ("n", "height", "width", *colours))
    return images.reshape(len(images), -1).astype(np.float32) / 255


def circuit_features(model: Classifier, images: np.ndarray) -> np.ndarray:
    """What a trained model feeds to its circuit: angles, or amplitudes.

    Args:
        model: A classifier with a block.
        images: uint8 (n, height, width), n >= 1.

    Returns:
        Features (n, n_features), float32.

    Raises:
        InputError: For a model without a block.

    Example:
        >>> from qfm_jax.models import ModelConfig
        >>> config = ModelConfig(hidden=(8,), block="circuit", n_qubits=3)
        >>> model = Classifier(config, rngs=nnx.Rngs(0))
        >>> circuit_features(model, np.zeros((5, 28, 28), np.uint8)).shape
        (5, 3)
    """
    return predict_logits(_UpToTheBlock(model), images)


class _UpToTheBlock(nnx.Module):
    """A classifier that stops before its block."""

    def __init__(self, model: Classifier):
        self.model = model

    def __call__(self, images: Any) -> Any:
        return self.model.features(images)


def score_baseline(
    name: str,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    *,
    seed: int = 0,
) -> BaselineScore:
    """Fits a baseline and scores it.

    Args:
        name: A name in `BASELINES`.
        train: Features (n, n_features) and labels (n,).
        test: The same of other samples.
        seed: Of what is random in the fit.

    Raises:
        InputError: For an unknown name, arrays that do not belong together, or
            training labels of one class alone.

    Example:
        >>> from qfm_jax import load_dataset
        >>> data = load_dataset("digits", train_size=500)
        >>> train, test = ((pixel_features(part.pixels), part.labels)
        ...                for part in (data.train, data.test))
        >>> score_baseline("rbf-svm", train, test).accuracy > 0.9
        True
    """
    check_one_of("name", name, BASELINES)
    n_features = train[0].shape[-1]
    for argument, (features, labels) in {"train": train, "test": test}.items():
        check_at_least(f"len({argument})", len(labels), 1)
        shape = (len(labels), n_features)
        check_shape(f"{argument} features", features.shape, shape)
    if len(np.unique(train[1])) < 2:
        must = "hold labels of two classes or more"
        raise input_error("train", must, f"has class {train[1][0]} alone")
    start = time.perf_counter()
    fitted = BASELINES[name](seed).fit(*train)
    trained = time.perf_counter()
    n_right = int((fitted.predict(test[0]) == test[1]).sum())
    done = time.perf_counter()
    n_test = len(test[1])
    return BaselineScore(
        baseline=name,
        n_train=len(train[1]),
        n_features=n_features,
        n_test=n_test,
        accuracy=n_right / n_test,
        accuracy_interval=accuracy_interval(n_right, n_test),
        seconds_training=trained - start,
        seconds_inference=done - trained,
    )
