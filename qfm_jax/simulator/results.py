"""What is read from the final state: which amplitudes matter, and each result.

Expectation values of Pauli words are signed sums of |amplitude|^2, all words of a
circuit in one product; other observables are applied to the state, and whatever else
PennyLane can measure gets the state itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from . import affine, arrays
from .arrays import Array, namespace
from .compiler import Program, final_move
from .gates import Constant, Gate, Read
from .tape import OPERATOR, PROBABILITIES, STATE, WORDS, Reading, Structure, Word

TO_Z = {
    "X": Constant(np.array([[1, 1], [1, -1]]) / np.sqrt(2)),
    "Y": Constant(np.array([[1, -1j], [1, 1j]]) / np.sqrt(2)),
}
"""Turns the eigenbasis of a Pauli operator into that of Z."""


@dataclass(frozen=True, eq=False)
class MeasurePlan:
    """How the measurements of one structure are read."""

    kinds: frozenset[str]
    """Of all measurements, see `Reading.kind`."""
    words: tuple[Word, ...]
    """All Pauli words that WORDS measurements need."""
    diagonal: bool
    """Whether |amplitude|^2, after `rotations`, is enough."""
    rotations: tuple[Gate, ...]
    """Basis changes that make every word a product of Z."""
    measured: tuple[int, ...]


@lru_cache(maxsize=256)
def plan_measurements(structure: Structure) -> MeasurePlan:
    """What the state is read for, from the structure alone."""
    kinds: set[str] = set()
    words: dict[Word, None] = {}
    measured: set[int] = set()
    for process in structure.measurements:
        kinds.add(process.kind)
        measured |= set(process.wires)
        words |= dict.fromkeys(process.words)
        if process.kind == WORDS and process.is_variance:
            words[()] = None  # the norm, of a state that is not normalised
    basis = _common_basis(words)
    if PROBABILITIES in kinds and basis and set(basis.values()) - {"Z"}:
        basis = None
    diagonal = not kinds & {STATE, OPERATOR} and basis is not None
    rotations: tuple[Gate, ...] = ()
    if diagonal and basis:
        rotations = tuple(
            Gate(TO_Z[pauli], (wire,)) for wire, pauli in basis.items() if pauli != "Z"
        )
    chosen = frozenset(kinds)
    return MeasurePlan(
        chosen, tuple(words), diagonal, rotations, tuple(sorted(measured))
    )


def _common_basis(words: Sequence[Word] | dict[Word, None]) -> dict[int, str] | None:
    """The Pauli operator that every word has on a wire, or None if two differ."""
    basis: dict[int, str] = {}
    for word in words:
        for wire, pauli in word:
            if basis.setdefault(wire, pauli) != pauli:
                return None
    return basis


def read_words(readout: MeasurePlan, program: Program, state: Array) -> Array:
    """The expectation value of every word, shape (words, batch).

    Args:
        readout: with at least one word.
        program: what made the state; its wires are `readout.measured` and others.
        state: shape (2, 2^n, batch), in the program's layout.
    """
    exact = _diagonal_words if readout.diagonal else _flipped_words
    masks = [_masks(word, program) for word in readout.words]
    return exact(state, masks, program)


def read(
    structure: Structure,
    readout: MeasurePlan,
    program: Program,
    state: Array | None,
    stack_of: Callable[[Read], Array],
    words: Array | None,
    zeros: Array,
) -> list[Array]:
    """The result of every measurement, with a leading batch axis.

    Args:
        structure: of the tape.
        readout: its plan.
        program: what made the state.
        state: as `read_words` takes it; None where words are all that is read.
        stack_of: the values of a leaf of the measurements, (...,) or (..., batch).
        words: from `read_words`; None where there are none.
        zeros: a real 0 for each sample.
    """
    values = {} if words is None else dict(zip(readout.words, words, strict=True))
    full = None
    results = []
    for process in structure.measurements:
        weights = None if (c := process.coefficients) is None else stack_of(c)
        if process.is_variance and weights is not None:
            weights = weights.real  # PennyLane takes the real part of eigenvalues
        if process.kind == WORDS:
            results.append(_from_words(process, values, weights, zeros))
            continue
        assert state is not None
        if process.kind == PROBABILITIES:
            results.append(_probabilities(process.wires, state, program))
            continue
        full = _complex_state(state, program) if full is None else full
        if process.kind == OPERATOR:
            results.append(_from_operator(process, full, stack_of, weights, program))
        else:
            results.append(full.reshape(len(full), -1))
    return results


def _masks(word: Word, program: Program) -> tuple[int, int, int]:
    """Bits that a word flips, bits whose sign it reads, and its number of Y."""
    bit = {wire: 1 << (program.n_wires - 1 - i) for i, wire in enumerate(program.wires)}
    flips = sum(bit[wire] for wire, pauli in word if pauli in "XY")
    reads = sum(bit[wire] for wire, pauli in word if pauli in "YZ")
    return flips, reads, sum(pauli == "Y" for _, pauli in word)


def _diagonal_words(state: Array, masks: Sequence[tuple], program: Program) -> Array:
    to_outcome = affine.compose(program.relabel, affine.from_layout(program.layout))
    pulled = [affine.pull_back(x | z, to_outcome) for x, z, _ in masks]
    weights = state[0] ** 2 + state[1] ** 2
    signs = np.array([sign for _, sign in pulled], weights.dtype)[:, None]
    return signs * arrays.signed_sums(weights, [mask for mask, _ in pulled])


def _flipped_words(state: Array, masks: Sequence[tuple], program: Program) -> Array:
    """<P> with P|j> = i^(number of Y) (-1)^(bits of j in z) |j ^ x>."""
    xp, layout = namespace(state), affine.from_layout(program.layout)
    n = program.n_wires
    found: list[Array] = [None] * len(masks)
    for flip in dict.fromkeys(x for x, _, _ in masks):
        own = [i for i, (x, _, _) in enumerate(masks) if x == flip]
        inside = affine.apply(affine.invert(layout), flip)
        columns = np.array((inside, *affine.identity(n)[1:]), np.int32)
        index = arrays.image(columns, n)
        a, b = arrays.permute(state, index, index) if flip else state
        re, im = state
        products = {0: a * re + b * im, 1: -(a * im - b * re)}
        for odd, weights in products.items():
            some = [i for i in own if masks[i][2] % 2 == odd]
            if some:
                pulled = [affine.pull_back(masks[i][1], layout)[0] for i in some]
                sums = arrays.signed_sums(weights, pulled)
                for row, i in enumerate(some):
                    found[i] = sums[row] * (-1) ** (masks[i][2] // 2)
    return xp.stack(found)


def _from_words(
    process: Reading, values: dict[Word, Array], weights: Array | None, zeros: Array
) -> Array:
    xp = namespace(zeros)
    means = [values[word] for word in process.words]
    if process.is_variance:
        (mean,) = means
        spread = values[()] - mean**2
        return spread if weights is None else weights[0] ** 2 * spread
    if weights is None:
        return sum(means, zeros)
    if weights.ndim == 1:
        weights = weights[:, None]
    return (weights * xp.stack(means)).sum(0) + zeros


def _from_operator(
    process: Reading,
    full: Array,
    stack_of: Callable[[Read], Array],
    weights: Array | None,
    program: Program,
) -> Array:
    """Mean or variance of a sum of products of matrices in (batch, 2, ..., 2)."""
    place = {wire: 1 + i for i, wire in enumerate(program.wires)}
    whole = namespace(full).zeros_like(full)
    for i, factors in enumerate(process.terms):
        turned = full
        for read, wires in reversed(factors):  # the rightmost acts first
            turned = _apply(stack_of(read), turned, [place[wire] for wire in wires])
        whole = whole + (turned if weights is None else weights[i] * turned)
    axes = tuple(range(1, full.ndim))
    mean = (full.conj() * whole).sum(axes)
    if process.is_variance:
        return (whole.real**2 + whole.imag**2).sum(axes) - mean.real**2
    is_real = weights is None or weights.dtype.kind == "f"
    return mean.real if is_real else mean


def _apply(matrix: Array, state: Array, axes: Sequence[int]) -> Array:
    """A matrix on some of the bits of complex states (batch, 2, ..., 2)."""
    xp, k = namespace(state), len(axes)
    front = xp.moveaxis(state, axes, range(k))
    turned = arrays.matmul(matrix.astype(state.dtype), front.reshape(1 << k, -1))
    return xp.moveaxis(turned.reshape(front.shape), range(k), axes)


def _probabilities(wires: Sequence[int], state: Array, program: Program) -> Array:
    weights = state[0] ** 2 + state[1] ** 2  # (2^n, batch)
    if program.relabel != affine.identity(program.n_wires):
        back = affine.compose(
            affine.invert(affine.from_layout(program.layout)),
            affine.invert(program.relabel),
        )
        weights = weights[arrays.image(np.array(back, np.int32), program.n_wires)]
        layout = tuple(range(program.n_wires))
    else:
        layout = program.layout
    place = {program.wires[w]: axis for axis, w in enumerate(layout)}
    wanted = [place[wire] for wire in wires]
    n, batch = program.n_wires, weights.shape[-1]
    rest = [axis for axis in range(n) if axis not in wanted]
    bits = weights.reshape(*(2,) * n, batch).transpose([n, *wanted, *rest])
    return bits.reshape(batch, 1 << len(wanted), -1).sum(-1)


def _complex_state(state: Array, program: Program) -> Array:
    """Shape (batch, 2, ..., 2), wires in order."""
    move = final_move(program.layout)
    re, im = state if move is None else move.apply(state)
    return (re + 1j * im).T.reshape(-1, *(2,) * program.n_wires)
