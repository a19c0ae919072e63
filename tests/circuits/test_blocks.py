import numpy as np
import pennylane as qml
import pytest
from qiskit.synthesis import OneQubitEulerDecomposer, TwoQubitWeylDecomposition
from scipy.linalg import expm
from scipy.stats import unitary_group

from qfm_jax.circuits.blocks import BLOCKS, POOLING, ROTATION

RNG = np.random.default_rng(23)
X, Z = np.array([[0, 1], [1, 0]]), np.diag([1, -1])
Y = 1j * X @ Z


def unitary(block, angles, n_wires=2):
    return qml.matrix(block.apply, wire_order=range(n_wires))(angles, range(n_wires))


def turn(pauli, angle):
    return expm(-0.5j * angle * pauli)


def rotation(angles):
    phi, theta, omega = angles
    return turn(Z, omega) @ turn(Y, theta) @ turn(Z, phi)


def test_the_su4_block_is_the_product_of_its_formula():
    w = RNG.uniform(-4, 4, 15)
    expected = np.kron(rotation(w[:3]), rotation(w[3:6]))
    for pauli, angle in zip([X, Y, Z], w[6:9], strict=True):
        expected = turn(np.kron(pauli, pauli), angle) @ expected
    expected = np.kron(rotation(w[9:12]), rotation(w[12:])) @ expected
    np.testing.assert_allclose(unitary(BLOCKS["su4"], w), expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_su4_block_reaches_any_unitary_up_to_a_phase(seed):
    goal = unitary_group.rvs(4, random_state=seed)
    weyl = TwoQubitWeylDecomposition(goal)
    euler = OneQubitEulerDecomposer("ZYZ")

    def angles_of(matrix):
        theta, phi, lam = euler.angles(matrix)
        return [lam, theta, phi]

    angles = [*angles_of(weyl.K2l), *angles_of(weyl.K2r)]
    angles += [-2 * weyl.a, -2 * weyl.b, -2 * weyl.c]
    angles += [*angles_of(weyl.K1l), *angles_of(weyl.K1r)]
    actual = unitary(BLOCKS["su4"], np.array(angles))
    overlap = np.trace(goal.conj().T @ actual) / 4
    assert abs(overlap) == pytest.approx(1, abs=1e-10)


def test_the_real_block_is_two_rotations_and_a_cnot():
    first, second = RNG.uniform(-4, 4, 2)
    cnot = np.eye(4)[[0, 1, 3, 2]]
    expected = cnot @ np.kron(turn(Y, first), turn(Y, second))
    actual = unitary(BLOCKS["real"], np.array([first, second]))
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_pooling_turns_the_second_wire_as_the_first_one_says():
    one, zero = RNG.uniform(-4, 4, 2)
    expected = np.zeros((4, 4), complex)
    expected[:2, :2], expected[2:, 2:] = turn(X, zero), turn(Z, one)
    actual = unitary(POOLING, np.array([one, zero]))
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_a_rotation_is_general():
    angles = RNG.uniform(-4, 4, 3)
    actual = unitary(ROTATION, angles, n_wires=1)
    np.testing.assert_allclose(actual, rotation(angles), atol=1e-12)


@pytest.mark.parametrize("block", [*BLOCKS.values(), POOLING])
def test_a_batch_of_angles_is_applied_sample_by_sample(block):
    angles = RNG.uniform(-4, 4, (3, block.n_angles))
    expected = np.stack([unitary(block, sample) for sample in angles])
    np.testing.assert_allclose(unitary(block, angles), expected, atol=1e-12)
