"""From a circuit and its measurements to a program.

    gates -light cone-> gates -prefix-> product state + gates -lower, fuse-> items
          -segment-> repetitions -lay out-> stages of steps

The order of a state's bits (the layout) changes as blocks move to the front; a shuffle
moves them for nothing, so each one already brings the next block's wires to the front.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from . import affine, fusion
from .fusion import (
    BLOCK,
    CONTROLLED,
    DIAGONAL,
    PHASE,
    SAMPLE,
    SHUFFLE,
    FusedOp,
    Segment,
)
from .gates import NORMALISE, Gate, Named, Preparation, Read, is_real
from .matrices import FusedGate, GateMatrices, Gather
from .passes import (
    Diagonal,
    FusedBlock,
    Move,
    Normalise,
    Phase,
    Shuffle,
    Step,
)
from .program import ProductState, Stage
from .tape import Leaf, Tape

Part = TypeVar("Part", Gate, Preparation)

WIDTHS = (4, 5)
"""Widths of a block that are tried, in wires."""


@dataclass(frozen=True, eq=False)
class Program:
    """What runs: a product state, stages, and how the final bits are to be read."""

    n_wires: int
    beginning: ProductState
    stages: tuple[Stage, ...]
    matrices: tuple[GateMatrices, ...]
    leaves: tuple[Leaf, ...]
    layout: tuple[int, ...]
    """Order of the final state's bits: wires, first the most significant."""
    relabel: affine.Map
    """The last permutation, which a read-out of |amplitude|^2 follows for nothing."""
    wires: tuple[int, ...]
    """The circuit's wires that are simulated; all other numbers count in this."""
    n_gates: int
    """Gates that a measurement can see."""
    reversible: bool
    """Whether every gate is known to be unitary, so that it can be undone."""


def prune(
    circuit: Tape, measured: Iterable[int], diagonal: bool
) -> tuple[Tape, tuple[int, ...]]:
    """What measurements see of a circuit, on wires numbered again.

    Args:
        circuit: gates, and which of its leaves differ from sample to sample.
        measured: wires that are read.
        diagonal: whether only |amplitude|^2 is read.

    Returns:
        the smaller circuit, and which wires its wires were.
    """
    gates = fusion.light_cone(circuit.gates, measured, diagonal)
    return _restrict(circuit, gates, measured)


def compile_circuit(circuit: Tape, wires: tuple[int, ...], diagonal: bool) -> Program:
    """Plans how a circuit runs; the arguments are what `prune` gives and takes."""
    n, buffers = circuit.n_wires, Buffers(circuit.leaves)
    first, items = split(circuit, buffers, n)
    relabel = affine.identity(n)
    if diagonal and items and items[-1].kind == SHUFFLE:
        relabel = shuffle_map(items.pop(), n)
    assembly = Assembly(n, buffers)
    beginning = assembly.beginning(first, circuit.preparations)
    layout, stages = beginning.layout, []
    segments = fusion.segment(items)
    for i, segment in enumerate(segments):
        after = segments[i + 1].items[0][0] if i + 1 < len(segments) else None
        stage, layout = assembly.stage(segment, layout, after)
        stages.append(stage)
    return Program(
        n,
        beginning,
        tuple(stages),
        assembly.finished_matrices(),
        circuit.leaves,
        layout,
        relabel,
        wires,
        len(circuit.gates),
        all(gate.unitary for gate in circuit.gates),
    )


def split(
    circuit: Tape, buffers: "Buffers", n: int
) -> tuple[dict[int, list[Gate]], list[FusedOp]]:
    """The gates of the product state, and the others as the cheapest passes.

    Args:
        circuit: what runs.
        buffers: of its leaves.
        n: the most qubits that a pass may mix, if no single gate asks for more.
    """
    gates = circuit.gates
    prepared = [w for p in circuit.preparations for w in p.wires]
    first, rest = fusion.product_prefix(gates, prepared)
    items = _cheapest(fusion.lower(rest, buffers.of), buffers, n)
    of_data, more = fusion.product_prefix(gates, prepared, buffers.of)
    taken_in = _cheapest(fusion.lower(more, buffers.of), buffers, n)
    return (of_data, taken_in) if _cost(taken_in) <= _cost(items) else (first, items)


def _restrict(
    circuit: Tape, gates: Sequence[Gate], measured: Iterable[int]
) -> tuple[Tape, tuple[int, ...]]:
    """Leaves out wires that no gate and no measurement touches."""
    used = set(measured).union(*(gate.wires for gate in gates)) or {0}
    kept = [p for p in circuit.preparations if used & set(p.wires)]
    used = used.union(*(p.wires for p in kept))
    wires = tuple(sorted(used))
    number = {wire: i for i, wire in enumerate(wires)}

    def place(part: Part) -> Part:
        return replace(part, wires=tuple(number[wire] for wire in part.wires))

    small = Tape(
        len(wires),
        tuple(map(place, kept)),
        tuple(map(place, gates)),
        circuit.leaves,
    )
    return small, wires


def _cheapest(gates: Sequence[Gate], buffers: "Buffers", n: int) -> list[FusedOp]:
    """The cheapest of several ways to fuse."""
    ways = [
        fusion.fuse(gates, buffers.of, -(-n // -(-n // width)), absorb)
        for width in WIDTHS
        for absorb in (False, True)
    ]
    return min(ways, key=_cost)


def _cost(items: Sequence[FusedOp]) -> float:
    """Passes over the state, and a little for every step that is compiled."""
    price = {SHUFFLE: 1.5, PHASE: 1.0, DIAGONAL: 1.0, CONTROLLED: 1.5, NORMALISE: 1.0}
    run = sum(price.get(item.kind, 1.0 + 2.0 ** len(item.wires) / 16) for item in items)
    return run + 0.5 * sum(len(segment.items[0]) for segment in fusion.segment(items))


def shuffle_map(item: FusedOp, n: int) -> affine.Map:
    """What a pass of permutations does to basis states."""
    whole = affine.identity(n)
    for gate in item.gates:
        assert gate.kind.columns is not None
        whole = affine.compose(affine.on_wires(gate.kind.columns, gate.wires, n), whole)
    return whole


class Buffers:
    """Where each leaf lies in the concatenation of all leaves of its sort."""

    def __init__(self, leaves: Sequence[Leaf]) -> None:
        self.leaves = leaves
        self.names = [buffer_name(leaf) for leaf in leaves]
        self.starts: list[int] = []
        ends = {"shared": 1}  # shared[0] is 0
        for name, leaf in zip(self.names, leaves, strict=True):
            self.starts.append(ends.get(name, 0))
            ends[name] = self.starts[-1] + int(np.prod(leaf.shape))

    def of(self, gate: Gate) -> tuple[str, ...]:
        """The buffer of each of a gate's parameters."""
        return tuple(self._buffer(read) for read in gate.reads)

    def _buffer(self, read: Read) -> str:
        return self.names[read.leaf]

    def stack(self, reads: Sequence[Read]) -> Gather:
        """Reads from one buffer as one read with a leading axis."""
        buffer, shape = self._buffer(reads[0]), reads[0].shape
        size = int(np.prod(shape))
        local = np.arange(size).reshape(shape)
        scale = np.stack([np.full(shape, read.scale) for read in reads])
        if not buffer:
            known = [self.leaves[r.leaf].constant.value.ravel() for r in reads]  # type: ignore[union-attr]
            parts = [
                flat[r.start : r.start + size].reshape(shape)
                for flat, r in zip(known, reads, strict=True)
            ]
            return Gather(np.zeros_like(scale, int), scale * np.stack(parts), "")
        first = [self.starts[read.leaf] + read.start for read in reads]
        positions = np.stack([local + at for at in first])
        return Gather(positions, scale, buffer)


def buffer_name(leaf: Leaf) -> str:
    """The buffer that a leaf's values are read from; none for a constant."""
    sort = ("complex " if leaf.is_complex else "") + (
        "batched" if leaf.batched else "shared"
    )
    return "" if leaf.constant is not None else sort


class Assembly:
    """Collects matrices while items become steps."""

    def __init__(self, n: int, buffers: Buffers) -> None:
        self.n, self.buffers = n, buffers
        self.matrices: dict[tuple, list[Gate]] = {}

    def factor(self, gates: Sequence[Gate], wires: Sequence[int]) -> FusedGate:
        """The same gate of every repetition, on local wires."""
        key = fusion.matrix_key(gates[0], self.buffers.of(gates[0]))
        source = self.matrices.setdefault(key, [])
        rows = []
        for gate in gates:
            if source and not gate.reads:
                rows.append(0)
                continue
            rows.append(len(source))
            source.append(gate)
        return FusedGate(list(self.matrices).index(key), np.array(rows), tuple(wires))

    def finished_matrices(self) -> tuple[GateMatrices, ...]:
        """All matrices that the program needs."""
        return tuple(map(self._bank, self.matrices.values()))

    def _bank(self, gates: list[Gate]) -> GateMatrices:
        stacks = tuple(
            self.buffers.stack(reads)
            for reads in zip(*(gate.reads for gate in gates), strict=True)
        )
        batched = fusion.is_batched(self.buffers.of(gates[0]))
        tree, n = gates[0].tree, len(gates[0].wires) - len(gates[0].controls)
        real = isinstance(tree, Named) and len(stacks) == 1 and is_real(tree)
        return GateMatrices(tree, stacks, 1 << n, batched, real)

    def beginning(
        self, first: dict[int, list[Gate]], prepared: Sequence
    ) -> ProductState:
        """The product state of the first one-wire gates and all preparations."""
        alike: dict[tuple, list[int]] = {}
        for wire, gates in sorted(first.items()):
            key = tuple(fusion.matrix_key(g, self.buffers.of(g)) for g in gates)
            alike.setdefault(key, []).append(wire)
        runs = []
        for wires in alike.values():
            rows = zip(*(first[wire] for wire in wires), strict=True)
            runs.append((tuple(wires), tuple(self.factor(row, (0,)) for row in rows)))
        inside = {w: p.wires for p in prepared for w in p.wires}
        layout: list[int] = []
        for wire in range(self.n):
            if wire not in layout:
                layout += inside.get(wire, (wire,))
        states = tuple((p.wires, self._state_of(p)) for p in prepared)
        return ProductState(tuple(runs), states, tuple(layout))

    def _state_of(self, preparation: Preparation) -> Gather:
        stack = self.buffers.stack([preparation.read])
        return Gather(stack.positions[0], stack.scale[0], stack.buffer)

    def stage(
        self,
        segment: Segment,
        layout: tuple[int, ...],
        after: FusedOp | None,
    ) -> tuple[Stage, tuple[int, ...]]:
        """Steps of one repetition, their tables stacked over all of them.

        Returns:
            the stage and the layout behind it.
        """
        turns = segment.items
        if segment.count == 1:
            steps, layout = self._steps(turns, layout, [layout], after)
            return Stage(tuple(steps), 1), layout
        if turns[0][0].kind == SHUFFLE:  # it may start from any layout
            end = layout
            for i, item in enumerate(turns[0]):
                end = self._layout_after(item, end, _next(turns[0], i, None))
            entries = [layout] + [end] * (segment.count - 1)
            steps, layout = self._steps(turns, layout, entries, None)
            return Stage(tuple(steps), segment.count), layout
        back_to = layout if turns[0][-1].kind == SHUFFLE else None
        entries = [layout] * segment.count
        steps, end = self._steps(turns, layout, entries, None, back_to)
        if end != layout:
            steps.append(move_between(end, layout))
        return Stage(tuple(steps), segment.count), layout

    def _layout_after(
        self,
        item: FusedOp,
        layout: tuple[int, ...],
        after: FusedOp | None,
    ) -> tuple[int, ...]:
        if item.kind == SHUFFLE:
            return fronted(tuple(range(self.n)), after)
        return fronted(layout, item)

    def _steps(
        self,
        turns: Sequence[Sequence[FusedOp]],
        layout: tuple[int, ...],
        entries: Sequence[tuple[int, ...]],
        after: FusedOp | None,
        back_to: tuple[int, ...] | None = None,
    ) -> tuple[list[Step], tuple[int, ...]]:
        steps: list[Step] = []
        for i, column in enumerate(zip(*turns, strict=True)):
            item, last = column[0], i + 1 == len(turns[0])
            follows = _next(turns[0], i, after)
            end = self._layout_after(item, layout, follows)
            if last and back_to and item.kind == SHUFFLE:
                end = back_to
            if item.kind == SHUFFLE:
                starts = entries if i == 0 else [layout] * len(column)
                steps.append(self._shuffle(column, starts, end))
            elif item.kind == PHASE:
                steps.append(self.phase(column, layout))
            elif item.kind == DIAGONAL:
                steps.append(self._diagonal(column, layout))
            elif item.kind == NORMALISE:
                steps.append(Normalise())
            else:
                steps.append(self.block(column, layout, end))
            layout = end
        return steps, layout

    def _shuffle(
        self, items: Sequence[FusedOp], starts: Sequence, end: tuple[int, ...]
    ) -> Shuffle:
        columns, inverses = [], []
        for item, start in zip(items, starts, strict=True):
            undo = affine.invert(shuffle_map(item, self.n))
            to_wires = affine.compose(undo, affine.from_layout(end))
            index = affine.compose(affine.invert(affine.from_layout(start)), to_wires)
            columns.append(index)
            inverses.append(affine.invert(index))
        return Shuffle(np.array(columns, np.int32), np.array(inverses, np.int32))

    def block(
        self,
        items: Sequence[FusedOp],
        layout: tuple[int, ...],
        end: tuple[int, ...],
    ) -> FusedBlock:
        """The same block of every repetition, which brings its wires to the front."""
        flags = items[0].gates[0].controls if items[0].kind == CONTROLLED else ()
        place = {wire: i - len(flags) for i, wire in enumerate(end)}
        factors = tuple(
            self.factor(gates, [place[w] for w in gates[0].wires[len(flags) :]])
            for gates in zip(*(item.gates for item in items), strict=True)
        )
        move = None if end == layout else move_between(layout, end)
        n_bits = len(items[0].wires) - len(flags)
        return FusedBlock(move, factors, n_bits, items[0].batched, flags)

    def phase(self, items: Sequence[FusedOp], layout: tuple[int, ...]) -> Phase:
        """The same multiplication of every repetition."""
        place = {wire: self.n - 1 - i for i, wire in enumerate(layout)}
        terms: dict[int, dict[int, float]] = {}
        stacks = []
        for g, gates in enumerate(zip(*(item.gates for item in items), strict=True)):
            stacks.append(self._angles(gates))
            for local, weight in enumerate(_walsh(gates[0])):
                mask = sum(
                    1 << place[wire]
                    for i, wire in enumerate(reversed(gates[0].wires))
                    if local >> i & 1
                )
                if abs(weight) > 1e-12:
                    row = terms.setdefault(mask, {})
                    row[g] = row.get(g, 0.0) + weight
        mixing = np.zeros((len(terms), len(stacks)))
        for m, row in enumerate(terms.values()):
            mixing[m, list(row)] = list(row.values())
        return Phase(self.n, np.array(list(terms), int), mixing, tuple(stacks))

    def _diagonal(self, items: Sequence[FusedOp], layout: tuple[int, ...]) -> Diagonal:
        place = {wire: self.n - 1 - i for i, wire in enumerate(layout)}
        basis, entries = np.arange(1 << self.n), np.zeros(1 << self.n, int)
        for wire in items[0].gates[0].wires:
            entries = 2 * entries + (basis >> place[wire] & 1)
        reads = [item.gates[0].reads[0] for item in items]
        return Diagonal(self.buffers.stack(reads), entries)

    def _angles(self, gates: Sequence[Gate]) -> Gather:
        if gates[0].reads:
            return self.buffers.stack([gate.reads[0] for gate in gates])
        one = np.ones(len(gates))
        return Gather(one.astype(int), one, "")


def _walsh(gate: Gate) -> np.ndarray:
    """Coefficients c with eigenvalues[b] = sum_s c[s] (-1)^(bits of b in s)."""
    assert gate.kind.spectrum is not None
    values = gate.kind.spectrum.eigenvalues.astype(float)
    j = np.arange(len(values))
    sign = 1 - 2 * (np.bitwise_count(j[:, None] & j[None]) & 1).astype(int)
    return sign @ values / len(values)


def _next(items: Sequence[FusedOp], i: int, after: FusedOp | None) -> FusedOp | None:
    return items[i + 1] if i + 1 < len(items) else after


def fronted(layout: tuple[int, ...], item: FusedOp | None) -> tuple[int, ...]:
    """The layout with a block's wires in front; unchanged where they are already."""
    if item is None or item.kind not in (BLOCK, SAMPLE, CONTROLLED):
        return layout
    if item.kind == CONTROLLED:  # its controls first, in their order
        own = item.gates[0].wires
        return own + tuple(w for w in layout if w not in item.wires)
    k = len(item.wires)
    if set(layout[:k]) == item.wires:
        return layout
    inner = tuple(w for w in layout if w in item.wires)
    return inner + tuple(w for w in layout if w not in item.wires)


def move_between(start: tuple[int, ...], end: tuple[int, ...]) -> Move:
    """The transposition from one layout to another, in as few axes as possible."""
    runs: list[list[int]] = []
    position = {wire: i for i, wire in enumerate(end)}
    for wire in start:
        if runs and position[wire] == position[runs[-1][-1]] + 1:
            runs[-1].append(wire)
        else:
            runs.append([wire])
    order = sorted(range(len(runs)), key=lambda r: position[runs[r][0]])
    return Move(tuple(1 << len(run) for run in runs), tuple(order))


def final_move(layout: Sequence[int]) -> Move | None:
    """Back to wires in order."""
    end = tuple(sorted(layout))
    return None if tuple(layout) == end else move_between(tuple(layout), end)
