"""Blocks: what stands in for a circuit takes the same features and no others."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.circuits import DataReuploading, Separable, build_circuit
from qfm_jax.devices import DeviceConfig
from qfm_jax.models.block import (
    BLOCKS,
    FourierBlock,
    block_width,
    build_block,
    highest_frequency,
)
from qfm_jax.models.quantum_layer import QuantumParam

ANGLE = build_circuit("angle", "strongly-entangling", 3, n_layers=2)
AMPLITUDE = build_circuit("amplitude", "real-amplitudes", 3, n_layers=1)
# Compiles faster than the others do.
LIGHTNING = DeviceConfig("lightning.qubit", diff_method="adjoint")
FEATURES = np.random.default_rng(3).uniform(0, np.pi, (5, 3)).astype(np.float32)


def build(kind, circuit=ANGLE):
    return build_block(kind, circuit, device=LIGHTNING, rngs=nnx.Rngs(4))


def n_parameters(block):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(block)))


@pytest.mark.parametrize(
    ("kind", "circuit"),
    [(kind, ANGLE) for kind in BLOCKS]
    # Amplitudes have neither a Fourier surrogate nor a match, see below.
    + [(kind, AMPLITUDE) for kind in BLOCKS if kind not in ("fourier", "matched")],
)
def test_every_kind_maps_the_circuits_features_to_the_width_it_publishes(kind, circuit):
    block = nnx.eval_shape(lambda: build(kind, circuit))
    features = jax.ShapeDtypeStruct((4, 2, circuit.n_features), jnp.float32)
    out = nnx.eval_shape(lambda block, x: block(x), block, features)
    assert out.shape == (4, 2, block_width(kind, circuit))


def test_a_frozen_circuit_is_the_circuit_without_anything_to_train():
    circuit, frozen = build("circuit"), build("frozen")
    np.testing.assert_array_equal(circuit(FEATURES), frozen(FEATURES))
    assert n_parameters(circuit) == n_parameters(frozen) == 18
    assert jax.tree.leaves(nnx.state(frozen, nnx.Param)) == []
    assert len(jax.tree.leaves(nnx.state(circuit, QuantumParam))) == 1


def test_without_entanglement_an_output_depends_on_its_own_feature_alone():
    block = build("separable")
    jacobian = jax.jacobian(lambda x: block(x[None])[0])(jnp.asarray(FEATURES[0]))
    off_diagonal = np.asarray(jacobian)[~np.eye(3, dtype=bool)]
    np.testing.assert_allclose(off_diagonal, 0, atol=1e-6)
    assert np.all(np.abs(np.diag(jacobian)) > 1e-3)


@pytest.mark.parametrize("n_layers", [1, 2, 10, 60])
def test_the_matched_block_has_the_nearest_number_of_parameters(n_layers):
    circuit = build_circuit("angle", "strongly-entangling", 8, n_layers)
    block = nnx.eval_shape(lambda: build("matched", circuit))
    possible = [8 * rank + (rank + 1) * 8 for rank in range(1, 200)]
    wanted = math.prod(circuit.weights_shape)
    assert n_parameters(block) in possible
    nearest = min(abs(count - wanted) for count in possible)
    assert abs(n_parameters(block) - wanted) == nearest


def test_the_fourier_block_is_the_sum_that_it_says():
    block = FourierBlock(3, 2, 2, n_frequencies=5, rngs=nnx.Rngs(1))
    w = np.asarray(block.frequencies[...])  # (3, 5)
    assert set(np.unique(w)) <= {-2, -1, 0, 1, 2}
    kernel = np.asarray(block.coefficients.kernel[...])  # (10, 2)
    bias = np.asarray(block.coefficients.bias[...])
    for x, k in itertools.product(FEATURES, range(2)):
        terms = [
            kernel[j, k] * np.cos(x @ w[:, j]) + kernel[5 + j, k] * np.sin(x @ w[:, j])
            for j in range(5)
        ]
        np.testing.assert_allclose(block(x)[k], bias[k] + sum(terms), atol=1e-5)


def test_its_frequencies_are_not_trained():
    block = FourierBlock(3, 2, rngs=nnx.Rngs(1))
    sizes = [leaf.size for leaf in jax.tree.leaves(nnx.state(block, nnx.Param))]
    assert sum(sizes) == (2 * 32 + 1) * 2


def test_the_highest_frequency_is_the_number_of_uploads():
    assert highest_frequency(ANGLE) == 1
    assert highest_frequency(DataReuploading(3, n_layers=4, n_features=3)) == 4
    assert highest_frequency(DataReuploading(3, n_layers=4, n_features=5)) == 3


def test_nothing_is_nothing():
    for kind in ("removed", "linear"):
        np.testing.assert_array_equal(build(kind)(FEATURES), FEATURES)


@pytest.mark.parametrize(
    ("kind", "circuit", "sentence"),
    [
        ("circus", ANGLE, "`block` must be one of .* Did you mean 'circuit'"),
        ("fourier", AMPLITUDE, "`block` must be another one .* a Fourier series"),
        ("matched", AMPLITUDE, "no dense bottleneck has about 6 parameters.* has 14"),
    ],
)
def test_bad_input_gets_a_sentence(kind, circuit, sentence):
    with pytest.raises(InputError, match=sentence):
        build(kind, circuit)
    if kind == "fourier":  # nor when it is wrapped
        with pytest.raises(InputError, match=sentence):
            highest_frequency(Separable(circuit))


@pytest.mark.parametrize("option", ["highest", "n_frequencies"])
def test_the_fourier_block_checks_its_sizes(option):
    with pytest.raises(InputError, match=f"`{option}` must be .* at least 1, but is 0"):
        FourierBlock(3, 2, **{option: 0}, rngs=nnx.Rngs(0))
