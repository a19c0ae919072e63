"""Pauli gates moved through every gate, against products of matrices."""

import itertools

import numpy as np
import pennylane as qml
import pytest

from qfm_jax.circuits.qiskit_gates import PENNYLANE, QiskitGate
from qfm_jax.hardware.noise import ONE_QUBIT_GATES, TWO_QUBIT_GATES, VIRTUAL_GATES
from qfm_jax.hardware.pauli_frame import PauliFrame

WIRES = (2, 0)  # of three, in neither order
GATES = [
    *(name for name in (*VIRTUAL_GATES, *ONE_QUBIT_GATES) if name != "id"),
    *TWO_QUBIT_GATES,
]


def matrix(operations):
    return qml.matrix(qml.tape.QuantumScript(operations), wire_order=range(3))


def paulis(signs_x, signs_z):
    """X^x Z^z on each wire: Z acts first."""
    zs = [qml.Z(wire) for wire, sign in enumerate(signs_z) if sign < 0]
    xs = [qml.X(wire) for wire, sign in enumerate(signs_x) if sign < 0]
    return [qml.Identity(0), *zs, *xs]


@pytest.mark.parametrize("name", GATES)
def test_a_gate_passes_every_frame(name):
    n_wires = 2 if name in TWO_QUBIT_GATES else 1
    n_angles = PENNYLANE[name].num_params if isinstance(PENNYLANE[name], type) else 0
    angles = tuple(np.linspace(0.4, 1.7, n_angles))
    gate = QiskitGate(name, angles, WIRES[:n_wires])
    for bits in itertools.product((1, -1), repeat=4):
        signs_x, signs_z = np.ones(3), np.ones(3)
        signs_x[list(WIRES)], signs_z[list(WIRES)] = bits[:2], bits[2:]
        frame = PauliFrame(3)
        for wire in range(3):
            frame.multiply(wire, signs_x[wire], signs_z[wire])
        with qml.queuing.AnnotatedQueue() as queue:
            frame.apply_through(gate)
            frame.apply()
        found = matrix(qml.tape.QuantumScript.from_queue(queue).operations)
        own = PENNYLANE[name](*angles, wires=gate.wires)
        wanted = matrix([*paulis(signs_x, signs_z), own])
        # Equal but for a global phase.
        assert np.isclose(abs(np.trace(found.conj().T @ wanted)), 8)
