"""A reversible backward pass: its memory does not grow with depth.

Every step of a program is unitary, so the backward pass computes the states again by
undoing the steps, from the final state alone, instead of keeping them all. Two
primitives say so to JAX: `evolve_p` runs the stages, `tangent_p` is its derivative,
whose *transpose* is the reversible pass. Both are differentiable in place, so that
forward mode and every higher order work as well (and keep states, as backprop does).
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from . import arrays
from .arrays import Array
from .program import Stage, evolve


def evolve_reversibly(state: Array, stages: tuple[Stage, ...], tables: Any) -> Array:
    """`evolve`, with the reversible backward pass."""
    leaves, tree = jax.tree.flatten(tables)
    floats = [leaf for leaf in leaves if _is_float(leaf)]
    rest = tuple(None if _is_float(leaf) else _Constant(leaf) for leaf in leaves)
    return evolve_p.bind(state, *floats, stages=stages, tree=tree, rest=rest)


def _is_float(leaf: Array) -> bool:
    return leaf.dtype.kind in "fc"


class _Constant:
    """An array of integers inside a primitive's parameters, compared by identity."""

    def __init__(self, value: np.ndarray) -> None:
        self.value = value


def _tables(floats: Sequence[Array], tree: Any, rest: Sequence[Any]) -> Any:
    moving = iter(floats)
    return tree.unflatten([next(moving) if c is None else c.value for c in rest])


def evolve_with(
    state: Array, *floats: Array, stages: Any, tree: Any, rest: Any
) -> Array:
    """What `evolve_p` runs."""
    return evolve(state, stages, _tables(floats, tree, rest))


def _tangent(*arrays: Array, stages: Any, tree: Any, rest: Any) -> Array:
    """Tangent of the final state; arguments: final state, tables, their tangents."""
    half = len(arrays) // 2
    final, floats = arrays[0], arrays[1:half]
    initial = _undo(final, stages, _tables(floats, tree, rest))
    run = lambda *primals: evolve_with(*primals, stages=stages, tree=tree, rest=rest)  # noqa: E731
    return jax.jvp(run, (initial, *floats), tuple(arrays[half:]))[1]


def _undo(state: Array, stages: Sequence[Stage], tables: Any) -> Array:
    def turn(state: Array, rows: Any, stage: Stage) -> Array:
        for step, row in zip(reversed(stage.steps), reversed(rows), strict=True):
            state = step.undo(state, row)
        return state

    for stage, table in zip(reversed(stages), reversed(tables), strict=True):
        scanned = lambda s, rows, stage=stage: (turn(s, rows, stage), None)  # noqa: E731
        state = arrays.scan(scanned, state, table, stage.count, reverse=True)[0]
    return state


def _backward(final: Array, cotangent: Array, stages: Any, tables: Any) -> Any:
    """Cotangents of the initial state and of every floating-point table."""
    found = []
    for stage, table in zip(reversed(stages), reversed(tables), strict=True):

        def turn(carry: Any, rows: Any, stage: Stage = stage) -> Any:
            state, cotangent = carry
            grown = []
            for step, row in zip(reversed(stage.steps), reversed(rows), strict=True):
                state = step.undo(state, row)
                leaves, tree = jax.tree.flatten(row)
                floats = [leaf for leaf in leaves if _is_float(leaf)]
                rest = [None if _is_float(leaf) else _Constant(leaf) for leaf in leaves]
                apply = lambda s, fs, step=step, t=tree, r=rest: step.apply(  # noqa: E731
                    s, _tables(fs, t, r)
                )
                _, pull = jax.vjp(apply, state, floats)
                cotangent, own = pull(cotangent)
                grown.append(own)
            return (state, cotangent), grown[::-1]

        (final, cotangent), own = arrays.scan(
            turn, (final, cotangent), table, stage.count, reverse=True
        )
        found.append(own)
    return cotangent, jax.tree.leaves(found[::-1])


def _transpose(
    cotangent: Array, *arrays: Any, stages: Any, tree: Any, rest: Any
) -> Any:
    half = len(arrays) // 2
    nothing = [None] * half
    if type(cotangent) is ad.Zero:
        return [*nothing, *nothing]
    tables = _tables(arrays[1:half], tree, rest)
    state, floats = _backward(arrays[0], cotangent, stages, tables)
    return [*nothing, state, *floats]


def _evolve_jvp(primals: Any, tangents: Any, **how: Any) -> Any:
    out = evolve_p.bind(*primals, **how)
    filled = [ad.instantiate_zeros(t) for t in tangents]
    return out, tangent_p.bind(out, *primals[1:], *filled, **how)


def _tangent_jvp(primals: Any, tangents: Any, **how: Any) -> Any:
    filled = [ad.instantiate_zeros(t) for t in tangents]
    return jax.jvp(lambda *p: _tangent(*p, **how), tuple(primals), tuple(filled))


def _mapped(function: Any) -> Any:
    def batch(args: Any, dims: Any, **how: Any) -> Any:
        return jax.vmap(lambda *a: function(*a, **how), in_axes=tuple(dims))(*args), 0

    return batch


evolve_p = Primitive("evolve_state")
tangent_p = Primitive("evolve_tangent")
IMPLEMENTATIONS: dict[Primitive, Callable[..., Any]] = {
    evolve_p: evolve_with,
    tangent_p: _tangent,
}
for _primitive, _function in IMPLEMENTATIONS.items():
    _primitive.def_impl(lambda *a, f=_function, **how: f(*a, **how))
    _primitive.def_abstract_eval(lambda state, *_, **how: state)
    _lower = mlir.lower_fun(_function, multiple_results=False)
    mlir.register_lowering(_primitive, _lower)
    batching.primitive_batchers[_primitive] = _mapped(_function)
ad.primitive_jvps[evolve_p] = _evolve_jvp
ad.primitive_jvps[tangent_p] = _tangent_jvp
ad.primitive_transposes[tangent_p] = _transpose
