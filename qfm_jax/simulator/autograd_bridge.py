"""Autograd's reverse mode through the JAX program, to every order.

The parameters that autograd follows are packed into one vector and the results into
another one: a function of vectors whose pull-back is JAX's, and so on recursively.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import autograd.numpy as anp
import jax
import jax.numpy as jnp
import numpy as np
from autograd.extend import defvjp, primitive
from pennylane import math

from . import simulation
from .simulation import Task


def simulate(task: Task, values: Sequence[Any]) -> tuple[Any, ...]:
    """`simulation.simulate` of values that autograd may follow."""
    followed = tuple(math.get_interface(v) == "autograd" and _is_box(v) for v in values)
    if not any(followed):
        return simulation.simulate(task, [np.asarray(value) for value in values])
    fixed = [np.asarray(v) for v, f in zip(values, followed, strict=True) if not f]
    moving = [v for v, f in zip(values, followed, strict=True) if f]
    shapes = tuple(np.shape(value) for value in moving)
    vector = anp.concatenate([anp.ravel(value) for value in moving])
    results = _shapes_of_results(task, followed, shapes, fixed)
    size = sum(
        int(np.prod(result.shape)) * (1 + (result.dtype.kind == "c"))
        for result in results
    )
    flat = _lifted(task, followed, shapes, size, 0)(vector, *fixed)
    found, start = [], 0
    for result in results:
        n = int(np.prod(result.shape))
        value = flat[start : start + n]
        start += n
        if result.dtype.kind == "c":  # its imaginary part follows its real part
            value = value + 1j * flat[start : start + n]
            start += n
        found.append(anp.reshape(value, result.shape))
    return tuple(found)


def _is_box(value: Any) -> bool:
    return hasattr(value, "_value") and hasattr(value, "_trace")


def _pack(task: Task, followed: tuple, shapes: tuple) -> Callable[..., Any]:
    """Results as one vector, of followed parameters as one vector."""
    sizes = [int(np.prod(shape)) for shape in shapes]

    def run(vector: Any, *fixed: Any) -> Any:
        rest, start, values = iter(fixed), 0, []
        position = 0
        for is_followed in followed:
            if is_followed:
                part = vector[start : start + sizes[position]]
                values.append(part.reshape(shapes[position]))
                start += sizes[position]
                position += 1
            else:
                values.append(next(rest))
        results = simulation.simulate(task, [jnp.asarray(v) for v in values])
        return jnp.concatenate([part for r in results for part in _real_parts(r)])

    return run


def _real_parts(result: Any) -> list[Any]:
    flat = jnp.ravel(result)
    return [flat.real, flat.imag] if flat.dtype.kind == "c" else [flat]


def _shapes_of_results(task: Task, followed: tuple, shapes: tuple, fixed: list) -> Any:
    rest, own = iter(fixed), iter(shapes)
    values = [jnp.zeros(next(own)) if follows else next(rest) for follows in followed]
    with jax.enable_x64(True):
        return jax.eval_shape(lambda *v: simulation.simulate(task, list(v)), *values)


@lru_cache(maxsize=256)
def _lifted(task: Task, followed: tuple, shapes: tuple, size: int, order: int) -> Any:
    """An autograd primitive: the program (order 0), its pull-back (order 1), ..."""
    function = _pack(task, followed, shapes)
    inputs, outputs = sum(int(np.prod(shape)) for shape in shapes), size
    for _ in range(order):
        function = _pull_back(function, inputs)
        inputs, outputs = inputs + outputs, inputs
    compiled = jax.jit(function)

    @primitive
    def lifted(*args: Any) -> np.ndarray:
        with jax.enable_x64(True):
            return np.asarray(compiled(*args))

    def vjp(ans: Any, *args: Any) -> Callable[[Any], Any]:
        above = _lifted(task, followed, shapes, size, order + 1)
        return lambda g: above(anp.concatenate([args[0], g]), *args[1:])

    defvjp(lifted, vjp, argnums=(0,))
    return lifted


def _pull_back(function: Callable[..., Any], size: int) -> Callable[..., Any]:
    """From (x; ...) -> y to (x, g; ...) -> g dy/dx, with x and g in one vector."""

    def pulled(vector: Any, *fixed: Any) -> Any:
        x, g = vector[:size], vector[size:]
        y, pull = jax.vjp(lambda x: function(x, *fixed), x)
        return pull(g.astype(y.dtype))[0]

    return pulled
