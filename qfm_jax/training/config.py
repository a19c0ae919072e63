"""How a model is trained: the values, and the optimiser that they stand for."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import jax
import optax

from .._checks import check_at_least, check_one_of, check_range

SMALL_BATCH = 64
"""Images of a batch that is not made smaller for the sake of more steps."""

MOST_EPOCHS = 200
"""Epochs beyond which none is added: each is validated and saved."""

WARMUP_STEPS = 30
"""Steps of warming up at least, where there are four times as many."""


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How a model is trained.

    Example:
        >>> TrainConfig(epochs=3, augment=True).batch_size
        128
    """

    epochs: int = 10
    """Passes over the training images, or more (see `min_steps`)."""

    batch_size: int = 128
    """Images a step, or fewer (see `min_steps`). The images of an epoch that fill no
    whole batch are left out; each epoch is shuffled again, so none is left out twice
    but by chance."""

    min_steps: int = 0
    """Steps of the optimiser, at least. Where the epochs have fewer, because the images
    are few, the batch is halved, down to 64 images, and then epochs are added, up to
    200."""

    learning_rate: float = 4e-3
    """Peak of the schedule: linear warm-up, then half a cosine down to zero."""

    warmup_fraction: float = 0.05
    """Share of all steps spent warming up, in [0, 1]; 30 steps at least, unless the
    share is 0 or they are more than a quarter of all."""

    optimizer: Literal["adam", "adamw"] = "adam"
    """Adam, or AdamW with `weight_decay`."""

    weight_decay: float = 1e-4
    """Decoupled decay a step, for AdamW only."""

    clip_norm: float = 1.0
    """Largest global norm of a gradient; 0 for no clipping."""

    augment: bool = False
    """Shift by up to `max_shift` pixels and flip left to right, at random."""

    max_shift: int = 2
    """Largest shift in pixels; 0 for flips alone."""

    erase: float = 0.0
    """Share of the images in which a rectangle is covered with grey, in [0, 1]."""

    patience: int = 0
    """Epochs without a better validation accuracy before stopping; 0 for never."""

    checkpoint_seconds: float = 60.0
    """Longest time in seconds between two checkpoints within an epoch."""

    def __post_init__(self) -> None:
        check_at_least("epochs", self.epochs, 1)
        check_at_least("batch_size", self.batch_size, 1)
        check_at_least("min_steps", self.min_steps, 0)
        check_range("learning_rate", self.learning_rate, 0)
        check_range("warmup_fraction", self.warmup_fraction, 0, 1)
        check_one_of("optimizer", self.optimizer, ("adam", "adamw"))
        check_range("weight_decay", self.weight_decay, 0)
        check_range("clip_norm", self.clip_norm, 0)
        check_at_least("max_shift", self.max_shift, 0)
        check_range("erase", self.erase, 0, 1)
        check_at_least("patience", self.patience, 0)
        check_range("checkpoint_seconds", self.checkpoint_seconds, 0)

    def settled(self, n_images: int) -> "TrainConfig":
        """The same for a number of training images: with its batch and its epochs.

        Args:
            n_images: Training images, at least 1.

        Example:
            >>> few = TrainConfig(epochs=10, min_steps=750).settled(1_000)
            >>> few.batch_size, few.epochs, few.min_steps
            (64, 50, 0)
            >>> TrainConfig(epochs=10, min_steps=750).settled(55_000).epochs
            10
        """
        check_at_least("n_images", n_images, 1, "Pass at least one training image.")
        batch, epochs = min(self.batch_size, n_images), self.epochs
        while (
            batch >= 2 * SMALL_BATCH and epochs * (n_images // batch) < self.min_steps
        ):
            batch //= 2
        missing = -(-self.min_steps // (n_images // batch))
        epochs = max(epochs, min(missing, MOST_EPOCHS))
        return dataclasses.replace(self, batch_size=batch, epochs=epochs, min_steps=0)

    def n_steps(self, n_images: int) -> int:
        """Steps of the optimiser that a number of training images gives.

        Example:
            >>> TrainConfig(epochs=2).n_steps(1_000)
            14
        """
        settled = self.settled(n_images)
        return settled.epochs * (n_images // settled.batch_size)


def learning_rate_schedule(config: TrainConfig, n_steps: int) -> optax.Schedule:
    """Linear warm-up from zero, then half a cosine down to zero at `n_steps`.

    Example:
        >>> float(learning_rate_schedule(TrainConfig(learning_rate=0.5), 100)(25))
        0.5
    """
    # Adam's first steps are as long as its rate, whatever the gradient.
    least = min(WARMUP_STEPS, n_steps // 4) if config.warmup_fraction else 0
    warmup = max(round(config.warmup_fraction * n_steps), least)
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=config.learning_rate,
        warmup_steps=min(warmup, n_steps - 1),
        decay_steps=n_steps,
    )


Optimizer = Callable[[optax.Schedule], optax.GradientTransformation]
"""From the learning rate of each step to what makes updates of gradients."""

Loss = Callable[[jax.Array, jax.Array], jax.Array]
"""From logits (batch, n_classes) and labels (batch,) to losses (batch,)."""

cross_entropy: Loss = optax.softmax_cross_entropy_with_integer_labels


def build_optimizer(
    config: TrainConfig, schedule: optax.Schedule, own: Optimizer | None = None
) -> optax.GradientTransformation:
    """Clipping by the global norm, then an optimiser with the schedule's rate.

    Args:
        config: Of the training; it names Adam or AdamW.
        schedule: The learning rate of each step.
        own: Makes another optimiser.
    """
    steps = [optax.clip_by_global_norm(config.clip_norm)] if config.clip_norm else []
    if own is not None:
        steps.append(own(schedule))
    elif config.optimizer == "adamw":
        steps.append(optax.adamw(schedule, weight_decay=config.weight_decay))
    else:
        steps.append(optax.adam(schedule))
    return optax.chain(*steps)
