"""A run directory: what was asked for, what came out, and everything in between.

config.toml      RunConfig: all that repeats the run
loaded/          copies of the files of a user's own that it was made with
metrics.jsonl    one line for each epoch
checkpoints/     the last state and the best weights
scores.json      Result: the test scores and what they cost
mistakes.npz     the most confident mistakes, with their images
deployments/     a folder for each evaluation on a device: its jobs and scores
cost.json        what the test images would cost on quantum computers
lock             held while a process works on the run
"""

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cattrs
import numpy as np

from .._checks import InputError
from ..data import IMAGE_SHAPE
from ..data.npz import read_npz
from ..evaluation import Scores
from ..files import is_unused, read_table, write_json, write_whole
from ..parallel.loading import LoadedFile, command_line
from ..training.history import History, read_records
from .config import (
    RUN_FORMAT,
    RunConfig,
    check_format,
    converter,
    in_words,
    read_toml,
    write_toml,
)
from .origin import keep_loaded

CONFIG_FILE = "config.toml"


@dataclasses.dataclass(frozen=True)
class Result:
    """The test scores of a run and what they cost."""

    model: str
    """Name of the model."""
    dataset: str
    """Name of the data set, as it was resolved."""
    device: str
    """Device of the circuit; `classical` for a model without one."""
    seed: int
    """Seed of the run."""
    class_names: tuple[str, ...]
    """Name of each class."""
    n_train: int
    """Training images."""
    n_validation: int
    """Validation images."""
    n_parameters: int
    """Trainable numbers in all."""
    n_parameters_quantum: int
    """Those that are angles of the circuit."""
    n_parameters_classical: int
    """All others."""
    best_epoch: int
    """Epoch of the scored weights, chosen on the validation images."""
    seconds_training: float
    """Time of all training steps, without compilation, validation, checkpoints."""
    seconds_compiling: float
    """Time of the compilation of the training step; short with a warm cache."""
    seconds_inference: float
    """Time to classify all test images once, after compilation."""
    peak_memory_bytes: int
    """Largest resident memory of the process during the run. It is the model's own
    only in a process that did nothing else, so that no report shows it."""
    scores: Scores
    """Scores on the test images."""
    versions: dict[str, str]
    """Versions of Python, this package and what it stands on; the machine."""
    warning: str | None = None
    """What a reader must know, such as a data set that was replaced."""
    n_parameters_frozen: int = 0
    """Weights that keep the value they started with, such as a trunk's; not counted
    above. Runs of before they were counted have 0."""
    image_shape: tuple[int, ...] = IMAGE_SHAPE
    """(height, width) of the images, or (height, width, 3) in colour. Those of before
    there was a choice had 28 x 28 grey pixels."""
    format: int = RUN_FORMAT
    """Version of this file."""


@dataclasses.dataclass(frozen=True, eq=False)
class Mistakes:
    """The wrongly classified test images of which the model was most certain."""

    images: np.ndarray
    """uint8 (k, *image_shape), most certain first."""
    labels: np.ndarray
    """True classes, int32 (k,)."""
    predictions: np.ndarray
    """Predicted classes, int32 (k,)."""
    confidence: np.ndarray
    """Probability given to the prediction, float32 (k,)."""


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A finished run, as read from its directory."""

    directory: Path
    config: RunConfig
    history: History
    result: Result
    mistakes: Mistakes


def write_config(directory: Path, config: RunConfig) -> None:
    """Makes a run directory; the configuration is its first file.

    Raises:
        InputError: If the directory already holds a run, or cannot be written.
    """
    check_holds_no_run(directory)
    start_directory(directory, CONFIG_FILE, config, loaded=config.loaded)


def check_holds_no_run(directory: Path) -> None:
    """Raises where a run was begun, if it is only with its configuration.

    Raises:
        InputError: Naming the directory.
    """
    if (directory / CONFIG_FILE).exists():
        raise InputError(
            f"{directory} already holds a run, and nothing is overwritten. Choose "
            "another directory with --out, or continue that run with --resume."
        )


def check_is_empty(directory: Path) -> None:
    """Raises if there is anything at `directory` that could be overwritten.

    Raises:
        InputError: If it is a file, or a folder that is not empty. What a start that
            was killed left behind does not count.
    """
    if not is_unused(directory):
        raise InputError(
            f"{directory} is not empty, and nothing is overwritten. Choose another "
            "directory with --out, or continue with --resume what it holds."
        )


def start_directory(
    directory: Path,
    name: str,
    options: Any,
    format_: int = RUN_FORMAT,
    loaded: Sequence[LoadedFile] | None = None,
) -> None:
    """Makes a directory; the options that repeat what it will hold come first.

    Args:
        directory: To be made.
        name: Of the file of the options.
        options: A frozen dataclass of plain values.
        format_: Version of that file.
        loaded: Files of a user's own that the options name; their copies are there
            before the options are.

    Raises:
        InputError: If the directory cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        keep_loaded(directory, loaded)
        write_toml(directory / name, options, format_)
    except OSError as error:
        raise InputError(
            f"The run directory {directory} cannot be written: {error.strerror}. "
            "Choose another one with --out."
        ) from error


def read_config(directory: Path) -> RunConfig:
    """Reads the configuration of a run.

    Raises:
        InputError: If there is none, or it is damaged or of another version.
    """
    try:
        return read_toml(directory / CONFIG_FILE, RunConfig)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            f"{directory} holds no run: there is no config.toml. Name a directory "
            "that `qfm train` or `qfm compare` wrote."
        ) from error


def write_result(directory: Path, result: Result, mistakes: Mistakes) -> None:
    """Writes `scores.json`, with the scores beside the other figures, and mistakes."""
    content = io.BytesIO()
    np.savez_compressed(content, **vars(mistakes))
    write_whole(directory / "mistakes.npz", content.getvalue())
    table = cattrs.unstructure(result)
    table |= table.pop("scores")
    write_json(directory / "scores.json", table)


def read_run(directory: Path | str) -> Run:
    """Reads a finished run.

    Raises:
        InputError: If it is not finished, damaged or of another version.
    """
    directory = Path(directory)
    config = read_config(directory)
    records = read_records(directory / "metrics.jsonl")
    result = _read_result(directory)
    try:
        names = [field.name for field in dataclasses.fields(Mistakes)]
        mistakes = Mistakes(**read_npz(directory / "mistakes.npz", names))
    except (OSError, ValueError, KeyError) as error:
        path = directory / "mistakes.npz"
        raise InputError(f"{path} is damaged: {error}. Run again.") from error
    if len(records) < result.best_epoch:
        raise InputError(
            f"{directory / 'metrics.jsonl'} holds {len(records)} epochs, and the "
            f"scores are those of epoch {result.best_epoch}. Restore the file."
        )
    history = History(records, result.best_epoch, result.seconds_compiling)
    return Run(directory, config, history, result, mistakes)


def _read_result(directory: Path) -> Result:
    path = directory / "scores.json"
    try:
        table = read_table(path)
        check_format(path, table.get("format"))
        names = [field.name for field in dataclasses.fields(Scores)]
        table["scores"] = {name: table.pop(name) for name in names}
        return converter().structure(table, Result)
    except FileNotFoundError as error:
        raise InputError(
            f"{directory} holds no scores: the run is not finished. Continue it with "
            f"`{command_line('train', '--resume', directory)}`."
        ) from error
    except (ValueError, KeyError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged: {error!r}. Restore it.") from error
    except cattrs.BaseValidationError as error:
        raise InputError(f"{path} does not hold scores: {in_words(error)}.") from error
