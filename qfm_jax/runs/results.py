"""The file of an experiment: rows in JSON, each written as soon as it is there."""

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from .._checks import InputError
from ..files import changing, read_table, write_json
from ..parallel import Scheduler, Standing, connect, run_units
from .versions import machine_versions

RESULTS_FORMAT = 1
"""Version of the files."""

Row = dict[str, Any]
"""What was found for a cell; its entry `cell` says what was asked."""


def read_rows(path: Path | str, experiment: str) -> list[Row]:
    """Reads the rows of an experiment's file; none where there is no file yet.

    Raises:
        InputError: Naming the file, if it is damaged, of another version or of another
            experiment. Such rows are never mixed with others.

    Example:
        >>> read_rows("not/there.json", "scale_qubits")
        []
    """
    return _read_table(Path(path), experiment)["rows"]


def measure_missing(
    path: Path | str,
    experiment: str,
    cells: Iterable[Mapping[str, Any]],
    measure: Callable[[Mapping[str, Any]], Row],
    show: Callable[[Row], None] | None = None,
    scheduler: Scheduler | None = None,
    show_units: Callable[[Standing], None] | None = None,
) -> list[Row]:
    """Measures the cells that the file does not hold; writes each row as it comes.

    Rows of other cells stay in the file.

    Args:
        path: The file; it is made where it is missing.
        experiment: Name of the experiment.
        cells: Plain values that say all of what is measured.
        measure: What is found for a cell, as plain values; `versions` among them where
            another process measured.
        show: Told of each row that was measured now.
        scheduler: Where to measure; in this process where left out. Cells that share a
            machine disturb each other's times.
        show_units: Told how far a scheduler's workers are.

    Returns:
        The rows of these cells, in their order.

    Raises:
        InputError: As `read_rows` and `connect` do.
        UnitsFailedError: Naming the cells that failed on the scheduler, when all others
            are measured.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "squares.json"
        >>> square = lambda cell: {"square": cell["n"] ** 2}
        >>> rows = measure_missing(path, "squares", [{"n": 2}, {"n": 3}], square)
        >>> rows[1]["cell"], rows[1]["square"]
        ({'n': 3}, 9)
    """
    path = Path(path)
    there = [row["cell"] for row in read_rows(path, experiment)]
    asked = [json.loads(json.dumps(cell)) for cell in cells]  # as the file spells them
    missing = {json.dumps(c, sort_keys=True): c for c in asked if c not in there}
    measured = functools.partial(_measured, measure)
    with connect(scheduler if missing else None, n_units=len(missing)) as connection:
        new = (
            ((text, measured(cell)) for text, cell in missing.items())
            if connection is None
            else run_units(missing, measured, connection, show=show_units)
        )
        for _, row in new:
            add_rows(path, experiment, [row])
            if show is not None:
                show(row)
    rows = read_rows(path, experiment)
    return [next(r for r in rows if r["cell"] == cell) for cell in asked]


def _measured(measure: Callable[[Mapping[str, Any]], Row], cell: dict[str, Any]) -> Row:
    found = {"cell": cell, **measure(cell)}
    if "versions" not in found:  # not those of another process
        found["versions"] = machine_versions()
    return found


def add_rows(
    path: Path | str,
    experiment: str,
    rows: Iterable[Row] = (),
    tables: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Adds rows to the file, and tables beside them; what else it holds stays.

    A row takes the place of the one of the same cell, an entry of a table that of the
    same name. Several processes may add to one file: none loses what another one added.
    The file is never half there.

    Raises:
        InputError: As `read_rows` does.
    """
    path, new = Path(path), list(rows)
    cells = [row["cell"] for row in new]
    path.parent.mkdir(parents=True, exist_ok=True)
    with changing(path):
        whole = _read_table(path, experiment)
        others = [row for row in whole["rows"] if row["cell"] not in cells]
        added = {k: {**whole.get(k, {}), **t} for k, t in (tables or {}).items()}
        write_json(path, whole | added | {"rows": [*others, *new]})


def _read_table(path: Path, experiment: str) -> dict[str, Any]:
    cure = "Move it away, or name another file with --out."
    try:
        table = read_table(path)
        found = {name: table[name] for name in ("experiment", "format")}
        are_rows = all(isinstance(row["cell"], dict) for row in table["rows"])
    except FileNotFoundError:
        return {"experiment": experiment, "format": RESULTS_FORMAT, "rows": []}
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(
            f"{path} is damaged, or no file of an experiment: {error!r}. {cure}"
        ) from error
    if found != {"experiment": experiment, "format": RESULTS_FORMAT}:
        raise InputError(
            f"{path} holds format {found['format']!r} of {found['experiment']!r}, and "
            f"this is format {RESULTS_FORMAT} of {experiment!r}. {cure}"
        )
    if not are_rows:
        raise InputError(f"{path} is damaged: a row's cell is no table. {cure}")
    return table
