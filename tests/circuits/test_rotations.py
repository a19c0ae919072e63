import jax.numpy as jnp
import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator, Statevector

from qfm_jax.circuits.qiskit_export import append
from qfm_jax.circuits.rotations import multiplex, prepare, turn_phases

RNG = np.random.default_rng(71)


def built(n_qubits, gates):
    """Qiskit's circuit, whose matrix has wire 0 as the most significant bit."""
    circuit = QuantumCircuit(n_qubits)
    for gate in gates:
        append(circuit, gate._replace(parameters=tuple(map(float, gate.parameters))))
    return circuit.reverse_bits()


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("n_zeros", [0, 1, 5])
def test_amplitudes_are_prepared_with_their_signs(n, n_zeros):
    amplitudes = RNG.normal(size=2**n)
    amplitudes[max(1, 2**n - n_zeros) :] = 0
    amplitudes /= np.linalg.norm(amplitudes)
    state = Statevector(built(n, prepare(jnp.asarray(amplitudes), range(n))))
    np.testing.assert_allclose(state.data, amplitudes, atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_phases_are_turned(n):
    entries = np.exp(1j * RNG.uniform(-9, 9, 2**n))
    circuit = built(n, turn_phases(jnp.asarray(entries), range(n)))
    assert Operator(circuit).equiv(np.diag(entries), atol=1e-5)


@pytest.mark.parametrize("name", ["ry", "rz"])
def test_each_value_of_the_controls_has_its_own_angle(name):
    angles = RNG.normal(size=8)
    matrix = Operator(built(4, multiplex(name, jnp.asarray(angles), [0, 1, 2], 3))).data
    for j, angle in enumerate(angles):
        one = QuantumCircuit(1)
        getattr(one, name)(angle, 0)
        block = matrix[2 * j : 2 * j + 2, 2 * j : 2 * j + 2]
        np.testing.assert_allclose(block, Operator(one).data, atol=1e-6)
