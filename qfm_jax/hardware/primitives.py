"""One parameterised circuit at many angles -> expectations, in one job of a backend."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.quantum_info import Pauli, SparsePauliOp
from qiskit_aer import AerSimulator

Run = Callable[[np.ndarray], np.ndarray]
"""From angles (n_circuits, n_angles) to expectations (n_circuits, n_observables)."""

MOST_IN_A_JOB = 5000
"""Circuits of one job; a larger batch is split, so that its results fit the memory."""


class _Sum(NamedTuple):
    """Observables as sums of Pauli words."""

    words: list[str]
    """Qiskit's labels, qubit 0 last, without the identity."""
    coefficients: np.ndarray
    """(n_observables, n_words)."""
    constants: np.ndarray
    """Coefficients of the identity, (n_observables,)."""


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
    total = _sum(observables)
    built = _transpiled([circuit], backend)[0]
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
        sums = values @ total.coefficients.T + total.constants
        return np.broadcast_to(sums, (len(angles), len(observables)))

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
    total = _sum(observables)
    groups = list(_groups(total.words))
    built = _transpiled([_measured(circuit, basis) for basis, _ in groups], backend)
    masks = {word: _support(word) for word in total.words}

    def counts(angles: np.ndarray) -> Iterator[list[dict[int, int]]]:
        """For each group the outcomes of each circuit."""
        if sampler is not None:
            pubs = [(one, _columns(one, parameters, angles)) for one in built]
            for result in sampler.run(pubs, shots=shots).result():
                bits = result.data.meas.reshape(len(angles))
                yield [bits.get_int_counts(i) for i in range(len(angles))]
            return
        binds = [_binds(one, parameters, angles)[0] for one in built]
        job = backend.run(
            built, parameter_binds=binds, shots=shots, seed_simulator=seed
        )
        result = job.result()
        n_results = len(angles) if parameters else 1
        _check(result, n_results * len(built))
        for first in range(0, len(result.results), n_results):
            found = [result.data(first + i)["counts"] for i in range(n_results)]
            yield [{int(key, 16): n for key, n in one.items()} for one in found]

    def run(angles: np.ndarray) -> np.ndarray:
        values: dict[str, np.ndarray] = {}
        for (_, words), found in zip(groups, counts(angles), strict=True):
            its_masks = np.array([masks[word] for word in words])
            parities = np.array([_parities(one, its_masks) for one in found])
            values |= dict(zip(words, parities.T, strict=True))
        shape = (len(angles), len(observables))
        if not values:
            return np.broadcast_to(total.constants, shape)
        table = np.stack([values[word] for word in total.words], axis=-1)
        return np.broadcast_to(table @ total.coefficients.T + total.constants, shape)

    return _in_parts(run)


def _in_parts(run: Run) -> Run:
    def in_parts(angles: np.ndarray) -> np.ndarray:
        starts = range(0, len(angles), MOST_IN_A_JOB)
        return np.concatenate([run(angles[i : i + MOST_IN_A_JOB]) for i in starts])

    return in_parts


def _sum(observables: Sequence[SparsePauliOp]) -> _Sum:
    terms = [
        dict(zip(o.paulis.to_labels(), o.coeffs.real, strict=True))
        for o in (observable.simplify() for observable in observables)
    ]
    words = sorted({word for term in terms for word in term if set(word) != {"I"}})
    coefficients = np.array([[term.get(word, 0.0) for word in words] for term in terms])
    identity = "I" * observables[0].num_qubits
    constants = np.array([term.get(identity, 0.0) for term in terms])
    return _Sum(words, coefficients.reshape(len(terms), len(words)), constants)


def _transpiled(circuits: list[QuantumCircuit], backend: Any) -> list[QuantumCircuit]:
    """The circuits for the backend; left as they are where all qubits are joined.

    Merged rotations would have expressions as angles, which are slow to bind. Elsewhere
    the lower levels do not look for qubits of few errors, and take broken ones too.
    """
    level = 0 if backend.coupling_map is None else 2
    return transpile(circuits, backend, optimization_level=level, seed_transpiler=0)


def _columns(
    circuit: QuantumCircuit, parameters: Sequence[Parameter], angles: np.ndarray
) -> np.ndarray:
    """The angles in the order of the circuit's own parameters."""
    places = {parameter: i for i, parameter in enumerate(parameters)}
    return angles[:, [places[parameter] for parameter in circuit.parameters]]


def _binds(
    circuit: QuantumCircuit, parameters: Sequence[Parameter], angles: np.ndarray
) -> list[dict[Parameter, np.ndarray]]:
    columns = _columns(circuit, parameters, angles)
    return [dict(zip(circuit.parameters, columns.T, strict=True))]


def _check(result: Any, n_results: int) -> None:
    """Raises unless there is a result for each circuit.

    Aer calls it a success, too, where it leaves parameters of a gate unbound.
    """
    if not result.success or len(result.results) != n_results:
        found = f"{len(result.results)} of {n_results} results"
        raise RuntimeError(f"Aer's simulation failed with {found}: {result.status}")


def _groups(words: Sequence[str]) -> Iterator[tuple[dict[int, str], list[str]]]:
    """Sets of words that ask for the same letter of each qubit, and these letters."""
    left = list(words)
    while left:
        basis: dict[int, str] = {}
        taken = []
        for word in left:
            letters = {i: x for i, x in enumerate(reversed(word)) if x != "I"}
            if all(basis.get(i, x) == x for i, x in letters.items()):
                basis |= letters
                taken.append(word)
        yield basis, taken
        left = [word for word in left if word not in taken]


def _measured(circuit: QuantumCircuit, basis: dict[int, str]) -> QuantumCircuit:
    measured = circuit.copy()
    for qubit, letter in basis.items():
        if letter == "Y":
            measured.sdg(qubit)
        if letter in "XY":
            measured.h(qubit)
    measured.measure_all()
    return measured


def _support(word: str) -> int:
    """The qubits of a word as bits, qubit 0 the least."""
    return sum(1 << i for i, letter in enumerate(reversed(word)) if letter != "I")


def _parities(counts: dict[int, int], masks: np.ndarray) -> np.ndarray:
    outcomes, weights = np.array(list(counts)), np.array(list(counts.values()))
    signs = 1 - 2.0 * (np.bitwise_count(outcomes & masks[:, None]) % 2)
    return signs @ weights / weights.sum()
