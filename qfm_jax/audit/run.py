"""What a circuit contributes: a model and its controls, retrained over paired seeds.

A unit is one training: a model (or a control) with one seed. Each has its own file, and
so has the choice of each one's learning rate, so that an interrupted audit goes on
where it stopped.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from jax.sharding import Mesh

from .._checks import InputError
from ..data import Dataset
from ..files import locked
from ..parallel import Connection, Scheduler, Standing, connect
from ..runs.directory import check_is_empty, start_directory
from ..runs.execute import check_same
from ..runs.model import load_seeds
from ..training.history import EpochRecord
from .baselines import fit_baselines
from .conclusion import conclude
from .records import Audit, AuditConfig, Tuning, Unit
from .stored import (
    AUDIT_FILE,
    CONFIG_FILE,
    CONFIG_FORMAT,
    read_audit,
    read_audit_config,
    read_tuning,
    read_unit,
    tuning_path,
    unit_path,
    write_audit,
    write_tuning,
)
from .tasks import check_start_elsewhere, train_elsewhere
from .units import (
    Told,
    Trainings,
    check_start,
    find_trainings,
    train_group,
    tune,
)

HELD = "Wait until it has ended; --resume then trains what is missing."

Show = Callable[[float, str, Sequence[int], tuple[EpochRecord, ...]], None]
"""Told of each epoch: share of the trainings that is done, name of the control, its
seeds, and a record of each; and of each baseline, which has neither."""


def run_audit(
    config: AuditConfig,
    directory: Path | str,
    *,
    resume: bool = False,
    show: Show | None = None,
    scheduler: Scheduler | None = None,
    show_units: Callable[[Standing], None] | None = None,
    mesh: Mesh | None = None,
) -> Audit:
    """Trains what is missing, then compares, and writes it all.

    The model and every control get the same epochs, a learning rate chosen from as many
    candidates with seeds of their own, and the same choice of the epoch; both choices
    look at validation images. The test images are scored once a unit.

    Args:
        config: All that repeats the audit.
        directory: Its directory.
        resume: Continue the audit in `directory`, whose configuration must be `config`.
        show: Told of each epoch.
        scheduler: Where to train; in this process where left out. The directory must be
            one that its workers share.
        show_units: Told of the units of a scheduler, in place of `show`.
        mesh: Devices over which seeds that train together are spread.

    Raises:
        InputError: For a model without a circuit, a control that cannot exist (if it
            was asked for by name), a directory of another audit, damaged files, a
            directory that another process works on, a scheduler that does not answer or
            whose workers are not fit.
        UnitsFailedError: Naming what could not be trained on the scheduler, when all
            else is; `resume` tries it again.

    Example:
        >>> import tempfile
        >>> from qfm_jax.models import ModelConfig
        >>> from qfm_jax.runs.config import DataConfig, RunConfig
        >>> from qfm_jax.training import TrainConfig
        >>> network = ModelConfig(block="circuit", n_qubits=2, n_layers=1)
        >>> run = RunConfig("tiny", network, TrainConfig(epochs=1),
        ...                 DataConfig("digits", train_size=300))
        >>> config = AuditConfig(
        ...     run, n_seeds=2, controls=("dense",), rate_factors=(1.0,))
        >>> audit = run_audit(config, Path(tempfile.mkdtemp()) / "audit")
        >>> audit.verdict, [result.name for result in audit.results]
        ('cannot tell with this many seeds', ['tiny', 'dense'])
    """
    start = time.monotonic()
    trainings = find_trainings(config, Path(directory))
    if resume:
        _check_same(config, trainings.directory)
        if not trainings.n_missing and (trainings.directory / AUDIT_FILE).exists():
            return read_audit(trainings.directory)
    else:
        check_is_empty(trainings.directory)
    n_units = len(trainings.runs) + trainings.n_missing
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(connect(scheduler, n_units=n_units))
        with _begun(trainings, connection, resume=resume) as data:
            if connection is None:
                _train_here(trainings, data, show, mesh)
            else:
                train_elsewhere(connection, trainings, _first(data).name, show_units)
                stack.close()  # its processes have nothing left to do
            audit = _concluded(trainings, _first(data), show, start)
            write_audit(trainings.directory, audit)
    return audit


@contextlib.contextmanager
def _begun(
    trainings: Trainings, connection: Connection | None, *, resume: bool
) -> Iterator[dict[int, Dataset]]:
    """The images of each seed, while no other process works on the directory.

    On a scheduler, those of the first seed alone. What is wrong with the input leaves
    no directory behind.
    """
    config, directory = trainings.config, trainings.directory
    seeds = (*config.seeds, *config.seeds_of_tuning)
    data = load_seeds(config.run, seeds[:1] if connection else seeds)
    if connection is None and not resume:
        check_start(config, _first(data))
    elif connection is not None and not resume:
        check_start_elsewhere(connection, config)
    with locked(directory, HELD):
        if not resume:
            check_is_empty(directory)  # again, since now nobody else can fill it
            loaded = config.run.loaded
            start_directory(directory, CONFIG_FILE, config, CONFIG_FORMAT, loaded)
        yield data


def _train_here(
    trainings: Trainings,
    data: Mapping[int, Dataset],
    show: Show | None,
    mesh: Mesh | None,
) -> None:
    """Trains in this process what the directory does not hold."""
    config, directory = trainings.config, trainings.directory
    share = _Share(trainings, len(_first(data).train), show)
    for name, run in trainings.runs.items():
        if not tuning_path(directory, name).exists():
            told = functools.partial(share.told, f"{name}, tuning")
            write_tuning(directory, tune(name, run, config, data, told, mesh))
        _tuning_of(directory, name, _first(data))  # of the same data
        for seeds in trainings.missing[name]:
            told_of_seeds = share.told(name, seeds)
            train_group(config, directory, name, run, seeds, data, told_of_seeds, mesh)


def _concluded(
    trainings: Trainings, data: Dataset, show: Show | None, start: float
) -> Audit:
    """What the files of all trainings say, with the baselines beside them."""
    config, directory = trainings.config, trainings.directory
    units = {
        name: [_unit_of(directory, name, seed, data) for seed in config.seeds]
        for name in trainings.runs
    }
    tunings = {name: _tuning_of(directory, name, data) for name in trainings.runs}

    def tell(what: str) -> None:
        if show is not None:
            show(1.0, what, (), ())

    baselines = fit_baselines(config, directory, data, tell)
    impossible, seconds = trainings.impossible, time.monotonic() - start
    of_all = config, data, units, tunings, baselines
    return conclude(*of_all, impossible=impossible, seconds=seconds)


class _Share:
    """Hands epochs' records on, with the share of all trainings that is done."""

    def __init__(self, trainings: Trainings, n_train: int, show: Show | None):
        config, names = trainings.config, trainings.runs
        self.show = show
        self.n_epochs = config.run.training.settled(n_train).epochs
        n_tuning = len(config.rate_factors) * len(config.seeds_of_tuning)
        paths = [tuning_path(trainings.directory, name) for name in names]
        n_missing = n_tuning * sum(not path.exists() for path in paths)
        for groups in trainings.missing.values():
            n_missing += sum(map(len, groups))
        self.n_trainings = len(names) * (n_tuning + config.n_seeds)
        self.n_done = self.n_trainings - n_missing

    def told(self, name: str, seeds: Sequence[int]) -> Told | None:
        """What is told of the epochs of a group of trainings; they count when done."""
        if self.show is None:
            return None
        show, n_before = self.show, self.n_done
        self.n_done += len(seeds)

        def tell(records: tuple[EpochRecord, ...]) -> None:
            n_done = n_before + records[0].epoch / self.n_epochs * len(seeds)
            show(n_done / self.n_trainings, name, seeds, records)

        return tell


def _first(data: Mapping[int, Dataset]) -> Dataset:
    """The images of the first seed; name, size and test images are those of all."""
    return next(iter(data.values()))


def _check_same(config: AuditConfig, directory: Path) -> None:
    stored = read_audit_config(directory)
    # How many train together changes the time, and the results by rounding alone.
    config = dataclasses.replace(config, together=stored.together)
    check_same(config.run, stored.run, directory)
    check_same(config, stored, directory, what="an audit")


def _tuning_of(directory: Path, name: str, data: Dataset) -> Tuning:
    """How a learning rate was chosen; raises where it was with other images."""
    tuning = read_tuning(directory, name)
    if tuning.dataset != data.name:
        raise InputError(
            f"{tuning_path(directory, name)} was found with {tuning.dataset}, and now "
            f"there is {data.name}. Use the same data, or start a new audit."
        )
    return tuning


def _unit_of(directory: Path, name: str, seed: int, data: Dataset) -> Unit:
    """A training; raises where one of an earlier session saw other images."""
    unit, n_test = read_unit(directory, name, seed), len(data.test)
    if unit.dataset != data.name or len(unit.predictions) != n_test:
        raise InputError(
            f"{unit_path(directory, name, seed)} was trained on {unit.dataset} and "
            f"scored on {len(unit.predictions):,} images, and now there are "
            f"{n_test:,} of {data.name}. Use the same data, or start a new audit."
        )
    return unit
