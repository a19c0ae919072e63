"""Gates as rotations by an angle each, which JAX computes: states and diagonals too.

A multiplexer is a rotation by an angle of its own for each value of the controls. It
takes as many rotations of the target as there are values, and as many CNOTs.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._checks import input_error
from .qiskit_gates import ARRAYS, QiskitGate


def as_rotations(gate: QiskitGate) -> Iterator[QiskitGate]:
    """Yields gates whose expectations have frequency 1 in each angle that is traced.

    Controlled rotations become rotations by half of the angle (`TRANSLATIONS`): their
    own expectations have two frequencies, and Aer leaves their parameters unbound
    without a word. So it does with `cp`, which has as much noise as its one gate on
    two qubits here.

    Raises:
        InputError: For a matrix or complex amplitudes that are traced.

    Example:
        >>> turn = lambda angle: [
        ...     (part.name, part.wires)
        ...     for part in as_rotations(QiskitGate("crx", (angle,), (2, 0)))
        ... ]
        >>> turn(0.5)  # nothing is traced
        [('crx', (2, 0))]
        >>> jax.eval_shape(lambda x: print(turn(x)), 0.5)
        [('h', (2,)), ('rx', (0,)), ('rxx', (2, 0)), ('h', (2,))]
    """
    if not any(isinstance(value, jax.core.Tracer) for value in gate.parameters):
        yield gate
    elif gate.name == "cp":
        yield from _written_out(_CP, gate)
    elif gate.name in TRANSLATIONS:
        yield from translated(gate)
    elif gate.name not in ARRAYS:
        yield gate
    else:
        yield from _from_array(gate)


Part = tuple[str, tuple[int, ...], float]
"""A gate's name, which wires of the whole gate it acts on, and its share of the
angle."""

_CCX: tuple[Part, ...] = (
    ("h", (2,), 0),
    ("cx", (1, 2), 0),
    ("tdg", (2,), 0),
    ("cx", (0, 2), 0),
    ("t", (2,), 0),
    ("cx", (1, 2), 0),
    ("t", (1,), 0),
    ("tdg", (2,), 0),
    ("cx", (0, 2), 0),
    ("cx", (0, 1), 0),
    ("t", (0,), 0),
    ("tdg", (1,), 0),
    ("cx", (0, 1), 0),
    ("t", (2,), 0),
    ("h", (2,), 0),
)
_CP: tuple[Part, ...] = (("p", (0,), 0.5), ("p", (1,), 0.5), ("rzz", (0, 1), -0.5))

TRANSLATIONS: dict[str, tuple[Part, ...]] = {
    "ch": (
        ("s", (1,), 0),
        ("h", (1,), 0),
        ("t", (1,), 0),
        ("cx", (0, 1), 0),
        ("tdg", (1,), 0),
        ("h", (1,), 0),
        ("sdg", (1,), 0),
    ),
    "crx": (("h", (0,), 0), ("rx", (1,), 0.5), ("rxx", (0, 1), -0.5), ("h", (0,), 0)),
    "cry": (
        ("ry", (1,), 0.5),
        ("cx", (0, 1), 0),
        ("ry", (1,), -0.5),
        ("cx", (0, 1), 0),
    ),
    "crz": (("rz", (1,), 0.5), ("rzz", (0, 1), -0.5)),
    "iswap": (
        ("s", (0,), 0),
        ("h", (0,), 0),
        ("s", (1,), 0),
        ("cx", (0, 1), 0),
        ("cx", (1, 0), 0),
        ("h", (1,), 0),
    ),
    "ccx": _CCX,
    "ccz": (("h", (2,), 0), *_CCX, ("h", (2,), 0)),
    "cswap": (("cx", (2, 1), 0), *_CCX, ("cx", (2, 1), 0)),
}
"""Gates that Qiskit Aer's density matrices do not have, as Qiskit's transpiler writes
them for a noise model without optimisation: noise follows each of the parts."""


def translated(gate: QiskitGate) -> Iterator[QiskitGate]:
    """Yields the gates that a gate of `TRANSLATIONS` is made of, on a noisy device.

    Example:
        >>> [(part.name, part.parameters, part.wires)
        ...     for part in translated(QiskitGate("crz", (0.5,), (2, 0)))]
        [('rz', (0.25,), (0,)), ('rzz', (-0.25,), (2, 0))]
    """
    return _written_out(TRANSLATIONS[gate.name], gate)


def _written_out(parts: Sequence[Part], gate: QiskitGate) -> Iterator[QiskitGate]:
    for name, places, share in parts:
        angles = tuple(share * angle for angle in gate.parameters) if share else ()
        yield QiskitGate(name, angles, tuple(gate.wires[place] for place in places))


def _from_array(gate: QiskitGate) -> Iterator[QiskitGate]:
    (array,) = gate.parameters
    is_real = not jnp.issubdtype(array.dtype, jnp.complexfloating)
    if gate.name == "state_preparation" and is_real:
        return prepare(array, gate.wires)
    if gate.name == "diagonal":
        return turn_phases(array, gate.wires)
    raise input_error(
        "circuit",
        "depend on inputs and weights by angles, real amplitudes or diagonals alone",
        f"has a {gate.name} on wires {list(gate.wires)} that does",
        "Fix the weights, as in estimator_function(circuit, weights=...).",
    )


def prepare(
    amplitudes: jax.Array | np.ndarray, wires: Sequence[int]
) -> Iterator[QiskitGate]:
    """Yields gates that make real amplitudes of norm 1 from |0...0>.

    Source: Mottonen, Vartiainen, Bergholm and Salomaa, "Transformation of quantum
    states using uniformly controlled rotations", arXiv quant-ph/0407010.

    Args:
        amplitudes: Real numbers (2**n,); may be traced.
        wires: n wires, the most significant bit first.

    Example:
        >>> gates = prepare(jnp.array([0.6, 0.0, 0.0, 0.8]), [0, 1])
        >>> [(gate.name, gate.wires) for gate in gates]
        [('ry', (0,)), ('ry', (1,)), ('cx', (0, 1)), ('ry', (1,)), ('cx', (0, 1))]
    """
    xp = _namespace(amplitudes)
    for k, wire in enumerate(wires):
        if k < len(wires) - 1:  # norms of both halves of each part
            squares = xp.sum(amplitudes.reshape(2**k, 2, -1) ** 2, axis=-1)
            halves = xp.sqrt(xp.where(squares > 0, squares, 1.0)) * (squares > 0)
        else:  # the amplitudes themselves, with their signs
            halves = amplitudes.reshape(2**k, 2)
        # Where both are zero any angle does; one without NaN as its gradient.
        is_empty = xp.all(halves == 0, axis=-1)
        zero, one = xp.where(is_empty, 1.0, halves[:, 0]), halves[:, 1]
        yield from multiplex("ry", 2 * xp.arctan2(one, zero), wires[:k], wire)


def turn_phases(
    entries: jax.Array | np.ndarray, wires: Sequence[int]
) -> Iterator[QiskitGate]:
    """Yields gates that multiply basis states by phases, up to a global one.

    Args:
        entries: Complex numbers (2**n,) of modulus 1; may be traced.
        wires: n wires, the most significant bit first.

    Example:
        >>> gates = turn_phases(jnp.array([1, 1j]), [2])
        >>> [(gate.name, round(float(gate.parameters[0]), 4)) for gate in gates]
        [('rz', 1.5708)]
    """
    xp = _namespace(entries)
    phases = xp.angle(entries)
    for k in reversed(range(len(wires))):
        pairs = phases.reshape(2**k, 2)
        yield from multiplex("rz", pairs[:, 1] - pairs[:, 0], wires[:k], wires[k])
        phases = xp.mean(pairs, axis=-1)


def multiplex(
    name: str, angles: jax.Array | np.ndarray, controls: Sequence[int], target: int
) -> Iterator[QiskitGate]:
    """Yields gates that turn the target by angles[j] where the controls spell j.

    Args:
        name: `ry` or `rz`.
        angles: In radians, (2**n_controls,); may be traced.
        controls: Wires, the most significant bit first.
        target: Another wire.

    Example:
        >>> [gate.wires for gate in multiplex("ry", jnp.array([0.1, 0.2]), [0], 1)]
        [(1,), (0, 1), (1,), (0, 1)]
    """
    n = len(controls)
    steps = np.arange(2**n)
    codes = steps ^ (steps >> 1)  # neighbours differ in one bit
    signs = 1 - 2.0 * (np.bitwise_count(steps & codes[:, None]) % 2)
    with jax.default_matmul_precision("highest"):
        turns = signs / 2**n @ angles
    for i in range(2**n):
        yield QiskitGate(name, (turns[i],), (target,))
        if n:
            changed = min(((i + 1) & -(i + 1)).bit_length() - 1, n - 1)
            yield QiskitGate("cx", (), (controls[n - 1 - changed], target))


def _namespace(array: jax.Array | np.ndarray) -> Any:
    """JAX for its own arrays and what it traces; numbers need no compiling."""
    return jnp if isinstance(array, jax.Array) else np
