"""Model and data -> trained weights and their history."""

import dataclasses
import threading
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from .._checks import InputError, input_error
from ..data import Images
from ..models.prediction import predict_logits
from ..parallel.mesh import is_key, place, share_out, take_back
from ..parallel.processes import are_several, exchange, from_first, is_first
from .checkpoints import Checkpoints
from .checks import check_images
from .config import TrainConfig
from .history import (
    EpochRecord,
    History,
    append_record,
    best_epoch,
    epochs_since_better,
    keep_records,
)
from .interruption import deferred_interrupt
from .progress import Progress
from .steps import Steps, TrainState

FEW_STEPS = 100
"""Steps of the optimiser below which a training says that it has few."""


class TrainingDiverged(InputError):  # noqa: N818 - an event, like KeyboardInterrupt
    """The loss or its gradient became NaN or infinite.

    Names epoch, step and the last checkpoint.
    """


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C: a checkpoint was written, then training stopped."""


def fit(
    model: nnx.Module,
    train: Images,
    validation: Images,
    config: TrainConfig,
    key: jax.Array,
    *,
    directory: Path | str | None = None,
    resume: bool = False,
    progress: bool = True,
    mesh: Mesh | None = None,
) -> History:
    """Trains a model in place; leaves it with its best weights, in evaluation mode.

    The loss is the mean cross-entropy of a batch. "Best" is the highest validation
    accuracy, and of equals the latest. All randomness derives from `key` and the
    step, so that a resumed run equals one that never stopped, bit for bit.

    Args:
        model: Maps float images (batch, height, width) in [0, 1] to logits.
        train: Images that the weights are fitted to.
        validation: Images that choose the best epoch.
        config: How to train.
        key: PRNG key of shuffling and augmentation.
        directory: Where checkpoints and `metrics.jsonl` go; nowhere where left out.
        resume: Continue from the last checkpoint in `directory`, or from the start
            where none was written yet.
        progress: Show a progress bar.
        mesh: Devices that share each batch; where it spans several processes, all of
            them call this, and the first one alone has a `directory`.

    Returns:
        One record for each epoch.

    Raises:
        InputError: For too few images, labels that the model has no class for, a
            directory that already holds a run, or a checkpoint that does not fit.
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
    check_images(model, train=train, validation=validation)
    if resume and directory is None:
        raise input_error("directory", "name the run to resume", "is None")
    trainer = _Trainer(model, train, validation, config, mesh)
    state = trainer.steps.initial_state(model, key)
    records: tuple[EpochRecord, ...] = ()
    store = None
    if directory is not None:
        description = description_of(model, config, len(train), len(validation))
        store = _Store(Path(directory), description)
        if not resume:
            store.check_is_empty()
        elif store.checkpoints.latest("last"):
            state = store.checkpoints.restore("last", state)
            for name in ("last", "best"):
                store.checkpoints.keep_latest(name)
        n_epochs = int(state.step) // trainer.steps.per_epoch
        records = keep_records(store.metrics, n_epochs)
    state, records = _of_first(state, records)
    first_step = int(state.step)
    is_shown = progress and is_first()
    epochs, per_epoch = trainer.steps.config.epochs, trainer.steps.per_epoch
    bar = Progress(epochs, per_epoch, first_step, enabled=is_shown)
    if found := few_steps(config, len(train)):
        bar.note(found)
    with bar, deferred_interrupt() as interrupted:
        return trainer.run(place(state, mesh), records, store, bar, interrupted)


def few_steps(config: TrainConfig, n_images: int) -> str | None:
    """Says that a training has few steps of the optimiser; None where it has enough.

    Example:
        >>> print(few_steps(TrainConfig(epochs=2), 1_000))
        Only 14 steps of the optimiser (2 epochs of 7 batches): few models learn in
        fewer than 100. Ask for more epochs, or leave their number out.
    """
    n_steps, n_epochs = config.n_steps(n_images), config.settled(n_images).epochs
    if n_steps >= FEW_STEPS:
        return None
    steps, epochs = _counted(n_steps, "step"), _counted(n_epochs, "epoch")
    batches = _counted(n_steps // n_epochs, "batch", "batches")
    return (
        f"Only {steps} of the optimiser ({epochs} of {batches}): few models learn in "
        f"fewer than {FEW_STEPS}. Ask for more epochs, or leave their number out."
    )


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def _of_first(
    state: TrainState, records: tuple[EpochRecord, ...]
) -> tuple[TrainState, tuple[EpochRecord, ...]]:
    """Where training stands in the first of several processes: it read that."""
    if not are_several():
        return state, records
    plain = exchange([dataclasses.asdict(record) for record in records])[0]
    records = tuple(EpochRecord(**record) for record in plain)
    leaves, structure = jax.tree.flatten(state)
    hosted = [jax.random.key_data(x) if is_key(x) else x for x in leaves]
    found = from_first([np.asarray(x) for x in hosted])
    keyed = [
        jax.random.wrap_key_data(jnp.asarray(x), impl=jax.random.key_impl(leaf))
        if is_key(leaf)
        else jnp.asarray(x)
        for x, leaf in zip(found, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, keyed), records


class _Store(NamedTuple):
    """Where a run is kept on disk."""

    directory: Path
    description: dict[str, Any]

    def check_is_empty(self) -> None:
        if self.metrics.exists() or self.checkpoints.latest("last"):
            raise InputError(
                f"{self.directory} already holds a run, and nothing is overwritten. "
                "Name another directory, or resume that run."
            )

    @property
    def metrics(self) -> Path:
        return self.directory / "metrics.jsonl"

    @property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.directory / "checkpoints", self.description, DEFAULTS)


class _Trainer:
    """The loop that drives the steps: validation, records, checkpoints, progress."""

    def __init__(
        self,
        model: nnx.Module,
        train: Images,
        validation: Images,
        config: TrainConfig,
        mesh: Mesh | None,
    ):
        self.model = model
        self.config = config
        self.mesh = mesh
        self.validation = validation
        # uint8: whole epochs on the device; of several, each holds a share
        self.images = share_out(train.images, mesh)
        self.labels = share_out(train.labels, mesh)
        self.steps = Steps.of(model, config, len(train), mesh)
        self._tell_of_padding()

    def _tell_of_padding(self) -> None:
        size = self.steps.batch_size
        n_devices = self.mesh.size if self.mesh else 1
        if size % n_devices and is_first():
            full = -(-size // n_devices) * n_devices
            warnings.warn(
                f"A batch of {size} images does not divide over {n_devices} devices: "
                f"it is padded to {full}, and what was added counts for nothing.",
                stacklevel=4,
            )

    def run(
        self,
        state: TrainState,
        records: tuple[EpochRecord, ...],
        store: _Store | None,
        bar: Progress,
        interrupted: threading.Event,
    ) -> History:
        seconds_compiling = self._compile(state, bar)
        while int(state.step) < self.steps.count and not self._is_over(records):
            epoch = int(state.step) // self.steps.per_epoch + 1
            state = self._run_epoch(epoch, state, store, bar, interrupted)
            state, record = self._finish_epoch(epoch, state, records, store)
            records = (*records, record)
            bar.finish_epoch(record, best=best_epoch(records) == epoch)
            if any(exchange(interrupted.is_set())):
                raise _interruption(record.step, store)
        nnx.update(self.model, *take_back(state.best, self.mesh))
        return History(records, best_epoch(records), seconds_compiling)

    def _compile(self, state: TrainState, bar: Progress) -> float:
        """Compiles by taking no step; returns the time it took in seconds."""
        bar.say("compiling the training step ...")
        start = time.perf_counter()
        order = self.steps.order(state.key, 1)
        stop = int(state.step)
        advanced = self.steps.advance(state, self.images, self.labels, order, stop)
        jax.block_until_ready(advanced)
        nnx.update(self.model, state.params, state.others)
        blank = np.zeros_like(self.validation.images[:1])
        predict_logits(self.model, blank, mesh=self.mesh)
        # All go on together: who waits in a first collective waits half a minute.
        return max(exchange(time.perf_counter() - start))

    def _is_over(self, records: tuple[EpochRecord, ...]) -> bool:
        """Whether patience has run out."""
        if not self.config.patience or not records:
            return False
        return epochs_since_better(records) >= self.config.patience

    def _run_epoch(
        self,
        epoch: int,
        state: TrainState,
        store: _Store | None,
        bar: Progress,
        interrupted: threading.Event,
    ) -> TrainState:
        """Takes the steps of an epoch that are left, about a second at a time."""
        end = epoch * self.steps.per_epoch
        order = self.steps.order(state.key, epoch)
        chunk, saved = 1, time.monotonic()
        while int(state.step) < end:
            first = int(state.step)
            stop = min(end, first + chunk)
            start = time.perf_counter()
            state = self.steps.advance(state, self.images, self.labels, order, stop)
            jax.block_until_ready(state)
            # Where there are several processes, they must agree on what comes next.
            seconds = max(exchange(time.perf_counter() - start))
            state = state._replace(seconds=state.seconds + np.float32(seconds))
            self._check_finite(state, store)
            chunk = max(1, round((stop - first) / seconds))
            self._show(epoch, state, bar)
            if stop == end:  # `_finish_epoch` saves the epoch as a whole
                break
            is_over = any(exchange(interrupted.is_set()))
            late = time.monotonic() - saved > self.config.checkpoint_seconds
            if store and (late or is_over):
                store.checkpoints.save("last", stop, state)
                saved = time.monotonic()
            if is_over:
                raise _interruption(stop, store)
        return state

    def _show(self, epoch: int, state: TrainState, bar: Progress) -> None:
        n_steps = int(state.step) - (epoch - 1) * self.steps.per_epoch
        n_images = n_steps * self.steps.batch_size
        bar.advance(
            epoch=epoch,
            step=int(state.step),
            loss=float(state.loss_sum) / n_steps,
            accuracy=int(state.n_right) / n_images,
            images_per_second=n_images / float(state.seconds),
        )

    def _finish_epoch(
        self,
        epoch: int,
        state: TrainState,
        records: tuple[EpochRecord, ...],
        store: _Store | None,
    ) -> tuple[TrainState, EpochRecord]:
        """Validates, records, and saves: metrics first, since a checkpoint counts."""
        nnx.update(self.model, state.params, state.others)
        labels = self.validation.labels
        images = self.validation.images
        logits = predict_logits(self.model, images, mesh=self.mesh)
        seconds = float(state.seconds)
        record = self.steps.record(state, epoch, logits, labels, seconds)
        if not np.isfinite(record.validation_loss):
            raise self._diverged(int(state.step) - 1, store)
        is_best = best_epoch((*records, record)) == epoch
        state = state._replace(
            loss_sum=place(np.float32(0), self.mesh),
            n_right=place(np.int32(0), self.mesh),
            seconds=place(np.float32(0), self.mesh),
            best=(state.params, state.others) if is_best else state.best,
        )
        if store:
            append_record(store.metrics, record)
            if is_best:
                store.checkpoints.save("best", record.step, nnx.state(self.model))
            store.checkpoints.save("last", record.step, state)
        return state, record

    def _check_finite(self, state: TrainState, store: _Store | None) -> None:
        if int(state.bad_step) >= 0:
            raise self._diverged(int(state.bad_step), store)

    def _diverged(self, step: int, store: _Store | None) -> TrainingDiverged:
        epoch = step // self.steps.per_epoch + 1
        good = store.checkpoints.latest("last") if store else None
        where = f"The last good checkpoint is {good}" if good else "None was saved"
        if not is_first():
            where = "Process 0 says which checkpoint is the last good one"
        return TrainingDiverged(
            "The loss or its gradient is not finite any more at epoch "
            f"{epoch}, step {step + 1}. {where}. Lower the learning rate "
            f"(now {self.config.learning_rate:g}), or clip the gradient's norm."
        )


def _interruption(step: int, store: _Store | None) -> TrainingInterrupted:
    if not is_first():
        return TrainingInterrupted("Training was interrupted; process 0 saves it.")
    if store is None:
        return TrainingInterrupted(
            f"Training was interrupted at step {step}; without a directory nothing "
            "was saved."
        )
    return TrainingInterrupted(
        f"Training was interrupted; the checkpoint of step {step} is saved. Continue "
        f"with --resume {store.directory}."
    )


DEFAULTS = {"training": dataclasses.asdict(TrainConfig())}
"""What a checkpoint was trained with, as far as it was written before there was a
choice."""


def description_of(
    model: nnx.Module, config: TrainConfig, n_train: int, n_validation: int
) -> dict[str, Any]:
    """What a checkpoint must share with a run to belong to it.

    Example:
        >>> model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
        >>> description_of(model, TrainConfig(), 100, 10)["weights"]
        {'bias': [3], 'kernel': [2, 3]}
    """
    weights = nnx.to_flat_state(nnx.state(model, nnx.Param))
    return {
        "training": dataclasses.asdict(config),
        "n_train": n_train,
        "n_validation": n_validation,
        "weights": {"/".join(map(str, path)): list(w.shape) for path, w in weights},
    }
