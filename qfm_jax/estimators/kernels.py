"""Quantum kernels: how alike two samples are once a circuit has embedded them.

A kernel is called as scikit-learn calls one: `SVC(kernel=FidelityKernel(embedding))`.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.measurements import StateMP

from .._checks import check_range, check_shape, input_error
from ..circuits import Embedding
from ..devices import DeviceConfig, as_jax_function, in_chunks

STATES_AT_ONCE = 512
"""Samples that are embedded at once; does not change the result."""


@dataclasses.dataclass(frozen=True)
class FidelityKernel:
    r"""The fidelity of two embedded samples, :math:`|\langle\phi(a)|\phi(b)\rangle|^2`.

    Source: Havlicek et al., "Supervised learning with quantum-enhanced feature spaces",
    arXiv 1804.11326.

    Example:
        >>> from qfm_jax.circuits import AngleEmbedding
        >>> kernel = FidelityKernel(AngleEmbedding(2))
        >>> a = np.array([[0.0, 0.0], [np.pi, 0.0]], np.float32)
        >>> kernel(a, a).round(5)
        array([[1., 0.],
               [0., 1.]], dtype=float32)
    """

    embedding: Embedding
    """Takes the features in."""
    device: DeviceConfig | None = None
    """Where it runs: a device that gives states; qfm.statevector where left out."""

    def __call__(
        self, a: NDArray[np.floating], b: NDArray[np.floating] | None = None
    ) -> NDArray[np.float32]:
        """The Gram matrix (n_a, n_b), values in [0, 1].

        Args:
            a: Features (n_a, n_features).
            b: Features (n_b, n_features); `a` where left out.

        Raises:
            InputError: For features of another shape, or that are not finite.
        """
        left = embedded_states(self.embedding, a, self.device)
        right = left
        if b is not None and b is not a:
            right = embedded_states(self.embedding, b, self.device)
        overlaps = left @ right.conj().T
        return (overlaps.real**2 + overlaps.imag**2).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class ProjectedKernel:
    r"""A Gaussian of the distance of the single qubits' states.

    :math:`\exp(-\gamma \sum_k \sum_{P = X, Y, Z} (\langle P_k \rangle_a -
    \langle P_k \rangle_b)^2)`: of the embedded states it sees one qubit at a time.

    Raises:
        InputError: For a negative `gamma`.

    Source: Huang et al., "Power of data in quantum machine learning",
    arXiv 2011.01938, up to a factor 2 in gamma.

    Example:
        >>> from qfm_jax.circuits import AngleEmbedding
        >>> kernel = ProjectedKernel(AngleEmbedding(2), gamma=0.25)
        >>> a = np.array([[0.0, 0.0], [np.pi, 0.0]], np.float32)
        >>> kernel(a, a).round(3)  # exp(-0.25 * 2^2)
        array([[1.   , 0.368],
               [0.368, 1.   ]], dtype=float32)
    """

    embedding: Embedding
    """Takes the features in."""
    gamma: float = 1.0
    """How fast it falls off, at least 0."""
    device: DeviceConfig | None = None
    """Where it runs: a device that gives states; qfm.statevector where left out."""

    def __post_init__(self) -> None:
        check_range("gamma", self.gamma, 0)

    def __call__(
        self, a: NDArray[np.floating], b: NDArray[np.floating] | None = None
    ) -> NDArray[np.float32]:
        """The Gram matrix (n_a, n_b), values in (0, 1].

        Args:
            a: Features (n_a, n_features).
            b: Features (n_b, n_features); `a` where left out.

        Raises:
            InputError: For features of another shape, or that are not finite.
        """
        left = self._coordinates(a)
        right = left if b is None or b is a else self._coordinates(b)
        squares = (left**2).sum(1)[:, None] + (right**2).sum(1) - 2 * left @ right.T
        return np.exp(-self.gamma * np.maximum(squares, 0)).astype(np.float32)

    def _coordinates(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        states = embedded_states(self.embedding, features, self.device)
        width = 3 * self.embedding.n_qubits
        return bloch_vectors(states).reshape(len(states), width)


def embedded_states(
    embedding: Embedding,
    features: NDArray[np.floating],
    device: DeviceConfig | None = None,
) -> NDArray[np.complex64]:
    """The state of each sample, (n, 2**n_qubits); wire 0 is the most significant bit.

    Args:
        embedding: Takes the features in.
        features: (n, n_features), also of no sample.
        device: A device that gives states; qfm.statevector where left out.

    Raises:
        InputError: For features of another shape, or that are not finite.

    Example:
        >>> from qfm_jax.circuits import AngleEmbedding
        >>> embedded_states(AngleEmbedding(2), np.zeros((1, 2)))
        array([[1.+0.j, 0.+0.j, 0.+0.j, 0.+0.j]], dtype=complex64)
    """
    features = np.asarray(features, np.float32)
    check_shape("features", features.shape, ("n", embedding.n_features))
    if not np.isfinite(features).all():
        raise input_error("features", "be finite", "has a NaN or an infinity")
    if not len(features):  # nothing to run
        return np.zeros((0, 2**embedding.n_qubits), np.complex64)
    run = _states_of(_Preparation(embedding), device)
    size = min(STATES_AT_ONCE, len(features))
    return in_chunks(run, features, size).astype(np.complex64, copy=False)


@functools.lru_cache(maxsize=32)
def _states_of(
    circuit: "_Preparation", device: DeviceConfig | None
) -> Callable[[jax.Array], jax.Array]:
    """The compiled function from samples to states; a kernel is called many times."""
    function = as_jax_function(circuit, device)
    nothing = jnp.zeros(0)
    return jax.jit(jax.vmap(lambda sample: function(sample, nothing)))


def bloch_vectors(states: NDArray[np.complex64]) -> NDArray[np.float32]:
    """<X>, <Y> and <Z> of every qubit, shape (n, n_qubits, 3), of states (n, 2^n).

    Example:
        >>> bloch_vectors(np.array([[1, 0, 0, 1j]], np.complex64) / np.sqrt(2))
        array([[[0., 0., 0.],
                [0., 0., 0.]]], dtype=float32)
    """
    n, size = states.shape
    found = []
    for qubit in range(size.bit_length() - 1):
        split = states.reshape(n, 1 << qubit, 2, size >> (qubit + 1))
        zero, one = split[:, :, 0], split[:, :, 1]
        cross = (zero.conj() * one).sum((1, 2))
        z = (abs(zero) ** 2 - abs(one) ** 2).sum((1, 2))
        found.append(np.stack([2 * cross.real, 2 * cross.imag, z], axis=-1))
    return np.stack(found, axis=1).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class _Preparation:
    """An embedding as a circuit without weights, whose result is its state."""

    embedding: Embedding

    weights_shape = (0,)

    @property
    def n_qubits(self) -> int:
        return self.embedding.n_qubits

    @property
    def n_features(self) -> int:
        return self.embedding.n_features

    @property
    def n_observables(self) -> int:
        return 2**self.n_qubits

    def __call__(self, inputs: jax.Array, weights: jax.Array) -> StateMP:
        del weights
        self.embedding(inputs)
        return qml.state()
