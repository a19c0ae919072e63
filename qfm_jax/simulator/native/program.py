"""From the gates of a tape to the program of the native kernels.

Gates are not fused into wide blocks: in a core's caches, one gate at a time is faster.
X, CNOT and SWAP move nothing: they change the map from an amplitude's place to the
basis state that it belongs to, and with it how the gates behind them are written down.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from .. import affine, fusion
from ..arrays import Array, namespace
from ..compiler import Assembly, Buffers, shuffle_map
from ..fusion import BLOCK, PHASE, SAMPLE, SHUFFLE, FusedOp
from ..matrices import FusedGate, GateMatrices, fused_matrix
from ..passes import Phase
from ..program import ProductState
from ..results import MeasurePlan
from ..tape import Leaf, Tape

MAX_WIRES = 5
"""Of one gate: see `kernels.hpp`."""

MATRIX_KIND, PHASE_KIND = 0, 1


@dataclass(frozen=True, eq=False)
class Matrices:
    """Gates of one form on so many wires: their matrices are made in one call."""

    factors: tuple[FusedGate, ...]
    n_wires: int
    batched: bool

    def values(self, matrices: Sequence[Array], buffers: dict[str, Array]) -> Array:
        """(count, 2^k, 2^k), and (batch,) behind."""
        return fused_matrix(self.factors, self.n_wires, matrices, self.batched)


@dataclass(frozen=True, eq=False)
class Phases:
    """Multiplications by phases of one form."""

    phase: Phase
    batched: bool

    def values(self, matrices: Sequence[Array], buffers: dict[str, Array]) -> Array:
        """Angles (count, masks), and (batch,) behind."""
        angles = self.phase.table(matrices, buffers)
        return angles if self.batched else angles[..., 0]


@dataclass(frozen=True, eq=False)
class Placed:
    """One gate: where its parameters are made, and which amplitudes it mixes."""

    source: int
    """Which of the program's sources."""
    row: int
    """Its number among the gates of the source."""
    column: int
    """Its number among the angles of a row; 0 for a matrix."""
    n_wires: int
    pivots: int
    constant: int
    flips: tuple[int, ...]
    reads: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class NativeProgram:
    """What the kernels run, but for the numbers: see `kernels.hpp` for the terms."""

    n_wires: int
    beginning: ProductState
    matrices: tuple[GateMatrices, ...]
    sources: tuple[Matrices | Phases, ...]
    gates: tuple[Placed, ...]
    words: tuple[tuple[int, int, int, int, int], ...]
    """Mask, sign, flip, whether its Y are odd in number, and its row in the results."""
    leaves: tuple[Leaf, ...]

    def parameters(
        self, buffers: dict[str, Array], dtype: np.dtype, batch: int
    ) -> tuple[np.ndarray, Array, Array]:
        """The program as integers, and its parameters.

        Returns:
            `code`; what the batch shares, (n,); and of each sample, (m, batch).
        """
        real = np.finfo(dtype).dtype
        matrices = [source.matrices(buffers, dtype) for source in self.matrices]
        packed = _Packed(real)
        parts = []
        for part in self.beginning.parts(matrices, buffers, dtype):
            wide = part.shape[1] > 1
            values = part[None] if wide else part.T
            at = packed.add(values, wide)
            k = int(part.shape[0]).bit_length() - 1
            parts.append((k, int(part.dtype.kind == "c"), int(wide), at))
        made = []
        for source in self.sources:
            values = source.values(matrices, buffers)
            tail = values.shape[-1:] if source.batched else ()
            flat = values.reshape(len(values), -1, *tail)
            made.append((packed.add(flat, source.batched), values, flat.shape[1]))
        gates = [self._gate(gate, *made[gate.source]) for gate in self.gates]
        shared, samples = packed.finished(batch)
        head = (self.n_wires, len(parts), len(gates), len(self.words))
        rows = [row for part in (parts, gates, self.words) for row in part]
        body = [number for row in rows for number in row]
        sizes = (7 + len(body), len(shared), len(samples))
        return np.array([*head, *sizes, *body], np.int32), shared, samples

    def _gate(
        self, gate: Placed, start: int, values: Array, width: int
    ) -> tuple[int, ...]:
        source = self.sources[gate.source]
        is_matrix = isinstance(source, Matrices)
        is_complex = values.dtype.kind == "c"
        row = min(gate.row, len(values) - 1)
        at = start + row * width * (1 + is_complex) + gate.column
        missing = (0,) * (MAX_WIRES - len(gate.flips))
        return (
            MATRIX_KIND if is_matrix else PHASE_KIND,
            gate.n_wires,
            int(is_complex),
            int(source.batched),
            int(namespace(values) is not np),
            at,
            gate.pivots,
            gate.constant,
            *(*gate.flips, *missing),
            *(*gate.reads, *missing),
        )


class _Packed:
    """Collects parameters: real parts, then imaginary parts, row by row."""

    def __init__(self, real: np.dtype) -> None:
        self.real = real
        self.of: dict[bool, list[Array]] = {False: [], True: []}
        self.sizes = {False: 0, True: 0}

    def add(self, values: Array, batched: bool) -> int:
        """Of (count, size[, batch]) numbers; returns where they begin."""
        xp = namespace(values)
        if values.dtype.kind == "c":
            values = xp.concatenate([values.real, values.imag], axis=1)
        values = values.astype(self.real)
        start = self.sizes[batched]
        flat = values.reshape(-1, *values.shape[2:]) if batched else values.reshape(-1)
        self.of[batched].append(flat)
        self.sizes[batched] += len(flat)
        return start

    def finished(self, batch: int) -> tuple[Array, Array]:
        """All of the batch, and all of each sample; one number at least."""
        shared = self.of[False] or [jnp.zeros(1, self.real)]
        samples = self.of[True] or [jnp.zeros((1, batch), self.real)]
        return jnp.concatenate(shared), jnp.concatenate(samples)


def compile_native(
    circuit: Tape, wires: Sequence[int], readout: MeasurePlan
) -> NativeProgram | None:
    """The program of a pruned circuit; None where the kernels lack a pass of it.

    Args:
        circuit: what `compiler.prune` gave.
        wires: which wires its wires were.
        readout: words alone; where it is `diagonal` they are products of Z.
    """
    n, buffers = circuit.n_wires, Buffers(circuit.leaves)
    if not all(gate.unitary for gate in circuit.gates):
        return None
    prepared = [w for p in circuit.preparations for w in p.wires]
    first, rest = fusion.product_prefix(circuit.gates, prepared)
    items = fusion.fuse(rest, buffers.of, 1, absorb=False)
    fits = all(
        item.kind in (SHUFFLE, PHASE)
        or (item.kind in (BLOCK, SAMPLE) and len(item.wires) <= MAX_WIRES)
        for item in items
    )
    if not fits:
        return None
    assembly = Assembly(n, buffers)
    beginning = assembly.beginning(first, circuit.preparations)
    placing = _Placing(n, beginning.layout, assembly)
    for item in items:
        placing.add(item)
    sources = placing.finished()
    words = _words(readout, n, wires, placing.to_basis)
    return NativeProgram(
        n,
        beginning,
        assembly.finished_matrices(),
        sources,
        tuple(placing.gates),
        words,
        circuit.leaves,
    )


def _words(
    readout: MeasurePlan, n: int, wires: Sequence[int], to_basis: affine.Map
) -> tuple[tuple[int, int, int, int, int], ...]:
    """P |j> = i^(number of Y) (-1)^(bits of j in Y or Z) |j ^ bits in X or Y>."""
    bit = {wire: 1 << (n - 1 - i) for i, wire in enumerate(wires)}
    to_place = affine.invert(to_basis)
    found = []
    for row, word in enumerate(readout.words):
        letters = (
            [("Z", wire) for wire, _ in word]
            if readout.diagonal
            else [(letter, wire) for wire, letter in word]
        )
        flips = sum(bit[wire] for letter, wire in letters if letter in "XY")
        reads = sum(bit[wire] for letter, wire in letters if letter in "YZ")
        n_y = sum(letter == "Y" for letter, _ in letters)
        mask, sign = affine.pull_back(reads, to_basis)
        flip = affine.apply(to_place, flips) ^ to_place[0]
        sign *= (-1) ** (n_y // 2)
        found.append((mask, sign, flip, n_y % 2, row))
    return tuple(sorted(found, key=lambda word: (word[2:4], word[4])))


class _Placing:
    """Writes gates down by the places of amplitudes, while permutations change them."""

    def __init__(self, n: int, layout: Sequence[int], assembly: Assembly) -> None:
        self.n, self.assembly = n, assembly
        self.to_basis = affine.from_layout(layout)
        """From an amplitude's place to its basis state."""
        self.gates: list[Placed] = []
        self.groups: dict[tuple, list[FusedOp]] = {}

    def add(self, item: FusedOp) -> None:
        """A pass behind those before."""
        if item.kind == SHUFFLE:
            self.to_basis = affine.compose(shuffle_map(item, self.n), self.to_basis)
            return
        wires = sorted(item.wires)
        key: tuple = item.signature()
        if item.kind != PHASE:
            place = {wire: i for i, wire in enumerate(wires)}
            local = tuple(tuple(place[w] for w in g.wires) for g in item.gates)
            key = (item.kind, item.batched, len(wires), local, tuple(item.keys))
        group = self.groups.setdefault(key, [])
        group.append(item)
        source, row = list(self.groups).index(key), len(group) - 1
        if item.kind == PHASE:
            self._phases(item, source, row)
        else:
            self.gates.append(self._matrix(wires, source, row))

    def _matrix(self, wires: Sequence[int], source: int, row: int) -> Placed:
        bits = [self.n - 1 - wire for wire in reversed(wires)]
        to_place = affine.invert(self.to_basis)
        flips = [to_place[1 + bit] for bit in bits]
        pulled = [affine.pull_back(1 << bit, self.to_basis) for bit in bits]
        constant = sum((sign < 0) << t for t, (_, sign) in enumerate(pulled))
        reads = tuple(mask for mask, _ in pulled)
        pivots = _pivots(flips)
        return Placed(source, row, 0, len(bits), pivots, constant, tuple(flips), reads)

    def _phases(self, item: FusedOp, source: int, row: int) -> None:
        masks = self.assembly.phase([item], tuple(range(self.n))).masks
        for column, mask in enumerate(masks):
            if not mask:
                continue  # a phase of the whole state, which no word sees
            reads, sign = affine.pull_back(int(mask), self.to_basis)
            self.gates.append(
                Placed(source, row, column, 1, 0, int(sign < 0), (0,), (reads,))
            )

    def finished(self) -> tuple[Matrices | Phases, ...]:
        """What makes the parameters of all gates."""
        return tuple(self._source(group) for group in self.groups.values())

    def _source(self, group: Sequence[FusedOp]) -> Matrices | Phases:
        item = group[0]
        if item.kind == PHASE:
            layout = tuple(range(self.n))
            return Phases(self.assembly.phase(group, layout), item.batched)
        factors = []
        for gates in zip(*(one.gates for one in group), strict=True):
            place = {wire: i for i, wire in enumerate(sorted(item.wires))}
            local = [place[wire] for wire in gates[0].wires]
            factors.append(self.assembly.factor(gates, local))
        return Matrices(tuple(factors), len(item.wires), item.batched)


def _pivots(flips: Sequence[int]) -> int:
    """A bit for each flip, such that those bits tell all sums of flips apart."""
    rows, found = list(flips), 0
    for i, row in enumerate(rows):
        pivot = row & -row
        found |= pivot
        for j in range(len(rows)):
            if j != i and rows[j] & pivot:
                rows[j] ^= row
    return found
