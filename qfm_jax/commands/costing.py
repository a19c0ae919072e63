"""`qfm cost`: what the circuit of a finished run would cost on quantum computers."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from matplotlib.figure import Figure
from rich.console import Console
from rich.markup import escape
from tyro.conf import Positional, arg

from .._checks import InputError, input_error
from ..files import write_json
from ..reporting import save_figure
from ..runs.config import RUN_FORMAT
from ..runs.directory import read_run
from .options import DEVICE_SHOTS, check_new_file, err, warn_of_shortfall

if TYPE_CHECKING:
    from ..deployment.budget import Budget


@dataclasses.dataclass(frozen=True)
class CostCommand:
    """Transpiles a run's circuit for backends; says what its test set costs there."""

    directory: Positional[Path]
    """Run directory."""
    backend: Annotated[
        tuple[str, ...],
        arg(
            help="Backends: fake_sherbrooke, FakeTorino, ibm:NAME, ...; offline but "
            "the last.",
            metavar="NAME",
        ),
    ] = ()
    optimization_level: Annotated[
        tuple[int, ...],
        arg(help="Levels of Qiskit's transpiler, 0 to 3.", metavar="INT"),
    ] = (2,)
    shots: Annotated[
        int | None,
        arg(
            help=f"Measurements per circuit; {DEVICE_SHOTS} where no interval is "
            "given.",
            metavar="INT",
        ),
    ] = None
    interval: Annotated[
        float | None,
        arg(
            help="Half-width of the 95 % interval of each expectation, instead of "
            "shots.",
            metavar="FLOAT",
        ),
    ] = None
    samples: Annotated[
        int | None,
        arg(help="Test images to run; those of the run where left out.", metavar="INT"),
    ] = None
    plan_minutes: Annotated[
        float, arg(help="Minutes of QPU that your plan gives in a period.")
    ] = 10.0
    price: Annotated[
        float, arg(help="Price of a minute of QPU in US dollars, if you pay.")
    ] = 96.0
    json: Annotated[bool, arg(help="Print JSON instead of the table.")] = False
    out: Annotated[Path | None, arg(help="JSON file to write; it must not exist.")] = (
        None
    )

    def run(self) -> None:
        """Prints the table or JSON; draws the figure into the run's directory."""
        # Qiskit is imported for this command alone.
        from ..deployment.budget import budget_of
        from ..hardware.cost import FORMULA, Plan, shots_for
        from ..reporting.hardware_costs import cost_table, plot_costs

        if self.out:
            check_new_file(self.out)
        if self.interval is not None and self.shots is not None:
            must = "be left out with --interval, which says how many are needed"
            raise input_error("--shots", must, f"is {self.shots}")
        shots = DEVICE_SHOTS if self.shots is None else self.shots
        run = read_run(self.directory)
        warn_of_shortfall(run)
        budget = budget_of(
            run,
            self.backend,
            levels=self.optimization_level,
            shots=shots if self.interval is None else shots_for(self.interval),
            n_images=self.samples,
            plan=Plan(self.plan_minutes, price=self.price),
            progress=err.print,
        )
        for cost in budget.costs:
            for warning in cost.warnings:
                err.print(f"[yellow]Warning: {escape(warning)}[/]")
        figure = _keep(budget, plot_costs(budget.costs), self.directory)
        if self.out:
            write_json(self.out, budget.as_table())
        if self.json:
            print(json.dumps(budget.as_table(), indent=2))
            return
        Console().print(cost_table(budget))
        load, plan = budget.workload, budget.plan
        print(
            f"The circuit of {budget.model} for {budget.transpiled_for}, transpiled, "
            "with its measurement.\n"
            f"{FORMULA}\n"
            f"= {load.n_images:,} images x {load.circuits_per_image:,} circuits x "
            f"{load.settings} settings x {load.shots:,} shots x ...; each expectation "
            f"within {load.half_width:.2g} (95 %).\n"
            "Success probability: that of no error at all, the product of (1 - error)\n"
            "over all gates and read-outs.\n"
            f"Plan: {plan.minutes:g} minutes in {plan.days} days, {plan.price:g} $ a "
            "minute where one\n"
            f"pays (minutes as of {plan.as_of}, the price of 2025 and not checked): "
            "yours go into\n--plan-minutes and --price.\n"
            f"Figure: {figure}"
        )


def _keep(budget: "Budget", figure: Figure, directory: Path) -> Path:
    """Leaves the costs in the run directory, where a report looks for them."""
    path = directory / "figures" / "cost"
    try:
        write_json(directory / "cost.json", {"format": RUN_FORMAT} | budget.as_table())
        return save_figure(figure, path)[0]
    except OSError as error:
        raise InputError(f"{path}.png cannot be written: {error.strerror}.") from error
