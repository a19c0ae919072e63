"""Circuits with noise in JAX, exact, on density matrices."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from pennylane.measurements import ExpectationMP
from pennylane.operation import Operator
from pennylane.pauli import PauliSentence
from pennylane.queuing import QueuingManager
from pennylane.typing import TensorLike

from .._checks import input_error
from ..circuits import VariationalCircuit
from ..circuits.qiskit_gates import PENNYLANE, QiskitGate, as_gates
from ..circuits.rewrites import Rewritten
from ..circuits.rotations import TRANSLATIONS, translated
from .noise import (
    ONE_QUBIT_GATES,
    TWO_QUBIT_GATES,
    VIRTUAL_GATES,
    Noise,
    gate_seconds,
    parse_noise,
)


class Depolarizing(NamedTuple):
    """A place where the state of some wires may be lost."""

    wires: tuple[int, ...]
    """One or two wires."""
    strength: float
    """Probability that their state is replaced by the maximally mixed one."""


class Relaxing(NamedTuple):
    """A time that some wires take to relax."""

    wires: tuple[int, ...]
    """One or two wires."""
    seconds: float
    """The time."""


Step = QiskitGate | Depolarizing | Relaxing


@dataclasses.dataclass(frozen=True)
class NoisyCircuit(Rewritten):
    """A circuit with exact noise, for devices of density matrices (`default.mixed`).

    Inputs, weights and results are the circuit's own; only their values differ. The
    noise stands behind the same gates as in `to_qiskit(circuit)`, and follows the same
    formulas as `noise_model`; gates that Qiskit Aer's density matrices do not have are
    decomposed as for Aer. The cost is that of 4^n_qubits amplitudes: for small
    circuits.

    Raises:
        InputError: For the noise of a backend, which holds for a transpiled circuit; as
            it is called, for gates that a matrix or amplitudes define
            (`UnitaryLayers`, `HamiltonianReuploading`, `AmplitudeEmbedding`). They are
            no gates of a device; of how many they consist, and how much noise follows
            them, only a transpiler says, for numbers and not for traced weights.

    Example:
        >>> from qfm_jax import AngleEmbedding, Circuit, RealAmplitudes, as_jax_function
        >>> from qfm_jax import DeviceConfig
        >>> circuit = Circuit(AngleEmbedding(1), RealAmplitudes(1, n_layers=1))
        >>> noisy = NoisyCircuit(circuit, "depolarizing:0.1+readout:0.05")
        >>> function = as_jax_function(noisy, DeviceConfig("default.mixed"))
        >>> bool(abs(function(np.zeros(1), np.zeros((2, 1))) - 0.9**3 * 0.9) < 1e-6)
        True
    """

    circuit: VariationalCircuit
    """The circuit without noise."""
    noise: Noise | str
    """The noise, or its name."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "noise", without_backend(self.noise))

    def __call__(self, inputs: TensorLike, weights: TensorLike) -> list[ExpectationMP]:
        """Applies gates and noise; arguments and results as the circuit has them."""
        noise = without_backend(self.noise)
        gates, measurements = recorded(self.circuit, inputs, weights)
        for step in with_noise(gates, noise):
            if isinstance(step, QiskitGate):
                apply(step)
            elif isinstance(step, Depolarizing):
                _apply_depolarizing(step)
            else:
                for wire in step.wires:
                    t1, t2 = noise.t1, noise.t2
                    qml.ThermalRelaxationError(0.0, t1, t2, step.seconds, wires=wire)
        return [read_out(m, noise.readout) for m in measurements]


def with_noise(gates: list[QiskitGate], noise: Noise) -> Iterator[Step]:
    """Yields the gates in order, and the noise between them.

    A depolarizing channel of one wire commutes with gates on it. So those between two
    gates on several wires are one, of strength 1 - (1 - P)^n, which costs less. Before
    relaxation, which does not commute with gates, each stands where it is.
    """
    p = noise.depolarizing
    kept: dict[int, float] = {}  # by wire: probability that its state is not lost yet
    for gate in gates:
        if len(gate.wires) == 2:
            yield from _lost(kept, gate.wires)
        yield gate
        if gate.name in VIRTUAL_GATES or not gate.wires:
            continue
        if len(gate.wires) == 2 and p > 0:
            yield Depolarizing(gate.wires, p)
        elif p > 0:
            (wire,) = gate.wires
            kept[wire] = kept.get(wire, 1.0) * (1 - p)
        if noise.t1 is not None:
            yield from _lost(kept, gate.wires)
            yield Relaxing(gate.wires, gate_seconds(len(gate.wires)))
    yield from _lost(kept, tuple(sorted(kept)))


def _lost(kept: dict[int, float], wires: tuple[int, ...]) -> Iterator[Depolarizing]:
    """Yields the channels that wait on these wires, and forgets them."""
    for wire in wires:
        if wire in kept:
            yield Depolarizing((wire,), 1 - kept.pop(wire))


def without_backend(noise: Noise | str) -> Noise:
    """The noise as data.

    Raises:
        InputError: For that of a backend.
    """
    noise = parse_noise(noise) if isinstance(noise, str) else noise
    if noise.backend is not None:
        must = "be made of depolarizing, readout and thermal"
        was = f"is that of {noise.backend!r}, which holds for a transpiled circuit"
        cure = "Use its noise on Qiskit Aer: noise_model(...)."
        raise input_error("noise", must, was, cure)
    return noise


def recorded(
    circuit: VariationalCircuit, inputs: TensorLike, weights: TensorLike
) -> tuple[list[QiskitGate], list[ExpectationMP]]:
    """The gates of a circuit, as far decomposed as Aer does, and what it measures."""
    tape = qml.tape.make_qscript(circuit)(inputs, weights)
    with QueuingManager.stop_recording():
        return list(native(tape.operations)), tape.measurements


NATIVE = {*VIRTUAL_GATES, *ONE_QUBIT_GATES, *TWO_QUBIT_GATES, "global_phase"}


def native(operations: list[Operator]) -> Iterator[QiskitGate]:
    """Yields the gates of operations, as far decomposed as Aer does.

    Raises:
        InputError: For gates that a matrix or amplitudes define.
    """
    for gate in as_gates(operations):
        if gate.name in NATIVE:
            yield gate
        elif gate.name in TRANSLATIONS:
            yield from translated(gate)
        else:
            must = "consist of gates on one and two qubits, which noise can follow"
            was = f"has a {gate.name} on wires {list(gate.wires)}, no gate of a device"
            cure = "Train without noise or with layers of gates, such as "
            cure += "StronglyEntanglingLayers; noise on Qiskit Aer, as `qfm evaluate` "
            cure += "has it, takes the trained circuit, which is transpiled first."
            raise input_error("circuit", must, was, cure)


def apply(gate: QiskitGate) -> None:
    """Applies a gate that `recorded` listed."""
    if gate.name != "global_phase":  # no expectation depends on it
        PENNYLANE[gate.name](*gate.parameters, wires=gate.wires)


def _apply_depolarizing(place: Depolarizing) -> None:
    if len(place.wires) == 1:
        # PennyLane counts the three Paulis other than the identity.
        qml.DepolarizingChannel(0.75 * place.strength, wires=place.wires)
    else:
        qml.QubitChannel(_two_qubit_kraus(place.strength), wires=place.wires)


@functools.cache
def _two_qubit_kraus(strength: float) -> list[np.ndarray]:
    """Kraus matrices of the depolarizing channel on two qubits."""
    paulis = [qml.matrix(p(0)) for p in (qml.I, qml.X, qml.Y, qml.Z)]
    weights = np.full(16, strength / 16)
    weights[0] += 1 - strength
    products = [np.kron(a, b) for a in paulis for b in paulis]
    return [np.sqrt(w) * m for w, m in zip(weights, products, strict=True)]


def read_out(measurement: Any, p: float) -> ExpectationMP:
    """The same expectation, of bits that are flipped with probability p."""
    if not p:
        QueuingManager.append(measurement)
        return measurement
    sentence = getattr(measurement.obs, "pauli_rep", None)
    if not isinstance(measurement, ExpectationMP) or sentence is None:
        must = "end in expectation values of sums of Pauli words"
        raise input_error("circuit", must, f"ends in {measurement!r}")
    flipped = {w: c * (1 - 2 * p) ** len(w) for w, c in sentence.items()}
    with QueuingManager.stop_recording():
        operator = PauliSentence(flipped).operation(wire_order=[0])
    return qml.expval(operator)
