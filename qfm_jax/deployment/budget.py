"""A finished run -> what its test images would cost on quantum computers."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from qiskit import QuantumCircuit

from .._checks import InputError, input_error
from ..circuits import Separable, VariationalCircuit
from ..circuits.qiskit_export import to_qiskit
from ..hardware.backends import canonical_name, get_backend
from ..hardware.cost import (
    FORMULA,
    CircuitCost,
    Plan,
    Workload,
    check_level,
    circuit_cost,
    count_settings,
)
from ..models.block import CIRCUIT_BLOCKS
from ..models.classifier import circuits_per_image
from ..models.configuration import circuit_of
from ..models.prediction import to_unit
from ..runs.directory import Run
from ..runs.model import load_data, load_model


@dataclasses.dataclass(frozen=True)
class Budget:
    """What the test images of a run would cost, by backend and transpiler level."""

    model: str
    """Name of the run's model."""
    dataset: str
    """Name of its data set."""
    transpiled_for: str
    """Whose angles the circuit has: `any image`, or `the first test image`."""
    costs: tuple[CircuitCost, ...]
    """One circuit on each backend at each level."""
    workload: Workload
    """Images, circuits, shots."""
    plan: Plan
    """What the seconds are a share of."""

    def as_table(self) -> dict[str, Any]:
        """All figures as plain values; of each backend its likeliest level."""
        backends: dict[str, Any] = {}
        for name in dict.fromkeys(cost.backend for cost in self.costs):
            own = [cost for cost in self.costs if cost.backend == name]
            levels = [self._row(cost) for cost in own]
            best = max(levels, key=lambda row: row["success_probability"])
            backends[name] = best | {"levels": levels}
        return {
            "model": self.model,
            "dataset": self.dataset,
            "transpiled_for": self.transpiled_for,
            "formula": FORMULA,
            "n_test": self.workload.n_images,
            "shots": self.workload.shots,
            "interval": self.workload.half_width,
            "circuits_per_image": self.workload.circuits_per_image,
            "settings": self.workload.settings,
            "circuits": self.workload.circuits,
            "plan": dataclasses.asdict(self.plan),
            "backends": backends,
        }

    def _row(self, cost: CircuitCost) -> dict[str, Any]:
        seconds = self.workload.seconds(cost)
        return dataclasses.asdict(cost) | {
            "seconds_qpu": seconds,
            "seconds_qpu_per_image": seconds / self.workload.n_images,
            "jobs": self.workload.jobs(cost),
            "share_of_plan": seconds / (60 * self.plan.minutes),
            "price": seconds / 60 * self.plan.price,
            "warnings": cost.warnings,
        }


def budget_of(
    run: Run,
    backends: Sequence[str],
    *,
    levels: Sequence[int] = (2,),
    shots: int = 1024,
    n_images: int | None = None,
    plan: Plan | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Budget:
    """Transpiles a run's circuit for backends, and counts what its test set costs.

    The circuit keeps its angles free, as one parameterised job does. Where Qiskit has
    no symbols for it, for amplitudes and for matrices, the angles are those of the
    first test image.

    Args:
        run: A finished run whose model has a circuit.
        backends: Names, as `get_backend` takes them.
        levels: Of Qiskit's transpiler, 0 to 3.
        shots: Measurements of each circuit.
        n_images: Images to run; the test images of the run where left out.
        plan: What the seconds are a share of.
        progress: Called with a sentence before each transpilation.

    Raises:
        InputError: For a run without a circuit, unknown backends or too small ones, and
            all that `circuit_cost` refuses.

    Example:
        >>> from qfm_jax.runs.directory import read_run
        >>> run = read_run("runs/hybrid")  # doctest: +SKIP
        >>> budget = budget_of(run, ["fake_torino"])  # doctest: +SKIP
    """
    if not backends:
        cure = "For example fake_sherbrooke and fake_torino."
        raise input_error("backend", "name at least one", "is missing", cure)
    names = list(dict.fromkeys(map(canonical_name, backends)))
    for level in levels:
        check_level(level)
    circuit = _circuit_of(run)
    workload = Workload(
        n_images=run.result.scores.n_test if n_images is None else n_images,
        shots=shots,
        circuits_per_image=circuits_per_image(
            run.config.network, run.result.image_shape
        ),
        settings=count_settings(circuit),
    )
    found = [get_backend(name, n_qubits=circuit.n_qubits) for name in names]
    exported, whose = _exported(run, circuit)
    costs = []
    for backend in found:
        for level in dict.fromkeys(levels):
            progress(f"Transpiling for {backend.name} at level {level} ...")
            costs.append(circuit_cost(exported, backend, optimization_level=level))
    result = run.result
    return Budget(
        result.model, result.dataset, whose, tuple(costs), workload, plan or Plan()
    )


def _circuit_of(run: Run) -> VariationalCircuit:
    network = run.config.network
    if network.block not in CIRCUIT_BLOCKS:
        must = "name a run whose model has a circuit"
        was = f"{run.directory} holds {run.result.model!r}, which has none"
        raise input_error("RUN", must, was)
    circuit = circuit_of(network)
    return Separable(circuit) if network.block == "separable" else circuit


def _exported(run: Run, circuit: VariationalCircuit) -> tuple[QuantumCircuit, str]:
    """The circuit with free angles where it can be, and which image else."""
    try:
        return to_qiskit(circuit), "any image"
    except InputError:
        # Amplitudes and matrices are numbers in Qiskit: those of an image stand in.
        model = load_model(run)
    features = model.features(
        to_unit(jnp.asarray(load_data(run, test_size=1).test.pixels))
    )
    sample = np.asarray(features).reshape(-1, circuit.n_features)[0]
    weights = jax.tree.leaves(nnx.state(model.block))[0].reshape(circuit.weights_shape)
    return to_qiskit(circuit, inputs=sample, weights=weights), "the first test image"
