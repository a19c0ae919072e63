"""Two-qubit blocks: what convolutions and tensor networks are made of."""

from collections.abc import Callable
from typing import NamedTuple

import pennylane as qml
from pennylane.typing import TensorLike
from pennylane.wires import WiresLike


class TwoQubitBlock(NamedTuple):
    """A trainable block of gates."""

    n_angles: int
    """Length of the last axis of the angles that it takes."""
    apply: Callable[[TensorLike, WiresLike], None]
    """Applies the gates, called with angles (..., n_angles) and the wires."""


def apply_su4(angles: TensorLike, wires: WiresLike) -> None:
    r"""Applies a general two-qubit gate, up to a global phase.

    :math:`(R(w_{9..11}) \otimes R(w_{12..14}))\, ZZ(w_8)\, YY(w_7)\, XX(w_6)\,
    (R(w_{0..2}) \otimes R(w_{3..5}))` with :math:`R` PennyLane's `Rot` and
    :math:`PP(w) = e^{-i w P \otimes P / 2}`: the Cartan (KAK) decomposition, which
    reaches every element of SU(4).

    Source: Kraus and Cirac, arXiv quant-ph/0011050, appendix A.

    Args:
        angles: 15 angles in radians, (15,) or (batch, 15).
        wires: Two wires.

    Example:
        >>> import numpy as np, pennylane as qml
        >>> print(qml.draw(apply_su4, decimals=None)(np.zeros(15), [0, 1]))
        0: ──Rot─╭IsingXX─╭IsingYY─╭IsingZZ──Rot─┤
        1: ──Rot─╰IsingXX─╰IsingYY─╰IsingZZ──Rot─┤
    """
    first, second = wires
    _rotate(angles[..., :3], first)
    _rotate(angles[..., 3:6], second)
    qml.IsingXX(angles[..., 6], wires=[first, second])
    qml.IsingYY(angles[..., 7], wires=[first, second])
    qml.IsingZZ(angles[..., 8], wires=[first, second])
    _rotate(angles[..., 9:12], first)
    _rotate(angles[..., 12:], second)


def apply_real(angles: TensorLike, wires: WiresLike) -> None:
    """Applies RY to both wires, then a CNOT from the first to the second.

    Args:
        angles: Two angles in radians, (2,) or (batch, 2).
        wires: Two wires.

    Example:
        >>> import numpy as np, pennylane as qml
        >>> print(qml.draw(apply_real, decimals=1)(np.array([0.1, 0.2]), [0, 1]))
        0: ──RY(0.1)─╭●─┤
        1: ──RY(0.2)─╰X─┤
    """
    first, second = wires
    qml.RY(angles[..., 0], wires=first)
    qml.RY(angles[..., 1], wires=second)
    qml.CNOT(wires=[first, second])


def apply_rotation(angles: TensorLike, wires: WiresLike) -> None:
    """Applies PennyLane's `Rot`, a general one-qubit gate, of angles (..., 3)."""
    (wire,) = wires
    _rotate(angles, wire)


def apply_pooling(angles: TensorLike, wires: WiresLike) -> None:
    """Applies rotations to the second wire that the first one controls.

    RZ of the first angle where the first wire is 1, RX of the second where it is 0.

    Source: Hur, Kim and Park, arXiv 2108.00661.

    Args:
        angles: Two angles in radians, (2,) or (batch, 2).
        wires: Control and target.

    Example:
        >>> import numpy as np, pennylane as qml
        >>> print(qml.draw(apply_pooling, decimals=1)(np.array([0.1, 0.2]), [0, 1]))
        0: ─╭●───────╭○───────┤
        1: ─╰RZ(0.1)─╰RX(0.2)─┤
    """
    control, target = wires
    qml.CRZ(angles[..., 0], wires=[control, target])
    qml.ctrl(qml.RX, control, control_values=[0])(angles[..., 1], wires=target)


def _rotate(angles: TensorLike, wire: WiresLike) -> None:
    qml.Rot(angles[..., 0], angles[..., 1], angles[..., 2], wires=wire)


ROTATION = TwoQubitBlock(3, apply_rotation)
POOLING = TwoQubitBlock(2, apply_pooling)
BLOCKS = {"su4": TwoQubitBlock(15, apply_su4), "real": TwoQubitBlock(2, apply_real)}
"""Blocks on two qubits by the names that layers take."""
