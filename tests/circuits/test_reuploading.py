import numpy as np
import pennylane as qml
import pytest

from qfm_jax._checks import InputError
from qfm_jax.circuits import DataReuploading

RNG = np.random.default_rng(17)


def rotation_y(angle):
    c, s = np.cos(angle / 2), np.sin(angle / 2)
    return np.array([[c, -s], [s, c]])


def rotation_z(angle):
    return np.diag(np.exp([-0.5j * angle, 0.5j * angle]))


def on_each_qubit(matrices):
    result = np.eye(1)
    for matrix in matrices:
        result = np.kron(result, matrix)
    return result


def cnot(control, target, n_qubits):
    """Permutation matrix; qubit 0 is the most significant bit."""
    index = np.arange(2**n_qubits)
    bit = index >> (n_qubits - 1 - control) & 1
    return np.eye(2**n_qubits)[index ^ bit << (n_qubits - 1 - target)]


def dense_expectations(n_qubits, n_layers, features, weights):
    """<Z_i> by dense matrices, written from the formula and from nothing else."""
    state = np.eye(2**n_qubits)[0]
    uploads = iter(np.tile(features, n_qubits * n_layers))
    for layer in range(n_layers):
        angles = [next(uploads) for _ in range(n_qubits)]
        state = on_each_qubit(map(rotation_y, angles)) @ state
        rotations = [
            rotation_z(omega) @ rotation_y(theta) @ rotation_z(phi)
            for phi, theta, omega in weights[layer]
        ]
        state = on_each_qubit(rotations) @ state
        distance = layer % (n_qubits - 1) + 1
        for i in range(n_qubits):
            state = cnot(i, (i + distance) % n_qubits, n_qubits) @ state
    signs = 1 - 2 * (np.arange(2**n_qubits)[:, None] >> np.arange(n_qubits)[::-1] & 1)
    return np.abs(state) ** 2 @ signs


def expectations(circuit, inputs, weights):
    qnode = qml.QNode(circuit, qml.device("default.qubit", wires=circuit.n_qubits))
    return np.stack(qnode(inputs, weights))


@pytest.mark.parametrize("n_features", [1, 2, 3, 4, 7, 12])
@pytest.mark.parametrize(("n_qubits", "n_layers"), [(3, 4), (4, 3)])
def test_expectations_are_those_of_dense_matrices(n_qubits, n_layers, n_features):
    circuit = DataReuploading(n_qubits, n_layers, n_features)
    features = RNG.uniform(-3, 3, n_features)
    weights = RNG.uniform(-3, 3, circuit.weights_shape)
    expected = dense_expectations(n_qubits, n_layers, features, weights)
    actual = expectations(circuit, features, weights)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


@pytest.mark.parametrize("rotation", ["X", "Y", "Z"])
def test_the_degree_of_the_fourier_series_is_the_number_of_uploads(rotation):
    circuit = DataReuploading(3, 2, n_features=3, rotation=rotation)  # 2 uploads each
    inputs = RNG.uniform(-3, 3, 3) * np.ones((16, 1))
    inputs[:, 1] = 2 * np.pi * np.arange(16) / 16
    weights = RNG.uniform(-3, 3, circuit.weights_shape)
    series = abs(np.fft.rfft(expectations(circuit, inputs, weights), axis=-1)) / 16
    assert series[:, 2].max() > 1e-3
    np.testing.assert_allclose(series[:, 3:], 0, atol=1e-12)


def test_one_qubit_needs_no_entangler():
    circuit = DataReuploading(n_qubits=1, n_layers=3, n_features=1)
    weights = np.zeros(circuit.weights_shape)
    actual = expectations(circuit, np.array([0.4]), weights)
    np.testing.assert_allclose(actual, [np.cos(3 * 0.4)], atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 2, 1), "`n_qubits` must be a whole number of at least 1, but is 0"),
        ((3, 0, 1), "`n_layers` must be a whole number of at least 1, but is 0"),
        ((3, 2, 0), "`n_features` must be a whole number of at least 1, but is 0"),
        ((3, 2, 7), r"at most n_qubits \* n_layers = 6, but is 7. Take more layers"),
        ((3, 2, 3, "H"), "`rotation` must be one of X, Y, Z, but is 'H'"),
        ((3, 2, 3, "X", ("ZZ",)), "Pauli words of 3 letters .* holds 'ZZ'"),
    ],
)
def test_impossible_circuits_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        DataReuploading(*arguments)


def test_inputs_of_another_shape_are_refused():
    circuit = DataReuploading(3, 2, 5)
    weights = np.zeros(circuit.weights_shape)
    with pytest.raises(InputError, match=r"`inputs` must have shape \(5,\), but has"):
        circuit(np.zeros(6), weights)
