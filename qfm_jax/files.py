"""Files that are whole or not there, and directories that one process works on."""

import contextlib
import json
import os
import platform
import re
import secrets
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from ._checks import InputError

LOCK = "lock"
"""The file that is locked while a process works on its directory; it stays."""

LOADED = "loaded"
"""The folder of copies of a user's own files that a directory was made with."""


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file that is either whole or not there, or as it was before.

    It is on the disk before it has its name, and so is the name when this returns.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "note"
        >>> write_whole(path, b"all of it")
        >>> path.read_bytes()
        b'all of it'
    """
    # A name that nobody can guess or have: other threads, processes and machines may be
    # writing the same file. It says whose it is, for `_remove_unfinished`.
    owner = f"{platform.node()}-{os.getpid()}"
    new = path.with_name(f"{path.name}.{owner}.{secrets.token_hex(8)}.tmp")
    try:
        with new.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)  # a full disk has room again
        raise
    with contextlib.suppress(OSError):  # Windows and some file systems cannot
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _remove_unfinished(directory: Path) -> None:
    """Removes what `write_whole` began in processes of this machine that ended."""
    name = re.compile(rf".+\.{re.escape(platform.node())}-(\d+)\.[0-9a-f]+\.tmp")
    for path in directory.rglob("*.tmp"):
        found = name.fullmatch(path.name)
        if found and not psutil.pid_exists(int(found[1])):
            path.unlink(missing_ok=True)


def read_table(path: Path) -> dict[str, Any]:
    """Reads a JSON file that holds a table, and trusts none of its bytes.

    Raises:
        ValueError: If it is no JSON, nested too deeply, or no table.
        OSError: If it cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "scores.json"
        >>> path.write_text('{"accuracy": 0.5}')
        17
        >>> read_table(path)
        {'accuracy': 0.5}
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(table, dict):
        raise ValueError("it holds no table")
    return table


@contextlib.contextmanager
def locked(directory: Path, cure: str) -> Iterator[None]:
    """Keeps other processes from working on `directory`, which is made if missing.

    What a process that was killed had begun to write there is removed. The system ends
    the lock with the process, however that ends: none is left behind.
    Where there are no locks (Windows, some network file systems), it says so or does
    nothing.

    Args:
        directory: What is worked on.
        cure: What a person can do where another process has it.

    Raises:
        InputError: Where another process works on it, or it cannot be written.

    Example:
        >>> import tempfile
        >>> with locked(Path(tempfile.mkdtemp()), "Wait."):
        ...     pass
    """
    try:
        import fcntl
    except ImportError:  # Windows
        directory.mkdir(parents=True, exist_ok=True)
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((directory / LOCK).open("ab+", buffering=0))
        except OSError as error:
            raise InputError(
                f"The run directory {directory} cannot be written: {error.strerror}. "
                "Choose another one; commands take it as --out."
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            who = file.read(200).decode(errors="replace").strip() or "another process"
            raise InputError(f"{directory} is worked on by {who}. {cure}") from None
        except OSError as error:
            warnings.warn(
                f"{directory} cannot be locked ({error.strerror}): see to it that no "
                "other process works on it.",
                stacklevel=3,
            )
        _remove_unfinished(directory)
        with contextlib.suppress(OSError):  # a full disk has no room for a name
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}".encode())
        yield


@contextlib.contextmanager
def changing(path: Path) -> Iterator[None]:
    """Held while a file is read, changed and written: others that hold it wait.

    The lock is that of the file's folder, which must be there, so that nothing is left
    behind. Where there are no locks it does nothing.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "counts.json"
        >>> with changing(path):
        ...     write_json(path, {"count": 1})
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ImportError, OSError):  # Windows, some network disks
            import fcntl

            folder = os.open(path.parent, os.O_RDONLY)
            stack.callback(os.close, folder)
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield


def is_unused(directory: Path) -> bool:
    """Whether nothing is there but what a start that was killed may leave behind.

    Example:
        >>> is_unused(Path("not there"))
        True
    """
    if not directory.is_dir():
        return not directory.exists()
    return all(
        path.name in (LOCK, LOADED) or path.suffix == ".tmp"
        for path in directory.iterdir()
    )


def write_json(path: Path, table: dict[str, Any]) -> None:
    """Writes a JSON file that is either whole or not there.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "scores.json"
        >>> write_json(path, {"accuracy": 0.5})
        >>> json.loads(path.read_text())
        {'accuracy': 0.5}
    """
    text = json.dumps(table, indent=2, allow_nan=False)
    write_whole(path, f"{text}\n".encode())
