"""The model and the images of a run, at its start and behind its end."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
from flax import nnx

from .._checks import input_error
from ..data import IMAGE_SHAPE, Dataset, load_splits
from ..devices import DeviceConfig
from ..models import Classifier
from ..models.classifier import FrozenParam
from ..training.checkpoints import Checkpoints
from ..training.store import DEFAULTS, description_of
from .config import RunConfig
from .directory import Run, read_run


class RunKeys(NamedTuple):
    """What is random in a run; no two draw from the same PRNG key."""

    start: jax.Array
    """Of the weights."""
    dropout: jax.Array
    noise: jax.Array
    """Of a circuit that draws its noise."""
    training: jax.Array
    """Of the order of the images and of their augmentation."""


def keys_of(seed: int) -> RunKeys:
    """The keys of a run's seed: one split, a key for each purpose.

    Example:
        >>> len(set(map(str, keys_of(0))))
        4
    """
    return RunKeys(*jax.random.split(jax.random.key(seed), len(RunKeys._fields)))


def build_model(
    config: RunConfig,
    *,
    n_classes: int,
    image_shape: Sequence[int] = IMAGE_SHAPE,
    device: DeviceConfig | None = None,
) -> Classifier:
    """Builds the model of a run at its start; `device` replaces the run's own.

    Example:
        >>> from qfm_jax.models import count_parameters
        >>> from qfm_jax.runs.presets import get_preset
        >>> config = RunConfig("linear", get_preset("linear").network)
        >>> count_parameters(build_model(config, n_classes=3))
        (0, 2355)
    """
    keys = keys_of(config.seed)
    return Classifier(
        config.network,
        image_shape=image_shape,
        n_classes=n_classes,
        device=device or config.device,
        rngs=nnx.Rngs(params=keys.start, dropout=keys.dropout, noise=keys.noise),
    )


def start_model(
    config: RunConfig, *, n_classes: int, image_shape: Sequence[int] = IMAGE_SHAPE
) -> Classifier:
    """Builds the model of a run as training starts it: with its trunk's weights.

    Where the trunk was trained on another split, it has seen some of the validation
    images; it has never seen a test image.

    Raises:
        InputError: For a trunk that is no finished run, or whose layers before the
            block are others.
    """
    model = build_model(config, n_classes=n_classes, image_shape=image_shape)
    if config.trunk is None:
        return model
    trunk = load_model(read_run(Path(config.trunk)))
    ours, theirs = _weights(model.front), _weights(trunk.front)
    shapes = [{path: w.shape for path, w in part.items()} for part in (ours, theirs)]
    if shapes[0] != shapes[1]:
        must = "name a run with the same layers before its block"
        was = f"{config.trunk} has others"
        cure = "Give both the same channels, hidden layers and number of features."
        raise input_error("trunk", must, was, cure)
    for path, weight in ours.items():
        weight[...] = theirs[path][...]
    return model


def _weights(part: nnx.Module) -> dict[tuple, nnx.Variable]:
    """Weights and averages of a part by their paths, trained or not."""
    return {
        path: leaf
        for path, leaf in nnx.iter_graph(part)
        if isinstance(leaf, nnx.Param | FrozenParam | nnx.BatchStat)
    }


def load_model(run: Run, *, device: DeviceConfig | None = None) -> Classifier:
    """Builds the model of a finished run with its best weights.

    Args:
        run: The run.
        device: Runs the circuit on another device than the run's own.

    Raises:
        InputError: If the checkpoint is missing, damaged or of another version.
    """
    n_classes = len(run.result.class_names)
    shape = run.result.image_shape
    model = build_model(
        run.config, n_classes=n_classes, image_shape=shape, device=device
    )
    description = description_of(
        model, run.config.training, run.result.n_train, run.result.n_validation
    )
    checkpoints = Checkpoints(run.directory / "checkpoints", description, DEFAULTS)
    nnx.update(model, checkpoints.restore("best", nnx.state(model)))
    return model


def load_data(run: Run, *, test_size: int | None = None) -> Dataset:
    """Loads the images of a run again, with the same split.

    Args:
        run: The run.
        test_size: Number of test images; all where left out.
    """
    data = dataclasses.replace(run.config.data, test_size=test_size)
    return load_images(dataclasses.replace(run.config, data=data))


def load_images(config: RunConfig) -> Dataset:
    """Loads and splits the images that a configuration names."""
    return load_seeds(config, (config.seed,))[config.seed]


def load_seeds(config: RunConfig, seeds: Sequence[int]) -> dict[int, Dataset]:
    """Its images with the split of each seed; in memory they are once."""
    return load_splits(
        config.data.name,
        folder=config.data.folder,
        train_size=config.data.train_size,
        test_size=config.data.test_size,
        classes=config.data.classes,
        seeds=seeds,
    )
