"""Qiskit computes from an exported circuit what PennyLane does from the circuit."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest
from qiskit.quantum_info import Statevector

from qfm_jax._checks import InputError
from qfm_jax.circuits import (
    CIRCUITS,
    EMBEDDINGS,
    LAYERS,
    AmplitudeEmbedding,
    AngleEmbedding,
    Circuit,
    ConvolutionalCircuit,
    ConvolutionalLayers,
    DataReuploading,
    HamiltonianReuploading,
    PixelReuploading,
    RealAmplitudes,
    Separable,
    StronglyEntanglingLayers,
    build_circuit,
    named_circuit,
)
from qfm_jax.circuits.qiskit_export import observables_of, to_qiskit


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


RNG = np.random.default_rng(59)


@dataclass(frozen=True)
class Custom:
    """A circuit of a user's own, with what PennyLane's and JAX's libraries have."""

    n_qubits: int = 4
    n_features: int = 3
    weights_shape: tuple[int, ...] = (2, 4)
    n_observables: int = 3

    def __call__(self, inputs, weights):
        qml.BasisState(np.array([1, 0, 1, 1]), wires=range(4))
        qml.AngleEmbedding(inputs, wires=[3, 0, 2], rotation="X")
        qml.BasicEntanglerLayers(weights, wires=range(4))
        qml.PauliRot(jnp.sin(inputs[0]) ** 2 / 3, "XIY", wires=[2, 1, 3])
        qml.MultiRZ(jnp.exp(-weights[0, 1]), wires=[3, 1, 0])
        qml.CRot(*jnp.take(inputs, np.array([2, 0, 0])), wires=[3, 1])
        qml.ctrl(qml.RY, [0, 2], control_values=[0, 1])(inputs.sum(), wires=1)
        qml.ctrl(qml.Rot, [3, 1])(*inputs, wires=0)
        qml.ctrl(qml.RX, [1, 0, 2])(weights[0, 2] / 2, wires=3)
        qml.ctrl(qml.PhaseShift, [1, 0])(weights[0, 3], wires=3)
        qml.IsingXY(jnp.sqrt(weights[1, 0] ** 2), wires=[2, 0])
        qml.MultiControlledX([3, 1, 0, 2], control_values=[1, 0, 1])
        qml.SingleExcitation(weights[:, 1:].T.reshape(-1)[3], wires=[0, 3])
        qml.GlobalPhase(inputs[1])
        qml.QubitUnitary(qml.matrix(qml.CRot(1.0, 2.0, 3.0, wires=[0, 1])), [3, 0])
        qml.DiagonalQubitUnitary(np.exp(1j * np.arange(8)), [2, 0, 1])
        qml.adjoint(qml.QFT)(wires=[3, 1, 2])
        qml.prod(qml.S(1), qml.T(0))
        qml.Barrier(wires=range(4))
        return [
            qml.expval(qml.Z(0) @ qml.Y(2)),
            qml.expval(0.5 * qml.X(3) - 2 * qml.Z(1) @ qml.Z(3)),
            qml.expval(qml.Identity(0)),
        ]


CIRCUITS = {
    **{
        f"{embedding} and {layers}": build_circuit(embedding, layers, 3, 2)
        for embedding in EMBEDDINGS
        for layers in LAYERS
    },
    **{name: named_circuit(name, 3, 2) for name in CIRCUITS},
    "pixels": PixelReuploading(3, 16, n_repeats=2),
    "raster": PixelReuploading(3, 5, order="raster", observables=("XYZ",)),
    "local": ConvolutionalCircuit(
        AngleEmbedding(4, "Z"), ConvolutionalLayers(4, 2, 2), "local"
    ),
    "reuploading about Z": DataReuploading(3, 2, 4, "Z", ("ZIX", "IYI")),
    "separable": Separable(Circuit(AngleEmbedding(3), StronglyEntanglingLayers(3, 1))),
    "few amplitudes": Circuit(AmplitudeEmbedding(3, 5), RealAmplitudes(3, 1)),
    "custom": Custom(),
}


def random_arguments(circuit):
    inputs = RNG.uniform(0.1, 2, circuit.n_features)
    return inputs, RNG.uniform(-np.pi, np.pi, circuit.weights_shape)


def by_pennylane(circuit, inputs, weights):
    """Expectations (n_observables,), in double precision."""
    qnode = qml.QNode(circuit, qml.device("default.qubit", wires=circuit.n_qubits))
    return np.stack(qnode(inputs, weights))


def by_qiskit(circuit, built):
    state = Statevector(built)
    return [state.expectation_value(o).real for o in observables_of(circuit)]


def assigned(built, **arrays):
    """The circuit with numbers in the place of its ParameterVectors."""
    return built.assign_parameters(
        {p: arrays[p.vector.name].flat[p.index] for p in built.parameters}
    )


@pytest.mark.parametrize("circuit", CIRCUITS.values(), ids=CIRCUITS)
def test_expectations_are_those_of_qiskit(circuit):
    inputs, weights = random_arguments(circuit)
    built = to_qiskit(circuit, inputs, weights)
    assert built.num_qubits == circuit.n_qubits >= 3
    assert not built.parameters
    actual = by_qiskit(circuit, built)
    expected = by_pennylane(circuit, inputs, weights)
    np.testing.assert_allclose(actual, expected, atol=1e-10)


def has_no_symbols(name):
    return name.startswith(("amplitude", "few", "hamiltonian"))


ANGLES = {
    name: circuit
    for name, circuit in CIRCUITS.items()
    if not (has_no_symbols(name) or name.endswith("and unitary"))
}


@pytest.mark.parametrize("circuit", ANGLES.values(), ids=ANGLES)
def test_symbols_stand_for_numbers(circuit):
    inputs, weights = random_arguments(circuit)
    expected = Statevector(to_qiskit(circuit, inputs, weights)).data
    built = to_qiskit(circuit)
    assert {p.vector.name for p in built.parameters} == {"inputs", "weights"}
    bound = assigned(built, inputs=inputs, weights=weights)
    np.testing.assert_allclose(Statevector(bound).data, expected, atol=1e-10)
    for given, free in (("inputs", "weights"), ("weights", "inputs")):
        arrays = {"inputs": inputs, "weights": weights}
        built = to_qiskit(circuit, **{given: arrays[given]})
        assert {p.vector.name for p in built.parameters} == {free}
        found = Statevector(assigned(built, **{free: arrays[free]})).data
        np.testing.assert_allclose(found, expected, atol=1e-10)


def test_weights_stay_symbols_behind_amplitudes():
    circuit = CIRCUITS["few amplitudes"]
    inputs, weights = random_arguments(circuit)
    built = assigned(to_qiskit(circuit, inputs), weights=weights)
    expected = by_pennylane(circuit, inputs, weights)
    np.testing.assert_allclose(by_qiskit(circuit, built), expected, atol=1e-10)


def test_every_parameter_has_its_place_in_qiskit_s_order():
    circuit = Circuit(AngleEmbedding(3), StronglyEntanglingLayers(3, 4))
    built = to_qiskit(circuit)
    names = [f"inputs[{i}]" for i in range(3)] + [f"weights[{i}]" for i in range(36)]
    assert [p.name for p in built.parameters] == names


def test_wire_0_is_qubit_0():
    @dataclass(frozen=True)
    class Flip(Custom):
        n_qubits: int = 3

        def __call__(self, inputs, weights):
            qml.X(0)
            return [qml.expval(qml.Z(0))]

    built = to_qiskit(Flip())
    assert Statevector(built).probabilities_dict() == {"001": 1.0}
    assert Statevector(built.reverse_bits()).data[4] == 1
    assert observables_of(Flip())[0].paulis.to_labels() == ["IIZ"]


def refused(match, circuit, **given):
    with pytest.raises(InputError, match=match):
        to_qiskit(circuit, **given)


def test_what_needs_numbers_is_refused_by_name():
    circuit = CIRCUITS["few amplitudes"]
    refused(r"state_preparation on wires \[0, 1, 2\].*to_qiskit\(.*inputs=", circuit)
    circuit = CIRCUITS["angle and unitary"]
    refused(r"unitary on wires \[0, 1, 2\].*to_qiskit\(circuit, weights=", circuit)
    circuit = HamiltonianReuploading(3, 1)
    inputs, weights = random_arguments(circuit)
    refused(r"depend on its weights .* diagonal", circuit, inputs=inputs)
    refused(r"depend on its inputs .* state_prep", circuit, weights=weights)


@dataclass(frozen=True)
class Odd(Custom):
    """Applies one operation and measures one thing."""

    operation: object = None
    measurement: object = None

    def __call__(self, inputs, weights):
        self.operation(inputs, weights)
        return [self.measurement() if self.measurement else qml.expval(qml.Z(0))]


def test_other_functions_are_refused_until_numbers_are_given():
    circuit = Odd(operation=lambda x, w: qml.RX(jnp.arctan2(x[0], w[0, 0]), wires=0))
    refused(r"uses JAX's operation `atan2`.*inputs=\.\.\., weights=\.\.\.", circuit)
    built = to_qiskit(circuit, np.ones(3), np.ones((2, 4)))
    assert built.data[0].operation.params == [np.pi / 4]


def test_bad_input():
    circuit = CIRCUITS["pixels"]
    refused(r"`inputs` must have shape \(16,\), .* One sample", circuit, inputs=[1.0])
    shape = np.zeros((1, *circuit.weights_shape))
    refused("`weights` must have shape", circuit, weights=shape)
    zeros = {"inputs": np.zeros(5), "weights": np.zeros((2, 3))}
    refused("a value other than zero", CIRCUITS["few amplitudes"], **zeros)
    refused("unitary gates .* Mid", Odd(operation=lambda *_: qml.measure(0)))
    odd = Odd(operation=lambda *_: None, measurement=lambda: qml.probs(wires=0))
    with pytest.raises(InputError, match=r"end in expectation values .* ends in probs"):
        observables_of(odd)
