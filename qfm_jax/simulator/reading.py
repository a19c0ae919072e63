"""From a PennyLane tape to a circuit: gates that read their parameters from leaves.

A preparation is a start only on wires that nothing has touched; the order of all else
is kept. Templates of `TEMPLATES` hand their weights on to known gates, so that these
stay one array and never become thousands of scalars.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pennylane as qml
from pennylane import math, pytrees
from pennylane.operation import StatePrepBase
from scipy import sparse

from .._checks import input_error
from .gates import (
    ANGLES,
    MATRIX,
    NORMALISE,
    SEVERAL,
    Constant,
    Gate,
    Kind,
    Named,
    Preparation,
    Read,
    kind_of,
)
from .operations import (
    NO_EFFECT,
    Single,
    UnsupportedOperationError,
    as_single,
    is_complex,
    parts_of,
    unfollowed,
    unsupported,
)
from .tape import Leaf, Tape

MAX_FOLDED = 4096
"""Numbers in the largest array that is made part of a program."""
MAX_DEPTH = 200
"""A decomposition that is nested deeper is taken for one that never ends."""
COMPOSED = (qml.ops.Prod, qml.ops.Pow, qml.ops.Adjoint, qml.ops.Controlled)

TEMPLATES = {
    qml.AngleEmbedding: (1,),
    qml.BasicEntanglerLayers: (2,),
    qml.StronglyEntanglingLayers: (3,),
    qml.SimplifiedTwoDesign: (1, 3),
}
"""Templates that hand each of their weights on to one angle of a gate, unchanged; and
how many axes a sample of each of their parameters has."""


def read_operations(
    operations: Iterable[Any],
    wires: Sequence[Any],
    *,
    allowed: Iterable[Any] | None = None,
    fold: bool = False,
    normalise: bool = True,
) -> "Reader":
    """Reads the operations of a tape.

    Args:
        operations: in order of application.
        wires: labels of the register, most significant first. Others that a
            decomposition acts on come behind them.
        allowed: labels of the device; None allows any.
        fold: whether numbers that are known now are part of the program. That pays
            inside of `jax.jit`, which compiles again for them anyway.
        normalise: whether the state is divided by its norm behind projections.
    """
    reader = Reader(wires, allowed, fold)
    with qml.QueuingManager.stop_recording():
        for op in operations:
            reader.read(op)
    reader.end(normalise)
    return reader


class Reader:
    """Collects gates, preparations and leaves, in the order of the tape."""

    def __init__(
        self, wires: Sequence[Any], allowed: Iterable[Any] | None, fold: bool
    ) -> None:
        self.number = {label: i for i, label in enumerate(wires)}
        self.leaves = Leaves(fold)
        self.decomposed: list[str] = []
        """Names of the operations of the tape that PennyLane decomposed."""
        self.not_unitary: list[str] = []
        """Names of those that are not known to be unitary."""
        self._gates: list[Gate] = []
        self._preparations: list[Preparation] = []
        self._allowed = None if allowed is None else set(allowed)
        self._touched: set[int] = set()
        self._projected = False

    def circuit(self) -> Tape:
        """All that was read."""
        n = len(self.number)
        gates = [
            replace(gate, wires=tuple(range(n))) if gate.tree == NORMALISE else gate
            for gate in self._gates
        ]
        leaves = tuple(self.leaves.found)
        return Tape(n, tuple(self._preparations), tuple(gates), leaves)

    def read(self, op: Any, depth: int = 0, composed: bool = False) -> None:
        """Reads one operation, or the operations that it decomposes into.

        Args:
            op: the operation.
            depth: how many decompositions it comes from.
            composed: whether it is a factor of a product or the like, in which a
                projector is a matrix as any other, and no post-selection.
        """
        if depth > MAX_DEPTH:
            raise unsupported(op, "have a decomposition that ends", "goes on and on")
        if type(op) in NO_EFFECT:
            return
        if isinstance(op, StatePrepBase) and self._prepare(op):
            return
        if self._read_template(op):
            return
        if (single := as_single(op)) is not None:
            if not single.unitary:
                self.not_unitary.append(op.name)
            self._add(single, isinstance(op, qml.Projector) and not composed)
            return
        if depth == 0:
            self.decomposed.append(op.name)
        for part in parts_of(op):
            self.read(part, depth + 1, composed or isinstance(op, COMPOSED))

    def end(self, normalise: bool) -> None:
        """Behind the last operation: divides by the norm where that is still due."""
        if normalise and self._projected:
            self._normalise()

    def _normalise(self) -> None:
        self._gates.append(Gate(NORMALISE, (), unitary=False))
        self._projected = False

    def _numbers(self, wires: Iterable[Any]) -> tuple[int, ...]:
        found = []
        for wire in wires:
            if wire not in self.number:
                if self._allowed is not None and wire not in self._allowed:
                    must = f"act on the device's wires {sorted(self._allowed, key=str)}"
                    was = f"decomposes into one on wire {wire!r}"
                    raise UnsupportedOperationError(
                        str(input_error("operation", must, was))
                    )
                self.number[wire] = len(self.number)  # a work wire
            found.append(self.number[wire])
        return tuple(found)

    def _prepare(self, op: Any) -> bool:
        """A state on wires that nothing has touched is a start; no other one is."""
        wires = self._numbers(op.wires)
        if self._touched & set(wires):
            return False
        if type(op) is qml.BasisState:
            for wire, bit in zip(wires, op.data[0], strict=True):
                one = math.cast_like(bit, 1.0) if math.is_abstract(bit) else float(bit)
                read = self.leaves.add(math.stack([1 - one, one]), 1)
                self._preparations.append(Preparation((wire,), read))
        else:
            read = self.leaves.add(_vector(op), 1)
            self._preparations.append(Preparation(wires, read))
        self._touched |= set(wires)
        return True

    def _read_template(self, op: Any) -> bool:
        base, inverse = op, False
        while isinstance(base, qml.ops.Adjoint):
            base, inverse = base.base, not inverse
        dims = TEMPLATES.get(type(base))
        plain = all(hasattr(value, "dtype") for value in base.data)  # no lists
        if dims is None or not plain or any(map(is_complex, base.data)):
            return False
        shapes = [math.shape(value) for value in base.data]
        if any(len(s) - d not in (0, 1) for s, d in zip(shapes, dims, strict=True)):
            return False
        samples = tuple(s[len(s) - d :] for s, d in zip(shapes, dims, strict=True))
        try:
            items = _template(pytrees.flatten(base)[1], samples, inverse)
        except TypeError:  # a setting that cannot be hashed
            return False
        if items is None:
            return False
        starts = [self.leaves.add(v, d) for v, d in zip(base.data, dims, strict=True)]
        for tree, wires, reads in items:
            own = tuple(replace(r, leaf=starts[r.leaf].leaf) for r in reads)
            self._place(tree, self._numbers(wires), own)
        return True

    def _add(self, single: Single, projects: bool) -> None:
        if self._projected and not (single.unitary or projects):
            self._normalise()
        self._projected |= projects
        wires = self._numbers(single.wires)
        if not wires and not isinstance(single.tree, Named):  # it scales the state
            number = single.values[0] if single.values else single.tree.value
            whole = number * math.convert_like(np.eye(2), number)
            single, wires = replace(single, tree=MATRIX, values=(whole,)), (0,)
        dims = 0 if isinstance(single.tree, Named) else 1 + (single.tree == MATRIX)
        reads = tuple(
            replace(self.leaves.add(value, dims), scale=single.scale)
            for value in single.values
        )
        self._place(single.tree, wires, reads, single.controls, single.unitary)

    def _place(
        self,
        tree: Any,
        wires: tuple[int, ...],
        reads: tuple[Read, ...],
        controls: tuple[bool, ...] = (),
        unitary: bool = True,
    ) -> None:
        self._touched |= set(wires)
        own = len(wires) - len(controls)
        kind = Kind() if controls else kind_of(tree, own, len(reads), unitary)
        fixed = self.leaves.found[reads[0].leaf].constant if tree == MATRIX else None
        if fixed and not controls:  # what is known may be a permutation, or diagonal
            special = kind_of(fixed, own, 0, unitary)
            if special.columns or special.spectrum:
                tree, reads, kind = fixed, (), special
        self._gates.append(Gate(tree, wires, reads, kind, controls, unitary))


class Leaves:
    """The arrays that gates or measurements read."""

    def __init__(self, fold: bool) -> None:
        self.fold = fold
        self.found: list[Leaf] = []
        self.values: list[Any] = []
        """Of the leaves that are arguments."""

    def add(self, value: Any, sample_dims: int) -> Read:
        """A read of the whole array; one more axis in front is a batch."""
        shape = tuple(math.shape(value))
        batched = len(shape) > sample_dims
        sample = shape[1:] if batched else shape
        constant = None
        small = self.fold and not batched and np.prod(sample) <= MAX_FOLDED
        if small and (known := unfollowed(value)) is not None:
            dtype = complex if known.dtype.kind == "c" else float
            constant = Constant(known.astype(dtype))
        else:
            self.values.append(value)
        self.found.append(Leaf(sample, batched, is_complex(value), constant))
        return Read(len(self.found) - 1, 0, sample)


def _vector(op: Any) -> Any:
    """The state that a preparation prepares, (2^k,) or (batch, 2^k)."""
    n, data = len(op.wires), op.data[0] if op.data else None
    if type(op) in (qml.StatePrep, qml.AmplitudeEmbedding):
        return data if not sparse.issparse(data) else _dense(op.state_vector())
    vector = _dense(op.state_vector(wire_order=op.wires))
    size = int(np.prod(math.shape(vector)))
    return math.reshape(vector, (-1,) if size == 1 << n else (-1, 1 << n))


def _dense(vector: Any) -> Any:
    return vector.toarray().ravel() if sparse.issparse(vector) else vector


@lru_cache(maxsize=256)
def _template(tree: Any, shapes: tuple[tuple[int, ...], ...], inverse: bool) -> Any:
    """Gates of a template of `TEMPLATES`, found by handing on numbered positions.

    Returns:
        triples (tree, wires, reads), whose reads count from the template's own first
        leaf; None where one of its gates is not known, and values are needed.
    """
    leaves, first = [], 1
    for shape in shapes:
        size = int(np.prod(shape))
        leaves.append(np.arange(first, first + size, dtype=float).reshape(shape))
        first += size
    ends = np.cumsum([leaf.size for leaf in leaves])
    ops = pytrees.unflatten(leaves, tree).decomposition()
    if inverse:
        ops = [qml.adjoint(op, lazy=False) for op in reversed(ops)]
    found = []
    for op in ops:
        fixed = not op.data and type(op).__module__.startswith("pennylane.")
        single = as_single(op) if fixed or type(op) in ANGLES | set(SEVERAL) else None
        if single is None:
            return None
        reads = []
        for value in single.values:
            position = int(abs(value)) - 1
            leaf = int(np.searchsorted(ends, position, side="right"))
            start = position - (int(ends[leaf - 1]) if leaf else 0)
            reads.append(Read(leaf, start, (), single.scale * float(np.sign(value))))
        found.append((single.tree, tuple(single.wires), tuple(reads)))
    return tuple(found)
