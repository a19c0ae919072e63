"""Where a run came from: the files of a user's own that it was made with.

A directory keeps a copy of each in `loaded/`, and its configuration names them with
their SHA-256. What is opened later asks for the same files. A copy is executed only
where the runs are trusted.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from .._checks import InputError
from ..files import LOADED, write_whole
from ..parallel.loading import LoadedFile, content_of, load_file, loaded_files


class NotLoadedError(InputError):
    """A file that a run was made with is not loaded, or is another one by now."""


def keep_loaded(directory: Path, files: Sequence[LoadedFile] | None) -> None:
    """Writes a copy of each file into a directory.

    Args:
        directory: That of a run, an audit or a comparison.
        files: As they were loaded in this process.

    Raises:
        InputError: If one is not loaded.

    Example:
        >>> keep_loaded(Path("runs/new"), None)  # nothing to keep
    """
    for file in files or ():
        folder = directory / LOADED
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / file.name, content_of(file))


@contextlib.contextmanager
def trusting_runs(trust: bool = True) -> Iterator[None]:
    """Within it, files are loaded from the directories that were made with them.

    Args:
        trust: Whether they are; a command does so with `--trust-run`.

    Example:
        >>> with trusting_runs():
        ...     pass  # read_run(directory)
    """
    global _trusted
    before, _trusted = _trusted, trust
    try:
        yield
    finally:
        _trusted = before


_trusted = False


def ask_for_loaded(config: Path, files: Sequence[LoadedFile] | None) -> None:
    """Raises unless the files are loaded that a configuration names.

    Where runs are trusted, the copies beside it are loaded first.

    Args:
        config: Path of the configuration.
        files: That it names.

    Raises:
        NotLoadedError: For a file that is not loaded, or another one of its name is.
        InputError: For a copy that is missing, or has changed.

    Example:
        >>> ask_for_loaded(Path("runs/cnn/config.toml"), None)  # no file is needed
    """
    for file in files or ():
        _ask_for(config, file)


def _ask_for(config: Path, file: LoadedFile) -> None:
    here = loaded_files()
    if file in here:
        return
    if Path(file.name).name != file.name or Path(file.name).suffix != ".py":
        raise InputError(
            f"{config} is damaged: {file.name!r} is no Python file's name."
        )
    copy, directory = config.parent / LOADED / file.name, config.parent
    for other in here:
        if other.name == file.name:
            raise NotLoadedError(
                f"{directory} was made with {file.name} of SHA-256 {file.sha256}, and "
                f"the one that is loaded has {other.sha256}: it changed since. The "
                f"file as it was is {copy}."
            )
    if not _trusted:
        raise NotLoadedError(
            f"{directory} was made with {file.name} (SHA-256 {file.sha256}), which is "
            f"not loaded. A copy is {copy}: read it, then load it."
        )
    if not copy.is_file():
        raise InputError(
            f"{copy} is missing, with which {directory} was made. Load your own file "
            f"with --load; its SHA-256 must be {file.sha256}."
        )
    found = hashlib.sha256(copy.read_bytes()).hexdigest()
    if found != file.sha256:
        raise InputError(
            f"{copy} has the SHA-256 {found}, and {config.name} names "
            f"{file.sha256}: it changed since, and is not executed. Restore it."
        )
    load_file(copy, options=("--trust-run",))
