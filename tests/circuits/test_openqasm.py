import importlib.util

import numpy as np
import pytest
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
    openqasm,
)
from qfm_jax.circuits.openqasm import from_qasm, to_qasm3
from qfm_jax.circuits.qiskit_export import to_qiskit

HAS_READER = importlib.util.find_spec("qiskit_qasm3_import") is not None
needs_reader = pytest.mark.skipif(not HAS_READER, reason="qiskit-qasm3-import is no")

RNG = np.random.default_rng(67)
CIRCUITS = {
    "zz": build_circuit("zz", "convolutional", 3, 2),
    "matrices": Circuit(AmplitudeEmbedding(3), UnitaryLayers(3, 2, 2)),
    "hamiltonian": build_circuit("hamiltonian", "unitary", 3, 1),
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
    with pytest.raises(InputError, match="'measure'"):
        from_qasm(program + "h q[0]; measure q[0] -> c[0];", inputs=[])
    with pytest.raises(InputError, match=r"no parameters\. Give .* or \[\]"):
        from_qasm(program + "h q[0];")


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
