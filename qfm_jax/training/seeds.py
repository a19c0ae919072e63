"""Many seeds of one model, trained together as one program, compiled once.

On a GPU the seed is a `vmap` axis: one seed alone does not fill it. On a CPU each core
takes a share of the seeds (`make_seed_mesh`), and trains them one after another.
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from .._checks import check_at_least, input_error
from ..data import Images
from ..models.prediction import each_seed, predict_seeds
from ..parallel.mesh import filled, narrowed, own_rows, place_rows
from ..simulator.arrays import on_gpu
from .checks import check_images
from .config import TrainConfig
from .history import EpochRecord, History, best_epoch
from .steps import Steps, TrainState

OnEpoch = Callable[[tuple[EpochRecord, ...]], None]


def fit_seeds(
    models: Sequence[nnx.Module],
    train: Sequence[Images],
    validation: Sequence[Images],
    config: TrainConfig,
    keys: Sequence[jax.Array],
    *,
    rate_factors: Sequence[float] | None = None,
    on_epoch: OnEpoch | None = None,
    mesh: Mesh | None = None,
) -> tuple[History, ...]:
    """Trains models that differ in their start and data alone, all at once.

    Every seed sees the batches, and takes the steps, that `fit` takes with its key; the
    results agree but for rounding. A seed whose loss is no longer finite goes on
    without sense, and its records say so: none is dropped.

    Args:
        models: Models of one structure, a seed each; left with their best weights.
        train: Training images of each seed, as many for every seed.
        validation: Validation images of each seed, as many for every seed.
        config: How to train; `patience` is 0, since all seeds stop together.
        keys: PRNG key of each seed.
        rate_factors: What each seed's learning rate is multiplied with; 1 where left
            out.
        on_epoch: Called with the records of all seeds after each epoch.
        mesh: Devices over which the seeds are spread, as many on each: what is
            missing to that are copies of the first one, which count for nothing.
            Devices that would have copies alone are left out.

    Returns:
        The history of each seed. Times and memory are a seed's share.

    Raises:
        InputError: For no model, lists of other lengths, seeds of different numbers of
            images, or `patience`.

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
    _check_alike(
        models, train=train, validation=validation, keys=keys, rate_factors=factors
    )
    for own, held_out in zip(train, validation, strict=True):
        check_images(models[0], train=own, validation=held_out)
    if config.patience:
        must = "be 0 where seeds are trained together: all stop at the same epoch"
        raise input_error("patience", must, f"is {config.patience}")
    mesh = narrowed(mesh, len(models))
    steps = Steps.of(models[0], config, len(train[0]))
    pairs = zip(models, keys, strict=True)
    starts = [steps.initial_state(model, key) for model, key in pairs]
    states = place_rows(_stack(filled(starts, mesh)), mesh)
    # (seeds, n, height, width) and (seeds, n)
    parts = filled(train, mesh)
    images = place_rows(np.stack([part.images for part in parts]), mesh)
    labels = place_rows(np.stack([part.labels for part in parts]), mesh)
    unseen = np.stack([part.images for part in filled(validation, mesh)])
    rates = place_rows(np.array(filled(factors, mesh), np.float32), mesh)
    start = time.perf_counter()
    orders = place_rows(_orders(steps, states.key, 1), mesh)
    arguments = states, images, labels, orders, rates, 0, 0
    advance = _advance.lower(steps, mesh, *arguments).compile()
    compiling = (time.perf_counter() - start) / len(models)
    n_devices = mesh.size if mesh else 1
    memory = _working_memory(advance)
    if on_gpu():  # else a device works on one seed at a time
        memory = memory * n_devices // len(rates)
    records: list[tuple[EpochRecord, ...]] = [()] * len(models)
    for epoch in range(1, steps.config.epochs + 1):
        first, stop = (epoch - 1) * steps.per_epoch, epoch * steps.per_epoch
        start = time.perf_counter()
        orders = place_rows(_orders(steps, states.key, epoch), mesh)
        states = advance(states, images, labels, orders, rates, first, stop)
        jax.block_until_ready(states)
        share = (time.perf_counter() - start) / len(models)
        weights = (states.params, states.others)
        logits = predict_seeds(models[0], weights, unseen, mesh=mesh)
        new = tuple(
            steps.record(
                _of_seed(states, i), epoch, logits[i], part.labels, share, factors[i]
            )
            for i, part in enumerate(validation)
        )
        records = [(*old, one) for old, one in zip(records, new, strict=True)]
        is_best = [best_epoch(own) == epoch for own in records]
        states = place_rows(_next_epoch(states, is_best), mesh)
        if on_epoch:
            on_epoch(new)
    if mesh:
        states = jax.device_put(states, mesh.devices.flat[0])
    for i, model in enumerate(models):
        model.eval()
        nnx.update(model, *_of_seed(states, i).best)
    return tuple(History(own, best_epoch(own), compiling, memory) for own in records)


@functools.partial(jax.jit, static_argnums=0)
def _orders(steps: Steps, keys: jax.Array, epoch: int) -> jax.Array:
    """The order of each seed's images in an epoch, (seeds, n)."""
    return jax.vmap(steps.order, (0, None))(keys, epoch)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _advance(
    steps: Steps,
    mesh: Mesh | None,
    states: TrainState,
    images: jax.Array,
    labels: jax.Array,
    orders: jax.Array,
    rates: jax.Array,
    first: int,
    stop: int,
) -> TrainState:
    """All seeds from step `first` to step `stop` of the same epoch."""

    def advance_one(
        state: TrainState,
        images: jax.Array,
        labels: jax.Array,
        order: jax.Array,
        rate: jax.Array,
    ) -> TrainState:
        def step(i: jax.Array, state: TrainState) -> TrainState:
            return steps.step_at(i, state, images, labels, order, rate)

        return jax.lax.fori_loop(first, stop, step, state)

    advance_own = own_rows(each_seed(advance_one), mesh)
    return advance_own(states, images, labels, orders, rates)


def _working_memory(program: Any) -> int:
    """Bytes that a compiled program needs beside arguments and results, if it says."""
    analysis = program.memory_analysis()
    return int(getattr(analysis, "temp_size_in_bytes", 0))


def _next_epoch(states: TrainState, is_best: Sequence[bool]) -> TrainState:
    """Sums back at zero; the weights of the seeds for which this epoch was the best."""
    chosen = np.flatnonzero(is_best)

    def keep(best: jax.Array, now: jax.Array) -> jax.Array:
        return best.at[chosen].set(now[chosen])

    return states._replace(
        loss_sum=jnp.zeros_like(states.loss_sum),
        n_right=jnp.zeros_like(states.n_right),
        best=jax.tree.map(keep, states.best, (states.params, states.others)),
    )


def _of_seed(states: TrainState, i: int) -> TrainState:
    return jax.tree.map(lambda leaf: leaf[i], states)


def _stack(states: Sequence[TrainState]) -> TrainState:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def _check_alike(models: Sequence[nnx.Module], **lists: Sequence[Any]) -> None:
    check_at_least("len(models)", len(models), 1, "Pass a model for each seed.")
    for name, entries in lists.items():
        if len(entries) != len(models):
            must = f"have an entry for each of the {len(models)} models"
            raise input_error(name, must, f"has {len(entries)}")
        if name in ("train", "validation") and len({len(part) for part in entries}) > 1:
            sizes = [len(part) for part in entries]
            must = "have as many images for every seed"
            raise input_error(name, must, f"has {sizes}")
