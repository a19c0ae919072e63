"""Functions of JAX as expressions of Qiskit's parameters.

A circuit computes its angles from inputs and weights by any function; traced by JAX,
that function is a list of equations, and each is done again on symbols here.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Literal
from qiskit.circuit import ParameterExpression

Values = np.ndarray
"""Numbers, or an array of objects: numbers and ParameterExpressions."""


class NotSymbolicError(Exception):
    """JAX's name of an operation that symbols have no counterpart of."""


def symbolic(traced: ClosedJaxpr, arguments: Sequence[Values]) -> list[Values]:
    """Evaluates a traced function on symbols.

    Args:
        traced: The function, as `jax.make_jaxpr` gives it.
        arguments: For each of its arguments an array of its shape.

    Returns:
        Its results; those that depend on symbols hold ParameterExpressions.

    Raises:
        NotSymbolicError: Where symbols meet an operation without counterpart.

    Example:
        >>> import jax
        >>> from qiskit.circuit import Parameter
        >>> traced = jax.make_jaxpr(lambda x: 1 - x[..., 0] * x[..., 1])(np.zeros(2))
        >>> symbols = np.array([Parameter("a"), Parameter("b")])
        >>> [result] = symbolic(traced, [symbols])
        >>> print(result)
        1 - a*b
    """
    jaxpr = traced.jaxpr
    values = dict(zip(jaxpr.constvars, map(np.asarray, traced.consts), strict=True))
    values |= zip(jaxpr.invars, arguments, strict=True)

    def read(atom: Any) -> Values:
        return np.asarray(atom.val) if isinstance(atom, Literal) else values[atom]

    for equation in _needed(jaxpr):
        results = _apply(equation, [read(atom) for atom in equation.invars])
        values |= zip(equation.outvars, results, strict=True)
    return [read(atom) for atom in jaxpr.outvars]


def arguments_of(traced: ClosedJaxpr) -> list[set[int]]:
    """For each result of a traced function, the arguments that it depends on.

    Example:
        >>> import jax
        >>> arguments_of(jax.make_jaxpr(lambda x, y: (x, 2 * y, x + y))(1.0, 1.0))
        [{0}, {1}, {0, 1}]
    """
    jaxpr = traced.jaxpr
    known = {variable: {i} for i, variable in enumerate(jaxpr.invars)}

    def read(atom: Any) -> set[int]:
        return set() if isinstance(atom, Literal) else known.get(atom, set())

    for equation in jaxpr.eqns:
        used: set[int] = set().union(*(read(atom) for atom in equation.invars))
        known |= dict.fromkeys(equation.outvars, used)
    return [read(atom) for atom in jaxpr.outvars]


def _needed(jaxpr: Any) -> list[Any]:
    """The equations that results depend on; tapes compute more than their angles."""
    wanted = {atom for atom in jaxpr.outvars if not isinstance(atom, Literal)}
    needed = []
    for equation in reversed(jaxpr.eqns):
        if wanted.intersection(equation.outvars):
            needed.append(equation)
            inputs = (a for a in equation.invars if not isinstance(a, Literal))
            wanted.update(inputs)
    return needed[::-1]


def _apply(equation: Any, operands: list[Values]) -> list[Values]:
    """The results of one equation."""
    name, params = equation.primitive.name, equation.params
    inner = params.get("jaxpr", params.get("call_jaxpr"))
    if isinstance(inner, ClosedJaxpr):  # a function within: jit, custom_jvp, ...
        return symbolic(inner, operands)
    if name in _MOVES:
        return [_MOVES[name](params, *operands)]
    if not any(operand.dtype == object for operand in operands):
        numbers = equation.primitive.get_bind_params(params)
        results = equation.primitive.bind(*operands, **numbers)
        many = equation.primitive.multiple_results
        return [np.asarray(result) for result in (results if many else [results])]
    if name in _ELEMENTWISE:
        function = np.frompyfunc(_ELEMENTWISE[name], len(operands), 1)
        return [_objects(function(*map(_objects, operands)))]
    if name == "integer_pow":
        return [_objects(operands[0] ** params["y"])]
    if name == "reduce_sum":
        return [_objects(operands[0].sum(axis=params["axes"]))]
    if name in _GATHERS and operands[0].dtype == object:
        return [_moved(equation, operands)]
    raise NotSymbolicError(name)


def _objects(values: Any) -> Values:
    """An array of objects; NumPy gives bare ones for arrays without axes."""
    if isinstance(values, np.ndarray):
        return values.astype(object)
    array = np.empty((), object)
    array[()] = values
    return array


def _moved(equation: Any, operands: list[Values]) -> Values:
    """Elements of the first operand, found by moving their places instead of them."""
    first, *rest = operands
    places = np.arange(first.size).reshape(first.shape)
    params = equation.params
    if "fill_value" in params:  # NaN, which is no place
        params = params | {"fill_value": -1}
    moved = np.asarray(equation.primitive.bind(places, *rest, **params))
    if np.any(moved < 0):
        raise NotSymbolicError("gather beyond the end")
    return _objects(first.ravel()[moved])


def _slice(params: dict[str, Any], operand: Values) -> Values:
    strides = params["strides"] or (1,) * operand.ndim
    bounds = zip(params["start_indices"], params["limit_indices"], strides, strict=True)
    return operand[tuple(slice(*bound) for bound in bounds)]


def _broadcast(params: dict[str, Any], operand: Values) -> Values:
    shape, kept = params["shape"], params["broadcast_dimensions"]
    new_axes = tuple(axis for axis in range(len(shape)) if axis not in kept)
    return np.broadcast_to(np.expand_dims(operand, new_axes), shape)


def _converted(params: dict[str, Any], operand: Values) -> Values:
    is_symbolic = operand.dtype == object
    return operand if is_symbolic else operand.astype(params["new_dtype"])


def _method(name: str, of_numbers: Callable[[float], float]) -> Callable[[Any], Any]:
    """A function of a number or a symbol."""

    def function(value: Any) -> Any:
        is_symbol = isinstance(value, ParameterExpression)
        return getattr(value, name)() if is_symbol else float(of_numbers(value))

    return function


def _add(a: Any, b: Any) -> Any:
    return b if _is(a, 0) else a if _is(b, 0) else a + b


def _subtract(a: Any, b: Any) -> Any:
    return a if _is(b, 0) else a - b


def _multiply(a: Any, b: Any) -> Any:
    if _is(a, 0) or _is(b, 0):  # places without a pixel are multiplied by zero
        return 0.0
    return b if _is(a, 1) else a if _is(b, 1) else a * b


def _is(value: Any, number: int) -> bool:
    return not isinstance(value, ParameterExpression) and value == number


_MOVES: dict[str, Callable[..., Values]] = {
    "slice": _slice,
    "squeeze": lambda p, a: np.squeeze(a, tuple(p["dimensions"])),
    "reshape": lambda p, a: np.reshape(a, p["new_sizes"]),
    "transpose": lambda p, a: np.transpose(a, p["permutation"]),
    "rev": lambda p, a: np.flip(a, p["dimensions"]),
    "concatenate": lambda p, *parts: np.concatenate(parts, axis=p["dimension"]),
    "broadcast_in_dim": lambda p, a, *_: _broadcast(p, a),
    "convert_element_type": _converted,
    "copy": lambda p, a: a,
}
"""What moves elements and leaves them alone, numbers or not."""

_GATHERS = ("gather", "dynamic_slice")
"""The same, by indices that are numbers."""

_ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "add": _add,
    "add_any": _add,
    "sub": _subtract,
    "mul": _multiply,
    "div": operator.truediv,
    "neg": operator.neg,
    "square": lambda a: a * a,
    "sqrt": lambda a: a**0.5,
    "pow": operator.pow,
    "sin": _method("sin", np.sin),
    "cos": _method("cos", np.cos),
    "tan": _method("tan", np.tan),
    "asin": _method("arcsin", np.arcsin),
    "acos": _method("arccos", np.arccos),
    "atan": _method("arctan", np.arctan),
    "exp": _method("exp", np.exp),
    "log": _method("log", np.log),
    "abs": _method("abs", np.abs),
    "sign": _method("sign", np.sign),
}
"""What Qiskit's expressions can do."""
