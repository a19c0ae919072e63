"""Samples from final states."""

from typing import Any

import jax
import numpy as np
from pennylane import math
from pennylane.devices.qubit.sampling import measure_with_samples
from pennylane.measurements import ShotCopies, Shots
from pennylane.tape import QuantumScript

from .._checks import input_error


def measure(
    tape: QuantumScript,
    state: Any,
    rng: np.random.Generator,
    key: Any,
    postselect_mode: Any,
) -> Any:
    """Samples every measurement of a tape.

    Args:
        tape: on wires 0, 1, ..., with shots.
        state: shape ([batch,] 2, ..., 2); its norm is below 1 after post-selection.
        rng: draws NumPy samples, and the key of JAX ones where none is given.
        key: a JAX PRNG key, or None.
        postselect_mode: "fill-shots" keeps the number of shots, "hw-like" draws how
            many of them pass.

    Returns:
        PennyLane's nesting: of shot copies, then of measurements.
    """
    is_jax = math.get_interface(state) == "jax"
    if is_jax and key is None:
        key = jax.random.key(int(rng.integers(2**31)))
    shots = tape.shots
    batched = state.ndim > tape.num_wires
    state, shots = _normalise(state, shots, batched, rng, postselect_mode)
    results = measure_with_samples(
        tape.measurements,
        state,
        shots=shots,
        is_state_batched=batched,
        rng=rng,
        prng_key=key if is_jax else None,
    )
    if len(tape.measurements) > 1:
        return results
    if tape.shots.has_partitioned_shots:
        return tuple(result[0] for result in results)
    return results[0]


def _normalise(
    state: Any, shots: Shots, batched: bool, rng: np.random.Generator, mode: Any
) -> tuple[Any, Shots]:
    """Divides by the norm, and by hardware's rules keeps only shots that passed."""
    axes = tuple(range(int(batched), state.ndim))
    squared = (abs(state) ** 2).sum(axes, keepdims=True)
    if not math.is_abstract(state):
        if not np.all(np.asarray(squared) > 0):
            raise input_error(
                "postselect", "have a chance above 0", "never happens in this circuit"
            )
        if mode in {"hw-like", None} and not batched and squared.item() < 1 - 1e-4:
            chance = float(squared.item())
            shots = _Passed([int(rng.binomial(n, chance)) for n in shots])
    return state / squared**0.5, shots


class _Passed(Shots):
    """Shots that may be zero: PennyLane's own refuse that."""

    def __init__(self, shots: list[int]) -> None:
        self.total_shots = sum(shots)
        self.shot_vector = tuple(ShotCopies(n, 1) for n in shots)
        self._frozen = True
