"""Model and data -> trained weights and their history."""

import dataclasses
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from ._checks import InputError, check_at_least, check_one_of, check_range, input_error
from .augmentation import shift_and_flip
from .checkpoints import Checkpoints
from .data import Images
from .history import EpochRecord, History, append_record, best_epoch, keep_records
from .models.prediction import predict_logits, to_unit
from .progress import Progress


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How a model is trained.

    Example:
        >>> TrainConfig(epochs=3, augment=True).batch_size
        128
    """

    epochs: int = 10
    """Passes over the training images."""

    batch_size: int = 128
    """Images a step. The images of an epoch that fill no whole batch are left out;
    each epoch is shuffled anew, so none is left out twice but by chance."""

    learning_rate: float = 4e-3
    """Peak of the schedule: linear warm-up, then half a cosine down to zero."""

    warmup_fraction: float = 0.05
    """Share of all steps spent warming up, in [0, 1]."""

    optimizer: Literal["adam", "adamw"] = "adam"
    """Adam, or AdamW with `weight_decay`."""

    weight_decay: float = 1e-4
    """Decoupled decay a step, for AdamW only."""

    clip_norm: float = 1.0
    """Largest global norm of a gradient; 0 for no clipping."""

    augment: bool = False
    """Shift by up to 2 pixels and flip left to right, at random."""

    patience: int = 0
    """Epochs without a better validation accuracy before stopping; 0 for never."""

    checkpoint_seconds: float = 60.0
    """Longest time in seconds between two checkpoints within an epoch."""

    def __post_init__(self) -> None:
        check_at_least("epochs", self.epochs, 1)
        check_at_least("batch_size", self.batch_size, 1)
        check_range("learning_rate", self.learning_rate, 0)
        check_range("warmup_fraction", self.warmup_fraction, 0, 1)
        check_one_of("optimizer", self.optimizer, ("adam", "adamw"))
        check_range("weight_decay", self.weight_decay, 0)
        check_range("clip_norm", self.clip_norm, 0)
        check_at_least("patience", self.patience, 0)
        check_range("checkpoint_seconds", self.checkpoint_seconds, 0)


class TrainingDiverged(InputError):  # noqa: N818 - an event, like KeyboardInterrupt
    """The loss became NaN or infinite; names epoch, step and the last checkpoint."""


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
) -> History:
    """Trains a model in place; leaves it with its best weights, in evaluation mode.

    The loss is the mean cross-entropy of a batch. "Best" is the highest validation
    accuracy, and of equals the earliest. All randomness derives from `key` and the
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

    Returns:
        One record for each epoch.

    Raises:
        InputError: For too few images, labels that the model has no class for, a
            directory that already holds a run, or a checkpoint that does not fit.
        TrainingDiverged: When the loss is NaN or infinite.
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
    check_at_least("train", len(train), 1, "Pass at least one training image.")
    check_at_least("validation", len(validation), 1, "Pass at least one image.")
    _check_labels(model, train=train, validation=validation)
    if resume and directory is None:
        raise input_error("directory", "name the run to resume", "is None")
    trainer = _Trainer(model, train, validation, config)
    state = trainer.initial_state(key)
    records: tuple[EpochRecord, ...] = ()
    store = None
    if directory is not None:
        description = description_of(model, config, len(train), len(validation))
        store = _Store(Path(directory), description)
        if not resume:
            store.check_is_empty()
        elif store.checkpoints.latest("last"):
            state = store.checkpoints.restore("last", state)
        n_epochs = int(state.step) // trainer.steps_per_epoch
        records = keep_records(store.metrics, n_epochs)
    first_step = int(state.step)
    bar = Progress(config.epochs, trainer.steps_per_epoch, first_step, enabled=progress)
    with bar, _deferred_interrupt() as interrupted:
        return trainer.run(state, records, store, bar, interrupted)


class _State(NamedTuple):
    """All that training changes; what a checkpoint holds."""

    params: nnx.State
    others: nnx.State
    """Variables of the model that are not trained, such as running averages."""
    optimizer: optax.OptState
    key: jax.Array
    step: jax.Array
    """Steps done, int32."""
    loss_sum: jax.Array
    """Sum of the batch losses of this epoch."""
    n_right: jax.Array
    """Images of this epoch that were classified rightly, int32."""
    bad_step: jax.Array
    """The first step with a loss that is not finite, or -1."""
    seconds: jax.Array
    """Time that this epoch's steps took so far."""
    best: tuple[nnx.State, nnx.State]
    """`params` and `others` of the best epoch."""


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
        return Checkpoints(self.directory / "checkpoints", self.description)


class _Trainer:
    """The compiled parts of training, and the loop that drives them."""

    def __init__(
        self, model: nnx.Module, train: Images, validation: Images, config: TrainConfig
    ):
        self.model = model
        self.config = config
        self.validation = validation
        self.images = jnp.asarray(train.images)  # uint8: whole epochs on the device
        self.labels = jnp.asarray(train.labels)
        self.batch_size = min(config.batch_size, len(train))
        self.steps_per_epoch = len(train) // self.batch_size
        self.n_steps = config.epochs * self.steps_per_epoch
        self.schedule = _schedule(config, self.n_steps)
        self.optimizer = _optimizer(config, self.schedule)
        model.train()  # the mode of the steps; validation and the result have the other
        self.graphdef = nnx.graphdef(model)
        model.eval()
        self.advance = jax.jit(self._advance)

    def initial_state(self, key: jax.Array) -> _State:
        params = nnx.state(self.model, nnx.Param)
        others = nnx.state(self.model, nnx.Not(nnx.Param))
        return _State(
            params=params,
            others=others,
            optimizer=self.optimizer.init(params),
            key=key,
            step=jnp.int32(0),
            loss_sum=jnp.float32(0),
            n_right=jnp.int32(0),
            bad_step=jnp.int32(-1),
            seconds=jnp.float32(0),
            best=(params, others),
        )

    def run(
        self,
        state: _State,
        records: tuple[EpochRecord, ...],
        store: _Store | None,
        bar: Progress,
        interrupted: threading.Event,
    ) -> History:
        seconds_compiling = self._compile(state, bar)
        while int(state.step) < self.n_steps and not self._is_over(records):
            epoch = int(state.step) // self.steps_per_epoch + 1
            state = self._run_epoch(epoch, state, store, bar, interrupted)
            state, record = self._finish_epoch(epoch, state, records, store)
            records = (*records, record)
            bar.finish_epoch(record, best=best_epoch(records) == epoch)
            if interrupted.is_set():
                raise _interruption(record.step, store)
        nnx.update(self.model, *state.best)
        return History(records, best_epoch(records), seconds_compiling)

    def _compile(self, state: _State, bar: Progress) -> float:
        """Compiles by taking no step; returns the time it took in seconds."""
        bar.say("compiling the training step ...")
        start = time.perf_counter()
        order = self._order(state.key, 1)
        stop = int(state.step)
        advanced = self.advance(state, self.images, self.labels, order, stop)
        jax.block_until_ready(advanced)
        predict_logits(self.model, self.validation.images[:1])
        return time.perf_counter() - start

    def _is_over(self, records: tuple[EpochRecord, ...]) -> bool:
        """Whether patience has run out."""
        if not self.config.patience or not records:
            return False
        return len(records) - best_epoch(records) >= self.config.patience

    def _run_epoch(
        self,
        epoch: int,
        state: _State,
        store: _Store | None,
        bar: Progress,
        interrupted: threading.Event,
    ) -> _State:
        """Takes the steps of an epoch that are left, about a second at a time."""
        end = epoch * self.steps_per_epoch
        order = self._order(state.key, epoch)
        chunk, saved = 1, time.monotonic()
        while int(state.step) < end:
            first = int(state.step)
            stop = min(end, first + chunk)
            start = time.perf_counter()
            state = self.advance(state, self.images, self.labels, order, stop)
            jax.block_until_ready(state)
            seconds = time.perf_counter() - start
            state = state._replace(seconds=state.seconds + jnp.float32(seconds))
            self._check_finite(state, store)
            chunk = max(1, round((stop - first) / seconds))
            self._show(epoch, state, bar)
            if stop == end:  # `_finish_epoch` saves the epoch as a whole
                break
            late = time.monotonic() - saved > self.config.checkpoint_seconds
            if store and (late or interrupted.is_set()):
                store.checkpoints.save("last", stop, state)
                saved = time.monotonic()
            if interrupted.is_set():
                raise _interruption(stop, store)
        return state

    def _advance(
        self,
        state: _State,
        images: jax.Array,
        labels: jax.Array,
        order: jax.Array,
        stop: int,
    ) -> _State:
        """Steps until step `stop`: one program, whatever the number of steps."""

        def step(state: _State) -> _State:
            start = state.step % self.steps_per_epoch * self.batch_size
            batch = jax.lax.dynamic_slice(order, (start,), (self.batch_size,))
            return self._step(state, images[batch], labels[batch])

        return jax.lax.while_loop(lambda state: state.step < stop, step, state)

    def _step(self, state: _State, images: jax.Array, labels: jax.Array) -> _State:
        if self.config.augment:
            key = jax.random.fold_in(state.key, state.step)
            images = shift_and_flip(images, key=key)

        def loss_of(params: nnx.State) -> tuple[jax.Array, Any]:
            model = nnx.merge(self.graphdef, params, state.others, copy=True)
            logits = model(to_unit(images))
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            n_right = jnp.sum(logits.argmax(axis=1) == labels)
            others = nnx.state(model, nnx.Not(nnx.Param))
            return losses.mean(), (n_right, others)

        gradient_of = jax.value_and_grad(loss_of, has_aux=True)
        (loss, (n_right, others)), gradient = gradient_of(state.params)
        updates, optimizer = self.optimizer.update(
            gradient, state.optimizer, state.params
        )
        is_first_bad = (state.bad_step < 0) & ~jnp.isfinite(loss)
        return state._replace(
            params=optax.apply_updates(state.params, updates),
            others=others,
            optimizer=optimizer,
            step=state.step + 1,
            loss_sum=state.loss_sum + loss,
            n_right=state.n_right + n_right,
            bad_step=jnp.where(is_first_bad, state.step, state.bad_step),
        )

    def _order(self, key: jax.Array, epoch: int) -> jax.Array:
        """The shuffled indices of an epoch's images; steps fold in other numbers."""
        key = jax.random.fold_in(jax.random.fold_in(key, self.n_steps), epoch)
        return jax.random.permutation(key, len(self.labels))

    def _show(self, epoch: int, state: _State, bar: Progress) -> None:
        n_steps = int(state.step) - (epoch - 1) * self.steps_per_epoch
        n_images = n_steps * self.batch_size
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
        state: _State,
        records: tuple[EpochRecord, ...],
        store: _Store | None,
    ) -> tuple[_State, EpochRecord]:
        """Validates, records, and saves: metrics first, since a checkpoint counts."""
        nnx.update(self.model, state.params, state.others)
        labels = self.validation.labels
        logits = predict_logits(self.model, self.validation.images)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        n_images = self.steps_per_epoch * self.batch_size
        seconds = float(state.seconds)
        record = EpochRecord(
            epoch=epoch,
            step=int(state.step),
            train_loss=float(state.loss_sum) / self.steps_per_epoch,
            train_accuracy=int(state.n_right) / n_images,
            validation_loss=float(losses.mean()),
            validation_accuracy=float((logits.argmax(axis=1) == labels).mean()),
            learning_rate=float(self.schedule(int(state.step) - 1)),
            seconds=seconds,
            images_per_second=n_images / seconds,
        )
        if not np.isfinite(record.validation_loss):
            raise self._diverged(int(state.step) - 1, store)
        is_best = best_epoch((*records, record)) == epoch
        state = state._replace(
            loss_sum=jnp.float32(0),
            n_right=jnp.int32(0),
            seconds=jnp.float32(0),
            best=(state.params, state.others) if is_best else state.best,
        )
        if store:
            append_record(store.metrics, record)
            if is_best:
                store.checkpoints.save("best", record.step, nnx.state(self.model))
            store.checkpoints.save("last", record.step, state)
        return state, record

    def _check_finite(self, state: _State, store: _Store | None) -> None:
        if int(state.bad_step) >= 0:
            raise self._diverged(int(state.bad_step), store)

    def _diverged(self, step: int, store: _Store | None) -> TrainingDiverged:
        epoch = step // self.steps_per_epoch + 1
        good = store.checkpoints.latest("last") if store else None
        where = f"The last good checkpoint is {good}" if good else "None was saved"
        return TrainingDiverged(
            f"The loss is not finite any more at epoch {epoch}, step {step + 1}. "
            f"{where}. Lower the learning rate (now {self.config.learning_rate:g}), or "
            "clip the gradient's norm."
        )


def _check_labels(model: nnx.Module, **parts: Images) -> None:
    """Raises unless the model has a class for every label; traces it once."""
    graphdef, state = nnx.split(model)
    image_shape = parts["train"].images.shape[1:]
    batch = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)

    def logits_of(state: nnx.State, images: jax.Array) -> jax.Array:
        return nnx.merge(graphdef, state, copy=True)(images)

    n_classes = jax.eval_shape(logits_of, state, batch).shape[-1]
    for name, part in parts.items():
        low, high = part.labels.min(), part.labels.max()
        if low < 0 or high >= n_classes:
            must = f"have labels in [0, {n_classes - 1}]"
            cure = "Build the model with as many classes as the data have."
            raise input_error(name, must, f"has {low} to {high}", cure)


def _interruption(step: int, store: _Store | None) -> TrainingInterrupted:
    if store is None:
        return TrainingInterrupted(
            f"Training was interrupted at step {step}; without a directory nothing "
            "was saved."
        )
    return TrainingInterrupted(
        f"Training was interrupted; the checkpoint of step {step} is saved. Continue "
        f"with --resume {store.directory}."
    )


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


def _schedule(config: TrainConfig, n_steps: int) -> optax.Schedule:
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=config.learning_rate,
        warmup_steps=min(round(config.warmup_fraction * n_steps), n_steps - 1),
        decay_steps=n_steps,
    )


def _optimizer(
    config: TrainConfig, schedule: optax.Schedule
) -> optax.GradientTransformation:
    steps = [optax.clip_by_global_norm(config.clip_norm)] if config.clip_norm else []
    if config.optimizer == "adamw":
        steps.append(optax.adamw(schedule, weight_decay=config.weight_decay))
    else:
        steps.append(optax.adam(schedule))
    return optax.chain(*steps)


@contextmanager
def _deferred_interrupt() -> Iterator[threading.Event]:
    """Turns the first Ctrl-C into an event, so that a step is never torn.

    A second one stops at once. Signals reach the main thread alone: in another one
    nothing is installed.
    """
    interrupted = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, previous)
