"""One parameterised circuit at many angles -> expectations, in one job of a backend."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator

from .measurement import Counts, columns, counts_of, measurement_of, sums_of
from .mitigation import Mitigation, extrapolate, fold
from .readout import (
    ReadoutErrors,
    corrected_operator,
    read_out_operator,
    readout_errors_of,
)

Run = Callable[[np.ndarray], np.ndarray]
"""From angles (n_circuits, n_angles) to expectations (n_circuits, n_observables)."""

UNMITIGATED = Mitigation()

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
    *,
    mitigation: Mitigation = UNMITIGATED,
) -> Run:
    """Makes the function that computes expectations without shots, on Aer.

    With a noise model they are those of the density matrix, read out with the model's
    errors: the mean of what `sampled_run` gives.

    Args:
        circuit: Parameterised, without measurements; transpiled here, once.
        parameters: The circuit's parameters, in the order of the angles.
        observables: What is measured, on the circuit's own qubits.
        backend: An AerSimulator.
        mitigation: What is done against the backend's errors.

    Example:
        >>> built, angle = QuantumCircuit(1), Parameter("angle")
        >>> _ = built.ry(angle, 0)
        >>> run = exact_run(built, [angle], [SparsePauliOp("Z")], simulator())
        >>> run(np.array([[0.0], [np.pi]])).round(6)
        array([[ 1.],
               [-1.]])
    """
    total = sums_of(observables)
    options = {}
    if getattr(backend.options, "noise_model", None) is None:
        words, built = [total.words], transpiled([circuit], backend)
        places = [_places(one, circuit.num_qubits) for one in built]
        operators = [[SparsePauliOp(word) for word in total.words]]
    else:
        # The circuits that shots would measure: the transpiler chooses qubits by the
        # errors of their read-out, and on a device their last rotations have noise too.
        options["method"] = "density_matrix"
        measurement = measurement_of(circuit, observables)
        words, built = measurement.words, transpiled(measurement.circuits, backend)
        places = [_places(one, circuit.num_qubits) for one in built]
        errors = _errors_of(places, backend)
        operators = [
            [_read_out(word, own, mitigation) for word in group]
            for group, own in zip(words, errors, strict=True)
        ]
    scaled = []
    for scale in mitigation.scales:
        folded = [_unmeasured(fold(one, scale)) for one in built]
        parts = zip(folded, places, words, operators, strict=True)
        scaled.append([_saving(*part) for part in parts])

    def values(circuits: list[QuantumCircuit], angles: np.ndarray) -> np.ndarray:
        binds = [_binds(one, parameters, angles)[0] for one in circuits]
        result = backend.run(circuits, parameter_binds=binds, **options).result()
        n_results = len(angles) if parameters else 1
        _check(result, n_results * len(circuits))
        found: dict[str, list[float]] = {}
        for k, group in enumerate(words):
            data = [result.data(k * n_results + i) for i in range(n_results)]
            found |= {word: [one[word] for one in data] for word in group}
        table = np.reshape([found[word] for word in total.words], (-1, n_results)).T
        return np.broadcast_to(total.of(table), (len(angles), len(observables)))

    def run(angles: np.ndarray) -> np.ndarray:
        return _extrapolated(mitigation, [values(one, angles) for one in scaled])

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
    mitigation: Mitigation = UNMITIGATED,
) -> Run:
    """Makes the function that estimates expectations from shots.

    Words that can be measured together are, in one circuit; all circuits are one job,
    and one more for each further scale of the noise.

    Args:
        circuit: Parameterised, without measurements; transpiled here, once.
        parameters: The circuit's parameters, in the order of the angles.
        observables: What is measured, on the circuit's own qubits.
        shots: Measurements of each circuit.
        backend: What the circuit is transpiled for; an AerSimulator also runs it.
        sampler: A SamplerV2 that runs it; needed unless the backend is an AerSimulator.
        seed: Seed of Aer's outcomes, the same for each call.
        mitigation: What is done against the backend's errors.

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
    errors = None
    if mitigation.readout:
        places = [_places(one, circuit.num_qubits) for one in built]
        errors = _errors_of(places, backend)
    scaled = {s: [fold(one, s) for one in built] for s in mitigation.scales}

    def counts(
        scale: int, angles: np.ndarray, n_results: int
    ) -> Iterator[list[Counts]]:
        """For each basis the outcomes of each circuit."""
        circuits = scaled[scale]
        if sampler is not None:
            pubs = [(one, columns(one, parameters, angles)) for one in circuits]
            for result in sampler.run(pubs, shots=shots).result():
                yield counts_of(result, len(angles))
            return
        binds = [_binds(one, parameters, angles)[0] for one in circuits]
        job = backend.run(
            circuits,
            parameter_binds=binds,
            shots=shots,
            seed_simulator=_seed_of(seed, scale),
        )
        result = job.result()
        _check(result, n_results * len(circuits))
        for first in range(0, len(result.results), n_results):
            found = [result.data(first + i)["counts"] for i in range(n_results)]
            yield [{int(key, 16): n for key, n in one.items()} for one in found]

    def values(scale: int, angles: np.ndarray) -> np.ndarray:
        n_results = len(angles) if parameters else 1
        outcomes = counts(scale, angles, n_results)
        found = measurement.expectations(outcomes, n_results, errors)
        return np.broadcast_to(found, (len(angles), len(observables)))

    def run(angles: np.ndarray) -> np.ndarray:
        return _extrapolated(mitigation, [values(scale, angles) for scale in scaled])

    return _in_parts(run)


def _places(circuit: QuantumCircuit, n_qubits: int) -> list[int]:
    """Where the qubits of a circuit lie at its end, after transpilation."""
    layout = circuit.layout
    return layout.final_index_layout() if layout else list(range(n_qubits))


def _errors_of(places: Sequence[Sequence[int]], backend: Any) -> list[ReadoutErrors]:
    """The read-out errors at these places of a backend."""
    every = readout_errors_of(backend)
    return [[every[place] for place in own] for own in places]


def _read_out(
    word: str, errors: ReadoutErrors, mitigation: Mitigation
) -> SparsePauliOp:
    """What the read-out makes of a word that is measured in its basis."""
    operator = SparsePauliOp("".join("I" if x == "I" else "Z" for x in word))
    if mitigation.readout:
        operator = corrected_operator(operator, errors)
    return read_out_operator(operator, errors)


def _unmeasured(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit without measurements, but turned as for them."""
    turned = circuit.copy_empty_like()
    for one in circuit.data:
        if one.operation.name != "measure":
            turned.append(one)
    return turned


def _saving(
    circuit: QuantumCircuit,
    places: Sequence[int],
    words: Sequence[str],
    operators: Sequence[SparsePauliOp],
) -> QuantumCircuit:
    """The circuit, and the order to Aer to compute each operator's expectation."""
    # On some of the active qubits Aer 0.17.2 gives wrong values where it has left out
    # idle ones before them; on all of them it is right.
    active = {circuit.find_bit(q).index for one in circuit.data for q in one.qubits}
    found = sorted(active | set(places))
    order = [found.index(place) for place in places]
    saving = circuit.copy()
    for word, operator in zip(words, operators, strict=True):
        placed = operator.apply_layout(order, len(found))
        saving.save_expectation_value(placed, found, label=word)
    return saving


def _seed_of(seed: int | None, scale: int) -> int | None:
    """Outcomes of several scales are independent; those of scale 1 have the seed."""
    if seed is None or scale == 1:
        return seed
    return int(np.random.SeedSequence([seed, scale]).generate_state(1)[0]) // 2


def _extrapolated(mitigation: Mitigation, values: list[np.ndarray]) -> np.ndarray:
    """The values at no noise from those at each scale."""
    return values[0] if len(values) == 1 else extrapolate(mitigation.scales, values)


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
