"""A circuit whose Hamiltonian is the image: pixels as energies of the basis states."""

from dataclasses import dataclass

import numpy as np
import pennylane as qml
from pennylane.measurements import ExpectationMP
from pennylane.typing import TensorLike

from .._checks import check_at_least
from ._arguments import as_wires, check_broadcastable
from .declaration import Amplitudes
from .embeddings import AmplitudeEmbedding
from .observables import expectations, pauli_words
from .unitary import UnitaryLayers, exponential, known_unitary


@dataclass(frozen=True)
class HamiltonianReuploading:
    r"""Evolution under the features as energies, alternating with trained unitaries.

    The features :math:`x` come in as amplitudes first. Then each layer lets the state
    evolve, :math:`e^{-i H_l(x)}` with :math:`H_l(x) = \sum_j w_{lj} x_j |j\rangle
    \langle j|`, every feature with a trained scale :math:`w_{lj}` of its own, and
    applies a layer of `UnitaryLayers`. Each layer sees all features again, so that
    the expectations are no quadratic forms in them any more.

    The Hamiltonian is diagonal: the evolution is one multiplication by phases for a
    simulator, and some 2^n gates on hardware.

    Raises:
        InputError: For sizes below 1, or an observable that is no Pauli word.

    Source: embedding by a Hamiltonian of trained weights times data, arXiv 2407.14055,
    whose matrix has entries off the diagonal too; re-uploading: Perez-Salinas,
    Cervera-Lierta, Gil-Fuster and Latorre, arXiv 1907.02085.

    Example:
        >>> circuit = HamiltonianReuploading(n_qubits=4, n_layers=2, group_size=2)
        >>> circuit.n_features, circuit.weights_shape, circuit.n_observables
        (16, (2, 48), 4)
    """

    n_qubits: int
    """Number of qubits, at least 1."""
    n_layers: int
    """Number of layers, at least 1."""
    group_size: int = 5
    """Qubits of a trained unitary, see `UnitaryLayers`."""
    observables: tuple[str, ...] | None = None
    """Pauli words such as ("ZIII", "IZII"), letter i for wire i; by default every Z."""

    def __post_init__(self) -> None:
        check_at_least("n_qubits", self.n_qubits, 1)
        _ = self.layers  # checks its own fields
        pauli_words(self.observables, self.n_qubits)

    @property
    def layers(self) -> UnitaryLayers:
        """The trained unitaries."""
        return UnitaryLayers(self.n_qubits, self.n_layers, self.group_size)

    @property
    def n_features(self) -> int:
        """A feature for each basis state: 2**n_qubits."""
        return 2**self.n_qubits

    @property
    def takes(self) -> Amplitudes:
        """Real numbers of any size, not all zero."""
        return Amplitudes()

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """(n_layers, n_features + n_groups K^2): scales, then entries of matrices."""
        _, *block = self.layers.weights_shape
        return (self.n_layers, self.n_features + int(np.prod(block)))

    @property
    def n_observables(self) -> int:
        """Number of expectation values."""
        return len(pauli_words(self.observables, self.n_qubits))

    def __call__(self, inputs: TensorLike, weights: TensorLike) -> list[ExpectationMP]:
        """Applies the circuit to wires 0, 1, ... and measures it.

        Args:
            inputs: Real numbers, (n_features,) or (batch, n_features).
            weights: Radians a unit of the features, and radians, weights_shape or
                (batch, *weights_shape).

        Returns:
            n_observables expectation values in [-1, 1].

        Raises:
            InputError: For inputs or weights of another shape, or a sample of zeros.
        """
        check_broadcastable("inputs", inputs, (self.n_features,))
        check_broadcastable("weights", weights, self.weights_shape)
        wires = as_wires(None, self.n_qubits)
        scales = weights[..., : self.n_features]  # (..., n_layers, n_features)
        entries = weights[..., self.n_features :]
        batch = qml.math.shape(entries)[:-2]
        shape = (*batch, *self.layers.weights_shape)
        unitaries = exponential(qml.math.reshape(entries, shape))
        AmplitudeEmbedding(self.n_qubits)(inputs, wires)
        for layer in range(self.n_layers):
            phases = qml.math.exp(-1j * (scales[..., layer, :] * inputs))
            known_unitary(qml.DiagonalQubitUnitary(phases, wires=wires))
            self.layers.apply_layer(layer, unitaries, wires)
        return expectations(self.observables, self.n_qubits)
