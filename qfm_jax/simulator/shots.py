"""Samples from final states."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from pennylane.devices.qubit.sampling import (
    _apply_diagonalizing_gates,
    _group_measurements,
    measure_with_samples,
)
from pennylane.measurements import (
    ClassicalShadowMP,
    CountsMP,
    ExpectationMP,
    ShadowExpvalMP,
    ShotCopies,
    Shots,
)
from pennylane.ops import Sum
from pennylane.tape import QuantumScript
from pennylane.wires import Wires

from .._checks import input_error
from .keys import generator_of

SHADOWS = (ClassicalShadowMP, ShadowExpvalMP)


def are_for_host(measurements: Sequence[Any], compiled: bool) -> bool:
    """Whether the host draws, which a compiled program then calls back.

    PennyLane draws shadows by NumPy, and counts have no fixed shape.
    """
    counts = [mp for mp in measurements if isinstance(mp, CountsMP)]
    if compiled and not all(mp.all_outcomes for mp in counts):
        return False  # not even their keys are known
    return bool(counts) or any(isinstance(mp, SHADOWS) for mp in measurements)


def measure(
    tape: QuantumScript,
    state: Any,
    batched: bool,
    rng: np.random.Generator,
    key: Any,
    postselect_mode: Any,
) -> Any:
    """Samples every measurement of a tape.

    Args:
        tape: on wires 0, 1, ..., with shots.
        state: shape ([batch,] 2, ..., 2); its norm is below 1 after post-selection.
        batched: whether its first axis is that of a batch.
        rng: draws what no key was given for.
        key: a JAX PRNG key, or None.
        postselect_mode: "fill-shots" keeps the number of shots, "hw-like" draws how
            many of them pass.

    Returns:
        PennyLane's nesting: of shot copies, then of measurements.
    """
    if key is not None:
        if isinstance(key, jax.core.Tracer):
            state = jnp.asarray(state)
        else:
            rng = generator_of(key)
    if any(isinstance(value, jax.core.Tracer) for value in (key, state)):
        _check_traceable(tape.measurements)
    in_jax = isinstance(state, jax.Array)
    if in_jax and key is None:
        key = jax.random.key(int(rng.integers(2**31)))
    shots = tape.shots
    state, shots, possible = _normalise(state, shots, batched, rng, postselect_mode)
    if in_jax:
        found = _measure(list(tape.measurements), state, shots, batched, key, rng)
        results: Any = tuple(
            tuple(_or_invalid(result, possible) for result in copies)
            for copies in zip(*found, strict=True)
        )
        if not shots.has_partitioned_shots:
            (results,) = results
    else:
        results = measure_with_samples(
            tape.measurements, state, shots=shots, is_state_batched=batched, rng=rng
        )
    if len(tape.measurements) > 1:
        return results
    if tape.shots.has_partitioned_shots:
        return tuple(result[0] for result in results)
    return results[0]


def _check_traceable(measurements: Sequence[Any]) -> None:
    for process in measurements:
        if isinstance(process, (CountsMP, *SHADOWS)):
            raise input_error(
                "measurement",
                "be an array that JAX can draw, under `jit` and `vmap`",
                f"is {type(process).__name__}",
                "Sample; or compile counts(all_outcomes=True) or a shadow of traced "
                "parameters without a key: the host draws them.",
            )


def _normalise(
    state: Any, shots: Shots, batched: bool, rng: np.random.Generator, mode: Any
) -> tuple[Any, Shots, Any]:
    """Divides by the norm, and by hardware's rules keeps only shots that passed.

    Returns:
        the state, the shots, and where JAX traces, whether the norm is above 0.
    """
    axes = tuple(range(int(batched), state.ndim))
    squared = (abs(state) ** 2).sum(axes, keepdims=True)
    if isinstance(squared, jax.core.Tracer):
        return (
            state / squared**0.5,
            shots,
            squared.reshape(len(state) if batched else ()) > 0,
        )
    if not np.all(np.asarray(squared) > 0):
        raise input_error(
            "postselect", "have a chance above 0", "never happens in this circuit"
        )
    if mode in {"hw-like", None} and not batched and squared.item() < 1 - 1e-4:
        chance = float(squared.item())
        shots = _Passed([int(rng.binomial(n, chance)) for n in shots])
    return state / squared**0.5, shots, None


class _Passed(Shots):
    """Shots that may be zero: PennyLane's own refuse that."""

    def __init__(self, shots: list[int]) -> None:
        self.total_shots = sum(shots)
        self.shot_vector = tuple(ShotCopies(n, 1) for n in shots)
        self._frozen = True


def _or_invalid(result: Any, possible: Any) -> Any:
    """NaN, and PennyLane's mark for whole numbers, where no shot passes."""
    if possible is None:
        return result
    shape = (*possible.shape, *(1,) * (result.ndim - possible.ndim))
    whole = np.issubdtype(result.dtype, np.integer)
    return jnp.where(
        possible.reshape(shape), result, np.iinfo(np.int32).min if whole else np.nan
    )


# -- in JAX ----------------------------------------------------------------------------


def _measure(
    measurements: list[Any],
    state: Any,
    shots: Shots,
    batched: bool,
    key: Any,
    rng: np.random.Generator,
) -> list[list[Any]]:
    """For each measurement a result for each copy of the shots.

    What can be measured together is; all others have samples, and keys, of their own.
    """
    groups, places = _group_measurements(measurements)
    found: list[Any] = [None] * len(measurements)
    for group, at, own in zip(
        groups, places, jax.random.split(key, len(groups)), strict=True
    ):
        first = group[0]
        if isinstance(first, ExpectationMP) and isinstance(first.obs, Sum):
            coefficients, words = first.obs.terms()
            terms = _measure(
                [ExpectationMP(word) for word in words], state, shots, batched, own, rng
            )
            results = [
                [
                    sum(c * value for c, value in zip(coefficients, copy, strict=True))
                    for copy in zip(*terms, strict=True)
                ]
            ]
        elif isinstance(first, SHADOWS):
            results = [_shadows(first, state, shots, rng)]
        else:
            results = _sampled(group, state, shots, batched, own)
        for place, result in zip(at, results, strict=True):
            found[place] = result
    return found


def _sampled(
    group: list[Any], state: Any, shots: Shots, batched: bool, key: Any
) -> list[list[Any]]:
    state = _apply_diagonalizing_gates(group, state, batched)
    n_wires = state.ndim - batched
    chances = abs(state.reshape(*state.shape[: int(batched)], -1)) ** 2
    keys = jax.random.split(key, len(chances)) if batched else key[None]
    chances = jax.lax.stop_gradient(chances if batched else chances[None])
    drawn = _drawing(shots.total_shots)(keys, chances)  # (batch, shots)
    bits = drawn[..., None] >> np.arange(n_wires)[::-1] & 1
    samples = bits if batched else bits[0]
    wires = Wires(range(n_wires))
    return [
        [mp.process_samples(samples[..., a:b, :], wires) for a, b in shots.bins()]
        for mp in group
    ]


@cache
def _drawing(n_shots: int) -> Any:
    """Draws basis states, (batch, shots), by keys and chances (batch, 2^n).

    Under `vmap` with one key for all, each sample gets a key of its own: noise that
    repeats from sample to sample is not that of shots.
    """

    @jax.custom_batching.custom_vmap
    def draw(keys: Any, chances: Any) -> Any:
        def one(key: Any, chance: Any) -> Any:
            return jax.random.choice(key, len(chance), (n_shots,), p=chance)

        return jax.vmap(one)(keys, chances)

    @draw.def_vmap
    def _(size: int, mapped: Sequence[bool], keys: Any, chances: Any) -> Any:
        batch = chances.shape[-2]
        if not mapped[0]:
            keys = jax.vmap(lambda key: jax.random.split(key, size), out_axes=1)(keys)
        if not mapped[1]:
            chances = jnp.broadcast_to(chances, (size, *chances.shape))
        drawn = draw(keys.reshape(-1), chances.reshape(size * batch, -1))
        return drawn.reshape(size, batch, n_shots), True

    return draw


def _shadows(mp: Any, state: Any, shots: Shots, rng: np.random.Generator) -> list[Any]:
    """PennyLane draws them by NumPy."""
    state, wires = np.asarray(state), Wires(range(state.ndim))
    return [
        jnp.asarray(mp.process_state_with_shots(state, wires, n, rng=rng))
        for n in shots
    ]
