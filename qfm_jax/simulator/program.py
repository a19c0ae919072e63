"""The compiled form of a circuit and how it runs.

A program is an initial product state and stages. A stage is a list of steps that
repeats `count` times under `lax.scan`. All steps can be undone, except for single
projections.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from . import arrays
from .arrays import Array, namespace
from .matrices import FusedGate, Gather, take_rows
from .passes import Step


@dataclass(frozen=True, eq=False)
class Stage:
    """Steps that run `count` times, on tables with that leading axis."""

    steps: tuple[Step, ...]
    count: int


@dataclass(frozen=True, eq=False)
class ProductState:
    """The product state that gates of one wire make of |0...0>, and preparations.

    Wires with the same gates share one small program; vectors of all wires are
    multiplied out in two halves and then once, half the work of a chain.
    """

    runs: tuple[tuple[tuple[int, ...], tuple[FusedGate, ...]], ...]
    """Pairs: wires, and their gates; a factor's rows are one a wire."""
    prepared: tuple[tuple[tuple[int, ...], Gather], ...]
    """Wires of each preparation, and its state."""
    layout: tuple[int, ...]
    """Wires in the order of the state's bits, first the most significant."""

    def state(
        self,
        matrices: Sequence[Array],
        buffers: dict[str, Array],
        batch: int,
        dtype: Any,
    ) -> Array:
        """Shape (2, 2^n, batch)."""
        parts = self.parts(matrices, buffers, dtype)
        return product(list(parts.values()), batch, dtype)

    def parts(
        self, matrices: Sequence[Array], buffers: dict[str, Array], dtype: Any
    ) -> dict[int, Array]:
        """The factors of the product by their first wire: (2^k, batch or 1).

        They are in the order of `layout`.
        """
        vectors = self._vectors(matrices, buffers, dtype)
        return {wire: vectors[wire] for wire in self.layout if wire in vectors}

    def _vectors(
        self, matrices: Sequence[Array], buffers: dict[str, Array], dtype: Any
    ) -> dict[int, Array]:
        """First wire of each factor of the product to its vector (2^k, batch or 1)."""
        found = {w: np.array([[1], [0]], np.finfo(dtype).dtype) for w in self.layout}
        for wires, factors in self.runs:
            vector: Any = None
            for factor in factors:
                gate = take_rows(matrices[factor.source], factor.rows)
                gate = gate if gate.ndim == 4 else gate[..., None]  # (wires, 2, 2, z)
                if vector is None:
                    vector = gate[:, :, 0]
                else:
                    vector = (gate * vector[:, None]).sum(2)
            for i, wire in enumerate(wires):
                found[wire] = vector[min(i, len(vector) - 1)]
        for wires, stack in self.prepared:
            state = stack.read(buffers, np.finfo(dtype).dtype)
            found[wires[0]] = state if state.ndim == 2 else state[:, None]
            for wire in wires[1:]:
                del found[wire]
        return found


def product(parts: Sequence[Array], batch: int, dtype: Any) -> Array:
    """The Kronecker product of vectors (2^k, batch or 1), as a state."""
    half = _halfway(parts)
    a, b = kronecker(parts[:half], dtype), kronecker(parts[half:], dtype)
    a, b = a[:, None], b[None]
    xp = namespace(a, b)
    if a.dtype.kind == b.dtype.kind == "f":
        planes = [a * b, xp.zeros_like(a * b)]
    else:
        planes = [
            a.real * b.real - a.imag * b.imag,
            a.real * b.imag + a.imag * b.real,
        ]
    state = xp.stack(planes).reshape(2, -1, planes[0].shape[-1])
    return xp.broadcast_to(state, (*state.shape[:2], batch))


def _halfway(parts: Sequence[Array]) -> int:
    """Where to split so that both halves have about the same number of wires."""
    sizes = np.cumsum([np.log2(len(part)) for part in parts])
    return int(np.argmin(np.abs(sizes - sizes[-1] / 2))) + 1


def kronecker(parts: Sequence[Array], dtype: Any) -> Array:
    """The Kronecker product of vectors (k, batch or 1); 1 of none."""
    whole = np.ones((1, 1), np.finfo(dtype).dtype)
    for i, part in enumerate(parts):
        if i == 0:
            whole = part
            continue
        product = whole[:, None] * part[None]
        whole = product.reshape(-1, product.shape[-1])
    return whole


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
    return arrays.scan(turn, state, tables, stage.count)[0]
