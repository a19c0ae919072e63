"""What a run is asked to do, as plain values and as TOML."""

import dataclasses
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import cattrs
import tomli_w

from .._checks import InputError, check_at_least, input_error
from ..circuits import CIRCUITS, EMBEDDINGS
from ..circuits.table import UnknownCircuitError
from ..devices import DeviceConfig
from ..files import write_whole
from ..models import ModelConfig
from ..parallel.loading import LoadedFile
from ..training import TrainConfig
from .origin import ask_for_loaded

T = TypeVar("T")


RUN_FORMAT = 1
"""Version of the files of a run directory."""

Upgrades = Mapping[int, Callable[[dict[str, Any]], None]]
"""By the number of an older format: what makes a table one of the next format."""


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
    loaded: tuple[LoadedFile, ...] | None = None
    """Files of a user's own that it is made with; a copy of each is kept."""

    def __post_init__(self) -> None:
        check_at_least("seed", self.seed, 0)
        if self.network.frozen_front and self.trunk is None:
            must = "name a finished run, whose layers before the block stay as they are"
            raise input_error("trunk", must, "is missing")


def to_toml(value: Any, format_: int = RUN_FORMAT) -> str:
    """The text of `config.toml`, or of any other frozen dataclass of plain values.

    Args:
        value: The dataclass.
        format_: Version of the file.

    Example:
        >>> text = to_toml(RunConfig("linear", ModelConfig()))
        >>> text.splitlines()[:3]
        ['format = 1', 'model = "linear"', 'seed = 0']
    """
    table = {"format": format_, **_without_none(cattrs.unstructure(value))}
    return tomli_w.dumps(table)


def write_toml(path: Path, value: Any, format_: int = RUN_FORMAT) -> None:
    """Writes what `to_toml` says into a file that is either whole or not there."""
    write_whole(path, to_toml(value, format_).encode())


def read_toml(
    path: Path,
    kind: type[T],
    newest: int = RUN_FORMAT,
    older: Upgrades | None = None,
) -> T:
    """Reads what `write_toml` wrote.

    Args:
        path: Of the file.
        kind: Of the dataclass that it describes.
        newest: The format that this version writes.
        older: How to read earlier ones.

    Raises:
        InputError: If the file is damaged, of another version, or describes something
            else than `kind`, or a file that it needs is not loaded.
        FileNotFoundError: If it is not there.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        upgrade(path, table, newest, older)
        ask_for_files_of(path, table)
        return converter().structure(table, kind)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error}. Restore it.") from error
    except cattrs.BaseValidationError as error:
        problems = in_words(error)
        raise unknown_circuit_of(path, error) or InputError(
            f"{path} does not describe a run: {problems}."
        ) from error


def ask_for_files_of(path: Path, table: dict[str, Any]) -> None:
    """Raises unless the files are loaded that a run, or a table with one, names.

    First of all: what the files add may be named in the rest.

    Args:
        path: Of the file that holds the table.
        table: Of a `RunConfig`, or of something that holds one as `run`.

    Raises:
        InputError: As `ask_for_loaded` does.
        cattrs.BaseValidationError: If the names are no such table.
    """
    own = table.get("run", table)
    named = {"loaded": own.get("loaded")} if isinstance(own, dict) else {}
    ask_for_loaded(path, converter().structure(named, _Named).loaded)


@dataclasses.dataclass(frozen=True)
class _Named:
    """The files that a table names."""

    loaded: tuple[LoadedFile, ...] | None = None


def converter() -> cattrs.Converter:
    """Structures the plain tables of a file; refuses unknown keys and wrong types."""
    converter = cattrs.Converter(forbid_extra_keys=True)
    # Options of a device are plain values of any TOML type.
    converter.register_structure_hook(DeviceConfig, _structure_device)
    as_it_is = converter.get_structure_hook(ModelConfig)
    converter.register_structure_hook(
        ModelConfig, lambda table, kind: as_it_is(_of_today(table), kind)
    )
    converter.register_structure_hook(int, _structure_whole)
    converter.register_structure_hook(int | Literal["all"] | None, _structure_count)
    converter.register_structure_hook(bool, _structure_switch)
    return converter


def unknown_circuit_of(path: Path, error: BaseException) -> UnknownCircuitError | None:
    """What says that a file names a circuit that is not here; None if it is damaged.

    Args:
        path: Of the file.
        error: That it raised when it was read, which may hold others.
    """
    if isinstance(error, UnknownCircuitError):
        return UnknownCircuitError(f"{path} needs a circuit that is not here: {error}")
    for inner in getattr(error, "exceptions", ()):
        if found := unknown_circuit_of(path, inner):
            return found
    return None


def in_words(error: cattrs.BaseValidationError) -> str:
    """What is wrong with a table, and where in it."""
    return "; ".join(cattrs.transform_error(error, format_exception=_explain))


def upgrade(
    path: Path,
    table: dict[str, Any],
    newest: int = RUN_FORMAT,
    older: Upgrades | None = None,
) -> None:
    """Takes the format off a table, and makes it one of the newest format.

    Args:
        path: Of the file that holds the table.
        table: Changed in place.
        newest: The format that this version writes.
        older: How to read earlier ones.

    Raises:
        InputError: For a format that is not read.
        ValueError: For a table that is not of the format that it names.

    Example:
        >>> table = {"format": 1, "colour": "red"}
        >>> def rename(table):
        ...     table["color"] = table.pop("colour")
        >>> upgrade(Path("paint.json"), table, newest=2, older={1: rename})
        >>> table
        {'color': 'red'}
    """
    older, found = older or {}, table.pop("format", None)
    while isinstance(found, int) and found in older:
        try:
            older[found](table)
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"it is not as format {found}: {error!r}") from error
        found += 1
    check_format(path, found, newest)


def check_format(path: Path, found: Any, newest: int = RUN_FORMAT) -> None:
    """Raises for a file of a format that this version does not read."""
    if found != newest:
        raise InputError(
            f"{path} has format {found!r}, and this version reads {newest}. "
            "Read it with the version that wrote it, or start again."
        )


def _structure_whole(value: Any, _: type) -> int:
    """No silent rounding: `epochs = 2.5` is a mistake, not 2."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"must be a whole number, but is {value!r}")
    return value


def _structure_count(value: Any, _: Any) -> int | str | None:
    return value if value in (None, "all") else _structure_whole(value, int)


def _structure_switch(value: Any, _: type) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"must be true or false, but is {value!r}")
    return value


def _of_today(table: dict[str, Any]) -> dict[str, Any]:
    """A network as it is written now.

    Version 0.1 called its head its readout, and a whole circuit was named as an
    embedding, with layers that it did not have.
    """
    table = {"head" if name == "readout" else name: v for name, v in table.items()}
    embedding = table.get("embedding")
    if embedding in CIRCUITS and embedding not in EMBEDDINGS:
        parts = {"circuit": embedding, "embedding": None, "layers": None}
        return table | parts
    return table


def _structure_device(table: dict[str, Any], _: type) -> DeviceConfig:
    options = tuple((name, value) for name, value in table.get("options", ()))
    return DeviceConfig(**{**table, "options": options})


def _explain(error: BaseException, type_: type | None) -> str:
    """A problem in words: our own sentence where there is one."""
    is_ours = isinstance(error, InputError)
    return str(error) if is_ours else cattrs.v.format_exception(error, type_)


def _without_none(table: Any) -> Any:
    """TOML has no null: None is the default wherever it is allowed, so it is left."""
    if not isinstance(table, dict):
        return table
    return {k: _without_none(v) for k, v in table.items() if v is not None}
