"""Circuits as estimators of scikit-learn: a classifier, and features for others."""

import functools
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .._checks import check_at_least, check_range, input_error
from ..circuits import (
    CIRCUITS,
    DataReuploading,
    VariationalCircuit,
    build_circuit,
    named_circuit,
)
from ..devices import (
    WHOLE_BATCH_DEVICES,
    DeviceConfig,
    as_jax_function,
    in_chunks,
)
from ..models.block import ANGLE_SPREAD

REUPLOADING = "reuploading"
"""The embedding that takes any number of features."""

SAMPLES_AT_ONCE = 256
"""Samples of one program in a prediction; does not change the result."""

BATCHING = ("qfm.statevector", *WHOLE_BATCH_DEVICES)
"""Devices that run many samples in one program, compiled for each number of them."""


class QuantumFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Expectations of a random circuit, as features for an estimator of your own.

    The circuit's weights are drawn in `fit` and not trained. Features are angles in
    radians: scale them first, and reduce them where there are many.

    Args:
        circuit: What takes the features in: a name in `qfm_jax.circuits.EMBEDDINGS`, or
            of a whole circuit in `CIRCUITS`, of which `reuploading` takes any number of
            features, around the qubits, layer after layer; or a circuit of your own,
            which brings all of the next three.
        layers: Name of the layers that hold the weights, `strongly-entangling` with
            `reuploading`.
        n_qubits: Number of qubits, at least 1.
        n_layers: Layers, at least 1; with `reuploading` as many more as it takes until
            each feature has entered.
        angle_spread: Standard deviation of the weights in radians.
        device: Name of an installed PennyLane device.
        shots: Measurements of each circuit; None for exact expectations.
        random_state: Of the weights, and of the outcomes on devices that take a seed.

    Attributes:
        circuit_: The circuit.
        weights_: Its weights, `circuit_.weights_shape`, in radians.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> x, y = load_iris(return_X_y=True)
        >>> features = QuantumFeatures(random_state=0)
        >>> model = make_pipeline(StandardScaler(), features, LogisticRegression())
        >>> model[:-1].fit_transform(x).shape
        (150, 4)
    """

    def __init__(
        self,
        circuit: str | VariationalCircuit = REUPLOADING,
        *,
        layers: str = "strongly-entangling",
        n_qubits: int = 4,
        n_layers: int = 2,
        angle_spread: float = 1.0,
        device: str = "qfm.statevector",
        shots: int | None = None,
        random_state: Any = None,
    ):
        self.circuit = circuit
        self.layers = layers
        self.n_qubits = n_qubits
        self.n_layers = n_layers
        self.angle_spread = angle_spread
        self.device = device
        self.shots = shots
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Builds the circuit for features X (n_samples, n_features), draws its weights.

        Raises:
            InputError: For features that the circuit does not take, an unknown name, or
                a size below 1.
        """
        samples = validate_data(self, X, dtype=np.float32)
        check_range("angle_spread", self.angle_spread, 0)
        random = check_random_state(self.random_state)
        self.circuit_ = _circuit_of(self, samples.shape[1])
        self.device_ = _device_of(self, random)
        self.weights_ = random.normal(0, self.angle_spread, self.circuit_.weights_shape)
        self._n_features_out = self.circuit_.n_observables
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Expectations (n_samples, n_observables) in [-1, 1] of X's circuits."""
        check_is_fitted(self)
        samples = validate_data(self, X, dtype=np.float32, reset=False)
        return _expectations(self.circuit_, self.device_, self.weights_, samples)

    def __sklearn_tags__(self) -> Any:
        tags = _tagged(super().__sklearn_tags__(), self.shots)
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class QuantumClassifier(ClassifierMixin, BaseEstimator):
    r"""A trained circuit and a linear read-out of its expectations.

    :math:`p(k | x) \propto \exp(\sum_j c_{kj} \langle P_j \rangle_{x, w} + b_k)`, by
    steps of Adam on the mean cross-entropy of a batch. Features are angles in radians:
    scale them first, and reduce them where there are many.

    Args:
        circuit: As for `QuantumFeatures`, as are the next three.
        layers: See there.
        n_qubits: See there.
        n_layers: See there.
        epochs: Passes over the samples, at least 1.
        batch_size: Samples of a step, at least 1.
        learning_rate: Of Adam, falling along half a cosine to zero.
        device: Name of an installed PennyLane device.
        shots: Measurements of each circuit; None for exact expectations.
        random_state: Of the start, the order of the samples, and the outcomes on
            devices that take a seed.

    Attributes:
        classes_: The labels, (n_classes,).
        circuit_: The circuit.
        weights_: Its weights, `circuit_.weights_shape`, in radians.
        coef_: The read-out, (n_classes, n_observables).
        intercept_: Its offsets, (n_classes,).
        loss_curve_: Mean cross-entropy of each epoch.
        n_iter_: Number of epochs.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> x, y = load_iris(return_X_y=True)
        >>> classifier = QuantumClassifier(n_qubits=2, epochs=20, random_state=0)
        >>> model = make_pipeline(StandardScaler(), classifier).fit(x, y)
        >>> model.score(x, y) > 0.9
        True
    """

    def __init__(
        self,
        circuit: str | VariationalCircuit = REUPLOADING,
        *,
        layers: str = "strongly-entangling",
        n_qubits: int = 4,
        n_layers: int = 2,
        epochs: int = 30,
        batch_size: int = 32,
        learning_rate: float = 0.1,
        device: str = "qfm.statevector",
        shots: int | None = None,
        random_state: Any = None,
    ):
        self.circuit = circuit
        self.layers = layers
        self.n_qubits = n_qubits
        self.n_layers = n_layers
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.shots = shots
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Trains on features X (n_samples, n_features) and labels y (n_samples,).

        Raises:
            InputError: For features that the circuit does not take, an unknown name, a
                size below 1, or labels of one class.
        """
        samples, labels = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(labels)
        check_at_least("epochs", self.epochs, 1)
        check_at_least("batch_size", self.batch_size, 1)
        check_range("learning_rate", self.learning_rate, 0)
        self.classes_, targets = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            was = f"holds one class, {self.classes_[0]}"
            raise input_error("y", "hold two classes at least", was)
        random = check_random_state(self.random_state)
        self.circuit_ = _circuit_of(self, samples.shape[1])
        self.device_ = _device_of(self, random)
        state = _start(self.circuit_, len(self.classes_), random)
        step = functools.partial(_step, circuit=self.circuit_, device=self.device_)
        self.loss_curve_ = []
        for epoch in range(self.epochs):
            rate = self.learning_rate * (1 + np.cos(np.pi * epoch / self.epochs)) / 2
            order = random.permutation(len(samples))
            losses = []
            for first in range(0, len(samples), self.batch_size):
                chosen = order[first : first + self.batch_size]
                batch = _filled(samples[chosen], targets[chosen], self.batch_size)
                state, loss = step(state, *batch, np.float32(rate))
                losses.append(loss)
            self.loss_curve_.append(float(np.mean(jax.device_get(losses))))
        self.weights_, self.coef_, self.intercept_ = map(np.asarray, state.params)
        self.n_iter_ = self.epochs
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float32]:
        """Logits (n_samples, n_classes); of two classes their difference (n_samples,).

        A positive difference stands for `classes_[1]`.
        """
        logits = self._logits(X)
        return logits if len(self.classes_) > 2 else logits[:, 1] - logits[:, 0]

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (n_samples, n_classes) of the classes."""
        return softmax(self._logits(X).astype(np.float64), axis=1)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likeliest label of each sample, (n_samples,)."""
        winners = self._logits(X).argmax(axis=1)
        return self.classes_[winners]

    def _logits(self, X: ArrayLike) -> NDArray[np.float32]:
        check_is_fitted(self)
        samples = validate_data(self, X, dtype=np.float32, reset=False)
        found = _expectations(self.circuit_, self.device_, self.weights_, samples)
        return found @ self.coef_.T + self.intercept_

    def __sklearn_tags__(self) -> Any:
        return _tagged(super().__sklearn_tags__(), self.shots)


class _Params(NamedTuple):
    """What training fits."""

    weights: jax.Array
    coef: jax.Array
    intercept: jax.Array


class _State(NamedTuple):
    """What a step changes."""

    params: _Params
    adam: optax.OptState


def _circuit_of(
    estimator: QuantumFeatures | QuantumClassifier, n_features: int
) -> VariationalCircuit:
    """The estimator's circuit, for samples of `n_features`."""
    circuit, n_qubits = estimator.circuit, estimator.n_qubits
    check_at_least("n_qubits", n_qubits, 1)
    check_at_least("n_layers", estimator.n_layers, 1)
    if circuit == REUPLOADING:
        n_layers = max(estimator.n_layers, -(-n_features // n_qubits))
        return DataReuploading(n_qubits, n_layers, n_features)
    if isinstance(circuit, str):
        n_layers = estimator.n_layers
        if circuit in CIRCUITS:
            circuit = named_circuit(circuit, n_qubits, n_layers)
        else:
            circuit = build_circuit(circuit, estimator.layers, n_qubits, n_layers)
    if circuit.n_features != n_features:
        must = f"have the {circuit.n_features} features that the circuit takes"
        cure = f"Put PCA({circuit.n_features}) before it, or take {REUPLOADING!r}."
        raise input_error("X", must, f"has {n_features}", cure)
    return circuit


def _device_of(
    estimator: QuantumFeatures | QuantumClassifier, random: np.random.RandomState
) -> DeviceConfig:
    """The estimator's device; its outcomes are drawn with a seed where it takes one."""
    name, shots = estimator.device, estimator.shots
    seed = int(random.randint(2**31))  # with shots or without: the rest stays the same
    takes_seed = shots is not None and not name.startswith("qiskit.")
    return DeviceConfig(name, shots, seed=seed if takes_seed else None)


def _tagged(tags: Any, shots: int | None) -> Any:
    """Says that outcomes are drawn again at each call."""
    tags.non_deterministic = shots is not None
    return tags


def _start(
    circuit: VariationalCircuit, n_classes: int, random: np.random.RandomState
) -> _State:
    """A circuit near its fixed gates, and a read-out that makes logits of about one."""
    n_results = circuit.n_observables
    params = _Params(
        jnp.float32(random.normal(0, ANGLE_SPREAD, circuit.weights_shape)),
        jnp.float32(random.normal(0, n_results**-0.5, (n_classes, n_results))),
        jnp.zeros(n_classes, jnp.float32),
    )
    return _State(params, optax.scale_by_adam().init(params))


def _filled(
    X: NDArray[np.float32], targets: NDArray[np.intp], size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A batch of a fixed size, and which of its samples count."""
    missing = size - len(X)
    counts = np.arange(size) < len(X)
    return np.pad(X, ((0, missing), (0, 0))), np.pad(targets, (0, missing)), counts


def _run(
    circuit: VariationalCircuit, device: DeviceConfig, weights: jax.Array, X: jax.Array
) -> jax.Array:
    """Expectations (n, n_observables) of the samples X (n, n_features)."""
    return jax.vmap(as_jax_function(circuit, device), (0, None))(X, weights)


@functools.partial(jax.jit, static_argnames=("circuit", "device"))
def _step(
    state: _State,
    X: jax.Array,
    targets: jax.Array,
    counts: jax.Array,
    rate: jax.Array,
    *,
    circuit: VariationalCircuit,
    device: DeviceConfig,
) -> tuple[_State, jax.Array]:
    """A step of Adam on the mean cross-entropy of the samples that count."""

    def mean_loss(params: _Params) -> jax.Array:
        logits = _run(circuit, device, params.weights, X) @ params.coef.T
        losses = optax.softmax_cross_entropy_with_integer_labels(
            logits + params.intercept, targets
        )
        return jnp.mean(losses, where=counts)

    loss, gradient = jax.value_and_grad(mean_loss)(state.params)
    updates, adam = optax.scale_by_adam().update(gradient, state.adam)
    params = jax.tree.map(lambda p, u: p - rate * u, state.params, updates)
    return _State(params, adam), loss


_run_jitted = jax.jit(_run, static_argnums=(0, 1))


def _expectations(
    circuit: VariationalCircuit,
    device: DeviceConfig,
    weights: NDArray[np.floating],
    X: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Expectations of any number of samples, by one program."""
    run = functools.partial(_run_jitted, circuit, device, np.float32(weights))
    # Elsewhere each sample costs a run, those that fill a chunk up too.
    return in_chunks(run, X, SAMPLES_AT_ONCE if device.name in BATCHING else len(X))
