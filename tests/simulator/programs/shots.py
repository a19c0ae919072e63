"""Programs whose results are samples, and what their samples say on average."""

import numpy as np
import pennylane as qml

SHOTS = 20_000


def _mean_of_samples(samples):
    return np.mean(np.asarray(samples), axis=0)


def _frequencies(counts):
    return np.array([counts.get(f"{i:02b}", 0) for i in range(4)]) / SHOTS


SAMPLED = {
    "SampleMP": (
        lambda: qml.sample(wires=[2, 0]),
        _mean_of_samples,
        lambda: [qml.expval(0.5 - 0.5 * qml.Z(w)) for w in (2, 0)],
    ),
    "SampleMP: of an observable": (
        lambda: qml.sample(qml.X(0) @ qml.Y(2)),
        _mean_of_samples,
        lambda: [qml.expval(qml.X(0) @ qml.Y(2))],
    ),
    "CountsMP": (
        lambda: qml.counts(wires=[2, 0]),
        _frequencies,
        lambda: [qml.probs(wires=[2, 0])],
    ),
    "ExpectationMP": (
        lambda: qml.expval(qml.X(0) @ qml.Y(2)),
        np.asarray,
        lambda: [qml.expval(qml.X(0) @ qml.Y(2))],
    ),
    "ExpectationMP: of a sum": (
        lambda: qml.expval(0.6 * qml.X(0) - 0.8 * qml.Z(2) @ qml.Y(1)),
        np.asarray,
        lambda: [qml.expval(0.6 * qml.X(0) - 0.8 * qml.Z(2) @ qml.Y(1))],
    ),
    "VarianceMP": (
        lambda: qml.var(qml.Z(1)),
        np.asarray,
        lambda: [qml.var(qml.Z(1))],
    ),
    "ProbabilityMP": (
        lambda: qml.probs(wires=[1, 2]),
        np.asarray,
        lambda: [qml.probs(wires=[1, 2])],
    ),
    "ClassicalShadowMP": (
        lambda: qml.classical_shadow(wires=[0, 2], seed=7),
        lambda shadow: qml.ClassicalShadow(*map(np.asarray, shadow)).expval(
            qml.X(0) @ qml.Z(1)
        ),
        lambda: [qml.expval(qml.X(0) @ qml.Z(2))],
    ),
    "ShadowExpvalMP": (
        lambda: qml.shadow_expval(qml.X(0) @ qml.Z(2), seed=7),
        np.asarray,
        lambda: [qml.expval(qml.X(0) @ qml.Z(2))],
    ),
}
"""What is measured, how its result becomes a mean, and the exact mean."""
