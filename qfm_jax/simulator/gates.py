"""What a gate is to the simulator: its wires, where its numbers come from, its kind.

Only PennyLane's own gates of `ANGLES` and `SEVERAL` are known by their class: by
definition their angles enter linearly, and their spectra do not change. Every other
gate is a matrix, with numbers that are constant or come from a leaf.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pennylane as qml
import scipy.linalg
from pennylane.ops.qubit.special_unitary import TmpPauliRot

MATRIX, DIAGONAL_MATRIX, NORMALISE = "matrix", "diagonal", "normalise"
"""Trees of gates whose parameter is their matrix or their diagonal, and of the division
of a state by its norm, which a projection asks for."""

MAX_SPECTRUM_WIRES = 5
"""Wider gates have no eigenbasis here: it would be a dense matrix anyway."""

ANGLES = {
    *(qml.RX, qml.RY, qml.RZ, qml.PhaseShift, qml.U1, qml.GlobalPhase),
    *(qml.CRX, qml.CRY, qml.CRZ, qml.ControlledPhaseShift),
    *(qml.CPhaseShift00, qml.CPhaseShift01, qml.CPhaseShift10),
    *(qml.IsingXX, qml.IsingYY, qml.IsingZZ, qml.IsingXY, qml.MultiRZ, qml.PauliRot),
    *(qml.SingleExcitation, qml.SingleExcitationMinus, qml.SingleExcitationPlus),
    *(qml.DoubleExcitation, qml.DoubleExcitationMinus, qml.DoubleExcitationPlus),
    *(qml.FermionicSWAP, qml.OrbitalRotation, TmpPauliRot),
}
"""Gates exp(-i t G) of one angle t, with a G that is the same at every t."""

MASKED = {
    *(qml.DoubleExcitation, qml.DoubleExcitationMinus, qml.DoubleExcitationPlus),
    *(qml.OrbitalRotation, qml.PauliRot, TmpPauliRot),
}
"""Of those, the ones whose code multiplies by an array that PennyLane keeps. If x64 was
switched meanwhile, JAX takes the array for one of the other precision: it fails, or the
results are those of single precision."""

SEVERAL = {qml.Rot: True, qml.CRot: True, qml.U2: False, qml.U3: False}
"""Gates of several angles: whether these, reversed and negated, give the adjoint."""


FIXED = {
    *(qml.X, qml.Y, qml.Z, qml.Hadamard, qml.S, qml.T, qml.SX, qml.CNOT, qml.CZ),
    *(qml.CY, qml.CH, qml.SWAP, qml.ISWAP, qml.SISWAP, qml.ECR, qml.Toffoli),
    *(qml.CSWAP, qml.CCZ),
}
"""Gates without parameters."""


@dataclass(frozen=True, eq=False)
class Constant:
    """An array that is part of a program, compared by its numbers."""

    value: np.ndarray

    @cached_property
    def _key(self) -> tuple:
        value = np.ascontiguousarray(self.value)
        return value.shape, value.dtype.str, value.tobytes()

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self._key == other._key


@dataclass(frozen=True)
class Named:
    """A gate of `ANGLES` or `SEVERAL`, but for its wires and angles."""

    cls: type
    extra: tuple[Any, ...] = ()
    """What `compute_matrix` takes behind the angles."""
    controls: tuple[bool, ...] = ()
    """The values of control wires in front of its own."""

    def matrix(self, angles: Sequence[Any]) -> Any:
        """The matrix at these angles."""
        if self.cls in MASKED:
            own = _from_spectrum(_spectrum(self.cls, self.extra), *angles)
        else:
            own = self.cls.compute_matrix(*angles, *self.extra)  # type: ignore[attr-defined]
        return controlled_matrix(own, self.controls)


def controlled_matrix(matrix: Any, controls: Sequence[bool]) -> Any:
    """A matrix (..., K, K) behind controls: the identity where they differ.

    Example:
        >>> controlled_matrix(np.array([[0, 1], [1, 0]]), [False]).argmax(0)
        array([1, 0, 2, 3])
    """
    if not controls:
        return matrix
    side = qml.math.shape(matrix)[-1]
    on = np.eye(1 << len(controls))[_row(controls)]
    like = lambda a: qml.math.cast_like(qml.math.asarray(a, like=_like(matrix)), matrix)  # noqa: E731
    spread = qml.math.einsum("ab,...ij->...aibj", like(np.diag(on)), matrix)
    whole = side << len(controls)
    shape = (*qml.math.shape(matrix)[:-2], whole, whole)
    return qml.math.reshape(spread, shape) + like(
        np.kron(np.diag(1 - on), np.eye(side))
    )


def controlled_diagonal(diagonal: Any, controls: Sequence[bool]) -> Any:
    """The diagonal (..., K) of a diagonal gate behind controls."""
    shape = qml.math.shape(diagonal)
    row, ones = _row(controls), qml.math.ones_like(diagonal)
    parts = [diagonal if i == row else ones for i in range(1 << len(controls))]
    stacked = qml.math.stack(parts, axis=-2)
    return qml.math.reshape(stacked, (*shape[:-1], shape[-1] << len(controls)))


def _row(controls: Sequence[bool]) -> int:
    return int("".join("01"[bool(value)] for value in controls), 2)


def _like(array: Any) -> str:
    return str(qml.math.get_interface(array))


@dataclass(frozen=True)
class Read:
    """A gate's parameter: scale * leaf.ravel()[start : start + size], in this shape."""

    leaf: int
    """Which leaf of the circuit."""
    start: int = 0
    """Its first flat position in one sample's leaf."""
    shape: tuple[int, ...] = ()
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A gate with one angle t: basis @ diag(exp(1j t eigenvalues)) @ basis^dagger."""

    eigenvalues: np.ndarray
    """Shape (2^k,)."""
    basis: np.ndarray | None
    """Shape (2^k, 2^k); None when the gate is diagonal."""


@dataclass(frozen=True, eq=False)
class Kind:
    """What a gate's matrix is, whatever the values of its parameters."""

    columns: tuple[int, ...] | None = None
    """An affine permutation of the basis: |j> goes to |columns[0] ^ (sum over the bits
    i of j of columns[1 + i])>, with bit 0 the least significant."""
    spectrum: Spectrum | None = None
    """Of a gate with a single angle, or (angle 1) of a constant diagonal gate."""
    gives_diagonal: bool = False
    """Whether its one parameter is the diagonal of its matrix, (2^k,)."""

    @property
    def diagonal(self) -> bool:
        """Whether the gate only multiplies amplitudes by numbers."""
        turns = self.spectrum is not None and self.spectrum.basis is None
        return turns or self.gives_diagonal


@dataclass(frozen=True)
class Gate:
    """One gate of the circuit."""

    tree: Named | Constant | str
    """What makes its matrix of `reads`; a constant one; MATRIX, DIAGONAL_MATRIX."""
    wires: tuple[int, ...]
    """Those of `controls` first."""
    reads: tuple[Read, ...] = ()
    kind: Kind = field(default=Kind(), compare=False)
    controls: tuple[bool, ...] = ()
    """Control values of a gate that is too wide to be one matrix with its controls."""
    unitary: bool = True
    """Whether it is known to be unitary: no other one is dropped or undone."""


@dataclass(frozen=True)
class Preparation:
    """A state prepared on wires that nothing has touched: a leaf (2^k,)."""

    wires: tuple[int, ...]
    read: Read


@lru_cache(maxsize=4096)
def kind_of(tree: Any, n_wires: int, n_reads: int, unitary: bool) -> Kind:
    """The kind of a gate of so many wires, without those of `Gate.controls`."""
    if isinstance(tree, Constant):
        return _constant_kind(tree.value) if unitary else Kind()
    if isinstance(tree, str):
        return Kind(gives_diagonal=tree == DIAGONAL_MATRIX)
    if n_reads != 1 or n_wires > MAX_SPECTRUM_WIRES:
        return Kind()
    return Kind(spectrum=_spectrum(tree.cls, tree.extra, tree.controls))


@lru_cache(maxsize=4096)
def is_real(tree: Any) -> bool:
    """Whether a gate of one angle has no imaginary part at two values of it."""
    found = [tree.matrix([angle]) for angle in (0.3, 1.2345)]
    return not any(np.imag(m).any() for m in found)


def _constant_kind(unitary: np.ndarray) -> Kind:
    moved = np.abs(unitary) > 1e-12
    if np.array_equal(unitary, moved) and (moved.sum(0) == 1).all():
        return Kind(columns=_affine(np.argmax(moved, axis=0)))
    diagonal = np.diag(unitary)
    if np.array_equal(unitary, np.diag(diagonal)):
        return Kind(spectrum=Spectrum(np.angle(diagonal), None))
    return Kind()


def _affine(goes_to: np.ndarray) -> tuple[int, ...] | None:
    """The columns of a permutation, or None when it is not affine over bits."""
    n = int(np.log2(len(goes_to)))
    columns = (goes_to[0], *(goes_to[1 << i] ^ goes_to[0] for i in range(n)))
    same = np.array_equal(affine_image(columns), goes_to)
    return tuple(int(c) for c in columns) if same else None


def affine_image(columns: Sequence[int]) -> np.ndarray:
    """Where the affine permutation `columns` sends 0, 1, ..., 2^n - 1."""
    j = np.arange(1 << (len(columns) - 1))
    image = np.full_like(j, columns[0])
    for i, column in enumerate(columns[1:]):
        image ^= ((j >> i) & 1) * column
    return image


@lru_cache(maxsize=1024)
def _spectrum(cls: Any, extra: tuple = (), controls: tuple[bool, ...] = ()) -> Spectrum:
    """The eigenbasis that a gate of `ANGLES` keeps at every angle."""
    small = 0.05
    own = np.asarray(cls.compute_matrix(small, *extra)).astype(complex)
    near = controlled_matrix(own, controls)
    if np.array_equal(near, np.diag(np.diag(near))):
        values, basis = np.angle(np.diag(near)), None
    else:
        triangle, basis = scipy.linalg.schur(near, output="complex")
        values = np.angle(np.diag(triangle))
    # By definition eighths at most: what is off is rounding.
    return Spectrum(np.round(values / small * 8) / 8, basis)


def _from_spectrum(spectrum: Spectrum, angle: Any) -> Any:
    """The matrix at an angle, from arrays that are new at each call."""
    phases = qml.math.exp(1j * angle * spectrum.eigenvalues.copy())
    basis = np.eye(len(spectrum.eigenvalues))
    basis = basis if spectrum.basis is None else spectrum.basis.copy()
    return qml.math.dot(basis * phases, basis.conj().T)
