"""The trainings of an audit as units of a scheduler: nobody trains one twice.

A unit is the choice of a learning rate, or a model or control with the seeds that train
together: the very programs that run without a scheduler, so that results are the same
but for rounding. `together = 1` makes a unit of each seed.
"""

import dataclasses
import functools
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from .._checks import InputError
from ..data import Dataset
from ..files import write_json
from ..parallel import (
    Connection,
    Standing,
    UnitsFailedError,
    check_shared,
    run_units,
)
from ..parallel.loading import command_line
from ..runs.config import RunConfig
from ..runs.model import load_seeds
from .records import AuditConfig
from .stored import (
    CONFIG_FILE,
    RECORD_FORMAT,
    tuning_path,
    unit_path,
    write_tuning,
)
from .units import Trainings, check_start, train_group, tune

FAILED = "failed.json"
"""Holds why units failed, while some are missing for it."""

PATIENCE = 60
"""Seconds until a shared file system must show what another machine wrote."""


@dataclasses.dataclass(frozen=True)
class Task:
    """A unit, as it is sent to a worker."""

    config: AuditConfig
    directory: Path
    dataset: str
    """Name of the data set, as it was resolved."""
    name: str
    """Name of the model or control."""
    run: RunConfig
    """It as data."""
    seeds: tuple[int, ...] = ()
    """Seeds that train together; none to choose a learning rate."""


def check_start_elsewhere(connection: Connection, config: AuditConfig) -> None:
    """Raises where the model cannot start on a worker, which has another memory.

    Raises:
        InputError: As `check_start` does.
    """
    config = dataclasses.replace(config, run=_absolute(config.run))
    checked = connection.submit(_check, config)
    checked.result()


def _check(config: AuditConfig) -> None:
    check_start(config, _splits(config)[config.run.seed])


def train_elsewhere(
    connection: Connection,
    trainings: Trainings,
    dataset: str,
    show: Callable[[Standing], None] | None = None,
) -> None:
    """Trains on a scheduler's workers what the directory does not hold.

    Args:
        connection: To the scheduler.
        trainings: Of the audit, whose directory every worker sees.
        dataset: Name of the data set, as it was resolved.
        show: Told how far they are.

    Raises:
        UnitsFailedError: Naming what could not be trained, after all else was;
            `failed.json` says why.
        InputError: If a worker does not share the directory.
    """
    config, directory = trainings.config, trainings.directory
    check_shared(connection.client, directory, CONFIG_FILE)
    config = dataclasses.replace(config, run=_absolute(config.run))
    of_name = functools.partial(Task, config, directory.resolve(), dataset)
    units: dict[str, Task] = {}
    after: dict[str, str] = {}
    expected: list[Path] = []
    for name, run in trainings.runs.items():
        tuning, run = f"{name}, tuning", _absolute(run)
        if not tuning_path(directory, name).exists():
            units[tuning] = of_name(name, run)
            expected.append(tuning_path(directory, name))
        for seeds in trainings.missing[name]:
            unit = f"{name}, seed{'s' * (len(seeds) > 1)} {' '.join(map(str, seeds))}"
            units[unit] = of_name(name, run, seeds)
            expected += [unit_path(directory, name, seed) for seed in seeds]
            if tuning in units:
                after[unit] = tuning
    failed = directory / FAILED
    try:
        for _ in run_units(units, work_on, connection, after=after, show=show):
            pass
    except UnitsFailedError as error:
        failures = {n: dataclasses.asdict(f) for n, f in error.failures.items()}
        write_json(failed, {"format": RECORD_FORMAT, "units": failures})
        command = command_line("audit", "--resume", directory)
        what_next = f"{failed} says why; go on with `{command}`."
        raise UnitsFailedError(error.failures, what_next) from None
    failed.unlink(missing_ok=True)
    _await_files(expected)


def work_on(task: Task) -> None:
    """Trains a unit and writes its files; does nothing where they are there."""
    name, directory = task.name, task.directory
    if not task.seeds:
        if not tuning_path(directory, name).exists():
            seeds = (task.config.run.seed, *task.config.seeds_of_tuning)
            tuning = tune(name, task.run, task.config, _data(task, seeds), _unheard)
            write_tuning(directory, tuning)
        return
    seeds = task.seeds  # all of them: with fewer others, one differs in the last bit
    if all(unit_path(directory, name, seed).exists() for seed in seeds):
        return
    train_group(task.config, directory, name, task.run, seeds, _data(task, seeds))


def _unheard(_: Sequence[int]) -> None:
    """Epochs on another machine are told to nobody."""


def _data(task: Task, seeds: Iterable[int]) -> dict[int, Dataset]:
    """The images of each seed."""
    data = _splits(task.config)
    found = data[task.config.run.seed].name
    if found != task.dataset:
        raise InputError(
            f"A worker finds the images of {found}, and the audit has {task.dataset}. "
            "Name the data set with --dataset, and the folder of its files with "
            "--data-dir."
        )
    return {seed: data[seed] for seed in seeds}


@functools.lru_cache(maxsize=1)
def _splits(config: AuditConfig) -> dict[int, Dataset]:
    """The images with the split of every seed, which a worker loads once."""
    return load_seeds(config.run, (*config.seeds, *config.seeds_of_tuning))


def _absolute(run: RunConfig) -> RunConfig:
    """The same on a worker, which was started in another folder."""
    data, trunk = run.data, run.trunk
    if data.folder is not None:
        folder = str(Path(data.folder).expanduser().resolve())
        data = dataclasses.replace(data, folder=folder)
    if trunk is not None:
        trunk = str(Path(trunk).resolve())
    return dataclasses.replace(run, data=data, trunk=trunk)


def _await_files(paths: Iterable[Path]) -> None:
    """Returns when all are seen: NFS may hide for a while what others wrote."""
    missing, deadline = list(paths), time.monotonic() + PATIENCE
    while missing := [path for path in missing if not path.exists()]:
        if time.monotonic() > deadline:
            raise InputError(
                f"A worker wrote {missing[0]}, and it is not seen here after "
                f"{PATIENCE} s. Do they share the file system? Go on with --resume."
            )
        os.listdir(missing[0].parent)  # makes NFS look again
        time.sleep(0.2)
