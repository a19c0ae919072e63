"""`qfm train` and `qfm compare`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from jax.sharding import Mesh
from rich.markup import escape
from tyro.conf import OmitArgPrefixes, Positional, Suppress, arg

from .._checks import InputError, input_error
from ..audit import Audit, read_audit
from ..data import load_dataset
from ..devices import DeviceConfig
from ..models import ModelConfig
from ..parallel.loading import LoadedFile, command_line, loaded_files
from ..parallel.mesh import make_mesh
from ..parallel.processes import find_place, joined
from ..reporting import write_figures, write_report
from ..runs.config import DataConfig, RunConfig, read_toml
from ..runs.directory import Run, check_is_empty, read_config, start_directory
from ..runs.execute import assist, execute
from ..runs.presets import Comparison, get_comparison, get_preset
from ..training import TrainConfig, TrainingInterrupted
from .options import (
    Classes,
    Device,
    Devices,
    DiffMethod,
    Folder,
    Images,
    Out,
    Resume,
    Seed,
    Shots,
    Size,
    Trunk,
    budget,
    device_config,
    err,
    named_model,
    print_runs,
    value_of,
)

COMPARISON_FILE = "comparison.toml"
"""Options of a comparison, in its directory."""


@dataclasses.dataclass(frozen=True)
class Train:
    """Trains one model and scores its best weights once, on all test images."""

    model: Positional[str]
    """Name of the model; `qfm models` lists them."""
    network: OmitArgPrefixes[ModelConfig]
    training: OmitArgPrefixes[TrainConfig]
    dataset: Images = "auto"
    data_dir: Folder = None
    train_size: Size = None
    test_size: Size = None
    classes: Classes = ()
    seed: Seed = 0
    trunk: Trunk = None
    device: Device = DeviceConfig().name
    shots: Shots = None
    diff_method: DiffMethod = "best"
    devices: Devices = None
    coordinator: Annotated[
        str | None,
        arg(help="Where process 0 of several listens.", metavar="HOST:PORT"),
    ] = None
    processes: Annotated[
        int | None, arg(help="Processes that train together.", metavar="INT")
    ] = None
    process_id: Annotated[
        int | None, arg(help="Number of this one, from 0.", metavar="INT")
    ] = None
    out: Out = None
    resume: Resume = None

    @classmethod
    def of(cls, config: RunConfig) -> "Train":
        """The options that describe a run."""
        return cls(
            model=config.model,
            network=config.network,
            training=config.training,
            dataset=config.data.name,
            data_dir=config.data.folder,
            train_size=config.data.train_size,
            test_size=config.data.test_size,
            classes=config.data.classes,
            seed=config.seed,
            trunk=config.trunk,
            device=config.device.name,
            shots=config.device.shots,
            diff_method=config.device.diff_method,
        )

    @property
    def config(self) -> RunConfig:
        """The run that the options describe."""
        return RunConfig(
            model=self.model,
            network=self.network,
            training=self.training,
            data=DataConfig(
                self.dataset,
                self.data_dir,
                self.train_size,
                self.test_size,
                self.classes,
            ),
            device=device_config(self.device, self.shots, self.diff_method, self.seed),
            seed=self.seed,
            trunk=self.trunk,
            loaded=loaded_files() or None,
        )

    def run(self) -> None:
        """Trains, scores, draws the figures and prints a line."""
        if self.resume and self.out:
            raise input_error("--out", "be left out with --resume", f"is {self.out}")
        directory = self.resume or self.out or self._default_directory()
        place = find_place(self.coordinator, self.processes, self.process_id)
        if self.resume and (directory / "scores.json").exists():
            if place is None or place.is_first:
                self._execute(directory, None)
            return
        with joined(place, f"Start all again with --resume {directory}."):
            mesh = make_mesh(self.devices)
            if place is None or place.is_first:
                self._execute(directory, mesh)
            else:
                assist(self.config, mesh)

    def _execute(self, directory: Path, mesh: Mesh | None) -> None:
        resume = self.resume is not None
        try:
            run = execute(self.config, directory, resume=resume, mesh=mesh)
        except TrainingInterrupted as error:
            command = command_line("train", "--resume", directory)
            raise TrainingInterrupted(f"{error} Type `{command}`.") from error
        write_figures(run)
        print_runs([run], f"Run directory: {directory}")

    def _default_directory(self) -> Path:
        return Path("runs") / f"{self.model}-{self.dataset}-seed{self.seed}"


@dataclasses.dataclass(frozen=True)
class Compare:
    """Trains several models alike, scores them and writes a report: the main job.

    The report also shows audits in folders beside the runs, and what devices did.
    """

    preset: str = "demo"
    """Name of the comparison; `qfm models` lists them."""
    models: tuple[str, ...] | None = None
    """Names of the models instead of the preset's."""
    dataset: Images = "auto"
    data_dir: Folder = None
    train_size: Size = None
    test_size: Size = None
    classes: Classes = ()
    epochs: int | None = None
    """Passes over the training images instead of the preset's, which takes more where
    the images are few."""
    seed: Seed = 0
    device: Device = DeviceConfig().name
    shots: Shots = None
    diff_method: DiffMethod = "best"
    devices: Devices = None
    out: Out = None
    resume: Annotated[
        Path | None,
        arg(help="Directory of a comparison to continue: finished models are kept."),
    ] = None
    loaded: Suppress[tuple[LoadedFile, ...] | None] = None
    """Files of a user's own that it was made with."""

    @classmethod
    def of(cls, directory: Path) -> "Compare":
        """The options that a comparison started with."""
        try:
            return read_toml(directory / COMPARISON_FILE, cls)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise input_error(
                "--resume",
                "name a directory that `qfm compare` wrote",
                f"{directory} holds no {COMPARISON_FILE}",
            ) from error

    def configs(self, n_available: int) -> list[RunConfig]:
        """The runs that the options describe, in order.

        A preset takes at most the `n_available` training images that there are; a
        number that the person asks for is not cut.
        """
        comparison = get_comparison(self.preset)
        names = self.models or comparison.models
        train_size = self.train_size
        if train_size is None and (comparison.train_size or 0) < n_available:
            train_size = comparison.train_size
        return [
            self._config(name, comparison, train_size) for name in dict.fromkeys(names)
        ]

    def _config(
        self, name: str, comparison: Comparison, train_size: int | None
    ) -> RunConfig:
        preset = get_preset(name)
        epochs = comparison.epochs if self.epochs is None else self.epochs
        training = dataclasses.replace(preset.training, epochs=epochs)
        if self.epochs is not None or comparison.is_brief:
            training = dataclasses.replace(training, min_steps=0)
        return RunConfig(
            model=name,
            network=preset.network,
            training=training,
            data=DataConfig(
                self.dataset, self.data_dir, train_size, self.test_size, self.classes
            ),
            device=device_config(self.device, self.shots, self.diff_method, self.seed),
            seed=self.seed,
            loaded=loaded_files() or None,
        )

    def run(self) -> None:
        """Trains every model in turn and ends with the table and the report."""
        self.configs(0)  # names and numbers are refused before the data are fetched
        if self.resume and self.out:
            raise input_error("--out", "be left out with --resume", f"is {self.out}")
        out = self.out or Path("runs") / f"compare-{self.preset}-{self.dataset}"
        directory = self.resume or out
        mesh = make_mesh(self.devices)
        if self.resume is None:
            check_is_empty(directory)
        data = load_dataset(  # bad sizes are refused before anything is written
            self.dataset,
            folder=self.data_dir,
            train_size=self.train_size,
            test_size=self.test_size,
            classes=self.classes,
            seed=self.seed,
        )
        if self.resume is None:  # so that `--resume DIR` alone goes on
            loaded = loaded_files() or None
            options = dataclasses.replace(self, out=None, devices=None, loaded=loaded)
            start_directory(directory, COMPARISON_FILE, options, loaded=loaded)
        runs = []
        for config in self.configs(len(data.train)):
            err.print(f"[bold]{config.model}[/]")
            try:
                runs.append(_finish(config, directory / config.model, mesh))
            except TrainingInterrupted as error:
                command = command_line("compare", "--resume", directory)
                cure = f"The comparison goes on with `{command}`."
                raise TrainingInterrupted(f"{error} {cure}") from error
            write_figures(runs[-1])
        audits, left_out = _audits_within(directory)
        for sentence in left_out:
            err.print(f"[yellow]{escape(sentence)}[/]")
        report = write_report(
            runs, directory / "report.html", audits=audits, left_out=left_out
        )
        print_runs(runs, f"Report: {report}")


def _audits_within(directory: Path) -> tuple[list[Audit], list[str]]:
    """Audits that lie beside the runs, and a sentence about each that is damaged."""
    audits, left_out = [], []
    for path in sorted(directory.glob("*/audit.json")):
        try:
            audits.append(read_audit(path.parent))
        except InputError as error:
            left_out.append(f"Left out: {error}")
    return audits, left_out


def train_default(arguments: Sequence[str]) -> Train:
    """The values that options of `qfm train` replace: a preset's, or a stored run's."""
    stored = value_of("--resume", arguments)
    if stored is not None:
        return Train.of(read_config(Path(stored)))
    name, preset = named_model("train", arguments)
    return Train(name, preset.network, budget(preset.training, arguments))


def _finish(config: RunConfig, directory: Path, mesh: Mesh | None) -> Run:
    """Runs what is not done yet: all of it, the rest, or nothing."""
    is_started = (directory / "config.toml").exists()
    return execute(config, directory, resume=is_started, mesh=mesh)
