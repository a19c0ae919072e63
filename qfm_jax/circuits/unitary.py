"""General unitaries on groups of qubits: as much as a block of qubits can do."""

from dataclasses import dataclass

import jax
import numpy as np
import pennylane as qml
from pennylane.typing import TensorLike
from pennylane.wires import WiresLike

from .._checks import check_at_least
from ._arguments import as_wires, check_broadcastable


@dataclass(frozen=True)
class UnitaryLayers:
    r"""A general unitary on every group of qubits; from layer to layer regrouped.

    A layer cuts the qubits into groups of `group_size` and applies
    :math:`e^{i H(w)}` to each, :math:`H` Hermitian with an entry of its own for each
    of the :math:`K^2 = 4^\text{group\_size}` weights: those on and above the diagonal
    are real parts, those below it imaginary parts. Even layers group neighbours, odd
    ones every other qubit, so that two layers join all groups. Where `group_size` does
    not divide `n_qubits`, the last group overlaps the one before.

    A group of five qubits costs a simulator one pass, and holds 1,024 weights where a
    layer of rotations holds 15: deep in weights, shallow in passes. On hardware it
    costs hundreds of CNOTs.

    Raises:
        InputError: For sizes below 1.

    Source: the parametrisation by the Lie algebra is that of Wiersema, Lewis,
    Wierichs, Carrasquilla and Killoran, arXiv 2303.11355.

    Example:
        >>> import numpy as np, pennylane as qml
        >>> layers = UnitaryLayers(n_qubits=4, n_layers=2, group_size=2)
        >>> layers.weights_shape
        (2, 2, 4, 4)
        >>> layers.groups(0), layers.groups(1)
        (((0, 1), (2, 3)), ((0, 2), (1, 3)))
    """

    n_qubits: int
    """Number of qubits, at least 1."""
    n_layers: int
    """Number of layers, at least 1."""
    group_size: int = 5
    """Qubits of a group, at least 1; all of them where there are fewer."""

    def __post_init__(self) -> None:
        check_at_least("n_qubits", self.n_qubits, 1)
        check_at_least("n_layers", self.n_layers, 1)
        check_at_least("group_size", self.group_size, 1)

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """(n_layers, n_groups, K, K)."""
        side = 2 ** min(self.group_size, self.n_qubits)
        return (self.n_layers, len(self.groups(0)), side, side)

    def groups(self, layer: int) -> tuple[tuple[int, ...], ...]:
        """The qubits of each group of a layer."""
        n, size = self.n_qubits, min(self.group_size, self.n_qubits)
        order = range(n) if layer % 2 == 0 else (*range(0, n, 2), *range(1, n, 2))
        starts = [min(start, n - size) for start in range(0, n, size)]
        return tuple(tuple(order[i] for i in range(s, s + size)) for s in starts)

    def __call__(self, weights: TensorLike, wires: WiresLike | None = None) -> None:
        """Applies all layers.

        Args:
            weights: Entries of the Hermitian matrices in radians, weights_shape or
                (batch, *weights_shape).
            wires: The n_qubits wires to act on; 0, 1, ... by default.

        Raises:
            InputError: For weights or wires of another shape.
        """
        check_broadcastable("weights", weights, self.weights_shape)
        wires = as_wires(wires, self.n_qubits)
        unitaries = exponential(weights)  # at once: one matrix exponential to compile
        for layer in range(self.n_layers):
            self.apply_layer(layer, unitaries, wires)

    def apply_layer(self, layer: int, unitaries: TensorLike, wires: WiresLike) -> None:
        """Applies one layer of unitaries (..., n_layers, n_groups, K, K)."""
        for k, group in enumerate(self.groups(layer)):
            own = [wires[i] for i in group]
            known_unitary(qml.QubitUnitary(unitaries[..., layer, k, :, :], wires=own))


def known_unitary(operation: qml.operation.Operator) -> qml.operation.Operator:
    """Says of an operation that its matrix is unitary whatever its numbers are.

    While JAX traces, nobody can check it: `qfm.statevector` then keeps the states of
    the forward pass for the gradient, unless an operation says so.

    Example:
        >>> known_unitary(qml.QubitUnitary(np.eye(2), wires=0)).known_unitary
        True
    """
    operation.known_unitary = True
    return operation


def exponential(weights: TensorLike) -> TensorLike:
    """The unitaries exp(iH) of real matrices (..., K, K), see `UnitaryLayers`.

    By its power series and repeated squaring, as products alone: XLA's solver, on which
    a Pade approximant rests, is slow on the CPU, and was seen to block there. Errors
    stay below 1e-6 in single precision for norms of H up to 40, and below 1e-13 in
    double precision for norms up to 15.

    Source: scaling and squaring, Moler and Van Loan, SIAM Review 45, 3 (2003); squared
    are exponentials less one, whose rounding errors do not double each time.

    Example:
        >>> exponential(np.diag([0.0, np.pi])).round(6)
        array([[ 1.+0.j,  0.+0.j],
               [ 0.+0.j, -1.+0.j]])
    """
    side = qml.math.shape(weights)[-1]
    generator = _generator(weights) * 0.5**SQUARINGS
    one = np.eye(2 * side, dtype=generator.dtype)
    with jax.default_matmul_precision("highest"):  # a GPU takes TF32 else
        series = one + generator / TERMS
        for k in range(TERMS - 1, 1, -1):
            series = one + generator @ series / k
        less_one = generator @ series
        for _ in range(SQUARINGS):
            less_one = 2 * less_one + less_one @ less_one
    re, im = less_one[..., :side, :side], less_one[..., side:, :side]
    return one[:side, :side] + re + 1j * im


TERMS, SQUARINGS = 10, 6


def _generator(weights: TensorLike) -> TensorLike:
    """The real form [[Re, -Im], [Im, Re]] of iH, (..., 2K, 2K): products are real."""
    side = qml.math.shape(weights)[-1]
    upper = np.triu(np.ones((side, side), bool), 1)
    above, below = weights * upper, weights * upper.T
    transpose = lambda a: qml.math.swapaxes(a, -1, -2)  # noqa: E731
    h_re = above + transpose(above) + weights * np.eye(side, dtype=bool)
    h_im = transpose(below) - below
    top = qml.math.concatenate([-h_im, -h_re], axis=-1)
    bottom = qml.math.concatenate([h_re, -h_im], axis=-1)
    return qml.math.concatenate([top, bottom], axis=-2)
