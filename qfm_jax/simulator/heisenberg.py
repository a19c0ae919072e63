r"""Observables pulled back through a circuit to the product state of its data.

Where the data only rotate single qubits before all other gates, an expectation value is
linear in the Bloch vector r_q of every qubit (with its norm as the component I):

    f = sum_P c_P prod_q r_q[P_q],  P_q in {I, X, Y, Z}

with the Pauli coefficients c of U^+ O U, the observable in the Heisenberg picture. They
come from the values of f on as many product states. So the circuit runs for those
instead of for every sample, which then costs a product with a small matrix.
"""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np

from . import arrays
from .arrays import Array, namespace
from .compiler import Program
from .passes import Diagonal, FusedBlock, Normalise, Phase, Step
from .program import kronecker, product
from .results import MeasurePlan
from .tape import WORDS

MAX_TERMS = 2048
"""Most products of coefficients with Bloch vectors, of all words together, that are
cheaper than the passes over four to six qubits that they replace."""

MIN_SAMPLES = 2
"""Samples for each coefficient from which on it is worth while."""


def can_pull_back(program: Program, readout: MeasurePlan) -> bool:
    """Whether the batch shares all gates behind a product state that it does not."""
    beginning = program.beginning
    if readout.kinds != {WORDS}:
        return False
    of_data = (
        program.matrices[factor.source].batched
        for _, factors in beginning.runs
        for factor in factors
    )
    steps = [step for stage in program.stages for step in stage.steps]
    is_product = not beginning.prepared and any(of_data)
    return is_product and not any(map(_is_in_the_way, steps))


def _is_in_the_way(step: Step) -> bool:
    """Whether it differs from sample to sample, or is not linear."""
    if isinstance(step, Normalise):
        return True
    if isinstance(step, Phase):
        return any("batched" in stack.buffer for stack in step.stacks)
    if isinstance(step, Diagonal):
        return "batched" in step.stack.buffer
    return isinstance(step, FusedBlock) and step.batched


def is_worth_while(parts: Sequence[Array], n_words: int, batch: int) -> bool:
    """Whether to pull back so many words for a batch of product states of `parts`."""
    n_coefficients = int(np.prod([len(_probes(part)[1]) for part in parts]))
    return (
        n_words * n_coefficients <= MAX_TERMS and batch >= MIN_SAMPLES * n_coefficients
    )


def pulled_back(
    parts: Sequence[Array], values_of: Callable[[Array], Array], dtype: np.dtype
) -> Array:
    """Expectation values on a batch of product states, shape (words, batch).

    Args:
        parts: the vector of each qubit, (2, batch), or (2, 1) where all share it.
        values_of: from states (2, 2^n, batch) to values (words, batch): the circuit.
        dtype: of an amplitude.
    """
    probes, inverses = zip(*map(_probes, parts), strict=True)
    shape = tuple(map(len, inverses))
    rows = np.unravel_index(np.arange(np.prod(shape)), shape)
    grid = [probe[:, row] for probe, row in zip(probes, rows, strict=True)]
    states = product(grid, len(rows[0]), dtype).astype(np.finfo(dtype).dtype)
    values = values_of(jnp.asarray(states)).reshape(-1, *shape)
    for inverse in inverses:  # each turns the first axis and puts it behind the others
        inverse = inverse.astype(values.dtype)
        values = jnp.tensordot(values, inverse, ((1,), (1,)), precision="highest")
    vectors = [_bloch(part) for part in parts if part.shape[-1] > 1]
    half = -(-len(vectors) // 2)
    a, b = kronecker(vectors[:half], dtype), kronecker(vectors[half:], dtype)
    tables = values.reshape(len(values), len(a), len(b))
    # One by one: XLA's sum over an axis in the middle is ten times slower on the CPU.
    return sum(arrays.matmul(tables[:, :, j], a) * b[j] for j in range(len(b)))


def _bloch(vector: Array) -> Array:
    """(I, X, Z) of real vectors (2, batch), (I, X, Y, Z) of complex ones."""
    xp, (first, second) = namespace(vector), vector
    if vector.dtype.kind == "f":
        upper, lower = first**2, second**2
        return xp.stack([upper + lower, 2 * first * second, upper - lower])
    upper = first.real**2 + first.imag**2
    lower = second.real**2 + second.imag**2
    between = 2 * first.conj() * second
    return xp.stack([upper + lower, between.real, between.imag, upper - lower])


def _probes(part: Array) -> tuple[Array, np.ndarray]:
    """States (2, k) that tell a qubit's coefficients, and the matrix that does it.

    The corners of an equilateral triangle, or of a tetrahedron, in the Bloch sphere:
    rounding grows the least from points that are as far apart as can be.
    """
    if part.shape[-1] == 1:  # the same for all samples: a coefficient of its own
        return part, np.ones((1, 1))
    return _TRIANGLE if part.dtype.kind == "f" else _TETRAHEDRON


def _corners(theta: np.ndarray, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    states = np.stack([np.cos(theta / 2), np.exp(1j * phi) * np.sin(theta / 2)])
    states = states if phi.any() else states.real
    return states, np.linalg.inv(_bloch(states).T)


_THIRDS = 2 * np.pi / 3 * np.arange(3)
_TRIANGLE = _corners(_THIRDS, np.zeros(3))
_TETRAHEDRON = _corners(
    np.array([0.0, *[np.arccos(-1 / 3)] * 3]), np.array([0.0, *_THIRDS])
)
