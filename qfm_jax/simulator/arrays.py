"""Passes over a batch of states, each with its inverse.

A state is one real array of shape (2, 2^n, batch): real and imaginary plane, basis
index, sample. The batch is last, so that the innermost loop of every pass runs over
samples, whatever the gate. All functions take NumPy arrays as well as JAX ones: an
unjitted NumPy call compiles nothing.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

Array = Any


def namespace(*arrays: Array) -> Any:
    """`numpy` if every array is NumPy's, else `jax.numpy`."""
    return np if all(isinstance(a, np.ndarray) for a in arrays) else jnp


def on_gpu() -> bool:
    """Whether what is traced now runs on an NVIDIA GPU, unless it is moved later."""
    chosen = jax.config.jax_default_device  # type: ignore[attr-defined]
    device = chosen or jax.devices()[0]
    return getattr(device, "platform", device) in ("gpu", "cuda")


def matmul(a: Array, b: Array) -> Array:
    """A product at full float32 precision (a GPU would use one of TF32)."""
    if namespace(a, b) is np:
        return np.matmul(a, b)
    precision: Any = "highest"
    if on_gpu() and a.dtype == b.dtype == np.float32:
        # The sum of three TF32 products is as exact, on units that are faster.
        precision = jax.lax.DotAlgorithmPreset.TF32_TF32_F32_X3
    return jnp.matmul(a, b, precision=precision)


def scan(
    turn: Any, carry: Array, tables: Any, count: int, *, reverse: bool = False
) -> Any:
    """`lax.scan`; unrolled on a GPU, which then launches all turns as one graph."""
    unroll = on_gpu() and count <= UNROLLED
    return jax.lax.scan(
        turn, carry, tables, length=count, reverse=reverse, unroll=unroll
    )


UNROLLED = 8
"""Most turns of a loop that a GPU runs unrolled."""


def transpose_axes(state: Array, sizes: Sequence[int], order: Sequence[int]) -> Array:
    """Reorders the bits of the basis index: `sizes` splits it, `order` permutes."""
    batch = state.shape[-1]
    axes = (0, *(axis + 1 for axis in order), len(sizes) + 1)
    return state.reshape(2, *sizes, batch).transpose(axes).reshape(2, -1, batch)


def apply_block(state: Array, matrix: Array) -> Array:
    """Applies one (2K, 2K) real form of a unitary to the leading log2(K) qubits.

    The real form [[Re, -Im], [Im, Re]] makes one real product of the four of a
    complex one: a third of the passes, and the fastest routine of every machine.
    """
    product = matmul(matrix, state.reshape(matrix.shape[-1], -1))
    return product.reshape(state.shape)


def real_form(unitary: Array) -> Array:
    """[[Re, -Im], [Im, Re]] of complex matrices, shape (..., K, K) to (..., 2K, 2K)."""
    xp = namespace(unitary)
    re, im = unitary.real, unitary.imag
    top, bottom = xp.concatenate([re, -im], -1), xp.concatenate([im, re], -1)
    return xp.concatenate([top, bottom], -2)


def apply_sample(state: Array, unitary: Array) -> Array:
    """Applies a complex (K, K, batch) matrix of each sample to the leading qubits."""
    xp = namespace(state, unitary)
    k, batch = unitary.shape[0], state.shape[-1]
    re, im = state.reshape(2, k, -1, batch)  # (k, rest, batch) each
    rows = []
    for row in unitary:
        a, b = row.real[:, None], row.imag[:, None]  # (k, 1, batch)
        rows.append(xp.stack([(a * re - b * im).sum(0), (a * im + b * re).sum(0)]))
    return xp.stack(rows, axis=1).reshape(state.shape)


def multiply_phases(state: Array, factors: Sequence[tuple[Array, Array]]) -> Array:
    """Multiplies by exp(1j theta) for each theta, given as its shape over the bits.

    Args:
        state: shape (2, 2^n, batch).
        factors: pairs (theta, rows): theta of shape (high, low, batch or 1), where
            high * low = 2^n, or 1 along the axis that it does not depend on; rows is
            `high` of the full state.
    """
    xp = namespace(state)
    batch = state.shape[-1]
    re, im = state
    for theta, rows in factors:
        c, s = xp.cos(theta), xp.sin(theta)
        re, im = re.reshape(rows, -1, batch), im.reshape(rows, -1, batch)
        re, im = re * c - im * s, re * s + im * c
    return xp.stack([re, im]).reshape(state.shape)


def multiply(state: Array, factors: Array) -> Array:
    """Multiplies each amplitude by a complex number, shape (2^n, batch or 1)."""
    re, im = state
    a, b = factors.real, factors.imag
    return namespace(state, factors).stack([a * re - b * im, a * im + b * re])


def norms(state: Array) -> Array:
    """The norm of each state, shape (batch,)."""
    return (state**2).sum((0, 1)) ** 0.5


def signs(masks: Array, n_bits: int, xp: Any, dtype: Any) -> Array:
    """(-1)^(bits of j in mask), shape (len(masks), 2^n_bits)."""
    j = xp.arange(1 << n_bits, dtype=xp.int32)
    together = j & xp.asarray(masks, dtype=xp.int32)[:, None]
    odd = (jax.lax.population_count if xp is jnp else np.bitwise_count)(together) & 1
    return 1 - 2 * odd.astype(dtype)


def signed_sums(weights: Array, masks: Sequence[int]) -> Array:
    """sum_j (-1)^(bits of j in mask) weights[j], shape (masks, batch).

    In two halves, so that no table of (masks, 2^n) is needed.
    """
    xp = namespace(weights)
    n, batch = weights.shape[0].bit_length() - 1, weights.shape[-1]
    low = n // 2
    table = lambda masks, bits: signs(masks, bits, xp, weights.dtype)  # noqa: E731
    both = np.array(masks, np.int32)
    by_high = matmul(
        table(both >> low, n - low), weights.reshape(1 << (n - low), -1)
    ).reshape(len(masks), 1 << low, batch)
    return (by_high * table(both & ((1 << low) - 1), low)[..., None]).sum(1)


def image(columns: Array, n_bits: int) -> Array:
    """Where an affine permutation (see `gates.Kind`) sends 0, ..., 2^n - 1."""
    xp = namespace(columns)
    j = xp.arange(1 << n_bits, dtype=xp.int32)
    index = xp.broadcast_to(columns[0], j.shape)
    for i in range(n_bits):
        index = index ^ (((j >> i) & 1) * columns[i + 1])
    return index


def permute(state: Array, index: Array, inverse: Array) -> Array:
    """Row j of the result is row index[j] of the state; `inverse` undoes `index`.

    A gather whose transpose is a gather too: XLA would scatter, at twice the time.
    """
    if namespace(state) is np:
        return state[:, index]
    return permute_p.bind(state, index, inverse)


def _gather(state: Array, index: Array, inverse: Array) -> Array:
    del inverse
    # Rows of both planes in one gather: along axis 1 XLA would transpose the result.
    planes, rows, batch = state.shape
    index = (rows * jnp.arange(planes, dtype=index.dtype)[:, None] + index).ravel()
    flat = state.reshape(-1, batch)
    flat = flat.at[index].get(mode="promise_in_bounds", unique_indices=True)
    return flat.reshape(state.shape)


def _permute_transpose(
    cotangent: Array, state: Any, index: Array, inverse: Array
) -> list[Any]:
    del state
    if type(cotangent) is ad.Zero:
        return [None, None, None]
    return [permute_p.bind(cotangent, inverse, index), None, None]


def _permute_batch(args: Any, dims: Any) -> tuple[Array, int]:
    mapped = jax.vmap(_gather, in_axes=dims)
    state, index, inverse = args
    if dims[1] is None and dims[2] is None:  # fold the new axis into the batch
        moved = jnp.moveaxis(state, dims[0], -1)
        flat = moved.reshape(*moved.shape[:2], -1)
        return permute_p.bind(flat, index, inverse).reshape(moved.shape), 3
    return mapped(*args), 0


def _permute_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    state, index, inverse = primals
    out = permute_p.bind(state, index, inverse)
    if type(tangents[0]) is ad.Zero:
        return out, jnp.zeros_like(out)
    return out, permute_p.bind(tangents[0], index, inverse)


permute_p = Primitive("permute_basis")
permute_p.def_impl(jax.jit(_gather))
permute_p.def_abstract_eval(lambda state, index, inverse: state)
mlir.register_lowering(permute_p, mlir.lower_fun(_gather, multiple_results=False))
ad.primitive_jvps[permute_p] = _permute_jvp
ad.primitive_transposes[permute_p] = _permute_transpose
batching.primitive_batchers[permute_p] = _permute_batch
