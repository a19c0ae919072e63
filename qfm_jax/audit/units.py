"""The trainings of an audit: of a model or control with one seed each, many at once."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

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
from .records import AuditConfig, Tuning, Unit

Told = Callable[[tuple[EpochRecord, ...]], None]


def check_start(config: AuditConfig, data: Dataset) -> None:
    """Raises where the model cannot start: too large, or with another's trunk.

    Raises:
        InputError: As `check_memory_of` and `start_model` do.
    """
    check_memory_of(config.run, data)
    start_model(config.run, n_classes=data.n_classes)


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
    images = [test.images] * len(seeds)
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
    models = [start_model(c, n_classes=data[c.seed].n_classes) for c in configs]
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
