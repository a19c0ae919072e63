"""What a circuit contributes: a model and its twins, retrained over paired seeds.

A unit is one training: a model (or a twin) with one seed. Each has its own file, so
that an interrupted audit goes on where it stopped.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from .._checks import InputError
from ..controls import QUESTIONS, Twin, build_twins, possible_twins
from ..data import Dataset
from ..experiment import check_memory_of, check_same, load_images, start_model
from ..history import EpochRecord
from ..models import circuits_per_image, count_parameters
from ..models.block import BLOCKS, CIRCUIT_BLOCKS
from ..models.cost import flops_of_image
from ..models.prediction import predict_seeds
from ..runs import RunConfig, check_is_empty, machine_versions, start_directory
from ..statistics import (
    PairedDifference,
    compare,
    dead_seeds,
    verdict,
    verdict_sentence,
)
from ..training import fit_seeds
from .records import (
    CLASSICAL,
    Audit,
    AuditConfig,
    TwinResult,
    Unit,
    read_audit,
    read_audit_config,
    read_unit,
    unit_path,
    write_audit,
    write_unit,
)

Show = Callable[[float, str, Sequence[int], tuple[EpochRecord, ...]], None]
"""Told of each epoch: share of the audit that is done, name of the twin, its seeds, and
a record of each."""


def run_audit(
    config: AuditConfig,
    directory: Path | str,
    *,
    resume: bool = False,
    show: Show | None = None,
) -> Audit:
    """Trains what is missing, then compares, and writes it all.

    Every model and twin gets the same epochs, the same learning rate and the same
    choice of its epoch on validation images; the test images are scored once a unit.

    Args:
        config: All that repeats the audit.
        directory: Its directory.
        resume: Continue the audit in `directory`, whose configuration must be `config`.
        show: Told of each epoch.

    Raises:
        InputError: For a model without a circuit, a twin that cannot exist (if it was
            asked for by name), a directory of another audit, damaged files.

    Example:
        >>> import tempfile
        >>> from qfm_jax.models import ModelConfig
        >>> from qfm_jax.runs import DataConfig
        >>> from qfm_jax.training import TrainConfig
        >>> network = ModelConfig(block="circuit", n_qubits=2, n_layers=1)
        >>> run = RunConfig("tiny", network, TrainConfig(epochs=1),
        ...                 DataConfig("digits", train_size=300))
        >>> config = AuditConfig(run, n_seeds=2, twins=("dense",))
        >>> audit = run_audit(config, Path(tempfile.mkdtemp()) / "audit")
        >>> audit.verdict, [twin.name for twin in audit.twins]
        ('cannot tell with this many seeds', ['tiny', 'dense'])
    """
    directory, start = Path(directory), time.monotonic()
    twins, impossible = _twins_of(config)
    if resume:
        _check_same(config, directory)
    else:
        check_is_empty(directory)
    runs = {config.run.model: config.run}
    for twin in twins:
        runs[twin.name] = dataclasses.replace(config.run, network=twin.network)
    groups = [
        (name, seeds) for name in runs for seeds in _pending(config, directory, name)
    ]
    if resume and not groups and (directory / "audit.json").exists():
        return read_audit(directory)
    data = _load(config)
    if not resume:  # only now: what is wrong with the input leaves no directory behind
        first = data[config.seeds[0]]
        check_memory_of(config.run, first, n_models=config.together)
        start_model(config.run, n_classes=first.n_classes)  # refuses another's trunk
        start_directory(directory, "audit.toml", config)
    n_left = sum(len(seeds) for _, seeds in groups)
    n_units = len(runs) * config.n_seeds
    for name, seeds in groups:
        told = show and _Told(show, name, seeds, n_units - n_left, n_units, config)
        for unit in _train(name, runs[name], seeds, data, told):
            write_unit(directory, unit)
        n_left -= len(seeds)
    units = {
        name: [read_unit(directory, name, seed) for seed in config.seeds]
        for name in runs
    }
    _check_units(directory, units, data)
    audit = _conclude(config, twins, impossible, data, units)
    audit = dataclasses.replace(audit, seconds=time.monotonic() - start)
    write_audit(directory, audit)
    return audit


@dataclasses.dataclass(frozen=True)
class _Told:
    """Hands an epoch's records on, with the share of the audit that is done."""

    show: Show
    name: str
    seeds: tuple[int, ...]
    n_done: int
    n_units: int
    config: AuditConfig

    def __call__(self, records: tuple[EpochRecord, ...]) -> None:
        share = records[0].epoch / self.config.run.training.epochs
        done = (self.n_done + share * len(self.seeds)) / self.n_units
        self.show(done, self.name, self.seeds, records)


def _twins_of(config: AuditConfig) -> tuple[tuple[Twin, ...], dict[str, str]]:
    if config.twins:
        return build_twins(config.run.network, config.twins), {}
    return possible_twins(config.run.network)


def _check_same(config: AuditConfig, directory: Path) -> None:
    stored = read_audit_config(directory)
    # How many train together changes the time, and the results by rounding alone.
    if dataclasses.replace(config, together=stored.together) == stored:
        return
    check_same(config.run, stored.run, directory)
    raise InputError(
        f"{directory} holds an audit of {stored.n_seeds} seeds and the twins "
        f"{list(stored.twins) or 'all'}, and {config.n_seeds} seeds and "
        f"{list(config.twins) or 'all'} are asked for. Leave the options out when you "
        "resume, or start a new audit with --out."
    )


def _load(config: AuditConfig) -> dict[int, Dataset]:
    """The images of every seed, split by it."""
    data = {
        seed: load_images(dataclasses.replace(config.run, seed=seed))
        for seed in config.seeds
    }
    names = {part.name for part in data.values()}
    if len(names) > 1:  # `auto`, when a mirror answered only now and then
        raise InputError(
            f"The seeds got different data sets, {' and '.join(sorted(names))}. Name "
            "one with --dataset."
        )
    return data


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
    """The seeds whose units are missing, in groups that train together."""
    missing = [s for s in config.seeds if not unit_path(directory, name, s).exists()]
    for first in range(0, len(missing), config.together):
        yield tuple(missing[first : first + config.together])


def _train(
    name: str,
    run: RunConfig,
    seeds: tuple[int, ...],
    data: Mapping[int, Dataset],
    told: Callable[[tuple[EpochRecord, ...]], None] | None,
) -> Iterator[Unit]:
    """Trains a group of seeds and scores each on the test images."""
    configs = [dataclasses.replace(run, seed=seed) for seed in seeds]
    models = [start_model(c, n_classes=data[c.seed].n_classes) for c in configs]
    histories = fit_seeds(
        models,
        [data[seed].train for seed in seeds],
        [data[seed].validation for seed in seeds],
        run.training,
        [jax.random.key(seed) for seed in seeds],
        on_epoch=told,
    )
    test = data[seeds[0]].test  # the same for every seed
    versions = machine_versions()
    flops = flops_of_image(models[0], data[seeds[0]].image_shape)
    # At once: each model alone would compile a program of its own.
    states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(nnx.state, models))
    images = np.broadcast_to(test.images, (len(seeds), *test.images.shape))
    labels = predict_seeds(models[0], states, images).argmax(axis=2)
    of_seeds = zip(seeds, models, histories, labels, strict=True)
    for seed, model, history, predictions in of_seeds:
        quantum, classical = count_parameters(model)
        losses = [record.train_loss for record in history.epochs]
        yield Unit(
            name=name,
            seed=seed,
            dataset=data[seed].name,
            accuracy=float((predictions == test.labels).mean()),
            validation_accuracy=history.best.validation_accuracy,
            diverged=not np.isfinite(losses).all(),
            best_epoch=history.best_epoch,
            n_parameters=quantum + classical,
            n_parameters_quantum=quantum,
            seconds=history.seconds_training,
            versions=versions,
            predictions=tuple(map(int, predictions)),
            flops_per_image=flops,
            memory_bytes=history.memory_bytes,
        )


def _conclude(
    config: AuditConfig,
    twins: Sequence[Twin],
    impossible: Mapping[str, str],
    data: Mapping[int, Dataset],
    units: Mapping[str, Sequence[Unit]],
) -> Audit:
    """Compares the model with every twin; the strongest classical one decides."""
    model, first = config.run.model, data[config.seeds[0]]
    right = {
        name: np.array([u.predictions for u in own]) == first.test.labels
        for name, own in units.items()
    }
    names = [twin.name for twin in twins]
    differences = compare(right[model], {name: right[name] for name in names})
    chance = np.bincount(first.test.labels).max() / len(first.test)
    executions = circuits_per_image(config.run.network, first.image_shape)
    results = [_result(model, units[model], chance, executions, None)]
    results += [
        _result(twin.name, units[twin.name], chance, executions, difference)
        for twin, difference in zip(twins, differences, strict=True)
    ]
    control = _strongest(names, units)
    decisive = differences[names.index(control)]
    meanings = {control: BLOCKS[control]}
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
        sentence=verdict_sentence(model, [decisive], meanings),
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
    """The classical twin of the best mean validation accuracy."""
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
        difference=difference,
        verdict=verdict(difference) if difference else None,
    )
