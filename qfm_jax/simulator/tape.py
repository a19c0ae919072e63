"""What a tape says, but for its numbers: the key under which programs are kept."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

from .gates import Constant, Gate, Preparation, Read

MAX_MATRIX_WIRES = 5
"""A wider gate is its target's matrix behind controls, or it is decomposed."""

Word = tuple[tuple[int, str], ...]
"""Pairs (wire, 'X', 'Y' or 'Z') in the order of wires; () is the identity."""

WORDS, PROBABILITIES, OPERATOR, STATE = "words", "probabilities", "operator", "state"


@dataclass(frozen=True)
class Leaf:
    """One array of the tape's parameters, without its values."""

    shape: tuple[int, ...]
    """Of one sample."""
    batched: bool = False
    is_complex: bool = False
    constant: Constant | None = None
    """Its numbers, where they are part of the program; None makes it an argument."""


@dataclass(frozen=True)
class Tape:
    """Preparations on fresh wires, then gates, on wires 0 to n_wires - 1."""

    n_wires: int
    preparations: tuple[Preparation, ...]
    gates: tuple[Gate, ...]
    leaves: tuple[Leaf, ...]


@dataclass(frozen=True)
class Reading:
    """How a measurement is read; its leaves are those of `Structure.observed`."""

    kind: str
    """WORDS: means of Pauli words; OPERATOR: of products of matrices; PROBABILITIES;
    STATE: the state itself, of which PennyLane reads the rest."""
    wires: tuple[int, ...]
    """All that it reads."""
    is_variance: bool = False
    words: tuple[Word, ...] = ()
    terms: tuple[tuple[tuple[Read, tuple[int, ...]], ...], ...] = ()
    """Of an operator: a sum of products of matrices, each with its wires."""
    coefficients: Read | None = None
    """One a word or term; None stands for ones."""


@dataclass(frozen=True)
class Structure:
    """All of a tape but the values of its parameters; hashable."""

    circuit: Tape
    measurements: tuple[Reading, ...]
    observed: tuple[Leaf, ...]
    """Leaves of the measurements."""

    @cached_property
    def _hash(self) -> int:
        return hash((self.circuit, self.measurements, self.observed))

    def __hash__(self) -> int:
        return self._hash

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """Leaves of the operations, then of the measurements."""
        return self.circuit.leaves + self.observed

    @property
    def arguments(self) -> tuple[int, ...]:
        """Which leaves are arguments of the program; the others are constants."""
        return tuple(i for i, leaf in enumerate(self.leaves) if leaf.constant is None)


@lru_cache(maxsize=512)
def interned(structure: Structure) -> Structure:
    """An equal structure, the same one at each call: comparing it costs nothing."""
    return structure
