"""What circuits cost on several backends -> a table, and a figure."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich import box
from rich.table import Table
from rich.text import Text

from .._checks import input_error
from ..deployment.budget import Budget
from ..hardware.cost import CircuitCost
from .style import COLORS, MARKERS, WIDE, house_style, lay_out


def cost_table(budget: Budget) -> Table:
    """The costs for a terminal of 80 columns, one row for each backend and level."""
    workload, plan = budget.workload, budget.plan
    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False
    )
    table.add_column("Backend", overflow="ellipsis", no_wrap=True, max_width=18)
    for name in (
        "Level",
        "Depth",
        "2-qubit\ngates",
        "Success\nprob., %",
        "Shot\nus",
        "QPU\ns",
        "Plan\n%",
        "Price\n$",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for cost in budget.costs:
        seconds = workload.seconds(cost)
        table.add_row(
            Text(cost.backend),
            str(cost.optimization_level),
            f"{cost.depth:,}",
            f"{cost.two_qubit_gates:,}",
            f"{100 * cost.success_probability:.3g}",
            f"{cost.duration * 1e6:.3g}",
            f"{seconds:,.0f}",
            f"{100 * seconds / (60 * plan.minutes):,.0f}",
            f"{seconds / 60 * plan.price:,.0f}",
        )
    return table


def plot_costs(costs: Sequence[CircuitCost]) -> Figure:
    """Draws gates on two qubits and success probability, by backend and level.

    Raises:
        InputError: If there are no costs.
    """
    if not costs:
        cure = "Name at least one backend."
        raise input_error("costs", "hold at least one cost", "is empty", cure)
    backends = list(dict.fromkeys(cost.backend for cost in costs))
    levels = sorted({cost.optimization_level for cost in costs})
    with house_style():
        size = (WIDE, 1.4 + 0.42 * len(backends))
        figure = Figure(figsize=size, layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        for i, level in enumerate(levels):
            own = [cost for cost in costs if cost.optimization_level == level]
            # Levels that cost the same stand beside each other, not on top.
            shift = 0.5 * ((i + 0.5) / len(levels) - 0.5)
            rows = [backends.index(cost.backend) + shift for cost in own]
            look = {"color": COLORS[level], "marker": MARKERS[level], "linestyle": ""}
            gates = [cost.two_qubit_gates for cost in own]
            left.plot(gates, rows, label=f"level {level}", **look)
            chances = [100 * cost.success_probability for cost in own]
            right.plot(chances, rows, **look)
        left.set_yticks(range(len(backends)), backends)
        left.set_ylim(len(backends) - 0.4, -0.6)
        left.set_xlim(left=0)
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        left.set_xlabel("gates on two qubits, after transpilation")
        right.set_xlim(-2, 102)
        right.set_xlabel("estimated success probability (%)")
        for axes in (left, right):
            axes.grid(visible=False, axis="y")
        figure.legend(loc="outside upper left", ncols=len(levels))
        return lay_out(figure)
