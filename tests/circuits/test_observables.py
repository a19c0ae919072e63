import numpy as np
import pennylane as qml
import pytest

from qfm_jax._checks import InputError
from qfm_jax.circuits.observables import expectations, pauli_words

PAULI = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}


def dense(word):
    matrix = np.eye(1)
    for letter in word:
        matrix = np.kron(matrix, PAULI[letter])
    return matrix


def test_by_default_every_wire_is_measured_in_z_in_wire_order():
    assert pauli_words(None, 4) == ("ZIII", "IZII", "IIZI", "IIIZ")


@pytest.mark.parametrize("word", ["XYZ", "IYX", "ZII", "IIY", "III"])
def test_letter_i_acts_on_wire_i(word):
    (measurement,) = expectations((word,), 3)
    matrix = qml.matrix(measurement.obs, wire_order=range(3))
    np.testing.assert_array_equal(matrix, dense(word))


def test_the_order_of_the_words_is_kept():
    words = ("IIZ", "XII", "IYI")
    assert expectations(words, 3) == [
        qml.expval(qml.Z(2)),
        qml.expval(qml.X(0)),
        qml.expval(qml.Y(1)),
    ]


@pytest.mark.parametrize("word", ["ZI", "ZIII", "ZIA", "zii", "", 3])
def test_a_word_of_other_letters_or_length_is_refused(word):
    with pytest.raises(InputError, match=f"Pauli words of 3 letters .* holds {word!r}"):
        pauli_words(("ZII", word), 3)


@pytest.mark.parametrize("observables", ["ZII", ["ZII"], ()])
def test_anything_but_a_filled_tuple_is_refused(observables):
    with pytest.raises(InputError, match="`observables` must be a tuple of at least"):
        pauli_words(observables, 3)
