"""What a circuit declares: which features it takes, and how its weights start.

Models, controls and reports follow these declarations and nothing else. A circuit, or
the embedding in it, has the attribute `takes`; a circuit, or the layers in it, may have
`weights_start`.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.measurements import ExpectationMP

from .._checks import (
    InputError,
    check_at_least,
    check_range,
    first_line,
    input_error,
)

Numbers = float | tuple[Any, ...]
"""A number, or nested tuples of them that broadcast to the shape of the weights."""


@dataclass(frozen=True)
class Angles:
    """Takes angles in radians.

    A trained layer before the circuit is squashed to this range, and pixels in [0, 1]
    are spread over it.

    Raises:
        InputError: For an empty range, or a frequency below 1.

    Example:
        >>> Angles().middle == math.pi / 2
        True
        >>> Angles(-1, 1)
        Angles(low=-1, high=1, frequency=None)
    """

    low: float = 0.0
    """Least angle."""
    high: float = math.pi
    """Largest angle. In [0, pi] the expectation cos(x) is one to one."""
    frequency: int | None = None
    """How often a feature enters at most, all by rotations about Pauli words: the
    expectations are then Fourier series of the features, up to this frequency. None
    where they are not, or where that is not known."""

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            check_range(name, getattr(self, name), -1e6, 1e6)
        if not self.low < self.high:
            raise input_error("high", f"be above low = {self.low}", f"is {self.high}")
        if self.frequency is not None:
            check_at_least("frequency", self.frequency, 1)

    @property
    def middle(self) -> float:
        """The angle halfway between both ends."""
        return (self.low + self.high) / 2


@dataclass(frozen=True)
class Amplitudes:
    """Takes any real numbers of which one is not zero, for the basis states.

    Pixels get a frame of ones around them; a trained layer is not squashed.
    """


@dataclass(frozen=True)
class Pixels:
    """Takes an image row by row, at about mean 0 and variance 1.

    The image is pooled to as many pixels as there are features, a square number. A
    trained layer is not squashed.
    """


@dataclass(frozen=True)
class Bits:
    """Takes zeros and ones: pixels of at least 0.5 are ones.

    The image is pooled to as many pixels as there are features, a square number. No
    gradient passes through bits, so that no trained layer can stand before them.
    """


Takes = Angles | Amplitudes | Pixels | Bits
"""What a circuit or an embedding can declare that it takes."""


@dataclass(frozen=True)
class Normal:
    """Weights start at `mean` plus `scale` times normal numbers.

    Their standard deviation is `scale` times that of the model, its `angle_spread`.

    Example:
        >>> Normal(mean=(1.0, 0.0), scale=(0.0, 1.0))  # of weights (..., 2)
        Normal(mean=(1.0, 0.0), scale=(0.0, 1.0))
    """

    mean: Numbers = 0.0
    """Of each weight; broadcasts to `weights_shape`."""
    scale: Numbers = 1.0
    """Of each weight, at least 0; broadcasts to `weights_shape`."""


@dataclass(frozen=True)
class Uniform:
    """Weights start anywhere between two numbers; no `angle_spread` changes that.

    Example:
        >>> Uniform(-1.0, 1.0)
        Uniform(low=-1.0, high=1.0)
    """

    low: Numbers = 0.0
    """Of each weight; broadcasts to `weights_shape`."""
    high: Numbers = 2 * math.pi
    """Of each weight; broadcasts to `weights_shape`."""


Start = Normal | Uniform
"""How weights can start."""


def takes_of(part: Any) -> Takes:
    """What a circuit or an embedding declares that it takes.

    Raises:
        InputError: If it declares nothing, or nothing that is known.

    Example:
        >>> from qfm_jax.circuits import AmplitudeEmbedding
        >>> takes_of(AmplitudeEmbedding(3))
        Amplitudes()
    """
    found = getattr(part, "takes", None)
    if isinstance(found, Takes):
        return found
    must = "declare what it takes: Angles(), Amplitudes(), Pixels() or Bits()"
    was = f"`takes` of {type(part).__name__} is {found!r}"
    cure = "Add `takes = Angles()` to its class, for example."
    raise input_error("circuit", must, was, cure)


def start_of(part: Any) -> Start | None:
    """How the weights of a circuit or of layers start; None if it does not say.

    A classifier of `ModelConfig` then starts them as `Normal()`, a `QuantumLayer` of
    its own uniformly in [0, 2 pi), as PennyLane's TorchLayer does.

    Raises:
        InputError: If it declares something else than a start.

    Example:
        >>> from qfm_jax.circuits import RealAmplitudes
        >>> start_of(RealAmplitudes(3, n_layers=1)) is None
        True
    """
    found: Any = getattr(part, "weights_start", None)
    if found is None or isinstance(found, Start):
        return found
    must = "declare how its weights start: Normal(...) or Uniform(...)"
    was = f"`weights_start` of {type(part).__name__} is {found!r}"
    raise input_error("circuit", must, was)


MOST_TRIED = 64
"""Features that are tried one by one: each runs the circuit's Python code once."""

MEMBERS = ("n_qubits", "n_features", "weights_shape", "n_observables")


def check_declaration(circuit: Any) -> None:
    """Raises unless a circuit is what it declares; runs its Python code once.

    Args:
        circuit: Anything with the members of `VariationalCircuit` and with `takes`.

    Raises:
        InputError: For a missing member, features or weights that it reads and does not
            declare, features that it declares and does not read, where there are at
            most 64, another number of results, results that are no expectation values,
            wires that are not 0, ..., n_qubits - 1, or a start of another shape.

    Example:
        >>> from qfm_jax.circuits import AngleEmbedding, Circuit, RealAmplitudes
        >>> check_declaration(Circuit(AngleEmbedding(3), RealAmplitudes(3, 1)))
    """
    missing = [name for name in MEMBERS if not hasattr(circuit, name)]
    if missing or not callable(circuit):
        must = f"have {', '.join(MEMBERS)} and be callable with inputs and weights"
        was = f"{type(circuit).__name__} lacks {', '.join(missing) or '__call__'}"
        raise input_error("circuit", must, was)
    for name in ("n_qubits", "n_features", "n_observables"):
        check_at_least(name, getattr(circuit, name), 1)
    shape = circuit.weights_shape
    if not isinstance(shape, tuple):
        must = "be a tuple, the shape of the weights"
        raise input_error("weights_shape", must, f"is {shape!r}")
    for length in shape:
        check_at_least("weights_shape", length, 1)
    takes, start = takes_of(circuit), start_of(circuit)
    for name, numbers in vars(start).items() if start else ():
        _check_broadcasts(name, numbers, shape)
    inputs = _sample(takes, circuit.n_features)
    tape = _run_once(circuit, inputs)
    _check_results(circuit, tape)
    if len(inputs) <= MOST_TRIED:
        _check_all_are_read(circuit, inputs, tape)


def _check_broadcasts(name: str, numbers: Numbers, shape: tuple[int, ...]) -> None:
    try:
        np.broadcast_to(np.asarray(numbers, float), shape)
    except (ValueError, TypeError) as error:
        must = f"be numbers that broadcast to the weights' shape {shape}"
        raise input_error(f"weights_start.{name}", must, f"is {numbers!r}") from error


def _sample(takes: Takes, n_features: int) -> np.ndarray:
    """Features of the kind that is declared."""
    if isinstance(takes, Bits):
        return np.arange(n_features) % 2
    low, high = (takes.low, takes.high) if isinstance(takes, Angles) else (0.1, 1.0)
    return np.linspace(low, high, n_features + 2)[1:-1]


def _run_once(circuit: Any, inputs: np.ndarray) -> qml.tape.QuantumScript:
    """The circuit's tape. NumPy refuses an index that JAX would cut to the last one."""
    weights = np.full(circuit.weights_shape, 0.1)
    must = f"take the {len(inputs)} features and weights of shape {weights.shape} "
    must += "that it declares"
    try:
        return qml.tape.make_qscript(circuit)(inputs, weights)
    except Exception as error:
        what = first_line(error)
        was = what if isinstance(error, InputError) else f"{error!r}"
        raise input_error("circuit", must, f"it fails: {was.rstrip('.')}") from error


def _check_all_are_read(
    circuit: Any, inputs: np.ndarray, tape: qml.tape.QuantumScript
) -> None:
    """Changes one feature after the other: each must change an operation."""
    unread = []
    for i, value in enumerate(inputs):
        changed = inputs.copy()
        changed[i] = 1 - value if inputs.dtype == int else 0.7 * value + 0.0123
        if _alike(_run_once(circuit, changed), tape):
            unread.append(i)
    if unread:
        must = f"read the {len(inputs)} features that it declares"
        names = ", ".join(map(str, unread))
        raise input_error("circuit", must, f"does not read those of index {names}")


def _alike(one: qml.tape.QuantumScript, other: qml.tape.QuantumScript) -> bool:
    if len(one.operations) != len(other.operations):
        return False
    return all(
        type(a) is type(b)
        and a.wires == b.wires
        and len(a.data) == len(b.data)
        and all(map(np.array_equal, a.data, b.data))
        for a, b in zip(one.operations, other.operations, strict=True)
    )


def _check_results(circuit: Any, tape: qml.tape.QuantumScript) -> None:
    others = [m for m in tape.measurements if not isinstance(m, ExpectationMP)]
    if others:
        must = "return expectation values alone, such as qml.expval(qml.Z(0))"
        raise input_error("circuit", must, f"returns {others[0]}")
    if len(tape.measurements) != circuit.n_observables:
        must = f"return the {circuit.n_observables} expectation values that it declares"
        raise input_error("circuit", must, f"returns {len(tape.measurements)}")
    outside = set(tape.wires) - set(range(circuit.n_qubits))
    if outside:
        must = f"act on its wires 0 to {circuit.n_qubits - 1} alone"
        was = f"acts on {', '.join(map(str, sorted(outside, key=str)))} too"
        raise input_error("circuit", must, was)
