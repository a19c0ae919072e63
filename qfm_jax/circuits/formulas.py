"""Formulas of inputs and weights as plain values: equal, hashed and pickled by value.

A formula is a number, ("inputs", i) or ("weights", i), or a function's name before its
operands: ("*", 2.0, ("inputs", 0)). Qiskit's ParameterExpressions become formulas.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any

import pennylane as qml
from pennylane.typing import TensorLike

from .._checks import input_error

Formula = float | tuple[Any, ...]

_BINARY: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}
_UNARY: dict[str, Callable[..., Any]] = {
    "sin": qml.math.sin,
    "cos": qml.math.cos,
    "tan": qml.math.tan,
    "arcsin": qml.math.arcsin,
    "arccos": qml.math.arccos,
    "arctan": qml.math.arctan,
    "exp": qml.math.exp,
    "log": qml.math.log,
    "abs": qml.math.abs,
    "sign": qml.math.sign,
}
_FUNCTIONS = _BINARY | _UNARY

_OF_QISKIT = {
    "ADD": "+",
    "SUB": "-",
    "MUL": "*",
    "DIV": "/",
    "POW": "**",
    "ASIN": "arcsin",
    "ACOS": "arccos",
    "ATAN": "arctan",
} | {name.upper(): name for name in ("sin", "cos", "tan", "exp", "log", "abs", "sign")}
_REVERSED = {"RSUB": "-", "RDIV": "/", "RPOW": "**"}


def evaluate(formula: Formula, inputs: TensorLike, weights: TensorLike) -> TensorLike:
    """Computes a formula.

    Args:
        formula: A formula.
        inputs: Array (..., n_features), of NumPy or JAX.
        weights: Array (..., n_weights).

    Returns:
        Values (...), or a number where the formula is one.

    Example:
        >>> import numpy as np
        >>> product = ("*", ("inputs", 1), ("sin", ("weights", 0)))
        >>> float(evaluate(product, np.array([1.0, 3.0]), np.array([np.pi / 2])))
        3.0
    """
    if not isinstance(formula, tuple):
        return formula
    name, *operands = formula
    if name == "inputs":
        return inputs[..., operands[0]]
    if name == "weights":
        return weights[..., operands[0]]
    values = [evaluate(operand, inputs, weights) for operand in operands]
    return _FUNCTIONS[name](*values)


def as_formula(expression: Any, places: Mapping[str, Formula]) -> Formula:
    """Writes an angle of a Qiskit gate as a formula.

    Args:
        expression: A number or a ParameterExpression.
        places: The formula of each parameter by its name.

    Raises:
        InputError: For a function that formulas do not have.

    Example:
        >>> from qiskit.circuit import Parameter
        >>> as_formula(1 - Parameter("a") ** 2, {"a": ("inputs", 0)})
        ('-', 1.0, ('**', ('inputs', 0), 2.0))
    """
    name = getattr(expression, "name", "")
    if name in places:  # a bare parameter, as most are
        return places[name]
    try:
        value = complex(expression)
    except TypeError:  # it has parameters
        return _replayed(expression, places)
    if value.imag:
        raise input_error("circuit", "have real angles", f"has {value} in one")
    return value.real


def _replayed(expression: Any, places: Mapping[str, Formula]) -> Formula:
    """Does again how the expression was made.

    Its method `sympify` does the same, and computes (b - c) - a for a - (b - c) in
    Qiskit 2.3.0: what is left out of a step is the result of steps before it, and goes
    to the left or the right.
    """
    if not expression._qpy_replay:  # such as a - a + b
        return places[str(expression)]
    stack: list[Formula] = []
    for step in expression._qpy_replay:
        kind = str(step.op).removeprefix("OpCode.")
        is_binary = _OF_QISKIT.get(kind) in _BINARY or kind in _REVERSED
        right = _operand(step.rhs, stack, places) if is_binary else 0.0
        left = _operand(step.lhs, stack, places)
        if kind == "CONJ":  # parameters are real
            stack.append(left)
        elif kind in _REVERSED:
            stack.append((_REVERSED[kind], right, left))
        elif kind in _OF_QISKIT:
            operands = (left, right) if is_binary else (left,)
            stack.append((_OF_QISKIT[kind], *operands))
        else:
            must = f"compute its angles by {', '.join(_FUNCTIONS)} alone"
            raise input_error("circuit", must, f"uses {kind} in {expression}")
    return stack.pop()


def _operand(
    operand: Any, stack: list[Formula], places: Mapping[str, Formula]
) -> Formula:
    return stack.pop() if operand is None else as_formula(operand, places)
