"""Observables: Pauli words such as "ZIX", one letter a wire -> expectation values."""

from collections.abc import Sequence
from itertools import combinations, product

import pennylane as qml
from pennylane.measurements import ExpectationMP

from .._checks import input_error


def pauli_words(observables: tuple[str, ...] | None, n_qubits: int) -> tuple[str, ...]:
    """Returns the Pauli words, checked; for None, Z on every wire in wire order.

    Args:
        observables: Words of n_qubits letters I, X, Y, Z; letter i acts on wire i.
        n_qubits: Number of qubits, at least 1.

    Raises:
        InputError: For no tuple, an empty one, or a word of other letters or length.

    Example:
        >>> pauli_words(None, 3)
        ('ZII', 'IZI', 'IIZ')
    """
    if observables is None:
        return tuple("I" * i + "Z" + "I" * (n_qubits - 1 - i) for i in range(n_qubits))
    # A list could not be hashed, a single string would be read letter by letter.
    if not isinstance(observables, tuple) or not observables:
        must = "be a tuple of at least one Pauli word"
        raise input_error("observables", must, f"is {observables!r}")
    for word in observables:
        _check_pauli_word(word, n_qubits)
    return observables


def expectations(
    observables: tuple[str, ...] | None, n_qubits: int
) -> list[ExpectationMP]:
    """Measures each word of `pauli_words(observables, n_qubits)`, in [-1, 1].

    Example:
        >>> expectations(("ZIX",), 3)
        [expval(Z(0) @ X(2))]
    """
    words = pauli_words(observables, n_qubits)
    return [qml.expval(qml.pauli.string_to_pauli_word(word)) for word in words]


def local_words(wires: Sequence[int], n_qubits: int) -> tuple[str, ...]:
    """Lists the Pauli words on one and on two of `wires`, without the identity.

    First X, Y, Z of each wire, then XX, XY, XZ, YX, ..., ZZ of each pair, pairs in
    lexical order: 3k + 9k(k - 1)/2 words of k wires, which are 3, 15, 36, 66, ...

    Args:
        wires: Qubits, each below n_qubits.
        n_qubits: Number of letters in a word.

    Example:
        >>> local_words([2], n_qubits=3)
        ('IIX', 'IIY', 'IIZ')
        >>> local_words([0, 2], n_qubits=3)[6:]
        ('XIX', 'XIY', 'XIZ', 'YIX', 'YIY', 'YIZ', 'ZIX', 'ZIY', 'ZIZ')
    """
    places = [*combinations(wires, 1), *combinations(wires, 2)]
    return tuple(
        word_of(dict(zip(place, letters, strict=True)), n_qubits)
        for place in places
        for letters in product("XYZ", repeat=len(place))
    )


def word_of(letters: dict[int, str], n_qubits: int) -> str:
    """The Pauli word of these letters, I elsewhere."""
    return "".join(letters.get(wire, "I") for wire in range(n_qubits))


def _check_pauli_word(word: str, n_qubits: int) -> None:
    if not isinstance(word, str) or len(word) != n_qubits or set(word) - set("IXYZ"):
        must = f"hold Pauli words of {n_qubits} letters I, X, Y or Z, one a qubit"
        raise input_error("observables", must, f"holds {word!r}")
