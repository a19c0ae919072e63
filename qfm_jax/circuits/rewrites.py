"""Rewrites: from one circuit to another one with the same inputs and weights."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pennylane as qml
from pennylane.measurements import ExpectationMP
from pennylane.operation import Operator, StatePrepBase
from pennylane.queuing import QueuingManager
from pennylane.typing import TensorLike

from .._checks import input_error
from .circuit import VariationalCircuit
from .declaration import Start, Takes, start_of, takes_of


class Rewritten:
    """The sizes of a circuit that is made of another one: those of the other."""

    circuit: VariationalCircuit

    @property
    def n_qubits(self) -> int:
        """Number of qubits of the circuit."""
        return self.circuit.n_qubits

    @property
    def n_features(self) -> int:
        """Number of features of the circuit."""
        return self.circuit.n_features

    @property
    def takes(self) -> Takes:
        """What the circuit takes."""
        return takes_of(self.circuit)

    @property
    def weights_start(self) -> Start | None:
        """How the weights of the circuit start; None where it does not say."""
        return start_of(self.circuit)

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Shape of the circuit's weights, also of those that no gate uses any more."""
        return self.circuit.weights_shape

    @property
    def n_observables(self) -> int:
        """Number of expectation values of the circuit."""
        return self.circuit.n_observables


@dataclass(frozen=True)
class Separable(Rewritten):
    """A circuit without its gates on two or more wires, all else equal.

    What the circuit computes then follows from one qubit at a time, in time linear in
    the number of qubits: the control that tells what its entangling gates are good for.

    Templates, which have no matrix, and products of gates are decomposed first; any
    other operation on several wires, such as CNOT, CRZ, IsingXX or QubitUnitary, is a
    gate and left out as a whole, with the angles that it took. Preparations of a state
    (`StatePrep`, `AmplitudeEmbedding`, `BasisState`) stay: behind an amplitude
    embedding the qubits may be entangled by the features, and by these alone.

    Raises:
        InputError: For what is no variational circuit.

    Source: Bowles, Ahmed and Schuld, "Better than classical? The subtle art of
    benchmarking quantum machine learning models", arXiv 2403.07059.

    Example:
        >>> import numpy as np, pennylane as qml
        >>> from qfm_jax.circuits import AngleEmbedding, Circuit, RealAmplitudes
        >>> circuit = Separable(Circuit(AngleEmbedding(2), RealAmplitudes(2, 1)))
        >>> print(qml.draw(circuit, decimals=None)(np.zeros(2), np.zeros((2, 2))))
        0: ──RY──RY──RY─┤  <Z>
        1: ──RY──RY──RY─┤  <Z>
    """

    circuit: VariationalCircuit
    """The circuit whose entangling gates are left out."""

    def __post_init__(self) -> None:
        if not isinstance(self.circuit, VariationalCircuit):
            must = "be a circuit with the members of `VariationalCircuit`"
            raise input_error("circuit", must, f"is {self.circuit!r}")

    def __call__(self, inputs: TensorLike, weights: TensorLike) -> list[ExpectationMP]:
        """Applies what is left of the circuit and measures what it measures.

        Args:
            inputs: As the circuit takes them.
            weights: As the circuit takes them.

        Returns:
            n_observables expectation values in [-1, 1].

        Raises:
            InputError: As the circuit does.
        """
        tape = qml.tape.make_qscript(self.circuit)(inputs, weights)
        # Decompositions queue what they make, also what is then left out.
        with QueuingManager.stop_recording():
            kept = list(_without_entanglers(tape.operations))
        for operation in kept:
            QueuingManager.append(operation)
        for measurement in tape.measurements:
            QueuingManager.append(measurement)
        return tape.measurements


def _without_entanglers(operations: Sequence[Operator]) -> Iterator[Operator]:
    """Yields the operations on one wire and the preparations of states, in order."""
    for operation in operations:
        if len(operation.wires) <= 1 or isinstance(operation, StatePrepBase):
            yield operation
        elif _is_template(operation) and operation.has_decomposition:
            yield from _without_entanglers(operation.decomposition())


def _is_template(operation: Operator) -> bool:
    return not operation.has_matrix or isinstance(operation, qml.ops.Prod)
