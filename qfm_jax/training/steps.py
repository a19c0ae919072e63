"""Training steps: the pure, compiled part of training, for one model or for many seeds.

Many seeds are one program, compiled once, and an axis in front of the state's arrays.
On a GPU that is an axis of `vmap`: one seed alone does not fill it. On a CPU each core
takes a share of the seeds (`make_seed_mesh`), and trains them one after another.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from ..models.prediction import each_seed, to_unit
from ..parallel.mesh import (
    filled,
    gather,
    place,
    place_rows,
    sharing,
    spread,
)
from .augmentation import erase, shift_and_flip
from .config import (
    Loss,
    Optimizer,
    TrainConfig,
    build_optimizer,
    cross_entropy,
    learning_rate_schedule,
)
from .history import EpochRecord

T = TypeVar("T")
R = TypeVar("R")
W = TypeVar("W")


class TrainState(NamedTuple):
    """All that training changes, and what a checkpoint holds."""

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
    """The first step whose loss or gradient is not finite, or -1."""
    seconds: jax.Array
    """Time that this epoch's steps took so far."""
    best: tuple[nnx.State, nnx.State]
    """`params` and `others` of the best epoch."""


@dataclass(frozen=True)
class Steps:
    """The steps of one training: functions of a state, without a side effect.

    Equal steps are one program: it is compiled once, however many trainings take it.
    """

    graphdef: nnx.GraphDef[nnx.Module]
    """Structure of the model in training mode."""
    config: TrainConfig
    """How to train, settled for the number of images."""
    n_images: int
    """Number of training images."""
    mesh: Mesh | None = None
    """Devices that share each batch, or among which the seeds are shared out; a single
    one where left out."""
    n_seeds: int | None = None
    """Seeds that train together; None for one model, whose arrays have no such axis."""
    own_optimizer: Optimizer | None = None
    """Makes the optimiser in place of that of `config`."""
    loss: Loss = cross_entropy
    """What is minimised: its mean over a batch."""

    @classmethod
    def of(
        cls,
        model: nnx.Module,
        config: TrainConfig,
        n_images: int,
        mesh: Mesh | None = None,
        n_seeds: int | None = None,
        own_optimizer: Optimizer | None = None,
        loss: Loss = cross_entropy,
    ) -> "Steps":
        """The steps of a model, which is left in evaluation mode."""
        model.train()
        graphdef = nnx.graphdef(model)
        model.eval()
        settled = config.settled(n_images)
        return cls(graphdef, settled, n_images, mesh, n_seeds, own_optimizer, loss)

    @property
    def batch_size(self) -> int:
        """Images of one step."""
        return self.config.batch_size

    @property
    def per_epoch(self) -> int:
        """Steps of one epoch."""
        return self.n_images // self.batch_size

    @property
    def count(self) -> int:
        """Steps of the whole training."""
        return self.config.epochs * self.per_epoch

    @functools.cached_property
    def schedule(self) -> optax.Schedule:
        """The learning rate of each step."""
        return learning_rate_schedule(self.config, self.count)

    @functools.cached_property
    def optimizer(self) -> optax.GradientTransformation:
        """What makes updates of gradients."""
        return build_optimizer(self.config, self.schedule, self.own_optimizer)

    def initial_state(
        self, models: Sequence[nnx.Module], keys: Sequence[jax.Array]
    ) -> TrainState:
        """The state before the first step, of a model or of one for each seed."""
        states = [self._initial(m, key) for m, key in zip(models, keys, strict=True)]
        if self.n_seeds is None:
            return states[0]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)

    def _initial(self, model: nnx.Module, key: jax.Array) -> TrainState:
        params = nnx.state(model, nnx.Param)
        others = nnx.state(model, nnx.Not(nnx.Param))
        return TrainState(
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

    def placed(self, tree: Any) -> Any:
        """Arrays on the devices; of seeds, as many on each, copies of the first one."""
        if self.n_seeds is None:
            return place(tree, self.mesh)
        rows = np.array(filled(range(self.n_seeds), self.mesh))
        if len(rows) > self.n_seeds:
            tree = jax.tree.map(lambda leaf: leaf[rows], tree)
        return place_rows(tree, self.mesh)

    def of_seed(self, tree: T, i: int) -> T:
        """The arrays of one seed; all of them where there is one model."""
        if self.n_seeds is None:
            return tree
        return jax.tree.map(lambda leaf: leaf[i], tree)

    def _each(self, function: Callable[[R, W], T]) -> Callable[[R, W], T]:
        """A function of one seed's arrays, and of what all share, for all seeds."""
        return function if self.n_seeds is None else each_seed(function, self.mesh)

    @functools.partial(jax.jit, static_argnums=0)
    def orders(self, keys: jax.Array, rows: jax.Array, epoch: int) -> jax.Array:
        """An epoch's order of the rows ([n_seeds,] n_images) that a seed trains on."""

        def of_one(own: tuple[jax.Array, jax.Array], epoch: int) -> jax.Array:
            key, rows = own
            return rows[self.order(key, epoch)]

        return self._each(of_one)((keys, rows), epoch)

    def order(self, key: jax.Array, epoch: int) -> jax.Array:
        """The shuffled indices of an epoch's images."""
        key = jax.random.fold_in(_purposes(key).order, epoch)
        return jax.random.permutation(key, self.n_images)

    def record(
        self,
        epoch: int,
        sums: tuple[Any, Any, Any],
        logits: np.ndarray,
        labels: np.ndarray,
        rate_factor: float = 1.0,
    ) -> EpochRecord:
        """The figures of an epoch of one seed.

        Args:
            epoch: Its number, from 1.
            sums: `loss_sum`, `n_right` and `seconds` of the state.
            logits: Of the validation images.
            labels: Of the validation images.
            rate_factor: What the learning rate was multiplied with.
        """
        losses = self.loss(jnp.asarray(logits), jnp.asarray(labels))
        n_images, n_steps = self.per_epoch * self.batch_size, epoch * self.per_epoch
        loss_sum, n_right, seconds = sums
        return EpochRecord(
            epoch=epoch,
            step=n_steps,
            train_loss=float(loss_sum) / self.per_epoch,
            train_accuracy=int(n_right) / n_images,
            validation_loss=float(losses.mean()),
            validation_accuracy=float((logits.argmax(axis=1) == labels).mean()),
            learning_rate=rate_factor * float(self.schedule(n_steps - 1)),
            seconds=float(seconds),
            images_per_second=n_images / float(seconds),
        )

    def next_epoch(self, state: TrainState, is_best: Sequence[bool]) -> TrainState:
        """Sums back at zero; the weights of the seeds for which this epoch was best."""
        now = state.params, state.others
        if self.n_seeds is None:
            best = now if is_best[0] else state.best
        else:
            at = np.flatnonzero(is_best)
            keep = lambda old, new: old.at[at].set(new[at])  # noqa: E731
            best = jax.tree.map(keep, state.best, now)
        shape = state.loss_sum.shape
        put = place if self.n_seeds is None else place_rows
        zero = put(np.zeros(shape, np.float32), self.mesh)
        none = put(np.zeros(shape, np.int32), self.mesh)
        return state._replace(
            loss_sum=zero, n_right=none, seconds=zero, best=put(best, self.mesh)
        )

    @functools.partial(jax.jit, static_argnums=0)
    def advance(
        self,
        state: TrainState,
        orders: jax.Array,
        rate_factors: jax.Array,
        images: jax.Array,
        labels: jax.Array,
        first: int,
        stop: int,
    ) -> TrainState:
        """Steps from `first` to `stop`: one program, whatever the number of steps.

        Args:
            state: Where training is.
            orders: The epoch's order of rows of the images, ([n_seeds,] n_images).
            rate_factors: What the learning rate is multiplied with, ([n_seeds]).
            images: uint8 (n, height, width), those of all seeds; rows that `share_out`
                added at the end are never taken.
            labels: Their classes, (n,).
            first: Number of steps that are done.
            stop: Number of steps that are done then, within the same epoch.
        """

        def advance_one(own: tuple[Any, ...], shared: tuple[Any, ...]) -> TrainState:
            state, order, rate_factor = own
            images, labels, first, stop = shared

            def step(i: jax.Array, state: TrainState) -> TrainState:
                state = self.step_at(i, state, images, labels, order, rate_factor)
                return gather(state, self._batch_mesh)

            advanced: TrainState = jax.lax.fori_loop(first, stop, step, state)
            return advanced

        shared = images, labels, first, stop
        return self._each(advance_one)((state, orders, rate_factors), shared)

    @property
    def _batch_mesh(self) -> Mesh | None:
        """Devices that share each batch: a seed among others is on one device."""
        return self.mesh if self.n_seeds is None else None

    def step_at(
        self,
        index: jax.Array,
        state: TrainState,
        images: jax.Array,
        labels: jax.Array,
        order: jax.Array,
        rate_factor: jax.Array | float = 1.0,
    ) -> TrainState:
        """Step number `index` of the training, on its batch of all images."""
        start = index % self.per_epoch * self.batch_size
        batch = jax.lax.dynamic_slice(order, (start,), (self.batch_size,))
        images, labels = spread((images[batch], labels[batch]), self._batch_mesh)
        with sharing(self._batch_mesh):
            return self.step(state, images, labels, rate_factor)

    def step(
        self,
        state: TrainState,
        images: jax.Array,
        labels: jax.Array,
        rate_factor: jax.Array | float = 1.0,
    ) -> TrainState:
        """One step on a batch: gradient of the mean loss, then an update.

        The learning rate enters the updates as a factor alone, whatever the optimiser
        of `build_optimizer`: times `rate_factor`, one program takes many rates.
        """
        keys = _purposes(state.key)
        if self.config.augment:
            key = jax.random.fold_in(keys.shift, state.step)
            images = shift_and_flip(images, key=key, max_shift=self.config.max_shift)
        if self.config.erase:
            key = jax.random.fold_in(keys.erase, state.step)
            images = erase(images, key=key, share=self.config.erase)

        def loss_of(params: nnx.State) -> tuple[jax.Array, Any]:
            model = nnx.merge(self.graphdef, params, state.others, copy=True)
            logits = model(to_unit(images))
            losses = self.loss(logits, labels)
            n_right = jnp.sum(logits.argmax(axis=1) == labels)
            others = nnx.state(model, nnx.Not(nnx.Param))
            return losses.mean(), (n_right, others)

        gradient_of = jax.value_and_grad(loss_of, has_aux=True)
        (loss, (n_right, others)), gradient = gradient_of(state.params)
        updates, optimizer = self.optimizer.update(
            gradient, state.optimizer, state.params
        )
        updates = jax.tree.map(lambda update: rate_factor * update, updates)
        # The norm is computed for clipping anyway; a NaN in any entry reaches it.
        is_finite = jnp.isfinite(loss) & jnp.isfinite(optax.tree.norm(gradient))
        is_first_bad = (state.bad_step < 0) & ~is_finite
        advanced = state._replace(
            params=optax.apply_updates(state.params, updates),
            others=others,
            optimizer=optimizer,
            step=state.step + 1,
            loss_sum=state.loss_sum + loss,
            n_right=state.n_right + n_right,
            bad_step=jnp.where(is_first_bad, state.step, state.bad_step),
        )
        # In double precision, sums and what a model keeps come out wider than they
        # were; a loop's state, and a checkpoint, keep their types.
        return jax.tree.map(_of_same_type, advanced, state)


class _Purposes(NamedTuple):
    """PRNG keys of all that a training draws."""

    order: jax.Array
    shift: jax.Array
    erase: jax.Array


def _purposes(key: jax.Array) -> _Purposes:
    return _Purposes(*jax.random.split(key, len(_Purposes._fields)))


def _of_same_type(new: jax.Array, old: jax.Array) -> jax.Array:
    return new if new.dtype == old.dtype else new.astype(old.dtype)
