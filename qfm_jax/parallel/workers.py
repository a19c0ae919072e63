"""The workers of a scheduler: they run this code, and share its directories."""

import asyncio
import contextlib
import dataclasses
import functools
import hashlib
import os
import platform
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from .._checks import InputError, input_error
from .processes import code_digest

if TYPE_CHECKING:
    from distributed import Client, WorkerPlugin

SETTINGS = ("jax_enable_x64", "jax_persistent_cache_min_compile_time_secs")
CACHE = "jax_compilation_cache_dir"

NOT_ATOMIC = ("fuse.s3fs", "fuse.gcsfuse", "fuse.goofys")
"""File systems over an object store that rename by copying."""


@contextlib.contextmanager
def prepared(client: "Client", files: Sequence[str]) -> Iterator[None]:
    """Workers, those that come later too, run this code and have loaded the files.

    Raises:
        InputError: Naming the worker that does not, or a file.
    """
    name = f"qfm_jax-{uuid.uuid4().hex}"
    needs = _Needs.of(files)
    try:
        client.register_plugin(_plugin(needs), name=name)
    except InputError:
        raise
    except Exception as error:  # whatever a worker's Python raises
        raise InputError(
            "The workers of the scheduler cannot run units of this version: "
            f"{error!r}. Install the same qfm_jax there, with the same packages."
        ) from error
    try:
        yield
    finally:
        if client.status == "running":
            client.unregister_worker_plugin(name)


def _plugin(needs: "_Needs") -> "WorkerPlugin":
    from distributed import WorkerPlugin

    class Preparation(WorkerPlugin):
        async def setup(self, worker: Any) -> None:
            await asyncio.to_thread(_prepare, needs, worker.address)

    return Preparation()


@dataclasses.dataclass(frozen=True)
class _Needs:
    """What a worker must be like."""

    code: str
    files: Mapping[str, str]
    """Digests by path."""
    environment: Mapping[str, str]
    settings: Mapping[str, Any]
    """Of JAX."""
    host: str

    @classmethod
    def of(cls, files: Sequence[str]) -> "_Needs":
        import jax

        names = ("QFM_DATA_DIR", "QFM_CACHE_DIR")
        paths = [Path(file).resolve() for file in files]
        return cls(
            code_version(),
            {str(path): _digest(path) for path in paths},
            {name: os.environ[name] for name in names if name in os.environ},
            {name: getattr(jax.config, name) for name in (*SETTINGS, CACHE)},
            platform.node(),
        )


def _prepare(needs: _Needs, address: str) -> None:
    """Raises unless this worker can run units as the client would."""
    if code_version() != needs.code:
        raise InputError(
            f"The worker {address} on {platform.node()} runs qfm_jax {code_version()}, "
            f"and this is {needs.code}. Install the same there, and start it again."
        )
    for name, value in needs.environment.items():
        os.environ.setdefault(name, value)
    import jax

    settings = dict(needs.settings)
    if needs.host != platform.node() and settings[CACHE]:
        settings[CACHE] += f"-{platform.node()}"  # programs of another processor
    for name, value in settings.items():
        if getattr(jax.config, name) != value:
            jax.config.update(name, value)
    for path, digest in needs.files.items():
        if _load_once(path) != digest:
            raise InputError(
                f"The worker {address} on {platform.node()} has loaded another {path} "
                "before. Start it again."
            )


@functools.cache
def code_version() -> str:
    """The version of this package, with a digest of the code that this process loaded.

    Example:
        >>> code_version().split()[0]
        '0.1.0'
    """
    from .. import __version__

    return f"{__version__} ({code_digest()})"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def _load_once(path: str) -> str:
    """Loads a file; the digest that it had when this process did."""
    from .loading import load_file

    if not Path(path).is_file():
        must = "lie where every worker sees it"
        raise input_error("--load", must, f"{path} is not on {platform.node()}")
    digest = _digest(Path(path))
    load_file(path)
    return digest


def check_shared(client: "Client", directory: Path, name: str) -> None:
    """Raises unless every worker sees a directory, and can rename files in it.

    Args:
        client: Of a scheduler.
        directory: Where units write.
        name: A file that it holds.

    Raises:
        InputError: Naming the worker.
    """
    content = (directory / name).read_bytes()
    check = functools.partial(_check_directory, directory.resolve(), name, content)
    for error in client.run(check, on_error="return").values():
        if isinstance(error, Exception):
            raise error


def _check_directory(directory: Path, name: str, content: bytes) -> None:
    """Raises unless this process shares a directory, and can rename files in it."""
    here = f"{directory} on {platform.node()}"
    try:
        found = (directory / name).read_bytes()
    except OSError as error:
        raise InputError(
            f"A worker does not see {here}: {error.strerror}. Start workers that share "
            "the file system, or choose a directory that they share with --out."
        ) from error
    if found != content:
        raise InputError(
            f"{here} is another one than here: its {name} differs. Start workers that "
            "share the file system, or choose a directory that they share with --out."
        )
    probe = directory / f".probe-{uuid.uuid4().hex}"
    new = probe.with_suffix(".new")
    try:
        probe.write_text("old")
        new.write_text("new")
        new.replace(probe)
        if probe.read_text() != "new":
            raise OSError("what was renamed is not there")
    except OSError as error:
        raise InputError(
            f"A worker cannot write files in {here} and rename them: {error}. A unit's "
            "file must be whole or not there: choose another directory with --out."
        ) from error
    finally:
        probe.unlink(missing_ok=True)
        new.unlink(missing_ok=True)
    mounts = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    above = (str(path) for path in (directory, *directory.parents))
    kind = next((mounts[path] for path in above if path in mounts), "")
    if kind in NOT_ATOMIC:
        raise InputError(
            f"{here} lies on {kind}, which renames by copying. A unit's file must be "
            "whole or not there: choose another directory with --out."
        )
