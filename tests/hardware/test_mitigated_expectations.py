"""Errors of a backend without shots, and what is left of them after mitigation.

The oracle is made of dense density matrices, without Qiskit and without the package.
"""

import jax
import numpy as np
import pennylane as qml
import pytest
import reference
from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp

from qfm_jax import AngleEmbedding, Circuit, InputError, RealAmplitudes, get_backend
from qfm_jax.hardware.estimator import estimator_function
from qfm_jax.hardware.measurement import measurement_of
from qfm_jax.hardware.mitigation import fold, parse_mitigation
from qfm_jax.hardware.readout import read_out_operator, readout_errors_of
from qfm_jax.hardware.simulators import simulator_of

WORDS = ("ZII", "IXY", "ZZX")
CIRCUIT = Circuit(AngleEmbedding(3), RealAmplitudes(3, 1), WORDS)
RNG = np.random.default_rng(5)
INPUTS = RNG.uniform(0, np.pi, (6, 3))
WEIGHTS = RNG.uniform(-2, 2, CIRCUIT.weights_shape)
STRONG = "depolarizing:0.05+readout:0.08"


@pytest.fixture(autouse=True)
def double_precision():
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


def found(backend, shots=None, name="none"):
    function = estimator_function(
        *(CIRCUIT, backend, shots),
        weights=WEIGHTS,
        seed=1,
        mitigation=parse_mitigation(name),
    )
    return np.asarray(jax.vmap(function)(INPUTS))


def by_matrices(depolarizing=0.0, readout=0.0):
    """Expectations (n_samples, n_words) by 8 x 8 density matrices.

    The turn of X and Y to Z is part of the read-out: no noise of gates follows it.
    """
    return np.array([_of_one(inputs, depolarizing, readout) for inputs in INPUTS])


def _of_one(inputs, p, flip):
    rho = np.zeros((8, 8), complex)
    rho[0, 0] = 1
    for op in qml.tape.make_qscript(CIRCUIT)(inputs, WEIGHTS).operations:
        gate = reference.embed(qml.matrix(op), list(op.wires), 3)
        rho = gate @ rho @ gate.conj().T
        rho = (1 - p) * rho + p * _mixed(rho, list(op.wires))
    return [
        (1 - 2 * flip) ** (3 - word.count("I")) * np.trace(rho @ _matrix(word)).real
        for word in WORDS
    ]


def _mixed(rho, wires):
    """The mean over all Pauli words on some wires: these are then maximally mixed."""
    for wire in wires:
        words = ["".join(x if w == wire else "I" for w in range(3)) for x in "IXYZ"]
        rho = sum(_matrix(word) @ rho @ _matrix(word) for word in words) / 4
    return rho


def _matrix(word):
    first, second, third = (qml.matrix(getattr(qml, letter)(0)) for letter in word)
    return np.kron(np.kron(first, second), third)


@pytest.mark.parametrize(
    ("spec", "errors"),
    [
        ("readout:0.08", {"readout": 0.08}),
        (STRONG, {"depolarizing": 0.05, "readout": 0.08}),
    ],
)
def test_without_shots_bits_are_read_out_with_errors_too(spec, errors):
    values = found(simulator_of(noise=spec, n_qubits=3))
    np.testing.assert_allclose(values, by_matrices(**errors), atol=1e-9)
    assert np.abs(values - by_matrices()).max() > 0.05


def test_corrected_read_out_leaves_the_errors_of_the_gates():
    backend = simulator_of(noise=STRONG, n_qubits=3)
    values = found(backend, name="readout")
    np.testing.assert_allclose(values, by_matrices(depolarizing=0.05), atol=1e-9)


def distance(values):
    return np.sqrt(np.mean((values - by_matrices()) ** 2))


@pytest.mark.parametrize("shots", [None, 4000])
def test_what_is_mitigated_is_nearer_to_the_exact_values(shots):
    backend = simulator_of(noise=STRONG, n_qubits=3)
    raw, readout, both = (
        distance(found(backend, shots, name))
        for name in ("none", "readout", "readout+zne")
    )
    assert raw > 0.1
    assert readout < 0.8 * raw
    assert both < (0.5 if shots else 0.2) * raw


def test_a_fake_backend_needs_no_shots_and_is_what_they_scatter_about():
    backend = simulator_of("fake_manila", n_qubits=3)
    mean, sampled = found(backend), found(backend, 4000)
    deviation = np.sqrt(np.maximum(1 - mean**2, 1e-3) / 4000)
    assert np.all(np.abs(sampled - mean) < 5 * deviation)
    assert distance(mean) > 0.02
    assert distance(found(backend, name="readout+zne")) < 0.2 * distance(mean)


def test_outcomes_are_corrected_as_operators_are():
    errors = [(0.02, 0.1), (0.2, 0.05), (0.0, 0.3)]
    operators = [SparsePauliOp("ZIZ"), SparsePauliOp("IZZ"), SparsePauliOp("ZZZ")]
    measurement = measurement_of(QuantumCircuit(3), operators)
    p = RNG.dirichlet(np.ones(8))
    # What faulty read-out makes of the outcomes, bit by bit; qubit 0 is the last bit.
    flips = [np.array([[1 - a, b], [a, 1 - b]]) for a, b in errors[::-1]]
    read = np.kron(np.kron(flips[0], flips[1]), flips[2]) @ p
    counts = [[dict(enumerate((1e9 * read).round().astype(int).tolist()))]]
    expected = [
        sum(p[i] * (-1) ** (i & mask).bit_count() for i in range(8))
        for mask in (0b101, 0b011, 0b111)
    ]
    corrected = measurement.expectations(counts, 1, [errors])[0]
    np.testing.assert_allclose(corrected, expected, atol=1e-7)
    raw = measurement.expectations(counts, 1)[0]
    faulty = [read_out_operator(operator, errors).to_matrix() for operator in operators]
    wrong = [np.real(np.diag(matrix) @ p) for matrix in faulty]
    np.testing.assert_allclose(raw, wrong, atol=1e-7)


def test_a_measured_circuit_is_folded_before_its_measurement():
    circuit = QuantumCircuit(3)
    circuit.ry(0.3, [0, 1, 2])
    circuit.cx(0, 2)
    circuit.measure_all()
    folded = fold(circuit, 3)
    counted = folded.count_ops()
    assert (counted["cx"], counted["ry"], counted["measure"]) == (3, 9, 3)
    assert [one.operation.name for one in folded.data][-3:] == ["measure"] * 3
    clbits = [folded.find_bit(one.clbits[0]).index for one in folded.data[-3:]]
    qubits = [folded.find_bit(one.qubits[0]).index for one in folded.data[-3:]]
    assert clbits == qubits == [0, 1, 2]


def test_errors_that_are_stated_are_those_of_the_simulation():
    fake = simulator_of("fake_manila", n_qubits=3)
    stated = readout_errors_of(get_backend("fake_manila"))
    np.testing.assert_allclose(readout_errors_of(fake), stated)
    assert len(stated) == 5
    with pytest.raises(InputError, match="`mitigation` must be one of none, readout"):
        parse_mitigation("zero")
