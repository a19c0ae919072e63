"""What training asks of its images."""

import jax
import jax.numpy as jnp
from flax import nnx

from .._checks import check_at_least, input_error
from ..data import Images


def check_images(model: nnx.Module, *, train: Images, validation: Images) -> None:
    """Raises unless there are images, and the model has a class for every label.

    Traces the model once.

    Raises:
        InputError: Naming the part at fault.
    """
    parts = {"train": train, "validation": validation}
    check_at_least("train", len(train), 1, "Pass at least one training image.")
    check_at_least("validation", len(validation), 1, "Pass at least one image.")
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
