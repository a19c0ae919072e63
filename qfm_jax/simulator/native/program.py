"""The program of the native kernels, but for the numbers, and how these are made."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from ..arrays import Array, namespace
from ..gates import Constant
from ..matrices import FusedGate, GateMatrices, Gather, fused_matrix
from ..passes import Phase
from ..program import ProductState
from ..tape import Leaf

MAX_WIRES = 5
"""Of one gate: see `kernels.hpp`."""

MATRIX_KIND, PHASE_KIND, TURN_KIND, DIAGONAL_KIND = 0, 1, 2, 3

ANGLE = 2
"""A part of the initial state that is an angle."""


@dataclass(frozen=True, eq=False)
class Matrices:
    """Gates of one form on so many wires: their matrices are made in one call."""

    factors: tuple[FusedGate, ...]
    n_wires: int
    batched: bool
    kind = MATRIX_KIND

    def values(self, matrices: Sequence[Array], buffers: dict[str, Array]) -> Array:
        """(count, 2^k, 2^k), and (batch,) behind."""
        return fused_matrix(self.factors, self.n_wires, matrices, self.batched)


@dataclass(frozen=True, eq=False)
class Turns:
    """Rotations about Y, which are real."""

    angles: Gather
    batched: bool
    kind = TURN_KIND

    def values(self, matrices: Sequence[Array], buffers: dict[str, Array]) -> Array:
        """Half of the angles of RY, (count, 1), and (batch,) behind."""
        return self.angles.read(buffers, buffers["shared"].dtype)[:, None] * 0.5


@dataclass(frozen=True, eq=False)
class Phases:
    """Multiplications by phases of one form."""

    phase: Phase
    batched: bool
    kind = PHASE_KIND

    def values(self, matrices: Sequence[Array], buffers: dict[str, Array]) -> Array:
        """Angles (count, masks), and (batch,) behind."""
        angles = self.phase.table(matrices, buffers)
        return angles if self.batched else angles[..., 0]


@dataclass(frozen=True, eq=False)
class Diagonals:
    """Multiplications by numbers that the gates give."""

    numbers: Gather
    batched: bool
    kind = DIAGONAL_KIND

    def values(self, matrices: Sequence[Array], buffers: dict[str, Array]) -> Array:
        """(count, 2^k), and (batch,) behind."""
        real = buffers["shared"].dtype
        is_complex = "complex" in self.numbers.buffer
        dtype = np.result_type(real, np.complex64) if is_complex else real
        return self.numbers.read(buffers, dtype)


Source = Matrices | Turns | Phases | Diagonals


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
    constant: int
    flips: tuple[int, ...]
    reads: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class NativeProgram:
    """What the kernels run, but for the numbers: see `kernels.hpp` for the terms."""

    n_wires: int
    beginning: ProductState
    angles: dict[int, tuple[int, int]]
    """Wires that start as RY makes them: the source of their angle, and the row."""
    matrices: tuple[GateMatrices, ...]
    sources: tuple[Source, ...]
    gates: tuple[Placed, ...]
    words: tuple[tuple[int, int, int, int, int], ...]
    """Mask, sign, flip, whether its Y are odd in number, and its row in the results."""
    leaves: tuple[Leaf, ...]

    def is_real(self, source: Matrices) -> bool:
        """Whether all matrices of a source are real, whatever the parameters."""
        gates = [self.matrices[factor.source] for factor in source.factors]
        return all(
            gate.is_real
            or (isinstance(gate.tree, Constant) and gate.tree.value.dtype.kind == "f")
            for gate in gates
        )

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
        made = []
        for source in self.sources:
            values = source.values(matrices, buffers)
            tail = values.shape[-1:] if source.batched else ()
            flat = values.reshape(len(values), -1, *tail)
            made.append((packed.add(flat, source.batched), values, flat.shape[1]))
        factors = self.beginning.parts(matrices, buffers, dtype)
        parts = [
            self._angle(*self.angles[wire], made)
            if wire in self.angles
            else packed.add_part(part)
            for wire, part in factors.items()
        ]
        masks: list[int] = []
        gates = [self._gate(gate, *made[gate.source], masks) for gate in self.gates]
        shared, samples = packed.finished(batch)
        head = (self.n_wires, len(parts), len(gates), len(self.words))
        rows = [row for part in (parts, gates, self.words) for row in part]
        body = [*(number for row in rows for number in row), *masks]
        sizes = (8 + len(body), len(shared), len(samples), len(masks))
        return np.array([*head, *sizes, *body], np.int32), shared, samples

    def _angle(self, source: int, row: int, made: Sequence) -> tuple[int, ...]:
        """A part of the initial state whose angle a source has."""
        start, values, _ = made[source]
        is_sample = self.sources[source].batched
        return 1, ANGLE, int(is_sample), start + min(row, len(values) - 1)

    def _gate(
        self, gate: Placed, start: int, values: Array, width: int, masks: list[int]
    ) -> tuple[int, ...]:
        source = self.sources[gate.source]
        is_complex = values.dtype.kind == "c"
        row = min(gate.row, len(values) - 1)
        at = start + row * width * (1 + is_complex) + gate.column
        flips, reads = gate.flips, gate.reads
        if source.kind == DIAGONAL_KIND:
            flips, reads = (len(masks),), (0,)
            masks += gate.reads
        missing = (0,) * (MAX_WIRES - len(flips))
        return (
            source.kind,
            gate.n_wires,
            int(is_complex),
            int(source.batched),
            int(namespace(values) is not np),
            at,
            gate.constant,
            *(*flips, *missing),
            *(*reads, *missing),
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

    def add_part(self, part: Array) -> tuple[int, ...]:
        """A part of the initial state (2^k, batch or 1): width, sort, and where."""
        wide = part.shape[1] > 1
        at = self.add(part[None] if wide else part.T, wide)
        is_complex = part.dtype.kind == "c"
        return int(part.shape[0]).bit_length() - 1, int(is_complex), int(wide), at

    def finished(self, batch: int) -> tuple[Array, Array]:
        """All of the batch, and all of each sample; one number at least."""
        shared = self.of[False] or [jnp.zeros(1, self.real)]
        samples = self.of[True] or [jnp.zeros((1, batch), self.real)]
        return jnp.concatenate(shared), jnp.concatenate(samples)
