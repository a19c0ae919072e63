"""`qfm audit`."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from rich.console import Console
from rich.markup import escape
from tyro.conf import OmitArgPrefixes, Positional, arg

from .._checks import input_error
from ..audit import AuditConfig, read_audit_config, run_audit
from ..audit.controls import build_controls
from ..devices import DeviceConfig
from ..models import ModelConfig
from ..parallel import Scheduler
from ..parallel.loading import command_line, loaded_files, loaded_paths
from ..parallel.mesh import cores_as_devices, make_seed_mesh
from ..reporting import audit_table, baselines_table, write_audit_report
from ..runs.config import DataConfig, RunConfig
from ..runs.model import load_images
from ..training import TrainConfig, TrainingInterrupted
from ..training.checks import few_steps
from ..training.progress import AuditProgress, UnitProgress
from .options import (
    Classes,
    Device,
    DiffMethod,
    Folder,
    Images,
    Out,
    Size,
    Trunk,
    budget,
    device_config,
    err,
    named_model,
    value_of,
)

AUDIT_TRAIN_SIZE = 10_000
"""Training images of an audit, where nothing else is asked for: minutes a control."""

AUDIT_EPOCHS, AUDIT_STEPS = 4, 300
"""Epochs of an audit, and its steps at least, where nothing else is asked for."""


@dataclasses.dataclass(frozen=True)
class AuditCommand:
    """Retrains a model and its controls over paired seeds: what the circuit adds."""

    model: Positional[str]
    """Name of a model with a circuit; `qfm models` lists them."""
    network: OmitArgPrefixes[ModelConfig]
    training: OmitArgPrefixes[TrainConfig]
    dataset: Images = "auto"
    data_dir: Folder = None
    train_size: Annotated[
        int | None,
        arg(help=f"Training images; {AUDIT_TRAIN_SIZE:,} at most where left out."),
    ] = None
    test_size: Size = None
    classes: Classes = ()
    seeds: int = 10
    """Paired seeds, at least 2."""
    seed: Annotated[int, arg(help="The first seed; the others follow it.")] = 0
    controls: tuple[str, ...] = ()
    """Names of the controls; all that exist for the model where left out."""
    together: int = AuditConfig.together
    """Seeds that are trained at the same time; fewer need less memory."""
    rate_factors: tuple[float, ...] = AuditConfig.rate_factors
    """Learning rates to choose from on validation images, for the model and for each
    control, as multiples of the model's own; a single one for no choice."""
    tuning_seeds: int = AuditConfig.tuning_seeds
    """Seeds that each rate is tried with, beside the paired ones."""
    baselines: tuple[str, ...] = AuditConfig.baselines
    """Classifiers of scikit-learn that are fitted beside the first seed, on pixels and
    on what the circuit sees; none where no name follows."""
    trunk: Trunk = None
    device: Device = DeviceConfig().name
    diff_method: DiffMethod = "best"
    devices: Annotated[
        int | Literal["all"] | None,
        arg(
            help="JAX devices over which the seeds are spread; every core of a CPU "
            "where left out, or one device of another kind.",
            metavar="INT|all",
        ),
    ] = None
    out: Out = None
    resume: Annotated[
        Path | None,
        arg(help="Directory of an audit to continue: finished trainings are kept."),
    ] = None
    scheduler: Annotated[
        str | None,
        arg(
            help="Where to train: `local`, or a Dask scheduler's address; in this "
            "process where left out.",
            metavar="local|ADDRESS",
        ),
    ] = None
    workers: Annotated[
        int | None,
        arg(
            help="Processes of `--scheduler local`; one a core where left out.",
            metavar="INT",
        ),
    ] = None
    unit_resources: Annotated[
        tuple[str, ...],
        arg(
            help="What a unit takes up of a worker that declares it, such as GPU=1.",
            metavar="NAME=AMOUNT",
        ),
    ] = ()

    @classmethod
    def of(cls, config: AuditConfig) -> "AuditCommand":
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
            classes=run.data.classes,
            seeds=config.n_seeds,
            seed=run.seed,
            trunk=run.trunk,
            controls=config.controls,
            together=config.together,
            rate_factors=config.rate_factors,
            tuning_seeds=config.tuning_seeds,
            baselines=config.baselines,
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
                self.dataset,
                self.data_dir,
                self.train_size,
                self.test_size,
                self.classes,
            ),
            device=device_config(self.device, None, self.diff_method, self.seed),
            seed=self.seed,
            trunk=self.trunk,
            loaded=loaded_files() or None,
        )
        return AuditConfig(
            run,
            self.seeds,
            self.controls,
            self.together,
            self.rate_factors,
            self.tuning_seeds,
            self.baselines,
        )

    def _settled(self) -> AuditConfig:
        """The stored audit, or the one of the options with its number of images."""
        if self.resume:
            stored = read_audit_config(self.resume)
            given = dataclasses.replace(self.config, together=stored.together)
            as_stored = AuditCommand.of(stored).config
            if given == as_stored:  # what no option says is as stored
                return dataclasses.replace(stored, together=self.together)
            return given
        # What cannot be is refused before the data are fetched.
        build_controls(self.network, self.controls)
        config = self.config
        if self.train_size is None:
            size = min(AUDIT_TRAIN_SIZE, len(load_images(config.run).train))
            data = dataclasses.replace(config.run.data, train_size=size)
            run = dataclasses.replace(config.run, data=data)
            config = dataclasses.replace(config, run=run)
        return config

    @property
    def _scheduler(self) -> Scheduler | None:
        """Where the options have units run; None for this process."""
        if self.scheduler is None:
            for option in ("workers", "unit_resources"):
                if getattr(self, option):
                    must, was = "stand with --scheduler", f"is {getattr(self, option)}"
                    raise input_error(option, must, was, "Add --scheduler local.")
            return None
        if self.devices is not None:
            must = "be left out with --scheduler, whose workers take what they have"
            raise input_error("devices", must, f"is {self.devices}")
        resources = tuple(map(_amount_of, self.unit_resources))
        return Scheduler(self.scheduler, self.workers, resources, loaded_paths())

    def run(self) -> None:
        """Trains every unit that is missing; ends with the table and the report."""
        if self.resume and self.out:
            raise input_error("--out", "be left out with --resume", f"is {self.out}")
        directory = self.resume or self.out
        directory = directory or Path("runs") / f"audit-{self.model}-{self.dataset}"
        scheduler = self._scheduler
        mesh = None
        if scheduler is None:
            cores_as_devices(self.devices, self.together)
            mesh = make_seed_mesh(self.devices, self.together)
        config, resume = self._settled(), self.resume is not None
        n_train = config.run.data.train_size
        if n_train and (found := few_steps(config.run.training, n_train)):
            err.print(f"[yellow]{found}[/]")
        try:
            with contextlib.ExitStack() as stack:
                here = scheduler is None
                show = stack.enter_context(AuditProgress()) if here else None
                audit = run_audit(
                    config,
                    directory,
                    resume=resume,
                    show=show,
                    mesh=mesh,
                    scheduler=scheduler,
                    show_units=stack.enter_context(UnitProgress()),
                )
        except KeyboardInterrupt as error:
            raise TrainingInterrupted(
                "The audit was interrupted; finished trainings are saved. Continue "
                f"with `{command_line('audit', '--resume', directory)}`."
            ) from error
        report = write_audit_report(audit, directory / "report.html")
        if audit.warning:
            err.print(f"[yellow]{escape(audit.warning)}[/]")
        console = Console()
        console.print(audit_table(audit))
        if audit.baselines:
            console.print(baselines_table(audit))
        console.print(f"Verdict: {audit.verdict}. {audit.finding}", highlight=False)
        print(f"Report: {report}")


def _amount_of(resource: str) -> tuple[str, float]:
    """Name and amount of what a unit takes up."""
    name, _, amount = resource.partition("=")
    try:
        return name, float(amount)
    except ValueError as error:
        must = "be names with amounts, such as GPU=1"
        raise input_error("unit_resources", must, f"is {resource!r}") from error


def audit_default(arguments: Sequence[str]) -> AuditCommand:
    """The same for `qfm audit`."""
    stored = value_of("--resume", arguments)
    if stored is not None:
        return AuditCommand.of(read_audit_config(Path(stored)))
    name, preset = named_model("audit", arguments)
    training = dataclasses.replace(
        preset.training, epochs=AUDIT_EPOCHS, min_steps=AUDIT_STEPS
    )
    return AuditCommand(name, preset.network, budget(training, arguments))
