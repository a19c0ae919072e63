"""Files of the study -> the parts of its page; `write_study.py` reads and shows them.

Each function takes the table of a file. What it holds besides numbers of the right kind
is refused, by an InputError or another one of `write_results.DAMAGE`.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import accuracy_vs_cost
import cattrs
import result_tables
import scale_data
import scale_qubits
from compare_models import COMPARISON, PLANS, check_is_of_today, rows_of_preset

from qfm_jax._checks import InputError
from qfm_jax.reporting.configuration import config_toml, train_command
from qfm_jax.reporting.hardware_records import checked_cost
from qfm_jax.reporting.scaling_section import (
    scaled_accuracy,
    scaled_random,
    scaled_steps,
)
from qfm_jax.reporting.study import Comparison, Devices, Records, Repeat, Scalings
from qfm_jax.reporting.study_records import (
    ComparedRow,
    DeviceRow,
    PricedRow,
    RandomRow,
    RecordRow,
    StepRow,
    TrainedRow,
    checked,
)
from qfm_jax.results import Row
from qfm_jax.runs import RunConfig, converter, in_words, to_toml

TWINS = {
    scale_qubits.EXPERIMENT: {"circuit": "no circuit"},
    scale_data.EXPERIMENT: {"amplitude": "linear", "quanvolution": "patch-cnn"},
}
"""Models of the scaling studies, and what each has in place of its circuit."""


def comparison_of(
    table: Any, preset: str | None, prices: Mapping[str, Any]
) -> Comparison:
    """The rows of a preset, what each cost, and what repeats it."""
    check_experiment(table, COMPARISON)
    names = ("full", "laptop", "smoke") if preset is None else (preset,)
    found = {name: rows_of_preset(table["rows"], name) for name in names}
    chosen = result_tables.shown_preset(found.values())
    preset = next(name for name in names if found[name] is chosen)
    rows = checked_rows(chosen, ComparedRow)
    if not rows:
        raise InputError(f"{COMPARISON}.json holds no row of {' or '.join(names)}.")
    models = [row["cell"]["model"] for row in rows]
    if len(set(models)) < len(models):
        raise InputError(f"{COMPARISON}.json holds two rows of one model in {preset}.")
    backend = prices.get(f"fronts_{preset}", {}).get(
        "backend", accuracy_vs_cost.Options().backend
    )
    seconds = [qpu_seconds(row, backend, prices) for row in rows]
    about = {"preset": preset, "backend": backend, "shots": accuracy_vs_cost.SHOTS}
    fronts = Repeat(
        "the fronts",
        f"python experiments/compare_models.py --preset {preset}\n"
        f"python experiments/accuracy_vs_cost.py --preset {preset} --backend {backend}",
        to_toml(about),
        versions_of([*rows, *prices["rows"]]),
    )
    return Comparison(
        rows=rows,
        costs=accuracy_vs_cost.records_of(rows, seconds),
        repeats=[compared_repeat(row) for row in rows],
        fronts=fronts,
        missing=[name for name in PLANS[preset].models if name not in models],
        outdated=[row["cell"]["model"] for row in rows if is_outdated(row)],
        unpriced=[
            row["cell"]["model"]
            for row, price in zip(rows, seconds, strict=True)
            if row["executions_per_image"] and price is None
        ],
    )


def priced_rows(table: Any) -> dict[str, Any]:
    """What circuits cost on backends."""
    check_experiment(table, accuracy_vs_cost.EXPERIMENT)
    checked_rows(table["rows"], PricedRow)
    return dict(table)


def qpu_seconds(row: Row, backend: str, prices: Mapping[str, Any]) -> float | None:
    """Seconds of QPU an image; None without a circuit, or where nobody priced it."""
    if not row["executions_per_image"]:
        return None
    cell = accuracy_vs_cost.cell_of(row, backend)
    own = (found for found in prices["rows"] if found["cell"] == cell)
    return next((found["seconds_qpu_per_image"] for found in own), None)


def is_outdated(row: Row) -> bool:
    """Whether a row's preset was another one when it was measured."""
    try:
        check_is_of_today(row)
    except InputError:
        return True
    return False


def compared_repeat(row: Row) -> Repeat:
    """What repeats a row: the experiment, and for a model its training alone."""
    cell = row["cell"]
    script = "python experiments/compare_models.py"
    command = f"{script} --preset {cell['preset']} --models {cell['model']}"
    if row.get("config") is None:  # a classifier of scikit-learn
        return Repeat(cell["model"], command, to_toml(cell), row["versions"])
    config = config_of(row)
    training = train_command(config, cell["dataset"], cell["model"])
    both = f"{command}\n# the training alone:\n{training}"
    return Repeat(cell["model"], both, config_toml(config), row["versions"])


def devices_of(table: Any) -> Devices:
    """What devices did to trained models, and would cost."""
    check_experiment(table, "hardware_limits")
    rows = checked_rows(table["rows"], DeviceRow)
    if not rows:
        raise InputError("hardware_limits.json holds no row.")
    costs = {name: checked_cost(cost) for name, cost in table["costs"].items()}
    models = list(dict.fromkeys(row["model"] for row in rows))
    about = {
        "models": models,
        "n_test": sorted({row["n_test"] for row in rows}),
        "seeds": sorted({row["seed"] for row in rows}),
        "devices": list(dict.fromkeys(row["label"] for row in rows)),
    }
    repeat = Repeat(
        "what devices did",
        "python experiments/hardware_limits.py --runs RUN...\n"
        f"# with the run directories of `qfm train` of {', '.join(models)}",
        to_toml(about),
        versions_of(rows),
    )
    return Devices(rows, costs, repeat)


def scaling_of_qubits(table: Any) -> Scalings:
    """What qubits and layers cost and bring, of the largest preset."""
    check_experiment(table, scale_qubits.EXPERIMENT)
    plan, rows = result_tables.largest_preset(scale_qubits, table["rows"])
    kinds = {"step": StepRow, "random": RandomRow, "accuracy": TrainedRow}
    parts = {
        part: checked_rows([r for r in rows if r["cell"]["part"] == part], kind)
        for part, kind in kinds.items()
    }
    seconds, memory = scale_qubits.fits_of(parts["step"])
    most = max(r["cell"]["n_qubits"] for r in parts["step"])
    is_known = most >= scale_qubits.LEAST_FITTED
    base = {"n_qubits": plan.trained_qubits[0], "n_layers": plan.trained_layers[0]}
    figures = (
        scaled_steps(
            parts["step"],
            seconds,
            memory,
            until=scale_qubits.ON_PAPER if is_known else most,
        ),
        scaled_random(parts["random"]),
        scaled_accuracy(
            parts["accuracy"],
            base,
            scale_qubits.LABELS,
            TWINS[scale_qubits.EXPERIMENT],
            "Accuracy by qubits and layers",
        ),
    )
    tables = (
        ("Times and memory of a step", *result_tables.steps_table(table)),
        ("Circuits with random weights", *result_tables.circuits_table(table)),
        ("Test accuracy, %, behind one layer", *result_tables.widths_table(table)),
    )
    return Scalings(figures, plain(tables), scaling_repeat(scale_qubits, plan, rows))


def scaling_of_data(table: Any) -> Scalings:
    """What the images change, of the largest preset."""
    check_experiment(table, scale_data.EXPERIMENT)
    plan, rows = result_tables.largest_preset(scale_data, table["rows"])
    figure = scaled_accuracy(
        checked_rows(rows, TrainedRow),
        scale_data.base_of(plan),
        scale_data.LABELS,
        TWINS[scale_data.EXPERIMENT],
        "Accuracy by resolution, images, classes and scale",
    )
    tables = (("Test accuracy, %", *result_tables.images_table(table)),)
    return Scalings((figure,), plain(tables), scaling_repeat(scale_data, plan, rows))


def scaling_repeat(experiment: Any, plan: Any, rows: Sequence[Row]) -> Repeat:
    """What repeats a preset of a scaling study."""
    name = next(name for name, known in experiment.PLANS.items() if known == plan)
    stem = experiment.EXPERIMENT
    return Repeat(
        stem,
        f"python experiments/{stem}.py --preset {name}",
        to_toml(json.loads(json.dumps(dataclasses.asdict(plan)))),
        versions_of(rows),
    )


def records_of(table: Any) -> Records:
    """What recipes reached, and what repeats each."""
    check_experiment(table, "zoo")
    rows = result_tables.of_record(checked_rows(table["rows"], RecordRow))
    if not rows:
        raise InputError("zoo.json holds no row of full.")
    parts = (("", *result_tables.records_table(result_tables.zoo_records(table))),)
    ((_, head, texts),) = plain(parts)
    return Records(head, texts, [record_repeat(row) for row in rows])


def record_repeat(row: Row) -> Repeat:
    """What repeats a recipe."""
    config = config_of(row)
    name: str = row["cell"]["name"]
    out = name.replace(" ", "-")
    command = train_command(config, row["result"]["dataset"], out)
    versions = row["result"]["versions"]
    return Repeat(name, command, config_toml(config), versions)


def config_of(row: Row) -> RunConfig:
    """The configuration of a row, as this version reads it."""
    try:
        return converter().structure(row["config"], RunConfig)
    except cattrs.BaseValidationError as error:
        raise InputError(in_words(error)) from error


def checked_rows(rows: Sequence[Row], kind: type) -> list[Row]:
    """The rows as they are, if each holds what `kind` says."""
    for row in rows:
        checked(row, kind)
    return list(rows)


def check_experiment(table: Mapping[str, Any], experiment: str) -> None:
    """Raises unless the file is one of this experiment."""
    if (found := table.get("experiment")) != experiment:
        must = f"{experiment}.json must hold rows of {experiment!r}"
        raise InputError(f"{must}, but holds those of {found!r}.")


def versions_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The versions of rows; where they are of several, all."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for name, version in row["versions"].items():
            found.setdefault(name, {})[str(version)] = None
    return {name: " and ".join(versions) for name, versions in found.items()}


def plain(tables: Iterable[tuple[str, Sequence[str], Iterable[Sequence[str]]]]) -> Any:
    """The tables without the marks of Markdown."""

    def unmarked(texts: Sequence[str]) -> list[str]:
        return [text.replace("`", "") for text in texts]

    return [
        (title, unmarked(head), [unmarked(row) for row in rows])
        for title, head, rows in tables
    ]
