"""The scheduler: a running one, or processes of this machine for the occasion."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .._checks import InputError, check_at_least, check_range, input_error
from .workers import prepared

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local"
"""Stands for processes of this machine, started for the occasion."""

RETRIES = 2
"""How often a unit is tried again that failed, or whose worker died."""

LOGGERS = ("distributed", "distributed.client")
"""Dask's, which have levels of their own."""

PATIENCE = 6
"""Seconds until a scheduler must have answered."""


@dataclasses.dataclass(frozen=True)
class Scheduler:
    """Where units run, as data.

    Raises:
        InputError: For a number of workers with an address, or below 1, or a resource
            that is not positive.
    """

    address: str = LOCAL
    """`local`, or the address of a running scheduler, such as `tcp://host:8786`."""
    n_workers: int | None = None
    """Processes to start with `local`: one a core where left out."""
    resources: tuple[tuple[str, float], ...] = ()
    """What a unit takes up of a worker that declares as much: (("GPU", 1.0),)."""
    files: tuple[str, ...] = ()
    """Python files that every worker loads first, as `qfm --load` does."""

    def __post_init__(self) -> None:
        if self.n_workers is not None:
            check_at_least("workers", self.n_workers, 1)
            if self.address != LOCAL:
                was = f"is {self.n_workers}"
                must = "be left out with the address of a scheduler"
                raise input_error("workers", must, was, "It has workers of its own.")
        for name, amount in self.resources:
            check_range(f"resources of {name}", amount, 1e-9)


@dataclasses.dataclass(frozen=True)
class Connection:
    """A scheduler that answered, with workers that run the code that runs here."""

    client: "Client"
    resources: Mapping[str, float]

    @property
    def dashboard(self) -> str:
        """The address of the scheduler's pages."""
        return str(self.client.dashboard_link)

    def submit(self, function: Callable[..., Any], *arguments: Any, **how: Any) -> Any:
        """Dask's future of a call, which is tried again and takes up the resources."""
        resources = dict(self.resources) or None
        return self.client.submit(
            function, *arguments, retries=RETRIES, resources=resources, **how
        )


@contextlib.contextmanager
def connect(
    scheduler: Scheduler | None, *, n_units: int | None = None
) -> Iterator[Connection | None]:
    """Connects with a scheduler; a local one is started, and stopped at the end.

    Args:
        scheduler: Where units run; None for this process, which is no connection.
        n_units: How many there are: `local` starts no more processes.

    Raises:
        InputError: If Dask is not installed, the scheduler does not answer within
            seconds, its workers run another version of this package or cannot load the
            files, or none of them declares the resources.

    Example:
        >>> with connect(None) as connection:
        ...     print(connection)
        None
    """
    if scheduler is None:
        yield None
        return
    _check_installed()
    from distributed import Client

    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        if scheduler.address == LOCAL:
            cluster = stack.enter_context(_local_cluster(scheduler, n_units))
            client = stack.enter_context(Client(cluster))
        else:
            _check_answers(scheduler.address)
            client = stack.enter_context(Client(scheduler.address, timeout=PATIENCE))
        stack.enter_context(prepared(client, scheduler.files))
        _check_resources(client, scheduler)
        yield Connection(client, dict(scheduler.resources))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Dask's log would run through the progress bar; what matters is raised."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _check_installed() -> None:
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise InputError(
            "A scheduler needs Dask, which is not installed: run "
            "`pip install 'qfm_jax[cluster]'`."
        ) from error


def _local_cluster(scheduler: Scheduler, n_units: int | None) -> Any:
    """Processes of this machine, which share its cores."""
    import dask
    from dask.system import CPU_COUNT
    from distributed import LocalCluster

    n_workers = min(scheduler.n_workers or CPU_COUNT, n_units or CPU_COUNT)
    # A dead worker costs the unit that it ran one of its tries, and no other unit.
    # The profiler stops a unit every 10 ms to look where it is.
    settings = {
        "distributed.worker.profile.enabled": False,
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.scheduler.allowed-failures": RETRIES,
    }
    with dask.config.set(settings):
        cluster = LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            memory_limit=0,  # a unit may take what it would take in this process
            dashboard_address="127.0.0.1:0",
            security=True,
            silence_logs=logging.CRITICAL,
            resources=dict(scheduler.resources),
            env={"PJRT_NPROC": str(max(1, CPU_COUNT // n_workers))},
        )
    # Dask does not start a process again that dies as soon as it is there.
    cluster.adapt(minimum=n_workers, maximum=n_workers)
    return cluster


def _check_answers(address: str) -> None:
    """Raises unless a scheduler answers: a client would wait for ever."""
    from distributed import Security, rpc

    async def ask() -> dict[str, Any]:
        arguments = Security().get_connection_args("client")
        async with rpc(
            address, timeout=PATIENCE, connection_args=arguments
        ) as scheduler:
            found: dict[str, Any] = await scheduler.identity()
        return found

    async def ask_in_time() -> dict[str, Any]:
        return await asyncio.wait_for(ask(), PATIENCE + 1)

    must = f"be {LOCAL!r}, or the address of a scheduler, such as tcp://host:8786"
    try:
        # In a thread: a notebook has an event loop already.
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            found = pool.submit(lambda: asyncio.run(ask_in_time())).result()
    # What is no scheduler may answer anything, and fails as the bytes have it.
    except Exception as error:
        why = str(error) or type(error).__name__
        was = f"{address!r} does not answer as one: {why}"
        cure = "Is it running there, and does the network let you through?"
        raise input_error("scheduler", must, was, cure) from error
    if found["type"] != "Scheduler":
        was = f"{address!r} is that of a {found['type'].lower()}"
        raise input_error("scheduler", must, was)


def _check_resources(client: "Client", scheduler: Scheduler) -> None:
    """Raises where there are workers, and none could ever run a unit."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    for name, amount in scheduler.resources:
        most = max((w["resources"].get(name, 0) for w in workers), default=amount)
        if most < amount:
            must = f"be what a worker declares, such as `--resources {name}={amount:g}`"
            was = f"{name}={amount:g} is asked for, and none has more than {most:g}"
            raise input_error("unit_resources", must, was)
