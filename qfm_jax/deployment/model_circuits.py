"""The circuits of a trained model as a Sampler takes them, and back from outcomes.

Each circuit is written down once, with an angle for all that changes from image to
image; a job holds it once for each basis, with the angles of many images (a PUB).
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np
from qiskit import QuantumCircuit

from .._checks import input_error
from ..circuits.qiskit_export import observables_of
from ..hardware.cost import EXECUTIONS_PER_JOB, REPETITION_SECONDS
from ..hardware.estimator import template_of
from ..hardware.measurement import columns, counts_of, measurement_of
from ..hardware.primitives import MOST_IN_A_JOB, transpiled
from ..models import QuantumLayer

Pub = tuple[QuantumCircuit, np.ndarray]
"""A circuit, and the values of its parameters (n_circuits, n_parameters)."""


class ModelCircuits:
    """The circuits of a model's block, in every basis that they are measured in.

    Args:
        layers: Trained, side by side, in the order of their features.

    Example:
        >>> from flax import nnx
        >>> from qfm_jax.models import Classifier, ModelConfig
        >>> config = ModelConfig(block="circuit", n_qubits=3, n_layers=1)
        >>> model = Classifier(config, rngs=nnx.Rngs(0))
        >>> circuits = ModelCircuits(model.circuit_layers)
        >>> circuits.n_qubits, circuits.per_image((5, 3))
        (3, 1)
    """

    def __init__(self, layers: Sequence[QuantumLayer]):
        self.n_qubits = max(layer.circuit.n_qubits for layer in layers)
        self.templates = [
            template_of(layer.circuit, np.asarray(layer.weights["weights"][...]))
            for layer in layers
        ]
        self.measurements = [
            measurement_of(template.circuit, observables_of(layer.circuit))
            for template, layer in zip(self.templates, layers, strict=True)
        ]

    def per_image(self, shape: Sequence[int]) -> int:
        """Circuits of one image, of features of this shape (n, ..., n_features)."""
        return math.prod(shape[1:-1]) * sum(len(m.circuits) for m in self.measurements)

    def transpiled(self, backend: Any) -> list[list[QuantumCircuit]]:
        """What the backend runs: for each layer a circuit for each basis."""
        return [transpiled(m.circuits, backend) for m in self.measurements]

    def pubs(
        self, features: np.ndarray, circuits: Sequence[Sequence[QuantumCircuit]]
    ) -> list[Pub]:
        """What a job of these images holds.

        Args:
            features: (n, ..., n_features).
            circuits: From `transpiled`.
        """
        found = []
        parts = zip(self.templates, circuits, self._shares(features), strict=True)
        for template, own, share in parts:
            angles = np.asarray(jax.vmap(template.angles)(share), float)
            found += [(one, columns(one, template.parameters, angles)) for one in own]
        return found

    def expectations(self, results: Iterable[Any], features: np.ndarray) -> np.ndarray:
        """What the block gives for these images, (n, ..., n_results).

        Args:
            results: One for each of `pubs`, as a SamplerV2 gives them.
            features: Those of the job.
        """
        left, found = iter(results), []
        for own, share in zip(self.measurements, self._shares(features), strict=True):
            counts = [counts_of(next(left), len(share)) for _ in own.circuits]
            values = own.expectations(counts, len(share))
            found.append(values.reshape(*features.shape[:-1], -1))
        return np.concatenate(found, axis=-1)

    def _shares(self, features: np.ndarray) -> list[np.ndarray]:
        """For each layer what its circuit takes, (n_circuits, n_features)."""
        shares = np.split(features, len(self.templates), axis=-1)
        return [share.reshape(-1, share.shape[-1]) for share in shares]


def images_per_job(circuits_per_image: int, shots: int) -> int:
    """The images of one job, by IBM's limit on executions and by the results' memory.

    Raises:
        InputError: For so many shots that the circuits of one image are too much.

    Example:
        >>> images_per_job(1, shots=1024), images_per_job(196, shots=4096)
        (5000, 12)
    """
    most = min(EXECUTIONS_PER_JOB // shots, MOST_IN_A_JOB) // circuits_per_image
    if most < 1:
        must = (
            f"fit one image into a job, of at most {EXECUTIONS_PER_JOB:,} circuits x "
        )
        must += f"shots and {MOST_IN_A_JOB:,} circuits"
        was = f"is {shots:,} for {circuits_per_image:,} circuits an image"
        raise input_error("shots", must, was, "Take fewer.")
    return most


def seconds_of(circuits: Iterable[QuantumCircuit], backend: Any, shots: int) -> float:
    """Seconds of QPU to run each of these transpiled circuits once with all shots.

    Raises:
        QiskitError: For a backend that states no times.
    """
    return sum(
        shots * (one.estimate_duration(backend.target) + REPETITION_SECONDS)
        for one in circuits
    )
