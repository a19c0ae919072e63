import numpy as np
import pennylane as qml
import pytest
from qiskit.circuit.library import efficient_su2, real_amplitudes
from qiskit.quantum_info import Operator

from qfm_jax._checks import InputError
from qfm_jax.circuits import (
    LAYERS,
    EfficientSU2,
    RealAmplitudes,
    StronglyEntanglingLayers,
)
from qfm_jax.circuits.layers import ENTANGLEMENTS, entangling_pairs

RNG = np.random.default_rng(11)
ALL = [make(3, 2) for make in LAYERS.values()]


def random_weights(layers, *batch):
    return RNG.uniform(-np.pi, np.pi, (*batch, *layers.weights_shape))


def unitary(layers, weights, wires=None):
    apply = qml.matrix(layers, wire_order=range(layers.n_qubits))
    return apply(weights, wires=wires)


@pytest.mark.parametrize("n_qubits", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("entanglement", ENTANGLEMENTS)
@pytest.mark.parametrize(
    ("layers_type", "qiskit_function"),
    [(RealAmplitudes, real_amplitudes), (EfficientSU2, efficient_su2)],
)
def test_the_unitary_is_that_of_qiskit(
    layers_type, qiskit_function, entanglement, n_qubits
):
    layers = layers_type(n_qubits, 3, entanglement)
    weights = random_weights(layers)
    circuit = qiskit_function(n_qubits, entanglement=entanglement, reps=3)
    circuit = circuit.assign_parameters(weights.ravel())
    expected = Operator(circuit.reverse_bits()).data  # qubit 0 most significant
    np.testing.assert_allclose(unitary(layers, weights), expected, atol=1e-12)


@pytest.mark.parametrize("layers_type", [RealAmplitudes, EfficientSU2])
def test_the_default_entanglement_is_that_of_qiskit(layers_type):
    assert layers_type(3, 1).entanglement == "reverse_linear"


@pytest.mark.parametrize("n_qubits", [1, 2, 3, 4, 5])
def test_strongly_entangling_layers_are_those_of_pennylane(n_qubits):
    layers = StronglyEntanglingLayers(n_qubits, n_layers=6)  # ranges wrap around
    weights = random_weights(layers)
    template = qml.StronglyEntanglingLayers(weights, wires=range(n_qubits))
    np.testing.assert_allclose(
        unitary(layers, weights), qml.matrix(template), atol=1e-12
    )


@pytest.mark.parametrize("layers", ALL, ids=str)
def test_layers_are_unitary_and_not_the_identity(layers):
    matrix = unitary(layers, random_weights(layers))
    np.testing.assert_allclose(matrix @ matrix.conj().T, np.eye(8), atol=1e-12)
    assert abs(matrix - np.eye(8)).max() > 0.1


@pytest.mark.parametrize("n_qubits", [3, 4, 5])
def test_reverse_linear_is_full_with_fewer_gates(n_qubits):
    full, chain = (
        RealAmplitudes(n_qubits, 2, entanglement)
        for entanglement in ("full", "reverse_linear")
    )
    weights = random_weights(full)
    np.testing.assert_allclose(
        unitary(full, weights), unitary(chain, weights), atol=1e-12
    )


def test_entangling_pairs_in_order():
    assert entangling_pairs("linear", 4) == [(0, 1), (1, 2), (2, 3)]
    assert entangling_pairs("reverse_linear", 4) == [(2, 3), (1, 2), (0, 1)]
    assert entangling_pairs("full", 3) == [(0, 1), (0, 2), (1, 2)]
    assert entangling_pairs("circular", 2) == [(0, 1)]


@pytest.mark.parametrize("layers", ALL, ids=str)
def test_a_batch_of_weights_is_applied_sample_by_sample(layers):
    weights = random_weights(layers, 3)  # as many samples as qubits, layers' rotations
    expected = np.stack([unitary(layers, sample) for sample in weights])
    np.testing.assert_allclose(unitary(layers, weights), expected, atol=1e-12)


@pytest.mark.parametrize("layers", ALL, ids=str)
def test_wires_say_which_qubit_is_which(layers):
    weights = random_weights(layers)
    axes = np.argsort([2, 0, 1])
    expected = unitary(layers, weights).reshape((2,) * 6)
    expected = expected.transpose(*axes, *(axes + 3)).reshape(8, 8)
    np.testing.assert_allclose(
        unitary(layers, weights, wires=[2, 0, 1]), expected, atol=1e-12
    )


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_layers_are_equal_and_hash_by_value(make):
    assert make(3, 2) == make(3, 2)
    assert len({make(3, 2), make(3, 2), make(3, 1), make(2, 2)}) == 3


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_sizes_below_one_are_refused(make):
    with pytest.raises(InputError, match=r"`n_qubits` must be .* at least 1, but is 0"):
        make(0, 2)
    with pytest.raises(
        InputError, match=r"`n_layers` must be .* at least 1, but is -1"
    ):
        make(3, -1)
    with pytest.raises(InputError, match=r"`n_layers` must be .*, but is 1\.5"):
        make(3, 1.5)


@pytest.mark.parametrize("layers_type", [RealAmplitudes, EfficientSU2])
def test_an_unknown_entanglement_is_answered_by_the_nearest(layers_type):
    with pytest.raises(InputError, match=r"'liner'. Did you mean 'linear'"):
        layers_type(3, 2, "liner")


def test_entangling_pairs_refuse_an_unknown_entanglement():
    with pytest.raises(InputError, match="`entanglement` must be one of circular"):
        entangling_pairs("ring", 3)


@pytest.mark.parametrize("layers", ALL, ids=str)
def test_weights_of_another_shape_are_refused(layers):
    shape = layers.weights_shape
    with pytest.raises(InputError, match="`weights` must have shape"):
        layers(np.zeros((shape[0] + 1, *shape[1:])))
    with pytest.raises(InputError, match=r"must have shape \(batch, "):
        layers(np.zeros((5, *shape[:-1], shape[-1] - 1)))
    with pytest.raises(InputError, match=r"Use jax\.vmap for further batch axes"):
        layers(np.zeros((2, 2, *shape)))
    with pytest.raises(InputError, match=r"`wires` must name 3 wires, .* but names 2"):
        layers(np.zeros(shape), wires=[0, 1])
