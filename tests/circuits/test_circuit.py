from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest
from qiskit.circuit.library import efficient_su2
from qiskit.quantum_info import Operator, Pauli

from qfm_jax._checks import InputError
from qfm_jax.circuits import (
    AmplitudeEmbedding,
    AngleEmbedding,
    Circuit,
    DataReuploading,
    EfficientSU2,
    RealAmplitudes,
    StronglyEntanglingLayers,
    VariationalCircuit,
    build_circuit,
)

# PennyLane 0.45 asks jax 0.10 for names that it has deprecated.


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


RNG = np.random.default_rng(13)

CIRCUITS = {
    "angle": Circuit(AngleEmbedding(3), RealAmplitudes(3, 1), ("ZII", "XYI", "IZZ")),
    "amplitude": Circuit(AmplitudeEmbedding(3, 6), StronglyEntanglingLayers(3, 1)),
    "reuploading": DataReuploading(n_qubits=3, n_layers=2, n_features=4),
}


@pytest.fixture(params=CIRCUITS.values(), ids=CIRCUITS)
def circuit(request):
    return request.param


def as_function(circuit):
    """The function inputs, weights -> expectations (n_observables, ...)."""
    qnode = qml.QNode(circuit, qml.device("default.qubit", wires=circuit.n_qubits))
    return lambda inputs, weights: qml.math.stack(qnode(inputs, weights))


def random_arguments(circuit, *batch):
    inputs = RNG.uniform(0.1, 2, (*batch, circuit.n_features))
    return inputs, RNG.uniform(-np.pi, np.pi, (*batch, *circuit.weights_shape))


def test_expectations_are_those_of_dense_algebra():
    words = ("ZII", "XYI", "IZZ", "YXZ")
    circuit = Circuit(AmplitudeEmbedding(3), EfficientSU2(3, 2, "circular"), words)
    inputs, weights = random_arguments(circuit)
    ansatz = efficient_su2(3, entanglement="circular", reps=2)
    ansatz = ansatz.assign_parameters(weights.ravel()).reverse_bits()
    state = Operator(ansatz).data @ (inputs / np.linalg.norm(inputs))
    expected = [(state.conj() @ Pauli(word).to_matrix() @ state).real for word in words]
    actual = as_function(circuit)(inputs, weights)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_a_circuit_publishes_the_shapes_of_what_it_takes_and_gives(circuit):
    assert isinstance(circuit, VariationalCircuit)
    expectations = as_function(circuit)(*random_arguments(circuit))
    assert expectations.shape == (circuit.n_observables,)
    assert np.all(np.abs(expectations) <= 1)


def test_broadcasting_is_a_loop_over_samples(circuit):
    # As many samples as features: a circuit that takes x[i] would pass unnoticed.
    inputs, weights = random_arguments(circuit, circuit.n_features)
    apply = as_function(circuit)
    expected = np.stack([apply(sample, weights[0]) for sample in inputs], axis=-1)
    np.testing.assert_allclose(apply(inputs, weights[0]), expected, atol=1e-12)
    expected = np.stack(list(map(apply, inputs, weights)), axis=-1)
    np.testing.assert_allclose(apply(inputs, weights), expected, atol=1e-12)


def test_jit_and_vmap_change_nothing(circuit):
    inputs, weights = random_arguments(circuit, 3)
    apply = as_function(circuit)
    expected = apply(inputs, weights)
    jax_arguments = jnp.asarray(inputs), jnp.asarray(weights)
    np.testing.assert_allclose(jax.jit(apply)(*jax_arguments), expected, atol=1e-8)
    batched = jax.jit(jax.vmap(apply, out_axes=-1))
    np.testing.assert_allclose(batched(*jax_arguments), expected, atol=1e-8)


def central_difference(function, array, step=1e-5):
    """Jacobian (n_outputs, *array.shape); the steps are one broadcast batch."""
    steps = step * np.eye(array.size).reshape(array.size, *array.shape)
    difference = (function(array + steps) - function(array - steps)) / (2 * step)
    return difference.reshape(-1, *array.shape)


def test_gradients_are_finite_differences(circuit):
    inputs, weights = random_arguments(circuit)
    apply = as_function(circuit)
    jacobian = jax.jit(jax.jacobian(apply, argnums=(0, 1)))
    by_inputs, by_weights = jacobian(jnp.asarray(inputs), jnp.asarray(weights))
    expected = central_difference(lambda inputs: apply(inputs, weights), inputs)
    np.testing.assert_allclose(by_inputs, expected, atol=1e-8)
    expected = central_difference(lambda weights: apply(inputs, weights), weights)
    np.testing.assert_allclose(by_weights, expected, atol=1e-8)


def test_circuits_are_equal_and_hash_by_value(circuit):
    assert replace(circuit) == circuit
    assert hash(replace(circuit)) == hash(circuit)
    assert replace(circuit, observables=("XXX",)) != circuit
    assert len({*CIRCUITS.values()}) == len(CIRCUITS)


def test_pennylane_draws_and_counts_a_circuit(circuit):
    arguments = random_arguments(circuit)
    drawing = qml.draw(circuit)(*arguments)
    assert [line[:2] for line in drawing.splitlines()[:3]] == ["0:", "1:", "2:"]
    qnode = qml.QNode(circuit, qml.device("default.qubit", wires=3))
    resources = qml.specs(qnode)(*arguments)["resources"]
    assert resources.gate_types["CNOT"] == drawing.count("●") > 0


@dataclass(frozen=True)
class OneQubit:
    """A circuit of a user's own."""

    n_qubits: int = 1
    n_features: int = 1
    weights_shape: tuple[int, ...] = (1,)
    n_observables: int = 1

    def __call__(self, inputs, weights):
        qml.RY(inputs[..., 0] + weights[..., 0], wires=0)
        return [qml.expval(qml.Z(0))]


def test_a_user_writes_a_circuit_by_its_five_members():
    assert isinstance(OneQubit(), VariationalCircuit)
    assert not isinstance(AngleEmbedding(3), VariationalCircuit)


def test_embedding_and_layers_must_have_as_many_qubits():
    with pytest.raises(InputError, match=r"`layers` must have the 3 qubits .* has 4"):
        Circuit(AngleEmbedding(3), RealAmplitudes(4, 1))


def test_observables_must_fit_the_qubits():
    with pytest.raises(InputError, match=r"Pauli words of 3 letters .* holds 'ZIII'"):
        Circuit(AngleEmbedding(3), RealAmplitudes(3, 1), ("ZIII",))


def test_inputs_and_weights_of_another_shape_are_refused(circuit):
    inputs, weights = random_arguments(circuit)
    with pytest.raises(InputError, match="must have shape"):
        circuit(inputs[:-1], weights)
    with pytest.raises(InputError, match="`weights` must have shape"):
        circuit(inputs, weights[:-1])


def test_a_circuit_is_built_from_names():
    built = build_circuit("amplitude", "efficient-su2", n_qubits=3, n_layers=2)
    assert built == Circuit(AmplitudeEmbedding(3), EfficientSU2(3, 2))


def test_unknown_names_are_answered_by_the_nearest():
    with pytest.raises(InputError, match=r"`embedding` .* Did you mean 'angle'"):
        build_circuit("angel", "real-amplitudes", 3, 1)
    with pytest.raises(InputError, match=r"`layers` .* Did you mean 'efficient-su2'"):
        build_circuit("angle", "efficient_su2", 3, 1)
