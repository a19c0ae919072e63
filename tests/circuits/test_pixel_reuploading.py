import numpy as np
import pennylane as qml
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from qfm_jax._checks import InputError
from qfm_jax.circuits import PixelReuploading, VariationalCircuit

RNG = np.random.default_rng(37)
CNOT = np.eye(4)[[0, 1, 3, 2]]
HADAMARD = np.array([[1, 1], [1, -1]]) / np.sqrt(2)


def turn(axis, angle):
    c, s = np.cos(angle / 2), np.sin(angle / 2)
    matrices = {"Y": [[c, -s], [s, c]], "Z": [[c - 1j * s, 0], [0, c + 1j * s]]}
    return np.array(matrices[axis])


def dense_expectations(n_qubits, places, inputs, weights, between=HADAMARD):
    """<Z_i> by dense matrices; `places` (layer, qubit, angle) name pixels, or -1."""
    state = np.eye(2**n_qubits)[0]
    for i in range(n_qubits):
        state = reference.embed(between, [i], n_qubits) @ state
    for layer, (at, row) in enumerate(zip(places, weights, strict=True)):
        for i in range(n_qubits):
            for k in range(3):
                scale, offset = row[i, k]
                pixel = inputs[at[i][k]] if at[i][k] >= 0 else 0
                gate = turn("ZYZ"[k], scale * pixel + offset)
                state = reference.embed(gate, [i], n_qubits) @ state
        for i in range(n_qubits):
            pair = [i, (i + layer % (n_qubits - 1) + 1) % n_qubits]
            state = reference.embed(CNOT, pair, n_qubits) @ state
    for i in range(n_qubits):
        state = reference.embed(between, [i], n_qubits) @ state
    words = ["I" * i + "Z" + "I" * (n_qubits - 1 - i) for i in range(n_qubits)]
    return [reference.expectation(state, word) for word in words]


# 4 x 4 pixels on three qubits: in C order, and in regions.
#   0 0 1 1
#   0 1 1 1
#   0 2 2 2
#   0 2 2 2
PLACES = {
    "raster": [
        [[0, 1, 2], [3, 4, 5], [6, 7, 8]],
        [[9, 10, 11], [12, 13, 14], [15, -1, -1]],
    ],
    "patch": [
        [[0, 1, 4], [2, 3, 5], [9, 10, 11]],
        [[8, 12, -1], [6, 7, -1], [13, 14, 15]],
    ],
}


def expectations(circuit, inputs, weights):
    qnode = qml.QNode(circuit, qml.device("default.qubit", wires=circuit.n_qubits))
    return np.stack(qnode(inputs, weights))


@pytest.mark.parametrize("n_repeats", [1, 2])
@pytest.mark.parametrize("order", PLACES)
def test_expectations_are_those_of_dense_matrices(order, n_repeats):
    circuit = PixelReuploading(3, 16, n_repeats, order)
    assert circuit.weights_shape == (2 * n_repeats, 3, 3, 2)
    inputs = RNG.uniform(size=16)
    weights = RNG.uniform(-3, 3, circuit.weights_shape)
    places = PLACES[order] * n_repeats
    expected = dense_expectations(3, places, inputs, weights)
    actual = expectations(circuit, inputs, weights)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_one_qubit_turns_by_scale_times_pixel_plus_offset():
    circuit = PixelReuploading(1, 4, order="raster")
    inputs, weights = RNG.uniform(size=4), np.zeros((2, 1, 3, 2))
    weights[:, 0, [0, 2]] = RNG.uniform(-1, 1, (2, 2, 2))  # the turns about Z
    turned = np.sum(weights[..., 1]) + weights[0, 0, 0, 0] * inputs[0]
    turned += weights[0, 0, 2, 0] * inputs[2] + weights[1, 0, 0, 0] * inputs[3]
    actual = expectations(circuit, inputs, weights)
    np.testing.assert_allclose(actual, [np.cos(turned)], atol=1e-12)


@given(
    st.integers(1, 12),
    st.integers(1, 20).map(lambda side: side**2),
    st.sampled_from(["patch", "raster"]),
)
def test_every_pixel_has_one_place_and_no_layer_is_empty(n_qubits, n_features, order):
    places = np.array(PixelReuploading(n_qubits, n_features, order=order).pixels)
    assert places.shape == (-(-n_features // (3 * n_qubits)), n_qubits, 3)
    found = np.sort(places[places >= 0])
    np.testing.assert_array_equal(found, np.arange(n_features))
    per_qubit = (places >= 0).sum(axis=(0, 2))
    if order == "patch":
        assert np.ptp(per_qubit) <= 1
    # A qubit's places are filled from the first layer on, in the order of the pixels.
    for filled in np.swapaxes(places, 0, 1).reshape(n_qubits, -1):
        assert (np.diff(filled[filled >= 0]) > 0).all()
        assert (filled[(filled >= 0).sum() :] == -1).all()


@pytest.mark.parametrize(("n_qubits", "grid"), [(4, (2, 2)), (8, (2, 4)), (16, (4, 4))])
def test_a_patch_is_a_rectangle_where_the_image_divides_into_such(n_qubits, grid):
    height, width = 16 // grid[0], 16 // grid[1]
    image = np.arange(256).reshape(16, 16)
    blocks = image.reshape(grid[0], height, grid[1], width).swapaxes(1, 2)
    expected = {tuple(block) for block in blocks.reshape(n_qubits, -1)}
    places = np.array(PixelReuploading(n_qubits, 256).pixels).swapaxes(0, 1)
    regions = {tuple(row[row >= 0]) for row in places.reshape(n_qubits, -1)}
    assert regions == expected


@pytest.mark.parametrize("n_qubits", range(3, 11))
def test_a_patch_is_compact(n_qubits):
    places = np.array(PixelReuploading(n_qubits, 784).pixels)
    for qubit in range(n_qubits):
        pixels = places[:, qubit][places[:, qubit] >= 0]
        position = np.stack(np.divmod(pixels, 28))
        spread = position.var(axis=1).sum()
        # A square of m pixels has (m - 1)/6; a third of a square, 5/3 of that.
        assert spread < 1.75 * (len(pixels) - 1) / 6


def slopes(circuit):
    """The largest gradient by each pixel, of any expectation at four random weights."""
    found = []
    for _ in range(4):
        inputs = RNG.uniform(size=circuit.n_features)
        weights = RNG.uniform(-3, 3, circuit.weights_shape)
        step = 1e-4 * np.eye(circuit.n_features)
        ahead = expectations(circuit, inputs + step, weights)
        behind = expectations(circuit, inputs - step, weights)
        found.append(abs(ahead - behind).max(axis=0) / 2e-4)
    return np.max(found, axis=0)


@pytest.mark.parametrize("order", PLACES)
def test_every_pixel_has_an_effect(order):
    assert (slopes(PixelReuploading(3, 36, order=order)) > 1e-2).all()


def test_without_hadamards_the_first_turns_and_the_last_ones_do_nothing():
    inputs, weights = RNG.uniform(size=16), RNG.uniform(-3, 3, (2, 3, 3, 2))
    arguments = [3, PLACES["raster"], inputs, weights, np.eye(2)]
    expected = dense_expectations(*arguments)
    inputs[[0, 3, 6, 11, 14]] += 0.5
    np.testing.assert_allclose(dense_expectations(*arguments), expected, atol=1e-12)
    inputs[1] += 0.5
    assert np.abs(np.subtract(dense_expectations(*arguments), expected)).max() > 1e-3


def test_scales_of_places_without_a_pixel_do_nothing():
    circuit = PixelReuploading(3, 16)
    inputs = RNG.uniform(size=16)
    weights = RNG.uniform(-3, 3, circuit.weights_shape)
    other = weights.copy()
    other[np.array(PLACES["patch"]) < 0, 0] += 1
    assert (other != weights).sum() == 2
    expected = expectations(circuit, inputs, weights)
    np.testing.assert_array_equal(expectations(circuit, inputs, other), expected)


def test_the_circuit_publishes_its_shapes():
    circuit = PixelReuploading(10, 784, n_repeats=2, observables=("Z" * 10,))
    assert isinstance(circuit, VariationalCircuit)
    assert circuit.n_layers == 54
    assert circuit.weights_shape == (54, 10, 3, 2)
    assert circuit.n_observables == 1
    assert len({circuit, PixelReuploading(10, 784, 2, observables=("Z" * 10,))}) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4), "`n_qubits` must be a whole number of at least 1, but is 0"),
        ((3, 0), "`n_features` must be a whole number of at least 1, but is 0"),
        ((3, 4, 0), "`n_repeats` must be a whole number of at least 1, but is 0"),
        ((3, 5), "`n_features` must be a square .* but is 5. .* order='raster'"),
        ((3, 4, 1, "pach"), "`order` must be one of .* Did you mean 'patch'"),
        ((3, 4, 1, "patch", ("ZZ",)), "Pauli words of 3 letters .* holds 'ZZ'"),
    ],
)
def test_impossible_circuits_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        PixelReuploading(*arguments)


def test_inputs_and_weights_of_another_shape_are_refused():
    circuit = PixelReuploading(3, 9)
    with pytest.raises(InputError, match=r"`inputs` must have shape \(9,\), but has"):
        circuit(np.zeros(8), np.zeros((1, 3, 3, 2)))
    with pytest.raises(InputError, match=r"`weights` must have shape \(1, 3, 3, 2\)"):
        circuit(np.zeros(9), np.zeros((1, 3, 3)))


@pytest.mark.parametrize(
    ("n_qubits", "n_layers", "n_features", "n_repeats"),
    [(8, 18, 196, 2), (10, 27, 784, 1), (10, 81, 784, 3), (1, 1, 1, 1), (8, 8, 49, 2)],
)
def test_of_layers_takes_the_largest_image_as_often_as_it_can(
    n_qubits, n_layers, n_features, n_repeats
):
    circuit = PixelReuploading.of_layers(n_qubits, n_layers)
    assert (circuit.n_features, circuit.n_repeats) == (n_features, n_repeats)
    assert circuit.n_layers <= n_layers
