"""Data re-uploading: the features enter again in every layer."""

from dataclasses import dataclass

from pennylane.measurements import ExpectationMP
from pennylane.typing import TensorLike

from .._checks import check_at_least, input_error
from ._arguments import as_wires, check_broadcastable
from .declaration import Angles
from .embeddings import AngleEmbedding
from .layers import StronglyEntanglingLayers
from .observables import expectations, pauli_words


@dataclass(frozen=True)
class DataReuploading:
    r"""In every layer, features as angles and then one strongly entangling layer.

    :math:`U(x, w) = L_{D-1}(w) A(x^{(D-1)}) \cdots L_0(w) A(x^{(0)})`. The features go
    around the qubits in a cycle: in layer :math:`l` qubit :math:`i` takes feature
    :math:`(l n + i) \bmod m`, with :math:`n` qubits and :math:`m` features. More
    features than qubits thus spread over the layers, fewer repeat within one. An
    expectation value is a Fourier series in each feature, of a degree at most the
    number of its uploads.

    A qubit takes one feature a layer here, three in the source, where a CZ or nothing
    follows; here the CNOTs of `StronglyEntanglingLayers` do.

    Raises:
        InputError: For sizes below 1, more features than n_qubits * n_layers (some
            would never enter), an unknown rotation, or an observable that is no Pauli
            word.

    Source: Perez-Salinas, Cervera-Lierta, Gil-Fuster and Latorre, arXiv 1907.02085;
    the Fourier series: Schuld, Sweke and Meyer, arXiv 2008.08605.

    Example:
        >>> import numpy as np, pennylane as qml
        >>> circuit = DataReuploading(n_qubits=2, n_layers=2, n_features=3)
        >>> inputs, weights = np.array([0.1, 0.2, 0.3]), np.zeros((2, 2, 3))
        >>> print(qml.draw(circuit, decimals=1)(inputs, weights))
        0: ──RY(0.1)──Rot(0.0,0.0,0.0)─╭●─╭X──RY(0.3)──Rot(0.0,0.0,0.0)─╭●─╭X─┤  <Z>
        1: ──RY(0.2)──Rot(0.0,0.0,0.0)─╰X─╰●──RY(0.1)──Rot(0.0,0.0,0.0)─╰X─╰●─┤  <Z>
    """

    n_qubits: int
    """Number of qubits, at least 1."""
    n_layers: int
    """Number of layers, at least 1."""
    n_features: int
    """Number of features, 1 to n_qubits * n_layers."""
    rotation: str = "Y"
    """Axis of the embedding's rotations, see `AngleEmbedding`."""
    observables: tuple[str, ...] | None = None
    """Pauli words such as ("ZIII", "IZII"), letter i for wire i; by default every Z."""

    def __post_init__(self) -> None:
        _ = self.embedding, self.layers  # they check their own fields
        check_at_least("n_features", self.n_features, 1)
        n_uploads = self.n_qubits * self.n_layers
        if self.n_features > n_uploads:
            must = f"be at most n_qubits * n_layers = {n_uploads}"
            cure = "Take more layers or fewer features."
            raise input_error("n_features", must, f"is {self.n_features}", cure)
        pauli_words(self.observables, self.n_qubits)

    @property
    def embedding(self) -> AngleEmbedding:
        """Takes n_qubits of the features in, once a layer."""
        return AngleEmbedding(self.n_qubits, self.rotation)

    @property
    def layers(self) -> StronglyEntanglingLayers:
        """Take the weights in."""
        return StronglyEntanglingLayers(self.n_qubits, self.n_layers)

    @property
    def takes(self) -> Angles:
        """Angles; their frequency is the largest number of uploads of a feature."""
        n_uploads = self.n_layers * self.n_qubits
        return Angles(frequency=-(-n_uploads // self.n_features))

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """(n_layers, n_qubits, 3)."""
        return self.layers.weights_shape

    @property
    def n_observables(self) -> int:
        """Number of expectation values."""
        return len(pauli_words(self.observables, self.n_qubits))

    def __call__(self, inputs: TensorLike, weights: TensorLike) -> list[ExpectationMP]:
        """Applies the circuit to wires 0, 1, ... and measures it.

        Args:
            inputs: Angles in radians, (n_features,) or (batch, n_features).
            weights: Angles in radians, weights_shape or (batch, *weights_shape).

        Returns:
            n_observables expectation values in [-1, 1].

        Raises:
            InputError: For inputs or weights of another shape.
        """
        check_broadcastable("inputs", inputs, (self.n_features,))
        check_broadcastable("weights", weights, self.weights_shape)
        wires = as_wires(None, self.n_qubits)
        for layer in range(self.n_layers):
            self.embedding(inputs[..., self._features_of(layer)], wires)
            self.layers.apply_layer(layer, weights, wires)
        return expectations(self.observables, self.n_qubits)

    def _features_of(self, layer: int) -> list[int]:
        """Lists the feature that each qubit takes in `layer`."""
        first = layer * self.n_qubits
        return [(first + i) % self.n_features for i in range(self.n_qubits)]
