"""PennyLane operations as gates by Qiskit's names, on the same wires.

Angles and the order of control and target are the same on both sides for every name
here. The order of bits is not: wire 0 is the most significant bit in PennyLane, qubit 0
the least in Qiskit, so that the matrix of several wires belongs to the reversed qubits.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from pennylane.operation import Operator, StatePrepBase

from .._checks import input_error


class QiskitGate(NamedTuple):
    """One gate of a circuit, or one of the preparations and matrices below."""

    name: str
    """Qiskit's name, such as `rx`; or one of `ARRAYS`, or `global_phase`."""
    parameters: tuple[Any, ...]
    """Angles in radians, numbers or traced; for `ARRAYS` one array."""
    wires: tuple[int, ...]
    """Wires, controls first, the most significant bit first."""


ARRAYS = ("unitary", "diagonal", "state_preparation")
"""Gates that an array defines: a matrix, the diagonal of one, or amplitudes."""

PENNYLANE: dict[str, Callable[..., Operator]] = {
    "x": qml.X,
    "y": qml.Y,
    "z": qml.Z,
    "h": qml.Hadamard,
    "s": qml.S,
    "sdg": lambda wires: qml.adjoint(qml.S(wires)),
    "t": qml.T,
    "tdg": lambda wires: qml.adjoint(qml.T(wires)),
    "sx": qml.SX,
    "sxdg": lambda wires: qml.adjoint(qml.SX(wires)),
    "rx": qml.RX,
    "ry": qml.RY,
    "rz": qml.RZ,
    "p": qml.PhaseShift,
    "u": qml.U3,
    "cx": qml.CNOT,
    "cy": qml.CY,
    "cz": qml.CZ,
    "ch": qml.CH,
    "crx": qml.CRX,
    "cry": qml.CRY,
    "crz": qml.CRZ,
    "cp": qml.ControlledPhaseShift,
    "swap": qml.SWAP,
    "iswap": qml.ISWAP,
    "ecr": qml.ECR,
    "rxx": qml.IsingXX,
    "ryy": qml.IsingYY,
    "rzz": qml.IsingZZ,
    "ccx": qml.Toffoli,
    "ccz": qml.CCZ,
    "cswap": qml.CSWAP,
}
"""PennyLane's operation, called with angles and `wires`, of each of Qiskit's names."""

QISKIT = {
    "PauliX": "x",
    "PauliY": "y",
    "PauliZ": "z",
    "Adjoint(S)": "sdg",
    "Adjoint(T)": "tdg",
    "Adjoint(SX)": "sxdg",
    "U1": "p",
} | {
    operation.__name__: name
    for name, operation in PENNYLANE.items()
    if isinstance(operation, type)
}
"""Qiskit's name of each of PennyLane's."""

_NOTHING = (qml.Identity, qml.Barrier, qml.Snapshot, qml.WireCut)
_NO_UNITARY = (qml.ops.MidMeasure, qml.ops.Conditional)


def as_gates(operations: Iterable[Operator]) -> Iterator[QiskitGate]:
    """Yields the gates of the operations in order, decomposed as far as needed.

    Args:
        operations: PennyLane operations on wires 0, 1, ...; angles may be traced.

    Raises:
        InputError: For what is no unitary and no preparation of a state.

    Example:
        >>> for gate in as_gates([qml.Rot(0.1, 0.2, 0.3, wires=1), qml.CNOT([1, 0])]):
        ...     print(gate)
        QiskitGate(name='rz', parameters=(0.1,), wires=(1,))
        QiskitGate(name='ry', parameters=(0.2,), wires=(1,))
        QiskitGate(name='rz', parameters=(0.3,), wires=(1,))
        QiskitGate(name='cx', parameters=(), wires=(1, 0))
    """
    for operation in operations:
        wires = tuple(operation.wires)
        if operation.name in QISKIT:
            yield QiskitGate(QISKIT[operation.name], tuple(operation.data), wires)
        elif isinstance(operation, _NOTHING):
            continue
        elif isinstance(operation, qml.GlobalPhase):
            yield QiskitGate("global_phase", (-operation.data[0],), ())
        elif isinstance(operation, _NO_UNITARY):
            raise _no_gate(operation)
        elif isinstance(operation, StatePrepBase):
            yield from _preparation(operation, wires)
        elif isinstance(operation, qml.QubitUnitary):
            yield QiskitGate("unitary", (operation.data[0],), wires)
        elif isinstance(operation, qml.DiagonalQubitUnitary):
            yield QiskitGate("diagonal", (operation.data[0],), wires)
        elif _has_open_control(operation):
            yield from as_gates(_closed(operation))
        elif _is_controlled_rotation(operation):
            yield from as_gates(_halves(operation))
        elif operation.has_decomposition:
            yield from as_gates(operation.decomposition())
        elif operation.has_matrix:
            yield QiskitGate("unitary", (operation.matrix(),), wires)
        else:
            raise _no_gate(operation)


def _preparation(
    operation: StatePrepBase, wires: tuple[int, ...]
) -> Iterator[QiskitGate]:
    if isinstance(operation, qml.BasisState) and not _is_abstract(operation):
        bits = np.asarray(operation.data[0])
        ones = [wire for wire, bit in zip(wires, bits, strict=True) if bit]
        yield from (QiskitGate("x", (), (wire,)) for wire in ones)
    else:
        amplitudes = qml.math.reshape(operation.state_vector(wire_order=wires), (-1,))
        yield QiskitGate("state_preparation", (amplitudes,), wires)


def _is_abstract(operation: Operator) -> bool:
    return any(qml.math.is_abstract(parameter) for parameter in operation.data)


def _has_open_control(operation: Operator) -> bool:
    is_controlled = isinstance(operation, qml.ops.Controlled)
    return is_controlled and not all(operation.control_values)


def _closed(operation: qml.ops.Controlled) -> list[Operator]:
    """The same gate between NOTs on each control that acts where its wire is 0."""
    controls = operation.control_wires
    pairs = zip(controls, operation.control_values, strict=True)
    flips: list[Operator] = [qml.X(wire) for wire, value in pairs if not value]
    return [*flips, qml.ctrl(operation.base, controls), *flips]


def _is_controlled_rotation(operation: Operator) -> bool:
    is_controlled = isinstance(operation, qml.ops.Controlled)
    return is_controlled and operation.base.name in ("RX", "RY", "RZ", "Rot")


def _halves(operation: qml.ops.Controlled) -> list[Operator]:
    """A rotation with several controls by ones without; PennyLane makes matrices of it.

    Half of the turn, and another half that NOTs turn around where a control is 0.
    """
    base, controls = operation.base, operation.control_wires
    if base.name == "Rot":
        return [qml.ctrl(part, controls) for part in base.decomposition()]
    if base.name == "RX":
        turn = qml.ctrl(qml.RZ(base.data[0], base.wires), controls)
        return [qml.Hadamard(base.wires), turn, qml.Hadamard(base.wires)]
    half, rotate = base.data[0] / 2, type(base)
    flip = qml.ctrl(qml.X(base.wires), controls)
    return [rotate(half, base.wires), flip, rotate(-half, base.wires), flip]


def _no_gate(operation: Operator) -> Exception:
    return input_error(
        "circuit",
        "consist of unitary gates and preparations of a state",
        f"has {operation.name} on wires {list(operation.wires)}",
        "Leave it out: measurements come after the last gate here.",
    )
