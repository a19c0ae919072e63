"""Logits of many images, in padded batches of one fixed size."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from .._checks import check_at_least


def predict_logits(
    model: nnx.Module, images: np.ndarray | jax.Array, *, batch_size: int = 250
) -> jax.Array:
    """Applies a model to any number of images.

    Args:
        model: Maps float images (batch, height, width) in [0, 1] to logits.
        images: uint8 (n, height, width), n >= 1.
        batch_size: Images at once; bounds the memory, does not change the result.

    Returns:
        Logits (n, n_classes).

    Example:
        >>> from qfm_jax.models import Classifier, ModelConfig
        >>> model = Classifier(ModelConfig(), rngs=nnx.Rngs(0))
        >>> predict_logits(model, np.zeros((7, 28, 28), np.uint8)).shape
        (7, 10)
    """
    check_at_least("batch_size", batch_size, 1)
    n = len(images)
    check_at_least("images", n, 1, "Pass at least one image.")
    n_batches = -(-n // batch_size)
    padding = n_batches * batch_size - n
    padded = np.pad(np.asarray(images), ((0, padding), (0, 0), (0, 0)), mode="edge")
    batches = padded.reshape(n_batches, batch_size, *padded.shape[1:])
    graphdef, state = nnx.split(model)
    logits = _logits(graphdef, state, jnp.asarray(batches))
    return logits.reshape(n_batches * batch_size, -1)[:n]


@functools.partial(jax.jit, static_argnums=0)
def _logits(graphdef: nnx.GraphDef, state: nnx.State, batches: jax.Array) -> jax.Array:
    def of_batch(batch: jax.Array) -> jax.Array:
        model = nnx.merge(graphdef, state)
        return model(to_unit(batch))

    return jax.lax.map(of_batch, batches)


def to_unit(images: jax.Array) -> jax.Array:
    """Maps uint8 pixels to float32 in [0, 1]."""
    return images.astype(jnp.float32) / 255
