"""Steps of a program: passes over the state, each with its inverse.

A step holds static facts (which bits, which shapes) and makes, once for all repetitions
of its stage, a table (matrices, angles, indices) whose leading axis is the repetition.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from . import arrays
from .arrays import Array, namespace
from .matrices import FusedGate, Gather, fused_matrix


class Step(Protocol):
    """One pass over a batch of states."""

    def table(self, matrices: Sequence[Array], buffers: dict[str, Array]) -> Any:
        """What the pass reads of matrices and parameters, a row for each repetition."""

    def apply(self, state: Array, table: Any) -> Array:
        """The state behind it."""

    def undo(self, state: Array, table: Any) -> Array:
        """The state before it."""


@dataclass(frozen=True, eq=False)
class Move:
    """A reordering of the basis index's bits: a transposition."""

    sizes: tuple[int, ...]
    order: tuple[int, ...]

    def table(self, matrices: Sequence[Array], buffers: dict[str, Array]) -> tuple[()]:
        """Nothing changes from repetition to repetition."""
        return ()

    def apply(self, state: Array, table: Any = ()) -> Array:
        """The reordered state."""
        return arrays.transpose_axes(state, self.sizes, self.order)

    def undo(self, state: Array, table: Any = ()) -> Array:
        """The state before `apply`."""
        sizes = tuple(self.sizes[i] for i in self.order)
        back = tuple(int(i) for i in np.argsort(self.order))
        return arrays.transpose_axes(state, sizes, back)


@dataclass(frozen=True, eq=False)
class FusedBlock:
    """A unitary on the leading bits: of the whole batch, or one of each sample."""

    move: Move | None
    factors: tuple[FusedGate, ...]
    n_bits: int
    batched: bool
    controls: tuple[bool, ...] = ()
    """Values of bits before those, without which the state stays as it is."""

    def table(self, matrices: Sequence[Array], buffers: dict[str, Array]) -> Array:
        """(count, 2K, 2K) real forms, or complex (count, K, K, batch)."""
        fused = fused_matrix(self.factors, self.n_bits, matrices, self.batched)
        return fused if self.batched else arrays.real_form(fused)

    def apply(self, state: Array, table: Array) -> Array:
        """Brings the block's bits to the front and multiplies."""
        state = state if self.move is None else self.move.apply(state)
        return self._multiply(state, table)

    def undo(self, state: Array, table: Array) -> Array:
        """Multiplies by the adjoint and puts the bits back."""
        adjoint = table.swapaxes(0, 1)
        state = self._multiply(state, adjoint.conj() if self.batched else adjoint)
        return state if self.move is None else self.move.undo(state)

    def _multiply(self, state: Array, table: Array) -> Array:
        multiply = arrays.apply_sample if self.batched else arrays.apply_block
        if not self.controls:
            return multiply(state, table)
        row = sum(on << i for i, on in enumerate(reversed(self.controls)))
        parts = state.reshape(2, 1 << len(self.controls), -1, state.shape[-1])
        turned = multiply(parts[:, row], table)[:, None]
        together = [parts[:, :row], turned, parts[:, row + 1 :]]
        return namespace(state).concatenate(together, 1).reshape(state.shape)


@dataclass(frozen=True, eq=False)
class Normalise:
    """The division of each state by its norm, which a projection asks for."""

    def table(self, matrices: Sequence[Array], buffers: dict[str, Array]) -> tuple[()]:
        """Nothing is read."""
        return ()

    def apply(self, state: Array, table: Any) -> Array:
        """Divides."""
        return state / arrays.norms(state)

    def undo(self, state: Array, table: Any) -> Array:
        """The norm before is not known: a program with this step is not undone."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Shuffle:
    """An affine permutation of the basis and any reordering of bits: one gather."""

    columns: np.ndarray
    """Shape (count, n + 1): row j of the result is row image(columns)[j]."""
    inverse: np.ndarray

    def table(self, matrices: Sequence[Array], buffers: dict[str, Array]) -> Array:
        """The columns: n + 1 integers stand for 2^n."""
        return self.columns, self.inverse

    def apply(self, state: Array, table: Array) -> Array:
        """Gathers the rows."""
        n = self.columns.shape[1] - 1
        index, inverse = (arrays.image(columns, n) for columns in table)
        return arrays.permute(state, index, inverse)

    def undo(self, state: Array, table: Array) -> Array:
        """Gathers by the inverse."""
        return self.apply(state, table[::-1])


@dataclass(frozen=True, eq=False)
class Phase:
    """exp(1j sum_m angle_m (-1)^(bits of j in mask m)), the angles linear in reads."""

    n_bits: int
    masks: np.ndarray
    mixing: np.ndarray
    """Shape (masks, gates): angle_m = mixing[m] @ gate angles."""
    stacks: tuple[Gather, ...]
    """Angles of the gates, shape (count,) each; gates in the order of `mixing`."""

    def table(self, matrices: Sequence[Array], buffers: dict[str, Array]) -> Array:
        """Angles (count, masks, batch or 1)."""
        like = buffers["shared"]
        xp = namespace(like)
        angles = [stack.read(buffers, like.dtype) for stack in self.stacks]
        angles = [a if a.ndim == 2 else a[:, None] for a in angles]
        width = max(a.shape[1] for a in angles)
        wide = [xp.broadcast_to(xp.asarray(a), (len(a), width)) for a in angles]
        stacked = xp.stack(wide, axis=1)  # (count, gates, batch or 1)
        return arrays.matmul(xp.asarray(self.mixing, like.dtype), stacked)

    def apply(self, state: Array, table: Array) -> Array:
        """One multiplication by the product of at most three phase factors."""
        low_bits = self.n_bits // 2
        rows = 1 << (self.n_bits - low_bits)
        low = self.masks < (1 << low_bits)
        high = ((self.masks & ((1 << low_bits) - 1)) == 0) & ~low
        xp, width = namespace(state), table.shape[-1]
        factors = []
        for chosen, shift, n, shape in (
            (low, 0, low_bits, (1, 1 << low_bits)),
            (high, low_bits, self.n_bits - low_bits, (rows, 1)),
            (~low & ~high, 0, self.n_bits, (rows, 1 << low_bits)),
        ):
            if chosen.any():
                sign = arrays.signs(self.masks[chosen] >> shift, n, xp, table.dtype)
                theta = arrays.matmul(sign.T, table[np.flatnonzero(chosen)])
                factors.append((theta.reshape(*shape, width), rows))
        return arrays.multiply_phases(state, factors)

    def undo(self, state: Array, table: Array) -> Array:
        """Multiplies by the conjugate phases."""
        return self.apply(state, -table)


@dataclass(frozen=True, eq=False)
class Diagonal:
    """A multiplication by the numbers that a gate gives, one for each basis state."""

    stack: Gather
    """The gate's diagonal, shape (count, 2^k)."""
    entries: np.ndarray
    """Which of them belongs to each basis state, shape (2^n,)."""

    def table(self, matrices: Sequence[Array], buffers: dict[str, Array]) -> Array:
        """Factors (count, 2^n, batch or 1), complex."""
        dtype = np.result_type(buffers["shared"].dtype, np.complex64)
        values = self.stack.read(buffers, dtype).astype(dtype)
        if not np.array_equal(self.entries, np.arange(values.shape[1])):
            values = values[:, self.entries]
        return values if values.ndim == 3 else values[..., None]

    def apply(self, state: Array, table: Array) -> Array:
        """One complex multiplication."""
        return arrays.multiply(state, table)

    def undo(self, state: Array, table: Array) -> Array:
        """Multiplies by the conjugates."""
        return arrays.multiply(state, table.conj())
