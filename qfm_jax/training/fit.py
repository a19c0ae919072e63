"""Model and data -> trained weights and their history; of many seeds at once too."""

from collections.abc import Callable, Sequence
from pathlib import Path

import jax
from flax import nnx
from jax.sharding import Mesh

from .._checks import input_error
from ..data import Images
from ..parallel.mesh import narrowed
from .checks import check_alike, check_own
from .config import Loss, Optimizer, TrainConfig, cross_entropy
from .history import EpochRecord, History
from .loop import Loop, OnEpoch
from .store import Store, description_of, own_description


def fit(
    model: nnx.Module,
    train: Images,
    validation: Images,
    config: TrainConfig,
    key: jax.Array,
    *,
    optimizer: Optimizer | None = None,
    loss: Loss = cross_entropy,
    on_epoch: Callable[[EpochRecord], bool | None] | None = None,
    directory: Path | str | None = None,
    resume: bool = False,
    progress: bool = True,
    mesh: Mesh | None = None,
) -> History:
    """Trains a model in place; leaves it with its best weights, in evaluation mode.

    "Best" is the highest validation accuracy, and of equals the latest. All randomness
    derives from `key` and the step, so that a resumed run equals one that never
    stopped, bit for bit.

    Args:
        model: Any Flax module that maps float images (batch, height, width) in [0, 1]
            to logits.
        train: Images that the weights are fitted to.
        validation: Images that choose the best epoch.
        config: How to train.
        key: PRNG key of shuffling and augmentation.
        optimizer: From the learning rate of each step, which `config` plans, to any
            optax optimiser, such as `optax.lion`; that of `config` where left out.
            Gradients are clipped as `config` says.
        loss: From logits (batch, n_classes) and labels (batch,) to losses (batch,),
            whose mean is minimised; the cross-entropy where left out.
        on_epoch: Called with the record of each epoch; training stops where it returns
            True, and the best weights so far stay.
        directory: Where checkpoints and `metrics.jsonl` go; nowhere where left out.
        resume: Continue from the last checkpoint in `directory`, or from the start
            where none was written yet.
        progress: Show a progress bar.
        mesh: Devices that share each batch; where it spans several processes, all of
            them call this, and the first one alone has a `directory`.

    Returns:
        One record for each epoch.

    Raises:
        InputError: For too few images, labels that the model has no class for, a loss
            of another shape, what is no optimiser, a directory that already holds a
            run, or a checkpoint that does not fit.
        TrainingDiverged: When the loss or its gradient is NaN or infinite.
        TrainingInterrupted: After Ctrl-C, when the checkpoint is written.

    Example:
        >>> from qfm_jax import load_dataset
        >>> from qfm_jax.models import Classifier, ModelConfig
        >>> data = load_dataset("digits", train_size=200)
        >>> model = Classifier(ModelConfig(), rngs=nnx.Rngs(0))
        >>> history = fit(model, data.train, data.validation, TrainConfig(epochs=2),
        ...               jax.random.key(0), progress=False)
        >>> len(history.epochs)
        2
    """
    if resume and directory is None:
        raise input_error("directory", "name the run to resume", "is None")
    check_own(optimizer, loss)
    loop = Loop(
        [model],
        [train],
        [validation],
        config,
        mesh,
        own_optimizer=optimizer,
        loss=loss,
    )
    store = None
    if directory is not None:
        description = description_of(model, config, len(train), len(validation))
        description |= own_description(optimizer, loss)
        store = Store(Path(directory), description)
    told = None if on_epoch is None else lambda records: on_epoch(records[0])
    (history,) = loop.train(
        [key], store, resume=resume, progress=progress, on_epoch=told
    )
    return history


def fit_seeds(
    models: Sequence[nnx.Module],
    train: Sequence[Images],
    validation: Sequence[Images],
    config: TrainConfig,
    keys: Sequence[jax.Array],
    *,
    rate_factors: Sequence[float] | None = None,
    on_epoch: OnEpoch | None = None,
    directory: Path | str | None = None,
    resume: bool = False,
    mesh: Mesh | None = None,
) -> tuple[History, ...]:
    """Trains models that differ in their start and data alone, all at once.

    Every seed sees the batches, and takes the steps, that `fit` takes with its key; the
    results agree but for rounding. A seed whose loss is no longer finite goes on
    without sense, and its records say so: none is dropped. Where `patience` runs out
    for some seeds, they wait for the others.

    Args:
        models: Models of one structure, a seed each; left with their best weights.
        train: Training images of each seed, as many for every seed. Those that were
            taken of the same images are in memory once.
        validation: Validation images of each seed, as many for every seed.
        config: How to train.
        keys: PRNG key of each seed.
        rate_factors: What each seed's learning rate is multiplied with; 1 where left
            out.
        on_epoch: Called with the records of all seeds after each epoch; all stop where
            it returns True.
        directory: Where one checkpoint of all seeds goes, and `metrics-0.jsonl` and so
            on of each; nowhere where left out.
        resume: Continue from that checkpoint, or from the start where none was written.
        mesh: Devices over which the seeds are spread, as many on each: what is
            missing to that are copies of the first one, which count for nothing.
            Devices that would have copies alone are left out.

    Returns:
        The history of each seed. Times and memory are a seed's share.

    Raises:
        InputError: For no model, lists of other lengths, seeds of different numbers of
            images, and all that `fit` refuses.

    Example:
        >>> from qfm_jax import load_dataset
        >>> from qfm_jax.models import Classifier, ModelConfig
        >>> data = load_dataset("digits", train_size=200)
        >>> models = [Classifier(ModelConfig(), rngs=nnx.Rngs(s)) for s in range(3)]
        >>> histories = fit_seeds(models, [data.train] * 3, [data.validation] * 3,
        ...                       TrainConfig(epochs=2), jax.random.split(
        ...                           jax.random.key(0), 3))
        >>> [len(history.epochs) for history in histories]
        [2, 2, 2]
    """
    factors = [1.0] * len(models) if rate_factors is None else list(rate_factors)
    check_alike(
        models, train=train, validation=validation, keys=keys, rate_factors=factors
    )
    if resume and directory is None:
        raise input_error("directory", "name the run to resume", "is None")
    mesh = narrowed(mesh, len(models))
    loop = Loop(models, train, validation, config, mesh, factors)
    store = None
    if directory is not None:
        sizes = len(train[0]), len(validation[0])
        description = description_of(models[0], config, *sizes)
        store = Store(Path(directory), {**description, "rate_factors": factors})
    return loop.train(keys, store, resume=resume, progress=False, on_epoch=on_epoch)
