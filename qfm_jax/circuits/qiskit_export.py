"""Circuits of this project as Qiskit's circuits and observables."""

from typing import Any, NamedTuple

import jax
import numpy as np
import pennylane as qml
from jax.typing import ArrayLike
from pennylane.measurements import ExpectationMP
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import (
    DiagonalGate,
    StatePreparation,
    UnitaryGate,
    get_standard_gate_name_mapping,
)
from qiskit.quantum_info import SparsePauliOp

from .._checks import check_shape, input_error
from .circuit import VariationalCircuit
from .qiskit_expressions import NotSymbolicError, arguments_of, symbolic
from .qiskit_gates import ARRAYS, QiskitGate, as_gates
from .rotations import as_rotations, prepare, turn_phases


class Traced(NamedTuple):
    """Stands in a gate for a value that JAX traces."""

    place: int
    """Which of the traced values."""


def to_qiskit(
    circuit: VariationalCircuit,
    inputs: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> QuantumCircuit:
    """Writes a circuit as Qiskit's QuantumCircuit, without measurements.

    Wire i becomes qubit i. It is the most significant bit of a basis state in PennyLane
    and the least in Qiskit: compare states by `reverse_bits()`. What is measured,
    `observables_of` tells.

    Left out, `inputs` and `weights` stay symbols: a ParameterVector `inputs` of
    n_features elements, and `weights`, those of the circuit flattened in C order. What
    no gate depends on is no parameter of the circuit. Gates that a matrix or a vector
    of amplitudes defines take numbers alone in Qiskit: give what they depend on.

    Args:
        circuit: Any circuit of that protocol.
        inputs: Numbers (n_features,) of one sample to put in.
        weights: Numbers of shape weights_shape to put in.

    Raises:
        InputError: For arrays of another shape, measurements within the circuit, and
            symbols that Qiskit's gates or expressions cannot hold.

    Example:
        >>> from qfm_jax.circuits import AngleEmbedding, Circuit, RealAmplitudes
        >>> circuit = Circuit(AngleEmbedding(2), RealAmplitudes(2, n_layers=1))
        >>> print(to_qiskit(circuit, weights=np.ones((2, 2))).draw(fold=-1))
             ┌───────────────┐┌───────┐     ┌───────┐
        q_0: ┤ Ry(inputs[0]) ├┤ Ry(1) ├──■──┤ Ry(1) ├
             ├───────────────┤├───────┤┌─┴─┐├───────┤
        q_1: ┤ Ry(inputs[1]) ├┤ Ry(1) ├┤ X ├┤ Ry(1) ├
             └───────────────┘└───────┘└───┘└───────┘
    """
    given = {"inputs": inputs, "weights": weights}
    shapes = {"inputs": (circuit.n_features,), "weights": circuit.weights_shape}
    numbers = {
        name: _numbers(name, array, shapes[name])
        for name, array in given.items()
        if array is not None
    }
    free = {name: shape for name, shape in shapes.items() if name not in numbers}
    built = QuantumCircuit(circuit.n_qubits)
    for gate in _resolved(circuit, numbers, free):
        append(built, gate)
    return built


def observables_of(circuit: VariationalCircuit) -> list[SparsePauliOp]:
    """Lists what a circuit measures, one operator for each of its expectations.

    Qiskit writes qubit 0 last: Z on wire 0 of three is IIZ.

    Raises:
        InputError: For anything but expectations of sums of Pauli words.

    Example:
        >>> from qfm_jax.circuits import AngleEmbedding, Circuit, RealAmplitudes
        >>> layers = RealAmplitudes(3, n_layers=1)
        >>> circuit = Circuit(AngleEmbedding(3), layers, ("ZII", "IXY"))
        >>> [operator.paulis.to_labels() for operator in observables_of(circuit)]
        [['IIZ'], ['YXI']]
    """
    found: list[SparsePauliOp] = []

    def measure(inputs: jax.Array, weights: jax.Array) -> None:
        tape = qml.tape.make_qscript(circuit)(inputs, weights)
        found.extend(_operator(m, circuit.n_qubits) for m in tape.measurements)

    # The gates are not computed, only written down.
    shapes = (circuit.n_features,), circuit.weights_shape
    jax.eval_shape(measure, *map(np.zeros, shapes))
    return found


def record(
    circuit: VariationalCircuit,
    inputs: ArrayLike,
    weights: ArrayLike,
    *,
    by_angles: bool = False,
) -> tuple[list[QiskitGate], list[jax.Array]]:
    """Lists the gates of a circuit, and apart from them the values that JAX traces.

    Args:
        circuit: Any circuit of that protocol.
        inputs: One sample (n_features,), numbers or traced.
        weights: Of shape weights_shape, numbers or traced.
        by_angles: Whether what is traced becomes angles of rotations, see
            `as_rotations`.

    Returns:
        Gates with a `Traced` in the place of each traced value; and these values.

    Example:
        >>> from qfm_jax.circuits import AngleEmbedding, Circuit, RealAmplitudes
        >>> circuit = Circuit(AngleEmbedding(2), RealAmplitudes(2, n_layers=1))
        >>> gates, traced = record(circuit, np.zeros(2), np.zeros((2, 2)))
        >>> [gate.name for gate in gates], traced
        (['ry', 'ry', 'ry', 'ry', 'cx', 'ry', 'ry'], [])
    """
    traced: list[jax.Array] = []

    def apart(value: Any) -> Any:
        if not isinstance(value, jax.core.Tracer):
            return value if np.ndim(value) else np.asarray(value).item()
        traced.append(value)
        return Traced(len(traced) - 1)

    tape = qml.tape.make_qscript(circuit)(inputs, weights)
    gates = list(as_gates(tape.operations))
    if by_angles:
        gates = [part for gate in gates for part in as_rotations(gate)]
    return [
        gate._replace(parameters=tuple(map(apart, gate.parameters))) for gate in gates
    ], traced


def append(built: QuantumCircuit, gate: QiskitGate) -> None:
    """Appends a gate to a circuit of Qiskit.

    Example:
        >>> built = QuantumCircuit(2)
        >>> append(built, QiskitGate("crx", (0.5,), (1, 0)))
        >>> built.data[0].operation.name, [q._index for q in built.data[0].qubits]
        ('crx', [1, 0])
    """
    if gate.name == "global_phase":
        built.global_phase += gate.parameters[0]
    elif gate.name in ARRAYS:
        array = np.asarray(gate.parameters[0], complex)
        # The last wire is the least significant bit of the array, as qubit 0 is.
        made = _FROM_ARRAY[gate.name](array)
        if gate.name == "diagonal" or (
            gate.name == "state_preparation" and not array.imag.any()
        ):
            made.definition = _rotations(gate.name, array)
        built.append(made, gate.wires[::-1])
    else:
        built.append(_STANDARD[gate.name].base_class(*gate.parameters), gate.wires)


_STANDARD = get_standard_gate_name_mapping()
_FROM_ARRAY = {
    "unitary": UnitaryGate,
    "diagonal": lambda entries: DiagonalGate(list(entries)),
    "state_preparation": StatePreparation,
}


def _rotations(name: str, array: np.ndarray) -> QuantumCircuit:
    """The rotations that JAX writes for traced arrays, so that noise stands alike."""
    n_qubits = int(np.log2(array.size))
    wires = range(n_qubits)[::-1]
    if name == "diagonal":
        gates = turn_phases(array, wires)
        built = QuantumCircuit(n_qubits, global_phase=np.angle(array).mean())
    else:
        gates, built = prepare(array.real, wires), QuantumCircuit(n_qubits)
    for gate in gates:
        append(built, gate)
    return built


def _numbers(name: str, array: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    numbers = np.asarray(array, float)
    check_shape(name, numbers.shape, shape, "One sample and one set at a time.")
    return numbers


def _resolved(
    circuit: VariationalCircuit,
    numbers: dict[str, np.ndarray],
    free: dict[str, tuple[int, ...]],
) -> list[QiskitGate]:
    """The gates, with a number or an expression in each place."""
    gates: list[QiskitGate] = []

    def values(*arrays: jax.Array) -> list[jax.Array]:
        arguments: dict[str, Any] = numbers | dict(zip(free, arrays, strict=True))
        gates[:], traced = record(circuit, **arguments)
        return traced

    with jax.enable_x64(True):
        traced = jax.make_jaxpr(values)(*map(np.zeros, free.values()))
        _check_arrays(gates, arguments_of(traced), list(free))
        try:
            found = symbolic(traced, [_symbols(*item) for item in free.items()])
        except NotSymbolicError as error:
            raise input_error(
                "circuit",
                "compute its angles by what Qiskit's ParameterExpression has",
                f"uses JAX's operation `{error}`",
                _bind(list(free)),
            ) from None

    def resolved(value: Any) -> Any:
        value = found[value.place] if isinstance(value, Traced) else np.asarray(value)
        return value if value.ndim else value.item()

    return [g._replace(parameters=tuple(map(resolved, g.parameters))) for g in gates]


def _check_arrays(
    gates: list[QiskitGate], depends_on: list[set[int]], free: list[str]
) -> None:
    """Raises where an array that defines a gate depends on symbols."""
    for gate in gates:
        if gate.name in ARRAYS and isinstance(gate.parameters[0], Traced):
            needs = [free[i] for i in sorted(depends_on[gate.parameters[0].place])]
            if needs:
                raise input_error(
                    "circuit",
                    f"depend on its {' and '.join(needs)} by angles of gates alone",
                    f"has a {gate.name} on wires {list(gate.wires)} that does, which "
                    "Qiskit has for numbers only",
                    _bind(needs),
                )


def _bind(names: list[str]) -> str:
    arguments = ", ".join(f"{name}=..." for name in names)
    return f"Give numbers: to_qiskit(circuit, {arguments})."


def _symbols(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """An array of the symbols name[0], name[1], ..."""
    size = int(np.prod(shape))
    symbols = np.empty(size, object)
    symbols[:] = list(ParameterVector(name, size))
    return symbols.reshape(shape)


def _operator(measurement: Any, n_qubits: int) -> SparsePauliOp:
    observable = getattr(measurement, "obs", None)
    sentence = getattr(observable, "pauli_rep", None)
    if not isinstance(measurement, ExpectationMP) or sentence is None:
        must = "end in expectation values of sums of Pauli words"
        raise input_error("circuit", must, f"ends in {measurement!r}")
    terms = [
        ("".join(word.values()), list(word.keys()), float(coefficient))
        for word, coefficient in sentence.items()
    ]
    return SparsePauliOp.from_sparse_list(terms, n_qubits)
