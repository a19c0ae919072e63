"""The files of an audit: all that it is made of, written and read.

audit.toml             AuditConfig: all that repeats the audit
loaded/                copies of the files of a user's own that it was made with
tuning/NAME.json       Tuning: the learning rates that were tried for a model
units/NAME/seed-N.json Unit: predictions and scores of one training
features.npz           what the circuit of the first seed's model was given
baselines/*.json       Baseline: what a classical classifier reached
audit.json             Audit: everything, with the statistics and the verdict
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import cattrs

from .._checks import InputError, input_error
from ..files import read_table, write_json
from ..parallel.loading import command_line
from ..runs.config import (
    ask_for_files_of,
    converter,
    in_words,
    read_toml,
    unknown_circuit_of,
    upgrade,
)
from .records import Audit, AuditConfig, Tuning, Unit

T = TypeVar("T")

CONFIG_FILE = "audit.toml"
AUDIT_FILE = "audit.json"

CONFIG_FORMAT = 2
"""Version of `audit.toml`. Format 1 is read, too."""

AUDIT_FORMAT = 3
"""Version of `audit.json`. Formats 1 and 2 are read, too."""

RECORD_FORMAT = 2
"""Version of the other JSON files of an audit."""


def read_audit_config(directory: Path) -> AuditConfig:
    """Reads what an audit was started with.

    Raises:
        InputError: If there is none, or it is damaged or of another version.
    """
    try:
        path = directory / CONFIG_FILE
        return read_toml(path, AuditConfig, CONFIG_FORMAT, {1: _name_controls})
    except (FileNotFoundError, NotADirectoryError) as error:
        raise input_error(
            "--resume",
            "name a directory that `qfm audit` wrote",
            f"{directory} holds no audit.toml",
        ) from error


def read_audit(path: Path | str) -> Audit:
    """Reads a finished audit.

    Args:
        path: Its directory, or its `audit.json`, wherever that was copied to.

    Raises:
        InputError: If it is not finished, damaged or of another version.

    Example:
        >>> audit = read_audit("runs/audit")  # doctest: +SKIP
        >>> audit.verdict  # doctest: +SKIP
        'hurts'
    """
    directory = Path(path)
    path = directory if directory.is_file() else directory / AUDIT_FILE
    older = {1: _from_format_1, 2: _from_format_2}
    try:
        with naming_damage(path, "Restore it."):
            table = read_table(path)
            upgrade(path, table, AUDIT_FORMAT, older)
            ask_for_files_of(path, table["config"])
            table["results"] = list(table["results"].values())
            table.pop("sentence", None)
            return converter().structure(table, Audit)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            f"{directory} holds no finished audit: there is no audit.json. Continue it "
            f"with `{command_line('audit', '--resume', directory)}`."
        ) from error


def write_audit(directory: Path, audit: Audit) -> None:
    """Writes `audit.json`, with the results by name."""
    table = cattrs.unstructure(audit)
    table["results"] = {result["name"]: result for result in table["results"]}
    table["sentence"] = audit.sentence  # for people; it is made again when read
    write_json(directory / AUDIT_FILE, {"format": AUDIT_FORMAT, **table})


def _from_format_1(table: dict[str, Any]) -> None:
    """Adds what format 1 took for granted: one rate for all, one circuit an image."""
    config = table["config"]
    config |= {"rate_factors": [1.0], "baselines": []}
    rate = config["run"]["training"]["learning_rate"]
    for result in table["twins"].values():
        result["executions_per_image"] = int(result.pop("has_circuit"))
        untried = {"learning_rates": [rate], "accuracy": [[]]}
        named = {"name": result["name"], "dataset": table["dataset"]}
        result["tuning"] = named | untried


def _from_format_2(table: dict[str, Any]) -> None:
    """Says control for twin, and leaves out McNemar's test, which no verdict used."""
    _name_controls(table["config"])
    table["results"] = table.pop("twins")
    for result in table["results"].values():
        if difference := result["difference"]:
            del difference["mcnemar"]
            difference["control"] = difference.pop("twin")
            difference["n_controls"] = difference.pop("n_twins")


def _name_controls(config: dict[str, Any]) -> None:
    """Names the controls in a configuration of before they were called that."""
    config["controls"] = config.pop("twins")


def unit_path(directory: Path, name: str, seed: int) -> Path:
    """Where a training's file lies."""
    return directory / "units" / name / f"seed-{seed}.json"


def write_unit(directory: Path, unit: Unit) -> None:
    """Writes a finished training, unless its file is there.

    With fewer others beside it, a seed differs in the last bit: what is there stays.
    """
    path = unit_path(directory, unit.name, unit.seed)
    if not path.exists():
        write_record(path, unit)


def read_unit(directory: Path, name: str, seed: int) -> Unit:
    """Reads a finished training.

    Raises:
        InputError: If the file is damaged or of another version.
    """
    path = unit_path(directory, name, seed)
    with naming_damage(path):
        unit = read_record(path, Unit)
        if (unit.name, unit.seed) != (name, seed):
            raise ValueError(f"it is of {unit.name}, seed {unit.seed}")
    return unit


def tuning_path(directory: Path, name: str) -> Path:
    """Where lies what the learning rates of a model or control gave."""
    return directory / "tuning" / f"{name}.json"


def write_tuning(directory: Path, tuning: Tuning) -> None:
    """Writes what the learning rates gave."""
    write_record(tuning_path(directory, tuning.name), tuning)


def read_tuning(directory: Path, name: str) -> Tuning:
    """Reads what the learning rates gave.

    Raises:
        InputError: If the file is damaged or of another version.
    """
    path = tuning_path(directory, name)
    with naming_damage(path):
        tuning = read_record(path, Tuning)
        if tuning.name != name:
            raise ValueError(f"it is of {tuning.name}")
        if len(tuning.accuracy) != len(tuning.learning_rates):
            raise ValueError("it has not a score for each rate")
    return tuning


def write_record(path: Path, record: Any) -> None:
    """Writes a unit, a tuning or a baseline: the whole file, or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"format": RECORD_FORMAT, **cattrs.unstructure(record)})


def read_record(path: Path, kind: type[T]) -> T:
    """Reads what `write_record` wrote.

    Raises:
        InputError: If the file is damaged or of another version.
    """
    with naming_damage(path):
        table = read_table(path)
        upgrade(path, table, RECORD_FORMAT)
        return converter().structure(table, kind)


@contextlib.contextmanager
def naming_damage(
    path: Path, cure: str = "Remove it and resume: it is trained again."
) -> Iterator[None]:
    """Within it, what a damaged file raises becomes a sentence that names it.

    Raises:
        InputError: In place of what was raised.

    Example:
        >>> with naming_damage(Path("unit.json")):
        ...     raise ValueError("it is empty")
        Traceback (most recent call last):
        qfm_jax._checks.InputError: unit.json is damaged: it is empty. Remove it and
        resume: it is trained again.
    """
    try:
        yield
    except InputError:
        raise
    except cattrs.BaseValidationError as error:
        problems = in_words(error)
        raise unknown_circuit_of(path, error) or InputError(
            f"{path} is damaged: {problems}. {cure}"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged: {error}. {cure}") from error
