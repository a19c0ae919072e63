"""Mitigation by name; zero-noise extrapolation: more noise, then a fit to none."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from qiskit import QuantumCircuit, transpile

from .._checks import check_at_least, check_one_of, check_shape, input_error
from .measurement import TURN

SCALES = (1, 3, 5)
"""Odd factors by which folding multiplies the gates."""

MITIGATIONS = ("none", "readout", "zne", "readout+zne")
"""Names of `parse_mitigation`."""


@dataclasses.dataclass(frozen=True)
class Mitigation:
    """What is done to expectation values against errors of a backend."""

    readout: bool = False
    """Whether read-out errors that the backend states are undone: (1 / s)^w times the
    standard error for a word on w qubits (see `corrected_operator`)."""
    scales: tuple[int, ...] = (1,)
    """Factors of the gates; with more than one, expectations are extrapolated to 0.
    With 1, 3, 5 and as many shots for each the standard error is 2.3 times larger."""


def parse_mitigation(name: str) -> Mitigation:
    """Reads a mitigation from its name.

    Args:
        name: `readout`, correction of read-out errors; `zne`, zero-noise extrapolation
            from the scales 1, 3, 5; `readout+zne`; or `none`.

    Raises:
        InputError: For anything else, with the nearest names.

    Example:
        >>> parse_mitigation("readout+zne")
        Mitigation(readout=True, scales=(1, 3, 5))
    """
    check_one_of("mitigation", name, MITIGATIONS)
    return Mitigation("readout" in name, SCALES if "zne" in name else (1,))


def fold(circuit: QuantumCircuit, scale: int) -> QuantumCircuit:
    """Repeats a circuit and its inverse: the same unitary from `scale` times the gates.

    C goes to C (C^-1 C)^k with scale = 2 k + 1. Fold what runs, after transpilation: an
    optimising transpiler would remove the folds. Inverses of gates are written in the
    gates that the circuit itself has, without optimisation. Qubits stay where they are:
    the layout is that of `circuit`.

    Source: Giurgica-Tiron et al., "Digital zero noise extrapolation for quantum error
    mitigation", arXiv 2005.10921.

    Args:
        circuit: Transpiled; parameters may be free. Measurements at its end stay there.
        scale: Odd, at least 1.

    Returns:
        The folded circuit; the same object at scale 1.

    Raises:
        InputError: For an even scale.

    Example:
        >>> circuit = QuantumCircuit(1)
        >>> _ = circuit.rz(0.3, 0), circuit.sx(0)
        >>> dict(fold(circuit, 3).count_ops())["sx"]
        3
    """
    check_at_least("scale", scale, 1)
    if scale % 2 == 0:
        must = "be odd: a circuit, and pairs of its inverse and itself"
        raise input_error("scale", must, f"is {scale}")
    if scale == 1:
        return circuit
    gates, measurement = without_measurement(circuit)
    folded = gates.copy()
    for _ in range(scale // 2):
        # Without a barrier, runs of gates would be merged somewhere on the way.
        folded.barrier()
        folded.compose(gates.inverse(), inplace=True)
        folded.barrier()
        folded.compose(gates, inplace=True)
    basis = sorted({*gates.count_ops(), "rz"} - {"barrier"})
    folded = transpile(folded, basis_gates=basis, optimization_level=0)
    return folded.compose(measurement)


def extrapolate(
    scales: Sequence[float], values: ArrayLike, *, order: int | None = None
) -> np.ndarray:
    """Extrapolates expectation values to no noise, by a polynomial in the scale.

    Args:
        scales: Noise scales (n_scales,), such as 1, 3, 5, each once.
        values: Expectation values (n_scales, ...) at these scales.
        order: Of the polynomial, fitted by least squares; n_scales - 1 where left out,
            which goes through all points (Richardson's extrapolation). A lower one
            scatters less.

    Returns:
        Values (...) at scale 0; shot noise may carry them beyond [-1, 1].

    Raises:
        InputError: For fewer scales than the order needs, or scales that repeat.

    Example:
        >>> extrapolate([1, 3, 5], [[0.9, 0.5], [0.7, 0.3], [0.5, 0.1]]).round(6)
        array([1. , 0.6])
    """
    x, y = np.asarray(scales, float), np.asarray(values, float)
    check_shape("scales", x.shape, ("n_scales",))
    check_shape("values", y.shape[:1], (len(x),), "One entry for each scale.")
    if len(set(x)) < len(x):
        raise input_error("scales", "be different", f"are {list(scales)}")
    order = max(1, len(x) - 1) if order is None else order
    check_at_least("order", order, 1)
    if order >= len(x):
        must = f"have more than {order} entries for order {order}"
        raise input_error("scales", must, f"has {len(x)}")
    fitted = np.polynomial.polynomial.polyfit(x, y.reshape(len(x), -1), order)
    return fitted[0].reshape(y.shape[1:])


def without_measurement(
    circuit: QuantumCircuit,
) -> tuple[QuantumCircuit, QuantumCircuit]:
    """The gates of a circuit, and the read-out at its end, both on all its wires.

    Example:
        >>> circuit = QuantumCircuit(2)
        >>> circuit.measure_all()
        >>> [dict(part.count_ops()) for part in without_measurement(circuit)]
        [{'barrier': 1}, {'measure': 2}]
    """
    gates, measurement = circuit.copy_empty_like(), circuit.copy_empty_like()
    measurement.global_phase = 0
    for one in circuit.data:
        is_read_out = one.operation.name == "measure" or one.label == TURN
        (measurement if is_read_out else gates).append(one)
    return gates, measurement
