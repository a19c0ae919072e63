"""Qiskit's circuits as trainable circuits of this project."""

import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.devices.qubit import apply_operation
from pennylane.measurements import ExpectationMP
from pennylane.typing import TensorLike
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter, ParameterVector, ParameterVectorElement
from qiskit.exceptions import QiskitError
from qiskit.quantum_info import Statevector

from .._checks import input_error
from ._arguments import check_broadcastable
from .declaration import Angles, Takes
from .formulas import Formula, as_formula, evaluate
from .observables import expectations, pauli_words
from .qiskit_gates import PENNYLANE

DATA_NAMES = ("inputs", "x")
"""ParameterVectors that hold data where nothing else is said; Qiskit's is `x`."""

MOST_COMPARED = 14
"""Qubits up to which a circuit is compared with Qiskit's before it is handed out."""


@dataclass(frozen=True)
class QiskitCircuit:
    """A circuit that came from Qiskit; `from_qiskit` makes it. It needs no Qiskit.

    Example:
        >>> from qiskit.circuit.library import real_amplitudes, zz_feature_map
        >>> built = zz_feature_map(2, reps=1).compose(real_amplitudes(2, reps=1))
        >>> circuit = from_qiskit(built)
        >>> circuit.n_features, circuit.weights_shape, circuit.weight_names[0]
        (2, (4,), 'θ[0]')
        >>> print(qml.draw(circuit, decimals=None)(np.zeros(2), np.zeros(4)))
        0: ──H──Rϕ─╭●─────╭●──RY─╭●──RY─┤  <Z>
        1: ──H──Rϕ─╰X──Rϕ─╰X──RY─╰X──RY─┤  <Z>
    """

    n_qubits: int
    """Number of qubits; Qiskit's qubit i is wire i."""
    input_names: tuple[str, ...]
    """Qiskit's names of the features, in order."""
    weight_names: tuple[str, ...]
    """Qiskit's names of the weights, in order."""
    gates: tuple[tuple[str, tuple[Formula, ...], tuple[int, ...]], ...] = field(
        repr=False
    )
    """Of each gate Qiskit's name, its angles and its wires."""
    observables: tuple[str, ...] | None = None
    """Pauli words such as ("ZIII", "IZII"), letter i for wire i; by default every Z."""
    takes: Takes = field(default_factory=Angles)
    """What the data are; `dataclasses.replace` gives another range."""

    def __post_init__(self) -> None:
        pauli_words(self.observables, self.n_qubits)

    @property
    def n_features(self) -> int:
        """Number of parameters that are data."""
        return len(self.input_names)

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """(n_weights,): the number of all other parameters."""
        return (len(self.weight_names),)

    @property
    def n_observables(self) -> int:
        """Number of expectation values."""
        return len(pauli_words(self.observables, self.n_qubits))

    def __call__(self, inputs: TensorLike, weights: TensorLike) -> list[ExpectationMP]:
        """Applies the circuit to wires 0, 1, ... and measures it.

        Args:
            inputs: The data, (n_features,) or (batch, n_features).
            weights: The other parameters, weights_shape or (batch, *weights_shape).

        Returns:
            n_observables expectation values in [-1, 1].

        Raises:
            InputError: For inputs or weights of another shape.
        """
        check_broadcastable("inputs", inputs, (self.n_features,))
        check_broadcastable("weights", weights, self.weights_shape)
        for name, angles, wires in self.gates:
            values = [evaluate(angle, inputs, weights) for angle in angles]
            PENNYLANE[name](*values, wires=list(wires))
        return expectations(self.observables, self.n_qubits)


def from_qiskit(
    circuit: QuantumCircuit,
    inputs: str | Iterable[str | Parameter] | None = None,
    observables: tuple[str, ...] | None = None,
) -> QiskitCircuit:
    """Makes a trainable circuit of a parameterised QuantumCircuit.

    Qiskit translates it to the gates that PennyLane has by the same names, and up to
    14 qubits the outcome is compared with Qiskit's at random parameters. The global
    phase is left out, barriers and delays too.

    Args:
        circuit: Unitary gates on any registers; composed and nested as you like.
        inputs: Which parameters are data: the name of a ParameterVector, or parameters
            or their names in order; [] for none. Left out, a ParameterVector named
            `inputs` or `x` is, as in Qiskit's feature maps. The others are weights, in
            the order of Qiskit's `circuit.parameters`.
        observables: What is measured: Pauli words, letter i for qubit i (Qiskit's own
            labels run the other way); by default Z of every qubit.

    Raises:
        InputError: For measurements, resets and other classical parts, gates without a
            definition, circuits without gates, and parameters that are not there.

    Example:
        >>> built = QuantumCircuit(1)
        >>> built.ry(3 * Parameter("a") + Parameter("b"), 0)  # doctest: +ELLIPSIS
        <qiskit...>
        >>> from_qiskit(built, inputs=["a"])
        QiskitCircuit(n_qubits=1, input_names=('a',), weight_names=('b',),
            observables=None, takes=Angles(...))
    """
    if not isinstance(circuit, QuantumCircuit):
        raise input_error("circuit", "be a QuantumCircuit", f"is {circuit!r}")
    return converted("circuit", circuit, inputs, observables)


def converted(
    argument: str,
    circuit: QuantumCircuit,
    inputs: str | Iterable[str | Parameter] | None,
    observables: tuple[str, ...] | None,
) -> QiskitCircuit:
    """`from_qiskit` of what the user gave as `argument`, which its errors name."""
    translated = _translated(argument, circuit)
    data, others = _split(circuit, inputs)
    places: dict[str, Formula] = {name: ("inputs", i) for i, name in enumerate(data)}
    places |= {name: ("weights", i) for i, name in enumerate(others)}
    gates = tuple(_gates(translated, places))
    if not gates:
        raise input_error(argument, "have at least one gate", "has none")
    made = QiskitCircuit(circuit.num_qubits, data, others, gates, observables)
    if made.n_qubits <= MOST_COMPARED:
        _compare(argument, made, circuit)
    return made


def _translated(argument: str, circuit: QuantumCircuit) -> QuantumCircuit:
    """The same circuit of the gates in `PENNYLANE`; parameters stay."""
    for name in _CURES.keys() & circuit.count_ops().keys():
        raise _no_unitary(name, "")  # by the name that it has before it is translated
    try:
        return transpile(
            circuit,
            basis_gates=list(PENNYLANE),
            optimization_level=0,
            qubits_initially_zero=False,  # else idle qubits are used, and not restored
        )
    except QiskitError as error:
        must = "consist of gates that Qiskit can decompose"
        raise input_error(argument, must, f"does not: {error}") from error


def _gates(
    circuit: QuantumCircuit, places: dict[str, Formula]
) -> Iterator[tuple[str, tuple[Formula, ...], tuple[int, ...]]]:
    for instruction in circuit.data:
        name, angles = instruction.operation.name, instruction.operation.params
        if name in _NOTHING:
            continue
        if name not in PENNYLANE:
            raise _no_unitary(name, f" on qubits {_qubits(circuit, instruction)}")
        wires = _qubits(circuit, instruction)
        yield name, tuple(as_formula(angle, places) for angle in angles), wires


def _no_unitary(name: str, where: str) -> Exception:
    cure = _CURES.get(name, "Leave it out.")
    return input_error(
        "circuit", "consist of unitary gates", f"has {name!r}{where}", cure
    )


_NOTHING = ("barrier", "delay", "id")
_CURES = {
    "measure": "Call circuit.remove_final_measurements() first: expectations of "
    "`observables` are measured here.",
    "reset": "Every circuit starts in |0...0>; prepare a state by StatePreparation.",
    "initialize": "Prepare a state by StatePreparation, which is unitary.",
}


def _qubits(circuit: QuantumCircuit, instruction: Any) -> tuple[int, ...]:
    return tuple(circuit.find_bit(qubit).index for qubit in instruction.qubits)


def _split(
    circuit: QuantumCircuit, inputs: Any
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the parameters that are data, and of the others."""
    groups: dict[str, list[str]] = {}
    for parameter in sorted(circuit.parameters, key=_group_and_index):
        groups.setdefault(_group_and_index(parameter)[0], []).append(parameter.name)
    present = [name for names in groups.values() for name in names]
    whole = {p.vector.name: [e.name for e in p.vector] for p in _elements(circuit)}
    known = {name: [name] for name in present} | groups | whole
    if inputs is None:
        found = [name for name in DATA_NAMES if name in groups]
        if len(found) != 1:
            raise input_error(
                "inputs",
                "say which parameters are data unless one ParameterVector is named "
                f"{' or '.join(DATA_NAMES)}",
                f"is left out; there are {', '.join(groups) or 'no parameters'}",
                "Give the name of a ParameterVector, a list of parameters, or [].",
            )
        inputs = found
    one = isinstance(inputs, str | Parameter | ParameterVector)
    data: list[str] = []
    for item in [inputs] if one else inputs:
        name = getattr(item, "name", item)
        if name not in known or set(known[name]) & set(data):
            must = f"name parameters of the circuit ({', '.join(groups)}), each once"
            raise input_error("inputs", must, f"holds {name!r}")
        data += known[name]
    return tuple(data), tuple(name for name in present if name not in data)


def _elements(circuit: QuantumCircuit) -> list[ParameterVectorElement]:
    return [p for p in circuit.parameters if isinstance(p, ParameterVectorElement)]


def _group_and_index(parameter: Parameter) -> tuple[str, int]:
    """The ParameterVector's name, and the place in it; 0 for a single parameter."""
    if isinstance(parameter, ParameterVectorElement):
        return parameter.vector.name, parameter.index
    # Qiskit writes inputs[3] as _inputs_3_ in OpenQASM.
    written = re.fullmatch(r"_?(\w+?)_(\d+)_", parameter.name)
    return (written[1], int(written[2])) if written else (parameter.name, 0)


def _compare(argument: str, made: QiskitCircuit, circuit: QuantumCircuit) -> None:
    """Raises unless both do the same to random states, up to a phase."""
    rng = np.random.default_rng(0)
    axes = [2] * made.n_qubits
    for _ in range(2):
        # Within the domain of every function that angles are made of.
        inputs = rng.uniform(0.1, 0.9, made.n_features)
        weights = rng.uniform(0.1, 0.9, made.weights_shape)
        numbers = dict(zip(made.input_names, inputs, strict=True))
        numbers |= zip(made.weight_names, weights, strict=True)
        start = rng.normal(size=(2, 2**made.n_qubits)).T @ [1, 1j]
        start /= np.linalg.norm(start)
        bound = circuit.assign_parameters(
            {parameter: numbers[parameter.name] for parameter in circuit.parameters}
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SciPy on how Qiskit calls it
            theirs = Statevector(start).evolve(bound).data
        ours = start.reshape(axes).T  # wire 0 is the first axis, qubit 0 the last
        for operation in qml.tape.make_qscript(made)(inputs, weights).operations:
            ours = apply_operation(operation, ours)
        ours = ours.T.ravel()
        phase = np.exp(1j * np.angle(np.vdot(theirs, ours)))
        if not np.allclose(ours, phase * theirs, atol=1e-7):
            error = np.max(np.abs(ours - phase * theirs))
            must = "do the same here as in Qiskit at random parameters"
            cure = (
                "Where Qiskit only approximates a gate, as the evolution under terms "
                "that do not commute, pass circuit.decompose()."
            )
            raise input_error(argument, must, f"differs by {error:.1e}", cure)
