import functools
from dataclasses import dataclass

import numpy as np
import pennylane as qml
import pytest

from qfm_jax._checks import InputError
from qfm_jax.circuits import (
    AmplitudeEmbedding,
    AngleEmbedding,
    ChainLayers,
    Circuit,
    ConvolutionalLayers,
    DataReuploading,
    EfficientSU2,
    PixelReuploading,
    RealAmplitudes,
    Separable,
    StronglyEntanglingLayers,
    TreeLayers,
    VariationalCircuit,
)

RNG = np.random.default_rng(41)
PAULIS = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}
WORDS = ("ZIII", "XYIZ", "IIZI", "YIXX")


def turn(pauli, angle):
    return np.cos(angle / 2) * np.eye(2) - 1j * np.sin(angle / 2) * PAULIS[pauli]


def rotation(angles):
    phi, theta, omega = angles
    return turn("Z", omega) @ turn("Y", theta) @ turn("Z", phi)


def random_arguments(circuit, *batch):
    inputs = RNG.uniform(0.1, 2, (*batch, circuit.n_features))
    return inputs, RNG.uniform(-np.pi, np.pi, (*batch, *circuit.weights_shape))


def expectations(circuit, inputs, weights):
    qnode = qml.QNode(circuit, qml.device("default.qubit", wires=circuit.n_qubits))
    return np.stack(qnode(inputs, weights))


def of_product(words, gates):
    """Expectations of the state in which wire i went through gates[i], in order."""
    kets = [
        functools.reduce(lambda ket, gate: gate @ ket, own, np.eye(2)[0])
        for own in gates
    ]
    return [
        np.prod(
            [
                (ket.conj() @ PAULIS[letter] @ ket).real
                for letter, ket in zip(word, kets, strict=True)
            ]
        )
        for word in words
    ]


def test_real_amplitudes_are_sums_of_angles():
    circuit = Separable(Circuit(AngleEmbedding(4), RealAmplitudes(4, 2)))
    inputs, weights = random_arguments(circuit)
    expected = np.cos(inputs + weights.sum(axis=0))
    actual = expectations(circuit, inputs, weights)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_strongly_entangling_layers_wire_by_wire():
    layers = StronglyEntanglingLayers(4, 3)
    circuit = Separable(Circuit(AngleEmbedding(4, "X"), layers, WORDS))
    inputs, weights = random_arguments(circuit)
    gates = [
        [turn("X", inputs[i]), *(rotation(weights[layer, i]) for layer in range(3))]
        for i in range(4)
    ]
    actual = expectations(circuit, inputs, weights)
    np.testing.assert_allclose(actual, of_product(WORDS, gates), atol=1e-12)


def test_blocks_of_su4_keep_their_rotations_alone():
    circuit = Separable(Circuit(AngleEmbedding(4), ChainLayers(4, 1), WORDS))
    inputs, weights = random_arguments(circuit)
    gates = [[turn("Y", x)] for x in inputs]
    for i, w in enumerate(weights[0]):
        gates[i] += [rotation(w[:3]), rotation(w[9:12])]
        gates[i + 1] += [rotation(w[3:6]), rotation(w[12:])]
    actual = expectations(circuit, inputs, weights)
    np.testing.assert_allclose(actual, of_product(WORDS, gates), atol=1e-12)


CIRCUITS = {
    "strongly-entangling": Circuit(AngleEmbedding(4), StronglyEntanglingLayers(4, 2)),
    "efficient-su2": Circuit(AngleEmbedding(4, "Z"), EfficientSU2(4, 2), WORDS),
    "convolutional": Circuit(AngleEmbedding(4), ConvolutionalLayers(4, 2)),
    "tree": Circuit(AngleEmbedding(4), TreeLayers(4, 1, "real")),
    "reuploading": DataReuploading(4, 3, 7),
    "pixels": PixelReuploading(4, 25),
}


def purities(circuit, *arguments):
    """Tr rho^2 of each wire; 1 where it is entangled with no other one."""
    tape = qml.tape.make_qscript(circuit)(*arguments)
    tape = tape.copy(measurements=[qml.purity(wire) for wire in range(4)])
    return qml.execute([tape], qml.device("default.qubit", wires=4))[0]


@pytest.mark.parametrize("circuit", CIRCUITS.values(), ids=CIRCUITS)
def test_every_wire_stays_pure(circuit):
    arguments = random_arguments(circuit)
    np.testing.assert_allclose(purities(Separable(circuit), *arguments), 1, atol=1e-12)
    assert min(purities(circuit, *arguments)) < 0.99


@pytest.mark.parametrize("circuit", CIRCUITS.values(), ids=CIRCUITS)
def test_all_else_is_equal(circuit):
    separable = Separable(circuit)
    assert isinstance(separable, VariationalCircuit)
    for member in ("n_qubits", "n_features", "weights_shape", "n_observables"):
        assert getattr(separable, member) == getattr(circuit, member)
    arguments = random_arguments(circuit)
    before, after = (
        qml.tape.make_qscript(each)(*arguments) for each in (circuit, separable)
    )
    assert after.measurements == before.measurements
    on_one_wire = [op for op in before.operations if len(op.wires) == 1]
    assert len(after.operations) == len(on_one_wire) < len(before.operations)
    for kept, operation in zip(after.operations, on_one_wire, strict=True):
        qml.assert_equal(kept, operation)


def test_a_circuit_without_entangling_gates_is_left_as_it_is():
    circuit = DataReuploading(1, 3, 2)
    arguments = random_arguments(circuit)
    expected = expectations(circuit, *arguments)
    np.testing.assert_array_equal(
        expectations(Separable(circuit), *arguments), expected
    )


def test_a_batch_is_a_loop_over_samples():
    circuit = Separable(CIRCUITS["convolutional"])
    inputs, weights = random_arguments(circuit, 4)
    samples = zip(inputs, weights, strict=True)
    expected = np.stack([expectations(circuit, *sample) for sample in samples], axis=1)
    actual = expectations(circuit, inputs, weights)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_an_amplitude_embedding_stays():
    circuit = Separable(Circuit(AmplitudeEmbedding(3), RealAmplitudes(3, 1), ("XZY",)))
    inputs, weights = random_arguments(circuit)
    gates = [turn("Y", angle) for angle in weights.sum(axis=0)]
    state = np.kron(np.kron(*gates[:2]), gates[2]) @ inputs / np.linalg.norm(inputs)
    word = np.kron(np.kron(PAULIS["X"], PAULIS["Z"]), PAULIS["Y"])
    expected = [(state.conj() @ word @ state).real]
    actual = expectations(circuit, inputs, weights)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


@dataclass(frozen=True)
class OfTemplates:
    """A circuit of a user's own, of PennyLane's templates and rarer operations."""

    n_qubits: int = 3
    n_features: int = 3
    weights_shape: tuple[int, ...] = (2, 3, 3)
    n_observables: int = 2

    def __call__(self, inputs, weights):
        qml.BasisState(np.array([0, 1, 1]), wires=range(3))
        qml.AngleEmbedding(inputs, wires=range(3), rotation="X")
        qml.Barrier(wires=range(3))
        qml.prod(qml.RX(0.3, 2), qml.RY(weights[..., 0, 0, 0], 2), qml.RZ(0.2, 0))
        qml.adjoint(qml.StronglyEntanglingLayers(weights, wires=range(3)))
        qml.ctrl(qml.RX(0.7, 2), control=[0, 1])
        qml.SpecialUnitary(np.linspace(0, 1, 15), wires=[0, 2])
        qml.Hadamard(1)
        return [qml.expval(qml.Z(0) @ qml.X(2)), qml.expval(qml.Y(1))]


def test_templates_are_decomposed_and_gates_left_out_as_a_whole():
    circuit = Separable(OfTemplates())
    inputs, weights = random_arguments(circuit)
    gates = [[turn("X", x)] for x in inputs]
    for flipped in gates[1:]:
        flipped.insert(0, PAULIS["X"])
    gates[0].append(turn("Z", 0.2))
    gates[2] += [turn("Y", weights[0, 0, 0]), turn("X", 0.3)]
    for i in range(3):
        gates[i] += [rotation(weights[layer, i]).conj().T for layer in (1, 0)]
    gates[1].append((PAULIS["X"] + PAULIS["Z"]) / np.sqrt(2))
    expected = of_product(("ZIX", "IYI"), gates)
    actual = expectations(circuit, inputs, weights)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_copies_are_equal_and_hash_by_value():
    first, second = (Separable(DataReuploading(3, 2, 4)) for _ in range(2))
    assert first == second
    assert len({first, second, Separable(DataReuploading(3, 2, 5))}) == 2


def test_what_is_no_circuit_is_refused():
    with pytest.raises(InputError, match=r"`circuit` must be a circuit .* is Angle"):
        Separable(AngleEmbedding(3))


def test_a_circuit_refuses_what_it_refuses():
    with pytest.raises(InputError, match=r"`inputs` must have shape \(4,\)"):
        Separable(DataReuploading(3, 2, 4))(np.zeros(5), np.zeros((2, 3, 3)))
