"""The models and comparisons that have a name: values in one table each."""

import dataclasses

from .._checks import check_one_of
from ..models import ModelConfig
from ..training import TrainConfig

USUAL = TrainConfig(min_steps=750)
"""Few images are seen more often: 750 steps are 10 epochs of 9,600."""


@dataclasses.dataclass(frozen=True)
class Preset:
    """A model with a name, and how it is trained."""

    summary: str
    """What it is, in a line."""
    network: ModelConfig
    """The model as data."""
    training: TrainConfig = USUAL
    """How it is trained."""


FRONT_END = ModelConfig(channels=(16, 32, 64), hidden=(64,), dropout=0.15)
DEEP = ModelConfig(channels=(18, 36, 72), convolutions=2, normalized=True, n_qubits=10)
COMPACT = ModelConfig(channels=(8, 18, 36), hidden=(36,), dropout=0.1)
PATCHES = ModelConfig(
    patch=2, n_qubits=4, channels=(16, 32), hidden=(64,), dropout=0.15
)
PURE = ModelConfig(
    block="circuit", features="pixels", embedding="amplitude", n_qubits=10, n_layers=8
)
"""A circuit that sees the pixels themselves."""

FAST = dataclasses.replace(USUAL, learning_rate=0.01, clip_norm=0.0)
"""For models that are nothing but a circuit."""

AUGMENTED = TrainConfig(epochs=20, min_steps=420, augment=True, max_shift=1)
"""For deep front ends: longer, and images that move by a pixel at most."""

replace = dataclasses.replace

MODELS = {
    "linear": Preset(
        "pixels -> logits: what every other model is measured against", ModelConfig()
    ),
    "mlp": Preset(
        "two dense hidden layers on the pixels", ModelConfig(hidden=(96, 48))
    ),
    "cnn-2k": Preset(
        "convolutions alone, under 2,000 parameters", ModelConfig(channels=(4, 8, 10))
    ),
    "cnn-10k": Preset(
        "convolutions alone, under 10,000 parameters",
        ModelConfig(channels=(8, 16, 24)),
    ),
    "cnn": Preset(
        "convolutions, then a dense block of 8 units where hybrid-cnn has its circuit",
        replace(FRONT_END, block="dense"),
    ),
    "deep-cnn": Preset(
        "six normalised convolutions, images shifted and flipped, then a dense block",
        replace(DEEP, block="dense"),
        AUGMENTED,
    ),
    "strong-cnn": Preset(
        "six wider convolutions, parts of the images covered too, scored with mirrors",
        replace(DEEP, channels=(32, 64, 128), dropout=0.25, mirrored=True),
        replace(AUGMENTED, epochs=24, min_steps=450, erase=0.5),
    ),
    "hybrid-cnn": Preset(
        "the same convolutions, then a circuit of 8 qubits, 2 layers",
        replace(FRONT_END, block="circuit", layers="efficient-su2"),
    ),
    "deep-hybrid": Preset(
        "deep-cnn's convolutions and images, then a circuit of 10 qubits, 2 layers",
        replace(DEEP, block="circuit", layers="efficient-su2"),
        AUGMENTED,
    ),
    "compact-hybrid": Preset(
        "a hybrid of 8 qubits and fewer than 20,000 parameters in all",
        replace(COMPACT, block="circuit", layers="efficient-su2"),
    ),
    "residual-hybrid": Preset(
        "hybrid-cnn whose head takes the circuit's features too",
        replace(FRONT_END, block="circuit", layers="efficient-su2", residual=True),
    ),
    "parallel-hybrid": Preset(
        "the same convolutions, then two circuits of 4 qubits side by side",
        replace(
            FRONT_END,
            block="circuit",
            layers="efficient-su2",
            n_qubits=4,
            n_circuits=2,
        ),
    ),
    "transfer-hybrid": Preset(
        "hybrid-cnn on the convolutions of a finished run (--trunk), which stay",
        replace(FRONT_END, block="circuit", layers="efficient-su2", frozen_front=True),
    ),
    "patch-cnn": Preset(
        "a 2x2 convolution of stride 2 where quanvolution has its circuit",
        replace(PATCHES, block="dense"),
    ),
    "quanvolution": Preset(
        "a trained circuit of 4 qubits on each of 196 patches, then convolutions",
        replace(PATCHES, block="circuit"),
    ),
    "quanvolution-random": Preset(
        "the same with a random circuit that is not trained",
        replace(PATCHES, block="frozen", angle_spread=3.0),
    ),
    "amplitude": Preset(
        "pure quantum: pixels as amplitudes of 10 qubits, then general unitaries",
        replace(PURE, layers="unitary", head="scale"),
        FAST,
    ),
    "hamiltonian": Preset(
        "pure quantum: pixels as energies of 10 qubits, again in each of 8 layers",
        replace(PURE, circuit="hamiltonian", embedding=None, layers=None, head="scale"),
        FAST,
    ),
    "qcnn": Preset(
        "a quantum convolutional network on 10 qubits, linear head on three",
        replace(PURE, layers="convolutional-unshared", n_layers=2),
        replace(FAST, learning_rate=0.03),
    ),
    "pixel-reuploading": Preset(
        "14x14 pixels as angles of 8 qubits, each with a trained scale, twice over",
        replace(
            PURE,
            circuit="pixel-reuploading",
            embedding=None,
            layers=None,
            n_qubits=8,
            n_layers=18,
            angle_spread=0.2,
        ),
        replace(FAST, learning_rate=0.02),
    ),
    "tree": Preset(
        "trees of two-qubit gates on 10 qubits, linear head on one of them",
        replace(PURE, layers="tree", n_layers=4),
        replace(FAST, learning_rate=0.03),
    ),
    "chain": Preset(
        "staircases of two-qubit gates on 10 qubits (matrix product states)",
        replace(PURE, layers="chain", n_layers=4),
        replace(FAST, learning_rate=0.03),
    ),
}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Models that are trained alike and shown side by side."""

    summary: str
    """What it is for, in a line."""
    models: tuple[str, ...] = ("linear", "mlp", "cnn", "hybrid-cnn")
    """Names of the models, in the order of training."""
    train_size: int | None = None
    """Training images at most; all where left out."""
    epochs: int = 10
    """Epochs of each model."""
    is_brief: bool = False
    """Whether the epochs are all, however few steps of the optimiser they have."""


COMPARISONS = {
    "smoke": Comparison(
        "seconds: does it run?", train_size=600, epochs=2, is_brief=True
    ),
    "demo": Comparison("minutes: the first look", train_size=30_000, epochs=5),
    "full": Comparison("the figures to quote: every image, ten epochs"),
}


OLD_NAMES = {"reuploading": "pixel-reuploading"}
"""Models by their names in version 0.1."""


def get_preset(name: str) -> Preset:
    """Finds a model by name, that of version 0.1 among them.

    Raises:
        InputError: For an unknown one, with the nearest names.

    Example:
        >>> get_preset("hybrid-cnn").network.n_qubits
        8
    """
    name = OLD_NAMES.get(name, name)
    check_one_of("model", name, MODELS, "`qfm models` lists them.")
    return MODELS[name]


def get_comparison(name: str) -> Comparison:
    """Finds a comparison by name.

    Raises:
        InputError: For an unknown one, with the nearest names.

    Example:
        >>> get_comparison("demo").epochs
        5
    """
    check_one_of("preset", name, COMPARISONS)
    return COMPARISONS[name]
