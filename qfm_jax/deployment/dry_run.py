"""What a submission to an IBM device would cost, and the command that makes it."""

import dataclasses
import math
import shlex
from collections.abc import Callable

from ..data.split import check_size
from ..hardware.backends import canonical_name
from ..hardware.cost import FORMULA, Plan
from ..runs.directory import Run
from .budget import Budget, budget_of
from .model_circuits import images_per_job

MARGIN = 1.25
"""What is allowed for each estimated second: IBM cancels a job at its limit, and what
it has used by then is paid for."""
SECONDS_AROUND_A_JOB = 5
"""Allowed for each job beside its circuits. IBM's guide "Estimate job run time" has a
Bell state, 1 s by the formula, at 4.1 s."""


@dataclasses.dataclass(frozen=True)
class DryRun:
    """A submission that was not made."""

    budget: Budget
    """What its circuits cost, and the share of a plan."""
    jobs: int
    """Jobs that it would send."""
    seconds: float
    """Estimated seconds of QPU."""
    max_seconds: int
    """What to allow: more than that, for jobs must not be cancelled shortly before
    their end."""
    command: str
    """The command that submits it."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence for each thing that speaks against it."""
        return self.budget.costs[0].warnings

    @property
    def text(self) -> str:
        """All of it in a few lines, to print."""
        (cost,), load, plan = self.budget.costs, self.budget.workload, self.budget.plan
        share = self.seconds / (60 * plan.minutes)
        price = self.seconds / 60 * plan.price
        return (
            "This is a dry run: nothing is sent.\n"
            f"{self.budget.model} on {cost.backend}: {load.n_images:,} images x "
            f"{load.circuits_per_image:,} circuits x {load.settings} settings x "
            f"{load.shots:,} shots in {self.jobs} jobs.\n"
            f"Of each circuit: depth {cost.depth:,}, {cost.two_qubit_gates:,} gates on "
            f"two qubits, success probability {cost.success_probability:.2g}, "
            f"{cost.duration * 1e6:.3g} us.\n"
            f"{FORMULA}: {self.seconds:,.0f} s of QPU, {share:.0%} of {plan.minutes:g} "
            f"minutes in {plan.days} days, or {price:,.2f} $ where one pays "
            f"{plan.price:g} $ a minute (minutes as of {plan.as_of}, the price of "
            "2025).\n"
            f"To send it:\n  {self.command}"
        )


def dry_run(
    run: Run,
    backend: str,
    *,
    shots: int,
    samples: int | None = None,
    seed: int = 0,
    plan: Plan | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> DryRun:
    """Says what `submit` would cost with the same arguments; sends nothing.

    A device is asked for its gates, couplings and errors, which needs an account; its
    fake does not.

    Args:
        run: A finished run whose model has a circuit.
        backend: `ibm:NAME`, or a fake backend.
        shots: Measurements of each circuit.
        samples: Test images; all of the run where left out.
        seed: For the command alone.
        plan: What the seconds are a share of.
        progress: Called with a sentence before the transpilation.

    Raises:
        InputError: As `budget_of` does, and for more samples than images.

    Example:
        >>> from qfm_jax.runs.directory import read_run
        >>> run = read_run("runs/hybrid")  # doctest: +SKIP
        >>> print(dry_run(run, "fake_torino", shots=1024).text)  # doctest: +SKIP
    """
    name = canonical_name(backend)
    if samples is not None:
        n_test = run.result.scores.n_test
        check_size("samples", samples, n_test, "Leave it out for all of them.")
    budget = budget_of(
        run, [name], shots=shots, n_images=samples, plan=plan, progress=progress
    )
    load, (cost,) = budget.workload, budget.costs
    per_job = images_per_job(load.circuits_per_image * load.settings, shots)
    jobs = math.ceil(load.n_images / per_job)
    seconds = load.seconds(cost)
    max_seconds = math.ceil(MARGIN * seconds + SECONDS_AROUND_A_JOB * jobs)
    words = ["qfm", "evaluate", str(run.directory), "--device", name]
    words += ["--shots", str(shots)]
    words += [] if samples is None else ["--samples", str(samples)]
    words += [] if seed == 0 else ["--seed", str(seed)]
    words += ["--submit", "--max-seconds", str(max_seconds)]
    return DryRun(budget, jobs, seconds, max_seconds, shlex.join(words))
