"""Observables -> circuits that are measured in their bases, and back from outcomes."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.library import HGate, SdgGate
from qiskit.quantum_info import SparsePauliOp

from .readout import ReadoutErrors, corrections

Counts = dict[int, int]
"""How often each outcome was measured; bit i of it is qubit i."""

TURN = "read_out"
"""Label of gates that turn X or Y to Z: part of the read-out, not of the circuit. Aer
looks noise up by label, so that none follows them; a device's transpiler, which writes
them in gates of its own, drops the label, and they have the noise of these."""


@dataclasses.dataclass(frozen=True, eq=False)
class Sums:
    """Observables as sums of Pauli words."""

    words: list[str]
    """Qiskit's labels, qubit 0 last, without the identity."""
    coefficients: np.ndarray
    """(n_observables, n_words)."""
    constants: np.ndarray
    """Coefficients of the identity, (n_observables,)."""

    def of(self, values: np.ndarray) -> np.ndarray:
        """The observables (n, n_observables) from the words' values (n, n_words)."""
        return values @ self.coefficients.T + self.constants


@dataclasses.dataclass(frozen=True, eq=False)
class Measurement:
    """A circuit in all the bases that its observables are measured in."""

    circuits: list[QuantumCircuit]
    """One for each basis, measured, on the circuit's own qubits."""
    words: list[list[str]]
    """The Pauli words that each of them measures."""
    sums: Sums
    """What the observables are made of."""

    def expectations(
        self,
        counts: Iterable[Sequence[Counts]],
        n_circuits: int,
        errors: Sequence[ReadoutErrors] | None = None,
    ) -> np.ndarray:
        """The expectations (n_circuits, n_observables).

        Args:
            counts: For each basis the outcomes of each of the circuits.
            n_circuits: Circuits, which observables without a word need to know.
            errors: For each basis the read-out errors of the circuit's qubits, to be
                undone; left as they are where left out.

        Raises:
            InputError: For bits that say nothing.
        """
        values: dict[str, np.ndarray] = {}
        known = [None] * len(self.words) if errors is None else errors
        for words, found, own in zip(self.words, counts, known, strict=True):
            if own is None:
                masks = np.array([_support(word) for word in words])
                means = [_parities(one, masks) for one in found]
            else:
                means = [_corrected(one, words, corrections(own)) for one in found]
            values |= dict(zip(words, np.array(means).T, strict=True))
        columns = [values[word] for word in self.sums.words]
        table = np.reshape(columns, (len(columns), n_circuits)).T
        return self.sums.of(table)


def measurement_of(
    circuit: QuantumCircuit, observables: Sequence[SparsePauliOp]
) -> Measurement:
    """Measures the observables of a circuit in as few bases as a greedy choice finds.

    Args:
        circuit: Without measurements; its parameters may be free.
        observables: On its qubits.

    Example:
        >>> words = [SparsePauliOp("ZI"), SparsePauliOp("ZX"), SparsePauliOp("IZ")]
        >>> measurement = measurement_of(QuantumCircuit(2), words)
        >>> measurement.words
        [['IZ', 'ZI'], ['ZX']]
        >>> counts = [[{0b10: 100}], [{0b10: 50, 0b11: 50}]]
        >>> measurement.expectations(counts, 1)
        array([[-1.,  0.,  1.]])
    """
    sums = sums_of(observables)
    groups = list(_groups(sums.words))
    circuits = [_measured(circuit, basis) for basis, _ in groups]
    return Measurement(circuits, [words for _, words in groups], sums)


def counts_of(result: Any, n_circuits: int) -> list[Counts]:
    """The outcomes of each circuit of a PUB that a SamplerV2 has run."""
    bits = result.data.meas.reshape(n_circuits)
    return [bits.get_int_counts(i) for i in range(n_circuits)]


def sums_of(observables: Sequence[SparsePauliOp]) -> Sums:
    """Writes observables as sums of Pauli words.

    Example:
        >>> sums = sums_of([SparsePauliOp(["ZI", "II"], [2.0, 1.0])])
        >>> sums.words, sums.of(np.array([[-1.0]]))
        (['ZI'], array([[-1.]]))
    """
    terms = [
        dict(zip(o.paulis.to_labels(), o.coeffs.real, strict=True))
        for o in (observable.simplify() for observable in observables)
    ]
    words = sorted({word for term in terms for word in term if set(word) != {"I"}})
    coefficients = np.array([[term.get(word, 0.0) for word in words] for term in terms])
    identity = "I" * observables[0].num_qubits
    constants = np.array([term.get(identity, 0.0) for term in terms])
    return Sums(words, coefficients.reshape(len(terms), len(words)), constants)


def columns(
    circuit: QuantumCircuit, parameters: Sequence[Parameter], angles: np.ndarray
) -> np.ndarray:
    """The angles in the order of the circuit's own parameters."""
    places = {parameter: i for i, parameter in enumerate(parameters)}
    return angles[:, [places[parameter] for parameter in circuit.parameters]]


def _groups(words: Sequence[str]) -> Iterator[tuple[dict[int, str], list[str]]]:
    """Sets of words that ask for the same letter of each qubit, and these letters."""
    left = list(words)
    while left:
        basis: dict[int, str] = {}
        taken = []
        for word in left:
            letters = {i: x for i, x in enumerate(reversed(word)) if x != "I"}
            if all(basis.get(i, x) == x for i, x in letters.items()):
                basis |= letters
                taken.append(word)
        yield basis, taken
        left = [word for word in left if word not in taken]


def _measured(circuit: QuantumCircuit, basis: dict[int, str]) -> QuantumCircuit:
    measured = circuit.copy()
    for qubit, letter in basis.items():
        if letter == "Y":
            measured.append(SdgGate(label=TURN), [qubit])
        if letter in "XY":
            measured.append(HGate(label=TURN), [qubit])
    measured.measure_all()
    return measured


def _support(word: str) -> int:
    """The qubits of a word as bits, qubit 0 the least."""
    return sum(1 << i for i, letter in enumerate(reversed(word)) if letter != "I")


def _parities(counts: dict[int, int], masks: np.ndarray) -> np.ndarray:
    outcomes, weights = np.array(list(counts)), np.array(list(counts.values()))
    signs = 1 - 2.0 * (np.bitwise_count(outcomes & masks[:, None]) % 2)
    return signs @ weights / weights.sum()


def _corrected(
    counts: Counts, words: Sequence[str], maps: Sequence[tuple[float, float]]
) -> np.ndarray:
    """Means of words whose letter on qubit q is a Z + b, with (a, b) = maps[q].

    The outcomes of `corrected_operator`, without its terms: they factor by qubits.
    """
    outcomes, weights = np.array(list(counts)), np.array(list(counts.values()))
    bits = outcomes[:, None] >> np.arange(len(maps)) & 1
    factors = (1 - 2.0 * bits) * [a for a, _ in maps] + [b for _, b in maps]
    is_in = np.array([[letter != "I" for letter in reversed(word)] for word in words])
    values = np.where(is_in[:, None, :], factors, 1.0).prod(axis=-1)
    return values @ weights / weights.sum()
