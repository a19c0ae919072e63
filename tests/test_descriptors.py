"""Random circuits against closed forms and Haar-random states."""

import json
from dataclasses import dataclass

import jax
import numpy as np
import pennylane as qml
import pytest
import reference

from qfm_jax import descriptors
from qfm_jax._checks import InputError
from qfm_jax.circuits import AmplitudeEmbedding, AngleEmbedding, Circuit, RealAmplitudes
from qfm_jax.descriptors import (
    describe,
    divergence_from_haar,
    entangling_capability,
    expressibility,
    expressibility_floor,
    gradient_variance,
    meyer_wallach,
)

KEY = jax.random.key(3)
RNG = np.random.default_rng(3)


@dataclass(frozen=True)
class Turns:
    """Hadamards, if any, turns of the first qubits, a chain of CNOTs, if any."""

    n_qubits: int = 3
    n_turns: int = 3
    gate: type = qml.RX
    hadamards: bool = False
    chained: bool = False

    n_features = 1

    @property
    def weights_shape(self):
        return (self.n_turns,)

    @property
    def n_observables(self):
        return 1

    def __call__(self, inputs, weights):
        for wire in range(self.n_qubits if self.hadamards else 0):
            qml.Hadamard(wire)
        for wire in range(self.n_turns):
            self.gate(weights[..., wire], wires=wire)
        for wire in range(self.n_qubits - 1 if self.chained else 0):
            qml.CNOT([wire, wire + 1])
        return [qml.expval(qml.Z(0))]


def haar_states(n_states, n_qubits):
    parts = RNG.normal(size=(2, n_states, 2**n_qubits))
    states = parts[0] + 1j * parts[1]
    return states / np.linalg.norm(states, axis=1, keepdims=True)


def basis(n_qubits, *indices):
    state = np.zeros(2**n_qubits)
    state[list(indices)] = 1 / np.sqrt(len(indices))
    return state


def assert_near(estimate, expected, most=4.0):
    """Within four standard errors; a standard error that says something."""
    assert 0 < estimate.standard_error < 0.2 * expected
    assert abs(estimate.value - expected) < most * estimate.standard_error


# -- entanglement ----------------------------------------------------------------------


def test_meyer_wallach_of_states_with_a_closed_form():
    product = np.array([1.0])
    for _ in range(4):
        product = np.kron(product, haar_states(1, 1)[0])
    ghz, w = basis(4, 0, 15), basis(4, 1, 2, 4, 8)
    pair = np.kron(basis(2, 0, 3), basis(2, 0))  # a Bell pair beside a product
    found = meyer_wallach(np.stack([product, ghz, w, pair]))
    np.testing.assert_allclose(found, [0, 1, 1 - (1 - 2 / 4) ** 2, 0.5], atol=1e-6)


def test_meyer_wallach_of_random_states():
    found = meyer_wallach(haar_states(2000, 4))
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean() - (16 - 2) / (16 + 1)) < 4 * error


def test_a_chain_of_cnots_entangles_by_a_sine():
    circuit = Turns(n_turns=1, gate=qml.RY, chained=True)  # cos|000> + sin|111>
    assert_near(entangling_capability(circuit, n_samples=400, key=KEY), 0.5)


# -- expressibility --------------------------------------------------------------------


@pytest.mark.parametrize("n_qubits", [1, 3, 10])
def test_states_that_never_change_diverge_most(n_qubits):
    """Sim et al. have ln 75 for the idle circuit on one qubit."""
    found = divergence_from_haar(np.ones(50), n_qubits)
    assert found.value == pytest.approx((2**n_qubits - 1) * np.log(75))
    assert found.standard_error == 0
    even = divergence_from_haar(np.ones(50), n_qubits, bins="haar")
    assert even.value == pytest.approx(np.log(75))


@pytest.mark.parametrize("bins", ["width", "haar"])
@pytest.mark.parametrize("n_qubits", [1, 3])
def test_random_states_reach_the_floor(n_qubits, bins):
    a, b = haar_states(4000, n_qubits), haar_states(4000, n_qubits)
    found = divergence_from_haar(abs((a.conj() * b).sum(1)) ** 2, n_qubits, bins=bins)
    floor = expressibility_floor(4000)
    assert 0 < found.value < 2 * floor
    if bins == "haar":
        assert found.value > floor / 2


def test_a_turn_about_one_axis_reaches_a_circle_only():
    """Circuit A of Sim et al.: H, RZ. F = cos^2(d / 2), d uniform: an arcsine law."""
    circuit = Turns(1, 1, qml.RZ, hadamards=True)
    found = expressibility(circuit, n_samples=4000, key=KEY)
    shares = np.diff(2 / np.pi * np.arcsin(np.sqrt(np.linspace(0, 1, 76))))
    expected = (shares * np.log(75 * shares)).sum()
    floor = expressibility_floor(4000)
    assert abs(found.value - floor - expected) < 4 * found.standard_error


# -- gradients -----------------------------------------------------------------------


def test_slopes_of_a_product_have_a_closed_form():
    """<Z_k> = cos w_k, and <ZZZ> their product."""
    words = {"one": "IIZ", "all": "ZZZ", "nothing": "XII"}
    found = gradient_variance(Turns(), words, n_samples=2000, key=KEY)
    assert list(found) == ["one", "all", "nothing"]
    assert_near(found["one"], 1 / 2 / 3)  # one weight of three matters
    assert_near(found["all"], 1 / 2**3)
    assert found["nothing"].value < 1e-12  # <X> of |0> turned about X


def test_slopes_near_zero_angles_are_small():
    """Of a normal angle sin^2 has the mean (1 - exp(-2 s^2)) / 2, cos^2 the rest."""
    sine = (1 - np.exp(-2 * 0.5**2)) / 2
    found = gradient_variance(Turns(), n_samples=2000, angle_spread=0.5, key=KEY)
    assert_near(found["local"], sine / 3)
    assert_near(found["global"], sine * (1 - sine) ** 2)


def test_slopes_are_those_of_shifted_dense_matrices():
    circuit = Circuit(AngleEmbedding(3), RealAmplitudes(3, 1))
    inputs = np.array([0.3, -0.2, 1.0])
    found = gradient_variance(
        circuit, {"word": "ZIX"}, n_samples=5, inputs=inputs, key=KEY
    )
    weights = np.asarray(descriptors._draws(circuit, 5, None, KEY), float)

    def value(w):
        tape = qml.tape.make_qscript(circuit)(inputs, w)
        return reference.expectation(reference.state(tape.operations, 3), "ZIX")

    shifts = np.pi / 2 * np.eye(6).reshape(6, 2, 3)
    slopes = np.array(
        [
            [(value(w + shift) - value(w - shift)) / 2 for shift in shifts]
            for w in weights
        ]
    )
    expected = slopes.var(axis=0, ddof=1).mean()
    assert found["word"].value == pytest.approx(expected, rel=1e-4)


def test_chunks_change_nothing(monkeypatch):
    circuit = Turns(n_turns=2, gate=qml.RY, chained=True)
    whole = entangling_capability(circuit, n_samples=8, key=KEY)
    monkeypatch.setattr(descriptors, "SAMPLES_AT_ONCE", 3)
    parts = entangling_capability(circuit, n_samples=8, key=KEY)
    assert parts.value == pytest.approx(whole.value, rel=1e-5)
    assert parts.standard_error == pytest.approx(whole.standard_error, rel=1e-4)
    other = entangling_capability(circuit, n_samples=8, key=jax.random.key(4))
    assert other.value != parts.value


# -- a row of a study ------------------------------------------------------------------


def test_a_description_holds_all_figures_and_draws_them_apart():
    circuit = Circuit(AngleEmbedding(3), RealAmplitudes(3, 1))
    found = describe(circuit, n_samples=20, key=KEY)
    assert json.loads(json.dumps(found)) == found
    assert found["expressibility_floor"] == expressibility_floor(100)
    keys = jax.random.split(KEY, 3)
    slopes = gradient_variance(circuit, n_samples=20, key=keys[0])
    spread = expressibility(circuit, n_samples=100, bins="haar", key=keys[1])
    assert found["gradient_variance"]["global"][0] == slopes["global"].value
    assert found["expressibility"] == [spread.value, spread.standard_error]
    value, error = found["entangling_capability"]
    other = entangling_capability(circuit, n_samples=100, key=keys[0]).value
    assert value != other
    assert abs(value - other) < 5 * error


# -- bad input -------------------------------------------------------------------------


def test_bad_input():
    circuit = Turns()
    for function in (gradient_variance, describe):
        with pytest.raises(InputError, match=r"`n_samples` must be .* but is 1"):
            function(circuit, n_samples=1, key=KEY)
    with pytest.raises(InputError, match=r"`observables` must hold .* 3 letters"):
        gradient_variance(circuit, {"pair": "ZZ"}, key=KEY)
    with pytest.raises(InputError, match="`angle_spread` must be at least 0"):
        gradient_variance(circuit, angle_spread=-1.0, key=KEY)
    with pytest.raises(InputError, match=r"`inputs` must have shape \(1,\)"):
        entangling_capability(circuit, inputs=[0.0, 1.0], key=KEY)
    with pytest.raises(InputError, match="`inputs` must be finite"):
        entangling_capability(circuit, inputs=[np.nan], key=KEY)
    with pytest.raises(InputError, match="`bins` must be one of haar, width"):
        expressibility(circuit, bins="equal", key=KEY)


def test_amplitudes_that_are_left_out_start_at_zero():
    circuit = Circuit(AmplitudeEmbedding(2), RealAmplitudes(2, 1))
    states = next(
        descriptors._chunks(
            descriptors._states_of(descriptors._Prepared(circuit), None),
            descriptors._Prepared(circuit),
            None,
            np.zeros((1, 2, 2), np.float32),
        )
    )
    np.testing.assert_allclose(states, [[1, 0, 0, 0]], atol=1e-6)
