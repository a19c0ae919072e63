"""A run directory: what was asked for, what came out, and everything in between.

config.toml      RunConfig: all that repeats the run
metrics.jsonl    one line for each epoch
checkpoints/     the last state and the best weights
scores.json      Result: the test scores and what they cost
mistakes.npz     the most confident mistakes, with their images
deployments/     a folder for each evaluation on a device: its jobs and scores
cost.json        what the test images would cost on quantum computers
lock             held while a process works on the run
"""

import dataclasses
import importlib.metadata
import io
import json
import os
import platform
import tomllib
from pathlib import Path
from typing import Any, Literal, TypeVar

import cattrs
import jax
import numpy as np
import tomli_w

from .._checks import InputError, check_at_least, input_error
from ..data.npz import read_npz
from ..devices import DeviceConfig
from ..evaluation import Scores
from ..files import is_unused, read_table, write_whole
from ..training.history import History, read_records
from ..models import ModelConfig
from ..training import TrainConfig

T = TypeVar("T")

CONFIG_FILE = "config.toml"

FORMAT = 1
"""Version of the files of a run directory."""

PACKAGES = ("qfm_jax", "jax", "flax", "optax", "pennylane", "qiskit", "numpy")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which images a run sees; the arguments of `load_dataset`."""

    name: str = "auto"
    """A data set's name."""
    folder: str | None = None
    """Folder of the files, searched first."""
    train_size: int | None = None
    """Training images, after the split; all where left out."""
    test_size: int | None = None
    """Test images; all where left out."""
    classes: tuple[str, ...] = ()
    """Names or numbers of the classes; all where left out."""


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """All that repeats a run."""

    model: str
    """Name of the model in tables and figures."""
    network: ModelConfig
    """The model as data."""
    training: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    """How it is trained."""
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    """What it is trained on."""
    device: DeviceConfig = dataclasses.field(default_factory=DeviceConfig)
    """Where its circuit runs."""
    seed: int = 0
    """Seed of the split, the start, the shuffling and the augmentation."""
    trunk: str | None = None
    """A finished run whose layers before the block this one starts from."""

    def __post_init__(self) -> None:
        check_at_least("seed", self.seed, 0)
        if self.network.frozen_front and self.trunk is None:
            must = "name a finished run, whose layers before the block stay as they are"
            raise input_error("trunk", must, "is missing")


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
    """Largest resident memory of the process during the run."""
    scores: Scores
    """Scores on the test images."""
    versions: dict[str, str]
    """Versions of Python, this package and what it stands on; the machine."""
    warning: str | None = None
    """What a reader must know, such as a data set that was replaced."""
    n_parameters_frozen: int = 0
    """Weights that keep the value they started with, such as a trunk's; not counted
    above. Runs of before they were counted have 0."""
    format: int = FORMAT
    """Version of this file."""


@dataclasses.dataclass(frozen=True, eq=False)
class Mistakes:
    """The wrongly classified test images of which the model was most certain."""

    images: np.ndarray
    """uint8 (k, 28, 28), most certain first."""
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
    start_directory(directory, CONFIG_FILE, config)


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


def start_directory(directory: Path, name: str, options: Any) -> None:
    """Makes a directory; the options that repeat what it will hold come first.

    Raises:
        InputError: If the directory cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_toml(directory / name, options)
    except OSError as error:
        raise InputError(
            f"The run directory {directory} cannot be written: {error.strerror}. "
            "Choose another one with --out."
        ) from error


def to_toml(value: Any) -> str:
    """The text of `config.toml`, or of any other frozen dataclass of plain values.

    Example:
        >>> text = to_toml(RunConfig("linear", ModelConfig()))
        >>> text.splitlines()[:3]
        ['format = 1', 'model = "linear"', 'seed = 0']
    """
    table = {"format": FORMAT, **_without_none(cattrs.unstructure(value))}
    return tomli_w.dumps(table)


def write_toml(path: Path, value: Any) -> None:
    """Writes what `to_toml` says into a file that is either whole or not there."""
    write_whole(path, to_toml(value).encode())


def read_toml(path: Path, kind: type[T]) -> T:
    """Reads what `write_toml` wrote.

    Raises:
        InputError: If the file is damaged, of another version, or describes something
            else than `kind`.
        FileNotFoundError: If it is not there.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        _check_format(path, table.pop("format", None))
        return converter().structure(table, kind)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error}. Restore it.") from error
    except cattrs.BaseValidationError as error:
        problems = in_words(error)
        raise InputError(f"{path} does not describe a run: {problems}.") from error


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


def machine_versions(*, accelerator: bool = True) -> dict[str, str]:
    """Versions of what a result rests on, and the machine.

    Args:
        accelerator: Name the accelerator too. This starts JAX, which takes most of a
            GPU's memory: not for a process that leaves the work to others.

    Example:
        >>> machine_versions()["python"].count(".")
        2
    """
    versions = {name: _version(name) for name in PACKAGES}
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    if accelerator and (devices := jax.devices())[0].platform != "cpu":
        system += f", {len(devices)} x {devices[0].device_kind}"
    return {"python": platform.python_version(), "machine": system, **versions}


def _version(package: str) -> str:
    """A training machine may lack packages that only other devices need."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def write_json(path: Path, table: dict[str, Any]) -> None:
    """Writes a JSON file that is either whole or not there.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "scores.json"
        >>> write_json(path, {"accuracy": 0.5})
        >>> json.loads(path.read_text())
        {'accuracy': 0.5}
    """
    text = json.dumps(table, indent=2, allow_nan=False)
    write_whole(path, f"{text}\n".encode())


def _read_result(directory: Path) -> Result:
    path = directory / "scores.json"
    try:
        table = read_table(path)
        _check_format(path, table.get("format"))
        names = [field.name for field in dataclasses.fields(Scores)]
        table["scores"] = {name: table.pop(name) for name in names}
        return converter().structure(table, Result)
    except FileNotFoundError as error:
        raise InputError(
            f"{directory} holds no scores: the run is not finished. Continue it with "
            f"--resume {directory}."
        ) from error
    except (ValueError, KeyError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged: {error!r}. Restore it.") from error
    except cattrs.BaseValidationError as error:
        raise InputError(f"{path} does not hold scores: {in_words(error)}.") from error


def _check_format(path: Path, found: Any) -> None:
    if found != FORMAT:
        raise InputError(
            f"{path} has format {found!r}, and this version reads {FORMAT}. Read it "
            "with the version that wrote it, or run again."
        )


def converter() -> cattrs.Converter:
    """Structures the plain tables of a file; refuses unknown keys and wrong types."""
    converter = cattrs.Converter(forbid_extra_keys=True)
    # Options of a device are plain values of any TOML type.
    converter.register_structure_hook(DeviceConfig, _structure_device)
    converter.register_structure_hook(int, _structure_whole)
    converter.register_structure_hook(int | Literal["all"] | None, _structure_count)
    converter.register_structure_hook(bool, _structure_switch)
    return converter


def _structure_whole(value: Any, _: type) -> int:
    """No silent rounding: `epochs = 2.5` is a mistake, not 2."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"must be a whole number, but is {value!r}")
    return value


def _structure_count(value: Any, _: Any) -> int | str | None:
    return value if value in (None, "all") else _structure_whole(value, int)


def in_words(error: cattrs.BaseValidationError) -> str:
    """What is wrong with a table, and where in it."""
    return "; ".join(cattrs.transform_error(error, format_exception=_explain))


def _explain(error: BaseException, type_: type | None) -> str:
    """A problem in words: our own sentence where there is one."""
    is_ours = isinstance(error, InputError)
    return str(error) if is_ours else cattrs.v.format_exception(error, type_)


def _structure_switch(value: Any, _: type) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"must be true or false, but is {value!r}")
    return value


def _structure_device(table: dict[str, Any], _: type) -> DeviceConfig:
    options = tuple((name, value) for name, value in table.get("options", ()))
    return DeviceConfig(**{**table, "options": options})


def _without_none(table: Any) -> Any:
    """TOML has no null: None is the default wherever it is allowed, so it is left."""
    if not isinstance(table, dict):
        return table
    return {k: _without_none(v) for k, v in table.items() if v is not None}
