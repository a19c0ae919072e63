import importlib.util

import numpy as np
import pennylane as qml
import pytest
import reference
from qiskit import QuantumCircuit, qasm2
from qiskit.quantum_info import Operator

from qfm_jax._checks import InputError
from qfm_jax.circuits import (
    AmplitudeEmbedding,
    AngleEmbedding,
    Circuit,
    RealAmplitudes,
    UnitaryLayers,
    build_circuit,
    named_circuit,
    openqasm,
)
from qfm_jax.circuits.openqasm import from_qasm, to_qasm3
from qfm_jax.circuits.qiskit_export import to_qiskit
from qfm_jax.devices import as_jax_function

HAS_READER = importlib.util.find_spec("qiskit_qasm3_import") is not None
needs_reader = pytest.mark.skipif(not HAS_READER, reason="qiskit-qasm3-import is no")

RNG = np.random.default_rng(67)
CIRCUITS = {
    "zz": build_circuit("zz", "convolutional", 3, 2),
    "matrices": Circuit(AmplitudeEmbedding(3), UnitaryLayers(3, 2, 2)),
    "hamiltonian": named_circuit("hamiltonian", 3, 1),
}


@pytest.mark.parametrize("circuit", CIRCUITS.values(), ids=CIRCUITS)
def test_a_program_has_standard_gates_alone(circuit):
    inputs = RNG.uniform(0.1, 1, circuit.n_features)
    weights = RNG.normal(size=circuit.weights_shape)
    program = to_qasm3(circuit, inputs, weights)
    assert program.startswith('OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[3] q;')
    assert "gate " not in program
    if HAS_READER:
        made = from_qasm(program, inputs=[])
        back = to_qiskit(made, np.zeros(0), np.zeros(0))
        assert Operator(back).equiv(Operator(to_qiskit(circuit, inputs, weights)))


@needs_reader
def test_symbols_come_back_in_order():
    circuit = Circuit(AngleEmbedding(4), RealAmplitudes(4, 2))
    made = from_qasm(to_qasm3(circuit))
    assert made.input_names == tuple(f"_inputs_{i}_" for i in range(4))
    assert made.weight_names == tuple(f"_weights_{i}_" for i in range(12))
    inputs, weights = RNG.normal(size=4), RNG.normal(size=12)
    expected = Operator(to_qiskit(circuit, inputs, weights.reshape(3, 4)))
    assert Operator(to_qiskit(made, inputs, weights)).equiv(expected)


def test_openqasm_2_from_text_and_file(tmp_path):
    built = QuantumCircuit(3)
    built.rzz(0.3, 2, 0)
    built.cu(0.1, 0.2, 0.3, 0.4, 1, 2)
    built.rccx(2, 0, 1)
    path = tmp_path / "circuit.qasm"
    path.write_text(qasm2.dumps(built), encoding="utf-8")
    for source in (qasm2.dumps(built), path, str(path)):
        made = from_qasm(source, inputs=[], observables=("XYZ",))
        back = to_qiskit(made, np.zeros(0), np.zeros(0))
        assert Operator(back).equiv(Operator(built))


def test_bad_input(tmp_path):
    with pytest.raises(InputError, match=r"file that holds one, but is 'no\.qasm'"):
        from_qasm("no.qasm")
    with pytest.raises(InputError, match="be an OpenQASM program, but is not"):
        from_qasm("OPENQASM 2.0; nonsense q;", inputs=[])
    program = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; creg c[1];'
    with pytest.raises(InputError, match=r"no parameters\. Give .* or \[\]"):
        from_qasm(program + "h q[0];")


TWO = 'OPENQASM 2.0; include "qelib1.inc"; qreg a[1]; qreg b[2]; creg c[2]; creg d[1];'
THREE = 'OPENQASM 3.0; include "stdgates.inc"; qubit[1] a; qubit[2] b; bit[2] c; bit d;'
GATES = "ry(0.4) a[0]; cx a[0], b[1]; {} u3(0.3, 0.1, 0.2) b[0]; ry(0.9) b[1];"
ENDS = {
    "none": ("", ""),
    "all": ("measure a -> d; measure b -> c;", "d = measure a[0]; c = measure b;"),
    "some": ("measure b[1] -> c[0];", "c[0] = measure b[1];"),
    "another order": (
        "measure b[1] -> c[0]; measure a[0] -> d[0]; measure b[0] -> c[1];",
        "c[0] = measure b[1]; d = measure a[0]; c[1] = measure b[0];",
    ),
    "barriers": (
        "barrier a, b; measure a -> d; barrier b; measure b[0] -> c[0]; barrier a;",
        "barrier a, b; d = measure a[0]; barrier b; c[0] = measure b[0];",
    ),
    "twice": (
        "measure a -> d; measure a[0] -> c[0]; measure b[0] -> c[0];",
        "d = measure a[0]; c[0] = measure a[0]; c[0] = measure b[0];",
    ),
}


def by_matrices():
    """<Z> of the three qubits of `GATES`, from matrices of PennyLane."""
    gates = [qml.RY(0.4, 0), qml.CNOT([0, 2]), qml.U3(0.3, 0.1, 0.2, 1)]
    state = reference.state([*gates, qml.RY(0.9, 2)], 3)
    return [reference.expectation(state, word) for word in ("ZII", "IZI", "IIZ")]


def values(program, **options):
    none = np.zeros(0)
    return as_jax_function(from_qasm(program, inputs=[], **options))(none, none)


@pytest.mark.parametrize("end", ENDS)
def test_measurements_at_the_end_are_left_out(end):
    two, three = (start + GATES.format("") for start in (TWO, THREE))
    np.testing.assert_allclose(values(two + ENDS[end][0]), by_matrices(), atol=1e-5)
    # A measurement before gates on other qubits is behind all gates on its own.
    early = TWO + GATES.format("measure a[0] -> c[1];") + ENDS[end][0]
    np.testing.assert_allclose(values(early), by_matrices(), atol=1e-5)
    words = values(two + ENDS[end][0], observables=("IIZ", "ZII"))
    np.testing.assert_allclose(words, np.array(by_matrices())[[2, 0]], atol=1e-5)
    if HAS_READER:
        three = three.replace("u3", "U") + ENDS[end][1]
        np.testing.assert_allclose(values(three), by_matrices(), atol=1e-5)


def test_resets_before_the_first_gate_change_nothing():
    program = (
        TWO + "reset b; reset a[0];" + GATES.format("reset b[0];") + "measure b->c;"
    )
    np.testing.assert_allclose(values(program), by_matrices(), atol=1e-5)


def test_gates_of_a_program_s_own():
    program = TWO + "gate turn(t) x, y { ry(t) x; cx x, y; } turn(0.2 * 2) a[0], b[1];"
    program += "barrier a, b; u3(0.3, pi / 10 - pi / 10 + 0.1, 0.2) b[0];"
    program += "ry(0.9) b[1]; measure a -> d; measure b[0] -> c[0];"
    np.testing.assert_allclose(values(program), by_matrices(), atol=1e-5)


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        (
            "measure a -> d; x a[0];",
            r"`measure` on a\[0\], before other gates .* after all g",
        ),
        (
            "h b; measure b -> c; cx b[0], b[1];",
            r"`measure` on b\[1\], before other gates",
        ),
        ("measure a -> d; reset a;", r"`reset` on a\[0\]\. Each qubit starts in"),
        ("x b[1]; reset b;", r"`reset` on b\[1\]\. .* use another one instead"),
        (
            "measure a -> d; if (d == 1) x b[0];",
            r"`if` on b\[0\]\. .* a controlled gate",
        ),
        ("measure a -> d; barrier a;", "`source` must have at least one gate"),
        ("opaque mine x, y; mine b[0], b[1];", "`source` must consist of gates that Q"),
    ],
)
def test_what_is_no_circuit_of_gates(program, sentence):
    with pytest.raises(InputError, match=sentence):
        from_qasm(TWO + program, inputs=[])


@pytest.mark.skipif(HAS_READER, reason="qiskit-qasm3-import is there")
def test_openqasm_3_needs_a_reader():
    with pytest.raises(InputError, match="pip install qiskit-qasm3-import"):
        from_qasm("OPENQASM 3.0; qubit q;")


def test_a_panic_of_the_reader_is_an_error_and_ctrl_c_is_none(monkeypatch):
    program = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; h q[0];'

    def ends_with(error):
        def loads(*_, **__):
            raise error

        monkeypatch.setattr(openqasm.qasm2, "loads", loads)

    ends_with(type("PanicException", (BaseException,), {})("overflow"))
    with pytest.raises(InputError, match="but ends Qiskit's reader: overflow"):
        from_qasm(program, inputs=[])
    ends_with(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        from_qasm(program, inputs=[])
