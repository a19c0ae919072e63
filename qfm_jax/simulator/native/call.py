"""The kernels as JAX primitives.

`words_p` gives the means of all words. Its derivative keeps the final state and is
linear in the tangents; transposed, it is the kernels' backward pass. Everything else,
forward mode and higher orders, is the derivative of XLA's program, which `program_of`
gives.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from ..arrays import Array
from . import lanes
from .program import NativeProgram

Words = Callable[..., Array]
"""From the arguments of the operations to (words, batch)."""


class Native:
    """A program for both: the kernels, and XLA's for what the kernels do not do.

    Args:
        program: for the kernels.
        buffers_of: the buffers of its leaves, from the arguments.
        by_xla: the same words by XLA's program.
        dtype: complex.
        batch: samples.
    """

    def __init__(
        self,
        program: NativeProgram,
        buffers_of: Callable[..., dict[str, Array]],
        by_xla: Words,
        dtype: np.dtype,
        batch: int,
    ) -> None:
        self.program, self.buffers_of, self.by_xla = program, buffers_of, by_xla
        self.dtype, self.batch = dtype, batch
        self.real = np.dtype(np.finfo(dtype).dtype)

    @property
    def words_shape(self) -> jax.core.ShapedArray:
        """Of the means."""
        return jax.core.ShapedArray((len(self.program.words), self.batch), self.real)

    @property
    def state_shape(self) -> jax.core.ShapedArray:
        """Of the final state, in the kernels' own order."""
        side = lanes(self.real.itemsize, self.program.n_wires, self.batch)
        chunks = -(-self.batch // side)
        return jax.core.ShapedArray(
            (chunks, 2 << self.program.n_wires, side), self.real
        )

    def parameters(self, *arguments: Array) -> tuple[np.ndarray, Array, Array]:
        """See `NativeProgram.parameters`."""
        buffers = self.buffers_of(*arguments)
        return self.program.parameters(buffers, self.dtype, self.batch)

    def forward(self, *arguments: Array, keep: bool) -> list[Array]:
        """The words, and the final state (nothing where it is not kept)."""
        code, shared, samples = self.parameters(*arguments)
        state = self.state_shape.shape if keep else (0,)
        results = (self.words_shape, jax.core.ShapedArray(state, self.real))
        outs = tuple(jax.ShapeDtypeStruct(r.shape, r.dtype) for r in results)
        call = jax.ffi.ffi_call(f"qfm_forward_f{8 * self.real.itemsize}", outs)
        return list(call(shared, samples, code=code))

    def backward(self, state: Array, of_words: Array, *arguments: Array) -> list[Array]:
        """Gradients of the arguments."""
        code = None

        def made(*arguments: Array) -> tuple[Array, Array]:
            nonlocal code
            code, shared, samples = self.parameters(*arguments)
            return shared, samples

        (shared, samples), pull = jax.vjp(made, *arguments)
        outs = tuple(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in (shared, samples))
        call = jax.ffi.ffi_call(f"qfm_backward_f{8 * self.real.itemsize}", outs)
        return list(pull(tuple(call(shared, samples, state, of_words, code=code))))


def _forward(*arguments: Array, native: Native) -> list[Array]:
    return native.forward(*arguments, keep=False)[:1]


def _forward_keeping(*arguments: Array, native: Native) -> list[Array]:
    return native.forward(*arguments, keep=True)


def _tangent(*arrays: Array, native: Native) -> list[Array]:
    """By XLA; arguments: the final state, the arguments, their tangents."""
    half = len(arrays) // 2
    primals, tangents = arrays[1 : half + 1], arrays[half + 1 :]
    return [jax.jvp(native.by_xla, primals, tangents)[1]]


def _backward(state: Array, of_words: Array, *arguments: Array, native: Native) -> Any:
    return native.backward(state, of_words, *arguments)


def _backward_by_xla(
    state: Array, of_words: Array, *arguments: Array, native: Native
) -> list[Array]:
    return list(jax.vjp(native.by_xla, *arguments)[1](of_words))


def _words_by_xla(*arguments: Array, native: Native) -> list[Array]:
    return [native.by_xla(*arguments)]


def _keeping_by_xla(*arguments: Array, native: Native) -> list[Array]:
    state = native.state_shape
    return [native.by_xla(*arguments), jnp.zeros(state.shape, state.dtype)]


def words_of(native: Native, *arguments: Array) -> Array:
    """The means of all words, (words, batch)."""
    return words_p.bind(*arguments, native=native)[0]


def _words_jvp(primals: Any, tangents: Any, *, native: Native) -> Any:
    words, state = keeping_p.bind(*primals, native=native)
    filled = [ad.instantiate_zeros(t) for t in tangents]
    return [words], tangent_p.bind(state, *primals, *filled, native=native)


def _keeping_jvp(primals: Any, tangents: Any, *, native: Native) -> Any:
    words, state = keeping_p.bind(*primals, native=native)
    filled = [ad.instantiate_zeros(t) for t in tangents]
    (own,) = tangent_p.bind(state, *primals, *filled, native=native)
    # What is kept is for the first derivative alone; higher ones are XLA's.
    return [words, state], [own, ad.Zero(native.state_shape)]


def _by_xla_jvp(function: Any) -> Any:
    def jvp(primals: Any, tangents: Any, *, native: Native) -> Any:
        filled = [ad.instantiate_zeros(t) for t in tangents]
        run = partial(function, native=native)
        return jax.jvp(run, tuple(primals), tuple(filled))

    return jvp


def _transpose(cotangents: Any, *arrays: Any, native: Native) -> Any:
    (of_words,) = cotangents
    half = len(arrays) // 2
    nothing = [None] * (half + 1)
    if type(of_words) is ad.Zero:
        return [*nothing, *nothing[1:]]
    primals = arrays[1 : half + 1]
    found = backward_p.bind(arrays[0], of_words, *primals, native=native)
    return [*nothing, *found]


def _mapped(function: Any) -> Any:
    """Under another `vmap` XLA's program runs."""

    def batch(args: Sequence[Array], dims: Sequence[Any], *, native: Native) -> Any:
        run = jax.vmap(partial(function, native=native), in_axes=tuple(dims))
        results = list(run(*args))
        return results, [0] * len(results)

    return batch


def _mapped_backward(args: Any, dims: Any, *, native: Native) -> Any:
    if any(dim is not None for dim in (dims[0], *dims[2:])):
        return _mapped(_backward_by_xla)(args, dims, native=native)
    one = lambda of_words: backward_p.bind(args[0], of_words, *args[2:], native=native)  # noqa: E731
    results = jax.lax.map(one, jnp.moveaxis(args[1], dims[1], 0))
    return results, [0] * len(results)


def _primitive(name: str, run: Any, shapes: Any, jvp: Any, mapped: Any) -> Primitive:
    made = Primitive(name)
    made.multiple_results = True
    made.def_impl(lambda *a, native: jax.jit(partial(run, native=native))(*a))
    made.def_abstract_eval(shapes)
    mlir.register_lowering(made, mlir.lower_fun(run, multiple_results=True))
    ad.primitive_jvps[made] = jvp
    batching.primitive_batchers[made] = mapped
    return made


words_p = _primitive(
    "native_words",
    _forward,
    lambda *_, native: [native.words_shape],
    _words_jvp,
    _mapped(_words_by_xla),
)
keeping_p = _primitive(
    "native_words_and_state",
    _forward_keeping,
    lambda *_, native: [native.words_shape, native.state_shape],
    _keeping_jvp,
    _mapped(_keeping_by_xla),
)
tangent_p = _primitive(
    "native_tangent",
    _tangent,
    lambda *_, native: [native.words_shape],
    _by_xla_jvp(_tangent),
    _mapped(_tangent),
)
backward_p = _primitive(
    "native_backward",
    _backward,
    lambda state, of_words, *arguments, native: list(arguments),
    _by_xla_jvp(_backward_by_xla),
    _mapped_backward,
)
ad.primitive_transposes[tangent_p] = _transpose

BY_XLA = {
    words_p: _words_by_xla,
    keeping_p: _keeping_by_xla,
    tangent_p: _tangent,
    backward_p: _backward_by_xla,
}
"""What XLA's programs for the same are, whose operations can be counted."""
