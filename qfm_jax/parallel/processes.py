"""Several processes, on one host or many, that train one model together.

JAX's own runtime joins them (`jax.distributed`). Each holds all images and puts its
share of each batch on its devices; the first one alone writes, and prints.
"""

import ctypes
import hashlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from .._checks import InputError, check_at_least, check_range, first_line, input_error

T = TypeVar("T")

JOIN_SECONDS = 60
"""How long a process waits for the others when it starts."""

HEARTBEAT_SECONDS = 20
"""A process that was silent for so long is lost."""

FAILURES = ("gloo", "nccl", "coordination", "distributed", "connection closed")
"""Words of the messages in which JAX's runtime tells that another process is gone."""


class ProcessLost(InputError):  # noqa: N818 - an event, like KeyboardInterrupt
    """Another process of this training has ended, and none can go on without it."""


@dataclass(frozen=True)
class Place:
    """Where a process stands among those that train together.

    Raises:
        InputError: For an address without a port, or a number out of range.

    Example:
        >>> Place(n_processes=2, process_id=1, coordinator="node1:1234").is_first
        False
    """

    n_processes: int
    """Processes in all."""
    process_id: int
    """Number of this one, from 0."""
    coordinator: str | None = None
    """HOST:PORT where process 0 listens; SLURM knows it where left out."""

    def __post_init__(self) -> None:
        check_at_least("processes", self.n_processes, 1)
        check_range("process_id", self.process_id, 0, self.n_processes - 1)
        if self.coordinator is None:
            return
        host, _, port = self.coordinator.rpartition(":")
        if not (host and port.isdecimal() and 0 < int(port) < 65536):
            must = "be HOST:PORT, an address of process 0 and a free port there"
            raise input_error("coordinator", must, f"is {self.coordinator!r}")

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.process_id == 0


def find_place(
    coordinator: str | None = None,
    n_processes: int | None = None,
    process_id: int | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
) -> Place | None:
    """The place that options name, else the environment, else None: a single process.

    In the environment it is QFM_COORDINATOR, QFM_PROCESSES and QFM_PROCESS_ID, whose
    last may be Kubernetes' JOB_COMPLETION_INDEX; or a step of several tasks of SLURM.

    Raises:
        InputError: Where some of the three are given and some are not.

    Example:
        >>> find_place("localhost:1234", 2, 0).n_processes
        2
        >>> find_place(environment={"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "1"})
        Place(n_processes=4, process_id=1, coordinator=None)
    """
    if coordinator is None and n_processes is None and process_id is None:
        coordinator = environment.get("QFM_COORDINATOR")
        if coordinator is None:
            return _place_in_slurm(environment)
        index = environment.get("JOB_COMPLETION_INDEX")
        n_processes = _whole(environment, "QFM_PROCESSES")
        process_id = _whole(environment, "QFM_PROCESS_ID", index)
    given = {"coordinator": coordinator, "processes": n_processes}
    for name, value in {**given, "process_id": process_id}.items():
        if value is None:
            must = "be given with the two others: coordinator, processes, process_id"
            raise input_error(name, must, "is missing")
    assert n_processes is not None
    assert process_id is not None
    return Place(n_processes, process_id, coordinator)


def _place_in_slurm(environment: Mapping[str, str]) -> Place | None:
    """The tasks of a step that `srun` started; a batch script itself is none."""
    n_tasks = int(environment.get("SLURM_STEP_NUM_TASKS", 1))
    if n_tasks < 2 or "SLURM_PROCID" not in environment:
        return None
    return Place(n_tasks, int(environment["SLURM_PROCID"]))


def _whole(
    environment: Mapping[str, str], name: str, default: str | None = None
) -> int | None:
    text = environment.get(name, default)
    if text is None:
        return None
    if not text.isdecimal():
        raise input_error(name, "be a whole number", f"is {text!r}")
    return int(text)


@contextmanager
def joined(place: Place | None, cure: str) -> Iterator[None]:
    """Joins the other processes, and waits for all at the end.

    Args:
        place: Of this process; None where it is alone, and nothing happens.
        cure: What to do when a process was lost: a sentence.

    Raises:
        InputError: Where the others do not answer within `JOIN_SECONDS`.
        ProcessLost: When another process has ended.
    """
    if place is None:
        yield
        return
    n = place.n_processes
    lost = (
        f"Another of the {n} processes of this training has ended, or cannot be "
        f"reached; its own output says why. {cure}"
    )
    _join(place)
    _set_last_words(lost)
    try:
        yield
        exchange("done")  # the first one has more to do than the others
    except InputError:
        raise
    except Exception as error:  # the runtime has no class of its own for it
        if any(word in str(error).lower() for word in FAILURES):
            raise ProcessLost(lost) from error
        raise


def _join(place: Place) -> None:
    where = place.coordinator or "SLURM's first node"
    if place.coordinator and not place.is_first:
        _await_coordinator(place.coordinator)
    _set_last_words(
        f"The {place.n_processes} processes did not find each other within "
        f"{JOIN_SECONDS} s, with the coordinator at {where}. Start all of them, each "
        "with its own --process-id and with the same --processes."
    )
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # Under SLURM, JAX gives each task a GPU of its own, whoever named the coordinator.
    method = "slurm" if "SLURM_STEP_NODELIST" in os.environ else "deactivate"
    try:
        jax.distributed.initialize(
            place.coordinator,
            place.n_processes,
            place.process_id,
            cluster_detection_method=method,
            initialization_timeout=JOIN_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except Exception as error:  # the runtime has no class of its own for it
        raise InputError(
            f"Process {place.process_id} cannot join the others at {where}: "
            f"{first_line(error)} Name a free port of process 0's host with "
            "--coordinator."
        ) from error


def _await_coordinator(address: str) -> None:
    """Waits for process 0, whose runtime would be waited for with a stack trace."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + JOIN_SECONDS
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise InputError(
                    f"The coordinator at {address} did not answer within "
                    f"{JOIN_SECONDS} s: {error}. Start process 0 on that host, and "
                    "see that its port can be reached from here."
                ) from error
        time.sleep(0.2)


_handlers: list[Any] = []  # of the C library, which does not keep them alive


def _set_last_words(sentence: str) -> None:
    """Sets what is said where JAX's runtime calls `abort()`: all that it ever does.

    Its client does so, from a thread of its own, as soon as another process is gone;
    Python's handlers of signals would come too late.
    """

    @ctypes.CFUNCTYPE(None, ctypes.c_int)
    def say(_: int) -> None:
        print(f"\nqfm: {sentence}", file=sys.stderr, flush=True)
        os._exit(LOST)

    _handlers.append(say)
    ctypes.CDLL(None).signal(signal.SIGABRT, say)


LOST = 3
"""Exit status of a process that has lost another one."""


def leave(status: int) -> None:
    """Ends a process that has failed at once: the others, waiting for it, would not."""
    if jax.distributed.is_initialized():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def are_several() -> bool:
    """Whether this process trains together with others."""
    return jax.process_count() > 1


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return jax.process_index() == 0


def exchange(value: Any) -> list[Any]:
    """Gives each process the plain value (of JSON) of every process, in their order.

    Example:
        >>> exchange({"seconds": 1.5})
        [{'seconds': 1.5}]
    """
    text = json.dumps(value).encode()
    if not are_several():
        return [json.loads(text)]
    lengths = multihost_utils.process_allgather(np.int32(len(text)))
    padded = np.frombuffer(text.ljust(lengths.max()), np.uint8)
    return [json.loads(row.tobytes()) for row in _gathered(padded)]


def _gathered(values: np.ndarray) -> np.ndarray:
    found: np.ndarray = multihost_utils.process_allgather(values)
    return found


def from_first(tree: T) -> T:
    """The arrays (no PRNG keys) of the first process, in every process."""
    if not are_several():
        return tree
    found: T = multihost_utils.broadcast_one_to_all(tree)
    return found


def check_alike(described: Mapping[str, Any]) -> None:
    """Raises in every process unless all describe the same.

    Args:
        described: Plain values by name; the code of this package is added.

    Raises:
        InputError: Naming the first process that differs from process 0, and in what.
    """
    if not are_several():
        return
    counts = devices_of_each()
    if len(set(counts)) > 1:
        raise InputError(
            f"The processes have {counts} devices; they must have as many each. Take "
            "hosts of one kind."
        )
    first, *others = exchange({**described, "code": code_digest()})
    for number, other in enumerate(others, start=1):
        different = [
            f"{name} is {other.get(name)!r} there and {first.get(name)!r} in process 0"
            for name in first | other
            if other.get(name) != first.get(name)
        ]
        if different:
            raise InputError(
                f"Process {number} differs from process 0: {'; '.join(different)}. "
                "Start all with the same code, options and data."
            )


def devices_of_each() -> list[int]:
    """How many devices each process has.

    Example:
        >>> len(devices_of_each())
        1
    """
    return [len(jax.local_devices(i)) for i in range(jax.process_count())]


def code_digest() -> str:
    """Names the code of this package: the start of a SHA-256 of all its modules.

    Example:
        >>> len(code_digest())
        12
    """
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
