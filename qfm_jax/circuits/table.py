"""Circuits by name: whole ones in one table, and those made of two parts."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

from .._checks import InputError, check_at_least, check_one_of, first_line, input_error
from .circuit import Circuit, VariationalCircuit
from .declaration import check_declaration
from .embeddings import EMBEDDINGS
from .hamiltonian import HamiltonianReuploading
from .layers import LAYERS
from .observables import local_words
from .pixel_reuploading import PixelReuploading
from .reuploading import DataReuploading

LOAD_FIRST = "A file of yours that adds it goes before the command: --load FILE."


class UnknownCircuitError(InputError):
    """No circuit, or part of circuits, has this name here."""


Builder = Callable[[int, int], VariationalCircuit]
"""Called with n_qubits and n_layers: a function, or the class of the circuit itself."""


def _reuploading(n_qubits: int, n_layers: int) -> DataReuploading:
    return DataReuploading(n_qubits, n_layers, n_features=n_qubits)


CIRCUITS: dict[str, Builder] = {
    "reuploading": _reuploading,
    "hamiltonian": HamiltonianReuploading,
    "pixel-reuploading": PixelReuploading.of_layers,
}
"""Whole circuits by name; `CIRCUITS["mine"] = builder` adds one."""


def named_circuit(name: str, n_qubits: int, n_layers: int) -> VariationalCircuit:
    """Builds a circuit of `CIRCUITS`, and checks that it is what it declares.

    Args:
        name: A name in `CIRCUITS`.
        n_qubits: Number of qubits, at least 1.
        n_layers: Number of layers, at least 1.

    Returns:
        The circuit; the same one for the same arguments.

    Raises:
        InputError: For an unknown name (tells the nearest ones), a size below 1, a
            builder that fails, a circuit of another number of qubits, or one that is
            not what it declares (see `check_declaration`).

    Example:
        >>> named_circuit("hamiltonian", 4, n_layers=2).weights_shape
        (2, 272)
        >>> from qfm_jax.circuits import AngleEmbedding, ChainLayers
        >>> def staircase(n_qubits, n_layers):
        ...     layers = ChainLayers(n_qubits, n_layers, block="real")
        ...     return Circuit(AngleEmbedding(n_qubits, rotation="X"), layers)
        >>> CIRCUITS["staircase"] = staircase
        >>> named_circuit("staircase", 4, n_layers=1).weights_shape
        (1, 3, 2)
        >>> del CIRCUITS["staircase"]
    """
    check_name(name)
    check_at_least("n_qubits", n_qubits, 1)
    check_at_least("n_layers", n_layers, 1)
    circuit = _built(CIRCUITS[name], n_qubits, n_layers)
    if circuit.n_qubits != n_qubits:
        must = f"be {circuit.n_qubits}, as many as the circuit {name!r} has"
        raise input_error("n_qubits", must, f"is {n_qubits}")
    return circuit


def build_circuit(
    embedding: str, layers: str, n_qubits: int, n_layers: int
) -> VariationalCircuit:
    """Builds a circuit from the names of its parts, and checks what they declare.

    It measures Z on every wire; of layers that narrow down to some of them, such as a
    convolutional network or a tree, all words of one and two letters on those.

    Args:
        embedding: A name in `EMBEDDINGS`.
        layers: A name in `LAYERS`.
        n_qubits: Number of qubits, at least 1.
        n_layers: Number of layers, at least 1.

    Raises:
        InputError: For an unknown name (tells the nearest ones), a size below 1, or
            parts that are not what they declare (see `check_declaration`).

    Example:
        >>> circuit = build_circuit("amplitude", "strongly-entangling", 4, n_layers=2)
        >>> circuit.n_features, circuit.weights_shape
        (16, (2, 4, 3))
    """
    check_parts(embedding, layers)
    built = LAYERS[layers](n_qubits, n_layers)
    left = getattr(built, "wires_left", None)
    words = None if left is None else local_words(left, n_qubits)
    circuit = Circuit(EMBEDDINGS[embedding](n_qubits), built, words)
    _check(circuit)
    return circuit


def check_parts(embedding: str, layers: str) -> None:
    """Raises unless both are the names of parts.

    Raises:
        InputError: Telling the nearest names, or that one is a whole circuit.

    Example:
        >>> check_parts("angle", "tree")
    """
    whole = f"It is a whole circuit: name it as `circuit={embedding!r}`."
    cure = whole if embedding in CIRCUITS else LOAD_FIRST
    _check_name("embedding", embedding, EMBEDDINGS, cure)
    _check_name("layers", layers, LAYERS, LOAD_FIRST)


def check_name(circuit: str) -> None:
    """Raises unless it is the name of a whole circuit.

    Raises:
        UnknownCircuitError: Telling the nearest names.

    Example:
        >>> check_name("hamiltonian")
    """
    _check_name("circuit", circuit, CIRCUITS, LOAD_FIRST)


def _check_name(argument: str, name: str, table: Iterable[str], cure: str) -> None:
    try:
        check_one_of(argument, name, table, cure)
    except InputError as error:
        raise UnknownCircuitError(str(error)) from None


@functools.lru_cache(maxsize=256)
def _built(builder: Builder, n_qubits: int, n_layers: int) -> VariationalCircuit:
    """Cached: what a function makes anew each time would be compiled anew, too."""
    try:
        circuit = builder(n_qubits, n_layers)
    except InputError:
        raise
    except Exception as error:
        must = "be built by what is called with n_qubits and n_layers"
        was = f"{builder!r} fails: {type(error).__name__}: {first_line(error)}"
        raise input_error("circuit", must, was.rstrip(".")) from error
    _check(circuit)
    return circuit


def _check(circuit: Any) -> None:
    try:
        hash(circuit)
    except TypeError:  # a field of it is a list, for example
        check_declaration(circuit)
    else:
        _check_once(circuit)


@functools.lru_cache(maxsize=256)
def _check_once(circuit: Any) -> None:
    check_declaration(circuit)
