"""Runs -> the part of a report that says what devices did to them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._checks import InputError
from ..evaluation import percent
from ..hardware.backends import AER
from ..runs.directory import Run
from .deployments import Record, plot_deployments
from .hardware_figures import hardware_figures, with_several_shots
from .hardware_records import BudgetTable, read_cost, read_deployments
from .page import Picture, picture

CAPTIONS = {
    "accuracy_against_noise": "Accuracy on Qiskit Aer against the strength of noise.",
    "accuracy_against_shots": "Accuracy against the measurements of each circuit.",
    "accuracy_against_gates": "Accuracy against the gates on two qubits that the "
    "transpiled circuits of an image have.",
}


def hardware_section(
    runs: Sequence[Run], labels: Sequence[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """What `sections/hardware.html.j2` shows: the runs that were on devices.

    Scores lie in the folders of `deployments/`, the cost in `cost.json`, both in the
    run directory; runs without either are left out.

    Args:
        runs: Finished runs.
        labels: The name of each.

    Returns:
        Their sections, and a sentence about each run whose files could not be read.
    """
    sections, sentences = [], []
    for run, label in zip(runs, labels, strict=True):
        try:
            section = _section(run, label)
        except InputError as error:
            sentences.append(f"What devices did to {label} is left out: {error}")
            continue
        if section["rows"] or section["backends"]:
            sections.append(section)
    return sections, sentences


def hardware_sentences(sections: Sequence[Mapping[str, Any]]) -> list[str]:
    """What devices did to each model, at worst, and what the cheapest would cost."""
    return [sentence for section in sections for sentence in _sentences(section)]


def _sentences(section: Mapping[str, Any]) -> Iterator[str]:
    label = section["label"]
    noisy = [r for r in section["rows"] if r["device"] != AER or r["noise"] != "none"]
    if noisy:
        worst = min(noisy, key=lambda row: row["accuracy"])
        yield (
            f"{label} classifies {percent(worst['accuracy'])} % of "
            f"{worst['n_test']:,} test images rightly at worst ({worst['label']}), "
            f"where exact expectations give {percent(worst['accuracy_ideal'])} %."
        )
    if section["backends"]:
        name, cost = min(section["backends"], key=lambda pair: pair[1]["seconds_qpu"])
        yield (
            f"{section['cost']['n_test']:,} test images of {label} would take about "
            f"{cost['seconds_qpu']:,.0f} s of QPU on a device like {name}."
        )


def device_section(
    label: str, rows: Sequence[Record], cost: BudgetTable | None
) -> dict[str, Any]:
    """What the template shows of a model, but for figures that compare several.

    Args:
        label: The model's name.
        rows: What devices gave, as `read_deployments` reads it.
        cost: What its images would cost there.
    """
    return {
        "label": label,
        "rows": rows,
        "cost": cost,
        "backends": [] if cost is None else list(cost["backends"].items()),
        "transpiled_twice": [] if cost is None else _transpiled_twice(rows, cost),
        "figures": [_devices(rows, label)] if rows else [],
    }


def _transpiled_twice(rows: Sequence[Record], cost: BudgetTable) -> list[str]:
    """Backends whose scores are of other gates than their cost, with both numbers."""
    priced = {name: own["two_qubit_gates"] for name, own in cost["backends"].items()}
    run = {row["device"]: row["two_qubit_gates"] for row in rows}
    return [
        f"{name} ({run[name]:,} gates on two qubits, and {n_gates:,})"
        for name, n_gates in priced.items()
        if run.get(name) not in (None, n_gates)
    ]


def comparing_figures(rows: Sequence[Record], label: str) -> list[tuple[Picture, str]]:
    """Accuracy against noise, shots and gates, each with its caption.

    Args:
        rows: What devices gave; of several models, if they name theirs.
        label: The models' names.
    """
    captions = dict(CAPTIONS)
    if drawn := names_of(with_several_shots(rows)):  # often fewer than in `rows`
        captions["accuracy_against_shots"] += f" Of {drawn}."
    return [
        (picture(figure, f"{CAPTIONS[name]} Of {label}."), captions[name])
        for name, figure in hardware_figures(rows).items()
    ]


def names_of(rows: Sequence[Record]) -> str:
    """The models that rows name, each once."""
    return " and ".join(dict.fromkeys(row["model"] for row in rows if "model" in row))


def _section(run: Run, label: str) -> dict[str, Any]:
    rows, cost = read_deployments(run.directory), read_cost(run.directory)
    section = device_section(label, rows, cost)
    section["figures"] += comparing_figures(rows, label) if rows else []
    return section


def _devices(rows: Sequence[Record], label: str) -> tuple[Picture, str]:
    values = "; ".join(f"{r['label']} {percent(r['accuracy'])} %" for r in rows)
    image = picture(plot_deployments(rows), f"Accuracy of {label}: {values}")
    caption = "Accuracy on each device with 95 % interval; ticks: exact expectations."
    return image, caption
