"""What does accuracy cost?

Question: which models does no other beat, against each of parameters, circuit
    executions, training seconds, inference seconds, memory, and seconds of a quantum
    computer: the Pareto fronts.

Command:  python experiments/compare_models.py --preset laptop
          python experiments/accuracy_vs_cost.py --preset laptop

Expected: seconds, but for the transpilation of each circuit, which is done once. It
    needs no account: the backend is a fake one, with the couplings, gates and times of
    IBM's device.

Accuracy and all other costs are those that `compare_models.py` measured, of one
protocol; models that have no row yet are named. A circuit that Qiskit cannot hold with
free angles is transpiled with random ones, which cost as many gates. Classical models
run no circuit: they have 0 executions, and no place on the axis of the QPU. A trunk's
weights count among the parameters, and its training among the seconds.
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from compare_models import COMPARISON, PLANS, RESULTS, rows_of_preset
from qiskit import QuantumCircuit

from qfm_jax._checks import InputError, input_error
from qfm_jax.circuits import VariationalCircuit
from qfm_jax.circuits.qiskit_export import to_qiskit
from qfm_jax.cli import in_sentences
from qfm_jax.hardware.backends import get_backend
from qfm_jax.hardware.cost import Workload, circuit_cost, count_settings
from qfm_jax.models import ModelConfig
from qfm_jax.models.configuration import circuit_of
from qfm_jax.reporting import CostRecord, pareto_front, plot_pareto
from qfm_jax.reporting.style import render
from qfm_jax.runs.config import converter
from qfm_jax.runs.results import Row, add_rows, measure_missing, read_rows

EXPERIMENT = "accuracy_vs_cost"
SHOTS = 1024
LEVEL = 2


@dataclasses.dataclass(frozen=True)
class Options:
    """What is drawn."""

    preset: Literal["smoke", "laptop", "full"] = "laptop"
    """Rows of this preset of compare_models.py."""
    dataset: str | None = None
    """Name of the data set; the preset's where left out."""
    seed: int = 0
    """Seed of the rows."""
    backend: str = "fake_torino"
    """Backend that circuits are transpiled for, one that states the times of gates."""
    results: Path = RESULTS
    """Folder of the JSON files and of the figure."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    compared = options.results / f"{COMPARISON}.json"
    rows = rows_of_preset(
        read_rows(compared, COMPARISON), options.preset, options.dataset, options.seed
    )
    if not rows:
        must = f"hold rows of the preset {options.preset!r}"
        cure = f"Run experiments/compare_models.py --preset {options.preset} first."
        raise input_error("results", must, f"{compared} has none", cure)
    found = {row["cell"]["model"] for row in rows}
    if missing := [name for name in PLANS[options.preset].models if name not in found]:
        print(f"{compared} has no row yet of {', '.join(missing)}.")
    circuits = [row for row in rows if row["executions_per_image"]]
    cells = [cell_of(row, options.backend) for row in circuits]
    out = options.results / f"{EXPERIMENT}.json"
    costs = measure_missing(out, EXPERIMENT, cells, transpile_cell, show)
    seconds = {
        row["cell"]["model"]: cost["seconds_qpu_per_image"]
        for row, cost in zip(circuits, costs, strict=True)
    }
    records = records_of(rows, [seconds.get(row["cell"]["model"]) for row in rows])
    fronts = fronts_of(records)
    print(*(f"{cost}: {', '.join(names)}" for cost, names in fronts.items()), sep="\n")
    about = {"backend": options.backend, "shots": SHOTS, "fronts": fronts}
    name = name_of(options)
    add_rows(out, EXPERIMENT, tables={f"fronts_{name}": about})
    picture = out.with_name(f"{EXPERIMENT}_{name}.png")
    picture.write_bytes(render(plot_pareto(records), "png"))
    print(f"Written: {out}, {picture}")


def name_of(options: Options) -> str:
    """What fronts and figure are called: the preset, and what it has otherwise."""
    usual, name = PLANS[options.preset].dataset, str(options.preset)
    if options.dataset not in (None, usual):
        name += f"_{options.dataset}"
    return name + (f"_seed{options.seed}" if options.seed else "")


def cell_of(row: Row, backend: str) -> dict[str, Any]:
    """The circuit of a model and its device, as the file spells them."""
    return {
        "model": row["cell"]["model"],
        "network": row["config"]["network"],
        "executions_per_image": row["executions_per_image"],
        "backend": backend,
        "optimization_level": LEVEL,
        "shots": SHOTS,
    }


def transpile_cell(cell: Mapping[str, Any]) -> Row:
    """What an image costs on the backend; None where Qiskit cannot hold the circuit."""
    network = converter().structure(cell["network"], ModelConfig)
    circuit = circuit_of(network)
    try:
        exported = exported_circuit(circuit)
    except InputError as error:
        return {"seconds_qpu_per_image": None, "reason": str(error)}
    backend = get_backend(cell["backend"], n_qubits=circuit.n_qubits)
    cost = circuit_cost(exported, backend, optimization_level=LEVEL)
    settings = count_settings(circuit)
    load = Workload(1, cell["shots"], cell["executions_per_image"], settings)
    return {
        "seconds_qpu_per_image": load.seconds(cost),
        "settings": settings,
        **dataclasses.asdict(cost),
    }


def exported_circuit(circuit: VariationalCircuit) -> QuantumCircuit:
    """The circuit with free angles where it can be, with random numbers else."""
    try:
        return to_qiskit(circuit)
    except InputError:  # amplitudes and matrices are numbers in Qiskit
        rng = np.random.default_rng(0)
    inputs = rng.normal(size=circuit.n_features)
    weights = rng.normal(size=circuit.weights_shape)
    return to_qiskit(circuit, inputs / np.linalg.norm(inputs), weights)


def show(row: Row) -> None:
    seconds = row["seconds_qpu_per_image"]
    cost = row["reason"] if seconds is None else f"{seconds:.3g} s of QPU an image"
    print(f"{row['cell']['model']}: {cost}", flush=True)


def records_of(
    rows: Sequence[Row], seconds_qpu: Sequence[float | None]
) -> list[CostRecord]:
    """What each model reached and cost, its trunk's training included."""
    training = {row["cell"]["model"]: row["seconds_training"] for row in rows}
    trunks = [
        0.0 if row["trunk"] is None else training.get(row["trunk"]) for row in rows
    ]
    return list(map(record_of, rows, seconds_qpu, trunks))


def record_of(
    row: Row, seconds_qpu: float | None, seconds_trunk: float | None
) -> CostRecord:
    """What a model reached, and each cost that is known."""
    quantum, other = row["n_parameters_quantum"], row["n_parameters_classical"]
    frozen = row.get("n_parameters_frozen", 0)
    costs = {
        "parameters": None if other is None else quantum + other + frozen,
        "circuit executions (an image)": row["executions_per_image"],
        "training (s)": None
        if seconds_trunk is None
        else row["seconds_training"] + seconds_trunk,
        "inference (ms an image)": 1e3 * row["seconds_per_image"],
        "peak memory (MiB)": row["peak_memory_bytes"] / 2**20,
        "QPU (s an image)": seconds_qpu,
    }
    return CostRecord(
        row["cell"]["model"],
        row["accuracy"],
        tuple(row["accuracy_interval"]),
        {name: cost for name, cost in costs.items() if cost is not None},
        row["kind"],
    )


def fronts_of(records: Sequence[CostRecord]) -> dict[str, list[str]]:
    """The models of the Pareto front of each cost, cheapest first."""
    costs = dict.fromkeys(cost for record in records for cost in record.costs)
    return {
        cost: [record.label for record in pareto_front(records, cost)] for cost in costs
    }


if __name__ == "__main__":
    sys.exit(in_sentences(main))
