"""A run's configuration -> the command and the TOML that repeat it.

Neither shows where this machine keeps its data: of a folder only the last name.
"""

import dataclasses
import shlex
from pathlib import Path
from typing import Any

from ..devices import DeviceConfig
from ..models import ModelConfig
from ..presets import MODELS
from ..runs import Run, RunConfig, to_toml
from ..training import TrainConfig


def repeat_command(run: Run) -> str:
    """The command that trains the same model again.

    Network and training are named where they differ from the model's preset.
    """
    config, data, device = run.config, run.config.data, run.config.device
    preset = MODELS.get(config.model)
    options: dict[str, Any] = {
        "dataset": run.result.dataset,
        "data_dir": _last_name(data.folder),
        "train_size": data.train_size,
        "test_size": data.test_size,
        "classes": data.classes or None,
        "trunk": _last_name(config.trunk),
        "epochs": config.training.epochs,
        "seed": config.seed,
    }
    if config.network.block == "circuit":
        options["device"] = device.name
        options |= _changed(device, DeviceConfig(), ("shots", "diff_method"))
    options |= _changed(config.network, preset.network if preset else ModelConfig())
    options |= _changed(config.training, preset.training if preset else TrainConfig())
    options["out"] = run.directory.name
    words = [_option(name, value) for name, value in options.items()]
    return " ".join(["qfm train", shlex.quote(config.model), *filter(None, words)])


def config_toml(config: RunConfig) -> str:
    """The configuration as its `config.toml` has it."""
    return to_toml(without_folders(config))


def without_folders(config: RunConfig) -> RunConfig:
    """The configuration with the last name alone of each folder."""
    data = dataclasses.replace(config.data, folder=_last_name(config.data.folder))
    return dataclasses.replace(config, data=data, trunk=_last_name(config.trunk))


def _last_name(folder: str | None) -> str | None:
    return None if folder is None else Path(folder).name


def _changed(config: Any, default: Any, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of `config` (or those named) that are not as in `default`."""
    fields = {name: getattr(config, name) for name in names or vars(default)}
    return {k: v for k, v in fields.items() if v != getattr(default, k)}


def _option(name: str, value: Any) -> str:
    """An option of `qfm train` with its value; nothing for None."""
    name = name.replace("_", "-")
    if value is None:
        return ""
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    values = value if isinstance(value, tuple) else (value,)
    return shlex.join([f"--{name}", *map(str, values)])
