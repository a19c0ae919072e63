import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qfm_jax._checks import InputError
from qfm_jax.circuits import (
    EMBEDDINGS,
    AmplitudeEmbedding,
    AngleEmbedding,
    ZZEmbedding,
)

# PennyLane 0.45 asks jax 0.10 for names that it has deprecated.


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


RNG = np.random.default_rng(7)


def prepared(embedding, wires=None):
    """The function features -> state vector, on wires 0, 1, ..., n_qubits - 1."""

    @qml.qnode(qml.device("default.qubit", wires=embedding.n_qubits))
    def state(features):
        embedding(features, wires=wires)
        return qml.state()

    return state


def product(*qubits):
    state = np.ones(1)
    for qubit in qubits:
        state = np.kron(state, qubit)
    return state


QUBIT = {  # R_P(x)|0>, for Z after a Hadamard
    "X": lambda x: np.array([np.cos(x / 2), -1j * np.sin(x / 2)]),
    "Y": lambda x: np.array([np.cos(x / 2), np.sin(x / 2)]),
    "Z": lambda x: np.array([np.exp(-0.5j * x), np.exp(0.5j * x)]) / np.sqrt(2),
}


@pytest.mark.parametrize("rotation", QUBIT)
def test_angle_embedding_prepares_the_product_of_rotated_qubits(rotation):
    features = RNG.uniform(-4, 4, 3)
    expected = product(*map(QUBIT[rotation], features))
    state = prepared(AngleEmbedding(3, rotation))(features)
    np.testing.assert_allclose(state, expected, atol=1e-12)


def test_wires_say_which_qubit_takes_which_feature():
    features = np.array([0.3, 1.1, 2.5])
    expected = product(*map(QUBIT["Y"], features[[1, 2, 0]]))
    state = prepared(AngleEmbedding(3), wires=[2, 0, 1])(features)
    np.testing.assert_allclose(state, expected, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    arrays(float, st.integers(1, 8), elements=st.floats(-10, 10)).filter(
        lambda features: np.linalg.norm(features) > 1e-3
    )
)
def test_amplitude_embedding_pads_and_normalises(features):
    expected = np.zeros(8)
    expected[: len(features)] = features / np.linalg.norm(features)
    state = prepared(AmplitudeEmbedding(3, len(features)))(features)
    np.testing.assert_allclose(state, expected, atol=1e-12)


def test_amplitude_embedding_does_not_overflow_on_pixels_of_one_byte():
    pixels = np.array([0, 16, 128, 255, 200, 100, 50, 3], dtype=np.uint8)
    expected = pixels / np.linalg.norm(pixels.astype(float))
    state = prepared(AmplitudeEmbedding(3))(pixels)
    np.testing.assert_allclose(state, expected, atol=1e-12)


def test_amplitude_embedding_takes_as_many_features_as_amplitudes_by_default():
    assert AmplitudeEmbedding(4).n_features == 16
    assert AmplitudeEmbedding(4) == AmplitudeEmbedding(4, 16)
    assert hash(AmplitudeEmbedding(4)) == hash(AmplitudeEmbedding(4, 16))


BOTH = [AngleEmbedding(3), AngleEmbedding(3, "Z"), AmplitudeEmbedding(3, 5)]


@pytest.mark.parametrize("embedding", BOTH, ids=str)
def test_a_batch_is_embedded_sample_by_sample(embedding):
    # As many samples as features: an embedding that takes x[i] would pass unnoticed.
    features = RNG.uniform(0.1, 2, (embedding.n_features, embedding.n_features))
    state = prepared(embedding)
    expected = np.stack([state(sample) for sample in features])
    np.testing.assert_allclose(state(features), expected, atol=1e-12)
    np.testing.assert_allclose(
        jax.jit(jax.vmap(state))(jnp.asarray(features)), expected, atol=1e-12
    )


def test_amplitude_embedding_is_differentiable_through_norm_and_padding():
    state = prepared(AmplitudeEmbedding(3, 5))
    features = RNG.uniform(0.1, 1, 5)
    step = 1e-6 * np.eye(5)
    expected = (state(features + step) - state(features - step)).T.real / 2e-6
    amplitudes = jax.jit(jax.jacobian(lambda features: state(features).real))
    np.testing.assert_allclose(amplitudes(jnp.asarray(features)), expected, atol=1e-8)


def test_a_traced_sample_of_zeros_gives_the_zero_state_and_no_nan():
    state = prepared(AmplitudeEmbedding(3, 5))
    features = jnp.zeros((2, 5)).at[1, 2].set(4.0)  # the second sample is not zero
    np.testing.assert_allclose(jax.jit(state)(features), np.eye(8)[[0, 2]], atol=1e-12)
    np.testing.assert_allclose(jax.vmap(state)(features), np.eye(8)[[0, 2]], atol=1e-12)
    gradient = jax.jit(jax.jacobian(lambda features: state(features).real))(features)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("to_array", [np.asarray, jnp.asarray])
def test_a_sample_of_zeros_is_refused_where_values_are_known(to_array):
    features = np.ones((3, 8))
    features[1] = 0
    with pytest.raises(InputError, match=r"`features` must have a value other than"):
        AmplitudeEmbedding(3)(to_array(features))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AngleEmbedding(0), "`n_qubits` must be a whole number of at least 1"),
        (lambda: AmplitudeEmbedding(-2), "`n_qubits` must be .* but is -2"),
        (lambda: AngleEmbedding(3, "W"), "`rotation` must be one of X, Y, Z, but is"),
        (lambda: AmplitudeEmbedding(3, 0), "`n_features` must be .* but is 0"),
        (
            lambda: AmplitudeEmbedding(3, 9),
            r"must be at most 2\*\*n_qubits = 8, but is 9. Take n_qubits=4",
        ),
    ],
)
def test_impossible_embeddings_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize("embedding", BOTH, ids=str)
def test_features_of_another_shape_are_refused(embedding):
    n_features = embedding.n_features
    with pytest.raises(
        InputError, match=rf"have shape \({n_features},\), but has .*\("
    ):
        embedding(np.ones(n_features + 1))
    with pytest.raises(InputError, match=rf"have shape \(batch, {n_features}\)"):
        embedding(np.ones((n_features, n_features - 1)))
    with pytest.raises(InputError, match=r"has shape \(\)"):
        embedding(np.array(1.0))
    with pytest.raises(InputError, match=r"Use jax\.vmap for further batch axes"):
        embedding(np.ones((2, 2, n_features)))


@pytest.mark.parametrize("embedding", BOTH, ids=str)
def test_another_number_of_wires_is_refused(embedding):
    with pytest.raises(InputError, match=r"`wires` must name 3 wires, .* but names 4"):
        embedding(np.ones(embedding.n_features), wires=range(4))


def test_every_name_stands_for_an_embedding_made_from_a_number_of_qubits():
    assert {name: make(3).n_features for name, make in EMBEDDINGS.items()} == {
        "angle": 3,
        "zz": 3,
        "amplitude": 8,
    }


@pytest.mark.parametrize(("n_qubits", "n_repeats"), [(2, 1), (3, 2), (4, 1)])
def test_the_zz_embedding_is_qiskits(n_qubits, n_repeats):
    from qiskit.circuit.library import zz_feature_map
    from qiskit.quantum_info import Statevector

    features = RNG.uniform(-2, 2, n_qubits)
    theirs = zz_feature_map(n_qubits, reps=n_repeats, entanglement="full")
    bound = theirs.assign_parameters(features).reverse_bits()
    state = prepared(ZZEmbedding(n_qubits, n_repeats))(features)
    assert abs(Statevector(bound).data.conj() @ state) == pytest.approx(1)


@pytest.mark.parametrize("field", ["n_qubits", "n_repeats"])
def test_the_zz_embedding_checks_its_sizes(field):
    with pytest.raises(InputError, match=f"`{field}` must be .* but is 0"):
        ZZEmbedding(**{"n_qubits": 2, "n_repeats": 1} | {field: 0})
