"""Quantum kernels against their definitions, and inside scikit-learn."""

import numpy as np
import pennylane as qml
import pytest
import reference
from sklearn.svm import SVC

from qfm_jax._checks import InputError
from qfm_jax.circuits import AngleEmbedding, ZZEmbedding
from qfm_jax.devices import DeviceConfig
from qfm_jax.estimators.kernels import (
    STATES_AT_ONCE,
    FidelityKernel,
    ProjectedKernel,
    bloch_vectors,
    embedded_states,
)

RNG = np.random.default_rng(2)
EMBEDDING = ZZEmbedding(3)
FEATURES = RNG.uniform(-1, 1, (6, 3)).astype(np.float32)


def states_by_hand(features):
    def one(sample):
        tape = qml.tape.make_qscript(EMBEDDING)(np.asarray(sample, float))
        return reference.state(tape.operations, 3)

    return np.stack([one(sample) for sample in features])


STATES = states_by_hand(FEATURES)


@pytest.mark.parametrize("device", [None, DeviceConfig("default.qubit")])
def test_the_fidelity_is_the_squared_overlap(device):
    expected = abs(STATES @ STATES[:4].conj().T) ** 2
    found = FidelityKernel(EMBEDDING, device)(FEATURES, FEATURES[:4])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    whole = FidelityKernel(EMBEDDING, device)(FEATURES)
    np.testing.assert_allclose(np.diag(whole), 1, atol=1e-5)
    assert np.linalg.eigvalsh(whole.astype(float)).min() > -1e-5


def test_a_product_state_has_a_closed_form():
    a, b = RNG.uniform(-2, 2, (2, 5, 4)).astype(np.float32)
    found = FidelityKernel(AngleEmbedding(4))(a, b)
    expected = (np.cos((a[:, None] - b[None]) / 2) ** 2).prod(-1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_bloch_vectors_are_expectations():
    found = bloch_vectors(STATES)
    for state, vectors in zip(STATES, found, strict=True):
        for qubit in range(3):
            for k, letter in enumerate("XYZ"):
                word = "I" * qubit + letter + "I" * (2 - qubit)
                expected = reference.expectation(state, word)
                assert abs(vectors[qubit, k] - expected) < 1e-6


def test_the_projected_kernel_is_a_gaussian_of_bloch_vectors():
    vectors = bloch_vectors(STATES).reshape(6, -1)
    squares = ((vectors[:, None] - vectors[None]) ** 2).sum(-1)
    found = ProjectedKernel(EMBEDDING, gamma=0.7)(FEATURES)
    np.testing.assert_allclose(found, np.exp(-0.7 * squares), atol=1e-4)


def test_more_samples_than_are_embedded_at_once():
    features = RNG.uniform(size=(STATES_AT_ONCE + 3, 2)).astype(np.float32)
    whole = embedded_states(AngleEmbedding(2), features)
    for i in (0, STATES_AT_ONCE, len(features) - 1):
        one = embedded_states(AngleEmbedding(2), features[i : i + 1])
        np.testing.assert_allclose(whole[i], one[0], atol=1e-6)


@pytest.mark.parametrize("kernel", [FidelityKernel, ProjectedKernel])
def test_scikit_learn_takes_it_as_a_kernel(kernel):
    features = RNG.uniform(-1, 1, (60, 3)).astype(np.float32)
    labels = (features[:, 0] * features[:, 1] > 0).astype(int)  # no line separates it
    machine = SVC(kernel=kernel(EMBEDDING), C=100.0).fit(features, labels)
    assert machine.score(features, labels) > 0.95


def test_bad_input():
    kernel = FidelityKernel(EMBEDDING)
    with pytest.raises(InputError, match=r"`features` must have shape \(n, 3\)"):
        kernel(FEATURES[:, :2])
    with pytest.raises(InputError, match="`features` must be finite, but has a NaN"):
        kernel(FEATURES * np.nan)
    with pytest.raises(InputError, match=r"`gamma` must .* but is -1"):
        ProjectedKernel(EMBEDDING, gamma=-1)


@pytest.mark.parametrize("kernel", [FidelityKernel, ProjectedKernel])
def test_no_sample_and_one(kernel):
    none, one = FEATURES[:0], FEATURES[1:2]
    whole = kernel(EMBEDDING)(FEATURES)
    for a, b in ((none, FEATURES), (FEATURES, none), (none, none), (none, None)):
        n_b = len(a if b is None else b)
        found = kernel(EMBEDDING)(a, b)
        assert (found.shape, found.dtype) == ((len(a), n_b), np.float32)
    np.testing.assert_allclose(kernel(EMBEDDING)(one, FEATURES), whole[1:2], atol=1e-6)
    np.testing.assert_allclose(
        kernel(EMBEDDING)(FEATURES, one), whole[:, 1:2], atol=1e-6
    )
    assert bloch_vectors(embedded_states(EMBEDDING, none)).shape == (0, 3, 3)
    with pytest.raises(InputError, match=r"`features` must have shape \(n, 3\)"):
        kernel(EMBEDDING)(np.zeros((0, 2)), FEATURES)
