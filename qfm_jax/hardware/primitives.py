"""One parameterised circuit at many angles -> expectations, in one job of a backend."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.quantum_info import Pauli, SparsePauliOp
from qiskit_aer import AerSimulator

from .measurement import Counts, columns, counts_of, measurement_of, sums_of

Run = Callable[[np.ndarray], np.ndarray]
"""From angles (n_circuits, n_angles) to expectations (n_circuits, n_observables)."""

MOST_IN_A_JOB = 5000
"""Circuits of one job; a larger batch is split, so that its results fit the memory."""


def simulator() -> AerSimulator:
    """The simulator that runs where no backend is named.

    Example:
        >>> simulator().options.method
        'statevector'
    """
    return AerSimulator(
        method="statevector",
        runtime_parameter_bind_enable=True,  # halves the time of a circuit
        max_parallel_experiments=0,  # as many as there are cores
    )


def exact_run(
    circuit: QuantumCircuit,
    parameters: Sequence[Parameter],
    observables: Sequence[SparsePauliOp],
    backend: AerSimulator,
) -> Run:
    """Makes the function that computes expectations without shots, on Aer.

    With a noise model they are those of the density matrix.

    Args:
        circuit: Parameterised, without measurements; transpiled here, once.
        parameters: The circuit's parameters, in the order of the angles.
        observables: What is measured, on the circuit's own qubits.
        backend: An AerSimulator.

    Example:
        >>> built, angle = QuantumCircuit(1), Parameter("angle")
        >>> _ = built.ry(angle, 0)
        >>> run = exact_run(built, [angle], [SparsePauliOp("Z")], simulator())
        >>> run(np.array([[0.0], [np.pi]])).round(6)
        array([[ 1.],
               [-1.]])
    """
    total = sums_of(observables)
    built = transpiled([circuit], backend)[0]
    layout = built.layout
    places = layout.final_index_layout() if layout else range(circuit.num_qubits)
    # On some of the active qubits Aer 0.17.2 gives wrong values where it has left out
    # idle ones before them; on all of them it is right.
    active = {built.find_bit(qubit).index for one in built.data for qubit in one.qubits}
    active |= set(places)
    for word in total.words:
        letters = dict(zip(places, reversed(word), strict=True))
        pauli = Pauli(
            "".join(letters.get(i, "I") for i in sorted(active, reverse=True))
        )
        built.save_expectation_value(pauli, sorted(active), label=word)
    options = {}
    if getattr(backend.options, "noise_model", None) is not None:
        options["method"] = "density_matrix"

    def run(angles: np.ndarray) -> np.ndarray:
        binds = _binds(built, parameters, angles)
        result = backend.run(built, parameter_binds=binds, **options).result()
        n_results = len(angles) if parameters else 1
        _check(result, n_results)
        table = [[result.data(i)[w] for w in total.words] for i in range(n_results)]
        values = np.reshape(table, (n_results, len(total.words)))
        return np.broadcast_to(total.of(values), (len(angles), len(observables)))

    return _in_parts(run)


def sampled_run(
    circuit: QuantumCircuit,
    parameters: Sequence[Parameter],
    observables: Sequence[SparsePauliOp],
    shots: int,
    backend: Any,
    *,
    sampler: Any = None,
    seed: int | None = None,
) -> Run:
    """Makes the function that estimates expectations from shots.

    Words that can be measured together are, in one circuit; all circuits are one job.

    Args:
        circuit: Parameterised, without measurements; transpiled here, once.
        parameters: The circuit's parameters, in the order of the angles.
        observables: What is measured, on the circuit's own qubits.
        shots: Measurements of each circuit.
        backend: What the circuit is transpiled for; an AerSimulator also runs it.
        sampler: A SamplerV2 that runs it; needed unless the backend is an AerSimulator.
        seed: Seed of Aer's outcomes, the same for each call.

    Example:
        >>> built, angle = QuantumCircuit(1), Parameter("angle")
        >>> _ = built.ry(angle, 0)
        >>> run = sampled_run(built, [angle], [SparsePauliOp("Z")], 100, simulator())
        >>> run(np.array([[0.0], [np.pi]]))
        array([[ 1.],
               [-1.]])
    """
    measurement = measurement_of(circuit, observables)
    built = transpiled(measurement.circuits, backend)

    def counts(angles: np.ndarray, n_results: int) -> Iterator[list[Counts]]:
        """For each basis the outcomes of each circuit."""
        if sampler is not None:
            pubs = [(one, columns(one, parameters, angles)) for one in built]
            for result in sampler.run(pubs, shots=shots).result():
                yield counts_of(result, len(angles))
            return
        binds = [_binds(one, parameters, angles)[0] for one in built]
        job = backend.run(
            built, parameter_binds=binds, shots=shots, seed_simulator=seed
        )
        result = job.result()
        _check(result, n_results * len(built))
        for first in range(0, len(result.results), n_results):
            found = [result.data(first + i)["counts"] for i in range(n_results)]
            yield [{int(key, 16): n for key, n in one.items()} for one in found]

    def run(angles: np.ndarray) -> np.ndarray:
        n_results = len(angles) if parameters else 1
        found = measurement.expectations(counts(angles, n_results), n_results)
        return np.broadcast_to(found, (len(angles), len(observables)))

    return _in_parts(run)


def _in_parts(run: Run) -> Run:
    def in_parts(angles: np.ndarray) -> np.ndarray:
        starts = range(0, len(angles), MOST_IN_A_JOB)
        return np.concatenate([run(angles[i : i + MOST_IN_A_JOB]) for i in starts])

    return in_parts


def transpiled(circuits: list[QuantumCircuit], backend: Any) -> list[QuantumCircuit]:
    """The circuits for the backend; left as they are where all qubits are joined.

    Merged rotations would have expressions as angles, which are slow to bind. Elsewhere
    the lower levels do not look for qubits of few errors, and take broken ones too.
    """
    level = 0 if backend.coupling_map is None else 2
    return transpile(circuits, backend, optimization_level=level, seed_transpiler=0)


def _binds(
    circuit: QuantumCircuit, parameters: Sequence[Parameter], angles: np.ndarray
) -> list[dict[Parameter, np.ndarray]]:
    values = columns(circuit, parameters, angles)
    return [dict(zip(circuit.parameters, values.T, strict=True))]


def _check(result: Any, n_results: int) -> None:
    """Raises unless there is a result for each circuit.

    Aer calls it a success, too, where it leaves parameters of a gate unbound.
    """
    if not result.success or len(result.results) != n_results:
        found = f"{len(result.results)} of {n_results} results"
        raise RuntimeError(f"Aer's simulation failed with {found}: {result.status}")
