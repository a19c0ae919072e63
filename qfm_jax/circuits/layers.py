"""Layers: weights -> PennyLane operations that are trained."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import pennylane as qml
from pennylane.typing import TensorLike
from pennylane.wires import Wires, WiresLike

from .._checks import check_at_least, check_one_of
from ._arguments import as_wires, check_broadcastable
from .convolutional import ConvolutionalLayers
from .tensor_network import ChainLayers, TreeLayers
from .unitary import UnitaryLayers

ENTANGLEMENTS = ("reverse_linear", "linear", "circular", "full")


class Layers(Protocol):
    """What a circuit asks of its layers; write your own with these members.

    They may have `weights_start` too, a `Normal` or `Uniform`: how the weights start.
    """

    @property
    def n_qubits(self) -> int:
        """Number of qubits that the layers act on."""

    @property
    def n_layers(self) -> int:
        """Number of layers."""

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Shape of `weights`."""

    def __call__(self, weights: TensorLike, wires: WiresLike | None = None) -> None:
        """Applies the operations; index `weights[..., i]`, so that batches work."""


@dataclass(frozen=True)
class StronglyEntanglingLayers:
    r"""A general rotation of every qubit, then a ring of CNOTs that widens by layer.

    In layer :math:`l` qubit :math:`i` gets :math:`R_Z(w_2)R_Y(w_1)R_Z(w_0)` and then
    controls a NOT on qubit :math:`i + r` modulo :math:`n`, with
    :math:`r = l \bmod (n - 1) + 1`. The circuit is that of PennyLane's template of the
    same name with its default ranges. One qubit has no CNOTs.

    Raises:
        InputError: For fewer than one qubit or layer.

    Source: Schuld, Bocharov, Svore and Wiebe, arXiv 1804.00633.

    Example:
        >>> import numpy as np, pennylane as qml
        >>> layers = StronglyEntanglingLayers(n_qubits=3, n_layers=1)
        >>> print(qml.draw(layers, decimals=None)(np.zeros(layers.weights_shape)))
        0: ──Rot─╭●────╭X─┤
        1: ──Rot─╰X─╭●─│──┤
        2: ──Rot────╰X─╰●─┤
    """

    n_qubits: int
    """Number of qubits, at least 1."""
    n_layers: int
    """Number of layers, at least 1."""

    def __post_init__(self) -> None:
        check_at_least("n_qubits", self.n_qubits, 1)
        check_at_least("n_layers", self.n_layers, 1)

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """(n_layers, n_qubits, 3)."""
        return (self.n_layers, self.n_qubits, 3)

    def __call__(self, weights: TensorLike, wires: WiresLike | None = None) -> None:
        """Applies all layers.

        Args:
            weights: Angles in radians, weights_shape or (batch, *weights_shape).
            wires: The n_qubits wires to act on; 0, 1, ... by default.

        Raises:
            InputError: For weights or wires of another shape.
        """
        check_broadcastable("weights", weights, self.weights_shape)
        wires = as_wires(wires, self.n_qubits)
        for layer in range(self.n_layers):
            self.apply_layer(layer, weights, wires)

    def apply_layer(self, layer: int, weights: TensorLike, wires: Wires) -> None:
        """Applies layer number `layer` of `weights` (..., n_layers, n_qubits, 3)."""
        for i, wire in enumerate(wires):
            phi, theta, omega = (weights[..., layer, i, k] for k in range(3))
            qml.Rot(phi, theta, omega, wires=wire)
        if self.n_qubits > 1:
            distance = layer % (self.n_qubits - 1) + 1
            ring = range(self.n_qubits)
            _entangle([(i, (i + distance) % self.n_qubits) for i in ring], wires)


@dataclass(frozen=True)
class RealAmplitudes:
    r"""RY on every qubit, alternating with CNOTs; the amplitudes stay real.

    The circuit of Qiskit's `real_amplitudes(n_qubits, entanglement, reps=n_layers)`,
    with qubit :math:`i` on wire :math:`i`: `n_layers` times RY and CNOTs, then a last
    RY. `weights` flattened in C order are Qiskit's parameters in their order. Wire 0 is
    the most significant bit here and the least in Qiskit: compare with
    `Operator(circuit.reverse_bits())`.

    Raises:
        InputError: For fewer than one qubit or layer, or an unknown entanglement.

    Source: `qiskit.circuit.library.real_amplitudes`, Qiskit 2.3.

    Example:
        >>> import numpy as np, pennylane as qml
        >>> layers = RealAmplitudes(n_qubits=3, n_layers=1)
        >>> print(qml.draw(layers, decimals=None)(np.zeros(layers.weights_shape)))
        0: ──RY────╭●───RY─┤
        1: ──RY─╭●─╰X───RY─┤
        2: ──RY─╰X──RY─────┤
    """

    n_qubits: int
    """Number of qubits, at least 1."""
    n_layers: int
    """Number of repetitions, at least 1; the last rotations are not counted."""
    entanglement: str = "reverse_linear"
    """Which CNOTs, see `entangling_pairs`."""

    def __post_init__(self) -> None:
        _check_two_local(self.n_qubits, self.n_layers, self.entanglement)

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """(n_layers + 1, n_qubits)."""
        return (self.n_layers + 1, self.n_qubits)

    def __call__(self, weights: TensorLike, wires: WiresLike | None = None) -> None:
        """Applies all layers.

        Args:
            weights: Angles in radians, weights_shape or (batch, *weights_shape).
            wires: The n_qubits wires to act on; 0, 1, ... by default.

        Raises:
            InputError: For weights or wires of another shape.
        """
        check_broadcastable("weights", weights, self.weights_shape)
        wires = as_wires(wires, self.n_qubits)
        _two_local(weights[..., None, :], [qml.RY], self.entanglement, wires)


@dataclass(frozen=True)
class EfficientSU2:
    r"""RY and RZ on every qubit, alternating with CNOTs; common on IBM's devices.

    The circuit of Qiskit's `efficient_su2(n_qubits, entanglement=..., reps=n_layers)`,
    with qubit :math:`i` on wire :math:`i`: `n_layers` times RY, RZ and CNOTs, then a
    last RY, RZ. `weights` flattened in C order are Qiskit's parameters in their order.
    Wire 0 is the most significant bit here and the least in Qiskit: compare with
    `Operator(circuit.reverse_bits())`.

    Raises:
        InputError: For fewer than one qubit or layer, or an unknown entanglement.

    Source: `qiskit.circuit.library.efficient_su2`, Qiskit 2.3.

    Example:
        >>> import numpy as np, pennylane as qml
        >>> layers = EfficientSU2(n_qubits=3, n_layers=1, entanglement="full")
        >>> print(qml.draw(layers, decimals=None)(np.zeros(layers.weights_shape)))
        0: ──RY──RZ─╭●─╭●──RY──RZ─────┤
        1: ──RY──RZ─╰X─│──╭●───RY──RZ─┤
        2: ──RY──RZ────╰X─╰X───RY──RZ─┤
    """

    n_qubits: int
    """Number of qubits, at least 1."""
    n_layers: int
    """Number of repetitions, at least 1; the last rotations are not counted."""
    entanglement: str = "reverse_linear"
    """Which CNOTs, see `entangling_pairs`."""

    def __post_init__(self) -> None:
        _check_two_local(self.n_qubits, self.n_layers, self.entanglement)

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """(n_layers + 1, 2, n_qubits): of each repetition first RY, then RZ."""
        return (self.n_layers + 1, 2, self.n_qubits)

    def __call__(self, weights: TensorLike, wires: WiresLike | None = None) -> None:
        """Applies all layers.

        Args:
            weights: Angles in radians, weights_shape or (batch, *weights_shape).
            wires: The n_qubits wires to act on; 0, 1, ... by default.

        Raises:
            InputError: For weights or wires of another shape.
        """
        check_broadcastable("weights", weights, self.weights_shape)
        wires = as_wires(wires, self.n_qubits)
        _two_local(weights, [qml.RY, qml.RZ], self.entanglement, wires)


def entangling_pairs(entanglement: str, n_qubits: int) -> list[tuple[int, int]]:
    """Lists (control, target) of the CNOTs in order, as Qiskit names the patterns.

    Args:
        entanglement: `linear`, a chain from the first qubit to the last;
            `reverse_linear`, the chain from its other end; `circular`, last to first,
            then the chain; `full`, every pair, the same unitary as `reverse_linear`.
        n_qubits: Number of qubits, at least 1.

    Raises:
        InputError: For an unknown entanglement.

    Example:
        >>> entangling_pairs("circular", 4)
        [(3, 0), (0, 1), (1, 2), (2, 3)]
    """
    check_one_of("entanglement", entanglement, ENTANGLEMENTS)
    if entanglement == "full":
        return list(combinations(range(n_qubits), 2))
    chain = [(i, i + 1) for i in range(n_qubits - 1)]
    if entanglement == "reverse_linear":
        return chain[::-1]
    # On two qubits the closing CNOT would join the pair of the chain once more.
    if entanglement == "circular" and n_qubits > 2:
        return [(n_qubits - 1, 0), *chain]
    return chain


def _check_two_local(n_qubits: int, n_layers: int, entanglement: str) -> None:
    check_at_least("n_qubits", n_qubits, 1)
    check_at_least("n_layers", n_layers, 1)
    check_one_of("entanglement", entanglement, ENTANGLEMENTS)


def _two_local(
    weights: TensorLike,  # (..., n_layers + 1, len(rotations), n_qubits)
    rotations: Sequence[type[qml.operation.Operation]],
    entanglement: str,
    wires: Wires,
) -> None:
    pairs = entangling_pairs(entanglement, len(wires))
    for layer in range(qml.math.shape(weights)[-3]):
        if layer > 0:
            _entangle(pairs, wires)
        for k, rotate in enumerate(rotations):
            for i, wire in enumerate(wires):
                rotate(weights[..., layer, k, i], wires=wire)


def _entangle(pairs: Sequence[tuple[int, int]], wires: Wires) -> None:
    for control, target in pairs:
        qml.CNOT(wires=[wires[control], wires[target]])


LAYERS: dict[str, Callable[[int, int], Layers]] = {
    "strongly-entangling": StronglyEntanglingLayers,
    "real-amplitudes": RealAmplitudes,
    "efficient-su2": EfficientSU2,
    "unitary": UnitaryLayers,
    "convolutional": ConvolutionalLayers,
    "convolutional-unshared": functools.partial(ConvolutionalLayers, shared=False),
    "tree": TreeLayers,
    "chain": ChainLayers,
}
"""Parts of circuits that take weights in, by name; called with n_qubits, n_layers."""
