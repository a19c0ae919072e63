"""General unitaries on groups of qubits, and the circuit of pixels as energies."""

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest
import reference
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from qfm_jax._checks import InputError
from qfm_jax.circuits import (
    AmplitudeEmbedding,
    Circuit,
    HamiltonianReuploading,
    UnitaryLayers,
    build_circuit,
    named_circuit,
)
from qfm_jax.circuits.unitary import exponential
from qfm_jax.devices import DeviceConfig, as_jax_function

RNG = np.random.default_rng(5)


def hermitian(weights):
    """The matrix that the docstring describes, entry by entry."""
    side = len(weights)
    found = np.zeros((side, side), complex)
    for j in range(side):
        found[j, j] = weights[j, j]
        for k in range(j + 1, side):
            found[j, k] = weights[j, k] + 1j * weights[k, j]
            found[k, j] = found[j, k].conj()
    return found


@given(st.integers(1, 8), st.floats(0.01, 3.0), st.integers(0, 2**32 - 1))
def test_the_exponential_is_scipys(side, size, seed):
    weights = np.random.default_rng(seed).normal(size=(2, side, side)) * size
    expected = [scipy.linalg.expm(1j * hermitian(w)) for w in weights]
    np.testing.assert_allclose(exponential(weights), expected, atol=1e-9)


def test_the_exponential_holds_in_single_precision_and_its_gradient():
    weights = RNG.normal(size=(16, 16))
    expected = scipy.linalg.expm(1j * hermitian(weights))
    single = exponential(jnp.asarray(weights, jnp.float32))
    assert single.dtype == np.complex64
    np.testing.assert_allclose(single, expected, atol=3e-6)

    def entry(w):
        return exponential(w)[3, 5].real

    gradient = jax.grad(entry)(jnp.asarray(weights, jnp.float32))
    for j, k in ((0, 0), (2, 9), (9, 2), (15, 3)):
        step = np.zeros((16, 16))
        step[j, k] = 1e-5
        slope = (entry(weights + step) - entry(weights - step)) / 2e-5
        assert abs(gradient[j, k] - slope) < 1e-4


def test_its_products_have_full_precision_on_every_machine():
    gradient = jax.grad(lambda w: exponential(w).real.sum())
    program = str(jax.make_jaxpr(gradient)(jnp.zeros((8, 8))))
    products = program.count("dot_general[")
    assert products > 16
    assert program.count("precision=(Precision.HIGHEST, Precision.HIGHEST)") == products


@pytest.mark.parametrize(
    ("n_qubits", "size", "groups"),
    [
        (4, 2, [[(0, 1), (2, 3)], [(0, 2), (1, 3)], [(0, 1), (2, 3)]]),
        (5, 2, [[(0, 1), (2, 3), (3, 4)], [(0, 2), (4, 1), (1, 3)], None]),
        (3, 5, [[(0, 1, 2)], [(0, 2, 1)], None]),
    ],
)
def test_the_unitary_is_the_product_of_its_groups(n_qubits, size, groups):
    layers = UnitaryLayers(n_qubits, 3, size)
    weights = RNG.normal(size=layers.weights_shape)
    expected = np.eye(2**n_qubits)
    for layer, expected_groups in enumerate(groups):
        its_groups = expected_groups or groups[0]
        assert list(layers.groups(layer)) == its_groups
        for own, group in zip(weights[layer], its_groups, strict=True):
            matrix = scipy.linalg.expm(1j * hermitian(own))
            expected = reference.embed(matrix, group, n_qubits) @ expected
    actual = qml.matrix(layers, wire_order=range(n_qubits))(weights)
    np.testing.assert_allclose(actual, expected, atol=1e-10)


def by_hand(circuit, x, weights):
    """Expectations of HamiltonianReuploading from dense matrices."""
    n = circuit.n_qubits
    state = x / np.linalg.norm(x)
    layers = circuit.layers
    for layer, row in enumerate(weights):
        state = np.exp(-1j * row[: 2**n] * x) * state
        blocks = row[2**n :].reshape(layers.weights_shape[1:])
        for own, group in zip(blocks, layers.groups(layer), strict=True):
            matrix = scipy.linalg.expm(1j * hermitian(own))
            state = reference.embed(matrix, group, n) @ state
    bits = np.arange(2**n)[:, None] >> np.arange(n - 1, -1, -1) & 1
    return np.abs(state) ** 2 @ (1 - 2 * bits)


@pytest.mark.parametrize("name", ["qfm.statevector", "default.qubit"])
def test_pixels_are_energies(name):
    circuit = HamiltonianReuploading(4, n_layers=3, group_size=2)
    weights = RNG.normal(size=circuit.weights_shape)
    inputs = RNG.normal(size=(5, 16))
    function = as_jax_function(circuit, DeviceConfig(name))
    shared = jnp.asarray(weights, jnp.float32)
    run = jax.jit(jax.vmap(lambda x: function(inputs=x, weights=shared)))
    expected = [by_hand(circuit, x, weights) for x in inputs]
    actual = run(jnp.asarray(inputs, jnp.float32))
    np.testing.assert_allclose(actual, expected, atol=2e-5)


def test_names_build_them():
    circuit = build_circuit("amplitude", "unitary", 6, n_layers=2)
    assert circuit == Circuit(AmplitudeEmbedding(6), UnitaryLayers(6, 2))
    found = named_circuit("hamiltonian", 6, n_layers=2)
    assert found == HamiltonianReuploading(6, 2)
    again = named_circuit("reuploading", 3, n_layers=4)
    assert (again.n_features, again.n_layers) == (3, 4)


def test_bad_input():
    with pytest.raises(InputError, match="whole circuit: name it as `circuit='hamil"):
        build_circuit("hamiltonian", "tree", 4, n_layers=2)
    for field in ("n_qubits", "n_layers", "group_size"):
        sizes = {"n_qubits": 3, "n_layers": 1, "group_size": 2} | {field: 0}
        for circuit in (UnitaryLayers, HamiltonianReuploading):
            with pytest.raises(InputError, match=f"`{field}` must be .* but is 0"):
                circuit(**sizes)
    with pytest.raises(InputError, match=r"`weights` must have shape \(1, 1, 8, 8\)"):
        UnitaryLayers(3, 1)(np.zeros((1, 1, 4, 4)))
    with pytest.raises(InputError, match=r"`inputs` must have shape \(8,\)"):
        HamiltonianReuploading(3, 1)(np.zeros(7), np.zeros((1, 72)))
