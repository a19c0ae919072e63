"""Images -> logits: one classifier whose variants are values of `ModelConfig`."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from .._checks import (
    check_at_least,
    check_one_of,
    check_range,
    check_shape,
    input_error,
)
from ..circuits import EMBEDDINGS, LAYERS, Circuit, build_circuit
from ..devices import DeviceConfig
from .block import BLOCKS, BOUNDED, CIRCUIT_BLOCKS, block_width, build_block
from .convolution import ConvolutionPool
from .quantum_layer import QuantumParam


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """A classifier as data; two models that differ in one value differ in that alone.

    images -> convolutions -> (dropout, hidden layer) ... -> block -> read-out

    Example:
        >>> hybrid = ModelConfig(channels=(8,), block="circuit", n_qubits=4)
        >>> twin = dataclasses.replace(hybrid, block="dense")
    """

    channels: tuple[int, ...] = ()
    """Output channels of each 3x3 convolution (with 2x2 max pooling and ReLU)."""

    hidden: tuple[int, ...] = ()
    """Widths of the dense ReLU layers that follow."""

    dropout: float = 0.0
    """Share of the features that is dropped before each hidden layer, in [0, 0.95]."""

    block: str = "none"
    """What stands before the read-out: a circuit or a stand-in of it (see `BLOCKS`),
    after a dense layer that reduces the features to those it takes; or `none`."""

    embedding: str = "angle"
    """How the circuit takes its features in."""

    layers: str = "strongly-entangling"
    """The circuit's trainable layers."""

    n_qubits: int = 8
    """Qubits of the circuit; also the width of the dense block."""

    n_layers: int = 2
    """Trainable layers of the circuit."""

    def __post_init__(self) -> None:
        check_one_of("block", self.block, ("none", *BLOCKS))
        check_one_of("embedding", self.embedding, EMBEDDINGS)
        check_one_of("layers", self.layers, LAYERS)
        check_range("dropout", self.dropout, 0, 0.95)
        check_at_least("n_qubits", self.n_qubits, 1)
        check_at_least("n_layers", self.n_layers, 1)
        for width in self.channels:
            check_at_least("channels", width, 1)
        for width in self.hidden:
            check_at_least("hidden", width, 1)

    @property
    def circuit(self) -> Circuit:
        """The circuit, or the one that the block stands in for."""
        return build_circuit(self.embedding, self.layers, self.n_qubits, self.n_layers)


class Classifier(nnx.Module):
    """Maps images (batch, height, width) in [0, 1] to logits (batch, n_classes).

    A trained layer reduces the features to those that the block takes, and a tanh
    squashes them: to angles in (0, pi) for a circuit, where <Z> = cos(angle) is one to
    one, and steepest where training starts, in the middle; to (-1, 1) for a classical
    block, which sees the same centred. Behind blocks whose outputs are bounded by 1 the
    read-out starts five times as large as usual: the expectations of a random circuit
    are small. Blocks start last, so that all else starts the same whatever they are.

    Args:
        config: The model as data.
        image_shape: Height and width in pixels.
        n_classes: Number of classes, at least 2.
        device: Where the circuit runs; ignored without one.
        rngs: Flax random number generators; the stream `params` starts the weights.

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
        image_shape: tuple[int, int] = (28, 28),
        n_classes: int = 10,
        device: DeviceConfig | None = None,
        rngs: nnx.Rngs,
    ):
        check_at_least("n_classes", n_classes, 2)
        for side in image_shape:
            check_at_least("image_shape", side, 1)
        self.image_shape = image_shape
        self.has_block = config.block != "none"
        height, width, c_in = *image_shape, 1
        layers: list[Any] = []
        for c_out in config.channels:
            _check_can_halve(config, height, width)
            layers.append(ConvolutionPool(c_in, c_out, rngs=rngs))
            height, width, c_in = height // 2, width // 2, c_out
        layers.append(_flatten)
        n_features = height * width * c_in
        for n_out in config.hidden:
            if config.dropout:
                layers.append(nnx.Dropout(config.dropout, rngs=rngs))
            layers += [nnx.Linear(n_features, n_out, rngs=rngs), jax.nn.relu]
            n_features = n_out
        if config.block != "none":
            circuit = config.circuit
            layers.append(nnx.Linear(n_features, circuit.n_features, rngs=rngs))
            layers += _squash(config)
            n_features = block_width(config.block, circuit)
        scale = 5.0**2 if config.block in BOUNDED else 1.0
        init = nnx.initializers.variance_scaling(scale, "fan_in", "truncated_normal")
        readout = nnx.Linear(n_features, n_classes, kernel_init=init, rngs=rngs)
        if config.block != "none":
            layers.append(build_block(config.block, circuit, device=device, rngs=rngs))
        layers.append(readout)
        self.layers = nnx.Sequential(*layers)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Classifies a batch of images."""
        return self.layers(self._centred(images))

    def features(self, images: jax.Array) -> jax.Array:
        """What the block takes of a batch of images, (batch, n_features).

        Raises:
            InputError: For a classifier without a block.
        """
        if not self.has_block:
            must = "be a classifier with a block: others have no features of one"
            raise input_error("model", must, "has block 'none'")
        x = self._centred(images)
        for layer in self.layers.layers[:-2]:  # the last two: block and read-out
            x = layer(x)
        return x

    def _centred(self, images: jax.Array) -> jax.Array:
        cure = "Pixels go in [0, 1], with a leading batch axis and no channel axis."
        check_shape("images", images.shape, ("batch", *self.image_shape), cure)
        # Centre and scale of Fashion-MNIST's training pixels; near enough for others.
        return ((images - 0.286) / 0.353)[..., None]


def _flatten(x: jax.Array) -> jax.Array:
    return x.reshape(x.shape[0], -1)


def _squash(config: ModelConfig) -> list[Any]:
    """What bounds the features of a block: angles for a circuit and its series."""
    takes_angles = config.block in (*CIRCUIT_BLOCKS, "fourier")
    if config.block == "linear" or (takes_angles and config.embedding != "angle"):
        return []
    return [_to_angles] if takes_angles else [jnp.tanh]


def _to_angles(x: jax.Array) -> jax.Array:
    """Squashes to (0, pi)."""
    return jnp.pi / 2 * (1 + jnp.tanh(x))


def _check_can_halve(config: ModelConfig, height: int, width: int) -> None:
    if min(height, width) < 2:
        raise input_error(
            "channels",
            "have fewer entries, since each halves the image",
            f"is {config.channels}, and {height} x {width} pixels are left",
        )


def count_parameters(model: nnx.Module) -> tuple[int, int]:
    """Counts the trainable numbers of a model: (quantum, classical).

    Example:
        >>> config = ModelConfig(block="circuit", n_qubits=3, n_layers=2)
        >>> count_parameters(Classifier(config, rngs=nnx.Rngs(0)))
        (18, 2395)
    """
    quantum = _count(nnx.state(model, QuantumParam))
    return quantum, _count(nnx.state(model, nnx.Param)) - quantum


def _count(state: nnx.State) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(state))
