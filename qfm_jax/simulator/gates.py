"""What a gate is to the simulator: its wires, where its numbers come from, its kind.

Kinds are found numerically from the matrix that PennyLane gives, not from a list of
names, so that a user's own operation is treated as well as a built-in one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pennylane as qml
import scipy.linalg
from pennylane import pytrees

MAX_SPECTRUM_WIRES = 5
"""Wider gates are not probed for an eigenbasis: it would be a dense matrix anyway."""


@dataclass(frozen=True, eq=False)
class Read:
    """A gate's parameter: scale * leaf.ravel()[positions] + shift.

    The analysis of a decomposition finds these three arrays, so that a template's
    weights stay one array and never become thousands of scalars.
    """

    leaf: int
    """Which leaf of the tape; -1 for a constant, whose value is `shift`."""
    positions: np.ndarray
    """Flat positions in one sample's leaf; the parameter has this array's shape."""
    scale: np.ndarray
    shift: np.ndarray


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
        """Whether the gate only multiplies amplitudes by phases."""
        turns = self.spectrum is not None and self.spectrum.basis is None
        return turns or self.gives_diagonal


@dataclass(frozen=True, eq=False)
class Gate:
    """One gate of the circuit; its matrix is `tree` filled with what `reads` say."""

    tree: Any
    """PennyLane's structure of the operation, its wires renamed to 0, 1, ...; or the
    matrix itself, where a rewrite made the gate."""
    wires: tuple[int, ...]
    reads: tuple[Read, ...]
    kind: Kind


@dataclass(frozen=True, eq=False)
class Preparation:
    """A state prepared on wires, read from a leaf or (basis states) constant."""

    tree: Any
    wires: tuple[int, ...]
    reads: tuple[Read, ...]


def canonical(op: Any) -> tuple[Any, list[Any]]:
    """PennyLane's structure of `op` on wires 0, 1, ..., and its leaves."""
    leaves, tree = pytrees.flatten(
        op.map_wires({wire: i for i, wire in enumerate(op.wires)})
    )
    return tree, leaves


def matrix(tree: Any, leaves: Sequence[Any]) -> Any:
    """The matrix of an operation from its structure and its parameters."""
    op = pytrees.unflatten(list(leaves), tree)
    return op.matrix(wire_order=range(len(op.wires)))


@lru_cache(maxsize=4096)
def kind_of(tree: Any, shapes: tuple[tuple[int, ...], ...]) -> Kind:
    """Finds the kind of a gate from its matrix at a few values of its parameters."""
    if not shapes:
        return _constant_kind(np.asarray(matrix(tree, ())))
    if shapes != ((),):
        return Kind(gives_diagonal=gives_diagonal(tree, shapes))
    wide = len(pytrees.unflatten([0.3], tree).wires) > MAX_SPECTRUM_WIRES
    return Kind() if wide else Kind(spectrum=_spectrum(tree))


@lru_cache(maxsize=4096)
def is_real(tree: Any) -> bool:
    """Whether a gate of one angle has no imaginary part at two values of it."""
    try:
        found = [matrix(tree, [angle]) for angle in (0.3, 1.2345)]
    except Exception:  # an operation may refuse numbers in its own way
        return False
    return not any(np.imag(m).any() for m in found)


def gives_diagonal(tree: Any, shapes: tuple[tuple[int, ...], ...]) -> bool:
    """Whether a gate's one parameter is its diagonal; only its name can say so."""
    if len(shapes) != 1 or len(shapes[0]) != 1:
        return False
    return bool(tree.type_ is qml.DiagonalQubitUnitary)


def _constant_kind(unitary: np.ndarray) -> Kind:
    moved = np.abs(unitary) > 1e-12
    if np.array_equal(unitary, moved) and (moved.sum(0) == 1).all():
        return Kind(columns=_affine(np.argmax(moved, axis=0)))
    diagonal = np.diag(unitary)
    if np.allclose(unitary, np.diag(diagonal)) and np.allclose(np.abs(diagonal), 1):
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


def _spectrum(tree: Any) -> Spectrum | None:
    """The eigenbasis that an operation with one angle keeps at every angle, if any."""
    small, probe = 0.05, 1.2345
    try:
        near, far = (np.asarray(matrix(tree, [t])) for t in (small, probe))
    except (TypeError, ValueError, qml.exceptions.PennyLaneDeprecationWarning):
        return None  # its parameter is no angle (an integer power, a time, ...)
    triangle, basis = scipy.linalg.schur(near.astype(complex), output="complex")
    eigenvalues = np.angle(np.diag(triangle)) / small
    if np.allclose(near, np.diag(np.diag(near))):
        eigenvalues, basis = np.angle(np.diag(near)) / small, None
    eigenvalues = np.round(eigenvalues, 10)
    phases = np.diag(np.exp(1j * probe * eigenvalues))
    again = phases if basis is None else basis @ phases @ basis.conj().T
    return Spectrum(eigenvalues, basis) if np.allclose(again, far, atol=1e-9) else None
