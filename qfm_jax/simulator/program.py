"""The compiled form of a circuit and how it runs.

A program is an initial product state and stages. A stage is a list of steps that
repeats `count` times under `lax.scan`: every step holds static facts (which bits, which
shapes) and makes, once for all repetitions, a table (matrices, angles, indices) whose
leading axis is the repetition. All steps can be undone, except for single projections.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from pennylane import pytrees

from . import kernels
from .gates import matrix
from .kernels import Array, namespace


@dataclass(frozen=True, eq=False)
class Stack:
    """Many parameters read at once: scale * pool[positions] + shift, leading axis G."""

    positions: np.ndarray
    scale: np.ndarray
    shift: np.ndarray
    pool: str
    """'shared', 'batched' or 'complex' and 'complex batched'; '' for constants."""

    def read(self, pools: dict[str, Array], dtype: Any) -> Array:
        """Values of shape positions.shape, and (batch,) behind it from a batch."""
        if not self.pool:
            return self.shift.astype(dtype)
        pool = pools[self.pool]
        tail = (1,) * (pool.ndim - 1)
        scale, shift = (
            a.astype(pool.dtype).reshape(a.shape + tail)
            for a in (self.scale, self.shift)
        )
        flat, xp = self.positions.ravel(), namespace(pool)
        if np.array_equal(flat, np.arange(flat[0], flat[0] + flat.size)):
            values = pool[flat[0] : flat[0] + flat.size]  # a slice compiles to nothing
        else:
            values = xp.take(pool, flat, axis=0, **_in_bounds(xp))
        values = values.reshape(self.positions.shape + pool.shape[1:])
        values = values if (scale == 1).all() else values * scale
        return values if (shift == 0).all() else values + shift


def _in_bounds(xp: Any) -> dict[str, str]:
    return {} if xp is np else {"mode": "clip"}


@dataclass(frozen=True, eq=False)
class Bank:
    """All gates of one kind in the circuit: their matrices are made in one call."""

    tree: Any
    stacks: tuple[Stack, ...]
    size: int
    """Matrix side, 2^k."""
    batched: bool

    def matrices(self, pools: dict[str, Array], dtype: Any) -> Array:
        """Shape (G, size, size), or (G, size, size, batch)."""
        if isinstance(self.tree, np.ndarray):
            return self.tree[None].astype(dtype)
        real = np.finfo(dtype).dtype
        complex_pool = lambda s: "complex" in s.pool  # noqa: E731
        values = [
            s.read(pools, dtype if complex_pool(s) else real) for s in self.stacks
        ]
        one = lambda *leaves: matrix(self.tree, leaves)  # noqa: E731
        if not values:
            return np.asarray(one())[None].astype(dtype)
        xp = namespace(*values)
        if self.batched:
            batch = max(v.shape[-1] for v in values)
            values = [
                xp.moveaxis(_widen(v, s, batch, xp), -1, 1)  # (G, batch, ...)
                for v, s in zip(values, self.stacks, strict=True)
            ]
            flat = [v.reshape(-1, *v.shape[2:]) for v in values]
            found = _map(one, flat, xp).reshape(-1, batch, self.size, self.size)
            return xp.moveaxis(found, 1, -1).astype(dtype)
        return _map(one, values, xp).astype(dtype)


def _widen(values: Array, stack: Stack, batch: int, xp: Any) -> Array:
    """Gives a shared parameter of a sample-dependent gate its batch axis."""
    if "batched" in stack.pool:
        return values
    return xp.broadcast_to(values[..., None], (*values.shape, batch))


def _map(function: Any, values: Sequence[Array], xp: Any) -> Array:
    if xp is np:
        return np.stack([function(*row) for row in zip(*values, strict=True)])
    return jax.vmap(function)(*values)


@dataclass(frozen=True, eq=False)
class Factor:
    """A gate of a block: rows of a bank, one a repetition, on local wires."""

    bank: int
    rows: np.ndarray
    """Shape (count,)."""
    wires: tuple[int, ...]
    """Positions in the block, 0 the most significant."""


def _take(array: Array, rows: np.ndarray) -> Array:
    if len(array) == 1:
        return array
    if np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return array[rows[0] : rows[0] + len(rows)]
    xp = namespace(array)
    return xp.take(array, rows, axis=0, **_in_bounds(xp))


def fused_matrix(
    factors: Sequence[Factor], n: int, banks: Sequence[Array], batched: bool
) -> Array:
    """The product of gates on n wires: (count, 2^n, 2^n), and (batch,) behind."""
    tail = "z" if batched else ""
    local: dict[int, Array] = {}
    whole = None
    for factor in factors:
        gate = _take(banks[factor.bank], factor.rows)
        if batched and gate.ndim == 3:
            gate = gate[..., None]
        if len(factor.wires) == 1:
            wire = factor.wires[0]
            before = local.get(wire)
            product = f"gij{tail},gjk{tail}->gik{tail}"
            local[wire] = gate if before is None else _einsum(product, gate, before)
            continue
        if local or whole is None:
            whole = _absorb_local(whole, local, n, tail)
            local = {}
        whole = _apply_local(whole, gate, factor.wires, n, tail)
    if local or whole is None:
        whole = _absorb_local(whole, local, n, tail)
    return whole


def _einsum(spec: str, *arrays: Array) -> Array:
    if namespace(*arrays) is np:
        return np.einsum(spec, *arrays)
    return jnp.einsum(spec, *arrays, precision="highest")


def _absorb_local(whole: Array, local: dict[int, Array], n: int, tail: str) -> Array:
    """(Kronecker product of the one-wire matrices) @ whole."""
    product = None
    for wire in range(n):
        some = next(iter(local.values()), None)
        identity = np.eye(2)[None] if some is None else None
        one = local.get(wire)
        if one is None:
            dtype = some.dtype if some is not None else complex
            identity = np.eye(2, dtype=dtype)[None]
            one = identity[..., None] if tail else identity
        if product is None:
            product = one
            continue
        product = _einsum(f"gij{tail},gkl{tail}->gikjl{tail}", *_same(product, one))
        shape = product.shape
        side = shape[1] * shape[2]
        product = product.reshape(shape[0], side, side, *shape[5:])
    if whole is None:
        return product
    return _einsum(f"gij{tail},gjk{tail}->gik{tail}", *_same(product, whole))


def _same(a: Array, b: Array) -> tuple[Array, Array]:
    """Broadcasts the repetition and batch axes, which einsum does not."""
    xp = namespace(a, b)
    lead = np.broadcast_shapes(a.shape[:1], b.shape[:1])
    tail = np.broadcast_shapes(a.shape[3:], b.shape[3:])
    return tuple(xp.broadcast_to(m, (*lead, *m.shape[1:3], *tail)) for m in (a, b))


def _apply_local(
    whole: Array, gate: Array, wires: tuple[int, ...], n: int, tail: str
) -> Array:
    """Gate (on `wires`) @ whole, by contraction over the gate's bits only."""
    whole, gate = _same(whole, gate)
    xp, k = namespace(whole, gate), len(wires)
    lead, end = whole.shape[0], whole.shape[3:]
    bits = whole.reshape(lead, *(2,) * n, -1, *end)
    axes = [1 + w for w in wires]
    front = xp.moveaxis(bits, axes, range(1, k + 1))
    shape = front.shape
    product = _einsum(
        f"gij{tail},gjk{tail}->gik{tail}",
        gate,
        front.reshape(lead, 1 << k, -1, *end),
    )
    back = xp.moveaxis(product.reshape(shape), range(1, k + 1), axes)
    return back.reshape(lead, 1 << n, 1 << n, *end)


@dataclass(frozen=True, eq=False)
class Move:
    """A reordering of the basis index's bits: a transposition."""

    sizes: tuple[int, ...]
    order: tuple[int, ...]

    def apply(self, state: Array) -> Array:
        """The reordered state."""
        return kernels.transpose_axes(state, self.sizes, self.order)

    def undo(self, state: Array) -> Array:
        """The state before `apply`."""
        sizes = tuple(self.sizes[i] for i in self.order)
        back = tuple(int(i) for i in np.argsort(self.order))
        return kernels.transpose_axes(state, sizes, back)


@dataclass(frozen=True, eq=False)
class Transpose:
    """A move that no block follows."""

    move: Move

    def table(self, banks: Sequence[Array], pools: dict[str, Array]) -> Array:
        """Nothing changes from repetition to repetition."""
        return ()

    def apply(self, state: Array, table: Array) -> Array:
        """Reorders the bits."""
        return self.move.apply(state)

    def undo(self, state: Array, table: Array) -> Array:
        """Reorders the bits back."""
        return self.move.undo(state)


@dataclass(frozen=True, eq=False)
class Block:
    """A unitary on the leading bits: of the whole batch, or one of each sample."""

    move: Move | None
    factors: tuple[Factor, ...]
    n_bits: int
    batched: bool

    def table(self, banks: Sequence[Array], pools: dict[str, Array]) -> Array:
        """(count, 2K, 2K) real forms, or complex (count, K, K, batch)."""
        fused = fused_matrix(self.factors, self.n_bits, banks, self.batched)
        return fused if self.batched else kernels.real_form(fused)

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
        if self.batched:
            return kernels.apply_sample(state, table)
        return kernels.apply_block(state, table)


@dataclass(frozen=True, eq=False)
class Shuffle:
    """An affine permutation of the basis and any reordering of bits: one gather."""

    columns: np.ndarray
    """Shape (count, n + 1): row j of the result is row image(columns)[j]."""
    inverse: np.ndarray

    def table(self, banks: Sequence[Array], pools: dict[str, Array]) -> Array:
        """The columns: n + 1 integers stand for 2^n."""
        return self.columns, self.inverse

    def apply(self, state: Array, table: Array) -> Array:
        """Gathers the rows."""
        n = self.columns.shape[1] - 1
        index, inverse = (kernels.image(columns, n) for columns in table)
        return kernels.permute(state, index, inverse)

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
    stacks: tuple[Stack, ...]
    """Angles of the gates, shape (count,) each; gates in the order of `mixing`."""

    def table(self, banks: Sequence[Array], pools: dict[str, Array]) -> Array:
        """Angles (count, masks, batch or 1)."""
        like = pools["shared"]
        xp = namespace(like)
        angles = [stack.read(pools, like.dtype) for stack in self.stacks]
        angles = [a if a.ndim == 2 else a[:, None] for a in angles]
        width = max(a.shape[1] for a in angles)
        wide = [xp.broadcast_to(xp.asarray(a), (len(a), width)) for a in angles]
        stacked = xp.stack(wide, axis=1)  # (count, gates, batch or 1)
        return kernels.matmul(xp.asarray(self.mixing, like.dtype), stacked)

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
                sign = kernels.signs(self.masks[chosen] >> shift, n, xp, table.dtype)
                theta = kernels.matmul(sign.T, table[np.flatnonzero(chosen)])
                factors.append((theta.reshape(*shape, width), rows))
        return kernels.multiply_phases(state, factors)

    def undo(self, state: Array, table: Array) -> Array:
        """Multiplies by the conjugate phases."""
        return self.apply(state, -table)


Step = Transpose | Block | Shuffle | Phase


@dataclass(frozen=True, eq=False)
class Stage:
    """Steps that run `count` times, on tables with that leading axis."""

    steps: tuple[Step, ...]
    count: int


@dataclass(frozen=True, eq=False)
class Beginning:
    """The product state that gates of one wire make of |0...0>, and preparations.

    Wires with the same gates share one small program; vectors of all wires are
    multiplied out in two halves and then once, half the work of a chain.
    """

    runs: tuple[tuple[tuple[int, ...], tuple[Factor, ...]], ...]
    """Pairs: wires, and their gates; a factor's rows are one a wire."""
    prepared: tuple[tuple[tuple[int, ...], Any, tuple[Stack, ...]], ...]
    """Wires, PennyLane's structure, and parameters of each preparation."""
    layout: tuple[int, ...]
    """Wires in the order of the state's bits, first the most significant."""

    def state(
        self, banks: Sequence[Array], pools: dict[str, Array], batch: int, dtype: Any
    ) -> Array:
        """Shape (2, 2^n, batch)."""
        vectors = self._vectors(banks, pools, dtype)
        parts = [vectors[wire] for wire in self.layout if wire in vectors]
        half = _halfway(parts)
        a, b = _chain(parts[:half], dtype), _chain(parts[half:], dtype)
        a, b = a[:, None], b[None]
        xp = namespace(a, b)
        planes = [
            a.real * b.real - a.imag * b.imag,
            a.real * b.imag + a.imag * b.real,
        ]
        state = xp.stack(planes).reshape(2, -1, planes[0].shape[-1])
        return xp.broadcast_to(state, (*state.shape[:2], batch))

    def _vectors(
        self, banks: Sequence[Array], pools: dict[str, Array], dtype: Any
    ) -> dict[int, Array]:
        """First wire of each factor of the product to its vector (2^k, batch or 1)."""
        found = {w: np.array([[1], [0]], dtype) for w in self.layout}
        for wires, factors in self.runs:
            vector: Any = None
            for factor in factors:
                gate = _take(banks[factor.bank], factor.rows)
                gate = gate if gate.ndim == 4 else gate[..., None]  # (wires, 2, 2, z)
                if vector is None:
                    vector = gate[:, :, 0]
                else:
                    vector = (gate * vector[:, None]).sum(2)
            for i, wire in enumerate(wires):
                found[wire] = vector[min(i, len(vector) - 1)]
        for wires, tree, stacks in self.prepared:
            found[wires[0]] = _prepare(tree, stacks, pools, dtype)
            for wire in wires[1:]:
                del found[wire]
        return found


def _halfway(parts: Sequence[Array]) -> int:
    """Where to split so that both halves have about the same number of wires."""
    sizes = np.cumsum([np.log2(len(part)) for part in parts])
    return int(np.argmin(np.abs(sizes - sizes[-1] / 2))) + 1


def _chain(parts: Sequence[Array], dtype: Any) -> Array:
    whole = np.ones((1, 1), dtype)
    for i, part in enumerate(parts):
        if i == 0:
            whole = part
            continue
        product = whole[:, None] * part[None]
        whole = product.reshape(-1, product.shape[-1])
    return whole


def _prepare(
    tree: Any, stacks: Sequence[Stack], pools: dict[str, Array], dtype: Any
) -> Array:
    real = np.finfo(dtype).dtype
    values = [
        s.read(pools, dtype if "complex" in s.pool else (real if s.pool else int))
        for s in stacks
    ]
    xp = namespace(*values)
    one = lambda *leaves: _vector(tree, leaves)  # noqa: E731
    if any("batched" in s.pool for s in stacks):
        axes = [-1 if "batched" in s.pool else None for s in stacks]
        if xp is np:
            batch = max(v.shape[-1] for v in values)
            rows = [
                [v[..., i] if a else v for v, a in zip(values, axes, strict=True)]
                for i in range(batch)
            ]
            return np.stack([one(*row) for row in rows], -1).astype(dtype)
        return jax.vmap(one, axes, -1)(*values).astype(dtype)
    return xp.asarray(one(*values)).astype(dtype)[:, None]


def _vector(tree: Any, leaves: Sequence[Array]) -> Array:
    op = pytrees.unflatten(list(leaves), tree)
    return op.state_vector(wire_order=op.wires).reshape(-1)


def evolve(state: Array, stages: Sequence[Stage], tables: Sequence[Any]) -> Array:
    """Runs all stages on a state of shape (2, 2^n, batch)."""
    for stage, table in zip(stages, tables, strict=True):
        state = _run_stage(state, stage, table)
    return state


def _run_stage(state: Array, stage: Stage, tables: Any) -> Array:
    def turn(state: Array, rows: Any) -> tuple[Array, None]:
        for step, row in zip(stage.steps, rows, strict=True):
            state = step.apply(state, row)
        return state, None

    pick = lambda i: jax.tree.map(lambda table: table[min(i, len(table) - 1)], tables)  # noqa: E731
    if stage.count == 1 or namespace(state) is np:
        for i in range(stage.count):
            state, _ = turn(state, pick(i))
        return state
    return jax.lax.scan(turn, state, tables, length=stage.count)[0]
