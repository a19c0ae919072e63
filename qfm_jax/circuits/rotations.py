"""Gates as rotations by an angle each, which JAX computes: states and diagonals too.

A multiplexer is a rotation by an angle of its own for each value of the controls. It
takes as many rotations of the target as there are values, and as many CNOTs.
"""

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from .._checks import input_error
from .qiskit_gates import ARRAYS, Gate


def as_rotations(gate: Gate) -> Iterator[Gate]:
    """Yields gates whose expectations have frequency 1 in each angle that is traced.

    Controlled rotations become rotations by half of the angle: their own expectations
    have two frequencies, and Aer leaves their parameters unbound without a word.

    Raises:
        InputError: For a matrix or complex amplitudes that are traced.

    Example:
        >>> turn = lambda angle: [
        ...     (part.name, part.wires)
        ...     for part in as_rotations(Gate("crx", (angle,), (2, 0)))
        ... ]
        >>> turn(0.5)  # nothing is traced
        [('crx', (2, 0))]
        >>> jax.eval_shape(lambda x: print(turn(x)), 0.5)
        [('h', (0,)), ('rz', (0,)), ('rzz', (2, 0)), ('h', (0,))]
    """
    if not any(isinstance(value, jax.core.Tracer) for value in gate.parameters):
        yield gate
    elif gate.name in _AROUND:
        (angle,), (control, target) = gate.parameters, gate.wires
        before, after = _AROUND[gate.name]
        yield from (Gate(name, (), (target,)) for name in before)
        if gate.name == "cp":
            yield Gate("p", (angle / 2,), (control,))
        turn = "p" if gate.name == "cp" else "rz"
        yield Gate(turn, (angle / 2,), (target,))
        yield Gate("rzz", (-angle / 2,), (control, target))
        yield from (Gate(name, (), (target,)) for name in after)
    elif gate.name not in ARRAYS:
        yield gate
    else:
        yield from _from_array(gate)


_AROUND = {
    "crx": (("h",), ("h",)),
    "cry": (("sdg", "h"), ("h", "s")),
    "crz": ((), ()),
    "cp": ((), ()),
}
"""Gates on the target before and after, that make it a turn about Z."""


def _from_array(gate: Gate) -> Iterator[Gate]:
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


def prepare(amplitudes: jax.Array, wires: Sequence[int]) -> Iterator[Gate]:
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
    for k, wire in enumerate(wires):
        if k < len(wires) - 1:  # norms of both halves of each part
            squares = jnp.sum(amplitudes.reshape(2**k, 2, -1) ** 2, axis=-1)
            halves = jnp.sqrt(jnp.where(squares > 0, squares, 1.0)) * (squares > 0)
        else:  # the amplitudes themselves, with their signs
            halves = amplitudes.reshape(2**k, 2)
        # Where both are zero any angle does; one without NaN as its gradient.
        is_empty = jnp.all(halves == 0, axis=-1)
        zero, one = jnp.where(is_empty, 1.0, halves[:, 0]), halves[:, 1]
        yield from multiplex("ry", 2 * jnp.arctan2(one, zero), wires[:k], wire)


def turn_phases(entries: jax.Array, wires: Sequence[int]) -> Iterator[Gate]:
    """Yields gates that multiply basis states by phases, up to a global one.

    Args:
        entries: Complex numbers (2**n,) of modulus 1; may be traced.
        wires: n wires, the most significant bit first.

    Example:
        >>> gates = turn_phases(jnp.array([1, 1j]), [2])
        >>> [(gate.name, round(float(gate.parameters[0]), 4)) for gate in gates]
        [('rz', 1.5708)]
    """
    phases = jnp.angle(entries)
    for k in reversed(range(len(wires))):
        pairs = phases.reshape(2**k, 2)
        yield from multiplex("rz", pairs[:, 1] - pairs[:, 0], wires[:k], wires[k])
        phases = jnp.mean(pairs, axis=-1)


def multiplex(
    name: str, angles: jax.Array, controls: Sequence[int], target: int
) -> Iterator[Gate]:
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
    turns = jnp.dot(signs / 2**n, angles, precision="highest")
    for i in range(2**n):
        yield Gate(name, (turns[i],), (target,))
        if n:
            changed = min(((i + 1) & -(i + 1)).bit_length() - 1, n - 1)
            yield Gate("cx", (), (controls[n - 1 - changed], target))
