"""How much memory a simulation needs, and what fits."""

from functools import cache
from typing import Any

import jax
import numpy as np
import psutil

from .._checks import input_error
from .compiler import Program

WORKING_COPIES = 6
"""States that a pass holds at once: argument, result, cotangents, a transposition."""


def bytes_per_sample(program: Program, task: Any) -> int:
    """Estimated bytes for one sample's forward and backward pass.

    (copies + kept states) * 2^n * bytes per amplitude; backprop keeps a state for each
    step, a reversible pass none.
    """
    steps = sum(len(stage.steps) * stage.count for stage in program.stages)
    kept = 0 if task.reversible and program.reversible else steps
    amplitude = np.dtype(task.c_dtype).itemsize
    return (WORKING_COPIES + kept) * amplitude << program.n_wires


def chunk_size(program: Program, task: Any, batch: int) -> int:
    """Samples that run at once: as many as the budget holds, evenly split."""
    fits = task.budget // bytes_per_sample(program, task)
    if fits >= batch:
        return batch
    chunks = -(-batch // max(fits, 1))
    return -(-batch // chunks)


@cache
def budget() -> int:
    """Bytes that the states of a batch may take: a quarter of a device's memory.

    Of all memory, rounded down to a power of two: what other programs hold now changes
    neither how a batch is cut nor, thereby, how its sums are rounded.
    """
    return 1 << (_total_bytes() // 4).bit_length() - 1


def _total_bytes() -> int:
    device = jax.devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats:
        return int(stats["bytes_limit"])
    return int(psutil.virtual_memory().total) // len(jax.devices("cpu"))


def available_bytes() -> int:
    """Memory that a JAX device has left; those of the CPU share the machine's."""
    device = jax.devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats:
        return int(stats["bytes_limit"] - stats["bytes_in_use"])
    return int(psutil.virtual_memory().available) // len(jax.devices("cpu"))


def check_fits(n_wires: int, c_dtype: str, available: int) -> None:
    """Raises, before any allocation, where one forward pass cannot fit.

    Args:
        n_wires: number of qubits.
        c_dtype: of an amplitude.
        available: bytes that a device has.

    Raises:
        InputError: says how much is needed, and how many wires fit.
    """
    amplitude = np.dtype(c_dtype).itemsize * 3  # state, next state, read-out
    need = amplitude << n_wires
    if need <= available:
        return
    fits = max((available // amplitude).bit_length() - 1, 0)
    raise input_error(
        "wires",
        f"fit the memory of {available / 2**30:.1f} GiB",
        f"{n_wires} wires in {c_dtype} need {need / 2**30:.3g} GiB",
        f"Choose at most {fits} wires.",
    )


def check_gradient_fits(program: Program, task: Any) -> None:
    """Raises, before anything is compiled, where one sample's gradient cannot fit.

    Raises:
        InputError: says how much is needed, and what needs less.
    """
    need, available = bytes_per_sample(program, task), available_bytes()
    if need <= available:
        return
    cure = "Choose fewer wires, or complex64 in place of complex128."
    if not task.reversible and program.reversible:
        cure = "Choose diff_method='adjoint', which keeps no state, or fewer wires."
    raise input_error(
        "wires",
        f"leave the gradient of one sample within {available / 2**30:.3g} GiB",
        f"{program.n_wires} wires in {task.c_dtype} need {need / 2**30:.3g} GiB",
        cure,
    )
