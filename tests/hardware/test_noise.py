"""Noise by name, against closed forms on Aer's density matrices."""

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, transpile
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator

from qfm_jax import AngleEmbedding, Circuit, EfficientSU2, InputError, get_backend
from qfm_jax.circuits.qiskit_export import observables_of, to_qiskit
from qfm_jax.hardware.noise import (
    ONE_QUBIT_SECONDS,
    TWO_QUBIT_SECONDS,
    Noise,
    noise_model,
    parse_noise,
)
from qfm_jax.hardware.readout import (
    corrected_operator,
    read_out_operator,
    readout_errors,
)


def expectations(circuit, spec, words):
    """Exact expectations of words (qubit 0 last) on Aer's density matrices."""
    model = noise_model(spec)
    circuit = transpile(circuit, basis_gates=model.basis_gates, optimization_level=0)
    circuit.save_density_matrix()
    simulator = AerSimulator(method="density_matrix", noise_model=model)
    state = simulator.run(circuit).result().data()["density_matrix"]
    errors = readout_errors(model, circuit.num_qubits)
    operators = [read_out_operator(SparsePauliOp(word), errors) for word in words]
    return np.array([state.expectation_value(operator).real for operator in operators])


@pytest.mark.parametrize("p", [0.0, 0.03, 0.5, 1.0])
def test_depolarised_rotations(p):
    circuit = QuantumCircuit(3)
    for qubit, angle in enumerate((0.3, 1.1, 2.0)):
        circuit.ry(angle, qubit)
        circuit.rz(0.7, qubit)  # a change of frame: without noise
    found = expectations(circuit, f"depolarizing:{p}", ["IIZ", "IZI", "ZII", "ZIZ"])
    cosines = (1 - p) * np.cos([0.3, 1.1, 2.0])
    assert np.allclose(found, [*cosines, cosines[0] * cosines[2]], atol=1e-12)


def test_depolarised_bell_state_beside_a_third_qubit():
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 2)
    p = 0.1
    found = expectations(circuit, f"depolarizing:{p}", ["XIX", "ZIZ", "IZI"])
    # The Hadamard's noise weakens X alone; that of the CNOT every word.
    assert np.allclose(found, [(1 - p) ** 2, 1 - p, 1], atol=1e-12)


def test_read_out_flips_counts_and_expectations():
    circuit = QuantumCircuit(3)
    circuit.x(1)
    p, spec = 0.2, "readout:0.2"
    found = expectations(circuit, spec, ["IIZ", "IZI", "ZZZ"])
    assert np.allclose(found, [1 - 2 * p, -(1 - 2 * p), -((1 - 2 * p) ** 3)])
    circuit.measure_all()
    shots = 20_000
    simulator = AerSimulator(noise_model=noise_model(spec), seed_simulator=0)
    counts = simulator.run(circuit, shots=shots).result().get_counts()
    share = counts["010"] / shots
    assert abs(share - (1 - p) ** 3) < 5 * np.sqrt(0.25 / shots)


def test_thermal_relaxation():
    circuit = QuantumCircuit(3)
    circuit.x(0)
    circuit.h(1)
    circuit.x(2)
    circuit.cz(0, 2)
    found = expectations(circuit, "thermal:2,1.5", ["IIZ", "IXI", "ZII"])
    one, two = ONE_QUBIT_SECONDS, TWO_QUBIT_SECONDS
    decayed = 1 - 2 * np.exp(-(one + two) / 2e-6)
    assert np.allclose(found, [decayed, np.exp(-one / 1.5e-6), decayed], atol=1e-12)


def test_depolarizing_comes_before_relaxation():
    circuit = QuantumCircuit(3)
    circuit.x(1)
    found = expectations(circuit, "depolarizing:0.1+thermal:0.2,0.2", ["IZI"])
    left = np.exp(-ONE_QUBIT_SECONDS / 0.2e-6)
    assert np.allclose(found, 1 - left * (1 + 0.9), atol=1e-12)


def test_a_fake_backend_brings_its_read_out_errors():
    model = noise_model("FakeManila")
    errors = readout_errors(model, 5)
    assert all(0 < a < 0.2 and 0 < b < 0.2 for a, b in errors)
    assert "cx" in model.noise_instructions


def test_a_fake_backend_agrees_with_shots_on_its_own_qubits():
    circuit = Circuit(AngleEmbedding(3), EfficientSU2(3, 1))
    rng = np.random.default_rng(3)
    inputs, weights = rng.uniform(0, 3, 3), rng.uniform(-1, 1, circuit.weights_shape)
    backend, model = get_backend("fake_guadalupe"), noise_model("fake_guadalupe")
    run = transpile(to_qiskit(circuit, inputs, weights), backend, seed_transpiler=0)
    places = run.layout.final_index_layout()
    errors = readout_errors(model, backend.num_qubits)
    exact = run.copy()
    for i, operator in enumerate(observables_of(circuit)):
        placed = read_out_operator(operator.apply_layout(run.layout), errors)
        # On all qubits: saved on a few of many, Aer 0.17.2 gives wrong values.
        exact.save_expectation_value(placed, range(backend.num_qubits), str(i))
    simulator = AerSimulator(
        method="density_matrix", noise_model=model, seed_simulator=0
    )
    data = simulator.run(exact).result().data()
    measured = run.copy()
    measured.add_register(ClassicalRegister(3))
    measured.measure(places, range(3))
    shots = 20_000
    counts = simulator.run(measured, shots=shots).result().get_counts()
    for wire in range(3):
        found = sum(n * (-1) ** int(bits[-1 - wire]) for bits, n in counts.items())
        assert abs(found / shots - data[str(wire)]) < 5 / np.sqrt(shots)


def test_every_gate_of_the_basis_is_one_that_density_matrices_have():
    basis = set(noise_model("depolarizing:0.1").basis_gates)
    simulator = AerSimulator(method="density_matrix")
    assert basis <= set(simulator.configuration().basis_gates)
    assert not basis & {"unitary", "diagonal", "ccx"}


def test_correction_undoes_the_read_out():
    errors = [(0.1, 0.2), (0.0, 0.3), (0.05, 0.05)]
    operator = SparsePauliOp(["XIZ", "IYI", "ZZZ"], [1.0, 0.5, -2.0])
    corrected = corrected_operator(operator, errors)
    assert read_out_operator(corrected, errors).equiv(operator)
    assert not corrected.equiv(operator)
    with pytest.raises(InputError, match="`errors` must leave some information"):
        corrected_operator(operator, [(0.5, 0.5)] * 3)
    with pytest.raises(
        InputError, match="a pair for each of the 3 qubits, but holds 1"
    ):
        corrected_operator(operator, [(0.5, 0.5)])
    with pytest.raises(InputError, match=r"`errors` must lie in \[0, 1\], but is 1.5"):
        read_out_operator(operator, [(1.5, 0.0)] * 3)


@pytest.mark.parametrize(
    ("spec", "noise"),
    [
        ("none", Noise()),
        ("depolarizing:0.01", Noise(depolarizing=0.01)),
        ("depolarizing:0.01 + readout:0.5", Noise(0.01, 0.5)),
        ("thermal", Noise(t1=200e-6, t2=120e-6)),
        ("readout:1+thermal:100,80", Noise(readout=1.0, t1=100e-6, t2=80e-6)),
        ("FakeSherbrooke", Noise(backend="fake_sherbrooke")),
    ],
)
def test_names_are_read_and_written(spec, noise):
    read = parse_noise(spec)
    assert read == noise
    assert parse_noise(read.spec) == noise


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("depolarizing:1.5", r"`depolarizing` must lie in \[0, 1\], but is 1.5"),
        ("depolarizing:-0.1", r"`depolarizing` must lie in \[0, 1\], but is -0.1"),
        ("readout:nan", r"`readout` must lie in \[0, 1\], but is nan"),
        ("readout:2", r"`readout` must lie in \[0, 1\], but is 2"),
        ("depolarizing", "`noise` must be `depolarizing:P`, .* but is 'depolarizing'"),
        ("depolarizing:much", "`noise` must be `depolarizing:P`"),
        ("noise", "`noise` must be .* but is 'noise'. Write for example"),
        ("", "`noise` must be .* but is ''"),
        ("readout:0.1+readout:0.2", "`noise` must name each kind once"),
        ("thermal:100", "`noise` must be"),
        ("thermal:100,300", "`t2` must be at most 2 T1, but is 0.0003 s, and T1 is"),
        ("thermal:0,1", "`t1` must be above 0 seconds"),
        ("thermal:-1,1", "`t1` must be at least 0"),
        ("fake_manilla", "`backend` must be .* Did you mean 'fake_manila'"),
        (
            "fake_manila+readout:0.1",
            "must name a backend alone, .* is 'fake_manila' and more",
        ),
    ],
)
def test_what_is_no_noise(spec, sentence):
    with pytest.raises(InputError, match=sentence):
        noise_model(spec)


def test_times_come_together():
    with pytest.raises(InputError, match="`t1, t2` must be given together"):
        Noise(t1=1e-4)
    with pytest.raises(InputError, match=r"`noise` must be .* but is 'aer'"):
        Noise(backend="aer")
