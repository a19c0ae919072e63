"""Circuits: inputs and weights -> operations and the expectation values they end in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pennylane.measurements import ExpectationMP
from pennylane.typing import TensorLike

from .._checks import check_one_of, input_error
from .embeddings import EMBEDDINGS, Embedding
from .hamiltonian import HamiltonianReuploading
from .layers import LAYERS, Layers
from .observables import expectations, local_words, pauli_words
from .pixel_reuploading import PixelReuploading
from .reuploading import DataReuploading


@runtime_checkable
class VariationalCircuit(Protocol):
    """What devices and models ask of a circuit; write your own with these members.

    Make it a frozen dataclass: equal circuits are then compiled once.
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


def build_circuit(
    embedding: str, layers: str, n_qubits: int, n_layers: int
) -> VariationalCircuit:
    """Builds a circuit from names, as the command line gives them.

    It measures Z on every wire; of layers that narrow down to some of them, such as a
    convolutional network or a tree, all words of one and two letters on those.

    Args:
        embedding: A name in `EMBEDDINGS`, or in `REUPLOADINGS`.
        layers: A name in `LAYERS`.
        n_qubits: Number of qubits, at least 1.
        n_layers: Number of layers, at least 1.

    Raises:
        InputError: For an unknown name (tells the nearest ones), a size below 1, or
            layers that a re-uploading circuit does not have.

    Example:
        >>> circuit = build_circuit("amplitude", "strongly-entangling", 4, n_layers=2)
        >>> circuit.n_features, circuit.weights_shape
        (16, (2, 4, 3))
        >>> build_circuit("hamiltonian", "unitary", 4, n_layers=2).weights_shape
        (2, 272)
    """
    check_one_of("embedding", embedding, [*EMBEDDINGS, *REUPLOADINGS])
    check_one_of("layers", layers, LAYERS)
    if embedding in REUPLOADINGS:
        build, its_layers = REUPLOADINGS[embedding]
        if layers != its_layers:
            must = f"be {its_layers!r} with the embedding {embedding!r}"
            raise input_error("layers", must, f"is {layers!r}")
        return build(n_qubits, n_layers)
    built = LAYERS[layers](n_qubits, n_layers)
    left = getattr(built, "wires_left", None)
    words = None if left is None else local_words(left, n_qubits)
    return Circuit(EMBEDDINGS[embedding](n_qubits), built, words)


REUPLOADINGS: dict[str, tuple[Callable[[int, int], VariationalCircuit], str]] = {
    "reuploading": (
        lambda n_qubits, n_layers: DataReuploading(n_qubits, n_layers, n_qubits),
        "strongly-entangling",
    ),
    "hamiltonian": (HamiltonianReuploading, "unitary"),
    "pixel-reuploading": (PixelReuploading.of_layers, "strongly-entangling"),
}
"""Circuits that take the features in again in each layer, by the names of embeddings:
called with n_qubits and n_layers; and the name of the layers between the uploads."""

ANGLES = frozenset({"angle", "zz", "reuploading"})
"""Embeddings, by name, whose features are angles and want to be bounded."""

PIXELS = frozenset({"pixel-reuploading"})
"""Embeddings, by name, that take each pixel as it is, and no frame around them."""
