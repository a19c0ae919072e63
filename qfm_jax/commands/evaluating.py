"""`qfm evaluate`: a finished run on any device, with any noise, and on IBM's."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cattrs
from rich.console import Console
from rich.markup import escape
from tyro.conf import Positional, arg

from .._checks import check_at_least, input_error
from ..evaluation import percent
from ..files import write_json
from ..hardware.backends import AER, IBM
from ..models.block import CIRCUIT_BLOCKS
from ..reporting import save_figure
from ..runs.directory import Run, read_run
from ..runs.execute import score_model
from ..runs.model import load_model
from ..training.progress import JobProgress
from .options import DEVICE_SHOTS, Shots, check_new_file, err, warn_of_shortfall

if TYPE_CHECKING:
    from ..deployment import Deployment, Target


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Scores the best weights of a finished run, on any device, with any noise."""

    directory: Positional[Path]
    """Run directory."""
    device: Annotated[
        tuple[str, ...],
        arg(
            help="aer, a fake backend such as fake_torino, a PennyLane device, or "
            "ibm:NAME; several for a table; the run's own where left out.",
            metavar="NAME",
        ),
    ] = ()
    shots: Shots = None
    noise: Annotated[
        tuple[str, ...],
        arg(
            help="Noise on aer, such as depolarizing:0.01+readout:0.02; several for a "
            "table.",
            metavar="SPEC",
        ),
    ] = ()
    mitigation: Annotated[
        tuple[str, ...],
        arg(
            help="Against errors, beside the results as measured: readout, zne, or "
            "readout+zne; several for a table.",
            metavar="NAME",
        ),
    ] = ()
    samples: Annotated[
        int | None,
        arg(
            help="Test images, a stratified sample; all of the run where left out.",
            metavar="INT",
            aliases=("--test-size",),
        ),
    ] = None
    seed: Annotated[int, arg(help="Seed of the sample and of the outcomes.")] = 0
    out: Annotated[Path | None, arg(help="JSON file to write; it must not exist.")] = (
        None
    )
    submit: Annotated[
        bool,
        arg(help="Send it to --device ibm:NAME; without this it is a dry run."),
    ] = False
    max_seconds: Annotated[
        int | None,
        arg(help="Seconds of QPU that --submit may pay for.", metavar="INT"),
    ] = None

    def run(self) -> None:
        """Prints the scores and writes them where asked."""
        if self.out:
            check_new_file(self.out)
        self._check_submission()
        run = read_run(self.directory)
        if run.config.network.block not in CIRCUIT_BLOCKS or not self._asks_for_targets:
            self._score(run)
        else:
            self._deploy(run)

    @property
    def _asks_for_targets(self) -> bool:
        asked = self.device or self.noise or self.mitigation
        return bool(asked) or self.shots is not None

    @property
    def _is_for_ibm(self) -> bool:
        return self.submit or any(name.startswith(IBM) for name in self.device)

    def _check_submission(self) -> None:
        if not self._is_for_ibm:
            if self.max_seconds is not None:
                must = "be left out without --submit, which alone costs seconds"
                raise input_error("--max-seconds", must, f"is {self.max_seconds}")
            return
        if self.mitigation:
            must = "be left out on an IBM device, whose results are kept as they come"
            was = f"is {' '.join(self.mitigation)!r}"
            cure = "A fake backend without --submit shows what it would do."
            raise input_error("--mitigation", must, was, cure)
        if len(self.device) != 1 or self.noise:
            must = "be the only one, without --noise, where it is an IBM device"
            raise input_error("--device", must, f"is {' '.join(self.device)!r}")
        if self.submit and self.max_seconds is None:
            cure = "The dry run, the same command without --submit, says how many."
            must = "say how many seconds of QPU --submit may pay for"
            raise input_error("--max-seconds", must, "is missing", cure)

    def _score(self, run: Run) -> None:
        """As the run itself was scored."""
        from ..deployment import Target, sample_of

        for option, given in (("noise", self.noise), ("mitigation", self.mitigation)):
            if given:
                must = "be left out for a model without a circuit"
                raise input_error(f"--{option}", must, f"is {given[0]!r}")
        for name in self.device:
            Target(name, self.shots or 1, seed=self.seed)  # refuses unknown ones
        if self.shots is not None:
            check_at_least("shots", self.shots, 1)
        test = sample_of(run, self.samples, seed=self.seed)
        scores, _, seconds = score_model(load_model(run), test)
        low, high = scores.accuracy_interval
        device = run.config.device.name
        has_circuit = run.config.network.block in CIRCUIT_BLOCKS
        where = f" on {device}" if has_circuit else ""
        print(
            f"{run.result.model}{where}: {percent(scores.accuracy, 2)}% of "
            f"{scores.n_test:,} test images ({percent(low, 2)}% to "
            f"{percent(high, 2)}%, 95 %), log-loss {scores.log_loss:.4f}, "
            f"{seconds:.1f} s"
        )
        if self.out:
            table = cattrs.unstructure(scores)
            write_json(self.out, table | {"device": device, "seconds": seconds})

    def _deploy(self, run: Run) -> None:
        """On the devices that were asked for, one after the other."""
        # Qiskit is imported where it is needed alone.
        from ..deployment import deploy, deployment_folder

        if self._is_for_ibm:
            self._submit(run)
            return
        targets = self._targets(run)
        found = []
        for target in targets:
            with JobProgress(target.label) as progress:
                found.append(
                    deploy(
                        run,
                        target,
                        samples=self.samples,
                        folder=deployment_folder(run, target, self.samples),
                        progress=progress,
                    )
                )
        self._show(run, found)

    def _submit(self, run: Run) -> None:
        """To an IBM device; or, without --submit, what that would cost."""
        from ..deployment import Target, deployment_folder, dry_run, submit

        shots = DEVICE_SHOTS if self.shots is None else self.shots
        target = Target(self.device[0], shots, seed=self.seed)
        if not self.submit:
            plan = dry_run(
                run,
                target.device,
                shots=shots,
                samples=self.samples,
                seed=self.seed,
                progress=err.print,
            )
            for warning in plan.warnings:
                err.print(f"[yellow]Warning: {escape(warning)}[/]")
            print(plan.text)
            return
        assert self.max_seconds is not None  # checked before
        folder = deployment_folder(run, target, self.samples, submitted=True)
        with JobProgress(target.label) as progress:
            found = submit(
                run,
                target.device,
                shots=shots,
                max_seconds=self.max_seconds,
                folder=folder,
                samples=self.samples,
                seed=self.seed,
                progress=progress,
                say=progress.console.print,
            )
        self._show(run, [found])

    def _show(self, run: Run, found: "list[Deployment]") -> None:
        """Writes the scores, draws and prints them."""
        warn_of_shortfall(run)
        from ..reporting.deployments import deployment_table, plot_deployments
        from ..reporting.hardware_figures import hardware_figures
        from ..reporting.hardware_records import read_deployments

        tables = [deployment.as_table() for deployment in found]
        if self.out:
            write_json(self.out, tables[0] | {"targets": tables})
        # Those of earlier calls too: one call has one number of shots.
        figures = hardware_figures(read_deployments(run.directory))
        figures["deployments"] = plot_deployments(tables)
        for name, figure in figures.items():
            save_figure(figure, run.directory / "figures" / name)
        console = Console()
        console.print(deployment_table(tables))
        ideal = found[0].ideal
        print(
            f"Exact: {percent(ideal.accuracy, 2)}% of the same {ideal.n_test:,} test "
            "images. "
            "Flipped: predictions that\ndiffer from the exact ones; margin: median "
            "of their distances to the boundary.\n"
            f"Figures: {', '.join(sorted(figures))} in {run.directory}/figures"
        )

    def _targets(self, run: Run) -> "list[Target]":
        """Each device; each noise, on Aer; each also mitigated, where it has errors."""
        from ..deployment import Target
        from ..deployment.target import with_mitigation

        own = () if self.noise else (run.config.device.name,)
        names = self.device or own
        targets = [
            Target(name, self.shots, seed=self.seed)
            for name in names
            if not (self.noise and name == AER)
        ]
        targets += [Target(AER, self.shots, spec, self.seed) for spec in self.noise]
        return with_mitigation(dict.fromkeys(targets), self.mitigation)
