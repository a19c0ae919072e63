"""Where a training is kept on disk: its checkpoints and the records of its epochs."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from .._checks import InputError
from ..parallel.mesh import is_key
from ..parallel.processes import are_several, exchange, from_first
from .checkpoints import Checkpoints
from .config import Loss, Optimizer, TrainConfig, cross_entropy
from .history import EpochRecord, append_record, keep_records
from .steps import TrainState

Records = tuple[EpochRecord, ...]

DEFAULTS = {"training": dataclasses.asdict(TrainConfig())}
"""What a checkpoint was trained with, as far as it was written before there was a
choice."""


class Store(NamedTuple):
    """The directory of a training."""

    directory: Path
    description: dict[str, Any]

    def check_is_empty(self) -> None:
        """Raises where there is a training already."""
        if self.checkpoints.latest("last") or list(
            self.directory.glob("metrics*.jsonl")
        ):
            raise InputError(
                f"{self.directory} already holds a run, and nothing is overwritten. "
                "Name another directory, or resume that run."
            )

    @property
    def checkpoints(self) -> Checkpoints:
        """Of the last step, and of one model the best weights."""
        return Checkpoints(self.directory / "checkpoints", self.description, DEFAULTS)

    def last(self, start: TrainState) -> TrainState:
        """The state of the last checkpoint, or `start` where there is none."""
        if not self.checkpoints.latest("last"):
            return start
        state: TrainState = self.checkpoints.restore("last", start)
        for name in ("last", "best"):
            self.checkpoints.keep_latest(name)
        return state

    def records(self, n_seeds: int | None, n_epochs: int) -> list[Records]:
        """Those of the epochs that a checkpoint covers; lines of others are dropped."""
        return [keep_records(path, n_epochs) for path in self._metrics(n_seeds)]

    def append(self, n_seeds: int | None, records: Sequence[EpochRecord]) -> None:
        """Adds the record of each seed to its file."""
        for path, record in zip(self._metrics(n_seeds), records, strict=True):
            append_record(path, record)

    def _metrics(self, n_seeds: int | None) -> list[Path]:
        if n_seeds is None:
            return [self.directory / "metrics.jsonl"]
        return [self.directory / f"metrics-{i}.jsonl" for i in range(n_seeds)]


def of_first(state: TrainState, records: Records) -> tuple[TrainState, Records]:
    """Where training is in the first of several processes: it alone has the files."""
    if not are_several():
        return state, records
    plain = exchange([dataclasses.asdict(record) for record in records])[0]
    records = tuple(EpochRecord(**record) for record in plain)
    leaves, structure = jax.tree.flatten(state)
    hosted = [jax.random.key_data(x) if is_key(x) else x for x in leaves]
    found = from_first([np.asarray(x) for x in hosted])
    keyed = [
        jax.random.wrap_key_data(jnp.asarray(x), impl=jax.random.key_impl(leaf))
        if is_key(leaf)
        else jnp.asarray(x)
        for x, leaf in zip(found, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, keyed), records


def own_description(optimizer: Optimizer | None, loss: Loss) -> dict[str, Any]:
    """The names of a training's own optimiser and loss, as far as there are any.

    Example:
        >>> own_description(None, cross_entropy)
        {}
    """
    own = {"optimizer": optimizer, "loss": None if loss is cross_entropy else loss}
    name = lambda part: getattr(part, "__qualname__", type(part).__qualname__)  # noqa: E731
    return {key: name(part) for key, part in own.items() if part is not None}


def description_of(
    model: nnx.Module, config: TrainConfig, n_train: int, n_validation: int
) -> dict[str, Any]:
    """What a checkpoint must share with a run to belong to it.

    Example:
        >>> model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
        >>> description_of(model, TrainConfig(), 100, 10)["weights"]
        {'bias': [3], 'kernel': [2, 3]}
    """
    weights = nnx.to_flat_state(nnx.state(model, nnx.Param))
    return {
        "training": dataclasses.asdict(config),
        "n_train": n_train,
        "n_validation": n_validation,
        "weights": {"/".join(map(str, path)): list(w.shape) for path, w in weights},
    }
