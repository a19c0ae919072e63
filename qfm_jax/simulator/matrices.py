"""Parameters and matrices of gates, read and made many at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .arrays import Array, namespace
from .gates import DIAGONAL_MATRIX, Constant, Named


@dataclass(frozen=True, eq=False)
class Gather:
    """Parameters read at once: scale * buffer[positions], leading axis G."""

    positions: np.ndarray
    scale: np.ndarray
    buffer: str
    """'shared', 'batched', 'complex shared' or 'complex batched'; '' stands for ones:
    `scale` is what is known."""

    def read(self, buffers: dict[str, Array], dtype: Any) -> Array:
        """Values of shape positions.shape, and (batch,) behind it from a batch."""
        if not self.buffer:
            is_complex = self.scale.dtype.kind == "c"
            wide = np.result_type(dtype, np.complex64) if is_complex else dtype
            return self.scale.astype(wide)
        buffer = buffers[self.buffer]
        shape = self.scale.shape + (1,) * (buffer.ndim - 1)
        scale = self.scale.astype(buffer.dtype).reshape(shape)
        flat, xp = self.positions.ravel(), namespace(buffer)
        if (evenly := _as_slice(flat)) is not None:
            values = buffer[evenly]  # compiles to nothing, and so does its derivative
        elif flat.size * len(buffer) <= LARGEST_TABLE:
            values = _pick(buffer, flat)
        else:
            values = xp.take(buffer, flat, axis=0, **_in_bounds(xp))
        values = values.reshape(self.positions.shape + buffer.shape[1:])
        return values if (scale == 1).all() else values * scale


LARGEST_TABLE = 1 << 14
"""Most entries of a table of ones and zeros."""


def _pick(buffer: Array, rows: np.ndarray) -> Array:
    """Rows of an array, by a product with ones and zeros.

    The derivative of indexing is a scatter, into which XLA fuses all that comes before:
    a GPU then computes it on as many threads as there are rows, in 40 us and more.
    """
    table = (rows[:, None] == np.arange(len(buffer))).astype(buffer.dtype)
    if namespace(buffer) is np:
        return table @ buffer
    return jnp.matmul(table, buffer, precision="highest")


def _as_slice(positions: np.ndarray) -> slice | None:
    """Positions that lie at equal distances, as a slice.

    Example:
        >>> _as_slice(np.array([1, 4, 7])), _as_slice(np.array([1, 4, 5]))
        (slice(1, 8, 3), None)
    """
    steps = np.diff(positions)
    step = int(steps[0]) if len(steps) else 1
    if step < 1 or (steps != step).any():
        return None
    return slice(int(positions[0]), int(positions[-1]) + 1, step)


def _in_bounds(xp: Any) -> dict[str, str]:
    return {} if xp is np else {"mode": "clip"}


@dataclass(frozen=True, eq=False)
class GateMatrices:
    """All gates of one kind in the circuit: their matrices are made in one call."""

    tree: Any
    stacks: tuple[Gather, ...]
    size: int
    """Matrix side, 2^k."""
    batched: bool
    is_real: bool = False
    """Whether the matrices have no imaginary part, whatever the parameters."""

    def matrices(self, buffers: dict[str, Array], dtype: Any) -> Array:
        """Shape (G, size, size), or (G, size, size, batch); real where `is_real`."""
        if isinstance(self.tree, Constant):
            return self.tree.value[None].astype(dtype)
        found = self._made(buffers, dtype)
        if self.is_real:
            return found.real.astype(np.finfo(dtype).dtype)
        return found.astype(dtype)

    def _made(self, buffers: dict[str, Array], dtype: Any) -> Array:
        real = np.finfo(dtype).dtype
        values = [
            s.read(buffers, dtype if "complex" in s.buffer else real)
            for s in self.stacks
        ]
        if not isinstance(self.tree, Named):
            (value,) = values
            if self.tree == DIAGONAL_MATRIX:
                eye = np.eye(self.size, dtype=real)
                value = value[:, :, None] * (eye[..., None] if self.batched else eye)
            return value
        xp, one = namespace(*values), lambda *angles: self.tree.matrix(angles)
        if self.batched:
            batch = max(
                v.shape[-1]
                for v, s in zip(values, self.stacks, strict=True)
                if "batched" in s.buffer
            )
            values = [
                xp.moveaxis(_widen(v, s, batch, xp), -1, 1)  # (G, batch)
                for v, s in zip(values, self.stacks, strict=True)
            ]
            flat = [v.reshape(-1, *v.shape[2:]) for v in values]
            found = _map(one, flat, xp).reshape(-1, batch, self.size, self.size)
            return xp.moveaxis(found, 1, -1)
        return _map(one, values, xp)


def _widen(values: Array, stack: Gather, batch: int, xp: Any) -> Array:
    """Gives a shared parameter of a sample-dependent gate its batch axis."""
    if "batched" in stack.buffer:
        return values
    return xp.broadcast_to(values[..., None], (*values.shape, batch))


def _map(function: Any, values: Sequence[Array], xp: Any) -> Array:
    if xp is np:
        return np.stack([function(*row) for row in zip(*values, strict=True)])
    return jax.vmap(function)(*values)


@dataclass(frozen=True, eq=False)
class FusedGate:
    """A gate of a block: rows of a source, one a repetition, on local wires."""

    source: int
    rows: np.ndarray
    """Shape (count,)."""
    wires: tuple[int, ...]
    """Positions in the block, 0 the most significant."""


def take_rows(array: Array, rows: np.ndarray) -> Array:
    """Rows of a source: a slice where they follow each other, which costs nothing."""
    if len(array) == 1:
        return array
    if np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return array[rows[0] : rows[0] + len(rows)]
    xp = namespace(array)
    return xp.take(array, rows, axis=0, **_in_bounds(xp))


def fused_matrix(
    factors: Sequence[FusedGate], n: int, matrices: Sequence[Array], batched: bool
) -> Array:
    """The product of gates on n wires: (count, 2^n, 2^n), and (batch,) behind."""
    if not batched and len(factors) > MOST_AT_ONCE:
        return _halved(factors, n, matrices)
    gates = [take_rows(matrices[factor.source], factor.rows) for factor in factors]
    return _multiplied(gates, [f.wires for f in factors], n, "z" if batched else "")


MOST_AT_ONCE = 24
"""Gates of a block that are multiplied one after the other; of more, pairs are."""


def _halved(factors: Sequence[FusedGate], n: int, matrices: Sequence[Array]) -> Array:
    """The product of many gates: neighbours first, all pairs at once.

    It compiles to as many products as the number of gates has binary digits. Runs of
    gates that are known are multiplied before by NumPy, one after the other.
    """
    groups: dict[int, list[FusedGate]] = {}
    known: list[Array] = []
    order: list[tuple[int, int]] = []  # group (-1: known) and place in it
    for is_known, run in groupby(
        factors, lambda f: namespace(matrices[f.source]) is np
    ):
        some = list(run)
        if is_known:
            order.append((-1, len(known)))
            gates = [take_rows(matrices[f.source], f.rows) for f in some]
            known.append(_multiplied(gates, [f.wires for f in some], n, ""))
            continue
        for factor in some:
            group = groups.setdefault(factor.source, [])
            order.append((factor.source, len(group)))
            group.append(factor)
    count = max(len(factor.rows) for factor in factors)
    if not groups and len(known) == 1:
        return known[0]
    parts = [
        _on_all_wires(matrices[source], some, n) for source, some in groups.items()
    ]
    if known:
        wide = [np.broadcast_to(m, (count, *m.shape[1:])) for m in known]
        parts.insert(0, np.stack(wide))
    sizes = {-1: len(known)} | {source: len(some) for source, some in groups.items()}
    starts = dict(zip(sizes, np.cumsum([0, *sizes.values()]), strict=False))
    xp = namespace(*parts)
    rows = np.array([starts[group] + place for group, place in order])
    whole = xp.concatenate(parts)[rows]
    while len(whole) > 1:
        even = len(whole) // 2 * 2
        pairs = whole[:even].reshape(-1, 2, *whole.shape[1:])
        halves = _einsum("pgij,pgjk->pgik", pairs[:, 1], pairs[:, 0])
        whole = xp.concatenate([halves, whole[even:]])
    return whole[0]


def _on_all_wires(source: Array, factors: Sequence[FusedGate], n: int) -> Array:
    """Gates of a source as matrices on all n wires, (factors, count, 2^n, 2^n)."""
    index = np.arange(1 << n)
    entries, same = [], []
    for factor in factors:
        own = rest = np.zeros_like(index)
        for wire in factor.wires:
            own = 2 * own + (index >> (n - 1 - wire) & 1)
        for wire in set(range(n)) - set(factor.wires):
            rest = 2 * rest + (index >> (n - 1 - wire) & 1)
        entries.append(own[:, None] * source.shape[-1] + own)
        same.append(rest[:, None] == rest)
    gates = source.reshape(len(source), -1)[np.stack([f.rows for f in factors])]
    flat = np.stack(entries).reshape(len(factors), 1, -1)
    xp = namespace(gates)
    spread = xp.take_along_axis(gates, flat, -1).reshape(
        *gates.shape[:2], *same[0].shape
    )
    return spread * np.stack(same)[:, None]


def _multiplied(
    gates: Sequence[Array], wires: Sequence[tuple[int, ...]], n: int, tail: str
) -> Array:
    local: dict[int, Array] = {}
    whole = None
    for gate, on in zip(gates, wires, strict=True):
        if tail and gate.ndim == 3:
            gate = gate[..., None]
        if len(on) == 1:
            (wire,) = on
            before = local.get(wire)
            product = f"gij{tail},gjk{tail}->gik{tail}"
            local[wire] = gate if before is None else _einsum(product, gate, before)
            continue
        if len(on) == n and whole is None and not local and on == tuple(range(n)):
            whole = gate
            continue
        if local or whole is None:
            whole = _absorb_local(whole, local, n, tail)
            local = {}
        whole = _apply_local(whole, gate, on, n, tail)
    if local or whole is None:
        whole = _absorb_local(whole, local, n, tail)
    return whole


def _einsum(spec: str, *arrays: Array) -> Array:
    if namespace(*arrays) is np:
        return np.einsum(spec, *arrays)
    return jnp.einsum(spec, *arrays, precision="highest")


def _absorb_local(whole: Array, local: dict[int, Array], n: int, tail: str) -> Array:
    """(Kronecker product of the one-wire matrices) @ whole."""
    product = None if n else np.ones((1, 1, 1, 1) if tail else (1, 1, 1))
    for wire in range(n):
        some = next(iter(local.values()), None)
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
