"""Scores against scikit-learn, closed forms and slow loops."""

import dataclasses
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    classification_report,
    confusion_matrix,
    log_loss,
    roc_auc_score,
)

from qfm_jax._checks import InputError
from qfm_jax.evaluation import score, shortfall


def sample(n=300, n_classes=4, seed=0, scale=2.0):
    """Logits that know the label half of the time."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    logits = rng.normal(size=(n, n_classes))
    logits[np.arange(n), labels] += rng.integers(0, 2, n) * 2
    return scale * logits, labels


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_scikit_learn(seed):
    logits, labels = sample(seed=seed)
    scores = score(logits, labels)
    guesses = logits.argmax(axis=1)
    report = classification_report(labels, guesses, output_dict=True)
    assert scores.n_test == 300
    assert scores.accuracy == pytest.approx(accuracy_score(labels, guesses))
    balanced = balanced_accuracy_score(labels, guesses)
    assert scores.balanced_accuracy == pytest.approx(balanced)
    shares = softmax(logits, axis=1)
    auroc = roc_auc_score(labels, shares, multi_class="ovr", average="macro")
    assert scores.auroc == pytest.approx(auroc)
    expected = log_loss(labels, softmax(logits, axis=1))
    assert scores.log_loss == pytest.approx(expected, rel=1e-12)
    for name, values in [
        ("precision", scores.precision),
        ("recall", scores.recall),
        ("f1-score", scores.f1),
    ]:
        expected = [report[str(label)][name] for label in range(4)]
        assert values == pytest.approx(expected)
    assert np.array_equal(scores.confusion, confusion_matrix(labels, guesses))


@pytest.mark.parametrize("n_right", [0, 1, 17, 40])
def test_interval_is_wilsons(n_right):
    n, z = 40, 1.959963984540054
    labels = np.zeros(n, int)
    logits = np.zeros((n, 3))
    logits[:n_right, 0] = logits[n_right:, 1] = 1
    p = n_right / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    interval = score(logits, labels).accuracy_interval
    assert interval == pytest.approx((centre - half, centre + half), abs=1e-12)


@pytest.mark.parametrize("scale", [0.3, 2.0, 10.0])
def test_calibration_error_is_that_of_a_slow_loop(scale):
    logits, labels = sample(scale=scale)
    error = 0.0
    for b in range(15):
        members = []
        for row, label in zip(softmax(logits, axis=1), labels, strict=True):
            if b / 15 <= row.max() < (b + 1) / 15:
                members.append((row.max(), row.argmax() == label))
        if members:
            confidence, right = np.mean(members, axis=0)
            error += len(members) / len(labels) * abs(confidence - right)
    scores = score(logits, labels)
    assert scores.calibration_error == pytest.approx(error)
    assert sum(count for *_, count in scores.calibration) == 300


def test_certain_predictions_fall_into_the_last_bin():
    scores = score(np.array([[800.0, 0.0], [800.0, 0.0]]), np.array([0, 1]))
    assert scores.calibration == ((1.0, 0.5, 2),)
    assert scores.calibration_error == 0.5
    assert scores.log_loss == 400.0  # no overflow


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(2, 6))
@settings(max_examples=25, deadline=None)
def test_order_and_offset_do_not_matter(seed, n, n_classes):
    logits, labels = sample(n, n_classes, seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    scores = dataclasses.asdict(score(logits, labels))
    moved = logits[order] + rng.normal(size=(n, 1))
    permuted = dataclasses.asdict(score(moved, labels[order]))
    for name, values in scores.items():
        if values is None:
            assert permuted[name] is None
            continue
        assert np.allclose(values, permuted[name]), name


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
@settings(max_examples=25, deadline=None)
def test_perfect_logits(labels):
    scores = score(60 * np.eye(5)[labels], np.array(labels))
    assert scores.accuracy == 1
    assert scores.accuracy_interval[0] < 1 == scores.accuracy_interval[1]
    assert scores.log_loss == pytest.approx(0, abs=1e-20)
    assert scores.calibration_error == pytest.approx(0, abs=1e-20)
    present = [float(label in labels) for label in range(5)]
    assert scores.precision == scores.recall == scores.f1 == tuple(present)
    assert np.array_equal(scores.confusion, np.diag(np.bincount(labels, minlength=5)))


@pytest.mark.parametrize(
    ("logits", "labels", "sentence"),
    [
        (np.zeros((0, 3)), [], "`labels` must be a whole number of at least 1"),
        (np.zeros((3, 3)), [0, 1], r"`logits` must have shape \(2, n_classes\)"),
        (np.zeros(2), [0, 1], r"`logits` must have shape .* has shape \(2,\)"),
        (np.zeros((2, 3)), [0, 3], r"`labels` must lie in \[0, 2\], but has 0 to 3"),
        (np.zeros((2, 3)), [-1, 0], r"`labels` must lie in \[0, 2\], but has -1 to 0"),
        (np.full((2, 3), np.nan), [0, 1], "`logits` must be finite, but has NaN"),
        (
            np.full((2, 3), np.inf),
            [0, 1],
            "`logits` must be finite, but has NaN or inf",
        ),
        (
            np.zeros((2, 3)),
            [0.0, 1.5],
            "`labels` must be whole numbers, but has type f",
        ),
        (np.zeros((2, 3)), [[0], [1]], r"`labels` must have shape \(n,\)"),
    ],
)
def test_bad_input(logits, labels, sentence):
    with pytest.raises(InputError, match=sentence):
        score(logits, np.array(labels))


def test_a_model_that_did_not_learn_is_named():
    labels = np.repeat(np.arange(4), 50)
    names = ("a", "b", "c", "d")
    constant = np.tile([0.0, 3.0, 0.0, 0.0], (200, 1))
    assert shortfall(score(constant, labels), names) == "predicts one class only, 'b'"
    guesses = np.eye(4)[np.random.default_rng(0).integers(4, size=200)]
    found = shortfall(score(guesses, labels), names)
    assert re.match(r"is near chance: \d\d\.\d% right, .* gives 25\.0%$", found)
    assert shortfall(score(np.eye(4)[labels], labels), names) is None


def test_uneven_classes_and_classes_without_images():
    logits, labels = sample(n_classes=3)
    assert not score(logits, labels).is_uneven
    few = labels != 2
    without = score(logits[few], labels[few])
    assert without.is_uneven
    assert without.auroc is None
    recall = [(logits[labels == i].argmax(1) == i).mean() for i in (0, 1)]
    assert without.balanced_accuracy == pytest.approx(np.mean(recall))
