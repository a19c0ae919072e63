"""Pauli gates that move through a circuit: what noise leaves of each gate."""

from collections.abc import Callable

import numpy as np
import pennylane as qml
from pennylane.queuing import QueuingManager
from pennylane.typing import TensorLike

from ..circuits.qiskit_gates import PENNYLANE, QiskitGate
from .noisy_circuit import apply, native

AXES = {
    "rx": "X",
    "ry": "Y",
    "rz": "Z",
    "p": "Z",
    "rxx": "XX",
    "ryy": "YY",
    "rzz": "ZZ",
}
"""Rotations about a Pauli word, by Qiskit's names."""

QUARTERS = {"t": np.pi / 4, "tdg": -np.pi / 4}
"""Phases that are fixed, but no Clifford gates."""


class PauliFrame:
    """A Pauli gate on each wire, X^x Z^z, that waits behind the gates applied so far.

    Each bit is held as a sign, (-1)^x and (-1)^z, so that JAX traces products. With P
    the frame, a rotation about a Pauli word Q passes it as

        R_Q(angle) P = P R_Q(angle) or P R_Q(-angle), where Q and P commute or not,

    and a Clifford gate C as C P = (C P C^-1) C, another Pauli gate. Global phases and
    signs are left out.

    Source: Knill, "Quantum computing with realistically noisy devices",
    arXiv quant-ph/0410199.

    Args:
        n_qubits: Number of wires.
    """

    def __init__(self, n_qubits: int):
        self.x: list[TensorLike] = [1] * n_qubits
        self.z: list[TensorLike] = [1] * n_qubits

    def multiply(self, wire: int, x: TensorLike, z: TensorLike) -> None:
        """Puts another Pauli gate on a wire, given by its signs."""
        self.x[wire] = self.x[wire] * x
        self.z[wire] = self.z[wire] * z

    def apply_through(self, gate: QiskitGate) -> None:
        """Applies a gate as if it stood before the frame, which changes with it."""
        if gate.name in AXES:
            (angle,) = gate.parameters
            sign = self._sign(AXES[gate.name], gate.wires)
            apply(QiskitGate(gate.name, (sign * angle,), gate.wires))
        elif gate.name in QUARTERS:
            sign = self._sign("Z", gate.wires)
            apply(QiskitGate("p", (sign * QUARTERS[gate.name],), gate.wires))
        elif gate.name in CLIFFORD:
            apply(gate)
            CLIFFORD[gate.name](self.x, self.z, *gate.wires)
        elif gate.name != "global_phase":
            with QueuingManager.stop_recording():
                operation = PENNYLANE[gate.name](*gate.parameters, wires=gate.wires)
                parts = list(native(operation.decomposition()))
            for part in parts:
                self.apply_through(part)

    def apply(self) -> None:
        """Applies the frame itself, at the end of a circuit."""
        for wire, (x, z) in enumerate(zip(self.x, self.z, strict=True)):
            # Rotations by 0 or pi are the Pauli gates, but for a global phase.
            for sign, rotate in ((x, qml.RX), (z, qml.RZ)):
                if not isinstance(sign, int):  # else no gate has touched it
                    rotate(np.pi / 2 * (1 - sign), wires=wire)

    def _sign(self, word: str, wires: tuple[int, ...]) -> TensorLike:
        """1 where the frame commutes with a word on these wires, else -1."""
        sign: TensorLike = 1
        for letter, wire in zip(word, wires, strict=True):
            if letter != "X":
                sign = sign * self.x[wire]
            if letter != "Z":
                sign = sign * self.z[wire]
        return sign


Signs = list[TensorLike]


def _nothing(x: Signs, z: Signs, wire: int) -> None:
    """Pauli gates commute with each other but for a sign."""


def _h(x: Signs, z: Signs, wire: int) -> None:
    x[wire], z[wire] = z[wire], x[wire]


def _s(x: Signs, z: Signs, wire: int) -> None:
    z[wire] = z[wire] * x[wire]


def _sx(x: Signs, z: Signs, wire: int) -> None:
    x[wire] = x[wire] * z[wire]


def _cx(x: Signs, z: Signs, control: int, target: int) -> None:
    x[target] = x[target] * x[control]
    z[control] = z[control] * z[target]


def _cz(x: Signs, z: Signs, first: int, second: int) -> None:
    z[first], z[second] = z[first] * x[second], z[second] * x[first]


def _cy(x: Signs, z: Signs, control: int, target: int) -> None:
    _s(x, z, target)
    _cx(x, z, control, target)
    _s(x, z, target)


def _swap(x: Signs, z: Signs, first: int, second: int) -> None:
    x[first], x[second] = x[second], x[first]
    z[first], z[second] = z[second], z[first]


CLIFFORD: dict[str, Callable[..., None]] = {
    "id": _nothing,
    "x": _nothing,
    "y": _nothing,
    "z": _nothing,
    "h": _h,
    "s": _s,
    "sdg": _s,
    "sx": _sx,
    "sxdg": _sx,
    "cx": _cx,
    "cy": _cy,
    "cz": _cz,
    "swap": _swap,
}
"""How each Clifford gate changes the signs of a frame that it passes."""
