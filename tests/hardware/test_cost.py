"""What a circuit costs: against sums by hand on a backend's stated figures."""

import dataclasses

import numpy as np
import pytest
from qiskit import QuantumCircuit

from qfm_jax import AngleEmbedding, Circuit, InputError, RealAmplitudes
from qfm_jax.circuits.qiskit_export import to_qiskit
from qfm_jax.hardware.backends import get_backend
from qfm_jax.hardware.cost import (
    CircuitCost,
    Plan,
    Workload,
    circuit_cost,
    count_settings,
    shots_for,
)

CHEAP = CircuitCost("fake_x", 1, 3, 5, 9, 3, {"cx": 3}, (0, 1, 2), 0.9, 5e-6)


def test_a_chain_of_cnots_costs_the_product_of_its_errors():
    backend = get_backend("fake_manila")  # a line of five qubits
    chain = QuantumCircuit(3)
    chain.x(0)
    chain.cx(0, 1)
    chain.cx(1, 2)
    cost = circuit_cost(chain, backend, optimization_level=1)
    target = backend.target
    a, b, c = cost.layout
    kept = [
        1 - target["x"][(a,)].error,
        *(1 - target["cx"][pair].error for pair in ((a, b), (b, c))),
        *(1 - target["measure"][(wire,)].error for wire in (a, b, c)),
    ]
    assert cost.gates == {"cx": 2, "x": 1}
    assert (cost.depth, cost.two_qubit_gates, cost.n_qubits) == (3, 2, 3)
    assert cost.n_qubits_backend == 5
    assert np.isclose(cost.success_probability, np.prod(kept), rtol=1e-12)
    gates = [target["x"][(a,)], target["cx"][(a, b)], target["cx"][(b, c)]]
    in_a_row = sum(gate.duration for gate in gates)
    read = max(target["measure"][(wire,)].duration for wire in (a, b, c))
    assert np.isclose(cost.duration, in_a_row + read, rtol=1e-6)
    assert cost.t1 == min(target.qubit_properties[w].t1 for w in (a, b, c))
    assert cost.t2 == min(target.qubit_properties[w].t2 for w in (a, b, c))
    assert cost.warnings == ()


def test_free_angles_cost_what_numbers_cost():
    circuit = Circuit(AngleEmbedding(3), RealAmplitudes(3, 2))
    backend = get_backend("fake_torino")
    rng = np.random.default_rng(0)
    inputs, weights = rng.uniform(1, 2, 3), rng.uniform(1, 2, circuit.weights_shape)
    free = circuit_cost(to_qiskit(circuit), backend, optimization_level=0)
    bound = circuit_cost(
        to_qiskit(circuit, inputs, weights), backend, optimization_level=0
    )
    assert free.two_qubit_gates == bound.two_qubit_gates
    assert free.gates["cz"] == free.two_qubit_gates
    again = circuit_cost(to_qiskit(circuit), backend, optimization_level=0)
    assert again == free  # the transpiler is seeded


def test_a_circuit_that_outlasts_its_qubits_is_told_with_figures():
    slow = dataclasses.replace(CHEAP, duration=30e-6, t1=100e-6, t2=20e-6)
    (warning,) = slow.warnings
    assert "takes 30 us, its worst qubit has T2 = 20 us" in warning
    assert "exp(-t/T) = 0.22 of its state" in warning
    assert dataclasses.replace(slow, duration=19e-6).warnings == ()
    (both,) = dataclasses.replace(slow, duration=150e-6).warnings
    assert "T1 = 100 us and T2 = 20 us" in both


def test_a_gate_that_the_backend_states_as_broken_is_named():
    backend = get_backend("fake_sherbrooke")
    pair = next(p for p, given in backend.target["ecr"].items() if given.error == 1)
    circuit = QuantumCircuit(127)
    circuit.ecr(*pair)
    cost = circuit_cost(circuit, backend, optimization_level=0)
    assert cost.success_probability == 0
    assert f"ecr on {pair}, which the backend states as broken" in cost.warnings[0]


def test_seconds_and_jobs_are_counted_by_hand():
    load = Workload(n_images=1000, shots=1024, circuits_per_image=2, settings=3)
    assert load.circuits == 6000
    assert np.isclose(load.seconds(CHEAP), 6000 * 1024 * 255e-6)
    assert load.jobs(CHEAP) == 1  # 6,144,000 executions, 1,567 seconds
    assert Workload(10_000, 1024).jobs(CHEAP) == 2  # 10,240,000 executions
    slow = dataclasses.replace(CHEAP, duration=0.01)
    assert Workload(1000, 4000).jobs(slow) == 4  # 41,000 s in jobs of 10,800 s
    assert np.isclose(Workload(1, 1024).half_width, 1.959964 / 32)


def test_shots_for_an_interval():
    assert shots_for(1.0) == 4
    assert shots_for(0.01) == 38_415
    for half_width in (0.3, 0.05, 0.004):
        shots = shots_for(half_width)
        assert Workload(1, shots).half_width <= half_width
        assert Workload(1, shots - 1).half_width > half_width


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (None, 1),
        (("ZII", "ZZI", "IIX"), 1),
        (("XII", "YII", "ZII"), 3),
        (("ZXI", "XZI"), 2),
    ],
)
def test_words_that_agree_are_measured_at_once(words, settings):
    circuit = Circuit(AngleEmbedding(3), RealAmplitudes(3, 1), words)
    assert count_settings(circuit) == settings


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: shots_for(0), "`interval` must be above 0"),
        (lambda: shots_for(1.5), r"`interval` must lie in \[0, 1\]"),
        (lambda: Workload(0, 10), "`n_images` must be .* but is 0"),
        (lambda: Workload(10, 0), "`shots` must be .* but is 0"),
        (lambda: Plan(minutes=0), "`minutes` must be above 0"),
        (lambda: Plan(price=-1), "`price` must be at least 0"),
        (
            lambda: circuit_cost(QuantumCircuit(2), get_backend("aer")),
            "`backend` must state the times of its gates",
        ),
        (
            lambda: circuit_cost(
                QuantumCircuit(2), get_backend("fake_manila"), optimization_level=4
            ),
            "`optimization_level` must be one of 0, 1, 2, 3, but is '4'",
        ),
    ],
)
def test_bad_input(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
