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
    """Estimated bytes, of each device, for one sample's forward and backward pass.

    (copies + kept states) * 2^n * bytes per amplitude / devices; backprop keeps a state
    for each step, a reversible pass none.
    """
    steps = sum(len(stage.steps) * stage.count for stage in program.stages)
    kept = 0 if task.reversible and program.reversible else steps
    amplitude = np.dtype(task.c_dtype).itemsize
    states = (WORKING_COPIES + kept) * (1 << program.n_wires)
    return states * amplitude // program.n_devices


def devices_of(n_wires: int, c_dtype: str, n_devices: int, shard_above: int) -> int:
    """How many devices share a state: one up to `shard_above` bytes, above it all.

    Example:
        >>> [devices_of(n, "complex64", 8, 2**30) for n in (27, 28)]
        [1, 8]
    """
    return n_devices if np.dtype(c_dtype).itemsize << n_wires > shard_above else 1


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


def check_fits(n_wires: int, c_dtype: str, available: int, n_devices: int = 1) -> None:
    """Raises, before any allocation, where one forward pass cannot fit.

    Args:
        n_wires: number of qubits.
        c_dtype: of an amplitude.
        available: bytes that each device has.
        n_devices: how many devices share the state.

    Raises:
        InputError: says how much is needed, and how many wires fit.
    """
    amplitude = np.dtype(c_dtype).itemsize * 3  # state, next state, read-out
    need, available = amplitude << n_wires, available * n_devices
    if need <= available:
        return
    fits = max((available // amplitude).bit_length() - 1, 0)
    more = ", or more `devices`" if len(jax.devices()) > n_devices else ""
    where = "" if n_devices == 1 else f" that {n_devices} devices have"
    raise input_error(
        "wires",
        f"fit the memory of {available / 2**30:.1f} GiB{where}",
        f"{n_wires} wires in {c_dtype} need {need / 2**30:.3g} GiB",
        f"Choose at most {fits} wires{more}.",
    )


def check_gradient_fits(program: Program, task: Any) -> None:
    """Raises, before anything is compiled, where one sample's gradient cannot fit.

    Raises:
        InputError: says how much is needed, and what needs less.
    """
    need, available = bytes_per_sample(program, task), available_bytes()
    if need <= available:
        return
    each = "" if program.n_devices == 1 else " of each device"
    cure = "Choose fewer wires, or complex64 in place of complex128."
    if not task.reversible and program.reversible:
        cure = "Choose diff_method='adjoint', which keeps no state, or fewer wires."
    raise input_error(
        "wires",
        f"leave the gradient of one sample within {available / 2**30:.3g} GiB{each}",
        f"{program.n_wires} wires in {task.c_dtype} need {need / 2**30:.3g} GiB",
        cure,
    )
