"""What a circuit with random weights is like: gradients, states, entanglement.

All angles are drawn uniformly from [0, 2 pi), from a key; every figure comes with its
standard error. Nothing is trained.
"""

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
from numpy.typing import ArrayLike, NDArray
from pennylane.measurements import StateMP
from pennylane.typing import TensorLike

from ._checks import check_at_least, check_one_of, check_range, check_shape, input_error
from .circuits import VariationalCircuit
from .circuits.observables import expectations, pauli_words, word_of
from .circuits.rewrites import Rewritten
from .devices import DeviceConfig, as_jax_function
from .estimators.kernels import bloch_vectors

Batched = Callable[[jax.Array, jax.Array], jax.Array]

SAMPLES_AT_ONCE = 256
AMPLITUDES_AT_ONCE = 1 << 21
"""Samples that run at once, and their amplitudes; neither changes the results."""

N_BINS = 75
"""Bins of the fidelity's histogram, as many as Sim, Johnson and Aspuru-Guzik take."""


@dataclass(frozen=True)
class Estimate:
    """A figure of random circuits, and how sure it is."""

    value: float
    """The figure."""
    standard_error: float
    """Standard deviation that the figure has from key to key, estimated."""
    n_samples: int
    """Independent draws of the weights (of pairs of weights, for a fidelity)."""


def gradient_variance(
    circuit: VariationalCircuit,
    observables: Mapping[str, str] | None = None,
    *,
    n_samples: int = 200,
    angle_spread: float | None = None,
    inputs: ArrayLike | None = None,
    device: DeviceConfig | None = None,
    key: jax.Array,
) -> dict[str, Estimate]:
    r"""How much the gradients of an observable vary over random weights.

    :math:`\frac{1}{P} \sum_{k=1}^P \mathrm{Var}_w [\partial_k \langle O \rangle]`, the
    variance of the derivative in each weight, mean over all P weights. Where it falls
    exponentially with the number of qubits the circuit has a barren plateau: for deep
    circuits whatever is measured (McClean et al., arXiv 1803.11173), for shallow ones
    if the observable is global (Cerezo et al., arXiv 2001.00550).

    Args:
        circuit: The circuit; what it measures itself is not asked for.
        observables: Pauli words by name, a letter a qubit. Where left out `local`, Z on
            the middle qubit (number n // 2), and `global`, Z on every qubit.
        n_samples: Draws of the weights, at least 2.
        angle_spread: Standard deviation of normal weights around zero, in radians, as a
            model starts them; uniform in [0, 2 pi) where left out.
        inputs: Features (n_features,) of all samples; zeros where left out, which
            embeddings of angles and of amplitudes both leave |0...0> for.
        device: Where the circuit runs; qfm.statevector where left out.
        key: PRNG key of the draws.

    Returns:
        A variance for each observable, in the same order. The standard error is that of
        the mean over draws, each with all its weights.

    Raises:
        InputError: For fewer than two samples, no observable or one that is no Pauli
            word on these qubits, a negative spread, and inputs that are not finite or
            of another shape.

    Example:
        >>> from qfm_jax.circuits import AngleEmbedding, Circuit, RealAmplitudes
        >>> circuit = Circuit(AngleEmbedding(4), RealAmplitudes(4, n_layers=2))
        >>> found = gradient_variance(circuit, n_samples=50, key=jax.random.key(0))
        >>> found["local"].value > found["global"].value > 0
        True
    """
    check_at_least("n_samples", n_samples, 2)
    n = circuit.n_qubits
    if observables is None:
        middle = word_of({n // 2: "Z"}, n)
        observables = {"local": middle, "global": "Z" * n}
    measured = _Measured(circuit, pauli_words(tuple(observables.values()), n))
    weights = _draws(circuit, n_samples, angle_spread, key)
    chunks = _chunks(_slopes_of(measured, device), measured, inputs, weights)
    slopes = np.concatenate([*chunks]).astype(np.float64)
    found = {}
    for i, name in enumerate(observables):
        own = slopes[:, i].reshape(n_samples, -1)
        # Of each draw: mean over weights of the squared distance from the mean.
        squares = ((own - own.mean(0)) ** 2).mean(1) * n_samples / (n_samples - 1)
        found[name] = _mean(squares)
    return found


def expressibility(
    circuit: VariationalCircuit,
    *,
    n_samples: int = 1000,
    n_bins: int = N_BINS,
    bins: str = "width",
    inputs: ArrayLike | None = None,
    device: DeviceConfig | None = None,
    key: jax.Array,
) -> Estimate:
    r"""How far the circuit's random states are from states drawn from all alike.

    :math:`D_{KL}(\hat P(F) \| P_\mathrm{Haar}(F))` in nats, where F is the fidelity of
    two random states of the circuit, and for Haar-random states in N = 2^n dimensions
    :math:`P(F \leq f) = 1 - (1 - f)^{N - 1}`. Smaller is more expressive: 0 for a
    circuit that reaches every state alike, but a histogram of few samples never says 0
    (see `expressibility_floor`).

    Source: Sim, Johnson and Aspuru-Guzik, arXiv 1905.10876.

    Args:
        circuit: The circuit.
        n_samples: Pairs of states, at least 2.
        n_bins: Bins of the histogram, at least 2.
        bins: `width`, bins of equal width, as in the source; or `haar`, bins that hold
            equal shares of Haar-random states. With equal widths nearly all states of
            eight qubits or more fall into the first bin, whatever the circuit.
        inputs: Features (n_features,) of all samples; zeros where left out.
        device: Where the circuit runs, a device that gives states; qfm.statevector
            where left out.
        key: PRNG key of the draws.

    Returns:
        The divergence. Its standard error is that of the delta method.

    Raises:
        InputError: For sizes below 2, an unknown kind of bins, and inputs as in
            `gradient_variance`.

    Example:
        >>> from qfm_jax.circuits import AngleEmbedding, Circuit
        >>> from qfm_jax.circuits import StronglyEntanglingLayers
        >>> def of(n_layers):
        ...     layers = StronglyEntanglingLayers(3, n_layers)
        ...     circuit = Circuit(AngleEmbedding(3), layers)
        ...     return expressibility(circuit, key=jax.random.key(0)).value
        >>> of(n_layers=1) > of(n_layers=3)
        True
    """
    check_at_least("n_samples", n_samples, 2)
    check_at_least("n_bins", n_bins, 2)
    check_one_of("bins", bins, ("width", "haar"))
    prepared, fidelities = _Prepared(circuit), []
    sets = (_draws(circuit, n_samples, None, half) for half in jax.random.split(key))
    halves = (_chunks(_states_of(prepared, device), prepared, inputs, w) for w in sets)
    for a, b in zip(*halves, strict=True):
        overlaps = (a.conj() * b).sum(1)
        fidelities.append(abs(overlaps) ** 2)
    found = np.concatenate(fidelities)
    return divergence_from_haar(found, circuit.n_qubits, n_bins=n_bins, bins=bins)


def divergence_from_haar(
    fidelities: ArrayLike, n_qubits: int, *, n_bins: int = N_BINS, bins: str = "width"
) -> Estimate:
    """`expressibility` of fidelities that are there already.

    Args:
        fidelities: (n_samples,), in [0, 1] up to rounding.
        n_qubits: Qubits of the states.
        n_bins: Bins of the histogram.
        bins: `width` or `haar`, as in `expressibility`.

    Example:
        >>> always_the_same = divergence_from_haar(np.ones(100), n_qubits=1)
        >>> round(always_the_same.value, 4) == round(math.log(75), 4)
        True
    """
    values = np.clip(np.asarray(fidelities, np.float64), 0, 1)
    degree = 2.0**n_qubits - 1  # P(F <= f) = 1 - (1 - f)^degree
    shares = np.linspace(0, 1, n_bins + 1)
    if bins == "width":
        place = values
        with np.errstate(divide="ignore"):
            log_tails = degree * np.log1p(-shares)  # log P(F > edge); -inf at 1
        log_haar = log_tails[:-1] + np.log(-np.expm1(np.diff(log_tails)))
    else:
        with np.errstate(divide="ignore"):
            place = -np.expm1(degree * np.log1p(-values))
        log_haar = np.full(n_bins, -math.log(n_bins))
    counts, _ = np.histogram(place, shares)
    found, n = counts > 0, len(values)
    p = counts[found] / n
    ratios = np.log(p) - log_haar[found]
    value = float(p @ ratios)
    spread = float(p @ (ratios - value) ** 2)
    return Estimate(value, math.sqrt(spread / n), n)


def expressibility_floor(n_samples: int, n_bins: int = N_BINS) -> float:
    """What `expressibility` gives for Haar-random states: about (bins - 1)/(2 samples).

    In bins of equal Haar shares; in bins of equal width, where most stay empty, less.

    Example:
        >>> expressibility_floor(n_samples=1000)
        0.037
    """
    return (n_bins - 1) / (2 * n_samples)


def entangling_capability(
    circuit: VariationalCircuit,
    *,
    n_samples: int = 500,
    inputs: ArrayLike | None = None,
    device: DeviceConfig | None = None,
    key: jax.Array,
) -> Estimate:
    """The mean Meyer-Wallach entanglement of the circuit's random states, in [0, 1].

    0 for product states, 1 where every qubit is maximally entangled with the others;
    Haar-random states have (N - 2)/(N + 1) with N = 2^n.

    Source: Sim, Johnson and Aspuru-Guzik, arXiv 1905.10876.

    Args:
        circuit: The circuit.
        n_samples: Draws of the weights, at least 2.
        inputs: Features (n_features,) of all samples; zeros where left out.
        device: Where the circuit runs, a device that gives states; qfm.statevector
            where left out.
        key: PRNG key of the draws.

    Raises:
        InputError: For fewer than two samples, and inputs as in `gradient_variance`.

    Example:
        >>> from qfm_jax.circuits import AngleEmbedding, Circuit, RealAmplitudes
        >>> circuit = Circuit(AngleEmbedding(3), RealAmplitudes(3, n_layers=2))
        >>> 0 < entangling_capability(circuit, key=jax.random.key(0)).value < 1
        True
    """
    check_at_least("n_samples", n_samples, 2)
    prepared = _Prepared(circuit)
    weights = _draws(circuit, n_samples, None, key)
    chunks = _chunks(_states_of(prepared, device), prepared, inputs, weights)
    return _mean(np.concatenate([meyer_wallach(states) for states in chunks]))


def describe(
    circuit: VariationalCircuit, *, n_samples: int = 200, key: jax.Array
) -> dict[str, Any]:
    """All figures above of one circuit, as plain values: a row of a study.

    Fidelities fill bins of equal Haar shares, so that circuits of many qubits can be
    told apart. They and the entanglement need five times the samples that gradients do.

    Args:
        circuit: The circuit.
        n_samples: Draws of the weights for the gradients, at least 2.
        key: PRNG key of the draws.

    Returns:
        `gradient_variance` by observable, `expressibility` and `entangling_capability`,
        each as [value, standard error], and `expressibility_floor`.

    Raises:
        InputError: For fewer than two samples.

    Example:
        >>> from qfm_jax.circuits import build_circuit
        >>> circuit = build_circuit("angle", "efficient-su2", 2, 1)
        >>> list(describe(circuit, n_samples=10, key=jax.random.key(0)))[:2]
        ['gradient_variance', 'expressibility']
    """
    keys, many = jax.random.split(key, 3), 5 * n_samples
    slopes = gradient_variance(circuit, n_samples=n_samples, key=keys[0])
    spread = expressibility(circuit, n_samples=many, bins="haar", key=keys[1])
    entangled = entangling_capability(circuit, n_samples=many, key=keys[2])
    return {
        "gradient_variance": {name: _pair(one) for name, one in slopes.items()},
        "expressibility": _pair(spread),
        "expressibility_floor": expressibility_floor(many),
        "entangling_capability": _pair(entangled),
    }


def meyer_wallach(states: NDArray[np.complexfloating]) -> NDArray[np.float64]:
    r"""The entanglement of pure states, :math:`2 (1 - \frac1n \sum_k Tr \rho_k^2)`.

    With r_k the Bloch vector of qubit k that is 1 minus the mean of its squared length.

    Source: Brennen, arXiv quant-ph/0305094, of the measure of Meyer and Wallach.

    Args:
        states: Amplitudes (n_states, 2**n_qubits), each state of norm 1.

    Returns:
        Numbers (n_states,) in [0, 1].

    Example:
        >>> meyer_wallach(np.array([[1, 0, 0, 1]]) / np.sqrt(2)).round(4)
        array([1.])
    """
    lengths = (bloch_vectors(states).astype(np.float64) ** 2).sum(-1)
    return np.clip(1 - lengths.mean(1), 0, 1)


@dataclass(frozen=True)
class _Measured(Rewritten):
    """A circuit that measures other observables."""

    circuit: VariationalCircuit
    words: tuple[str, ...]

    @property
    def n_observables(self) -> int:
        return len(self.words)

    def __call__(self, inputs: TensorLike, weights: TensorLike) -> list:
        _apply(self.circuit, inputs, weights)
        return expectations(self.words, self.n_qubits)


@dataclass(frozen=True)
class _Prepared(Rewritten):
    """A circuit whose result is its state."""

    circuit: VariationalCircuit

    @property
    def n_observables(self) -> int:
        return 1 << self.n_qubits

    def __call__(self, inputs: TensorLike, weights: TensorLike) -> StateMP:
        _apply(self.circuit, inputs, weights)
        return qml.state()


def _apply(
    circuit: VariationalCircuit, inputs: TensorLike, weights: TensorLike
) -> None:
    """Queues the circuit's operations without its measurements."""
    tape = qml.tape.make_qscript(circuit)(inputs, weights)
    for operation in tape.operations:
        qml.apply(operation)


@functools.lru_cache(maxsize=32)
def _slopes_of(circuit: _Measured, device: DeviceConfig | None) -> Batched:
    """(features, weights (n, ...)) -> gradients (n, n_words, ...)."""
    slopes = jax.jacrev(as_jax_function(circuit, device), argnums=1)
    return jax.jit(jax.vmap(slopes, (None, 0)))


@functools.lru_cache(maxsize=32)
def _states_of(circuit: _Prepared, device: DeviceConfig | None) -> Batched:
    """(features, weights (n, ...)) -> states (n, 2**n_qubits)."""
    return jax.jit(jax.vmap(as_jax_function(circuit, device), (None, 0)))


def _chunks(
    function: Batched, circuit: Rewritten, inputs: ArrayLike | None, draws: jax.Array
) -> Iterator[NDArray]:
    """What a function gives for the draws, as many at once as the constants allow.

    The last chunk is filled up, so that one program serves all.
    """
    features = _features(circuit, inputs)
    most = max(AMPLITUDES_AT_ONCE >> circuit.n_qubits, 1)
    size = min(most, SAMPLES_AT_ONCE, len(draws))
    for start in range(0, len(draws), size):
        part = draws[start : start + size]
        filled = jnp.concatenate([part, draws[: size - len(part)]])
        yield np.asarray(function(features, filled))[: len(part)]


def _draws(
    circuit: VariationalCircuit, n: int, angle_spread: float | None, key: jax.Array
) -> jax.Array:
    shape = (n, *circuit.weights_shape)
    if angle_spread is None:
        return jax.random.uniform(key, shape, maxval=2 * jnp.pi)
    check_range("angle_spread", angle_spread, 0)
    return angle_spread * jax.random.normal(key, shape)


def _features(circuit: Rewritten, inputs: ArrayLike | None) -> jax.Array:
    if inputs is None:
        return jnp.zeros(circuit.n_features)
    features = jnp.asarray(inputs, jnp.float32)
    check_shape("inputs", features.shape, (circuit.n_features,))
    if not jnp.isfinite(features).all():
        raise input_error("inputs", "be finite", "has a NaN or an infinity")
    return features


def _pair(estimate: Estimate) -> list[float]:
    return [estimate.value, estimate.standard_error]


def _mean(values: NDArray[np.float64]) -> Estimate:
    n = len(values)
    error = float(values.std(ddof=1)) / math.sqrt(n)
    return Estimate(float(values.mean()), error, n)
