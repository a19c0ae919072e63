"""The configuration of a run or an audit -> the command and the TOML that repeat it.

Neither shows where this machine keeps its data: of a folder only the last name.
"""

import dataclasses
import shlex
from pathlib import Path
from typing import Any

from ..audit import Audit, AuditConfig
from ..devices import DeviceConfig
from ..models import ModelConfig
from ..runs.config import RunConfig, to_toml
from ..runs.directory import Run
from ..runs.presets import MODELS, OLD_NAMES
from ..training import TrainConfig


def repeat_command(run: Run) -> str:
    """The command that trains the same model again.

    Network and training are named where they differ from the model's preset.
    """
    return train_command(run.config, run.result.dataset, run.directory.name)


def train_command(config: RunConfig, dataset: str, out: str) -> str:
    """The command that trains a model again.

    Args:
        config: All that repeats the training.
        dataset: Name of the data set, as it was resolved.
        out: Name of the run directory.

    Example:
        >>> train_command(RunConfig("linear", ModelConfig()), "digits", "linear")
        'qfm train linear --dataset digits --epochs 10 --seed 0 --out linear'
    """
    options = _options(config, dataset)
    if config.network.block == "circuit":
        shots = _changed(config.device, DeviceConfig(), ("shots",))
        options |= {"device": config.device.name} | shots
    return _command("train", config, options, out)


def audit_command(audit: Audit) -> str:
    """The command that audits the same model again, with the same seeds and rates."""
    config = audit.config
    options = _options(config.run, audit.dataset)
    names = ("controls", "rate_factors", "tuning_seeds")
    options |= {"train_size": audit.n_train, "seeds": config.n_seeds}
    options |= {"device": config.run.device.name}
    options |= {name: getattr(config, name) or None for name in names}
    if config.baselines != AuditConfig.baselines:
        options["baselines"] = config.baselines
    return _command("audit", config.run, options, f"audit-{audit.model}")


def _options(config: RunConfig, dataset: str) -> dict[str, Any]:
    """What both commands take, by the names of their options."""
    data = config.data
    preset = MODELS.get(OLD_NAMES.get(config.model, config.model))
    return {
        "dataset": dataset,
        "data_dir": _last_name(data.folder),
        "train_size": data.train_size,
        "test_size": data.test_size,
        "classes": data.classes or None,
        "trunk": _last_name(config.trunk),
        "epochs": config.training.epochs,
        "seed": config.seed,
        **_changed(config.device, DeviceConfig(), ("diff_method",)),
        **_changed(config.network, preset.network if preset else ModelConfig()),
        **_changed(config.training, preset.training if preset else TrainConfig()),
        # `--epochs` alone means that none are added.
        "min_steps": config.training.min_steps or None,
    }


def _command(name: str, config: RunConfig, options: dict[str, Any], out: str) -> str:
    loaded, model = config.loaded, config.model
    words = [_option(option, value) for option, value in options.items()]
    words.append(_option("out", out))
    files = [shlex.join(["--load", file.name]) for file in loaded or ()]
    start = " ".join(["qfm", *files, name])
    return " ".join([start, shlex.quote(model), *filter(None, words)])


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
