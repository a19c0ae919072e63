"""Noise by name: `depolarizing:0.01`, `readout:0.02`, `thermal`, or a fake backend's.

A noise is data; `noise_model` makes of it what Qiskit Aer applies, `noisy_circuit` and
`trajectories` what JAX differentiates. All follow the same formulas, behind the same
gates: see `Noise`.
"""

import dataclasses
import warnings
from typing import TYPE_CHECKING

from .._checks import check_range, input_error
from .backends import canonical_name, get_backend

if TYPE_CHECKING:
    from qiskit_aer.noise import NoiseModel, QuantumError

VIRTUAL_GATES = ("id", "p", "rz", "s", "sdg", "t", "tdg", "z")
"""Gates without noise: diagonal on one qubit, a change of frame on IBM's devices."""
ONE_QUBIT_GATES = ("h", "rx", "ry", "sx", "sxdg", "u", "x", "y")
"""Gates on one qubit that noise follows, by Qiskit's names."""
TWO_QUBIT_GATES = ("cp", "cx", "cy", "cz", "ecr", "rxx", "ryy", "rzz", "swap")
"""Gates on two qubits that noise follows, by Qiskit's names."""

ONE_QUBIT_SECONDS = 50e-9
"""Time of a gate on one qubit in `thermal`; a round number near IBM's devices."""
TWO_QUBIT_SECONDS = 300e-9
"""Time of a gate on two qubits in `thermal`."""
THERMAL_MICROSECONDS = (200.0, 120.0)
"""T1 and T2 of `thermal` without numbers."""

FORMS = (
    "`depolarizing:P`, `readout:P`, `thermal` or `thermal:T1,T2` (in microseconds), "
    "joined by `+`, or a fake backend such as `fake_sherbrooke`"
)


@dataclasses.dataclass(frozen=True)
class Noise:
    r"""What goes wrong in a circuit.

    After each gate on k = 1 or 2 qubits, other than `VIRTUAL_GATES`, with P the
    strength `depolarizing`:

    .. math:: \rho \to (1 - P) \rho + P \, \mathrm{tr}_k(\rho) \otimes I / 2^k

    then, with T1 and T2, on each of its qubits for the time t of the gate

    .. math:: \rho_{11} \to \rho_{11} e^{-t / T_1}, \quad
              \rho_{01} \to \rho_{01} e^{-t / T_2}

    Qubits that wait do not relax. Each measured bit is flipped with probability
    `readout`, so that the expectation of a Pauli word on w qubits is multiplied by
    (1 - 2 `readout`)^w; the turn of X or Y to Z before it is part of the read-out, and
    no gate here. On a fake backend or a device it is one, of the backend's own.

    Noise follows the gates that run: those of the circuit, where `ONE_QUBIT_GATES` and
    `TWO_QUBIT_GATES` have them, and others as Qiskit's transpiler writes them in these
    without optimisation (`circuits.rotations.TRANSLATIONS`). NoisyCircuit, its
    trajectories, `estimator_function` on an AerSimulator with `noise_model`, and Aer's
    own run of `transpile(to_qiskit(circuit), simulator, optimization_level=0)` then
    agree. Where the transpiler optimises, or for the couplings of a device, there are
    other gates, and other noise.

    Source: Nielsen and Chuang, *Quantum Computation and Quantum Information*, 8.3.

    Raises:
        InputError: For strengths outside [0, 1], T1 or T2 alone or not above zero, T2
            above 2 T1, an unknown backend, or a backend with anything else.

    Example:
        >>> Noise(depolarizing=0.01, readout=0.02).spec
        'depolarizing:0.01+readout:0.02'
    """

    depolarizing: float = 0.0
    """Strength P in [0, 1] of the depolarizing channel after each gate."""
    readout: float = 0.0
    """Probability in [0, 1] that a measured bit is flipped."""
    t1: float | None = None
    """Relaxation time T1 in seconds; none where left out."""
    t2: float | None = None
    """Coherence time T2 in seconds, at most 2 T1."""
    backend: str | None = None
    """A fake backend, whose own errors these are, with those of its read-out."""

    def __post_init__(self) -> None:
        check_range("depolarizing", self.depolarizing, 0, 1)
        check_range("readout", self.readout, 0, 1)
        if (self.t1 is None) != (self.t2 is None):
            must = "be given together, as `thermal:T1,T2` does"
            raise input_error("t1, t2", must, f"are {self.t1} and {self.t2}")
        if self.t1 is not None and self.t2 is not None:
            _check_times(self.t1, self.t2)
        if self.backend is not None:
            object.__setattr__(self, "backend", _fake_name(self.backend))
            if self.depolarizing or self.readout or self.t1 is not None:
                must = "name a backend alone, which has errors of every kind"
                was = f"is {self.backend!r} and more"
                raise input_error("noise", must, was)

    @property
    def spec(self) -> str:
        """The noise as `parse_noise` reads it; `none` without any."""
        parts = [self.backend] if self.backend else []
        parts += [f"depolarizing:{self.depolarizing:g}"] if self.depolarizing else []
        parts += [f"readout:{self.readout:g}"] if self.readout else []
        if self.t1 is not None and self.t2 is not None:
            parts.append(f"thermal:{self.t1 * 1e6:g},{self.t2 * 1e6:g}")
        return "+".join(parts) or "none"


def parse_noise(spec: str) -> Noise:
    """Reads a noise from its name.

    Args:
        spec: `depolarizing:P`, `readout:P`, `thermal` or `thermal:T1,T2`, joined by
            `+`; a fake backend; or `none`. P lies in [0, 1], T1 and T2 are in
            microseconds.

    Raises:
        InputError: For anything else, and all that `Noise` refuses.

    Example:
        >>> parse_noise("depolarizing:0.01+thermal:100,80")
        Noise(depolarizing=0.01, readout=0.0, t1=0.0001, t2=8e-05, backend=None)
    """
    if spec == "none":
        return Noise()
    found: dict[str, float | str] = {}
    for part in spec.split("+"):
        kind, _, value = part.strip().partition(":")
        if kind.lower().startswith("fake"):
            new: dict[str, float | str] = {"backend": part.strip()}
        elif kind in ("depolarizing", "readout"):
            new = {kind: _numbers(spec, value, 1)[0]}
        elif kind == "thermal":
            times = _numbers(spec, value, 2) if value else THERMAL_MICROSECONDS
            new = {"t1": times[0] / 1e6, "t2": times[1] / 1e6}
        else:
            raise _unreadable(spec)
        if new.keys() & found.keys():
            must = "name each kind once"
            raise input_error("noise", must, f"is {spec!r}, with {kind!r} twice")
        found |= new
    return Noise(**found)  # type: ignore[arg-type]


def noise_model(noise: Noise | str) -> "NoiseModel":
    """Makes the noise model that Qiskit Aer applies.

    Transpile to its `basis_gates`: gates outside of them, such as `unitary`, which Aer
    could run as they are, would have no noise. Read-out errors act on measurements
    alone; expectations that Aer saves without measuring (`save_expectation_value`,
    hence its EstimatorV2) are free of them: see `read_out_operator`.

    Args:
        noise: A noise, or its name.

    Example:
        >>> model = noise_model("depolarizing:0.01+readout:0.02")
        >>> {"cx", "ry"} <= set(model.noise_instructions), "rz" in model.basis_gates
        (True, True)
    """
    # JAX alone needs no Qiskit; a training machine may be without.
    from qiskit_aer.noise import NoiseModel, ReadoutError

    noise = parse_noise(noise) if isinstance(noise, str) else noise
    if noise.backend is not None:
        with warnings.catch_warnings():
            # Snapshots with T2 above 2 T1, or errors above the bound, are truncated.
            warnings.simplefilter("ignore")
            return NoiseModel.from_backend(get_backend(noise.backend))
    model = NoiseModel([*VIRTUAL_GATES, *ONE_QUBIT_GATES, *TWO_QUBIT_GATES])
    for n_qubits, gates in ((1, ONE_QUBIT_GATES), (2, TWO_QUBIT_GATES)):
        error = _gate_error(noise, n_qubits)
        if error is not None:
            model.add_all_qubit_quantum_error(error, list(gates))
    if noise.readout:
        p = noise.readout
        model.add_all_qubit_readout_error(ReadoutError([[1 - p, p], [p, 1 - p]]))
    return model


def gate_seconds(n_qubits: int) -> float:
    """Time in seconds of a gate on one or two qubits in `thermal`.

    Example:
        >>> gate_seconds(1) == ONE_QUBIT_SECONDS
        True
    """
    return ONE_QUBIT_SECONDS if n_qubits == 1 else TWO_QUBIT_SECONDS


def _gate_error(noise: Noise, n_qubits: int) -> "QuantumError | None":
    from qiskit_aer.noise import depolarizing_error, thermal_relaxation_error

    error = None
    if noise.depolarizing:
        error = depolarizing_error(noise.depolarizing, n_qubits)
    if noise.t1 is not None and noise.t2 is not None:
        one = thermal_relaxation_error(noise.t1, noise.t2, gate_seconds(n_qubits))
        thermal = one if n_qubits == 1 else one.tensor(one)
        error = thermal if error is None else error.compose(thermal)
    return error


def _numbers(spec: str, text: str, n: int) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise _unreadable(spec) from None
    if len(numbers) != n:
        raise _unreadable(spec)
    return numbers


def _unreadable(spec: str) -> Exception:
    cure = "Write for example 'depolarizing:0.01+readout:0.02'."
    return input_error("noise", f"be {FORMS}", f"is {spec!r}", cure)


def _fake_name(name: str) -> str:
    canonical = canonical_name(name)
    if not canonical.startswith("fake_"):
        raise input_error("noise", f"be {FORMS}", f"is {name!r}")
    return canonical


def _check_times(t1: float, t2: float) -> None:
    for name, time in (("t1", t1), ("t2", t2)):
        check_range(name, time, 0)
        if time == 0:
            raise input_error(name, "be above 0 seconds", "is 0")
    if t2 > 2 * t1:
        was = f"is {t2:g} s, and T1 is {t1:g} s"
        cure = "No physical process loses coherence more slowly."
        raise input_error("t2", "be at most 2 T1", was, cure)
