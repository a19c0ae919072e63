"""Circuits in the shape of a tensor network: a tree, or a chain (matrix product state).

One layer joins all qubits by n_qubits - 1 blocks on two qubits each, and all of them
reach the last qubit. With one layer that qubit's expectation is the contraction of a
tensor network, and the other qubits count as discarded on the way; several layers
repeat the shape, each with weights of its own, and are more than one network.
"""

from dataclasses import dataclass

from pennylane.typing import TensorLike
from pennylane.wires import WiresLike

from .._checks import check_at_least, check_one_of
from ._arguments import as_wires, check_broadcastable
from .blocks import BLOCKS


@dataclass(frozen=True)
class TreeLayers:
    r"""Blocks on pairs of neighbours, then on pairs of those that remain: a tree.

    Of each pair the second qubit goes on to the next level, and so does the last one of
    an odd number. After :math:`\lceil \log_2 n \rceil` levels the last qubit is left.

    Raises:
        InputError: For fewer than one qubit or layer, or an unknown block.

    Source: Grant et al., "Hierarchical quantum classifiers", arXiv 1804.03680 (TTN),
    whose simple real blocks are `block="real"`.

    Example:
        >>> import numpy as np, pennylane as qml
        >>> layers = TreeLayers(n_qubits=4, n_layers=1, block="real")
        >>> print(qml.draw(layers, decimals=None)(np.zeros(layers.weights_shape)))
        0: ──RY─╭●────────┤
        1: ──RY─╰X──RY─╭●─┤
        2: ──RY─╭●─────│──┤
        3: ──RY─╰X──RY─╰X─┤
    """

    n_qubits: int
    """Number of qubits, at least 1; one qubit has no blocks."""
    n_layers: int
    """Number of trees, at least 1."""
    block: str = "su4"
    """`su4`, a general gate of 15 angles, or `real`, two RY and a CNOT."""

    def __post_init__(self) -> None:
        _check_network(self.n_qubits, self.n_layers, self.block)

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """(n_layers, n_qubits - 1, angles of a block), from the leaves to the root."""
        return (self.n_layers, self.n_qubits - 1, BLOCKS[self.block].n_angles)

    @property
    def wires_left(self) -> tuple[int, ...]:
        """The qubit at the root."""
        return (self.n_qubits - 1,)

    def __call__(self, weights: TensorLike, wires: WiresLike | None = None) -> None:
        """Applies all layers.

        Args:
            weights: Angles in radians, weights_shape or (batch, *weights_shape).
            wires: The n_qubits wires to act on; 0, 1, ... by default.

        Raises:
            InputError: For weights or wires of another shape.
        """
        _apply_network(self, tree_pairs(self.n_qubits), weights, wires)


@dataclass(frozen=True)
class ChainLayers:
    """Blocks on (0, 1), (1, 2), ..., a staircase: a matrix product state.

    The bond dimension of one layer is 2.

    Raises:
        InputError: For fewer than one qubit or layer, or an unknown block.

    Source: Huggins, Patil, Mitchell, Whaley and Stoudenmire, "Towards quantum machine
    learning with tensor networks", arXiv 1803.11537.

    Example:
        >>> import numpy as np, pennylane as qml
        >>> layers = ChainLayers(n_qubits=3, n_layers=1, block="real")
        >>> print(qml.draw(layers, decimals=None)(np.zeros(layers.weights_shape)))
        0: ──RY─╭●────────┤
        1: ──RY─╰X──RY─╭●─┤
        2: ──RY────────╰X─┤
    """

    n_qubits: int
    """Number of qubits, at least 1; one qubit has no blocks."""
    n_layers: int
    """Number of staircases, at least 1."""
    block: str = "su4"
    """`su4`, a general gate of 15 angles, or `real`, two RY and a CNOT."""

    def __post_init__(self) -> None:
        _check_network(self.n_qubits, self.n_layers, self.block)

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """(n_layers, n_qubits - 1, angles of a block), from the first qubit on."""
        return (self.n_layers, self.n_qubits - 1, BLOCKS[self.block].n_angles)

    @property
    def wires_left(self) -> tuple[int, ...]:
        """The qubit at the end."""
        return (self.n_qubits - 1,)

    def __call__(self, weights: TensorLike, wires: WiresLike | None = None) -> None:
        """Applies all layers.

        Args:
            weights: Angles in radians, weights_shape or (batch, *weights_shape).
            wires: The n_qubits wires to act on; 0, 1, ... by default.

        Raises:
            InputError: For weights or wires of another shape.
        """
        chain = [(i, i + 1) for i in range(self.n_qubits - 1)]
        _apply_network(self, chain, weights, wires)


def tree_pairs(n_qubits: int) -> list[tuple[int, int]]:
    """Lists the pairs of a tree from the leaves to the root.

    Args:
        n_qubits: Number of leaves, at least 1.

    Example:
        >>> tree_pairs(5)
        [(0, 1), (2, 3), (1, 3), (3, 4)]
    """
    pairs, level = [], list(range(n_qubits))
    while len(level) > 1:
        joined = list(zip(level[::2], level[1::2], strict=False))
        odd_one = level[len(level) - len(level) % 2 :]
        level = [second for _, second in joined] + odd_one
        pairs += joined
    return pairs


def _check_network(n_qubits: int, n_layers: int, block: str) -> None:
    check_at_least("n_qubits", n_qubits, 1)
    check_at_least("n_layers", n_layers, 1)
    check_one_of("block", block, BLOCKS)


def _apply_network(
    layers: TreeLayers | ChainLayers,
    pairs: list[tuple[int, int]],
    weights: TensorLike,
    wires: WiresLike | None,
) -> None:
    check_broadcastable("weights", weights, layers.weights_shape)
    wires = as_wires(wires, layers.n_qubits)
    block = BLOCKS[layers.block]
    for layer in range(layers.n_layers):
        for k, (i, j) in enumerate(pairs):
            block.apply(weights[..., layer, k, :], [wires[i], wires[j]])
