"""From the gates of a tape to the program of the native kernels.

Gates are not fused into wide blocks: in a core's caches, one gate at a time is faster.
X, CNOT and SWAP move nothing: they change the map from an amplitude's place to the
basis state that it belongs to, and with it how the gates behind them are written down.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pennylane as qml

from .. import affine, fusion
from ..compiler import Assembly, Buffers, shuffle_map
from ..fusion import BLOCK, DIAGONAL, PHASE, SAMPLE, SHUFFLE, FusedOp
from ..gates import Constant, Gate, Named, Read, kind_of
from ..passes import Phase
from ..results import MeasurePlan
from ..tape import Tape
from .program import (
    DIAGONAL_KIND,
    MAX_WIRES,
    PHASE_KIND,
    TURN_KIND,
    Diagonals,
    Matrices,
    NativeProgram,
    Phases,
    Placed,
    Source,
    Turns,
)

LARGEST_DIAGONAL = 12
"""Wires up to which diagonals run here: each number of theirs has a gradient."""


def compile_native(
    circuit: Tape, wires: Sequence[int], readout: MeasurePlan
) -> NativeProgram | None:
    """The program of a pruned circuit; None where the kernels lack a pass of it.

    Of rotations as they are and of rotations as turns about Y and Z the cheaper one.

    Args:
        circuit: what `compiler.prune` gave.
        wires: which wires its wires were.
        readout: words alone; where it is `diagonal` they are products of Z.
    """
    if not all(gate.unitary for gate in circuit.gates):
        return None
    buffers = Buffers(circuit.leaves)
    turns = [part for gate in circuit.gates for part in _turns(gate, buffers)]
    measured = [wires.index(wire) for wire in readout.measured]
    turns = fusion.light_cone(turns, measured, readout.diagonal)
    ways = (
        [circuit.gates] if len(turns) == len(circuit.gates) else [circuit.gates, turns]
    )
    programs = [_compiled(circuit, way, wires, readout) for way in ways]
    possible = [program for program in programs if program is not None]
    return min(possible, key=_cost, default=None)


def _compiled(
    circuit: Tape, gates: Sequence[Gate], wires: Sequence[int], readout: MeasurePlan
) -> NativeProgram | None:
    n, buffers = circuit.n_wires, Buffers(circuit.leaves)
    prepared = [w for p in circuit.preparations for w in p.wires]
    # What the batch shares is no part of the product state, which is made by XLA.
    first, rest = fusion.product_prefix(gates, prepared, buffers.of)
    items = fusion.fuse(rest, buffers.of, 1, absorb=False, phases=True)
    fits = all(
        item.kind in (SHUFFLE, PHASE)
        or (item.kind == DIAGONAL and n <= LARGEST_DIAGONAL)
        or (item.kind in (BLOCK, SAMPLE) and len(item.wires) <= MAX_WIRES)
        for item in items
    )
    if not fits:
        return None
    assembly = Assembly(n, buffers)
    made = {wire: _from_zero(some) for wire, some in first.items()}
    turns = {wire: some[0] for wire, some in made.items() if _is_turn(some)}
    others = {wire: some for wire, some in made.items() if some and wire not in turns}
    beginning = assembly.beginning(others, circuit.preparations)
    placing = _Placing(n, beginning.layout, assembly)
    angles = {wire: placing.source_of(gate) for wire, gate in turns.items()}
    for item in items:
        placing.add(item)
    sources = placing.finished()
    return NativeProgram(
        n,
        beginning,
        angles,
        assembly.finished_matrices(),
        sources,
        tuple(in_levels(placing.gates)),
        _words(readout, n, wires, placing.to_basis),
        circuit.leaves,
    )


def _from_zero(gates: Sequence[Gate]) -> list[Gate]:
    """Gates on |0>, but for phases of the whole state, which no word sees."""
    gates = list(gates)
    while gates and gates[0].kind.diagonal:
        del gates[0]
    return gates


def _is_turn(gates: Sequence[Gate]) -> bool:
    return [gate.tree for gate in gates] == [Named(qml.RY)]


_HALF = np.exp(0.25j * np.pi * np.array([-1, 1]))  # of RZ(pi / 2)


def _turns(gate: Gate, buffers: Buffers) -> list[Gate]:
    """A rotation as turns about Y, which are real, and about Z, which are phases.

    A layer of phases is one multiplication, so that they cost next to nothing. The
    product is the gate but for a phase of the whole state, which no word sees.
    """
    own = (
        gate.tree.cls
        if isinstance(gate.tree, Named) and not gate.tree.controls
        else None
    )
    if gate.controls or own not in (qml.RX, qml.Rot, qml.U3):
        return [gate]
    if own is qml.RX:
        half = [Constant(np.diag(h)) for h in (_HALF, _HALF.conj())]
        known = [Gate(tree, gate.wires, (), kind_of(tree, 1, 0, True)) for tree in half]
        return [known[0], _turn(qml.RY, gate, gate.reads[0]), known[1]]
    if fusion.is_batched(buffers.of(gate)):  # phases of each sample are no single pass
        return [gate]
    reads = gate.reads if own is qml.Rot else (gate.reads[2], *gate.reads[:2])
    axes = (qml.RZ, qml.RY, qml.RZ)
    return [_turn(cls, gate, read) for cls, read in zip(axes, reads, strict=True)]


def _turn(cls: type, gate: Gate, read: Read) -> Gate:
    tree = Named(cls)
    return Gate(tree, gate.wires, (read,), kind_of(tree, 1, 1, True))


def _cost(program: NativeProgram) -> float:
    """Multiplications for each amplitude, forwards."""
    cost, before = 0.0, False
    for gate in program.gates:
        source = program.sources[gate.source]
        is_phase = source.kind == PHASE_KIND
        if source.kind in (TURN_KIND, DIAGONAL_KIND):
            cost += 4
        elif isinstance(source, Matrices):
            cost += (2 if program.is_real(source) else 4) * 2**gate.n_wires
        elif source.batched or not before:
            cost += 4 + 2 * (not source.batched)  # its sines too
        before = is_phase and not source.batched
    return cost


def in_levels(gates: Sequence[Placed]) -> list[Placed]:
    """The same program, with phases that can be one pass behind each other.

    Each gate moves forward past those that it commutes with. Levels of phases and of
    others take turns.

    Example:
        >>> phase = Placed(0, 0, 0, 1, 0, (0,), (1,))
        >>> gate = Placed(1, 0, 0, 1, 0, (2,), (2,))
        >>> [len(g.flips) * g.flips[0] for g in in_levels([phase, gate, phase])]
        [0, 0, 2]
    """
    levels: list[list[Placed]] = []
    for gate in gates:
        is_phase = not any(gate.flips)
        level = len(levels)
        while level > 0 and not any(_conflict(gate, one) for one in levels[level - 1]):
            level -= 1
        if level % 2 != (not is_phase):  # phases have the even levels
            level += 1
        while len(levels) <= level:
            levels.append([])
        levels[level].append(gate)
    return [gate for level in levels for gate in level]


def _conflict(a: Placed, b: Placed) -> bool:
    """Whether one moves amplitudes by which the other is read."""
    return any(
        (flip & read).bit_count() & 1
        for one, other in ((a, b), (b, a))
        for flip in one.flips
        for read in other.reads
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
        self.to_place = affine.invert(self.to_basis)
        self.gates: list[Placed] = []
        self.groups: dict[tuple, list[FusedOp]] = {}

    def add(self, item: FusedOp) -> None:
        """A pass behind those before."""
        if item.kind == SHUFFLE:
            self.to_basis = affine.compose(shuffle_map(item, self.n), self.to_basis)
            self.to_place = affine.invert(self.to_basis)
            return
        source, row = self._source_of(item)
        if item.kind == PHASE:
            self._phases(item, source, row)
        elif item.kind == DIAGONAL:
            placed = self._matrix(item.gates[0].wires, source, row)
            self.gates.append(replace(placed, flips=(0,)))
        else:
            self.gates.append(self._matrix(sorted(item.wires), source, row))

    def source_of(self, gate: Gate) -> tuple[int, int]:
        """The source and the row of a gate that is not placed."""
        buffers = self.assembly.buffers.of(gate)
        keys = [fusion.matrix_key(gate, buffers)]
        batched = fusion.is_batched(buffers)
        kind = SAMPLE if batched else BLOCK
        return self._source_of(FusedOp(kind, set(gate.wires), batched, [gate], keys))

    def _source_of(self, item: FusedOp) -> tuple[int, int]:
        own = item.kind in (PHASE, DIAGONAL)  # in the order of the gate
        wires = item.gates[0].wires if own else sorted(item.wires)
        place = {wire: i for i, wire in enumerate(wires)}
        local = tuple(tuple(place[w] for w in g.wires) for g in item.gates)
        key = (item.kind, item.batched, len(wires), local, tuple(item.keys))
        group = self.groups.setdefault(key, [])
        group.append(item)
        return list(self.groups).index(key), len(group) - 1

    def _matrix(self, wires: Sequence[int], source: int, row: int) -> Placed:
        bits = [self.n - 1 - wire for wire in reversed(wires)]
        flips = [self.to_place[1 + bit] for bit in bits]
        pulled = [affine.pull_back(1 << bit, self.to_basis) for bit in bits]
        constant = sum((sign < 0) << t for t, (_, sign) in enumerate(pulled))
        reads = tuple(mask for mask, _ in pulled)
        return Placed(source, row, 0, len(bits), constant, tuple(flips), reads)

    def _phases(self, item: FusedOp, source: int, row: int) -> None:
        wires = item.gates[0].wires
        for column, mask in enumerate(self._local_phases([item]).masks):
            whole = sum(
                1 << self.n - 1 - wire
                for i, wire in enumerate(wires)
                if int(mask) >> self.n - 1 - i & 1
            )
            if not whole:
                continue  # a phase of the whole state, which no word sees
            reads, sign = affine.pull_back(whole, self.to_basis)
            self.gates.append(
                Placed(source, row, column, 1, int(sign < 0), (0,), (reads,))
            )

    def _local_phases(self, items: Sequence[FusedOp]) -> Phase:
        """Of gates on any wires, as if these were the first ones."""
        moved = [
            FusedOp(
                PHASE,
                set(range(len(item.wires))),
                item.batched,
                [replace(g, wires=tuple(range(len(g.wires)))) for g in item.gates],
                item.keys,
            )
            for item in items
        ]
        return self.assembly.phase(moved, tuple(range(self.n)))

    def finished(self) -> tuple[Source, ...]:
        """What makes the parameters of all gates."""
        return tuple(self._source(group) for group in self.groups.values())

    def _source(self, group: Sequence[FusedOp]) -> Source:
        item = group[0]
        if item.kind == PHASE:
            return Phases(self._local_phases(group), item.batched)
        if item.kind == DIAGONAL:
            reads = [one.gates[0].reads[0] for one in group]
            return Diagonals(self.assembly.buffers.stack(reads), item.batched)
        if _is_turn(item.gates):
            reads = [one.gates[0].reads[0] for one in group]
            return Turns(self.assembly.buffers.stack(reads), item.batched)
        factors = []
        for gates in zip(*(one.gates for one in group), strict=True):
            place = {wire: i for i, wire in enumerate(sorted(item.wires))}
            local = [place[wire] for wire in gates[0].wires]
            factors.append(self.assembly.factor(gates, local))
        return Matrices(tuple(factors), len(item.wires), item.batched)
