import numpy as np
import pennylane as qml
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from qfm_jax._checks import InputError
from qfm_jax.circuits import AngleEmbedding, ChainLayers, Circuit, TreeLayers
from qfm_jax.circuits.blocks import BLOCKS
from qfm_jax.circuits.tensor_network import tree_pairs

RNG = np.random.default_rng(31)
BOTH = [TreeLayers, ChainLayers]


def random_weights(layers):
    return RNG.uniform(-np.pi, np.pi, layers.weights_shape)


def block_matrix(layers, angles):
    """Its 4 x 4 matrix; test_blocks holds it against the formula."""
    return qml.matrix(BLOCKS[layers.block].apply, wire_order=[0, 1])(angles, [0, 1])


PAIRS = {
    (TreeLayers, 4): [(0, 1), (2, 3), (1, 3)],
    (TreeLayers, 5): [(0, 1), (2, 3), (1, 3), (3, 4)],
    (ChainLayers, 4): [(0, 1), (1, 2), (2, 3)],
}


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(("layers_type", "n_qubits"), PAIRS)
def test_the_unitary_is_the_product_of_dense_blocks(layers_type, n_qubits, block):
    layers = layers_type(n_qubits, 2, block)
    weights = random_weights(layers)
    expected = np.eye(2**n_qubits)
    for row in weights:
        for angles, pair in zip(row, PAIRS[layers_type, n_qubits], strict=True):
            matrix = block_matrix(layers, angles)
            expected = reference.embed(matrix, pair, n_qubits) @ expected
    actual = qml.matrix(layers, wire_order=range(n_qubits))(weights)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def join(layers, angles, first, second):
    """Density matrix of the second qubit after a block on two that are independent."""
    matrix = block_matrix(layers, angles)
    joint = matrix @ np.kron(first, second) @ matrix.conj().T
    return np.einsum("ijik->jk", joint.reshape(2, 2, 2, 2))


def contract_tree(layers, blocks, qubits):
    if len(qubits) == 1:
        return qubits[0]
    joined = [
        join(layers, next(blocks), *pair)
        for pair in zip(qubits[::2], qubits[1::2], strict=False)
    ]
    return contract_tree(layers, blocks, joined + qubits[len(joined) * 2 :])


def contract_chain(layers, blocks, qubits):
    while len(qubits) > 1:
        qubits = [join(layers, next(blocks), *qubits[:2]), *qubits[2:]]
    return qubits[0]


@pytest.mark.parametrize("n_qubits", [3, 6, 8])
@pytest.mark.parametrize(
    ("layers_type", "contract"),
    [(TreeLayers, contract_tree), (ChainLayers, contract_chain)],
)
def test_one_layer_is_a_contraction_of_density_matrices(
    layers_type, contract, n_qubits
):
    layers = layers_type(n_qubits, 1)
    inputs, weights = RNG.uniform(-3, 3, n_qubits), random_weights(layers)
    kets = np.stack([np.cos(inputs / 2), np.sin(inputs / 2)], axis=1)
    qubits = [np.outer(ket, ket) for ket in kets]
    root = contract(layers, iter(weights[0]), qubits)
    (wire,) = layers.wires_left
    words = tuple("I" * wire + letter for letter in "XYZ")
    circuit = Circuit(AngleEmbedding(n_qubits), layers, words)
    qnode = qml.QNode(circuit, qml.device("default.qubit", wires=n_qubits))
    expected = [2 * root[1, 0].real, 2 * root[1, 0].imag, (root[0, 0] - root[1, 1])]
    np.testing.assert_allclose(qnode(inputs, weights), expected, atol=1e-12)


@given(st.integers(1, 40))
def test_a_tree_reaches_its_root_from_every_leaf(n_qubits):
    pairs = tree_pairs(n_qubits)
    parents = dict(pairs)  # every qubit but the root is discarded once
    assert len(parents) == len(pairs) == n_qubits - 1
    depth = 0
    for leaf in range(n_qubits):
        wire, level = leaf, 0
        while wire in parents:
            wire, level = parents[wire], level + 1
        assert wire == n_qubits - 1
        depth = max(depth, level)
    assert depth <= max(n_qubits - 1, 0).bit_length()


@pytest.mark.parametrize("layers_type", BOTH)
def test_blocks_have_their_own_weights(layers_type):
    assert layers_type(6, 2).weights_shape == (2, 5, 15)
    assert layers_type(6, 2, "real").weights_shape == (2, 5, 2)
    assert layers_type(1, 2).weights_shape == (2, 0, 15)
    assert len({layers_type(6, 2), layers_type(6, 2), layers_type(6, 2, "real")}) == 2


@pytest.mark.parametrize("layers_type", BOTH)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1), "`n_qubits` must be a whole number of at least 1, but is 0"),
        ((3, 0), "`n_layers` must be a whole number of at least 1, but is 0"),
        ((3, 1, "su5"), "`block` must be one of real, su4, .* Did you mean 'su4'"),
    ],
)
def test_impossible_layers_are_refused(layers_type, arguments, message):
    with pytest.raises(InputError, match=message):
        layers_type(*arguments)


@pytest.mark.parametrize("layers_type", BOTH)
def test_weights_of_another_shape_are_refused(layers_type):
    with pytest.raises(InputError, match=r"`weights` must have shape \(2, 3, 15\)"):
        layers_type(4, 2)(np.zeros((2, 4, 15)))
