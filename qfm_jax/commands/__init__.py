"""What each subcommand of `qfm` takes and does."""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import pooch
import tyro

from ..devices import ignore_upstreams_warnings
from .auditing import AuditCommand, audit_default
from .costing import CostCommand
from .evaluating import Evaluate
from .listing import Data, Models
from .options import gathered, value_of
from .scoring import Predict, Report
from .training import Compare, Train, train_default

COMMANDS: dict[str, Any] = {
    "data": Data,
    "models": Models,
    "train": Train,
    "compare": Compare,
    "audit": AuditCommand,
    "evaluate": Evaluate,
    "cost": CostCommand,
    "predict": Predict,
    "report": Report,
}


MANY = ("cost", "evaluate")
"""Commands whose devices may be named one by one, by repeated options."""


def run_command(name: str, arguments: Sequence[str]) -> None:
    """Parses the arguments of subcommand `name` and runs it.

    Raises:
        InputError: For bad input of any kind.
        SystemExit: With status 2 for arguments that do not parse, 0 after `--help`.
    """
    _turn_on_compilation_cache()
    _silence_upstream()
    default = _default_of(name, arguments)
    for option in ("--backend", "--device", "--noise") if name in MANY else ():
        arguments = gathered(option, arguments)
    arguments = [_renamed(argument) for argument in arguments]
    options = tyro.cli(
        COMMANDS[name], args=arguments, prog=f"qfm {name}", default=default
    )
    options.run()


OLD_NAMES = {"--readout": "--head", "--twins": "--controls"}
"""Options by their names in version 0.1."""


def _renamed(argument: str) -> str:
    option, sign, value = argument.partition("=")
    return OLD_NAMES.get(option, option) + sign + value


def _default_of(name: str, arguments: Sequence[str]) -> Any:
    """The values that the options of a command replace."""
    if name == "train":
        return train_default(arguments)
    stored = value_of("--resume", arguments)
    if name == "audit":
        return audit_default(arguments)
    if name == "compare" and stored is not None:
        return Compare.of(Path(stored))
    return tyro.MISSING_NONPROP


def _silence_upstream() -> None:
    """Of this process, which is the command's own: what no user can act on."""
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # tracebacks of what is raised
    sys.excepthook = _pass_over_closed_loops
    ignore_upstreams_warnings()


def _pass_over_closed_loops(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """TensorStore says so of every array that Orbax no longer waits for."""
    if str(error) != "Event loop is closed":
        sys.__excepthook__(kind, error, trace)


def _turn_on_compilation_cache() -> None:
    """Keeps compiled programs on disk: seconds instead of a minute the next time."""
    cache = Path(os.environ.get("QFM_CACHE_DIR") or pooch.os_cache("qfm_jax"))
    jax.config.update("jax_compilation_cache_dir", str(cache / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
