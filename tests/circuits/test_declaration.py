"""What a circuit declares is what it takes, or a sentence says where it is not."""

import dataclasses
import math

import numpy as np
import pennylane as qml
import pytest

from qfm_jax._checks import InputError
from qfm_jax.circuits import (
    CIRCUITS,
    EMBEDDINGS,
    LAYERS,
    AmplitudeEmbedding,
    Amplitudes,
    AngleEmbedding,
    Angles,
    Bits,
    Circuit,
    ConvolutionalCircuit,
    ConvolutionalLayers,
    DataReuploading,
    Normal,
    Pixels,
    QNodeCircuit,
    RealAmplitudes,
    Separable,
    Uniform,
    ZZEmbedding,
    build_circuit,
    named_circuit,
)
from qfm_jax.circuits.declaration import check_declaration, start_of, takes_of


@dataclasses.dataclass(frozen=True)
class Ring:
    """RX of each feature, RY of each weight, a ring of IsingZZ."""

    n_qubits: int = 3
    n_layers: int = 1
    n_features: int = 3
    weights_shape: tuple = (1, 3)
    n_observables: int = 3
    takes: object = Angles(0, 1)
    weights_start: object = None
    read: int = 3
    wires: int = 3
    measured: object = None

    def __call__(self, inputs, weights):
        for i in range(self.read):
            qml.RX(inputs[..., i], wires=i % 3)
        for i in range(3):
            qml.RY(weights[..., 0, i], wires=i)
            qml.IsingZZ(0.3, wires=[i, (i + 1) % self.wires])
        if self.measured is not None:
            return self.measured()
        return [qml.expval(qml.Z(i)) for i in range(3)]


PARTS = [(e, layers) for e in EMBEDDINGS for layers in LAYERS]


@pytest.mark.parametrize(("embedding", "layers"), PARTS)
def test_our_parts_are_what_they_declare(embedding, layers):
    check_declaration(build_circuit(embedding, layers, 3, 2))


@pytest.mark.parametrize("name", CIRCUITS)
def test_our_circuits_are_what_they_declare(name):
    check_declaration(named_circuit(name, 3, 2))
    check_declaration(Ring())


@pytest.mark.parametrize(
    ("circuit", "takes"),
    [
        (Circuit(AngleEmbedding(3), RealAmplitudes(3, 1)), Angles(frequency=1)),
        (Circuit(ZZEmbedding(3), RealAmplitudes(3, 1)), Angles()),
        (Circuit(AmplitudeEmbedding(3), RealAmplitudes(3, 1)), Amplitudes()),
        (
            ConvolutionalCircuit(AmplitudeEmbedding(3), ConvolutionalLayers(3, 1)),
            Amplitudes(),
        ),
        (DataReuploading(3, n_layers=4, n_features=5), Angles(frequency=3)),
        (Separable(DataReuploading(3, n_layers=4, n_features=3)), Angles(frequency=4)),
        (named_circuit("hamiltonian", 3, 1), Amplitudes()),
        (named_circuit("pixel-reuploading", 3, 2), Pixels()),
    ],
)
def test_what_ours_declare(circuit, takes):
    assert takes_of(circuit) == takes
    assert start_of(circuit) is None


def test_layers_say_how_their_weights_start():
    @dataclasses.dataclass(frozen=True)
    class Small(RealAmplitudes):
        weights_start = Normal(mean=1.0, scale=0.1)

    circuit = Circuit(AngleEmbedding(3), Small(3, 2))
    assert start_of(circuit) == start_of(Separable(circuit)) == Normal(1.0, 0.1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"takes": None},
            r"`circuit` must declare what .* `takes` of Ring is None. Add",
        ),
        ({"takes": Angles}, "`circuit` must declare what it takes"),
        ({"takes": "angles"}, "`takes` of Ring is 'angles'"),
        ({"read": 5}, "`circuit` must take the 3 features and .* fails: IndexError"),
        ({"read": 2}, "must read the 3 features .* does not read those of index 2"),
        ({"weights_shape": (1, 2)}, r"weights of shape \(1, 2\) that .* IndexError"),
        ({"weights_shape": 3}, "`weights_shape` must be a tuple.* but is 3"),
        ({"weights_shape": (0, 3)}, "`weights_shape` must be .* at least 1, but is 0"),
        ({"n_features": 0}, "`n_features` must be .* but is 0"),
        ({"n_observables": 2}, "must return the 2 expectation .* but returns 3"),
        ({"wires": 4}, "must act on its wires 0 to 2 alone, but acts on 3 too"),
        (
            {"measured": lambda: [qml.probs(0)]},
            "expectation values alone.* returns pro",
        ),
        ({"measured": lambda: [1 / 0]}, "fails: ZeroDivisionError"),
        ({"weights_start": 0.1}, "declare how its weights start.* is 0.1"),
        (
            {"weights_start": Normal(mean=(0.0, 1.0))},
            r"`weights_start.mean` must be .* shape \(1, 3\), but is \(0.0, 1.0\)",
        ),
        ({"weights_start": Uniform("low")}, "`weights_start.low` must be .* 'low'"),
    ],
)
def test_a_circuit_that_is_not_what_it_declares(monkeypatch, changes, sentence):
    def build(n_qubits, n_layers):
        return Ring(**changes)

    monkeypatch.setitem(CIRCUITS, "mine", build)
    with pytest.raises(InputError, match=sentence):
        named_circuit("mine", 3, 1)


def test_embeddings_that_are_not_what_they_declare(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Silent:
        n_qubits: int

        @property
        def n_features(self):
            return self.n_qubits

        def __call__(self, features, wires=None):
            qml.AngleEmbedding(features, wires=range(self.n_qubits))

    @dataclasses.dataclass(frozen=True)
    class Short(Silent):
        takes = Angles()

        def __call__(self, features, wires=None):
            qml.RX(features[..., self.n_qubits], wires=0)

    monkeypatch.setitem(EMBEDDINGS, "silent", Silent)
    monkeypatch.setitem(EMBEDDINGS, "short", Short)
    with pytest.raises(InputError, match="`takes` of Silent is None"):
        build_circuit("silent", "tree", 3, 1)
    with pytest.raises(InputError, match="`circuit` must take the 3 features"):
        build_circuit("short", "tree", 3, 1)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (lambda: Ring(), "built by what is called with n_qubits .* fails: TypeError"),
        (Ring(), "`circuit` must be built by what is called .* fails"),
        (lambda n, layers: 7, "have n_qubits, n_features, .* but int lacks n_qubits"),
        (lambda n, layers: Ring(), "`n_qubits` must be 3, as many as .* 'mine' has"),
    ],
)
def test_a_builder_that_does_not_build(monkeypatch, value, sentence):
    monkeypatch.setitem(CIRCUITS, "mine", value)
    with pytest.raises(InputError, match=sentence):
        named_circuit("mine", 4, 1)


def test_an_unknown_circuit_is_answered_by_the_nearest():
    with pytest.raises(InputError, match=r"`circuit` must .* mean 'hamiltonian"):
        named_circuit("hamiltonain", 3, 1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((1.0, 1.0), "`high` must be above low = 1.0, but is 1.0"),
        ((0.0, math.inf), "`high` must lie in .* but is inf"),
        ((0.0, 1.0, 0), "`frequency` must be .* but is 0"),
    ],
)
def test_angles_need_a_range(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        Angles(*arguments)


def node(wires=2):
    @qml.qnode(qml.device("qfm.statevector", wires=wires))
    def circuit(inputs, angles, shift):
        qml.AngleEmbedding(inputs, wires=range(2))
        qml.BasicEntanglerLayers(angles, wires=range(2))
        qml.RX(shift, wires=0)
        return qml.expval(qml.Z(0)), qml.expval(qml.Z(1))

    return circuit


SHAPES = {"shift": 1, "angles": (3, 2)}


def test_a_qnode_is_a_circuit_of_one_vector():
    qnode = node()
    starts = {"shift": Normal(mean=1.0, scale=0.0)}
    circuit = QNodeCircuit(qnode, SHAPES, n_features=2, takes=Angles(), starts=starts)
    check_declaration(circuit)
    assert (circuit.n_qubits, circuit.n_observables) == (2, 2)
    assert circuit.weights_start == Normal((0.0,) * 6 + (1.0,), (1.0,) * 6 + (0.0,))
    random = np.random.default_rng(0)
    inputs, weights = random.uniform(size=2), random.uniform(size=7)
    reference = qml.QNode(circuit, qml.device("default.qubit", wires=2))
    expected = qnode(inputs, weights[:6].reshape(3, 2), weights[6])
    np.testing.assert_allclose(reference(inputs, weights), expected, atol=1e-6)
    assert start_of(QNodeCircuit(qnode, SHAPES, n_features=2, takes=Bits())) is None
    assert hash(circuit) == hash(QNodeCircuit(qnode, SHAPES, 2, Angles()))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"weight_shapes": {"angles": (3, 2)}}, "`weight_shapes` must give a shape"),
        ({"n_features": 0}, "`n_features` must be .* but is 0"),
        ({"qnode": node(wires=None)}, "`qnode` must have a device of wires 0, 1"),
        ({"qnode": node(wires=["a", "b"])}, "`qnode` must have a device of wires 0, 1"),
        (
            {"starts": {"shift": 1.0}},
            "`starts` must hold a Normal.* holds 'shift': 1.0",
        ),
        ({"starts": {"sift": Normal()}}, "`starts` must hold a .* holds 'sift'"),
    ],
)
def test_a_qnode_that_does_not_declare_itself(changes, sentence):
    given = {"qnode": node(), "weight_shapes": SHAPES, "n_features": 2}
    with pytest.raises(InputError, match=sentence):
        QNodeCircuit(**given | {"takes": Angles()} | changes)
