"""Units of work on a scheduler, tried again where they fail."""

import dataclasses
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from .._checks import InputError
from .scheduler import RETRIES, Connection

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")
R = TypeVar("R")

TICK = 0.05
"""Seconds between two looks at what has ended."""


@dataclasses.dataclass(frozen=True)
class Standing:
    """How far the units are."""

    done: int
    running: int
    failed: int
    total: int
    n_workers: int
    """Workers that the scheduler has now."""
    dashboard: str
    """Address of the scheduler's pages."""
    last: str
    """Name of the unit that ended last; empty before there is one."""


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why a unit failed, the last time that it was tried."""

    error: str
    traceback: str


class UnitsFailedError(RuntimeError):
    """Some units failed each time they were tried; all others are done.

    Attributes:
        failures: Why, by the name of the unit.
    """

    def __init__(self, failures: Mapping[str, Failure], what_next: str):
        self.failures = dict(failures)
        shown = list(self.failures)[:8]
        more = len(self.failures) - len(shown)
        names = "; ".join(shown) + (f"; and {more} more" if more else "")
        first = self.failures[shown[0]].error
        super().__init__(
            f"{len(self.failures)} of the units failed, each tried {1 + RETRIES} "
            f"times: {names}. The first: {first}. {what_next}"
        )


def run_units(
    units: Mapping[str, T],
    function: Callable[[T], R],
    connection: Connection,
    *,
    after: Mapping[str, str] | None = None,
    show: Callable[[Standing], None] | None = None,
) -> Iterator[tuple[str, R]]:
    """Runs a function on every unit, and yields names and results as they come.

    A unit that fails, or whose worker dies, is tried twice again; the others go on. It
    must be able to: what it writes is whole or not there, and is not made twice. (How
    many workers may die of a unit is the scheduler's `allowed-failures`, three more
    than the first where it is not `local`.)

    Args:
        units: The values by name.
        function: Runs on a worker; it and the values can be pickled.
        connection: Of `connect`.
        after: Names of units, and of that which each waits for; both fail if it does.
        show: Told a few times a second.

    Raises:
        UnitsFailedError: Naming the units that failed, after all others have ended.
        InputError: If the scheduler goes away.
    """
    from distributed import as_completed

    group, client = f"qfm-{uuid.uuid4().hex}", connection.client
    futures: dict[str, Any] = {}
    after = after or {}
    for name in sorted(units, key=lambda name: name in after):
        awaited = [futures[after[name]]] if name in after else []
        futures[name] = connection.submit(
            _call, function, units[name], *awaited, key=(group, name)
        )
    names = {future.key: name for name, future in futures.items()}
    completed = as_completed(futures.values(), with_results=True, raise_errors=False)
    # A result that nobody holds any more is not computed again if its worker dies.
    del futures, awaited
    failures: dict[str, Failure] = {}
    n_done, last, shown_at = 0, "", -1.0
    while n_done + len(failures) < len(units):
        ended = completed.next_batch(block=False)
        for future, result in ended:
            last = names[future.key]
            # Not by its status: that is lost again with the worker that holds it.
            if isinstance(result, _Done):
                n_done += 1
                yield last, result.result
            else:
                failures[last] = _failure(client, result)
            del future, result
        if show is not None and (ended or time.monotonic() > shown_at + 1):
            n_running, n_workers = _running(client, group)
            counts = (n_done, n_running, len(failures), len(units), n_workers)
            show(Standing(*counts, connection.dashboard, last))
            shown_at = time.monotonic()
        if not ended:
            time.sleep(TICK)
        del ended
    if failures:
        raise UnitsFailedError(failures, "The same command tries them again.")


@dataclasses.dataclass(frozen=True)
class _Done:
    """What a unit came to; an error comes as a tuple."""

    result: Any


def _call(function: Callable[[T], R], value: T, *_: object) -> _Done:
    """A unit; what it waited for lies in files."""
    return _Done(function(value))


def _running(client: "Client", group: str) -> tuple[int, int]:
    """How many units of a group run now, and on how many workers they could."""
    threads = client.nthreads()
    n_running = 0
    for worker, keys in client.processing().items():
        ours = sum(key[0] == group for key in keys if isinstance(key, tuple))
        n_running += min(ours, threads.get(worker, 0))
    return n_running, len(threads)


def _failure(client: "Client", result: Any) -> Failure:
    """Why a unit failed, from what Dask says."""
    from distributed import KilledWorker

    if not isinstance(result, tuple):  # cancelled, with everything else
        raise InputError(
            f"The scheduler {client.scheduler.address} went away. What was finished is "
            "kept: start one again, and run the same command with it."
        )
    kind, error, trace = result
    said = f"{type(error).__name__}: {error}".strip(": ")
    if isinstance(error, KilledWorker):
        said = "each worker that ran it died, perhaps for want of memory"
    if isinstance(error, InputError):
        said = str(error).rstrip(".")
    return Failure(said, "".join(traceback.format_exception(kind, error, trace)))
