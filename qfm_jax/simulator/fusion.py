"""Rewrites of a gate list: prune, split off the product prefix, fuse, segment.

Every rewrite takes gates and returns gates or items that do the same; none of them
looks at a parameter's value.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pennylane as qml

from .gates import NORMALISE, Constant, Gate, Kind, Named, Spectrum, kind_of
from .tape import MAX_MATRIX_WIRES

BuffersOf = Callable[[Gate], tuple[str, ...]]
"""Where each of a gate's parameters is read; 'batched' in a name: of each sample."""

BLOCK, SAMPLE, SHUFFLE = "block", "sample", "shuffle"
PHASE, DIAGONAL, CONTROLLED = "phase", "diagonal", "controlled"

JOIN = (BLOCK, SHUFFLE, PHASE)
"""What may become part of a block."""


@dataclass(eq=False)
class FusedOp:
    """Gates that run as one pass over the state."""

    kind: str
    """BLOCK: one matrix shared by the batch; SAMPLE: one matrix for each sample;
    SHUFFLE: an affine permutation of the basis; PHASE: a multiplication by phases whose
    angles are sums over few gates; DIAGONAL: by numbers that one gate gives;
    CONTROLLED: a matrix where many control wires say so; NORMALISE: a division."""
    wires: set[int]
    batched: bool = False
    gates: list[Gate] = field(default_factory=list)
    keys: list[tuple] = field(default_factory=list)
    """What each gate's matrix is computed from, but for the values."""

    def signature(self) -> tuple:
        """Items with equal signatures run the same program on different numbers."""
        if self.kind == SHUFFLE:
            return (SHUFFLE,)
        placed = ((g.wires, g.controls) for g in self.gates)
        gates = tuple(zip(placed, self.keys, strict=True))
        return (self.kind, self.batched, tuple(sorted(self.wires)), gates)


def matrix_key(gate: Gate, buffers: tuple[str, ...]) -> tuple:
    """Gates with equal keys have matrices that one call can make."""
    return gate.tree, buffers, tuple(read.shape for read in gate.reads)


def is_batched(buffers: tuple[str, ...]) -> bool:
    """Whether a gate that reads from these buffers differs from sample to sample."""
    return any("batched" in buffer for buffer in buffers)


@dataclass(frozen=True, eq=False)
class Segment:
    """Items whose program repeats: `items[l]` is the l-th repetition."""

    items: tuple[tuple[FusedOp, ...], ...]

    @property
    def count(self) -> int:
        """How many times the program of `items[0]` runs."""
        return len(self.items)


def light_cone(
    gates: Sequence[Gate], measured: Iterable[int], diagonal: bool
) -> list[Gate]:
    """Leaves out gates that no measurement sees.

    Args:
        gates: in order of application. One that is not unitary is seen from
            everywhere, as it changes the norm.
        measured: wires that a measurement reads.
        diagonal: whether measurements only read |amplitude|^2; then diagonal gates
            after the last one that mixes amplitudes are left out too.

    Returns:
        the gates that matter, in order.
    """
    seen, kept = set(measured), []
    mixed: set[int] = set()
    for gate in reversed(gates):
        wires = set(gate.wires)
        is_diagonal = gate.kind.diagonal
        unseen = bool(wires) and not wires & seen
        idle = diagonal and is_diagonal and not wires & mixed
        if gate.unitary and (unseen or idle):
            continue
        kept.append(gate)
        seen |= wires
        if not is_diagonal and (gate.kind.columns is None or wires & mixed):
            mixed |= wires
    return kept[::-1]


def product_prefix(
    gates: Sequence[Gate], entangled: Iterable[int], buffers_of: BuffersOf | None = None
) -> tuple[dict[int, list[Gate]], list[Gate]]:
    """Splits off the gates that act on a wire before it meets another one.

    Args:
        gates: in order of application.
        entangled: wires that start in a prepared state of several wires.
        buffers_of: where a gate's parameters are read. If given, a shared gate behind
            one of each sample stays: where a block takes it in for nothing, the product
            state then depends on the data alone and needs no backward pass.

    Returns:
        the first one-wire gates of each wire, and the other gates in order.
    """
    first: dict[int, list[Gate]] = {}
    met, rest = set(entangled), []
    for gate in gates:
        is_alone = len(gate.wires) == 1 and gate.wires[0] not in met
        is_alone = is_alone and gate.tree != NORMALISE
        if is_alone and buffers_of and not is_batched(buffers_of(gate)):
            before = first.get(gate.wires[0], [])
            is_alone = not any(is_batched(buffers_of(one)) for one in before)
        if is_alone:
            first.setdefault(gate.wires[0], []).append(gate)
        else:
            met |= set(gate.wires)
            rest.append(gate)
    return first, rest


def lower(gates: Sequence[Gate], buffers_of: BuffersOf) -> list[Gate]:
    """Writes sample-dependent rotations as basis change, phases, basis change back.

    The basis does not depend on the sample: it fuses with its shared neighbours, and
    a whole layer of data rotations costs one multiplication by phases.
    """
    found = []
    for gate in gates:
        for part in _three_rotations(gate) if is_batched(buffers_of(gate)) else [gate]:
            spectrum = part.kind.spectrum
            if spectrum is None or spectrum.basis is None or part.controls:
                found.append(part)
                continue
            if not is_batched(buffers_of(part)):
                found.append(part)
                continue
            there, back = spectrum.basis.conj().T, spectrum.basis
            phases = Kind(spectrum=Spectrum(spectrum.eigenvalues, None))
            found += [
                Gate(Constant(there), part.wires),
                Gate(part.tree, part.wires, part.reads, phases),
                Gate(Constant(back), part.wires),
            ]
    return found


def _three_rotations(gate: Gate) -> list[Gate]:
    """A Rot as the three rotations that it is; any other gate as it is."""
    if gate.tree != Named(qml.Rot) or gate.controls:
        return [gate]
    trees = [Named(qml.RZ), Named(qml.RY), Named(qml.RZ)]
    return [
        Gate(tree, gate.wires, (read,), kind_of(tree, 1, 1, True))
        for tree, read in zip(trees, gate.reads, strict=True)
    ]


def fuse(
    gates: Sequence[Gate],
    buffers_of: BuffersOf,
    width: int,
    absorb: bool,
    phases: bool = False,
) -> list[FusedOp]:
    """Merges gates into as few passes over the state as a greedy search finds.

    Args:
        gates: lowered gates in order of application.
        buffers_of: where a gate's parameters are read.
        width: most wires of a block that several gates share.
        absorb: whether permutations and diagonal gates join a block that holds their
            wires already; alternatively each is a pass of its own.
        phases: whether every gate that only turns phases is a pass of its own, that of
            one wire too; alternatively they are merged.
    """
    items: list[FusedOp] = []
    for gate in gates:
        _place(items, gate, buffers_of(gate), width, absorb, phases)
    return items


def _place(
    items: list[FusedOp],
    gate: Gate,
    buffers: tuple[str, ...],
    width: int,
    absorb: bool,
    phases: bool,
) -> None:
    batched = is_batched(buffers)
    wires, kind = set(gate.wires), _item_kind(gate, batched, phases)
    home = None
    for item in reversed([] if phases and kind == PHASE else items):
        meets = bool(item.wires & wires)
        joins_block = item.kind == BLOCK and not batched and kind in JOIN
        if joins_block and kind != BLOCK:
            joins_block = absorb and bool(wires) and wires <= item.wires
        if kind == item.kind and kind in (SHUFFLE, PHASE) and batched == item.batched:
            home = item
            break
        if joins_block and len(item.wires | wires) <= max(width, len(item.wires)):
            home = item if meets else home or item
            if meets:
                break
        if meets and not kind == item.kind == PHASE:
            break
    if home is None:
        home = FusedOp(kind, set(), batched)
        items.append(home)
    home.gates.append(gate)
    home.keys.append(matrix_key(gate, buffers))
    home.wires |= wires


def _item_kind(gate: Gate, batched: bool, phases: bool) -> str:
    if gate.tree == NORMALISE:
        return NORMALISE
    if gate.controls:
        return CONTROLLED
    if gate.kind.gives_diagonal and (batched or len(gate.wires) > MAX_MATRIX_WIRES):
        return DIAGONAL
    is_pass = batched or phases or len(gate.wires) != 1
    if gate.kind.spectrum and gate.kind.diagonal and is_pass:
        return PHASE
    if gate.kind.columns is not None and len(gate.wires) > 1:
        return SHUFFLE
    return SAMPLE if batched else BLOCK


def segment(items: Sequence[FusedOp]) -> list[Segment]:
    """Finds the repetition that saves most, and rolls up the rest on both sides."""
    signatures = [item.signature() for item in items]
    names = {s: i for i, s in enumerate(dict.fromkeys(signatures))}
    return _segment(list(items), np.array([names[s] for s in signatures], int))


def _segment(items: list[FusedOp], names: np.ndarray) -> list[Segment]:
    saved, start, period, count = max(
        (_longest(names, period) for period in range(1, len(names) // 2 + 1)),
        key=lambda found: (found[0], -found[2]),
        default=(0, 0, 0, 0),
    )
    if saved == 0:
        return [Segment((tuple(items),))] if items else []
    end = start + period * count
    turns = [tuple(items[i : i + period]) for i in range(start, end, period)]
    return [
        *_segment(items[:start], names[:start]),
        Segment(tuple(turns)),
        *_segment(items[end:], names[end:]),
    ]


def _longest(names: np.ndarray, period: int) -> tuple[int, int, int, int]:
    """The longest stretch with this period: items saved, start, period, count."""
    same = np.concatenate([[0], names[:-period] == names[period:], [0]])
    edges = np.flatnonzero(np.diff(same))
    if len(edges) == 0:
        return 0, 0, period, 0
    lengths = edges[1::2] - edges[::2]
    best = int(np.argmax(lengths))
    count = int(lengths[best]) // period + 1
    return (count - 1) * period, int(edges[2 * best]), period, count
