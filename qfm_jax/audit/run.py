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

import numpy as np
from jax.sharding import Mesh

from .._checks import InputError
from ..data import Dataset
from ..files import locked
from ..models import circuits_per_image
from ..models.block import CIRCUIT_BLOCKS
from ..parallel import Scheduler, Standing, connect
from ..runs.config import RunConfig
from ..runs.directory import check_is_empty, start_directory
from ..runs.execute import check_same
from ..runs.model import load_seeds
from ..training.history import EpochRecord
from .baselines import feature_keeper, fit_baselines
from .controls import QUESTIONS, Twin, build_twins, possible_twins
from .records import (
    CLASSICAL,
    Audit,
    AuditConfig,
    Tuning,
    TwinResult,
    Unit,
    read_audit,
    read_audit_config,
    read_tuning,
    read_unit,
    tuning_path,
    unit_path,
    write_audit,
    write_tuning,
    write_unit,
)
from .statistics import (
    PairedDifference,
    compare,
    dead_seeds,
    verdict,
)
from .tasks import check_start_elsewhere, train_elsewhere
from .units import Told, check_start, train_units, tune

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
        >>> from qfm_jax.runs.config import DataConfig
        >>> from qfm_jax.training import TrainConfig
        >>> network = ModelConfig(block="circuit", n_qubits=2, n_layers=1)
        >>> run = RunConfig("tiny", network, TrainConfig(epochs=1),
        ...                 DataConfig("digits", train_size=300))
        >>> config = AuditConfig(run, n_seeds=2, twins=("dense",), rate_factors=(1.0,))
        >>> audit = run_audit(config, Path(tempfile.mkdtemp()) / "audit")
        >>> audit.verdict, [twin.name for twin in audit.twins]
        ('cannot tell with this many seeds', ['tiny', 'dense'])
    """
    with contextlib.ExitStack() as held:
        how = (show, mesh, scheduler, show_units)
        return _run(config, Path(directory), resume, *how, held)


def _run(
    config: AuditConfig,
    directory: Path,
    resume: bool,
    show: Show | None,
    mesh: Mesh | None,
    scheduler: Scheduler | None,
    show_units: Callable[[Standing], None] | None,
    held: contextlib.ExitStack,
) -> Audit:
    """`run_audit`, with the lock of the directory in `held`."""
    start = time.monotonic()
    twins, impossible = _twins_of(config)
    if resume:
        _check_same(config, directory)
    else:
        check_is_empty(directory)
    runs = {config.run.model: config.run}
    for twin in twins:
        runs[twin.name] = dataclasses.replace(config.run, network=twin.network)
    groups = {name: list(_pending(config, directory, name)) for name in runs}
    if resume and not any(groups.values()) and (directory / "audit.json").exists():
        return read_audit(directory)
    n_units = len(runs) + sum(map(len, groups.values()))
    with connect(scheduler, n_units=n_units) as connection:
        data = _load(config, alone=connection is not None)
        # Only then is there a directory: what is wrong with the input leaves none.
        if not resume:
            if connection is None:
                check_start(config, data[config.seeds[0]])
            else:
                check_start_elsewhere(connection, config)
        held.enter_context(locked(directory, HELD))
        if not resume:
            check_is_empty(directory)  # again, since now nobody else can fill it
            start_directory(directory, "audit.toml", config)
        if connection is not None:
            dataset = data[config.seeds[0]].name
            train_elsewhere(
                connection, config, directory, dataset, runs, groups, show_units
            )
            groups = {name: [] for name in runs}
    n_train = len(data[config.seeds[0]].train)
    n_epochs = config.run.training.settled(n_train).epochs
    share = _Share(config, show, len(runs), n_epochs)
    tunings: dict[str, Tuning] = {}
    for name, run in runs.items():
        tunings[name] = _tuning_of(name, run, config, data, directory, share, mesh)
        factor = config.rate_factors[tunings[name].chosen]
        share.n_done += config.n_seeds - sum(map(len, groups[name]))
        for seeds in groups[name]:
            told = share.told(name, seeds)
            keep = feature_keeper(config, directory, name, seeds, data)
            for unit in train_units(
                name, run, seeds, data, told, rate_factor=factor, mesh=mesh, keep=keep
            ):
                if not unit_path(directory, name, unit.seed).exists():
                    write_unit(directory, unit)
    units = {
        name: [read_unit(directory, name, seed) for seed in config.seeds]
        for name in runs
    }
    _check_units(directory, units, data)
    baselines = fit_baselines(config, directory, data[config.seeds[0]], share.tell)
    audit = _conclude(config, twins, impossible, data, units, tunings)
    seconds = time.monotonic() - start
    audit = dataclasses.replace(audit, baselines=baselines, seconds=seconds)
    write_audit(directory, audit)
    return audit


class _Share:
    """Hands epochs' records on, with the share of all trainings that is done."""

    def __init__(
        self, config: AuditConfig, show: Show | None, n_models: int, n_epochs: int
    ):
        self.show = show
        self.epochs = n_epochs
        self.n_tuning = len(config.rate_factors) * len(config.seeds_of_tuning)
        self.n_trainings = n_models * (self.n_tuning + config.n_seeds)
        self.n_done = 0

    def told(self, name: str, seeds: Sequence[int]) -> Told | None:
        """What is told of the epochs of a group of trainings; they count when done."""
        if self.show is None:
            return None
        show, n_before = self.show, self.n_done
        self.n_done += len(seeds)

        def tell(records: tuple[EpochRecord, ...]) -> None:
            n_done = n_before + records[0].epoch / self.epochs * len(seeds)
            show(n_done / self.n_trainings, name, seeds, records)

        return tell

    def tell(self, what: str) -> None:
        """Tells what else is done now."""
        if self.show is not None:
            self.show(self.n_done / self.n_trainings, what, (), ())


def _tuning_of(
    name: str,
    run: RunConfig,
    config: AuditConfig,
    data: Mapping[int, Dataset],
    directory: Path,
    share: _Share,
    mesh: Mesh | None,
) -> Tuning:
    """How the learning rate is chosen, from its file if there is one."""
    path = tuning_path(directory, name)
    if path.exists():
        share.n_done += share.n_tuning
    else:
        tell = functools.partial(share.told, f"{name}, tuning")
        write_tuning(directory, tune(name, run, config, data, tell, mesh))
    tuning = read_tuning(directory, name)
    dataset = next(iter(data.values())).name
    if tuning.dataset != dataset:
        raise InputError(
            f"{path} was found with {tuning.dataset}, and now there is {dataset}. Use "
            "the same data, or start a new audit."
        )
    return tuning


def _twins_of(config: AuditConfig) -> tuple[tuple[Twin, ...], dict[str, str]]:
    if config.twins:
        return build_twins(config.run.network, config.twins), {}
    return possible_twins(config.run.network)


def _check_same(config: AuditConfig, directory: Path) -> None:
    stored = read_audit_config(directory)
    # How many train together changes the time, and the results by rounding alone.
    config = dataclasses.replace(config, together=stored.together)
    check_same(config.run, stored.run, directory)
    check_same(config, stored, directory, what="an audit")


def _load(config: AuditConfig, *, alone: bool) -> dict[int, Dataset]:
    """The images of every seed, split by it; or those of the first one alone."""
    seeds = (*config.seeds, *config.seeds_of_tuning)
    return load_seeds(config.run, seeds[:1] if alone else seeds)


def _check_units(
    directory: Path, units: Mapping[str, Sequence[Unit]], data: Mapping[int, Dataset]
) -> None:
    """Raises where a unit of an earlier session saw other images."""
    first = next(iter(data.values()))
    for unit in (unit for own in units.values() for unit in own):
        if unit.dataset != first.name or len(unit.predictions) != len(first.test):
            path = unit_path(directory, unit.name, unit.seed)
            raise InputError(
                f"{path} was trained on {unit.dataset} and scored on "
                f"{len(unit.predictions):,} images, and now there are "
                f"{len(first.test):,} of {first.name}. Use the same data, or start a "
                "new audit."
            )


def _pending(
    config: AuditConfig, directory: Path, name: str
) -> Iterator[tuple[int, ...]]:
    """The groups that train together in which a unit is missing.

    Whole groups: seeds that train with fewer others differ in the last bit.
    """
    for first in range(0, config.n_seeds, config.together):
        group = config.seeds[first : first + config.together]
        if not all(unit_path(directory, name, seed).exists() for seed in group):
            yield group


def _conclude(
    config: AuditConfig,
    twins: Sequence[Twin],
    impossible: Mapping[str, str],
    data: Mapping[int, Dataset],
    units: Mapping[str, Sequence[Unit]],
    tunings: Mapping[str, Tuning],
) -> Audit:
    """Compares the model with every control; the strongest classical one decides."""
    model, first = config.run.model, data[config.seeds[0]]
    right = {
        name: np.array([u.predictions for u in own]) == first.test.labels
        for name, own in units.items()
    }
    names = [twin.name for twin in twins]
    differences = compare(right[model], {name: right[name] for name in names})
    chance = np.bincount(first.test.labels).max() / len(first.test)
    executions = circuits_per_image(config.run.network, first.image_shape)
    of_names = zip([model, *names], [None, *differences], strict=True)
    results = [
        _result(name, units[name], chance, executions, difference, tunings[name])
        for name, difference in of_names
    ]
    control = _strongest(names, units)
    decisive = differences[names.index(control)]
    return Audit(
        config=config,
        model=model,
        dataset=first.name,
        n_train=len(first.train),
        n_test=len(first.test),
        n_classes=first.n_classes,
        seeds=config.seeds,
        twins=tuple(results),
        impossible=dict(impossible),
        control=control,
        verdict=verdict(decisive),
        seconds=0.0,
        versions=_versions([unit for own in units.values() for unit in own]),
        warning=first.warning,
    )


def _versions(units: Sequence[Unit]) -> dict[str, str]:
    """Versions of all units; where they differ, each of them."""
    names = dict.fromkeys(name for unit in units for name in unit.versions)
    return {
        name: ", ".join(sorted({unit.versions.get(name, "?") for unit in units}))
        for name in names
    }


def _strongest(names: Sequence[str], units: Mapping[str, Sequence[Unit]]) -> str:
    """The classical control of the best mean validation accuracy."""
    return max(
        (name for name in names if name in CLASSICAL),
        key=lambda name: np.mean([unit.validation_accuracy for unit in units[name]]),
    )


def _result(
    name: str,
    units: Sequence[Unit],
    chance: float,
    executions: int,
    difference: PairedDifference | None,
    tuning: Tuning,
) -> TwinResult:
    accuracy = tuple(unit.accuracy for unit in units)
    dead = dead_seeds(np.array(accuracy), chance)
    runs_circuit = difference is None or name in CIRCUIT_BLOCKS
    return TwinResult(
        name=name,
        question=QUESTIONS.get(name, ""),
        accuracy=accuracy,
        validation_accuracy=tuple(unit.validation_accuracy for unit in units),
        dead_seeds=tuple(units[i].seed for i in dead),
        n_parameters=units[0].n_parameters,
        n_parameters_quantum=units[0].n_parameters_quantum,
        diverged_seeds=tuple(unit.seed for unit in units if unit.diverged),
        executions_per_image=executions if runs_circuit else 0,
        seconds=tuple(unit.seconds for unit in units),
        flops_per_image=units[0].flops_per_image,
        memory_bytes=units[0].memory_bytes,
        tuning=tuning,
        difference=difference,
        verdict=verdict(difference) if difference else None,
    )
