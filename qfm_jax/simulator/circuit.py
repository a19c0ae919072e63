"""From a PennyLane tape to a circuit: gates that read their parameters from leaves.

A tape is rebuilt at every trace, its structure seldom changes: `read_tape` splits it
into a hashable structure and the leaves (the numbers), and analyses a structure once.
Templates are decomposed *structurally*: their decomposition is run on a few random
numbers, and a parameter that always equals scale * leaf[i] + shift is read from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pennylane as qml
from pennylane import pytrees
from pennylane.exceptions import DeviceError
from pennylane.operation import StatePrepBase
from scipy import sparse

from .._checks import InputError, input_error
from .gates import (
    Gate,
    Kind,
    Preparation,
    Read,
    Spectrum,
    canonical,
    kind_of,
)

MAX_MATRIX_WIRES = 5
"""A wider operation is decomposed if it can be."""
MAX_DENSE_WIRES = 10
NO_EFFECT = {"Identity", "Barrier", "Snapshot", "WireCut"}


@dataclass(frozen=True, eq=False)
class Held:
    """A leaf that is no array: a sparse matrix, a mid-circuit outcome, nothing."""

    value: Any


NOTHING = Held(None)


class UnsupportedOperationError(InputError, DeviceError):
    """PennyLane expects its DeviceError, this package's users an InputError."""


class NeedsValues(Exception):  # noqa: N818 - control flow, never seen by a user
    """A decomposition depends on its parameters' values in more than a linear way."""


@dataclass(frozen=True)
class Leaf:
    """One array of the tape's parameters, without its values."""

    shape: tuple[int, ...]
    """Of one sample."""
    batched: bool = False
    is_complex: bool = False
    static: Any = None
    """Integers (basis states) are part of the structure: nested tuples, else None."""

    def probe(self, *seed: int) -> Any:
        """A value of this shape; different seeds give different numbers."""
        if isinstance(self.static, Held):
            return self.static.value
        if self.static is not None:
            return np.array(self.static)
        values = np.random.default_rng([1, *seed]).uniform(0.1, 1, self.shape)
        if self.is_complex:
            return values + 0j
        return values if self.shape else float(values)


@dataclass(frozen=True)
class Structure:
    """All of a tape but the values of its parameters; hashable."""

    ops: tuple[tuple[Any, tuple[Leaf, ...]], ...]
    measurements: tuple[tuple[Any, tuple[Leaf, ...]], ...]
    """PennyLane's structure and leaves of each measurement process."""
    wires: tuple[Any, ...]
    """Labels; the first is the most significant bit of a basis state's index."""
    batch: int | None = None


@dataclass(frozen=True, eq=False)
class Circuit:
    """Preparations on fresh wires, then gates, on wires 0 to n_wires - 1."""

    n_wires: int
    preparations: tuple[Preparation, ...]
    gates: tuple[Gate, ...]
    leaves: tuple[Leaf, ...]


def read_tape(tape: Any, wires: Sequence[Any]) -> tuple[Structure, list[Any]]:
    """Splits a tape into its structure and its leaves, in the order of its operations.

    Args:
        tape: a PennyLane tape without mid-circuit measurements.
        wires: every wire label of the register, most significant first.

    Returns:
        the structure, and its leaves: first of the operations, then of the
        measurements. A leaf of a broadcast operation keeps its leading batch axis.

    Example:
        >>> import pennylane as qml
        >>> tape = qml.tape.QuantumScript([qml.RX(0.1, 0)], [qml.expval(qml.Z(0))])
        >>> structure, leaves = read_tape(tape, [0])
        >>> leaves, structure.batch
        ([0.1, None], None)
    """
    ops, values = [], []
    for op in _structural(tape.operations):
        leaves, tree = pytrees.flatten(op)
        described = tuple(_describe_leaves(op, leaves))
        ops.append((tree, described))
        values += leaves
    measurements = []
    for process in tape.measurements:
        leaves, tree = pytrees.flatten(process)
        described = tuple(_describe(leaf, np.ndim(leaf)) for leaf in leaves)
        measurements.append((tree, described))
        values += leaves
    structure = Structure(
        tuple(ops), tuple(measurements), tuple(wires), tape.batch_size
    )
    return structure, values


def check_operations(operations: Sequence[Any]) -> None:
    """Raises UnsupportedOperationError for one that can not be simulated."""
    _structural(operations)


def _structural(operations: Sequence[Any]) -> list[Any]:
    """Operations whose gates can be read without values; others are decomposed now."""
    found = []
    touched: set[Any] = set()
    for op in operations:
        late = isinstance(op, StatePrepBase) and touched & set(op.wires)
        touched |= set(op.wires)
        if late or not _expands(op):
            found += _structural(op.decomposition())
        else:
            found.append(op)
    return found


def _expands(op: Any) -> bool:
    leaves, tree = pytrees.flatten(op)
    try:
        _gates_of(tree, tuple(_describe_leaves(op, leaves)))
    except NeedsValues:
        return False
    return True


def _describe_leaves(op: Any, leaves: Sequence[Any]) -> list[Leaf]:
    dims = _sample_dims(op, leaves)
    return [_describe(leaf, dim) for leaf, dim in zip(leaves, dims, strict=True)]


def _sample_dims(op: Any, leaves: Sequence[Any]) -> list[int]:
    """How many axes one sample of each leaf has."""
    have = [np.ndim(leaf) for leaf in leaves]
    if op.batch_size is None:
        return have
    want = op.ndim_params
    if len(want) != len(have):  # a nested operation: all of its leaves are broadcast
        return [max(n - 1, 0) for n in have]
    return [min(h, w) for h, w in zip(have, want, strict=True)]


def _describe(leaf: Any, sample_dims: int) -> Leaf:
    if leaf is None:
        return Leaf((), static=NOTHING)
    plain = _without_box(leaf)
    number = isinstance(plain, int | float | complex | list | tuple)
    if sparse.issparse(plain) or not (number or hasattr(plain, "dtype")):
        return Leaf((), static=Held(leaf))
    batched = np.ndim(leaf) > sample_dims
    shape = np.shape(leaf)[1:] if batched else np.shape(leaf)
    dtype = plain.dtype if hasattr(plain, "dtype") else np.result_type(plain)
    static = None
    concrete = plain is leaf and not qml.math.is_abstract(leaf)
    if concrete and dtype.kind in "biu" and not batched:
        static = _nested_tuple(np.asarray(leaf).tolist())
    return Leaf(tuple(shape), batched, dtype.kind == "c", static)


def _without_box(leaf: Any) -> Any:
    """What autograd follows, inside as many boxes as orders of differentiation."""
    while hasattr(leaf, "_trace") and hasattr(leaf, "_value"):
        leaf = leaf._value
    return leaf


def _nested_tuple(value: Any) -> Any:
    return tuple(map(_nested_tuple, value)) if isinstance(value, list) else value


@lru_cache(maxsize=256)
def analyse(structure: Structure) -> Circuit:
    """All gates of a structure, on numbered wires, reading from the tape's leaves."""
    number = {label: i for i, label in enumerate(structure.wires)}
    preparations: list[Any] = []
    gates: list[Any] = []
    leaves: list[Leaf] = []
    for tree, described in structure.ops:
        for item in _gates_of(tree, described):
            placed = replace(
                item,
                wires=tuple(number[w] for w in item.wires),
                reads=tuple(_offset(read, len(leaves)) for read in item.reads),
            )
            (gates if isinstance(item, Gate) else preparations).append(placed)
        leaves += described
    return Circuit(
        len(structure.wires), tuple(preparations), tuple(gates), tuple(leaves)
    )


def _offset(read: Read, by: int) -> Read:
    if read.leaf < 0:
        return read
    return Read(read.leaf + by, read.positions, read.scale, read.shift)


@lru_cache(maxsize=4096)
def _gates_of(tree: Any, leaves: tuple[Leaf, ...]) -> tuple[Gate | Preparation, ...]:
    """The gates of one operation; their reads count from its first leaf."""
    try:
        op = pytrees.unflatten([leaf.probe() for leaf in leaves], tree)
    except Exception as refused:  # any template may check its values its own way
        raise NeedsValues from refused
    if any(isinstance(leaf.static, Held) for leaf in leaves):
        raise NeedsValues
    if op.name in NO_EFFECT:
        return ()
    reads = tuple(_whole(i, leaf) for i, leaf in enumerate(leaves))
    if isinstance(op, StatePrepBase):
        return (Preparation(canonical(op)[0], tuple(op.wires), reads),)
    if op.name == "GlobalPhase":
        kind = Kind(spectrum=Spectrum(np.array([-1.0]), None))
        return (Gate(tree, (), reads, kind),)
    if _takes_matrix(op, leaves):
        named, _ = canonical(op)
        kind = kind_of(named, tuple(leaf.shape for leaf in leaves))
        return (Gate(named, tuple(op.wires), reads, kind),)
    return _decompose(tree, leaves)


def _takes_matrix(op: Any, leaves: tuple[Leaf, ...]) -> bool:
    """Whether the operation is one gate; otherwise it is decomposed."""
    n = len(op.wires)
    if not op.has_decomposition:
        if op.has_matrix and n <= MAX_DENSE_WIRES:
            return True
        must = "have a matrix or a decomposition"
        was = f"{op.name} on {n} wires has neither"
        raise UnsupportedOperationError(str(input_error("operation", must, was)))
    if isinstance(op, qml.DiagonalQubitUnitary):
        return True  # of any size: it is never written as a matrix
    # A gate with several parameters from the data is cheap only as rotations.
    several = len(leaves) > 1 and any(leaf.batched for leaf in leaves)
    return op.has_matrix and n <= MAX_MATRIX_WIRES and not several


def _decompose(tree: Any, leaves: tuple[Leaf, ...]) -> tuple[Gate | Preparation, ...]:
    """Runs a decomposition on four sets of random numbers and explains its output."""
    if any(leaf.is_complex for leaf in leaves):
        raise NeedsValues
    probes = [
        [leaf.probe(seed, i) for i, leaf in enumerate(leaves)] for seed in range(4)
    ]
    with qml.QueuingManager.stop_recording():
        try:
            runs = [pytrees.unflatten(p, tree).decomposition() for p in probes]
        except Exception as refused:  # any template may check its values its own way
            raise NeedsValues from refused
    if len({len(run) for run in runs}) > 1:
        raise NeedsValues
    flat = [[pytrees.flatten(op) for op in run] for run in runs]
    trees = [tree for _, tree in flat[0]]
    if any([tree for _, tree in run] != trees for run in flat[1:]):
        raise NeedsValues
    values = [[value for leaves, _ in run for value in leaves] for run in flat]
    explained = iter(
        _explain(list(map(list, zip(*values, strict=True))), probes, leaves)
    )
    found: list[Gate | Preparation] = []
    for own, tree in flat[0]:
        reads = [next(explained) for _ in own]
        inner = tuple(_leaf_of(read, leaves) for read in reads)
        for item in _gates_of(tree, inner):
            through = tuple(_compose(read, reads) for read in item.reads)
            found.append(replace(item, reads=through))
    return tuple(found)


def _whole(i: int, leaf: Leaf) -> Read:
    size = int(np.prod(leaf.shape))
    positions = np.arange(size).reshape(leaf.shape)
    if leaf.static is not None:
        return Read(-1, positions, np.zeros(leaf.shape), np.array(leaf.static))
    return Read(i, positions, np.ones(leaf.shape), np.zeros(leaf.shape))


def _explain(
    outputs: list[list[Any]], probes: list[Any], leaves: Sequence[Leaf]
) -> list[Read]:
    """Finds leaf, positions, scale and shift that give each output in all four runs.

    Args:
        outputs: one list of values, all four runs, for each parameter.
        probes: the leaves of each run.
        leaves: what the leaves are.
    """
    if not outputs:
        return []
    shapes = [np.shape(output[0]) for output in outputs]
    whole = [np.stack([np.asarray(value) for value in output]) for output in outputs]
    flat = np.concatenate([w.reshape(len(probes), -1) for w in whole], axis=1)
    if flat.dtype.kind == "c":
        raise NeedsValues
    source = np.full(flat.shape[1], -1)
    positions = np.zeros(flat.shape[1], int)
    scale, shift = np.zeros(flat.shape[1]), flat[0].astype(float)
    unknown = ~(flat == flat[0]).all(0)
    for i, leaf in enumerate(leaves):
        given = np.stack([np.ravel(probe[i]) for probe in probes])
        if leaf.static is None and unknown.any() and given.size:
            at = np.flatnonzero(unknown)
            fits, found = _fit(flat[:, at], given)
            at = at[fits]
            source[at], unknown[at] = i, False
            positions[at], scale[at], shift[at] = (array[fits] for array in found)
    if unknown.any():
        raise NeedsValues
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    reads = []
    for shape, end, w in zip(shapes, ends, whole, strict=True):
        part = slice(end - int(np.prod(shape)), end)
        sources = set(source[part].tolist())
        if len(sources) > 1:
            raise NeedsValues
        cut = [array[part].reshape(shape) for array in (positions, scale, shift)]
        if sources == {-1}:  # keeps integers integers
            cut[2] = w[0]
        reads.append(Read(sources.pop() if sources else -1, *cut))
    return reads


def _fit(want: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Matches each value with the one given number it depends on in a linear way."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = (given[0] - given[1]) / (given[0] - given[2])
        wanted = (want[0] - want[1]) / (want[0] - want[2])
        order = np.argsort(ratios)
        right = np.clip(np.searchsorted(ratios[order], wanted), 1, len(order) - 1)
        left = order[right - 1]
        right = order[right % len(order)]
        nearer = np.abs(ratios[left] - wanted) < np.abs(ratios[right] - wanted)
        position = np.where(nearer, left, right)
        source = given[:, position]
        scale = np.round((want[0] - want[1]) / (source[0] - source[1]), 10)
    shift = np.round(want[0] - scale * source[0], 10) + 0.0
    fits = np.isclose(scale * source + shift, want, rtol=0, atol=1e-8).all(0)
    return fits, [position, scale, shift]


def _leaf_of(read: Read, leaves: Sequence[Leaf]) -> Leaf:
    shape = read.positions.shape
    if read.leaf < 0:
        whole = read.shift.dtype.kind in "biu"
        return Leaf(shape, static=_nested_tuple(read.shift.tolist()) if whole else None)
    return Leaf(shape, leaves[read.leaf].batched)


def _compose(inner: Read, outer: Sequence[Read]) -> Read:
    """A read of a read, as one read of the outermost leaf."""
    if inner.leaf < 0:
        return inner
    source = outer[inner.leaf]
    pick = lambda array: array.ravel()[inner.positions]  # noqa: E731
    shift = inner.scale * pick(source.shift) + inner.shift
    return Read(
        source.leaf, pick(source.positions), inner.scale * pick(source.scale), shift
    )
