"""Runs -> the part of a report that says what devices did to them."""

from collections.abc import Sequence
from typing import Any

from .._checks import InputError
from ..runs import Run
from .deployments import plot_deployments, read_deployments, read_table
from .hardware_figures import hardware_figures
from .page import picture
from .style import looks

CAPTIONS = {
    "accuracy_against_noise": "Accuracy on Qiskit Aer against the strength of noise.",
    "accuracy_against_shots": "Accuracy against the measurements of each circuit.",
    "accuracy_against_gates": "Accuracy against the gates on two qubits that the "
    "transpiled circuits of an image have.",
}


def hardware_section(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """What the template `hardware.html.j2` shows: the runs that were on devices.

    Scores lie in the folders of `deployments/`, the cost in `cost.json`, both in the
    run directory; runs without either are left out.

    Raises:
        InputError: For files that are damaged.
    """
    sections = [
        _section(run, look.label) for run, look in zip(runs, looks(runs), strict=True)
    ]
    return [section for section in sections if section["rows"] or section["backends"]]


def _section(run: Run, label: str) -> dict[str, Any]:
    rows = read_deployments(run.directory)
    path = run.directory / "cost.json"
    cost = read_table(path) if path.exists() else None
    try:
        return {
            "label": label,
            "rows": rows,
            "cost": cost,
            "backends": [] if cost is None else list(cost["backends"].items()),
            "figures": _figures(rows, label) if rows else [],
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"The evaluations or the cost in {run.directory} are of another version: "
            f"{error!r}. Remove its deployments/*/scores.json and cost.json, then "
            "evaluate again."
        ) from error


def _figures(rows: Sequence[dict[str, Any]], label: str) -> list[tuple[Any, str]]:
    values = "; ".join(f"{r['label']} {100 * r['accuracy']:.1f} %" for r in rows)
    first = picture(plot_deployments(rows), f"Accuracy of {label}: {values}")
    caption = "Accuracy on each device with 95 % interval; ticks: exact expectations."
    more = [
        (picture(figure, f"{CAPTIONS[name]} Of {label}."), CAPTIONS[name])
        for name, figure in hardware_figures(rows).items()
    ]
    return [(first, caption), *more]
