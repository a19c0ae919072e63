"""Images -> logits: one classifier whose variants are values of `ModelConfig`."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from .._checks import check_at_least, check_shape, input_error
from ..circuits.declaration import takes_of
from ..devices import DeviceConfig
from .block import SideBySide, block_width, build_blocks
from .configuration import ModelConfig, circuit_of
from .convolution import Convolution
from .features import (
    features_of_images,
    features_of_patches,
    middle_of,
    squash_of,
)
from .head import REDUCED_START, build_head, gives_features, scaled_linear
from .pixels import centred, coarse, patches
from .quantum_layer import FrozenQuantumParam, QuantumLayer, QuantumParam


class Classifier(nnx.Module):
    """Maps images (batch, height, width[, 3]) in [0, 1] to logits (batch, n_classes).

    `front` makes the features, `block` maps them, `back` stands between block and
    `head`. All but the head may be empty.

    A trained layer reduces the features to those that the block takes, and a tanh
    squashes them: to the range of the angles that a circuit declares, such as (0, pi),
    where <Z> = cos(angle) is one to one, and steepest where training starts, in the
    middle; to (-1, 1) for a classical block, which sees the same centred. That layer
    starts small, so that every block starts in the middle of its range, and the head
    behind it large (`build_head`). Every other head starts small. Either way the first
    loss is near ln(n_classes), that of a guess. Blocks start last: all else starts the
    same whatever they are.

    Args:
        config: The model as data.
        image_shape: (height, width) in pixels, or (height, width, 3) in colour: red,
            green, blue. Blocks of pixels or patches take the mean of the colours.
        n_classes: Number of classes, at least 2.
        device: Where the circuit runs; ignored without one.
        rngs: Flax random number generators; the stream `params` starts the weights.

    Raises:
        InputError: For a configuration that does not fit the images or the classes.

    Example:
        >>> config = ModelConfig(hidden=(8,), block="circuit", n_qubits=3)
        >>> model = Classifier(config, rngs=nnx.Rngs(0))
        >>> model(jnp.zeros((5, 28, 28))).shape
        (5, 10)
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        image_shape: Sequence[int] = (28, 28),
        n_classes: int = 10,
        device: DeviceConfig | None = None,
        rngs: nnx.Rngs,
    ):
        check_at_least("n_classes", n_classes, 2)
        _check_image_shape(image_shape)
        self.image_shape = tuple(image_shape)
        self.is_coloured = len(image_shape) == 3
        has_block = config.block != "none"
        takes_pixels = has_block and (config.features == "pixels" or config.patch)
        self.is_grey_inside = self.is_coloured and bool(takes_pixels)
        self.resolution = config.resolution
        self.input_scale = config.input_scale
        self.has_block = config.block != "none"
        self.mirrored = config.mirrored
        self.deterministic = False  # set by `eval` and `train`, as that of a dropout
        # In the middle of its range an angle says nothing; elsewhere 0 does.
        self.middle = middle_of(config)
        # Beside nothing, the features would be there twice.
        self.is_residual = config.residual and not gives_features(config)
        front: list[Any]
        back: list[Any] = []
        if config.patch and self.has_block:
            circuit = circuit_of(config)
            front = [features_of_patches(takes_of(circuit), config.patch)]
            rows, columns = _n_patches(config.patch, image_shape)
            c_in = block_width(config.block, circuit)
            back, n_features = _trunk(config, (rows, columns, c_in), rngs)
        else:
            front, n_features = _front(config, image_shape, rngs)
            if self.has_block:
                n_in = n_features if self.is_residual else 0
                width = block_width(config.block, circuit_of(config))
                n_features = config.n_circuits * width + n_in
        self.head = build_head(config, n_features, n_classes, rngs)
        self.front, self.back = nnx.Sequential(*front), nnx.Sequential(*back)
        if config.frozen_front:
            _freeze(self.front)
        self.block: nnx.Module = nnx.Sequential(_identity)
        if self.has_block:
            self.block = build_blocks(
                config.block,
                circuit_of(config),
                config.n_circuits,
                angle_spread=config.angle_spread,
                device=device,
                rngs=rngs,
            )

    def __call__(self, images: jax.Array) -> jax.Array:
        """Classifies a batch of images."""
        if self.mirrored and self.deterministic:
            return (self._logits_of(images) + self._logits_of(images[:, :, ::-1])) / 2
        return self._logits_of(images)

    def _logits_of(self, images: jax.Array) -> jax.Array:
        features = self._features(images)
        return self.logits(features, self.block(features))

    def logits(self, features: jax.Array, results: jax.Array) -> jax.Array:
        """Logits (batch, n_classes) of what the block takes, and what it gives.

        Args:
            features: From `features`, (batch, ..., n_features).
            results: The block's, (batch, ..., n_results), or measured elsewhere.
        """
        if self.is_residual:
            around_zero = features - self.middle
            results = jnp.concatenate([results, around_zero], axis=-1)
        return self.head(self.back(results))

    def set_view(self, deterministic: bool | None = None) -> None:
        """Sets the mode of a view of the model (see `nnx.view`)."""
        if deterministic is not None:
            self.deterministic = deterministic

    @property
    def circuit_layers(self) -> tuple[QuantumLayer, ...]:
        """The circuits of the block, side by side, in the order of their features."""
        blocks = (
            self.block.blocks if isinstance(self.block, SideBySide) else [self.block]
        )
        return tuple(block for block in blocks if isinstance(block, QuantumLayer))

    def features(self, images: jax.Array) -> jax.Array:
        """What the block takes of a batch of images, (batch, ..., n_features).

        Raises:
            InputError: For a classifier without a block.
        """
        if not self.has_block:
            must = "be a classifier with a block: others have no features of one"
            raise input_error("model", must, "has block 'none'")
        return self._features(images)

    def _features(self, images: jax.Array) -> jax.Array:
        cure = (
            "Pixels go in [0, 1], with a leading batch axis; three colours come last."
        )
        check_shape("images", images.shape, ("batch", *self.image_shape), cure)
        if self.is_grey_inside:
            images = images.mean(axis=-1)
        if self.resolution:
            images = coarse(images, self.resolution, colours=images.ndim == 4)
        return self.front(self.input_scale * images)


def _check_image_shape(image_shape: Sequence[int]) -> None:
    if len(image_shape) not in (2, 3) or tuple(image_shape[2:]) not in ((), (3,)):
        must = "be (height, width), or (height, width, 3) in colour"
        raise input_error("image_shape", must, f"is {tuple(image_shape)}")
    for side in image_shape:
        check_at_least("image_shape", side, 1)


class FrozenParam(nnx.Variable):
    """A weight that keeps the value it started with."""


def _freeze(part: nnx.Module) -> None:
    for _, module in nnx.iter_modules(part):
        if isinstance(module, Convolution):
            module.frozen = True
        for name, value in list(vars(module).items()):
            if isinstance(value, nnx.Param):
                setattr(module, name, FrozenParam(value[...]))


def _front(
    config: ModelConfig, image_shape: Sequence[int], rngs: nnx.Rngs
) -> tuple[list[Any], int]:
    """What makes the features of a block before the head, and how many."""
    if config.block == "none":
        layers, n_features = _trunk(config, _with_channels(image_shape), rngs)
        return [_as_channels, *layers], n_features
    circuit = circuit_of(config)
    n_features = config.n_circuits * circuit.n_features
    if config.features == "pixels":
        return [features_of_images(takes_of(circuit), n_features)], n_features
    squash = squash_of(config)
    layers, n_in = _trunk(config, _with_channels(image_shape), rngs)
    reduce = scaled_linear(n_in, n_features, REDUCED_START, rngs)
    return [_as_channels, *layers, reduce, *([squash] if squash else [])], n_features


def _trunk(
    config: ModelConfig, shape: tuple[int, int, int], rngs: nnx.Rngs
) -> tuple[list[Any], int]:
    """Convolutions and hidden layers on (height, width, channels), and their width."""
    height, width, c_in = shape
    layers: list[Any] = []
    for c_out in config.channels:
        _check_can_halve(config, height, width)
        for i in range(1, config.convolutions + 1):
            pool, normalized = i == config.convolutions, config.normalized
            layers.append(
                Convolution(c_in, c_out, pool=pool, normalized=normalized, rngs=rngs)
            )
            c_in = c_out
        height, width = height // 2, width // 2
    layers.append(_flatten)
    n_features = height * width * c_in
    if config.dropout and not config.hidden:
        layers.append(nnx.Dropout(config.dropout, rngs=rngs))
    for n_out in config.hidden:
        if config.dropout:
            layers.append(nnx.Dropout(config.dropout, rngs=rngs))
        layers += [nnx.Linear(n_features, n_out, rngs=rngs), jax.nn.relu]
        n_features = n_out
    return layers, n_features


def _n_patches(side: int, image_shape: Sequence[int]) -> tuple[int, int]:
    images = jax.ShapeDtypeStruct((1, *image_shape[:2]), jnp.float32)
    cut = jax.eval_shape(functools.partial(patches, side=side), images)
    return cut.shape[1], cut.shape[2]


def _with_channels(image_shape: Sequence[int]) -> tuple[int, int, int]:
    height, width, *colours = image_shape
    return height, width, colours[0] if colours else 1


def _as_channels(images: jax.Array) -> jax.Array:
    centred_images = centred(images)
    return centred_images if images.ndim == 4 else centred_images[..., None]


def _identity(x: jax.Array) -> jax.Array:
    return x


def _flatten(x: jax.Array) -> jax.Array:
    return x.reshape(x.shape[0], -1)


def _check_can_halve(config: ModelConfig, height: int, width: int) -> None:
    if min(height, width) < 2:
        raise input_error(
            "channels",
            "have fewer entries, since each halves the image",
            f"is {config.channels}, and {height} x {width} pixels are left",
        )


def circuits_per_image(config: ModelConfig, image_shape: Sequence[int]) -> int:
    """How often a classifier with the block `circuit` runs it for one image.

    Example:
        >>> patches = ModelConfig(block="circuit", patch=2, n_qubits=4)
        >>> circuits_per_image(patches, (28, 28))
        196
    """
    if config.patch:
        return math.prod(_n_patches(config.patch, image_shape))
    return config.n_circuits


def count_parameters(model: nnx.Module) -> tuple[int, int]:
    """Counts the trainable numbers of a model: (quantum, classical).

    Example:
        >>> config = ModelConfig(block="circuit", n_qubits=3, n_layers=2)
        >>> count_parameters(Classifier(config, rngs=nnx.Rngs(0)))
        (18, 2395)
    """
    quantum = _count(nnx.state(model, QuantumParam))
    return quantum, _count(nnx.state(model, nnx.Param)) - quantum


def count_frozen(model: nnx.Module) -> int:
    """Counts the weights that keep the value they started with.

    Example:
        >>> config = ModelConfig(block="frozen", n_qubits=3, n_layers=2)
        >>> count_frozen(Classifier(config, rngs=nnx.Rngs(0)))
        18
    """
    return _count(nnx.state(model, nnx.Any(FrozenParam, FrozenQuantumParam)))


def _count(state: nnx.State) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(state))
