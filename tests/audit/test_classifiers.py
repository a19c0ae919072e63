"""scikit-learn's classifiers, on pixels and on what a circuit sees."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.audit.classifiers import (
    BASELINES,
    circuit_features,
    pixel_features,
    score_baseline,
)
from qfm_jax.models import Classifier, ModelConfig

RNG = np.random.default_rng(0)


def blobs(n, n_classes=3, n_features=4):
    """Points around the corners of a simplex: every classifier finds them."""
    labels = np.arange(n) % n_classes
    centres = 10 * np.eye(n_classes, n_features)
    return centres[labels] + RNG.normal(size=(n, n_features)), labels


@pytest.mark.parametrize("name", BASELINES)
def test_baseline_finds_what_is_there_and_nothing_else(name):
    found = score_baseline(name, blobs(90), blobs(60))
    assert (found.n_train, found.n_features, found.n_test) == (90, 4, 60)
    assert found.accuracy == 1.0
    assert found.accuracy_interval[0] > 0.9
    features, labels = blobs(60)
    shifted = score_baseline(name, blobs(90), (features, (labels + 1) % 3))
    assert shifted.accuracy == 0.0


def test_features_are_those_that_the_circuit_gets():
    config = ModelConfig(hidden=(6,), dropout=0.5, block="circuit", n_qubits=3)
    model = Classifier(config, rngs=nnx.Rngs(0))
    images = RNG.integers(0, 256, (7, 28, 28), np.uint8)
    features = circuit_features(model, images)
    assert features.shape == (7, 3)
    assert (features > 0).all()
    assert (features < np.pi).all()
    model.eval()
    logits = model.head(model.block(jnp.asarray(features)))
    np.testing.assert_allclose(logits, model(images / 255), atol=1e-5)


def test_pixels_are_flat_and_in_the_unit_interval():
    images = RNG.integers(0, 256, (3, 4, 5), np.uint8)
    np.testing.assert_allclose(pixel_features(images), images.reshape(3, 20) / 255)


def test_bad_input():
    good = blobs(30)
    with pytest.raises(InputError, match="`name` must be one of gradient-boosting"):
        score_baseline("rbf-svn", good, good)
    with pytest.raises(InputError, match=r"`test features` must have shape \(30, 4\)"):
        score_baseline("rbf-svm", good, blobs(30, n_features=5))
    with pytest.raises(InputError, match=r"`train features` must have shape \(29, 4\)"):
        score_baseline("rbf-svm", (good[0], good[1][:-1]), good)
    with pytest.raises(InputError, match="two classes or more, but has class 0 alone"):
        score_baseline("rbf-svm", (good[0], 0 * good[1]), good)
    with pytest.raises(InputError, match=r"len\(test\)"):
        score_baseline("rbf-svm", good, (good[0][:0], good[1][:0]))
    plain = Classifier(ModelConfig(), rngs=nnx.Rngs(0))
    with pytest.raises(InputError, match="`model` must be a classifier with a block"):
        circuit_features(plain, np.zeros((2, 28, 28), np.uint8))
