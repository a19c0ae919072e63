"""`qfm evaluate`, `qfm predict` and `qfm report`: what finished runs are good for."""

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cattrs
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from scipy.special import softmax
from tyro.conf import Positional, arg

from .._checks import check_at_least, input_error
from ..data import read_image
from ..experiment import load_model, score_model
from ..hardware.backends import AER
from ..models.block import CIRCUIT_BLOCKS
from ..models.prediction import predict_logits
from ..progress import JobProgress
from ..reporting import save_figure, write_report
from ..runs import Run, read_run, write_json
from .options import Shots, check_new_file

if TYPE_CHECKING:
    from ..deployment import Target


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Scores the best weights of a finished run, on any device, with any noise."""

    directory: Positional[Path]
    """Run directory."""
    device: Annotated[
        tuple[str, ...],
        arg(
            help="aer, a fake backend such as fake_torino, or a PennyLane device; "
            "several for a table; the run's own where left out.",
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

    def run(self) -> None:
        """Prints the scores and writes them where asked."""
        if self.out:
            check_new_file(self.out)
        run = read_run(self.directory)
        if run.config.network.block not in CIRCUIT_BLOCKS or not self._asks_for_targets:
            self._score(run)
        else:
            self._deploy(run)

    @property
    def _asks_for_targets(self) -> bool:
        return bool(self.device or self.noise or self.shots is not None)

    def _score(self, run: Run) -> None:
        """As the run itself was scored."""
        from ..deployment import Target, sample_of

        for name in self.device:
            Target(name, self.shots or 1, seed=self.seed)  # refuses unknown ones
        if self.shots is not None:
            check_at_least("shots", self.shots, 1)
        test = sample_of(run, self.samples, seed=self.seed)
        scores, _, seconds = score_model(load_model(run), test)
        low, high = scores.accuracy_interval
        device = run.config.device.name
        where = f" on {device}" if run.result.n_parameters_quantum else ""
        print(
            f"{run.result.model}{where}: {scores.accuracy:.2%} of "
            f"{scores.n_test:,} test images ({low:.2%} to {high:.2%}, 95 %), log-loss "
            f"{scores.log_loss:.4f}, {seconds:.1f} s"
        )
        if self.out:
            table = cattrs.unstructure(scores)
            write_json(self.out, table | {"device": device, "seconds": seconds})

    def _deploy(self, run: Run) -> None:
        """On the devices that were asked for, one after the other."""
        # Qiskit is imported where it is needed alone.
        from ..deployment import deploy
        from ..reporting.deployments import deployment_table, plot_deployments

        targets = self._targets(run)
        found = []
        for target in targets:
            name = re.sub(r"[^a-z0-9.]+", "-", target.label.lower())
            name += f"-{self.samples or 'all'}-seed{self.seed}"
            with JobProgress(target.label) as progress:
                found.append(
                    deploy(
                        run,
                        target,
                        samples=self.samples,
                        folder=run.directory / "deployments" / name,
                        progress=progress,
                    )
                )
        if self.out:
            tables = [deployment.as_table() for deployment in found]
            write_json(self.out, tables[0] | {"targets": tables})
        save_figure(plot_deployments(found), run.directory / "figures" / "deployments")
        console = Console()
        console.print(deployment_table(found))
        ideal = found[0].ideal
        print(
            f"Exact: {ideal.accuracy:.2%} of the same {ideal.n_test:,} test images. "
            "Flipped: predictions that\ndiffer from the exact ones; margin: median "
            "of their distances to the boundary.\n"
            f"Figure: {run.directory}/figures/deployments.png"
        )

    def _targets(self, run: Run) -> "list[Target]":
        """Each device; and each noise, on Aer."""
        from ..deployment import Target

        own = () if self.noise else (run.config.device.name,)
        names = self.device or own
        targets = [
            Target(name, self.shots, seed=self.seed)
            for name in names
            if not (self.noise and name == AER)
        ]
        targets += [Target(AER, self.shots, spec, self.seed) for spec in self.noise]
        return list(dict.fromkeys(targets))


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
        check_new_file(self.out)
        runs = [read_run(directory) for directory in self.directories]
        print(f"Report: {write_report(runs, self.out)}")
