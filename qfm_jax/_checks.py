"""One sentence form for every error: the argument, what it must be, what it was."""

import difflib
from collections.abc import Iterable
from typing import Any


class InputError(ValueError):
    """A bad input, explained in a sentence; the command line exits with status 2."""


def input_error(argument: str, must: str, was: str, cure: str = "") -> InputError:
    """Builds the error; the caller raises it, so that the traceback ends there.

    Example:
        >>> str(input_error("n_qubits", "be at least 1", "is 0", "Choose 2 to 12."))
        'Argument `n_qubits` must be at least 1, but is 0. Choose 2 to 12.'
    """
    sentence = f"Argument `{argument}` must {must}, but {was}."
    return InputError(f"{sentence} {cure}".rstrip())


def first_line(error: BaseException) -> str:
    r"""The first line of an error's text, or its class where it has none.

    Example:
        >>> first_line(ValueError("No such port.\nDetails")), first_line(OSError())
        ('No such port.', 'OSError.')
    """
    lines = str(error).strip().splitlines()
    return lines[0] if lines else f"{type(error).__name__}."


def check_at_least(argument: str, value: Any, minimum: int, cure: str = "") -> None:
    """Raises unless `value` is a whole number of at least `minimum`."""
    whole = hasattr(value, "__index__") and not isinstance(value, bool)
    if not whole or value < minimum:
        must = f"be a whole number of at least {minimum}"
        raise input_error(argument, must, f"is {value!r}", cure)


def check_range(
    argument: str, value: Any, low: float, high: float = float("inf"), cure: str = ""
) -> None:
    """Raises unless `value` is a number with low <= value <= high (NaN is refused)."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        must = (
            f"be at least {low}" if high == float("inf") else f"lie in [{low}, {high}]"
        )
        raise input_error(argument, must, f"is {value!r}", cure)


def check_one_of(
    argument: str, value: Any, options: Iterable[str], cure: str = ""
) -> None:
    """Raises unless `value` is one of `options`; names the nearest ones first."""
    options = sorted(options)
    if value not in options:
        near = difflib.get_close_matches(str(value), options, n=3, cutoff=0.5)
        hint = (
            f"Did you mean {' or '.join(repr(name) for name in near)}? " if near else ""
        )
        must = f"be one of {', '.join(options)}"
        raise input_error(argument, must, f"is {value!r}", hint + cure)


def check_shape(
    argument: str,
    shape: tuple[int, ...],
    expected: tuple[int | str, ...],
    cure: str = "",
) -> None:
    """Raises unless `shape` fits `expected`, where a string stands for any length."""
    fits = len(shape) == len(expected) and all(
        isinstance(want, str) or have == want
        for have, want in zip(shape, expected, strict=True)
    )
    if not fits:
        inner = ", ".join(str(length) for length in expected)
        must = f"have shape ({inner}{',' if len(expected) == 1 else ''})"
        raise input_error(argument, must, f"has shape {tuple(shape)}", cure)
