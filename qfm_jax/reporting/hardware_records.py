"""What `qfm evaluate` and `qfm cost` left in a run directory -> tables to draw.

Each is read as what it is drawn as: shares in [0, 1], counts, names; a file that holds
anything else is refused here, and by name, so that nothing downstream has to doubt it.
"""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NewType, TypedDict, TypeVar, cast

import cattrs

from .._checks import InputError
from ..files import read_table
from ..hardware.noise import parse_noise
from ..runs.config import RUN_FORMAT, in_words

T = TypeVar("T")

Share = NewType("Share", float)
"""In [0, 1]."""
Amount = NewType("Amount", float)
"""Finite, not below 0."""
Count = NewType("Count", int)
"""A whole number, not below 0, that a float holds exactly."""
Noise = NewType("Noise", str)
"""Noise by name, as `parse_noise` reads it."""


class Evaluation(TypedDict):
    """What is drawn of a `Deployment.as_table`; a file may hold more."""

    label: str
    device: str
    noise: Noise
    mitigation: str
    shots: Count | None
    n_test: Count
    accuracy: Share
    accuracy_interval: tuple[Share, Share]
    accuracy_ideal: Share
    flipped: Share
    margin_flipped: Share | None
    margin_kept: Share | None
    two_qubit_gates: Count | None
    seconds: Amount


class PlanTable(TypedDict):
    """What the seconds of a cost are a share of."""

    minutes: Amount
    days: Count
    as_of: str


class BackendCost(TypedDict):
    """What the images of a run would cost on a backend."""

    optimization_level: Count
    n_qubits: Count
    depth: Count
    two_qubit_gates: Count
    success_probability: Share
    seconds_qpu: Amount
    share_of_plan: Amount


class BudgetTable(TypedDict):
    """What is shown of a `Budget.as_table`; a file may hold more."""

    n_test: Count
    shots: Count
    formula: str
    plan: PlanTable
    backends: dict[str, BackendCost]


def read_deployments(directory: Path) -> list[Evaluation]:
    """Reads what a run directory keeps of its evaluations on devices, by their folders.

    Raises:
        InputError: For a damaged file, or one of another version.
    """
    paths = sorted((directory / "deployments").glob("*/scores.json"))
    return [_read(path, lambda table: checked(table, Evaluation)) for path in paths]


def read_cost(directory: Path) -> BudgetTable | None:
    """Reads what the test images of a run would cost; None where nobody asked.

    Raises:
        InputError: If the file is damaged, or of another version.
    """
    path = directory / "cost.json"
    return _read(path, checked_cost) if path.exists() else None


def checked_cost(table: Any) -> BudgetTable:
    """`checked` of a cost; older files call a success probability a fidelity.

    Raises:
        InputError: Saying which entry is something else.
    """
    backends = table.get("backends") if isinstance(table, dict) else None
    for cost in backends.values() if isinstance(backends, dict) else ():
        if isinstance(cost, dict) and "fidelity" in cost:
            cost.setdefault("success_probability", cost.pop("fidelity"))
    return checked(table, BudgetTable)


def _read(path: Path, read: Callable[[Any], T]) -> T:
    try:
        table = read_table(path)
        if table.pop("format", None) != RUN_FORMAT:
            raise ValueError("it is of another version")
        return read(table)
    except ValueError as error:
        cure = "Remove it; the command that wrote it makes a new one."
        raise InputError(f"{path} is damaged: {error}. {cure}") from error


def checked(table: Any, kind: type[T]) -> T:
    """The table itself, if it holds what a `TypedDict` of these types says.

    Raises:
        InputError: Saying which entry is something else.

    Example:
        >>> checked({"minutes": 10.0, "days": 28, "as_of": "today"}, PlanTable)["days"]
        28
    """
    try:
        _converter().structure(table, kind)
    except cattrs.BaseValidationError as error:
        raise InputError(in_words(error)) from error
    return cast(T, table)


@functools.cache
def _converter() -> cattrs.Converter:
    made = cattrs.Converter()
    for kind, hook in (
        (Share, _share),
        (Amount, _amount),
        (Count, _count),
        (Noise, _noise),
        (str, _text),
    ):
        made.register_structure_hook(kind, hook)
    return made


def _share(value: Any, _: Any) -> float:
    if _amount(value, _) > 1:
        raise InputError(f"must lie in [0, 1], but is {value!r}")
    return float(value)


def _amount(value: Any, _: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Comparisons, as no float holds a huge whole number.
    if not (is_number and 0 <= value < math.inf and value <= 1e300):
        raise InputError(f"must be a finite number, not below 0, but is {value!r}")
    return float(value)


def _count(value: Any, _: Any) -> int:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not (is_whole and 0 <= value <= 2**53):
        raise InputError(f"must be a whole number, not below 0, but is {value!r}")
    return int(value)


def _text(value: Any, _: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"must be text, but is {value!r}")
    try:
        value.encode()
    except UnicodeEncodeError:  # JSON may spell half a character, a page cannot
        must = "must be text that UTF-8 can write"
        raise InputError(f"{must}, but is {value!r}") from None
    return value


def _noise(value: Any, _: Any) -> str:
    parse_noise(_text(value, _))
    return str(value)
