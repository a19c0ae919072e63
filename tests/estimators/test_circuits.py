"""Estimators against dense matrices, and in everything that scikit-learn offers."""

import copy
import pickle

import jax.numpy as jnp
import joblib
import numpy as np
import pennylane as qml
import pytest
import reference
from distributed import Client
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from qfm_jax import (
    AngleEmbedding,
    Circuit,
    QuantumClassifier,
    QuantumFeatures,
    RealAmplitudes,
    as_jax_function,
)
from qfm_jax.estimators.circuits import SAMPLES_AT_ONCE


@pytest.fixture(scope="module")
def iris():
    x, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(x).astype(np.float32), y


@pytest.fixture(scope="module")
def fitted(iris):
    return QuantumClassifier(n_qubits=3, epochs=8, random_state=0).fit(*iris)


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator", [QuantumFeatures(), QuantumClassifier(n_qubits=2, epochs=10)], ids=type
)
def test_keeps_every_rule_of_scikit_learn(estimator):
    check_estimator(estimator, on_skip=None)


def test_features_are_those_of_dense_matrices(iris):
    # Four features around three qubits: the second layer takes feature 3, then 0, 1.
    estimator = QuantumFeatures(n_qubits=3, n_layers=1, random_state=1)
    found = estimator.fit_transform(iris[0][:5])
    weights = estimator.weights_
    assert weights.shape == (2, 3, 3)
    for sample, row in zip(iris[0][:5], found, strict=True):
        operations = []
        for layer in range(2):
            for wire in range(3):
                operations.append(qml.RY(sample[(3 * layer + wire) % 4], wire))
                operations.append(qml.Rot(*weights[layer, wire], wire))
            operations += [qml.CNOT([w, (w + 1 + layer) % 3]) for w in range(3)]
        state = reference.state(operations, 3)
        expected = [reference.expectation(state, w) for w in ("ZII", "IZI", "IIZ")]
        np.testing.assert_allclose(row, expected, atol=2e-6)


def test_predictions_are_those_of_the_stored_weights(fitted, iris):
    circuit = as_jax_function(fitted.circuit_)
    for sample, row in zip(
        iris[0][::40], fitted.predict_proba(iris[0][::40]), strict=True
    ):
        results = np.asarray(circuit(jnp.asarray(sample), jnp.asarray(fitted.weights_)))
        odds = np.exp(fitted.coef_ @ results + fitted.intercept_)
        np.testing.assert_allclose(row, odds / odds.sum(), atol=1e-5)


def test_learns_iris_and_says_how(fitted, iris):
    assert fitted.score(*iris) > 0.9  # a third by chance
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0] / 2
    assert len(fitted.loss_curve_) == fitted.n_iter_ == 8
    # Samples beyond one program's are predicted alike.
    many = np.tile(iris[0], (3, 1))
    assert len(many) > SAMPLES_AT_ONCE
    np.testing.assert_array_equal(
        fitted.predict(many), np.tile(fitted.predict(iris[0]), 3)
    )


def test_a_step_is_one_of_the_mean_cross_entropy(iris):
    """One step of Adam moves each weight by the learning rate against the gradient."""
    x, y = iris[0][::5], iris[1][::5]  # 30 of them: one batch
    arguments = {"n_qubits": 3, "epochs": 1, "random_state": 3}
    still = QuantumClassifier(**arguments, learning_rate=0.0).fit(x, y)
    moved = QuantumClassifier(**arguments, learning_rate=1e-3).fit(x, y)

    def loss(coef):
        model = copy.copy(still)
        model.coef_ = coef
        return -np.log(model.predict_proba(x)[np.arange(len(y)), y]).mean()

    steps = (moved.coef_ - still.coef_) / 1e-3
    np.testing.assert_allclose(np.abs(steps), 1, atol=1e-2)
    assert still.loss_curve_[0] == pytest.approx(loss(still.coef_), abs=1e-5)
    for place in [(0, 0), (1, 2), (2, 1)]:
        nudge = np.zeros_like(still.coef_)
        nudge[place] = 1e-2
        slope = loss(still.coef_ + nudge) - loss(still.coef_ - nudge)
        assert np.sign(slope) == -np.sign(steps[place])


def test_same_seed_same_weights_and_it_reloads(fitted, iris):
    again = clone(fitted).fit(*iris)
    np.testing.assert_array_equal(again.weights_, fitted.weights_)
    np.testing.assert_array_equal(again.coef_, fitted.coef_)
    reloaded = pickle.loads(pickle.dumps(fitted))  # noqa: S301 - our own
    np.testing.assert_array_equal(
        reloaded.predict_proba(iris[0]), fitted.predict_proba(iris[0])
    )
    other = clone(fitted).set_params(random_state=1).fit(*iris)
    assert not np.array_equal(other.weights_, fitted.weights_)


def test_in_pipelines_searches_and_cross_validation(iris, dask_scheduler):
    x, y = iris
    classifier = QuantumClassifier(n_qubits=3, epochs=4, random_state=0)
    scores = cross_val_score(make_pipeline(PCA(4), classifier), x, y, cv=2)
    assert scores.min() > 0.6
    grid = {"quantumclassifier__learning_rate": [1e-6, 0.1]}
    search = GridSearchCV(make_pipeline(PCA(4), classifier), grid, cv=2).fit(x, y)
    assert search.best_params_["quantumclassifier__learning_rate"] == 0.1
    on_dask = clone(search)
    with Client(dask_scheduler.address), joblib.parallel_config("dask"):
        on_dask.fit(x, y)
    for field in ("mean_test_score", "std_test_score", "rank_test_score"):
        np.testing.assert_array_equal(
            on_dask.cv_results_[field], search.cv_results_[field]
        )
    features = make_pipeline(QuantumFeatures(random_state=0), LogisticRegression())
    assert features.fit(x, y).score(x, y) > 0.6
    assert list(features[0].get_feature_names_out()) == [
        f"quantumfeatures{i}" for i in range(4)
    ]


def test_labels_are_whatever_they_were(iris):
    x, y = iris
    names = np.array(["iris", "lily", "rose"])[y]
    model = QuantumClassifier(n_qubits=3, epochs=2, random_state=0).fit(x, names)
    assert set(model.predict(x)) <= {"iris", "lily", "rose"}
    two = y < 2
    model.fit(x[two], names[two])
    difference = model.decision_function(x[two])
    assert difference.shape == (100,)
    np.testing.assert_array_equal(
        model.classes_[(difference > 0).astype(int)], model.predict(x[two])
    )


@pytest.mark.parametrize("device", ["default.qubit", "lightning.qubit"])
def test_other_devices_give_the_same_features(device, iris):
    few = iris[0][:4, :3]
    ours = QuantumFeatures("angle", n_qubits=3, random_state=0)
    theirs = clone(ours).set_params(device=device)
    np.testing.assert_allclose(
        theirs.fit_transform(few), ours.fit_transform(few), atol=1e-5
    )


def test_shots_scatter_around_the_exact_features(iris):
    few, shots = iris[0][:20], 400
    exact = QuantumFeatures(random_state=0)
    sampled = clone(exact).set_params(shots=shots)
    expected = exact.fit_transform(few)
    found = sampled.fit_transform(few)
    assert not np.allclose(found, expected, atol=1e-3)
    error = np.sqrt((1 - expected**2) / shots)
    assert (np.abs(found - expected) < 5 * error + 1e-6).all()


def test_a_circuit_of_your_own(iris):
    circuit = Circuit(AngleEmbedding(4), RealAmplitudes(4, 1))
    model = QuantumClassifier(circuit, epochs=4, random_state=0).fit(*iris)
    assert model.circuit_ == circuit
    assert model.weights_.shape == circuit.weights_shape
    assert model.score(*iris) > 0.6


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"circuit": "angel"}, "`embedding` must be one of .* Did you mean 'angle'"),
        ({"circuit": "angle"}, "`X` must have the 3 features .* has 4.*PCA"),
        ({"circuit": "angle", "layers": "ring"}, "`layers` must be one of"),
        ({"n_qubits": 0}, "`n_qubits` must be a whole number of at least 1"),
        ({"n_layers": 0}, "`n_layers` must be a whole number of at least 1"),
        ({"device": "qfm.statevektor"}, "`device` must be one of .* Did you mean"),
        ({"shots": 0}, "`shots` must be a whole number of at least 1"),
        ({"epochs": 0}, "`epochs` must be a whole number of at least 1"),
        ({"batch_size": 0}, "`batch_size` must be a whole number of at least 1"),
        ({"learning_rate": -1.0}, "`learning_rate` must be at least 0"),
    ],
)
def test_bad_parameters_are_named_when_fitting(parameters, message, iris):
    estimator = QuantumClassifier(n_qubits=3).set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        estimator.fit(*iris)


def test_other_bad_inputs(iris):
    with pytest.raises(ValueError, match="`angle_spread` must be at least 0"):
        QuantumFeatures(angle_spread=-1.0).fit(iris[0])
    with pytest.raises(ValueError, match=r"`y` must hold two classes .* one class, 0"):
        QuantumClassifier().fit(iris[0], np.zeros(150, int))
