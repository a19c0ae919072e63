"""Mitigation: errors before and after, on Aer's density matrices."""

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.quantum_info import Operator
from qiskit_aer import AerSimulator

from qfm_jax import AngleEmbedding, Circuit, InputError, RealAmplitudes
from qfm_jax.circuits.qiskit_export import observables_of, to_qiskit
from qfm_jax.hardware.mitigation import SCALES, extrapolate, fold
from qfm_jax.hardware.noise import noise_model
from qfm_jax.hardware.readout import (
    corrected_operator,
    read_out_operator,
    readout_errors,
)

CIRCUIT = Circuit(AngleEmbedding(3), RealAmplitudes(3, 2))
BASIS = ["rz", "sx", "x", "cx"]


def bound():
    rng = np.random.default_rng(1)
    inputs, weights = rng.uniform(0, 3, 3), rng.uniform(-2, 2, CIRCUIT.weights_shape)
    written = to_qiskit(CIRCUIT, inputs, weights)
    return transpile(written, basis_gates=BASIS, optimization_level=1)


def expectations(circuit, model, operators):
    circuit = circuit.copy()
    circuit.save_density_matrix()
    simulator = AerSimulator(method="density_matrix", noise_model=model)
    state = simulator.run(circuit).result().data()["density_matrix"]
    return np.array([state.expectation_value(o).real for o in operators])


def test_folding_multiplies_gates_and_keeps_the_unitary():
    circuit = bound()
    for scale in SCALES:
        folded = fold(circuit, scale)
        for gate in ("cx", "sx"):
            assert folded.count_ops()[gate] == scale * circuit.count_ops()[gate]
        assert Operator(folded).equiv(Operator(circuit))
    free = fold(to_qiskit(CIRCUIT), 3)
    assert free.num_parameters == to_qiskit(CIRCUIT).num_parameters


def test_extrapolation_brings_noise_near_none():
    circuit, operators = bound(), observables_of(CIRCUIT)
    ideal = expectations(circuit, None, operators)
    model = noise_model("depolarizing:0.005")
    noisy = [expectations(fold(circuit, scale), model, operators) for scale in SCALES]
    before = abs(noisy[0] - ideal).max()
    after = abs(extrapolate(SCALES, noisy) - ideal).max()
    assert before > 0.01
    assert after < before / 5


def test_read_out_is_corrected_exactly_where_its_errors_are_known():
    circuit, operators = bound(), observables_of(CIRCUIT)
    errors = readout_errors("readout:0.08", 3)
    measured = [read_out_operator(o, errors) for o in operators]
    corrected = [
        read_out_operator(corrected_operator(o, errors), errors) for o in operators
    ]
    ideal = expectations(circuit, None, operators)
    assert abs(expectations(circuit, None, measured) - ideal).max() > 0.05
    assert np.allclose(expectations(circuit, None, corrected), ideal, atol=1e-12)


def test_a_polynomial_is_extrapolated_by_its_own_order():
    x = np.array([1.0, 3.0, 5.0])
    values = 0.8 - 0.1 * x[:, None, None] + np.zeros((3, 2, 4))
    assert np.allclose(extrapolate(x, values), 0.8)
    assert np.allclose(extrapolate(x, values, order=1), 0.8)
    assert extrapolate(x, values).shape == (2, 4)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: fold(QuantumCircuit(1), 2), "`scale` must be odd"),
        (lambda: extrapolate([1], [0.5]), "`scales` must have more than"),
        (lambda: extrapolate([1, 1], [0.5, 0.4]), "`scales` must be different"),
        (lambda: extrapolate([1, 3], [0.5]), "`values` must have shape"),
    ],
)
def test_bad_input(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
