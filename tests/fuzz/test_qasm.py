"""Damaged and hostile OpenQASM programs end in a circuit, or in our own sentence."""

import pytest
from fuzz.mutations import mutated
from fuzz.test_data_files import refuses_or_reads
from hypothesis import strategies as st

from qfm_jax._checks import InputError
from qfm_jax.circuits.openqasm import from_qasm

HEADER = 'OPENQASM 2.0; include "qelib1.inc"; '
PROGRAM = (
    HEADER + "gate turn(t) a,b { rx(t*2) a; cx a,b; rz(-t/3+pi^2) b; } qreg q[3]; "
    "turn(sin(0.5)) q[0],q[1]; barrier q; u3(0.1,0.2,0.3) q[2]; "
    "cu1(pi/4) q[2],q[0]; h q;"
)
TOKENS = [
    *(
        "qreg ",
        "creg ",
        "gate ",
        "opaque ",
        "if",
        "measure ",
        "->",
        "reset ",
        "barrier",
    ),
    *("q", "[2]", "[99999999999]", "[", "]", "(", ")", "{", "}", ";", ",", "+", "-"),
    *("*", "/", "^", "ln", "sqrt", "0", "1e300", "1e-400", "pi", "cx ", "rx", " a"),
    *("//", "\n", '"', "include ", "==", "OPENQASM 3.0;", "\0", "\u00e9", "h q;"),
]


@st.composite
def spliced(draw):
    """The program with tokens of the language where they do not belong."""
    found = PROGRAM
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(len(HEADER), len(found)))
        new = "".join(draw(st.lists(st.sampled_from(TOKENS), max_size=4)))
        found = found[:place] + new + found[place + draw(st.integers(0, 6)) :]
    return found


def test_programs(fuzz, tmp_path):
    path = tmp_path / "program.qasm"

    def check(program):
        path.write_bytes(program if isinstance(program, bytes) else program.encode())
        refuses_or_reads(from_qasm, path, inputs=[])

    fuzz(spliced() | mutated(PROGRAM.encode()), check, 20)


DOUBLES = "".join(f"gate g{i + 1} a {{ g{i} a; g{i} a; }} " for i in range(60))
CHAIN = "".join(f"gate g{i + 1} a {{ g{i} a; }} " for i in range(400))


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        (f"qreg q[1]; rx({'(' * 10**5}1) q[0];", "1,000 operators and brackets"),
        (f"qreg q[1]; rx({'-' * 10**5}1) q[0];", "1,000 operators and brackets"),
        ("qreg q[1000000000]; x q[0];", "at most 4,096 qubits and bits, but decl"),
        ("qreg q[1]; creg c[99999999999999999999];", "at most 4,096 qubits and bits"),
        ("qreg q[4000]; " + "h q; " * 300, "at most 1,000,000 gates, but may have 1,2"),
        (
            f"gate g0 a {{ x a; }} {DOUBLES} qreg q[1]; g60 q[0];",
            "at most 1,000,000 gates, but expands to 1,152,921,504,606,846,976",
        ),
        (f"gate g0 a {{ x a; }} {CHAIN} qreg q[1]; g400 q[0];", "nested too deeply"),
        ("qreg q[1]; rx(1e400) q[0];", "define finite angles"),
        ('include "/etc/hostname"; qreg q[1];', "unable to find '/etc/hostname'"),
        ("qreg q[2]; cu1 q[0],q[1];", "is not: CU1Gate.* missing 1 .*: 'theta'"),
        ("qreg q[1]; rx(99999999999999999999) q[0];", "whole numbers of at most 18 d"),
    ],
    ids=["brackets", "signs", "qubits", "bits", "broadcast", "doubles", "chain", "inf",
         "include", "no angle", "digits"],
)  # fmt: skip
def test_hostile_programs(program, sentence):
    with pytest.raises(InputError, match=sentence):
        from_qasm(HEADER + program, inputs=[])
