"""Aer as a named backend behaves: without errors, with noise, or as a device."""

import functools
from typing import Any

from qiskit_aer import AerSimulator

from .._checks import input_error
from .backends import AER, IBM, get_backend
from .noise import Noise, noise_model, parse_noise
from .primitives import simulator

MOST_QUBITS_MIXED = 11
"""Qubits up to which noise is computed on density matrices, of 4^n entries each; Aer
chooses beyond, and states take another way through the noise with each shot."""


@functools.lru_cache(maxsize=16)  # a fake backend takes seconds to make
def simulator_of(
    backend: str = AER, noise: Noise | str = "none", *, n_qubits: int = 1
) -> AerSimulator:
    """Makes the simulator of a backend, the same one for the same arguments.

    Args:
        backend: `aer`, or a fake backend, whose gates, couplings and errors it has.
        noise: On `aer` alone.
        n_qubits: Qubits of the circuit.

    Raises:
        InputError: For an unknown backend, one of too few qubits, an IBM device, which
            is no simulator, or noise on a fake backend.

    Example:
        >>> simulator_of(noise="depolarizing:0.01").options.method
        'density_matrix'
        >>> simulator_of("fake_manila", n_qubits=3).num_qubits
        5
    """
    noise = parse_noise(noise) if isinstance(noise, str) else noise
    if backend.startswith(IBM):
        must = "be `aer` or a fake backend, which are simulated here"
        raise input_error("backend", must, f"is {backend!r}")
    if backend == AER and noise == Noise():
        return simulator()
    options: dict[str, Any] = {"max_parallel_experiments": 0}
    if n_qubits <= MOST_QUBITS_MIXED:
        options |= {"method": "density_matrix"}
    if backend == AER:
        return AerSimulator(noise_model=noise_model(noise), **options)
    if noise != Noise():
        must = f"be 'none' on {backend}, which has errors of its own"
        raise input_error("noise", must, f"is {noise.spec!r}")
    return AerSimulator.from_backend(get_backend(backend, n_qubits=n_qubits), **options)
