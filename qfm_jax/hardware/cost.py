"""What a circuit costs on a quantum computer: gates, depth, errors, seconds."""

import dataclasses
import math
from collections.abc import Sequence

from qiskit import QuantumCircuit, transpile
from qiskit.circuit import CircuitInstruction
from qiskit.exceptions import QiskitError
from qiskit.providers import BackendV2
from qiskit.quantum_info import SparsePauliOp
from scipy.stats import norm

from .._checks import check_at_least, check_one_of, check_range, input_error
from ..circuits import VariationalCircuit
from ..circuits.qiskit_export import observables_of

REPETITION_SECONDS = 250e-6
"""Wait between two shots, in which qubits relax to their ground state: the default
`rep_delay` of IBM's devices, 2026-11."""
EXECUTIONS_PER_JOB = 10_000_000
"""Most circuits x shots in one job of IBM's Sampler; "Job limits" in IBM's guides,
2026-11."""
SECONDS_PER_JOB = 3 * 3600
"""Longest time of one job; "Maximum execution time" in IBM's guides, 2026-11."""
CONFIDENCE = 0.95
"""Confidence of the interval of an expectation value."""

FORMULA = (
    "seconds = circuits x shots x (duration of the circuit + "
    f"{REPETITION_SECONDS * 1e6:.0f} us)"
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a plan gives and takes: defaults to edit, which IBM changes at will."""

    minutes: float = 10.0
    """Minutes of QPU in a period; those of IBM's open plan."""
    days: int = 28
    """Length of the period."""
    price: float = 96.0
    """Price of a minute in US dollars where one pays as one goes."""
    as_of: str = "2026-11-22"
    """Day on which minutes were looked up; the price is older, of 2025."""

    def __post_init__(self) -> None:
        check_range("minutes", self.minutes, 0)
        if self.minutes == 0:
            raise input_error("minutes", "be above 0", "is 0")
        check_at_least("days", self.days, 1)
        check_range("price", self.price, 0)


@dataclasses.dataclass(frozen=True)
class CircuitCost:
    """One circuit as a backend runs it."""

    backend: str
    """Name of the backend."""
    optimization_level: int
    """Level of Qiskit's transpiler, 0 to 3."""
    n_qubits: int
    """Qubits that the transpiled circuit uses."""
    n_qubits_backend: int
    """Qubits that the backend has."""
    depth: int
    """Gates in a row, after transpilation, without the measurement."""
    two_qubit_gates: int
    """Gates on two qubits, after transpilation."""
    gates: dict[str, int]
    """How often each gate occurs, by Qiskit's name."""
    layout: tuple[int, ...]
    """Where wire 0, 1, ... start on the backend."""
    success_probability: float
    """Estimated chance that nothing errs: the product of (1 - error) over all gates and
    read-outs."""
    duration: float
    """Seconds of one shot, with its measurement."""
    t1: float | None = None
    """Shortest T1 of the qubits that are used, in seconds; None where not stated."""
    t2: float | None = None
    """Shortest T2 of them, in seconds."""

    broken_gates: tuple[str, ...] = ()
    """Gates of the circuit that the backend states as broken, with error 1."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence for each thing that speaks against running the circuit so."""
        return tuple(filter(None, (self._about_gates(), self._about_time())))

    def _about_gates(self) -> str | None:
        if not self.broken_gates:
            return None
        return (
            f"On {self.backend} (level {self.optimization_level}) the circuit uses "
            f"{', '.join(self.broken_gates)}, which the backend states as broken: the "
            "success probability is 0. Take a higher level, which looks for better "
            "qubits."
        )

    def _about_time(self) -> str | None:
        times = {"T1": self.t1, "T2": self.t2}
        short = {k: t for k, t in times.items() if t is not None and t < self.duration}
        if not short:
            return None
        figures = " and ".join(f"{k} = {t * 1e6:.3g} us" for k, t in short.items())
        left = math.exp(-self.duration / min(short.values()))
        return (
            f"On {self.backend} (level {self.optimization_level}) the circuit takes "
            f"{self.duration * 1e6:.3g} us, its worst qubit has {figures}: exp(-t/T) = "
            f"{left:.2g} of its state is left at the end. Take fewer layers or qubits."
        )


@dataclasses.dataclass(frozen=True)
class Workload:
    """How much is to be run: images, circuits for each of them, and shots."""

    n_images: int
    """Images."""
    shots: int
    """Measurements of each circuit."""
    circuits_per_image: int = 1
    """Runs of the model's circuit for one image, each with angles of its own."""
    settings: int = 1
    """Bases that each of them is measured in: groups of observables that commute."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_at_least(field.name, getattr(self, field.name), 1)

    @property
    def circuits(self) -> int:
        """Circuits in all."""
        return self.n_images * self.circuits_per_image * self.settings

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval of an expectation value near 0, its worst case."""
        return norm.ppf(0.5 + CONFIDENCE / 2) / math.sqrt(self.shots)

    def seconds(self, cost: CircuitCost) -> float:
        """Seconds of QPU: circuits x shots x (duration + 250 us).

        Example:
            >>> cost = CircuitCost("x", 1, 2, 5, 9, 3, {}, (0, 1), 0.9, 5e-6)
            >>> round(Workload(n_images=1000, shots=1024).seconds(cost))
            261
        """
        return self.circuits * self.shots * (cost.duration + REPETITION_SECONDS)

    def jobs(self, cost: CircuitCost) -> int:
        """Jobs at least, by IBM's limits on executions and on time."""
        by_executions = self.circuits * self.shots / EXECUTIONS_PER_JOB
        return math.ceil(max(by_executions, self.seconds(cost) / SECONDS_PER_JOB))


def shots_for(half_width: float) -> int:
    """Shots that give an expectation value a 95 % interval of this half-width.

    An expectation of a word of Pauli operators is a mean of values -1 and 1 of variance
    at most 1, so shots = (1.96 / half_width)^2.

    Args:
        half_width: In (0, 1].

    Raises:
        InputError: For a half-width out of range.

    Example:
        >>> shots_for(0.05)
        1537
    """
    check_range("interval", half_width, 0, 1)
    if half_width == 0:
        cure = "No number of shots is enough for 0."
        raise input_error("interval", "be above 0", "is 0", cure)
    return math.ceil((norm.ppf(0.5 + CONFIDENCE / 2) / half_width) ** 2)


def count_settings(circuit: VariationalCircuit) -> int:
    """Counts the bases in which the expectations of a circuit must be measured.

    Words that agree on each qubit where both have a letter are measured at once; the
    groups are found greedily.

    Example:
        >>> from qfm_jax.circuits import build_circuit
        >>> count_settings(build_circuit("angle", "real-amplitudes", 4, 1))
        1
    """
    operators = SparsePauliOp.sum(observables_of(circuit))
    return len(operators.group_commuting(qubit_wise=True))


def circuit_cost(
    circuit: QuantumCircuit, backend: BackendV2, *, optimization_level: int = 2
) -> CircuitCost:
    """Transpiles a circuit for a backend, and says what it costs there.

    All qubits are measured at the end. The transpiler is seeded; but at levels 2 and 3
    it looks for the best qubits for a limited time, so that figures of the same call
    may differ a little.

    Args:
        circuit: From `to_qiskit`, without measurements; parameters may be free.
        backend: From `get_backend`, with the times of its gates.
        optimization_level: Of the transpiler, 0 (none) to 3 (slowest).

    Raises:
        InputError: For a simulator, which states no times, and for an unknown level.

    Example:
        >>> from qfm_jax.hardware.backends import get_backend
        >>> bell = QuantumCircuit(2)
        >>> _ = bell.h(0), bell.cx(0, 1)
        >>> cost = circuit_cost(bell, get_backend("fake_manila"))
        >>> cost.two_qubit_gates, 0.9 < cost.success_probability < 1
        (1, True)
    """
    check_level(optimization_level)
    measured = circuit.copy()
    measured.measure_all()
    run = transpile(
        measured, backend, optimization_level=optimization_level, seed_transpiler=0
    )
    try:
        duration = run.estimate_duration(backend.target)
    except QiskitError:
        must = "state the times of its gates, as IBM's backends and their fakes do"
        cure = "A simulator costs no seconds of a QPU."
        raise input_error("backend", must, f"is {backend.name!r}", cure) from None
    counts = {name: n for name, n in run.count_ops().items() if name not in NO_GATES}
    errors = _errors(run, backend)
    used = sorted({run.find_bit(qubit).index for item in run for qubit in item.qubits})
    return CircuitCost(
        backend=backend.name,
        optimization_level=optimization_level,
        n_qubits=len(used),
        n_qubits_backend=backend.num_qubits,
        depth=run.depth(_is_gate),
        two_qubit_gates=sum(_is_gate(item) and len(item.qubits) == 2 for item in run),
        gates=dict(sorted(counts.items())),
        layout=tuple(run.layout.initial_index_layout(filter_ancillas=True)),
        success_probability=math.prod(1 - e for each in errors.values() for e in each),
        duration=float(duration),
        t1=_shortest(backend, used, "t1"),
        t2=_shortest(backend, used, "t2"),
        broken_gates=tuple(key for key, each in errors.items() if max(each) >= 1),
    )


def check_level(level: int) -> None:
    """Raises unless Qiskit's transpiler has this level."""
    check_one_of("optimization_level", str(level), ("0", "1", "2", "3"))


NO_GATES = ("barrier", "measure")
"""Instructions that depth and counts leave out."""


def _is_gate(item: CircuitInstruction) -> bool:
    return item.operation.name not in NO_GATES


def _errors(run: QuantumCircuit, backend: BackendV2) -> dict[str, list[float]]:
    """The errors of all instructions, by gate and qubits; 0 where none is stated."""
    errors: dict[str, list[float]] = {}
    for item in run:
        name = item.operation.name
        if name != "barrier":
            wires = tuple(run.find_bit(qubit).index for qubit in item.qubits)
            stated = getattr(backend.target[name].get(wires), "error", None)
            errors.setdefault(f"{name} on {wires}", []).append(stated or 0.0)
    return errors


def _shortest(backend: BackendV2, used: Sequence[int], name: str) -> float | None:
    """The shortest T1 or T2 of the qubits that are used, in seconds."""
    properties = backend.target.qubit_properties or [None] * backend.num_qubits
    times = [getattr(properties[wire], name, None) for wire in used]
    return min((time for time in times if time is not None), default=None)
