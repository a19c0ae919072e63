"""What does hardware do to a trained model, and what would it cost there?

Question: accuracy with exact expectations, with shots, with depolarizing and read-out
    noise of several strengths, before and after mitigation, and on fake backends, which
    have the couplings, gates and errors of IBM's devices; which predictions flip; gates
    and seconds of QPU.

Command:  python experiments/hardware_limits.py --runs RUN...
          with runs of `qfm train`, such as those of experiments/zoo.py

Expected: 8 minutes on 2 cores for a run with a circuit of 8 qubits, less with --preset
    smoke. A hybrid with a shallow circuit loses less than a point; a circuit that works
    alone more.

All test images are run without noise, a stratified sample of --samples with it: density
matrices take their time. What is finished is kept beside each run and not run again.
The file keeps rows of other runs.
"""

import dataclasses
import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import tyro
from classical_baselines import about
from rich.console import Console

from qfm_jax import Target, budget_of, deploy, read_run
from qfm_jax.cli import in_sentences
from qfm_jax.deployment import deployment_folder
from qfm_jax.reporting.deployments import deployment_table
from qfm_jax.reporting.hardware_figures import hardware_figures
from qfm_jax.reporting.style import render
from qfm_jax.runs.directory import Run
from qfm_jax.runs.results import Row, add_rows, measure_missing, read_rows
from qfm_jax.training.progress import JobProgress

EXPERIMENT = "hardware_limits"
SHOTS = 1024
NOISES = (
    *("depolarizing:0.001", "depolarizing:0.01", "depolarizing:0.03"),
    *("readout:0.02", "readout:0.1"),
)
FEW_SHOTS = (16, 64, 256)
MITIGATED = (
    Target("aer", SHOTS, "depolarizing:0.03", mitigation="zne"),
    Target("aer", SHOTS, "readout:0.1", mitigation="readout"),
)
BACKENDS = ("fake_torino", "fake_sherbrooke", "fake_brisbane")


@dataclasses.dataclass(frozen=True)
class Options:
    """What is run."""

    runs: tuple[Path, ...]
    """Run directories of models with a circuit of up to about ten qubits."""
    preset: Literal["smoke", "full"] = "full"
    """50 images for all, or what follows."""
    samples: int = 1000
    """Test images with noise, a stratified sample."""
    seed: int = 0
    """Seed of the sample and of the outcomes."""
    linear: float | None = None
    """Test accuracy of a linear model, in [0, 1], for a line in the figures."""
    out: Path = Path(__file__).parent / "results" / "hardware_limits.json"
    """JSON file to write."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs every target for every run, writes as it goes, prints the tables."""
    options = tyro.cli(Options, args=argv, description=__doc__)
    out, console = options.out, Console()
    for directory in options.runs:
        run = read_run(directory)
        cells = [
            {"run": about(run), "samples": n, "target": dataclasses.asdict(target)}
            for target, n in targets(options)
        ]
        measure_one = functools.partial(measure, run=run)
        rows = measure_missing(out, EXPERIMENT, cells, measure_one)
        cost = budget_of(run, BACKENDS, shots=SHOTS).as_table()
        add_rows(out, EXPERIMENT, tables={"costs": {run.result.model: cost}})
        console.print(f"{run.result.model}, {run.result.n_parameters:,} parameters")
        console.print(deployment_table(rows))
    drawn = hardware_figures(read_rows(out, EXPERIMENT), linear=options.linear)
    for name, figure in drawn.items():
        path = out.with_name(f"{out.stem}_{name}.png")
        path.write_bytes(render(figure, "png"))
    print(f"Written: {out}")


def targets(options: Options) -> list[tuple[Target, int | None]]:
    """Each target with its number of images."""
    every, some = None, options.samples
    if options.preset == "smoke":
        every = some = 50
    seed = options.seed
    exact = [(Target(seed=seed), every), (Target(shots=SHOTS, seed=seed), every)]
    noisy = [Target("aer", SHOTS, noise, seed) for noise in NOISES]
    noisy += [Target(backend, SHOTS, seed=seed) for backend in BACKENDS]
    noisy += [Target(shots=shots, seed=seed) for shots in FEW_SHOTS]
    noisy += [dataclasses.replace(target, seed=seed) for target in MITIGATED]
    return [*exact, *((target, some) for target in noisy)]


def measure(cell: Mapping[str, Any], *, run: Run) -> Row:
    """The model on a target; its jobs are kept in the run directory."""
    target = Target(**cell["target"])
    folder = deployment_folder(run, target, cell["samples"])
    with JobProgress(target.label) as progress:
        found = deploy(
            run, target, samples=cell["samples"], folder=folder, progress=progress
        )
    size = {"n_qubits": run.config.network.n_qubits}
    return {"model": run.result.model} | size | found.as_table()


if __name__ == "__main__":
    sys.exit(in_sentences(main))
