"""OpenQASM programs: written of any circuit here, read as trainable ones."""

import re
from collections.abc import Iterable
from pathlib import Path

from jax.typing import ArrayLike
from qiskit import QuantumCircuit, qasm2, qasm3, transpile
from qiskit.circuit import Bit, CircuitInstruction, Gate, Parameter, Qubit
from qiskit.exceptions import MissingOptionalLibraryError, QiskitError

from .._checks import InputError, input_error
from .circuit import VariationalCircuit
from .qiskit_export import to_qiskit
from .qiskit_gates import PENNYLANE
from .qiskit_import import QiskitCircuit, converted

MOST_BITS = 4096
"""Qubits and bits that a program may declare."""

MOST_GATES = 1_000_000
"""Gates that it may expand to."""

MOST_NESTED = 1000
"""Operators and brackets in one of its statements."""

_STDGATES = (
    "x y z h s sdg t tdg sx rx ry rz p u cx cy cz ch crx cry crz cp swap ccx cswap"
)


def to_qasm3(
    circuit: VariationalCircuit,
    inputs: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> str:
    """Writes a circuit as an OpenQASM 3 program; arguments as in `to_qiskit`.

    All gates are those of `stdgates.inc`, which every reader of OpenQASM 3 has.
    Symbols become `input float[64]` named `_inputs_0_`, `_weights_3_` and so on.

    Example:
        >>> import numpy as np
        >>> from qfm_jax.circuits import AngleEmbedding, Circuit, RealAmplitudes
        >>> circuit = Circuit(AngleEmbedding(2), RealAmplitudes(2, n_layers=1))
        >>> print(to_qasm3(circuit, weights=np.ones((2, 2)))[:66])
        OPENQASM 3.0;
        include "stdgates.inc";
        input float[64] _inputs_0_;
    """
    built = to_qiskit(circuit, inputs, weights)
    return qasm3.dumps(
        transpile(built, basis_gates=_STDGATES.split(), optimization_level=0)
    )


def from_qasm(
    source: str | Path,
    inputs: str | Iterable[str | Parameter] | None = None,
    observables: tuple[str, ...] | None = None,
) -> QiskitCircuit:
    """Makes a circuit of an OpenQASM 2 or 3 program, which is parsed and never run.

    OpenQASM 2 has no parameters: pass `inputs=[]`. Those of OpenQASM 3 are declared as
    `input float`; names such as `_inputs_0_` count as elements of a ParameterVector.

    Measurements at the end are left out, and so are resets before the first gate of a
    qubit, which change nothing. What is measured, `observables` says, by default Z of
    every qubit, whichever of them the program measures and into whichever bits. Qubits
    are counted from 0 in the order in which they are declared.

    Args:
        source: The program, or the path of a file that holds it.
        inputs: As in `from_qiskit`.
        observables: As in `from_qiskit`.

    Raises:
        InputError: For a file that is not there, a program that does not parse, one
            with `if`, other resets, or gates behind a measurement of their qubit, and
            as `from_qiskit`; for OpenQASM 3 without Qiskit's reader of it.

    Example:
        >>> program = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; cx q[0], q[1];'
        >>> from_qasm(program, inputs=[]).gates
        (('cx', (), (0, 1)),)
    """
    program = _read(source)
    _check_size(program)
    version = re.search(r"^\s*OPENQASM\s+(\d)", program, re.MULTILINE)
    try:
        if version is not None and version[1] == "2":
            known = qasm2.LEGACY_CUSTOM_INSTRUCTIONS
            # No path: a program reads no file but the built-in qelib1.inc.
            circuit = qasm2.loads(program, include_path=(), custom_instructions=known)
        else:
            circuit = qasm3.loads(program)
    except MissingOptionalLibraryError as error:
        raise input_error(
            "source",
            "be OpenQASM 2 while Qiskit's reader of OpenQASM 3 is not installed",
            "is OpenQASM 3",
            "Run: pip install qiskit-qasm3-import",
        ) from error
    # Qiskit 2.3.0 does not see to it that a gate of qelib1.inc has its angles.
    except (QiskitError, RecursionError, TypeError) as error:
        raise input_error("source", "be an OpenQASM program", f"is not: {error}") from (
            error
        )
    except BaseException as error:  # a panic of Rust's is none of Python's exceptions
        if type(error).__name__ != "PanicException":
            raise
        was = f"ends Qiskit's reader: {error}"
        raise input_error("source", "be an OpenQASM program", was) from error
    try:
        n_gates = _count_gates(circuit, {})
        if n_gates > MOST_GATES:
            was = f"expands to {n_gates:,}"
            raise input_error("source", f"have at most {MOST_GATES:,} gates", was)
        return converted("source", _gates_of(circuit), inputs, observables)
    except InputError:
        raise
    except (ValueError, ArithmeticError, RecursionError) as error:
        must = "define finite angles, and gates that are not nested too deeply"
        raise input_error("source", must, f"does not: {error}") from error


def _check_size(program: str) -> None:
    """Raises for what Qiskit's reader would run out of memory, or of stack, with."""
    text = re.sub(r"//[^\n]*", "", program)
    registers = r"\b[qc]reg\s+\w+\s*\[\s*(\d+)|\b(?:qu)?bit\s*\[\s*(\d+)"
    sizes = [a or b for a, b in re.findall(registers, text)]
    n_bits = sum(int(size[:18]) for size in sizes)
    if n_bits > MOST_BITS:
        must = f"declare at most {MOST_BITS:,} qubits and bits"
        raise input_error("source", must, f"declares {n_bits:,}")
    if found := re.search(r"(?<![\w.])\d{19,}(?![\d.eE])", text):
        must = "have whole numbers of at most 18 digits"
        raise input_error("source", must, f"has {found[0][:40]}")
    statements = text.split(";")
    deepest = max(len(re.findall(r"[-+*/^(\[{]", s)) for s in statements)
    if deepest > MOST_NESTED:
        must = f"have at most {MOST_NESTED:,} operators and brackets in a statement"
        raise input_error("source", must, f"has {deepest:,}")
    # A statement without an index applies to every qubit of a register.
    n_broadcast = sum("[" not in statement for statement in statements)
    n_gates = len(statements) + n_broadcast * n_bits
    if n_gates > MOST_GATES:
        must = f"have at most {MOST_GATES:,} gates"
        raise input_error("source", must, f"may have {n_gates:,}")


def _gates_of(circuit: QuantumCircuit) -> QuantumCircuit:
    """The gates of a program, without measurements at its end and resets at its start.

    Raises:
        InputError: Naming what else there is.
    """
    started: set[Bit] = set()  # qubits of what comes before
    after = []
    for one in circuit.data:
        if one.operation.name == "reset" and started.isdisjoint(one.qubits):
            continue
        if one.operation.name not in _NOTHING:
            started.update(one.qubits)
        after.append(one)
    followed: set[Bit] = set()  # qubits of gates that come later
    kept = []
    for one in reversed(after):
        if isinstance(one.operation, Gate):
            followed.update(one.qubits)
        elif one.operation.name == "measure" and followed.isdisjoint(one.qubits):
            continue
        elif one.operation.name not in _NOTHING:
            raise _no_gate(circuit, one)
        kept.append(one)
    gates = circuit.copy_empty_like()
    gates.data = kept[::-1]
    return gates


def _no_gate(circuit: QuantumCircuit, one: CircuitInstruction) -> InputError:
    name = one.operation.name
    was = f"has `{_WORDS.get(name, name)}`"
    if one.qubits:
        was += f" on {', '.join(_written(circuit, qubit) for qubit in one.qubits)}"
    if name == "measure":
        was += ", before other gates on that qubit"
    must = "consist of gates, and of measurements behind them"
    return input_error("source", must, was, _CURES.get(name, "Leave it out."))


def _written(circuit: QuantumCircuit, qubit: Qubit) -> str:
    """The qubit as the program calls it."""
    place = circuit.find_bit(qubit)
    for register, i in place.registers:
        return f"{register.name}[{i}]"
    return str(place.index)


_NOTHING = ("barrier", "delay")
_WORDS = {
    "if_else": "if",
    "while_loop": "while",
    "for_loop": "for",
    "switch_case": "switch",
    "store": "=",
}
"""The words of OpenQASM for what Qiskit calls otherwise."""

_CURES = {
    "measure": "Measure each qubit after all gates on it, or leave the measurement "
    "out.",
    "reset": "Each qubit starts in |0>: use another one instead.",
    "if_else": "Replace the measurement and the `if` by a controlled gate, such as cx.",
}


def _count_gates(circuit: QuantumCircuit, known: dict[str, int]) -> int:
    """The gates of a program, those that it defines itself taken apart."""
    total = 0
    for instruction in circuit.data:
        gate = instruction.operation
        if gate.name not in known:
            inner = None if gate.name in PENNYLANE else gate.definition
            known[gate.name] = 1 if inner is None else _count_gates(inner, known)
        total += known[gate.name]
    return total


def _read(source: str | Path) -> str:
    if isinstance(source, str) and "OPENQASM" in source:
        return source
    path = Path(source)
    if not path.is_file():
        must = "be an OpenQASM program or the path of a file that holds one"
        raise input_error("source", must, f"is {str(source)[:80]!r}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise input_error("source", "be a program in UTF-8", f"is not: {error}") from (
            error
        )
