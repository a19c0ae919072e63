"""What each subcommand of `qfm` takes and does."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import cattrs
import jax
import numpy as np
import pooch
import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from scipy.special import softmax
from tyro.conf import OmitArgPrefixes, Positional, arg

from ._checks import InputError, check_at_least, input_error
from .audit import AuditConfig, read_audit_config, run_audit
from .data import DATASETS, load_dataset, read_image
from .devices import DIFF_METHODS, DeviceConfig, silence_upstream
from .experiment import (
    build_model,
    execute,
    load_data,
    load_model,
    score_model,
)
from .models import ModelConfig, count_parameters
from .models.prediction import predict_logits
from .presets import (
    COMPARISONS,
    MODELS,
    Comparison,
    Preset,
    get_comparison,
    get_preset,
)
from .progress import AuditProgress
from .reporting import (
    audit_table,
    leaderboard_table,
    write_audit_report,
    write_figures,
    write_report,
)
from .runs import (
    DataConfig,
    Run,
    RunConfig,
    read_config,
    read_run,
    read_toml,
    write_json,
    write_toml,
)
from .training import TrainConfig, TrainingInterrupted

err = Console(stderr=True)

AUDIT_TRAIN_SIZE = 10_000
"""Training images of an audit, where nothing else is asked for: minutes a twin."""

AUDIT_EPOCHS = 5
"""Epochs of an audit, where nothing else is asked for."""

COMPARISON_FILE = "comparison.toml"
"""Options of a comparison, in its directory."""

Images = Annotated[
    str, arg(help=f"Data set: {', '.join(DATASETS)} (auto: Fashion-MNIST or digits).")
]
Folder = Annotated[
    str | None,
    arg(help="Folder of its files, or of your own IDX files or .npz.", metavar="DIR"),
]
Size = Annotated[
    int | None, arg(help="Number of images; all where left out.", metavar="INT")
]
Seed = Annotated[int, arg(help="Seed of split, start, shuffling and augmentation.")]
Device = Annotated[
    str, arg(help="PennyLane device that runs the circuit, by its short name.")
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
            model = build_model(RunConfig(name, preset.network), n_classes=10)
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
    seed: Seed = 0
    device: Device = DeviceConfig().name
    shots: Shots = None
    diff_method: DiffMethod = "best"
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
            seed=config.seed,
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
                self.dataset, self.data_dir, self.train_size, self.test_size
            ),
            device=_device(self.device, self.shots, self.diff_method, self.seed),
            seed=self.seed,
        )

    def run(self) -> None:
        """Trains, scores, draws the figures and prints a line."""
        if self.resume and self.out:
            raise input_error("--out", "be left out with --resume", f"is {self.out}")
        directory = self.resume or self.out or self._default_directory()
        run = execute(self.config, directory, resume=self.resume is not None)
        write_figures(run)
        _print_runs([run])
        print(f"Run directory: {directory}")

    def _default_directory(self) -> Path:
        return Path("runs") / f"{self.model}-{self.dataset}-seed{self.seed}"


@dataclasses.dataclass(frozen=True)
class Compare:
    """Trains several models alike, scores them and writes a report: the main job."""

    preset: str = "demo"
    """Name of the comparison; `qfm models` lists them."""
    models: tuple[str, ...] | None = None
    """Names of the models instead of the preset's."""
    dataset: Images = "auto"
    data_dir: Folder = None
    train_size: Size = None
    test_size: Size = None
    epochs: int | None = None
    """Passes over the training images instead of the preset's."""
    seed: Seed = 0
    device: Device = DeviceConfig().name
    shots: Shots = None
    diff_method: DiffMethod = "best"
    out: Out = None
    resume: Annotated[
        Path | None,
        arg(help="Directory of a comparison to continue: finished models are kept."),
    ] = None

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
        return RunConfig(
            model=name,
            network=preset.network,
            training=dataclasses.replace(preset.training, epochs=epochs),
            data=DataConfig(self.dataset, self.data_dir, train_size, self.test_size),
            device=_device(self.device, self.shots, self.diff_method, self.seed),
            seed=self.seed,
        )

    def run(self) -> None:
        """Trains every model in turn and ends with the table and the report."""
        self.configs(0)  # names and numbers are refused before the data are fetched
        if self.resume and self.out:
            raise input_error("--out", "be left out with --resume", f"is {self.out}")
        out = self.out or Path("runs") / f"compare-{self.preset}-{self.dataset}"
        directory = self.resume or out
        is_used = directory.is_file() or (
            directory.is_dir() and any(directory.iterdir())
        )
        if self.resume is None and is_used:
            raise InputError(
                f"{directory} is not empty, and nothing is overwritten. Choose another "
                "directory with --out, or continue a comparison with --resume."
            )
        data = load_dataset(self.dataset, folder=self.data_dir, seed=self.seed)
        self._keep_options(directory)
        runs = []
        for config in self.configs(len(data.train)):
            err.print(f"[bold]{config.model}[/]")
            try:
                runs.append(_finish(config, directory / config.model))
            except TrainingInterrupted as error:
                cure = (
                    f"The comparison goes on with `qfm compare --resume {directory}`."
                )
                raise TrainingInterrupted(f"{error} {cure}") from error
            write_figures(runs[-1])
        report = write_report(runs, directory / "report.html")
        _print_runs(runs)
        print(f"Report: {report}")

    def _keep_options(self, directory: Path) -> None:
        """So that `--resume DIR` alone continues, as it does for `qfm train`."""
        if self.resume:
            return
        options = dataclasses.replace(self, out=None)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            write_toml(directory / COMPARISON_FILE, options)
        except OSError as error:
            cause = error.strerror
            raise InputError(
                f"The directory {directory} cannot be written: {cause}. Choose "
                "another one with --out."
            ) from error


@dataclasses.dataclass(frozen=True)
class Audit:
    """Retrains a model and its twins over paired seeds: what does the circuit add?"""

    model: Positional[str]
    """Name of a model with a circuit; `qfm models` lists them."""
    network: OmitArgPrefixes[ModelConfig]
    training: OmitArgPrefixes[TrainConfig]
    dataset: Images = "auto"
    data_dir: Folder = None
    train_size: Size = AUDIT_TRAIN_SIZE
    test_size: Size = None
    seeds: int = 10
    """Paired seeds, at least 2."""
    seed: Annotated[int, arg(help="The first seed; the others follow it.")] = 0
    twins: tuple[str, ...] = ()
    """Names of the twins; all that exist for the model where left out."""
    together: int = 5
    """Seeds that are trained at the same time; fewer need less memory."""
    device: Device = DeviceConfig().name
    diff_method: DiffMethod = "best"
    out: Out = None
    resume: Annotated[
        Path | None,
        arg(help="Directory of an audit to continue: finished trainings are kept."),
    ] = None

    @classmethod
    def of(cls, config: AuditConfig) -> "Audit":
        """The options that describe an audit."""
        run = config.run
        return cls(
            model=run.model,
            network=run.network,
            training=run.training,
            dataset=run.data.name,
            data_dir=run.data.folder,
            train_size=run.data.train_size,
            test_size=run.data.test_size,
            seeds=config.n_seeds,
            seed=run.seed,
            twins=config.twins,
            together=config.together,
            device=run.device.name,
            diff_method=run.device.diff_method,
        )

    @property
    def config(self) -> AuditConfig:
        """The audit that the options describe."""
        run = RunConfig(
            model=self.model,
            network=self.network,
            training=self.training,
            data=DataConfig(
                self.dataset, self.data_dir, self.train_size, self.test_size
            ),
            device=_device(self.device, None, self.diff_method, self.seed),
            seed=self.seed,
        )
        return AuditConfig(run, self.seeds, self.twins, self.together)

    def run(self) -> None:
        """Trains every unit that is missing; ends with the table and the report."""
        if self.resume and self.out:
            raise input_error("--out", "be left out with --resume", f"is {self.out}")
        directory = self.resume or self.out
        directory = directory or Path("runs") / f"audit-{self.model}-{self.dataset}"
        config, resume = self.config, self.resume is not None
        try:
            with AuditProgress() as progress:
                audit = run_audit(config, directory, resume=resume, show=progress)
        except KeyboardInterrupt as error:
            raise TrainingInterrupted(
                f"The audit was interrupted; finished trainings are saved. Continue "
                f"with --resume {directory}."
            ) from error
        report = write_audit_report(audit, directory / "report.html")
        if audit.warning:
            err.print(f"[yellow]{escape(audit.warning)}[/]")
        console = Console()
        console.print(audit_table(audit))
        console.print(f"Verdict: {audit.verdict}. {audit.sentence}", highlight=False)
        print(f"Report: {report}")


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Scores the best weights of a finished run, on any device."""

    directory: Positional[Path]
    """Run directory."""
    device: Annotated[
        str | None, arg(help="PennyLane device; the run's own where left out.")
    ] = None
    shots: Shots = None
    test_size: Size = None
    seed: Annotated[int, arg(help="Seed of the measurement outcomes.")] = 0
    out: Annotated[Path | None, arg(help="JSON file to write; it must not exist.")] = (
        None
    )

    def run(self) -> None:
        """Prints the scores and writes them where asked."""
        if self.out:
            _check_new_file(self.out)
        run = read_run(self.directory)
        device = run.config.device
        if self.device or self.shots is not None:
            name = self.device or device.name
            device = _device(name, self.shots, "best", self.seed)
        model = load_model(run, device=device)
        test_size = self.test_size
        if test_size is None:
            test_size = run.config.data.test_size
        test = load_data(run, test_size=test_size).test
        scores, _, seconds = score_model(model, test)
        low, high = scores.accuracy_interval
        where = f" on {device.name}" if run.result.n_parameters_quantum else ""
        print(
            f"{run.result.model}{where}: {scores.accuracy:.2%} of "
            f"{scores.n_test:,} test images ({low:.2%} to {high:.2%}, 95 %), log-loss "
            f"{scores.log_loss:.4f}, {seconds:.1f} s"
        )
        if self.out:
            table = cattrs.unstructure(scores)
            table |= {"device": device.name, "shots": self.shots}
            table |= {"seconds_inference": seconds}
            write_json(self.out, table)


@dataclasses.dataclass(frozen=True)
class Predict:
    """Classifies image files of your own: PNG, JPEG or NumPy `.npy`, 28 x 28 pixels."""

    directory: Positional[Path]
    """Run directory."""
    images: Positional[tuple[Path, ...]]
    """Image files: grey levels, a bright object on black."""
    resize: bool = False
    """Stretch images of another size to 28 x 28 pixels."""
    top: int = 3
    """Number of classes to show for each image."""

    def run(self) -> None:
        """Prints the likeliest classes of each image."""
        check_at_least("--top", self.top, 1)
        if not self.images:
            raise input_error("IMAGES", "name at least one file", "is empty")
        pixels = np.stack([read_image(p, resize=self.resize) for p in self.images])
        run = read_run(self.directory)
        logits = predict_logits(load_model(run), pixels, batch_size=len(pixels))
        probabilities = softmax(logits, axis=1)  # (n_images, n_classes)
        table = Table("image", f"classes by {run.result.model}")
        names = run.result.class_names
        for path, row in zip(self.images, probabilities, strict=True):
            order = np.argsort(-row, kind="stable")[: self.top]
            guesses = ", ".join(f"{names[i]} {row[i]:.1%}" for i in order)
            table.add_row(escape(str(path)), escape(guesses))
        Console().print(table)


@dataclasses.dataclass(frozen=True)
class Report:
    """Writes one report of finished runs."""

    directories: Positional[tuple[Path, ...]]
    """Run directories."""
    out: Annotated[Path, arg(help="HTML file to write; it must not exist.")] = Path(
        "report.html"
    )

    def run(self) -> None:
        """Reads every run, then writes."""
        if not self.directories:
            raise input_error("RUNS", "name at least one run directory", "is empty")
        _check_new_file(self.out)
        runs = [read_run(directory) for directory in self.directories]
        print(f"Report: {write_report(runs, self.out)}")


COMMANDS: dict[str, Any] = {
    "data": Data,
    "models": Models,
    "train": Train,
    "compare": Compare,
    "audit": Audit,
    "evaluate": Evaluate,
    "predict": Predict,
    "report": Report,
}


def run_command(name: str, arguments: Sequence[str]) -> None:
    """Parses the arguments of subcommand `name` and runs it.

    Raises:
        InputError: For bad input of any kind.
        SystemExit: With status 2 for arguments that do not parse, 0 after `--help`.
    """
    _turn_on_compilation_cache()
    silence_upstream()
    default = _default_of(name, arguments)
    options = tyro.cli(
        COMMANDS[name], args=list(arguments), prog=f"qfm {name}", default=default
    )
    options.run()


def _default_of(name: str, arguments: Sequence[str]) -> Any:
    """The values that the options of a command replace."""
    if name == "train":
        return _train_default(arguments)
    stored = _value_of("--resume", arguments)
    if name == "audit":
        return _audit_default(arguments)
    if name == "compare" and stored is not None:
        return Compare.of(Path(stored))
    return tyro.MISSING_NONPROP


def _train_default(arguments: Sequence[str]) -> Train:
    """The values that options of `qfm train` replace: a preset's, or a stored run's."""
    stored = _value_of("--resume", arguments)
    if stored is not None:
        return Train.of(read_config(Path(stored)))
    name, preset = _named_model("train", arguments)
    return Train(name, preset.network, preset.training)


def _audit_default(arguments: Sequence[str]) -> Audit:
    """The same for `qfm audit`."""
    stored = _value_of("--resume", arguments)
    if stored is not None:
        return Audit.of(read_audit_config(Path(stored)))
    name, preset = _named_model("audit", arguments)
    training = dataclasses.replace(preset.training, epochs=AUDIT_EPOCHS)
    return Audit(name, preset.network, training)


def _named_model(command: str, arguments: Sequence[str]) -> tuple[str, Preset]:
    """The model that stands first; `hybrid-cnn` where only help is asked for."""
    if arguments and not arguments[0].startswith("-"):
        return arguments[0], get_preset(arguments[0])
    if not {"-h", "--help"} & set(arguments):
        raise input_error(
            "MODEL",
            f"be the first argument of `qfm {command}`",
            f"is {arguments[0]!r}" if arguments else "is missing",
            f"Choose one of {', '.join(MODELS)}.",
        )
    return "hybrid-cnn", get_preset("hybrid-cnn")


def _value_of(option: str, arguments: Sequence[str]) -> str | None:
    for argument, following in zip(arguments, [*arguments, None][1:], strict=True):
        if argument == option:
            return following
        if argument.startswith(f"{option}="):
            return argument.removeprefix(f"{option}=")
    return None


def _device(name: str, shots: int | None, diff_method: str, seed: int) -> DeviceConfig:
    """The device that the options name; Aer has a seed of its own kind."""
    seeded = shots is not None and not name.startswith("qiskit.")
    return DeviceConfig(name, shots, diff_method, seed if seeded else None)


def _check_new_file(path: Path) -> None:
    if path.exists():
        raise InputError(
            f"{path} exists, and nothing is overwritten. Name another --out."
        )
    if not path.parent.is_dir():
        must, was = "lie in a folder that exists", f"{path.parent} is none"
        raise input_error("--out", must, was, "Make the folder first.")


def _finish(config: RunConfig, directory: Path) -> Run:
    """Runs what is not done yet: all of it, the rest, or nothing."""
    if not (directory / "config.toml").exists():
        return execute(config, directory)
    return execute(config, directory, resume=True)


def _print_runs(runs: Sequence[Run]) -> None:
    for warning in {run.result.warning for run in runs if run.result.warning}:
        err.print(f"[yellow]{escape(warning)}[/]")
    Console().print(leaderboard_table(runs))


def _turn_on_compilation_cache() -> None:
    """Keeps compiled programs on disk: seconds instead of a minute the next time."""
    cache = Path(os.environ.get("QFM_CACHE_DIR") or pooch.os_cache("qfm_jax"))
    jax.config.update("jax_compilation_cache_dir", str(cache / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
