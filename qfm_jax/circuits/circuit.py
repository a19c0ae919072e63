"""Circuits: inputs and weights -> operations and the expectation values they end in."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pennylane.measurements import ExpectationMP
from pennylane.typing import TensorLike

from .._checks import input_error
from .declaration import Start, Takes, start_of, takes_of
from .embeddings import Embedding
from .layers import Layers
from .observables import expectations, pauli_words


@runtime_checkable
class VariationalCircuit(Protocol):
    """What devices ask of a circuit; write your own with these members.

    Make it a frozen dataclass: equal circuits are then compiled once. A classifier of
    `ModelConfig` also asks for `takes`, such as `Angles()`, and `weights_start` says
    how the weights start, where that is not `Normal()` (see `declaration`).
    """

    @property
    def n_qubits(self) -> int:
        """Number of qubits; the wires are 0, 1, ..., n_qubits - 1."""

    @property
    def n_features(self) -> int:
        """Length of the last axis of `inputs`."""

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Shape of `weights`."""

    @property
    def n_observables(self) -> int:
        """Number of expectation values that a call returns."""

    def __call__(self, inputs: TensorLike, weights: TensorLike) -> list[ExpectationMP]:
        """Applies the operations; index `inputs[..., i]`, so that batches work."""


@dataclass(frozen=True)
class Circuit:
    """An embedding, then layers, then expectation values: a PennyLane quantum function.

    Raises:
        InputError: If embedding and layers differ in their number of qubits, or an
            observable is no Pauli word on that many.

    Example:
        >>> import numpy as np, pennylane as qml
        >>> from qfm_jax.circuits import AngleEmbedding, RealAmplitudes
        >>> circuit = Circuit(AngleEmbedding(3), RealAmplitudes(3, n_layers=1))
        >>> circuit.n_features, circuit.weights_shape, circuit.n_observables
        (3, (2, 3), 3)
        >>> inputs, weights = np.zeros(3), np.zeros(circuit.weights_shape)
        >>> print(qml.draw(circuit, decimals=None)(inputs, weights))
        0: ──RY──RY────╭●───RY─┤  <Z>
        1: ──RY──RY─╭●─╰X───RY─┤  <Z>
        2: ──RY──RY─╰X──RY─────┤  <Z>
        >>> qnode = qml.QNode(circuit, qml.device("default.qubit", wires=3))
        >>> [float(expectation) for expectation in qnode(inputs, weights)]
        [1.0, 1.0, 1.0]
    """

    embedding: Embedding
    """Takes the features in."""
    layers: Layers
    """Take the weights in."""
    observables: tuple[str, ...] | None = None
    """Pauli words such as ("ZIII", "IZII"), letter i for wire i; by default every Z."""

    def __post_init__(self) -> None:
        if self.layers.n_qubits != self.embedding.n_qubits:
            must = f"have the {self.embedding.n_qubits} qubits of the embedding"
            raise input_error("layers", must, f"has {self.layers.n_qubits}")
        pauli_words(self.observables, self.n_qubits)

    @property
    def n_qubits(self) -> int:
        """Number of qubits of embedding and layers."""
        return self.embedding.n_qubits

    @property
    def n_features(self) -> int:
        """Number of features that the embedding takes."""
        return self.embedding.n_features

    @property
    def takes(self) -> Takes:
        """What the embedding takes."""
        return takes_of(self.embedding)

    @property
    def weights_start(self) -> Start | None:
        """How the weights of the layers start; None where they do not say."""
        return start_of(self.layers)

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Shape of the weights that the layers take."""
        return self.layers.weights_shape

    @property
    def n_observables(self) -> int:
        """Number of expectation values."""
        return len(pauli_words(self.observables, self.n_qubits))

    def __call__(self, inputs: TensorLike, weights: TensorLike) -> list[ExpectationMP]:
        """Applies the circuit to wires 0, 1, ... and measures it.

        Args:
            inputs: The embedding's features, (n_features,) or (batch, n_features).
            weights: Angles in radians, weights_shape or (batch, *weights_shape).

        Returns:
            n_observables expectation values in [-1, 1].

        Raises:
            InputError: For inputs or weights of another shape.
        """
        self.embedding(inputs)
        self.layers(weights)
        return expectations(self.observables, self.n_qubits)
