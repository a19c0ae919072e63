"""`qfm data` and `qfm models`: what there is."""

import dataclasses
import functools

import numpy as np
from flax import nnx
from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

from ..data import load_dataset
from ..models import Classifier, count_parameters
from ..runs.presets import COMPARISONS, MODELS
from .options import Folder, Images


@dataclasses.dataclass(frozen=True)
class Data:
    """Finds, verifies and describes a data set."""

    name: Positional[Images] = "auto"
    folder: Folder = None

    def run(self) -> None:
        """Prints where the images lie and how they are split."""
        data = load_dataset(self.name, folder=self.folder)
        table = Table(title=f"{data.name}, from {data.source}")
        table.add_column("class")
        parts = {"train": data.train, "validation": data.validation, "test": data.test}
        for name in parts:
            table.add_column(name, justify="right")
        n_classes = data.n_classes
        counts = [
            np.bincount(part.labels, minlength=n_classes) for part in parts.values()
        ]
        for index, name in enumerate(data.class_names):
            table.add_row(name, *(f"{count[index]:,}" for count in counts))
        table.add_section()
        table.add_row("all", *(f"{len(part):,}" for part in parts.values()))
        Console().print(table)


@dataclasses.dataclass(frozen=True)
class Models:
    """Lists the models and comparisons that have a name."""

    def run(self) -> None:
        """Prints both tables."""
        table = Table(title="Models (qfm train MODEL)")
        for column in ("model", "what it is"):
            table.add_column(column)
        for column in ("quantum", "classical"):
            table.add_column(column, justify="right")
        for name, preset in MODELS.items():
            build = functools.partial(Classifier, preset.network)
            # Shapes alone: nothing is compiled.
            model = nnx.eval_shape(lambda build=build: build(rngs=nnx.Rngs(0)))
            counts = (f"{count:,}" for count in count_parameters(model))
            table.add_row(name, preset.summary, *counts)
        Console().print(table)
        table = Table(title="Comparisons (qfm compare --preset NAME)")
        for column in ("preset", "what it is for", "models", "images", "epochs"):
            table.add_column(column)
        for name, comparison in COMPARISONS.items():
            size = f"{comparison.train_size:,}" if comparison.train_size else "all"
            models = ", ".join(comparison.models)
            epochs = str(comparison.epochs)
            table.add_row(name, comparison.summary, models, size, epochs)
        Console().print(table)
