import numpy as np
import pennylane as qml
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from qfm_jax._checks import InputError
from qfm_jax.circuits import (
    AmplitudeEmbedding,
    AngleEmbedding,
    ConvolutionalCircuit,
    ConvolutionalLayers,
    VariationalCircuit,
)
from qfm_jax.circuits.observables import local_words

RNG = np.random.default_rng(29)
X, Z = np.array([[0, 1], [1, 0]]), np.diag([1, -1])
Y = 1j * X @ Z


def random_weights(layers):
    return RNG.uniform(-np.pi, np.pi, layers.weights_shape)


def unitary(layers, weights, wires=None):
    apply = qml.matrix(layers, wire_order=range(layers.n_qubits))
    return apply(weights, wires=wires)


def operations(layers):
    return qml.tape.make_qscript(layers)(random_weights(layers)).operations


def turn(pauli, angle):
    return expm(-0.5j * angle * pauli)


def rotation(angles):
    phi, theta, omega = angles
    return turn(Z, omega) @ turn(Y, theta) @ turn(Z, phi)


def su4(w):
    matrix = np.kron(rotation(w[:3]), rotation(w[3:6]))
    for pauli, angle in zip([X, Y, Z], w[6:9], strict=True):
        matrix = turn(np.kron(pauli, pauli), angle) @ matrix
    return np.kron(rotation(w[9:12]), rotation(w[12:])) @ matrix


def pooling(w):
    """Rows of the control's 0, then those of its 1."""
    return np.kron(np.diag([1, 0]), turn(X, w[1])) + np.kron(
        np.diag([0, 1]), turn(Z, w[0])
    )


# Four qubits, three layers: where each block of two layers stands, by hand.
FOUR = [
    *[(su4, pair) for pair in [(0, 1), (2, 3), (1, 2), (3, 0)]],
    *[(pooling, pair) for pair in [(1, 0), (3, 2)]],
    *[(su4, (0, 2)), (pooling, (2, 0)), (rotation, (0,))],
]
LENGTHS = {su4: 15, pooling: 2, rotation: 3}


@pytest.mark.parametrize("shared", [True, False])
def test_the_unitary_is_the_product_of_dense_matrices(shared):
    layers = ConvolutionalLayers(4, n_layers=3, shared=shared)
    weights = random_weights(layers)
    if shared:  # 15 + 2, 15 + 2, 3
        starts = [0] * 4 + [15] * 2 + [17, 32, 34]
        assert weights.shape == (37,)
    else:
        starts = np.cumsum([0] + [LENGTHS[gate] for gate, _ in FOUR])[:-1]
        assert weights.shape == (4 * 15 + 2 * 2 + 15 + 2 + 3,)
    expected = np.eye(16)
    for start, (gate, pair) in zip(starts, FOUR, strict=True):
        own = gate(weights[start : start + LENGTHS[gate]])
        expected = reference.embed(own, pair, 4) @ expected
    np.testing.assert_allclose(unitary(layers, weights), expected, atol=1e-12)


@pytest.mark.parametrize("n_qubits", [4, 6])
def test_a_shared_convolution_commutes_with_translations_by_two(n_qubits):
    convolution, own = (
        ConvolutionalLayers(n_qubits, 1, n_final=n_qubits, shared=shared)
        for shared in (True, False)
    )
    ring = np.roll(range(n_qubits), -2)
    weights = random_weights(convolution)
    expected = unitary(convolution, weights)
    actual = unitary(convolution, weights, wires=ring)
    np.testing.assert_allclose(actual, expected, atol=1e-12)
    weights = random_weights(own)
    moved = unitary(own, weights, wires=ring)
    assert abs(moved - unitary(own, weights)).max() > 0.1


def test_an_odd_ring_is_closed_after_the_chain():
    pairs = [op.wires.tolist() for op in operations(ConvolutionalLayers(5, 1, 5))]
    blocks = [pair for pair in pairs if len(pair) == 2][::3]
    assert blocks == [[0, 1], [2, 3], [1, 2], [3, 4], [4, 0]]


SIZES = st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 9)).filter(
    lambda sizes: sizes[2] <= sizes[0]
)


@given(SIZES, st.booleans())
def test_pooled_wires_are_not_touched_again(sizes, shared):
    layers = ConvolutionalLayers(*sizes, shared=shared)
    used_up = set()
    for operation in operations(layers):
        assert not used_up & set(operation.wires)
        if operation.name == "C(RX)":  # the last gate of a pooling
            used_up.add(operation.wires[0])
    assert set(layers.wires_left) == set(range(sizes[0])) - used_up


@given(SIZES)
def test_every_layer_halves_the_wires_as_far_as_n_final(sizes):
    n_qubits, n_layers, n_final = sizes
    left = n_qubits
    for _ in range(n_layers):
        left = max(n_final, (left + 1) // 2)
    assert len(ConvolutionalLayers(*sizes).wires_left) == left


WORDS = [
    *["XIIII", "YIIII", "ZIIII", "IIXII", "IIYII", "IIZII"],
    *["XIXII", "XIYII", "XIZII", "YIXII", "YIYII", "YIZII", "ZIXII", "ZIYII", "ZIZII"],
]


def test_local_words_in_their_order():
    assert local_words([0, 2], 5) == tuple(WORDS)
    assert [len(local_words(range(k), 8)) for k in (1, 2, 3, 4)] == [3, 15, 36, 66]


CIRCUIT = ConvolutionalCircuit(
    AmplitudeEmbedding(5, 20), ConvolutionalLayers(5, 2, n_final=2), "local"
)


def test_expectations_are_those_of_dense_algebra():
    inputs, weights = RNG.uniform(size=20), random_weights(CIRCUIT)
    start = np.append(inputs / np.linalg.norm(inputs), np.zeros(12))
    applied = qml.tape.make_qscript(CIRCUIT.layers)(weights).operations
    state = reference.unitary(applied, 5) @ start
    left = CIRCUIT.layers.wires_left
    words = [word.replace("I", "") for word in WORDS]
    assert left == (0, 4)
    full = [
        f"{w[0]}III{w[1]}" if len(w) == 2 else f"{w}IIII" if i < 3 else f"IIII{w}"
        for i, w in enumerate(words)
    ]
    expected = [reference.expectation(state, word) for word in full]
    qnode = qml.QNode(CIRCUIT, qml.device("default.qubit", wires=5))
    np.testing.assert_allclose(qnode(inputs, weights), expected, atol=1e-12)


def test_the_circuit_publishes_its_shapes():
    assert isinstance(CIRCUIT, VariationalCircuit)
    assert CIRCUIT.n_features == 20
    assert CIRCUIT.weights_shape == CIRCUIT.layers.weights_shape == (34,)
    assert CIRCUIT.n_observables == 15
    by_default = ConvolutionalCircuit(AngleEmbedding(5), CIRCUIT.layers)
    assert by_default.words == ("ZIIII", "IIIIZ")
    own = ConvolutionalCircuit(AngleEmbedding(5), CIRCUIT.layers, ("ZZZZZ",))
    assert own.words == ("ZZZZZ",)
    assert len({CIRCUIT, by_default, own, CIRCUIT}) == 3


LAYERS = ConvolutionalLayers(3, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConvolutionalLayers(0, 1), "`n_qubits` must be .* but is 0"),
        (lambda: ConvolutionalLayers(4, 0), "`n_layers` must be .* but is 0"),
        (lambda: ConvolutionalLayers(4, 1, 0), "`n_final` must be .* but is 0"),
        (lambda: ConvolutionalLayers(4, 1, 5), "at most n_qubits = 4, but is 5"),
        (
            lambda: ConvolutionalCircuit(AngleEmbedding(4), LAYERS),
            "`layers` must have the 4 qubits of the embedding, but has 3",
        ),
        (
            lambda: ConvolutionalCircuit(AngleEmbedding(3), LAYERS, "locl"),
            "`observables` must be one of local, .* Did you mean 'local'",
        ),
        (
            lambda: ConvolutionalCircuit(AngleEmbedding(3), LAYERS, ("ZZ",)),
            "Pauli words of 3 letters .* holds 'ZZ'",
        ),
    ],
)
def test_impossible_circuits_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
