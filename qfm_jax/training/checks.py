"""What training asks of its models and images."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from .._checks import check_at_least, input_error
from ..data import Images
from .config import TrainConfig

FEW_STEPS = 100
"""Steps of the optimiser below which a training says that it has few."""


def check_images(
    model: nnx.Module, *, train: Sequence[Images], validation: Sequence[Images]
) -> None:
    """Raises unless there are images, and the model has a class for every label.

    Traces the model once.

    Args:
        model: Maps float images (batch, height, width) to logits.
        train: Training images of each seed.
        validation: Validation images of each seed.

    Raises:
        InputError: Naming the part at fault.
    """
    for own, held_out in zip(train, validation, strict=True):
        check_at_least("train", len(own), 1, "Pass at least one training image.")
        check_at_least("validation", len(held_out), 1, "Pass at least one image.")
    graphdef, state = nnx.split(model)
    batch = jax.ShapeDtypeStruct((1, *train[0].image_shape), jnp.float32)

    def logits_of(state: nnx.State, images: jax.Array) -> jax.Array:
        return nnx.merge(graphdef, state, copy=True)(images)

    n_classes = jax.eval_shape(logits_of, state, batch).shape[-1]
    for name, parts in (("train", train), ("validation", validation)):
        low = min(part.labels.min() for part in parts)
        high = max(part.labels.max() for part in parts)
        if low < 0 or high >= n_classes:
            must = f"have labels in [0, {n_classes - 1}]"
            cure = "Build the model with as many classes as the data have."
            raise input_error(name, must, f"has {low} to {high}", cure)


def check_own(optimizer: Any, loss: Any) -> None:
    """Raises where an own optimiser or an own loss is not what `fit` takes."""
    if optimizer is not None:
        cure = "Pass optax.lion, or lambda rate: optax.sgd(rate, momentum=0.9)."
        must = "be a function from the learning rate to an optax optimiser"
        if not callable(optimizer):
            raise input_error("optimizer", must, f"is {optimizer!r}", cure)
        made = optimizer(lambda step: 1e-3)
        if not isinstance(made, optax.GradientTransformation):
            raise input_error("optimizer", must, f"gives {made!r}", cure)
    if not callable(loss):
        must = "be a function of logits and labels"
        raise input_error("loss", must, f"is {loss!r}")
    logits = jax.ShapeDtypeStruct((3, 2), jnp.float32)
    found = jax.eval_shape(loss, logits, jax.ShapeDtypeStruct((3,), jnp.int32))
    if getattr(found, "shape", None) != (3,):
        must = "give a loss for each sample, (batch,)"
        was = f"gives {getattr(found, 'shape', found)} for a batch of 3"
        raise input_error("loss", must, was, "Leave the mean over the batch out.")


def check_alike(models: Sequence[nnx.Module], **lists: Sequence[Any]) -> None:
    """Raises unless there is an entry for each seed, and as many images in each."""
    check_at_least("len(models)", len(models), 1, "Pass a model for each seed.")
    for name, entries in lists.items():
        if len(entries) != len(models):
            must = f"have an entry for each of the {len(models)} models"
            raise input_error(name, must, f"has {len(entries)}")
        if name in ("train", "validation") and len({len(part) for part in entries}) > 1:
            sizes = [len(part) for part in entries]
            must = "have as many images for every seed"
            raise input_error(name, must, f"has {sizes}")


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
