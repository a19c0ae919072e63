"""Every rewrite keeps the unitary: random circuits against the dense oracle."""

import numpy as np
import pennylane as qml
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from qfm_jax.simulator import affine, fusion
from qfm_jax.simulator.gates import Constant, Named, affine_image
from qfm_jax.simulator.reading import read_operations

N = 4
ANGLES = st.floats(-3, 3, allow_nan=False)
WIRES = st.permutations(range(N))


def _gate(kind, wires, angles):
    a, b, c = angles
    makers = [
        lambda: qml.RX(a, wires[0]),
        lambda: qml.RZ(a, wires[0]),
        lambda: qml.Rot(a, b, c, wires[0]),
        lambda: qml.CNOT(wires[:2]),
        lambda: qml.CZ(wires[:2]),
        lambda: qml.SWAP(wires[:2]),
        lambda: qml.CRY(a, wires[:2]),
        lambda: qml.IsingZZ(a, wires[:2]),
        lambda: qml.Toffoli(wires[:3]),
        lambda: qml.PauliX(wires[0]),
        lambda: qml.PauliRot(a, "XYZ", wires[:3]),
        lambda: qml.adjoint(qml.Rot(a, b, c, wires[0])),
        lambda: qml.StronglyEntanglingLayers(
            np.arange(2 * N * 3).reshape(2, N, 3) * a, wires
        ),
        lambda: qml.DiagonalQubitUnitary(np.exp(1j * a * np.arange(8)), wires[:3]),
    ]
    return makers[kind]()


CIRCUITS = st.lists(
    st.builds(_gate, st.integers(0, 13), WIRES, st.tuples(ANGLES, ANGLES, ANGLES)),
    min_size=1,
    max_size=14,
)


def _state(operations, device="qfm.statevector"):
    tape = qml.tape.QuantumScript(operations, [qml.state()])
    return qml.execute([tape], qml.device(device, wires=N))[0]


@settings(max_examples=60, deadline=None)
@given(CIRCUITS, st.integers(1, 3))
def test_state_is_the_oracles(operations, repeats):
    operations = operations * repeats
    expected = reference.state(operations, N)
    np.testing.assert_allclose(_state(operations), expected, atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(CIRCUITS, st.lists(st.sampled_from("IXYZ"), min_size=N, max_size=N))
def test_expectations_are_the_oracles(operations, word):
    observable = qml.pauli.string_to_pauli_word("".join(word))
    measured = [qml.expval(observable), qml.expval(qml.Z(1)), qml.probs(wires=[2, 0])]
    tape = qml.tape.QuantumScript(operations, measured)
    got = qml.execute([tape], qml.device("qfm.statevector", wires=N))[0]
    vector = reference.state(operations, N)
    np.testing.assert_allclose(got[0], reference.expectation(vector, word), atol=1e-10)
    np.testing.assert_allclose(
        got[1], reference.expectation(vector, "IZII"), atol=1e-10
    )
    weights = (abs(vector) ** 2).reshape((2,) * N).transpose(2, 0, 1, 3)
    np.testing.assert_allclose(got[2], weights.reshape(4, -1).sum(1), atol=1e-10)


@settings(max_examples=50, deadline=None)
@given(CIRCUITS, st.integers(1, 4), st.booleans())
def test_fusing_and_rolling_keep_the_unitary(operations, width, absorb):
    gates, leaves = _gates(operations)
    items = fusion.fuse(gates, lambda g: ("shared",) * len(g.reads), width, absorb)
    rolled = [i for r in fusion.segment(items) for turn in r.items for i in turn]
    assert rolled == items
    fused = [gate for item in items for gate in item.gates]
    assert len(fused) == len(gates)
    whole = np.eye(2**N)
    for gate in fused:
        whole = reference.embed(_matrix(gate, leaves), gate.wires, N) @ whole
    np.testing.assert_allclose(whole, reference.unitary(operations, N), atol=1e-9)


def _gates(operations):
    """The gates that a tape is read as, and the values of its leaves."""
    read = read_operations(operations, range(N))
    return read.circuit().gates, read.leaves.values


def _matrix(gate, leaves):
    values = []
    for read in gate.reads:
        end = read.start + int(np.prod(read.shape))
        flat = np.ravel(leaves[read.leaf])[read.start : end]
        values.append(read.scale * flat.reshape(read.shape))
    if isinstance(gate.tree, Named):
        return gate.tree.matrix(values)
    if isinstance(gate.tree, Constant):
        return gate.tree.value
    return values[0] if gate.tree == "matrix" else np.diag(values[0])


def test_repeated_layers_are_rolled_whatever_their_range():
    weights = np.random.default_rng(0).uniform(size=(9, N, 3))
    operations = [qml.StronglyEntanglingLayers(weights, range(N))]
    gates, _ = _gates(operations)
    items = fusion.fuse(gates, lambda g: ("shared",) * len(g.reads), 2, False)
    rolls = fusion.segment(items)
    assert max(roll.count for roll in rolls) == 9
    assert sum(len(roll.items[0]) for roll in rolls) == 3


@pytest.mark.parametrize("diagonal", [True, False])
def test_light_cone_drops_what_nobody_sees(diagonal):
    operations = [qml.RX(0.3, 0), qml.CNOT([0, 1]), qml.RX(0.2, 3), qml.RZ(0.1, 1)]
    kept = fusion.light_cone(_gates(operations)[0], [1], diagonal)
    assert [gate.wires for gate in kept] == [(0,), (0, 1)] + [(1,)] * (not diagonal)


@given(st.lists(st.sampled_from([(0, 1), (1, 2), (2, 0), (1, 0)]), max_size=8))
def test_affine_maps_compose_and_invert(pairs):
    whole = affine.identity(3)
    table = np.arange(8)
    for pair in pairs:
        gate = affine.on_wires((0, 1, 3), pair, 3)
        whole = affine.compose(gate, whole)
        table = affine_image(gate)[table]
    np.testing.assert_array_equal(affine_image(whole), table)
    assert affine.compose(affine.invert(whole), whole) == affine.identity(3)


def test_shared_gates_behind_the_data_may_stay_out_of_the_product_state():
    operations = [
        *(qml.RY(np.array([0.1, 0.2]), 0), qml.RX(0.3, 0), qml.RX(0.4, 1)),
        *(qml.RZ(0.5, 1), qml.CNOT([0, 1]), qml.RX(0.6, 0)),
    ]
    gates, _ = _gates(operations)
    data, *_ = gates

    def pools_of(gate):
        return tuple("batched" if gate is data else "shared" for _ in gate.reads)

    first, rest = fusion.product_prefix(gates, [])
    assert (first[0], first[1]) == (list(gates[:2]), list(gates[2:4]))
    assert rest == list(gates[4:])
    first, rest = fusion.product_prefix(gates, [], pools_of)
    assert first[0] == [data]
    assert first[1] == list(gates[2:4])
    assert rest == [gates[1], *gates[4:]]


def test_a_real_gate_has_a_real_matrix_and_the_same_state():
    angles = np.linspace(0.1, 2, N)
    operations = [qml.RY(a, i) for i, a in enumerate(angles)]
    state = _state(operations)
    np.testing.assert_allclose(state, reference.state(operations, N), atol=1e-12)
    mixed = [*operations, qml.RX(0.3, 1), qml.RY(0.2, 1), qml.CRY(0.4, [1, 3])]
    np.testing.assert_allclose(_state(mixed), reference.state(mixed, N), atol=1e-12)
