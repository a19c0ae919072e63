"""The models and comparisons that have a name: values in one table each."""

import dataclasses

from ._checks import check_one_of
from .models import ModelConfig
from .training import TrainConfig


@dataclasses.dataclass(frozen=True)
class Preset:
    """A model with a name, and how it is trained."""

    summary: str
    """What it is, in a line."""
    network: ModelConfig
    """The model as data."""
    training: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    """How it is trained."""


FRONT_END = ModelConfig(channels=(16, 32, 64), hidden=(64,), dropout=0.15)

MODELS = {
    "linear": Preset(
        "pixels -> logits: the floor for every other model", ModelConfig()
    ),
    "mlp": Preset(
        "two dense hidden layers on the pixels", ModelConfig(hidden=(96, 48))
    ),
    "cnn": Preset(
        "convolutions, then a dense block of 8 units where hybrid-cnn has its circuit",
        dataclasses.replace(FRONT_END, block="dense"),
    ),
    "hybrid-cnn": Preset(
        "the same convolutions, then a circuit of 8 qubits, 2 layers",
        dataclasses.replace(FRONT_END, block="circuit", layers="efficient-su2"),
    ),
}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Models that are trained alike and shown side by side."""

    summary: str
    """What it is for, in a line."""
    models: tuple[str, ...] = tuple(MODELS)
    """Names of the models, in the order of training."""
    train_size: int | None = None
    """Training images at most; all where left out."""
    epochs: int = 10
    """Epochs of each model."""


COMPARISONS = {
    "smoke": Comparison("seconds: does it run?", train_size=600, epochs=2),
    "demo": Comparison("minutes: the first look", train_size=30_000, epochs=5),
    "full": Comparison("the figures to quote: every image, ten epochs"),
}


def get_preset(name: str) -> Preset:
    """Finds a model by name.

    Raises:
        InputError: For an unknown one, with the nearest names.

    Example:
        >>> get_preset("hybrid-cnn").network.n_qubits
        8
    """
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
