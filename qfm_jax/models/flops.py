"""What a model computes: floating-point operations, counted in its program."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.extend.core import ClosedJaxpr, Jaxpr

from ..simulator.simulation import implementation

COSTLESS = {
    *("reshape", "transpose", "broadcast_in_dim", "squeeze", "slice", "concatenate"),
    *("convert_element_type", "copy", "gather", "dynamic_slice", "pad", "iota", "rev"),
    *("split", "expand_dims", "permute_basis", "stop_gradient", "real", "imag"),
    *("random_wrap", "random_unwrap", "dynamic_update_slice", "select_n"),
}
"""Primitives that move numbers and compute none."""


def flops_of_image(model: nnx.Module, image_shape: Sequence[int]) -> int:
    """Counts the operations that a model needs to classify one image.

    What depends on the weights alone, such as the matrices of a circuit's gates, counts
    in full, though a batch shares it; so it is the mean over a batch of 128.

    Example:
        >>> from qfm_jax.models import Classifier, ModelConfig
        >>> model = Classifier(ModelConfig(), rngs=nnx.Rngs(0))
        >>> 2 * 784 * 10 <= flops_of_image(model, (28, 28)) <= 2 * 784 * 10 + 3_000
        True
    """
    batch = 128
    graphdef, state = nnx.split(model)

    def logits(state: nnx.State, images: jax.Array) -> jax.Array:
        return nnx.merge(graphdef, state, copy=True)(images)

    images = jax.ShapeDtypeStruct((batch, *image_shape), jnp.float32)
    return count_flops(logits, state, images) // batch


def count_flops(function: Callable[..., Any], *args: Any) -> int:
    """Counts the operations of a function: 2 m k n of a product, else one an entry.

    A scan counts as often as it runs, a `while` once, of branches the dearest. Moving
    numbers costs nothing, a sine or an exponential one operation; what runs behind a
    host callback is not seen.

    Args:
        function: Any that JAX traces.
        args: Arrays, or their shapes.

    Example:
        >>> count_flops(lambda a, b: a @ b + 1, jnp.ones((3, 4)), jnp.ones((4, 5)))
        135
    """
    return _count(jax.make_jaxpr(function)(*args).jaxpr)


def _count(jaxpr: Jaxpr) -> int:
    return sum(_count_equation(equation) for equation in jaxpr.eqns)


def _count_equation(equation: Any) -> int:
    name, params = equation.primitive.name, equation.params
    if name in COSTLESS:
        return 0
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        length = math.prod(shape[axis] for axis in contracted)
        is_complex = equation.outvars[0].aval.dtype.kind == "c"
        return (8 if is_complex else 2) * length * equation.outvars[0].aval.size
    if (run := implementation(equation.primitive, params)) is not None:
        return count_flops(run, *(variable.aval for variable in equation.invars))
    inner = jax.tree.leaves(params, is_leaf=_is_jaxpr)
    bodies = [v.jaxpr if isinstance(v, ClosedJaxpr) else v for v in inner]
    bodies = [body for body in bodies if isinstance(body, Jaxpr)]
    if bodies:
        counts = [_count(body) for body in bodies]
        total = max(counts) if name == "cond" else sum(counts)
        return params.get("length", 1) * total if name == "scan" else total
    if name.startswith("reduce") or name in ("cumsum", "argmax", "argmin"):
        return sum(int(np.prod(v.aval.shape)) for v in equation.invars)
    return sum(getattr(v.aval, "size", 0) for v in equation.outvars)


def _is_jaxpr(value: Any) -> bool:
    return isinstance(value, ClosedJaxpr | Jaxpr)
