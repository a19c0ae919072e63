"""The loop over the epochs of a training, of one model or of many seeds of it."""

import threading
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from .._checks import InputError
from ..data import Images
from ..data.images import pooled
from ..models.prediction import predict_logits, predict_seeds
from ..parallel.mesh import place, share_out, take_back
from ..parallel.processes import exchange, is_first
from ..simulator.arrays import on_gpu
from .checks import check_images, few_steps
from .config import Loss, Optimizer, TrainConfig, cross_entropy
from .history import EpochRecord, History, best_epoch, epochs_since_better
from .interruption import deferred_interrupt
from .progress import TrainingProgress
from .steps import Steps, TrainState
from .store import Records, Store, of_first

OnEpoch = Callable[[tuple[EpochRecord, ...]], bool | None]
"""Called with the record of each seed; training stops where it returns True."""


class TrainingDiverged(InputError):  # noqa: N818 - an event, like KeyboardInterrupt
    """The loss or its gradient became NaN or infinite.

    Names epoch, step and the last checkpoint.
    """


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C: a checkpoint was written, then training stopped."""


class Loop:
    """The loop that drives the steps: validation, records, checkpoints, progress.

    It is that of one model, whose batches a mesh may share, and with `rate_factors`
    that of many seeds, which a mesh may share: records are lists of each seed's.
    """

    def __init__(
        self,
        models: Sequence[nnx.Module],
        train: Sequence[Images],
        validation: Sequence[Images],
        config: TrainConfig,
        mesh: Mesh | None,
        rate_factors: Sequence[float] | None = None,
        own_optimizer: Optimizer | None = None,
        loss: Loss = cross_entropy,
    ):
        check_images(models[0], train=train, validation=validation)
        self.models = models
        self.validation = validation
        self.config = config
        self.mesh = mesh
        self.n_seeds = None if rate_factors is None else len(models)
        self.rate_factors = rate_factors or [1.0]
        self.steps = Steps.of(
            models[0], config, len(train[0]), mesh, self.n_seeds, own_optimizer, loss
        )
        self._place(train)

    def _place(self, train: Sequence[Images]) -> None:
        """The training images, uint8: whole epochs are on the devices."""
        if self.n_seeds is None:
            _warn_of_padding(self.steps.batch_size, self.mesh)
            # Of several processes, each holds a share.
            self.images = share_out(train[0].pixels, self.mesh)
            self.labels = share_out(train[0].labels, self.mesh)
            rows, rates = np.arange(len(train[0])), np.array(1, np.float32)
        else:
            images, labels, taken = pooled(train)
            used, rows = np.unique(np.stack(taken), return_inverse=True)
            self.images = place(images[used], self.mesh)
            self.labels = place(labels[used], self.mesh)
            rates = np.array(self.rate_factors, np.float32)
        self.rows, self.rates = self.steps.placed((rows.astype(np.int32), rates))

    def train(
        self,
        keys: Sequence[jax.Array],
        store: Store | None,
        *,
        resume: bool,
        progress: bool,
        on_epoch: OnEpoch | None = None,
    ) -> tuple[History, ...]:
        """Trains from the start, or from where the store is, to the best weights."""
        state = self.steps.initial_state(self.models, keys)
        records: list[Records] = [()] * len(self.models)
        if store is not None:
            if resume:
                state = store.last(state)
            else:
                store.check_is_empty()
            n_epochs = int(np.max(state.step)) // self.steps.per_epoch
            records = store.records(self.n_seeds, n_epochs)
        if self.n_seeds is None:
            state, records[0] = of_first(state, records[0])
        bar = TrainingProgress(
            self.steps.config.epochs,
            self.steps.per_epoch,
            int(np.max(state.step)),
            enabled=progress and is_first(),
        )
        if found := few_steps(self.config, self.steps.n_images):
            bar.print(found, "yellow")
        # Without a place to keep them, many seeds are stopped at once.
        waits = self.n_seeds is None or store is not None
        caught = deferred_interrupt() if waits else nullcontext(threading.Event())
        with bar, caught as interrupted:
            told = _Told(store, bar, interrupted, on_epoch)
            return self._run(self.steps.placed(state), records, told)

    def _run(
        self, state: TrainState, records: list[Records], told: "_Told"
    ) -> tuple[History, ...]:
        seconds_compiling, memory = self._compile(state, told.bar)
        step = self._step_of(state)
        while step < self.steps.count and not all(map(self._is_over, records)):
            epoch = step // self.steps.per_epoch + 1
            state = self._run_epoch(epoch, state, told)
            state, records, stops = self._finish_epoch(epoch, state, records, told)
            step = self._step_of(state)
            if any(exchange(stops)):
                break
            if any(exchange(told.interrupted.is_set())):
                raise _interruption(step, told.store)
        best = take_back(state.best, self.mesh) if self.n_seeds is None else state.best
        if self.n_seeds is not None and self.mesh:
            best = jax.device_put(best, self.mesh.devices.flat[0])
        for i, model in enumerate(self.models):
            model.eval()
            nnx.update(model, *self.steps.of_seed(best, i))
        learnt = [self._until_over(own) for own in records]
        return tuple(
            History(own, best_epoch(own), seconds_compiling, memory) for own in learnt
        )

    def _compile(self, state: TrainState, bar: TrainingProgress) -> tuple[float, int]:
        """Compiles; returns the time of it in seconds and bytes, a seed's share."""
        bar.say("compiling the training step ...")
        start = time.perf_counter()
        first = self._step_of(state)
        orders = self.steps.orders(state.key, self.rows, 1)
        advance = self.steps.advance
        given = (state, orders, self.rates, self.images, self.labels, first, first)
        memory = _working_memory(advance.lower(self.steps, *given).compile())
        jax.block_until_ready(advance(*given))  # takes no step
        self._logits(state, first_only=True)
        # All go on together: who waits in a first collective waits half a minute.
        seconds = max(exchange(time.perf_counter() - start))
        if (
            self.n_seeds is not None and on_gpu()
        ):  # else one seed is worked on at a time
            n_devices = self.mesh.size if self.mesh else 1
            memory = memory * n_devices // len(state.step)
        return seconds / len(self.models), memory

    def _step_of(self, state: TrainState) -> int:
        return int(np.max(state.step))  # all seeds are at the same

    def _until_over(self, records: Records) -> Records:
        """The epochs up to that in which patience ran out."""
        patience = self.config.patience
        for n in range(1, len(records) + 1):
            if patience and epochs_since_better(records[:n]) >= patience:
                return records[:n]
        return records

    def _is_over(self, records: Records) -> bool:
        """Whether patience has run out."""
        if not self.config.patience or not records:
            return False
        own = self._until_over(records)
        return epochs_since_better(own) >= self.config.patience

    def _run_epoch(self, epoch: int, state: TrainState, told: "_Told") -> TrainState:
        """Takes the steps of an epoch that are left, about a second at a time."""
        end = epoch * self.steps.per_epoch
        orders = self.steps.orders(state.key, self.rows, epoch)
        first, chunk, saved = self._step_of(state), 1, time.monotonic()
        while first < end:
            stop = min(end, first + chunk)
            start = time.perf_counter()
            parts = orders, self.rates, self.images, self.labels
            state = self.steps.advance(state, *parts, first, stop)
            jax.block_until_ready(state)
            # Where there are several processes, they must agree on what comes next.
            seconds = max(exchange(time.perf_counter() - start))
            share = np.float32(seconds / len(self.models))
            state = state._replace(seconds=state.seconds + share)
            if self.n_seeds is None and int(state.bad_step) >= 0:
                raise self._diverged(int(state.bad_step), told.store)
            chunk = max(1, round((stop - first) / seconds))
            first = stop
            self._show(epoch, state, stop, told.bar)
            if stop == end:  # `_finish_epoch` saves the epoch as a whole
                break
            is_over = any(exchange(told.interrupted.is_set()))
            late = time.monotonic() - saved > self.config.checkpoint_seconds
            if told.store and (late or is_over):
                told.store.checkpoints.save("last", stop, self._kept(state))
                saved = time.monotonic()
            if is_over:
                raise _interruption(stop, told.store)
        return state

    def _show(
        self, epoch: int, state: TrainState, step: int, bar: TrainingProgress
    ) -> None:
        n_steps = step - (epoch - 1) * self.steps.per_epoch
        n_images = n_steps * self.steps.batch_size
        bar.advance(
            epoch=epoch,
            step=step,
            loss=float(np.mean(state.loss_sum)) / n_steps,
            accuracy=float(np.mean(state.n_right)) / n_images,
            images_per_second=n_images / float(np.mean(state.seconds)),
        )

    def _finish_epoch(
        self, epoch: int, state: TrainState, records: list[Records], told: "_Told"
    ) -> tuple[TrainState, list[Records], bool]:
        """Validates, records, and saves: metrics first, since a checkpoint counts.

        Returns:
            The state, the records, and whether somebody who was told stops here.
        """
        logits = self._logits(state)
        sums = jax.device_get((state.loss_sum, state.n_right, state.seconds))
        new = tuple(
            self.steps.record(
                epoch,
                self.steps.of_seed(sums, i),
                logits[i],
                part.labels,
                self.rate_factors[i],
            )
            for i, part in enumerate(self.validation)
        )
        step = self._step_of(state)
        if self.n_seeds is None and not np.isfinite(new[0].validation_loss):
            raise self._diverged(step - 1, told.store)
        records = [(*old, one) for old, one in zip(records, new, strict=True)]
        is_best = [best_epoch(self._until_over(own)) == epoch for own in records]
        state = self.steps.next_epoch(state, is_best)
        if told.store:
            told.store.append(self.n_seeds, new)
            if self.n_seeds is None and is_best[0]:
                best = nnx.state(self.models[0])
                told.store.checkpoints.save("best", step, best)
            told.store.checkpoints.save("last", step, self._kept(state))
        stops = bool(told.on_epoch(new)) if told.on_epoch else False
        told.bar.finish_epoch(new[0], best=is_best[0])
        return state, records, stops

    def _kept(self, state: TrainState) -> TrainState:
        """Without the copies of seeds that fill the devices."""
        if self.n_seeds is None:
            return state
        return jax.tree.map(lambda leaf: leaf[: self.n_seeds], state)

    def _logits(self, state: TrainState, *, first_only: bool = False) -> Any:
        """Logits of the validation images, (n_seeds, n, n_classes), or of one each."""
        images = [part.pixels[: 1 if first_only else None] for part in self.validation]
        weights = state.params, state.others
        if self.n_seeds is not None:
            return predict_seeds(self.models[0], weights, images, mesh=self.mesh)
        nnx.update(self.models[0], *weights)
        return [predict_logits(self.models[0], images[0], mesh=self.mesh)]

    def _diverged(self, step: int, store: Store | None) -> TrainingDiverged:
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


class _Told(NamedTuple):
    """Who is told of a training, and who may stop it."""

    store: Store | None
    bar: TrainingProgress
    interrupted: threading.Event
    on_epoch: OnEpoch | None


def _warn_of_padding(size: int, mesh: Mesh | None) -> None:
    n_devices = mesh.size if mesh else 1
    if size % n_devices and is_first():
        full = -(-size // n_devices) * n_devices
        warnings.warn(
            f"A batch of {size} images does not divide over {n_devices} devices: "
            f"it is padded to {full}, and what was added counts for nothing.",
            stacklevel=5,
        )


def _working_memory(program: Any) -> int:
    """Bytes that a compiled program needs beside arguments and results, if it says."""
    analysis = program.memory_analysis()
    return int(getattr(analysis, "temp_size_in_bytes", 0))


def _interruption(step: int, store: Store | None) -> TrainingInterrupted:
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
