"""From PennyLane's measurements to what is read of a state.

Means of Pauli words need |amplitude|^2 alone; means and variances of other observables
are those of sums of products of matrices. For all else the state itself is returned,
and PennyLane's own code reads it with the actual values.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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

from .operations import (
    MAX_DENSE_WIRES,
    concrete,
    dense_matrix,
    is_complex,
    unfollowed,
)
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
    hermitian: bool = True
    """Whether the product is known to be; an exp(i t P) is not: its mean is complex."""


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
            if is_variance:  # PennyLane takes the real part of eigenvalues
                terms = [part for term in terms for part in _hermitian_parts(term)]
            placed = tuple(
                tuple(
                    (leaves.add(matrix, 2), tuple(number[wire] for wire in on))
                    for matrix, on in term.factors
                )
                for term in terms
            )
            real = all(term.hermitian for term in terms)
            values = [term.coefficient for term in terms]
            weights = _coefficients(values, leaves, not real)
            return Reading(OPERATOR, wires, is_variance, (), placed, weights)
    plain = process.obs is None and process.mv is None and process._eigvals is None
    if type(process) is ProbabilityMP and plain:
        return Reading(PROBABILITIES, wires)
    some = process.obs is not None or process.mv is not None
    return Reading(STATE, wires if some else everything)


def _word(word: Any, number: dict[Any, int]) -> Word:
    return tuple(sorted((number[wire], pauli) for wire, pauli in word.items()))


def _coefficients(values: list[Any], leaves: Leaves, wide: bool = False) -> Any:
    """One leaf of all coefficients, complex where `wide`; None where all are 1."""
    values = [value * (1 + 0j) for value in values] if wide else values
    known = [unfollowed(value) for value in values]
    if all(value is not None for value in known):
        array = np.array(known)
        if wide:
            return leaves.add(array, 1)
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
        return [replace(t, coefficient=obs.scalar * t.coefficient) for t in inner]
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
    matrix = dense_matrix(obs)
    hermitian = _is_hermitian(obs) and _equals_adjoint(matrix)
    return [Term(1.0, ((matrix, tuple(obs.wires)),), hermitian)]


def _is_hermitian(obs: Any) -> bool:
    """By its definition, whatever its numbers; a unitary gate with angles is not."""
    if isinstance(obs, qml.ops.Exp):
        return not is_complex(obs.coeff) and _is_hermitian(obs.base)
    if isinstance(obs, qml.ops.SymbolicOp):
        return _is_hermitian(obs.base)
    if isinstance(obs, qml.Projector):
        return True
    return not (isinstance(obs, qml.operation.Operation) and obs.data)


def _equals_adjoint(matrix: Any) -> bool:
    """By its numbers; true where these are traced."""
    known = concrete(matrix)
    return known is None or bool(np.allclose(known, _adjoint(known), rtol=1e-6))


def _adjoint(matrix: Any) -> Any:
    return math.conj(math.moveaxis(matrix, -1, -2))


def _times(terms: Sequence[Term]) -> Term:
    """Their product, which on common wires is Hermitian where its numbers say so."""
    coefficient = 1.0
    for term in terms:
        coefficient = coefficient * term.coefficient
    factors = tuple(f for term in terms for f in term.factors)
    on = [wire for _, wires in factors for wire in wires]
    hermitian = all(term.hermitian for term in terms)
    if hermitian and len(set(on)) < len(on):
        hermitian = _commute(factors, tuple(dict.fromkeys(on)))
    return Term(coefficient, factors, hermitian)


def _commute(factors: Sequence[Any], wires: tuple[Any, ...]) -> bool:
    """Whether the product of Hermitian matrices is known to be Hermitian."""
    known = [concrete(matrix) for matrix, _ in factors]
    if len(wires) > MAX_DENSE_WIRES or any(matrix is None for matrix in known):
        return False
    whole = np.eye(1 << len(wires))
    for matrix, (_, on) in zip(known, factors, strict=True):
        whole = whole @ math.expand_matrix(matrix, on, wires)
    return _equals_adjoint(whole)


def _hermitian_parts(term: Term) -> list[Term]:
    """A term and its adjoint, a half of each; itself where it is Hermitian."""
    if term.hermitian:
        return [term]
    (first, on), *rest = term.factors
    factors = ((term.coefficient * first, on), *rest)
    back = tuple((_adjoint(matrix), on) for matrix, on in reversed(factors))
    return [Term(0.5, factors), Term(0.5, back)]
