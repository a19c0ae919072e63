"""What is read from the final state: which amplitudes matter, and each result.

Expectation values of Pauli words are signed sums of |amplitude|^2, all words of a
circuit in one product; whatever else PennyLane can measure gets the state itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from pennylane import pytrees
from pennylane.devices.qubit import measure
from pennylane.measurements import ExpectationMP, ProbabilityMP, VarianceMP

from . import affine, kernels, sharded
from .circuit import Structure
from .compiler import Program, final_move
from .gates import Gate, Kind
from .kernels import Array, namespace

MAX_WORDS = 4096
WORDS, PROBABILITIES, STATE = "words", "probabilities", "state"

TO_Z = {
    "X": np.array([[1, 1], [1, -1]]) / np.sqrt(2),
    "Y": np.array([[1, -1j], [1, 1j]]) / np.sqrt(2),
}
"""Turns the eigenbasis of a Pauli operator into that of Z."""

Word = tuple[tuple[int, str], ...]
"""Pairs (wire, 'X', 'Y' or 'Z') in the order of wires; () is the identity."""


@dataclass(frozen=True, eq=False)
class Readout:
    """How the measurements of one structure are read."""

    kinds: tuple[str, ...]
    """Of each measurement: WORDS, PROBABILITIES or STATE."""
    words: tuple[Word, ...]
    """All Pauli words that WORDS measurements need."""
    diagonal: bool
    """Whether |amplitude|^2, after `rotations`, is enough."""
    rotations: tuple[Gate, ...]
    """Basis changes that make every word a product of Z."""
    measured: tuple[int, ...]


def rebuild(structure: Structure, leaves: Sequence[Any]) -> list[Any]:
    """The measurement processes with these values."""
    found, start = [], 0
    for tree, described in structure.measurements:
        end = start + len(described)
        found.append(pytrees.unflatten(list(leaves[start:end]), tree))
        start = end
    return found


@lru_cache(maxsize=256)
def plan_readout(structure: Structure) -> Readout:
    """Chooses how to read each measurement, from the structure alone."""
    number = {label: i for i, label in enumerate(structure.wires)}
    probes = [leaf.probe() for _, ls in structure.measurements for leaf in ls]
    processes = rebuild(structure, probes)
    kinds = tuple(map(_kind, processes))
    words: dict[Word, None] = {}
    measured: set[int] = set()
    for process, kind in zip(processes, kinds, strict=True):
        if kind == WORDS:
            own = [_word(word, number) for word in process.obs.pauli_rep]
            words.update(dict.fromkeys(own))
            measured |= {wire for word in own for wire, _ in word}
        else:
            wires = process.wires or structure.wires
            measured |= {number[wire] for wire in wires}
            if kind == STATE and process.obs is None and process.mv is None:
                measured |= set(number.values())
    basis = _common_basis(words)
    if PROBABILITIES in kinds and basis and set(basis.values()) - {"Z"}:
        basis = None
    diagonal = STATE not in kinds and basis is not None
    rotations: tuple[Gate, ...] = ()
    if diagonal and basis:
        rotations = tuple(
            Gate(TO_Z[pauli], (wire,), (), Kind())
            for wire, pauli in basis.items()
            if pauli != "Z"
        )
    return Readout(kinds, tuple(words), diagonal, rotations, tuple(sorted(measured)))


def _kind(process: Any) -> str:
    sentence = None if process.obs is None else process.obs.pauli_rep
    if sentence is not None and len(sentence) <= MAX_WORDS:
        if type(process) is ExpectationMP:
            return WORDS
        if type(process) is VarianceMP and len(sentence) == 1:
            return WORDS
    plain = process.obs is None and process.mv is None and process._eigvals is None
    return PROBABILITIES if type(process) is ProbabilityMP and plain else STATE


def _word(word: Any, number: dict[Any, int]) -> Word:
    return tuple(sorted((number[wire], pauli) for wire, pauli in word.items()))


def _common_basis(words: Sequence[Word] | dict[Word, None]) -> dict[int, str] | None:
    """The Pauli operator that every word has on a wire, or None if two differ."""
    basis: dict[int, str] = {}
    for word in words:
        for wire, pauli in word:
            if basis.setdefault(wire, pauli) != pauli:
                return None
    return basis


def read_words(readout: Readout, program: Program, state: Array) -> Array:
    """The expectation value of every word, shape (words, batch).

    Args:
        readout: with at least one word.
        program: what made the state; its wires are `readout.measured` and others.
        state: shape (2, 2^n, batch), in the program's layout.
    """
    exact = _diagonal_words if readout.diagonal else _flipped_words
    masks = [_masks(word, program) for word in readout.words]
    if program.n_devices > 1:
        exact = sharded.expectations
        if readout.diagonal:
            masks = [(0, x | z, 0) for x, z, _ in masks]
    return exact(state, masks, program)


def read(
    structure: Structure,
    readout: Readout,
    program: Program,
    state: Array | None,
    leaves: Sequence[Any],
    words: Array | None,
    zeros: Array,
) -> list[Array]:
    """The result of every measurement, with a leading batch axis.

    Args:
        structure: of the tape.
        readout: its plan.
        program: what made the state.
        state: as `read_words` takes it; None where words are all that is read.
        leaves: of the measurements (coefficients, matrices).
        words: from `read_words`; None where there are none.
        zeros: a real 0 for each sample.
    """
    values = {} if words is None else dict(zip(readout.words, words, strict=True))
    full = None
    results = []
    processes = rebuild(structure, leaves)
    number = {label: i for i, label in enumerate(structure.wires)}
    for process, kind in zip(processes, readout.kinds, strict=True):
        if kind == WORDS:
            results.append(_from_words(process, values, number, zeros))
        elif kind == PROBABILITIES:
            results.append(_probabilities(process, state, program, number))
        else:
            full = _complex_state(state, program) if full is None else full
            results.append(_from_state(process, full, structure, program))
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
    return signs * kernels.signed_sums(weights, [mask for mask, _ in pulled])


def _flipped_words(state: Array, masks: Sequence[tuple], program: Program) -> Array:
    """<P> with P|j> = i^(number of Y) (-1)^(bits of j in z) |j ^ x>."""
    xp, layout = namespace(state), affine.from_layout(program.layout)
    n = program.n_wires
    found: list[Array] = [None] * len(masks)
    for flip in dict.fromkeys(x for x, _, _ in masks):
        own = [i for i, (x, _, _) in enumerate(masks) if x == flip]
        inside = affine.apply(affine.invert(layout), flip)
        columns = np.array((inside, *affine.identity(n)[1:]), np.int32)
        index = kernels.image(columns, n)
        a, b = kernels.permute(state, index, index) if flip else state
        re, im = state
        products = {0: a * re + b * im, 1: -(a * im - b * re)}
        for odd, weights in products.items():
            some = [i for i in own if masks[i][2] % 2 == odd]
            if some:
                pulled = [affine.pull_back(masks[i][1], layout)[0] for i in some]
                sums = kernels.signed_sums(weights, pulled)
                for row, i in enumerate(some):
                    found[i] = sums[row] * (-1) ** (masks[i][2] // 2)
    return xp.stack(found)


def _from_words(
    process: Any, values: dict[Word, Array], number: dict, zeros: Array
) -> Array:
    sentence = process.obs.pauli_rep
    terms = [(values[_word(word, number)], c) for word, c in sentence.items()]
    xp = namespace(zeros)
    if isinstance(process, VarianceMP):
        (value, coefficient), *_ = terms
        return (xp.real(coefficient) ** 2 * (1 - value**2)).astype(zeros.dtype)
    total = sum(value * xp.real(coefficient) for value, coefficient in terms)
    return xp.asarray(total + zeros).astype(zeros.dtype)


def _probabilities(
    process: Any, state: Array, program: Program, number: dict[Any, int]
) -> Array:
    weights = state[0] ** 2 + state[1] ** 2  # (2^n, batch)
    if program.relabel != affine.identity(program.n_wires):
        back = affine.compose(
            affine.invert(affine.from_layout(program.layout)),
            affine.invert(program.relabel),
        )
        weights = weights[kernels.image(np.array(back, np.int32), program.n_wires)]
        layout = tuple(range(program.n_wires))
    else:
        layout = program.layout
    place = {program.wires[w]: axis for axis, w in enumerate(layout)}
    wanted = [place[number[w]] for w in process.wires] or [
        place[w] for w in sorted(place)
    ]
    n, batch = program.n_wires, weights.shape[-1]
    rest = [axis for axis in range(n) if axis not in wanted]
    bits = weights.reshape(*(2,) * n, batch).transpose([n, *wanted, *rest])
    return bits.reshape(batch, 1 << len(wanted), -1).sum(-1)


def _complex_state(state: Array, program: Program) -> Array:
    """Shape (batch, 2, ..., 2), wires in order."""
    move = final_move(program.layout)
    re, im = state if move is None else move.apply(state)
    return (re + 1j * im).T.reshape(-1, *(2,) * program.n_wires)


def _from_state(
    process: Any, full: Array, structure: Structure, program: Program
) -> Array:
    """PennyLane's own measurement of a batch of states."""
    labels = [structure.wires[w] for w in program.wires]
    numbered = process.map_wires({label: i for i, label in enumerate(labels)})
    one = lambda vector: measure(numbered, vector)  # noqa: E731
    if isinstance(full, np.ndarray):
        return np.stack([np.asarray(one(vector)) for vector in full])
    return jax.vmap(one)(full)
