"""From PennyLane's measurements to what is read of a state.

Means of Pauli words need |amplitude|^2 alone; means and variances of other observables
are those of sums of products of matrices. For all else the state itself is returned,
and PennyLane's own code reads it with the actual values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pennylane as qml
from pennylane import math
from pennylane.measurements import (
    ExpectationMP,
    MeasurementProcess,
    ProbabilityMP,
    VarianceMP,
)

from .operations import MAX_DENSE_WIRES, concrete, dense_matrix, is_complex
from .reading import Leaves
from .tape import OPERATOR, PROBABILITIES, STATE, WORDS, Reading, Word

MAX_WORDS = 4096
"""Longer sums are read from the state."""

PAULI = {name: getattr(qml, name).compute_matrix() for name in "XYZ"}


@dataclass(frozen=True)
class Term:
    """A coefficient times a product of matrices on wires; labels, not numbers."""

    coefficient: Any
    factors: tuple[tuple[Any, tuple[Any, ...]], ...]


def read_measurements(
    processes: Sequence[MeasurementProcess], wires: Sequence[Any], *, fold: bool
) -> tuple[tuple[Reading, ...], Leaves]:
    """How each measurement is read, and the leaves of all: see `read_operations`."""
    number = {label: i for i, label in enumerate(wires)}
    leaves = Leaves(fold)
    with qml.QueuingManager.stop_recording():
        found = tuple(_measured(process, number, leaves) for process in processes)
    return found, leaves


def _measured(
    process: MeasurementProcess, number: dict[Any, int], leaves: Leaves
) -> Reading:
    everything = tuple(number.values())
    wires = tuple(number[wire] for wire in process.wires) or everything
    is_variance = type(process) is VarianceMP
    if process.obs is not None and type(process) in (ExpectationMP, VarianceMP):
        sentence = process.obs.pauli_rep
        if sentence is not None and len(sentence) <= (1 if is_variance else MAX_WORDS):
            words = tuple(_word(word, number) for word in sentence)
            own = tuple({wire for word in words for wire, _ in word})
            weights = _coefficients(list(sentence.values()), leaves)
            return Reading(WORDS, own, is_variance, words, (), weights)
        if (terms := _terms(process.obs)) is not None:
            placed = tuple(
                tuple(
                    (leaves.add(matrix, 2), tuple(number[wire] for wire in on))
                    for matrix, on in term.factors
                )
                for term in terms
            )
            weights = _coefficients([term.coefficient for term in terms], leaves)
            return Reading(OPERATOR, wires, is_variance, (), placed, weights)
    plain = process.obs is None and process.mv is None and process._eigvals is None
    if type(process) is ProbabilityMP and plain:
        return Reading(PROBABILITIES, wires)
    some = process.obs is not None or process.mv is not None
    return Reading(STATE, wires if some else everything)


def _word(word: Any, number: dict[Any, int]) -> Word:
    return tuple(sorted((number[wire], pauli) for wire, pauli in word.items()))


def _coefficients(values: list[Any], leaves: Leaves) -> Any:
    """One leaf of all coefficients; None where all are 1."""
    known = [concrete(value) for value in values]
    if all(value is not None for value in known):
        array = np.array(known)
        if array.dtype.kind == "c" and not array.imag.any():
            array = array.real
        return None if (array == 1).all() else leaves.add(array.astype(_wide(array)), 1)
    if any(map(is_complex, values)):
        values = [math.cast(value, complex) for value in values]
    return leaves.add(math.stack(values), 1)


def _wide(array: np.ndarray) -> type:
    return complex if array.dtype.kind == "c" else float


def _terms(obs: Any) -> list[Term] | None:
    """An observable as a sum of products; None where it is neither small nor one."""
    sentence = obs.pauli_rep
    if sentence is not None and len(sentence) <= MAX_WORDS:
        return [
            Term(c, tuple((PAULI[letter], (wire,)) for wire, letter in word.items()))
            for word, c in sentence.items()
        ]
    if isinstance(obs, qml.ops.Sum):
        parts = [_terms(part) for part in obs.operands]
        if any(part is None for part in parts):
            return None
        found = [term for part in parts for term in part or ()]
        return found if len(found) <= MAX_WORDS else None
    if isinstance(obs, qml.ops.SProd):
        inner = _terms(obs.base)
        if inner is None:
            return None
        return [Term(obs.scalar * t.coefficient, t.factors) for t in inner]
    if isinstance(obs, qml.ops.Prod):
        sides = [_terms(part) for part in obs.operands]
        if any(side is None for side in sides):
            return None
        if np.prod([len(side or ()) for side in sides]) > MAX_WORDS:
            return None
        return [_times(chosen) for chosen in product(*(side or () for side in sides))]
    has_matrix = obs.has_matrix or obs.has_sparse_matrix
    if not has_matrix or len(obs.wires) > MAX_DENSE_WIRES:
        return None
    return [Term(1.0, ((dense_matrix(obs), tuple(obs.wires)),))]


def _times(terms: Sequence[Term]) -> Term:
    coefficient = 1.0
    for term in terms:
        coefficient = coefficient * term.coefficient
    return Term(coefficient, tuple(f for term in terms for f in term.factors))
