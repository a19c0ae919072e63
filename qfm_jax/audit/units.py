"""The trainings of an audit: of a model or control with one seed each, many at once."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from ..data import Dataset
from ..models import Classifier, count_parameters
from ..models.flops import flops_of_image
from ..models.prediction import predict_seeds
from ..runs.config import RunConfig
from ..runs.execute import check_memory_of
from ..runs.model import keys_of, start_model
from ..runs.versions import machine_versions
from ..training import fit_seeds
from ..training.history import EpochRecord, History
from .baselines import feature_keeper
from .controls import build_controls, possible_controls
from .records import AuditConfig, Tuning, Unit
from .stored import read_tuning, unit_path, write_unit

Told = Callable[[tuple[EpochRecord, ...]], None]


@dataclasses.dataclass(frozen=True)
class Trainings:
    """What an audit trains, and what of it was missing when that was looked for."""

    config: AuditConfig
    """Of the audit."""
    directory: Path
    """Of the audit."""
    runs: Mapping[str, RunConfig]
    """The model and its controls by name, the model first."""
    impossible: Mapping[str, str]
    """Controls that cannot exist for the model, with the reason."""
    missing: Mapping[str, tuple[tuple[int, ...], ...]]
    """Of each model, the seeds that train together of which one or more is missing.
    Whole groups: seeds that train with fewer others differ in the last bit."""

    @property
    def n_missing(self) -> int:
        """Groups of seeds that are missing."""
        return sum(map(len, self.missing.values()))


def find_trainings(config: AuditConfig, directory: Path) -> Trainings:
    """Finds what an audit trains and what is missing.

    Raises:
        InputError: For a model without a circuit, or a control that cannot exist and
            was asked for by name.

    Example:
        >>> from qfm_jax.models import ModelConfig
        >>> run = RunConfig("tiny", ModelConfig(block="circuit", n_qubits=2))
        >>> config = AuditConfig(run, n_seeds=3, controls=("dense",), together=2)
        >>> find_trainings(config, Path("runs/new")).missing
        {'tiny': ((0, 1), (2,)), 'dense': ((0, 1), (2,))}
    """
    run, impossible = config.run, dict[str, str]()
    if config.controls:
        controls = build_controls(run.network, config.controls)
    else:
        controls, impossible = possible_controls(run.network)
    own = {c.name: dataclasses.replace(run, network=c.network) for c in controls}
    runs = {run.model: run, **own}
    firsts = range(0, config.n_seeds, config.together)
    groups = [config.seeds[first : first + config.together] for first in firsts]
    missing = {
        name: tuple(g for g in groups if not _are_there(directory, name, g))
        for name in runs
    }
    return Trainings(config, directory, runs, impossible, missing)


def _are_there(directory: Path, name: str, seeds: Sequence[int]) -> bool:
    return all(unit_path(directory, name, seed).exists() for seed in seeds)


def check_start(config: AuditConfig, data: Dataset) -> None:
    """Raises where the model cannot start: too large, or with another's trunk.

    Raises:
        InputError: As `check_memory_of` and `start_model` do.
    """
    check_memory_of(config.run, data)
    start_model(config.run, n_classes=data.n_classes, image_shape=data.image_shape)


def tune(
    name: str,
    run: RunConfig,
    config: AuditConfig,
    data: Mapping[int, Dataset],
    told: Callable[[Sequence[int]], Told | None],
    mesh: Mesh | None = None,
) -> Tuning:
    """Trains with every learning rate and every seed of the tuning, if there is any.

    Args:
        name: Name of the model or control.
        run: It as data.
        config: Of the audit.
        data: The images of each seed.
        told: Given the seeds of a group, what is told of its epochs.
        mesh: Devices over which the seeds are spread.
    """
    trials = [(f, seed) for f in config.rate_factors for seed in config.seeds_of_tuning]
    best: list[float] = []
    for first in range(0, len(trials), config.together):
        group = trials[first : first + config.together]
        seeds = [seed for _, seed in group]
        factors = [factor for factor, _ in group]
        _, histories = _fit(run, seeds, data, told(seeds), factors, mesh)
        best += [history.best.validation_accuracy for history in histories]
    rates = tuple(_rate(run, factor) for factor in config.rate_factors)
    of_each = np.reshape(best, (len(rates), -1))
    accuracy = tuple(tuple(map(float, own)) for own in of_each)
    return Tuning(name, data[config.run.seed].name, rates, accuracy)


def train_group(
    config: AuditConfig,
    directory: Path,
    name: str,
    run: RunConfig,
    seeds: Sequence[int],
    data: Mapping[int, Dataset],
    told: Told | None = None,
    mesh: Mesh | None = None,
) -> None:
    """Trains a group of seeds with the rate that was chosen, and writes their files.

    Args:
        config: Of the audit.
        directory: Of the audit; holds the tuning.
        name: Name of the model or control.
        run: It as data.
        seeds: Those that train together.
        data: The images of each seed.
        told: Told of each epoch.
        mesh: Devices over which the seeds are spread.
    """
    factor = config.rate_factors[read_tuning(directory, name).chosen]
    keep = feature_keeper(config, directory, name, seeds, data)
    for unit in train_units(
        name, run, seeds, data, told, rate_factor=factor, mesh=mesh, keep=keep
    ):
        write_unit(directory, unit)


def train_units(
    name: str,
    run: RunConfig,
    seeds: Sequence[int],
    data: Mapping[int, Dataset],
    told: Told | None,
    *,
    rate_factor: float = 1.0,
    mesh: Mesh | None = None,
    keep: Callable[[Classifier], None] | None = None,
) -> Iterator[Unit]:
    """Trains a group of seeds and scores each on the test images.

    `keep` is told of the trained model of the group's first seed.
    """
    rates = [rate_factor] * len(seeds)
    models, histories = _fit(run, seeds, data, told, rates, mesh)
    if keep is not None:
        keep(models[0])
    test = data[seeds[0]].test  # the same for every seed
    versions = machine_versions()
    flops = flops_of_image(models[0], data[seeds[0]].image_shape)
    # At once: each model alone would compile a program of its own.
    states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(nnx.state, models))
    images = [test.pixels] * len(seeds)
    labels = predict_seeds(models[0], states, images, mesh=mesh).argmax(axis=2)
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


def _rate(run: RunConfig, factor: float) -> float:
    return float(f"{factor * run.training.learning_rate:.6g}")  # 0.3 x 0.01 is 0.003


def _fit(
    run: RunConfig,
    seeds: Sequence[int],
    data: Mapping[int, Dataset],
    told: Told | None,
    rate_factors: Sequence[float],
    mesh: Mesh | None,
) -> tuple[list[Classifier], tuple[History, ...]]:
    configs = [dataclasses.replace(run, seed=seed) for seed in seeds]
    models = [
        start_model(
            own,
            n_classes=data[own.seed].n_classes,
            image_shape=data[own.seed].image_shape,
        )
        for own in configs
    ]
    histories = fit_seeds(
        models,
        [data[seed].train for seed in seeds],
        [data[seed].validation for seed in seeds],
        run.training,
        [keys_of(seed).training for seed in seeds],
        rate_factors=rate_factors,
        on_epoch=told,
        mesh=mesh,
    )
    return models, histories
