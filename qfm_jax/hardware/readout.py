"""Read-out errors of expectation values: what they do, and how to undo it.

Of bits that are flipped independently, the measured Z is linear in the true one:
s Z + o with s = 1 - P(1|0) - P(0|1) and o = P(0|1) - P(1|0); so is X or Y, measured
after a rotation. An operator can therefore carry the errors, or their correction, and
its exact or sampled expectation has them.
"""

from collections.abc import Sequence
from typing import Any

from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from .._checks import check_range, input_error
from .noise import Noise, noise_model

ReadoutErrors = Sequence[tuple[float, float]]
"""For each qubit the probabilities (P(1|0), P(0|1)) of a wrong bit."""


def readout_errors(noise: Noise | str | NoiseModel, n_qubits: int) -> ReadoutErrors:
    """The read-out errors of a noise, for each of its qubits.

    Args:
        noise: A noise, its name, or Aer's model of it.
        n_qubits: Qubits of the circuit; of the backend, for a backend's noise.

    Example:
        >>> readout_errors("readout:0.02", n_qubits=2)
        [(0.02, 0.02), (0.02, 0.02)]
    """
    model = noise if isinstance(noise, NoiseModel) else noise_model(noise)
    every, own = (0.0, 0.0), {}
    for error in model.to_dict()["errors"]:
        if error["type"] == "roerror":
            table = error["probabilities"]  # by true bit, then by measured bit
            found = float(table[0][1]), float(table[1][0])
            if "gate_qubits" not in error:
                every = found
            for (qubit,) in error.get("gate_qubits", ()):
                own[qubit] = found
    return [own.get(qubit, every) for qubit in range(n_qubits)]


def readout_errors_of(backend: Any) -> ReadoutErrors:
    """The read-out errors that a backend has, or states, for each of its qubits.

    Args:
        backend: An AerSimulator, by its noise model; or another backend of Qiskit, by
            its calibration.

    Example:
        >>> from .simulators import simulator_of
        >>> readout_errors_of(simulator_of(noise="readout:0.02"))[:2]
        [(0.02, 0.02), (0.02, 0.02)]
    """
    if isinstance(backend, AerSimulator):
        model = backend.options.noise_model
        return readout_errors(model or NoiseModel(), backend.num_qubits)
    return readout_errors(NoiseModel.from_backend(backend), backend.num_qubits)


def read_out_operator(operator: SparsePauliOp, errors: ReadoutErrors) -> SparsePauliOp:
    """The operator whose exact expectation is what faulty read-out gives for this one.

    Qiskit Aer's estimator computes expectations without measuring, hence without the
    read-out errors of its noise model; this puts them in.

    Args:
        operator: On the qubits of the circuit that runs; of a transpiled one, after
            `operator.apply_layout(...)`.
        errors: For each of these qubits.

    Raises:
        InputError: For fewer errors than qubits, or one outside [0, 1].

    Example:
        >>> z = SparsePauliOp("IZ")
        >>> read_out_operator(z, [(0.125, 0.25), (0.5, 0.5)]).to_list()
        [('IZ', (0.625+0j)), ('II', (0.125+0j))]
    """
    return _mapped(
        operator, [(_scale(*e), e[1] - e[0]) for e in _checked(operator, errors)]
    )


def corrected_operator(operator: SparsePauliOp, errors: ReadoutErrors) -> SparsePauliOp:
    """The operator whose faulty read-out gives the true expectation of this one.

    The inverse of `read_out_operator`: for tensor products of bit flips, the correction
    that calibration matrices make, without matrices. The price is scatter: a word on w
    qubits has (1 / s)^w times the standard error.

    Source: Bravyi et al., "Mitigating measurement errors in multiqubit experiments",
    arXiv 2006.14044, section on tensor product noise.

    Args:
        operator: As for `read_out_operator`.
        errors: Measured or stated, for each of its qubits.

    Raises:
        InputError: As `read_out_operator` does, and for bits that say nothing.

    Example:
        >>> errors = [(0.02, 0.06)]
        >>> corrected = corrected_operator(SparsePauliOp("Z"), errors)
        >>> read_out_operator(corrected, errors).equiv(SparsePauliOp("Z"))
        True
    """
    return _mapped(operator, corrections(_checked(operator, errors)))


def corrections(errors: ReadoutErrors) -> list[tuple[float, float]]:
    """What undoes the errors of each qubit: (a, b) that put a Z + b in the place of Z.

    Raises:
        InputError: For bits that say nothing.

    Example:
        >>> corrections([(0.125, 0.375)])
        [(2.0, -0.5)]
    """
    maps = []
    for wrong0, wrong1 in errors:
        scale = _scale(wrong0, wrong1)
        if abs(scale) < 1e-3:
            must = "leave some information in each bit: P(1|0) + P(0|1) below 1"
            was = f"has a qubit with {wrong0:g} and {wrong1:g}"
            raise input_error("errors", must, was)
        maps.append((1 / scale, (wrong0 - wrong1) / scale))
    return maps


def _scale(wrong0: float, wrong1: float) -> float:
    return 1 - wrong0 - wrong1


def _checked(operator: SparsePauliOp, errors: ReadoutErrors) -> ReadoutErrors:
    if len(errors) < operator.num_qubits:
        must = f"hold a pair for each of the {operator.num_qubits} qubits"
        raise input_error("errors", must, f"holds {len(errors)}")
    for wrong0, wrong1 in errors:
        check_range("errors", wrong0, 0, 1)
        check_range("errors", wrong1, 0, 1)
    return errors


def _mapped(
    operator: SparsePauliOp, maps: Sequence[tuple[float, float]]
) -> SparsePauliOp:
    """Replaces the letter P on qubit q by scale P + offset."""
    terms: list[tuple[str, list[int], complex]] = []
    for letters, qubits, coefficient in operator.to_sparse_list():
        parts: list[tuple[str, list[int], complex]] = [("", [], coefficient)]
        for letter, qubit in zip(letters, qubits, strict=True):
            scale, offset = maps[qubit]
            kept = [(w + letter, [*q, qubit], c * scale) for w, q, c in parts]
            parts = kept + [(w, q, c * offset) for w, q, c in parts if offset]
        terms += parts
    return SparsePauliOp.from_sparse_list(terms, operator.num_qubits).simplify()
