"""Options that several subcommands share, and what they stand for."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from rich.console import Console
from rich.markup import escape
from tyro.conf import arg

from .._checks import InputError, input_error
from ..data import DATASETS
from ..devices import DIFF_METHODS, DeviceConfig
from ..evaluation import shortfall
from ..reporting import leaderboard, leaderboard_table, shortfalls
from ..runs.directory import Run
from ..runs.presets import MODELS, Preset, get_preset
from ..training import TrainConfig

err = Console(stderr=True)

DEVICE_SHOTS = 1024
"""Measurements on a quantum computer, where nothing else is asked for."""

Images = Annotated[
    str, arg(help=f"Data set: {', '.join(DATASETS)} (auto: Fashion-MNIST or digits).")
]
Folder = Annotated[
    str | None,
    arg(
        help="Images of your own: a folder with a folder of pictures for each class, "
        "an .npz file, or IDX files. Or where a published data set's files lie.",
        metavar="PATH",
        aliases=["--data"],
    ),
]
Size = Annotated[
    int | None, arg(help="Number of images; all where left out.", metavar="INT")
]
Classes = Annotated[
    tuple[str, ...], arg(help="Classes to keep, by name or number; all by default.")
]
Trunk = Annotated[
    str | None,
    arg(help="Finished run to take the layers before the block from.", metavar="RUN"),
]
Seed = Annotated[int, arg(help="Seed of split, start, shuffling and augmentation.")]
Device = Annotated[
    str, arg(help="PennyLane device that runs the circuit, by its short name.")
]
Devices = Annotated[
    int | Literal["all"] | None,
    arg(
        help="JAX devices of each process that share the work; one where left out, "
        "or all where there are several processes.",
        metavar="INT|all",
    ),
]
Shots = Annotated[
    int | None,
    arg(help="Measurements per circuit; exact where left out.", metavar="INT"),
]
DiffMethod = Annotated[
    str, arg(help=f"How gradients are taken: {', '.join(DIFF_METHODS)}.")
]
Out = Annotated[
    Path | None,
    arg(help="Directory to write; it must not hold a run.", metavar="DIR"),
]
Resume = Annotated[
    Path | None,
    arg(
        help="Directory of a run to continue, bit for bit as if it had never stopped.",
        metavar="DIR",
    ),
]


def named_model(command: str, arguments: Sequence[str]) -> tuple[str, Preset]:
    """The model that stands first; `hybrid-cnn` where only help is asked for."""
    if arguments and not arguments[0].startswith("-"):
        return arguments[0], _with_circuit(get_preset(arguments[0]), arguments)
    if not {"-h", "--help"} & set(arguments):
        raise input_error(
            "MODEL",
            f"be the first argument of `qfm {command}`",
            f"is {arguments[0]!r}" if arguments else "is missing",
            f"Choose one of {', '.join(MODELS)}.",
        )
    return "hybrid-cnn", get_preset("hybrid-cnn")


def _with_circuit(preset: Preset, arguments: Sequence[str]) -> Preset:
    """The preset with the circuit of `--circuit` in place of its own, and its parts."""
    circuit = value_of("--circuit", arguments)
    if circuit is None:
        return preset
    network = dataclasses.replace(
        preset.network, circuit=circuit, embedding=None, layers=None
    )
    return dataclasses.replace(preset, network=network)


def value_of(option: str, arguments: Sequence[str]) -> str | None:
    """The value of an option before the arguments are parsed, or None."""
    for argument, following in zip(arguments, [*arguments, None][1:], strict=True):
        if argument == option:
            return following
        if argument.startswith(f"{option}="):
            return argument.removeprefix(f"{option}=")
    return None


def budget(training: TrainConfig, arguments: Sequence[str]) -> TrainConfig:
    """A preset's training; epochs that are asked for are not added to.

    Example:
        >>> budget(TrainConfig(min_steps=750), ["--epochs", "2"]).min_steps
        0
    """
    if value_of("--epochs", arguments) is None:
        return training
    return dataclasses.replace(training, min_steps=0)


def gathered(option: str, arguments: Sequence[str]) -> list[str]:
    """The arguments with the values of an option that occurs several times together.

    Example:
        >>> gathered("--to", ["run", "--to", "a", "b", "--json", "--to=c"])
        ['run', '--json', '--to', 'a', 'b', 'c']
    """
    values: list[str] = []
    others: list[str] = []
    is_value = False
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name == option:
            values += [value] if value else []
            is_value = not value
            continue
        is_value = is_value and not argument.startswith("-")
        (values if is_value else others).append(argument)
    return [*others, option, *values] if values else list(arguments)


def device_config(
    name: str, shots: int | None, diff_method: str, seed: int
) -> DeviceConfig:
    """The device that the options name; Aer has a seed of its own kind."""
    seeded = shots is not None and not name.startswith("qiskit.")
    return DeviceConfig(name, shots, diff_method, seed if seeded else None)


def check_new_file(path: Path) -> None:
    """Raises unless a file of this name can be made without overwriting one."""
    if path.exists():
        raise InputError(
            f"{path} exists, and nothing is overwritten. Name another --out."
        )
    if not path.parent.is_dir():
        must, was = "lie in a folder that exists", f"{path.parent} is none"
        raise input_error("--out", must, was, "Make the folder first.")


def print_runs(runs: Sequence[Run], where: str) -> None:
    """Prints warnings, the leaderboard, where to find more, what did not learn."""
    for warning in {run.result.warning for run in runs if run.result.warning}:
        err.print(f"[yellow]{escape(warning)}[/]")
    console = Console()
    console.print(leaderboard_table(runs))
    print(where)
    for sentence in shortfalls(leaderboard(runs)):
        console.print(f"! {sentence}", style="yellow", markup=False, highlight=False)


def warn_of_shortfall(run: Run) -> None:
    """Says that what is shown of a run is of a model that did not learn."""
    if found := shortfall(run.result.scores, run.result.class_names):
        err.print(f"[yellow]{escape(f'Warning: {run.result.model} {found}.')}[/]")
