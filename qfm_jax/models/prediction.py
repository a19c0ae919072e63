"""Logits of many images, in padded batches of one fixed size."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from .._checks import check_at_least, check_shape, input_error
from ..data.images import check_contrast
from ..parallel.mesh import (
    filled,
    gather,
    narrowed,
    own_rows,
    place,
    place_rows,
    sharing,
    spread,
)
from ..simulator.arrays import on_gpu

M = TypeVar("M", bound=nnx.Module)
T = TypeVar("T")
R = TypeVar("R")
W = TypeVar("W")

PREDICTION_BATCH = 250
"""Images that a prediction takes at once, where nothing else is asked for."""


def predict_logits(
    model: nnx.Module,
    images: np.ndarray,
    *,
    batch_size: int = PREDICTION_BATCH,
    mesh: Mesh | None = None,
) -> np.ndarray:
    """Applies a model to any number of images, in evaluation mode.

    One program serves every call with the same model and batch size, since the last
    batch is filled up.

    Args:
        model: Maps float images (batch, height, width[, 3]) in [0, 1] to logits.
        images: uint8 (n, height, width[, 3]), or floats in [0, 1]; n >= 1.
        batch_size: Images at once; bounds the memory, does not change the result.
        mesh: Devices that share each batch, and all hold the model.

    Returns:
        Logits (n, n_classes), float32.

    Raises:
        InputError: For images of another rank, other values, none, some without a pixel
            above 1 among bytes, or a batch size below 1.

    Example:
        >>> from qfm_jax.models import Classifier, ModelConfig
        >>> model = Classifier(ModelConfig(), rngs=nnx.Rngs(0))
        >>> predict_logits(model, np.zeros((7, 28, 28), np.uint8)).shape
        (7, 10)
    """
    check_at_least("batch_size", batch_size, 1)
    _check_rank(images)
    check_at_least("len(images)", len(images), 1, "Pass at least one image.")
    _check_pixels(images)
    graphdef, state = nnx.split(in_evaluation_mode(model))
    starts = range(0, len(images), batch_size)
    batches = [images[start : start + batch_size] for start in starts]
    missing = batch_size - len(batches[-1])
    margins = ((0, missing), *((0, 0),) * (images.ndim - 1))
    batches[-1] = np.pad(batches[-1], margins, mode="edge")
    if mesh:  # left to choose, the compiler spreads rows that do not divide
        batches = [place(batch, mesh) for batch in batches]
    logits = [np.asarray(_logits(graphdef, state, b, mesh)) for b in batches]
    return np.concatenate(logits)[: len(images)]


def predict_seeds(
    model: nnx.Module,
    states: Any,
    images: Sequence[np.ndarray],
    *,
    batch_size: int = PREDICTION_BATCH,
    mesh: Mesh | None = None,
) -> np.ndarray:
    """Applies many weights of one model, each to its own images, in evaluation mode.

    Args:
        model: Gives the structure.
        states: States of it (one, or a tuple of parts), leaves with a leading axis of
            length n_seeds.
        images: Of each seed, as `predict_logits` takes them.
        batch_size: Images of each seed at once.
        mesh: Devices over which the seeds are spread, as in `fit_seeds`.

    Returns:
        Logits (n_seeds, n, n_classes), float32.

    Example:
        >>> from qfm_jax.models import Classifier, ModelConfig
        >>> model = Classifier(ModelConfig(), rngs=nnx.Rngs(0))
        >>> states = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), nnx.state(model))
        >>> predict_seeds(model, states, np.zeros((3, 7, 28, 28), np.uint8)).shape
        (3, 7, 10)
    """
    check_at_least("batch_size", batch_size, 1)
    n = len(images[0])
    for own in images:
        _check_rank(own)
        check_shape("images", own.shape, (n, *images[0].shape[1:]))
    for own in {id(own): own for own in images}.values():
        _check_pixels(own)
    graphdef = nnx.graphdef(in_evaluation_mode(model))
    parts = states if isinstance(states, tuple) else (states,)
    n_seeds, mesh = len(images), narrowed(mesh, len(images))
    rows = np.array(filled(range(n_seeds), mesh))
    if len(rows) > n_seeds:
        parts = jax.tree.map(lambda leaf: leaf[rows], parts)
    parts = place_rows(parts, mesh)
    logits = []
    for start in range(0, n, batch_size):
        batch = np.stack([images[row][start : start + batch_size] for row in rows])
        missing = batch_size - batch.shape[1]
        margins = ((0, 0), (0, missing), *((0, 0),) * (batch.ndim - 2))
        batch = np.pad(batch, margins, mode="edge")
        batch = place_rows(batch, mesh)
        found = np.asarray(_logits_of_seeds(graphdef, mesh, parts, batch))
        logits.append(found[:, : batch_size - missing])
    return np.concatenate(logits, axis=1)[:n_seeds]


@functools.partial(jax.jit, static_argnums=(0, 1))
def _logits_of_seeds(
    graphdef: nnx.GraphDef,
    mesh: Mesh | None,
    parts: tuple[nnx.State, ...],
    images: jax.Array,
) -> jax.Array:
    def one(own: tuple[Any, jax.Array], _: None) -> jax.Array:
        return nnx.merge(graphdef, *own[0], copy=True)(to_unit(own[1]))

    return each_seed(one, mesh)((parts, images), None)


def each_seed(
    function: Callable[[R, W], T], mesh: Mesh | None = None
) -> Callable[[R, W], T]:
    """A function of one seed's arrays, for arrays with a leading axis of seeds.

    Its second argument is what all seeds share. Each device has seeds of its own.

    On a GPU by `vmap`, which fills it. On a CPU one seed after another in the same
    program: a seed keeps a core busy, and its arrays fit the caches, as those of all
    seeds at once do not.
    """

    def in_turn(seeds: R, shared: W) -> T:
        return jax.lax.map(lambda own: function(own, shared), seeds)

    at_once = jax.vmap(function, in_axes=(0, None))
    return own_rows(at_once if on_gpu() else in_turn, mesh)


def _check_rank(images: np.ndarray) -> None:
    if images.ndim != 4:
        check_shape("images", images.shape, ("n", "height", "width"))
    else:
        check_shape("images", images.shape, ("n", "height", "width", 3))


def _check_pixels(images: np.ndarray) -> None:
    if images.dtype == np.uint8:
        check_contrast("images", images)
        return
    must = "hold pixels from 0 to 255 as uint8, or floats in [0, 1]"
    if images.dtype.kind != "f":
        cure = "`qfm_jax.data.images_of` makes `Images` of numbers of other types."
        raise input_error("images", must, f"has type {images.dtype}", cure)
    if not ((images >= 0) & (images <= 1)).all():  # NaN fails both
        was = f"is {images.dtype} from {images.min()} to {images.max()}"
        raise input_error("images", must, was, "Divide by 255.")


def in_evaluation_mode(model: M) -> M:
    """The model without dropout and with running averages; its own mode is kept."""
    mode = {"deterministic": True, "use_running_average": True}
    view: M = nnx.view(model, raise_if_not_found=False, **mode)
    return view


@functools.partial(jax.jit, static_argnums=(0, 3))
def _logits(
    graphdef: nnx.GraphDef, state: nnx.State, images: jax.Array, mesh: Mesh | None
) -> jax.Array:
    model = nnx.merge(graphdef, state)
    with sharing(mesh):
        return gather(model(to_unit(spread(images, mesh))), mesh)


def to_unit(images: jax.Array) -> jax.Array:
    """Maps uint8 pixels to float32 in [0, 1]; floats stay as they are.

    Example:
        >>> float(to_unit(np.uint8(51)))
        0.20000000298023224
    """
    if images.dtype != jnp.uint8:
        return images.astype(jnp.float32)
    return images.astype(jnp.float32) / 255
