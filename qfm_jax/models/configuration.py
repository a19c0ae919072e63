"""A classifier as data."""

import dataclasses
from typing import Any

from .._checks import check_at_least, check_one_of, check_range, input_error
from ..circuits import (
    Angles,
    VariationalCircuit,
    build_circuit,
    named_circuit,
)
from ..circuits.declaration import takes_of
from ..circuits.table import check_name, check_parts
from .block import BLOCKS


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """A classifier as data; two models that differ in one value differ in that alone.

    images -> convolutions -> (dropout, hidden layer) ... -> block -> head

    With `features="pixels"` the block takes the image itself. With `patch` it comes
    first and maps every patch of the image, as a convolution would:

    images -> patches -> block -> convolutions -> (dropout, hidden) ... -> head

    Example:
        >>> hybrid = ModelConfig(channels=(8,), block="circuit", n_qubits=4)
        >>> control = dataclasses.replace(hybrid, block="dense")
    """

    channels: tuple[int, ...] = ()
    """Output channels of each stage: 3x3 convolutions with ReLU, the last one with 2x2
    max pooling."""

    hidden: tuple[int, ...] = ()
    """Widths of the dense ReLU layers that follow."""

    dropout: float = 0.0
    """Share of the features that is dropped before each hidden layer, or behind the
    convolutions where there is none; in [0, 0.95]."""

    block: str = "none"
    """What is before the head: a circuit or a stand-in of it (see `BLOCKS`),
    after a dense layer that reduces the features to those it takes; or `none`."""

    embedding: str | None = None
    """How a circuit made of two parts takes its features in; `angle` where left out."""

    layers: str | None = None
    """Its trainable layers; `strongly-entangling` where left out."""

    n_qubits: int = 8
    """Qubits of the circuit; also the width of the dense block."""

    n_layers: int = 2
    """Trainable layers of the circuit."""

    n_circuits: int = 1
    """Circuits side by side, each with features and weights of its own."""

    angle_spread: float = 0.1
    """Standard deviation of the circuit's weights at the start, in radians."""

    features: str = "dense"
    """What the block takes: `dense`, the results of a trained layer, or `pixels`, the
    image in a frame of ones, pooled where it is too large."""

    patch: int = 0
    """Side of the patches that the block maps one by one, their pixels as angles; 0 for
    a block that takes each image as a whole."""

    frozen_front: bool = False
    """Whether all layers before the block keep the weights that they start with."""

    residual: bool = False
    """Whether what follows the block takes the block's features too, around zero."""

    head: str = "dense"
    """`dense`, a trained layer, or `scale`: one trained factor, and an offset a class,
    for the block's first results."""

    convolutions: int = 1
    """Convolutions of each stage."""

    normalized: bool = False
    """Whether each convolution ends in batch normalisation, before its ReLU."""

    resolution: int = 0
    """Pixels on a side that images are averaged to before all else, and spread over
    their first size again; 0 for images as they are."""

    input_scale: float = 1.0
    """What pixels in [0, 1] are multiplied with before all else, above 0. Angles of
    patches then lie in [0, pi input_scale]."""

    mirrored: bool = False
    """Whether an image is classified, outside of training, by the mean logits of itself
    and its mirror image; for classifiers without a block."""

    circuit: str | None = None
    """Name of a whole circuit, see `CIRCUITS`; where left out, it is made of an
    embedding and layers."""

    def __post_init__(self) -> None:
        check_one_of("block", self.block, ("none", *BLOCKS))
        self._settle_circuit()
        check_one_of("features", self.features, ("dense", "pixels"))
        check_one_of("head", self.head, ("dense", "scale"))
        check_range("dropout", self.dropout, 0, 0.95)
        check_range("angle_spread", self.angle_spread, 0)
        check_at_least("n_qubits", self.n_qubits, 1)
        check_at_least("n_layers", self.n_layers, 1)
        check_at_least("n_circuits", self.n_circuits, 1)
        check_at_least("patch", self.patch, 0)
        check_at_least("convolutions", self.convolutions, 1)
        check_at_least("resolution", self.resolution, 0)
        check_range("input_scale", self.input_scale, 1e-3, 1e3)
        for width in self.channels:
            check_at_least("channels", width, 1)
        for width in self.hidden:
            check_at_least("hidden", width, 1)
        if self.block != "none":
            self._check_place_of_block()
            if self.mirrored:
                must = "be False where there is a block: it would work twice an image"
                raise input_error("mirrored", must, "is True")

    def _check_place_of_block(self) -> None:
        excluded: dict[str, Any] = {}
        where = "the block takes the pixels"
        if self.features == "pixels":
            excluded = {"channels": (), "hidden": (), "dropout": 0.0}
            excluded |= {"n_circuits": 1, "patch": 0}
        elif self.patch:
            where = "the block maps patches"
            excluded = {"n_circuits": 1, "residual": False, "head": "dense"}
        for name, plain in excluded.items():
            if (value := getattr(self, name)) != plain:
                raise input_error(name, f"be {plain!r} where {where}", f"is {value!r}")
        if not self.patch:
            return
        circuit = circuit_of(self)
        found = takes_of(circuit), circuit.n_features
        if not isinstance(found[0], Angles) or found[1] != self.patch**2:
            must = f"be {self.patch**2}, one for each pixel of a patch, and its "
            must += "circuit one that takes angles"
            was = f"is {self.n_qubits}, and it takes {found[1]}: {found[0]}"
            raise input_error("n_qubits", must, was)

    def _settle_circuit(self) -> None:
        """Names both parts of a circuit that has any, and none of another."""
        if self.circuit is None:
            if self.embedding is None:
                object.__setattr__(self, "embedding", "angle")
            if self.layers is None:
                object.__setattr__(self, "layers", "strongly-entangling")
            check_parts(*parts_of(self))
            return
        check_name(self.circuit)
        for part in ("embedding", "layers"):
            if (value := getattr(self, part)) is not None:
                must = f"be None where a whole circuit is named, {self.circuit!r}"
                raise input_error(part, must, f"is {value!r}")


def circuit_of(config: ModelConfig) -> VariationalCircuit:
    """The circuit of a classifier's block, or the one that the block stands in for.

    Raises:
        InputError: For a circuit that cannot be built, or that is not what it declares.

    Example:
        >>> circuit_of(ModelConfig(block="circuit", n_qubits=3)).weights_shape
        (2, 3, 3)
        >>> circuit_of(ModelConfig(circuit="reuploading", n_qubits=3)).n_features
        3
    """
    n_qubits, n_layers = config.n_qubits, config.n_layers
    if config.circuit is not None:
        return named_circuit(config.circuit, n_qubits, n_layers)
    return build_circuit(*parts_of(config), n_qubits, n_layers)


def parts_of(config: ModelConfig) -> tuple[str, str]:
    """The names of embedding and layers of a circuit that is made of them.

    Example:
        >>> parts_of(ModelConfig())
        ('angle', 'strongly-entangling')
    """
    assert config.embedding is not None
    assert config.layers is not None
    return config.embedding, config.layers


def circuit_in_words(config: ModelConfig) -> str:
    """What the circuit of a classifier is made of, for people.

    Example:
        >>> circuit_in_words(ModelConfig(circuit="hamiltonian", n_layers=3))
        'hamiltonian, 3 layers'
        >>> circuit_in_words(ModelConfig())
        'angle embedding, 2 strongly-entangling layers'
    """
    if config.circuit is not None:
        return f"{config.circuit}, {config.n_layers} layers"
    embedding, layers = parts_of(config)
    return f"{embedding} embedding, {config.n_layers} {layers} layers"
