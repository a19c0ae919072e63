"""Files of a user's own, which add models, circuits and comparisons to those there are.

A file adds an entry to a table: `MODELS` or `COMPARISONS` of `qfm_jax.runs.presets`, or
`CIRCUITS`, `EMBEDDINGS` or `LAYERS` of `qfm_jax.circuits`.
"""

import dataclasses
import hashlib
import shlex
import sys
import traceback
import types
from pathlib import Path

from .._checks import InputError, input_error


@dataclasses.dataclass(frozen=True)
class LoadedFile:
    """A file as it was when it was loaded."""

    name: str
    """Its name, without a folder."""
    sha256: str
    """Of its content, 64 hexadecimal digits."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Loaded:
    """A file that was loaded in this process."""

    file: LoadedFile
    path: Path
    content: bytes
    options: tuple[str, ...]
    """What loads it on a command line."""
    module: types.ModuleType


def load_file(path: Path | str, *, options: tuple[str, ...] | None = None) -> None:
    r"""Executes a Python file, once, as a module of its own name.

    Args:
        path: The file; it runs with all rights of the user, as any program does.
        options: Of a command line that loads it; `--load path` where left out.

    Raises:
        InputError: For a file that is not there, has the name of a module that is in
            use, or fails; says where.

    Example:
        >>> import tempfile
        >>> from qfm_jax.runs.presets import MODELS, get_preset
        >>> path = Path(tempfile.mkdtemp()) / "wide.py"
        >>> _ = path.write_text(
        ...     "from qfm_jax import ModelConfig\n"
        ...     "from qfm_jax.runs.presets import MODELS, Preset\n"
        ...     "MODELS['wide'] = Preset('a wide one', ModelConfig(hidden=(512,)))\n")
        >>> load_file(path)
        >>> MODELS.pop("wide").network.hidden
        (512,)
        >>> del sys.modules["wide"]  # it is not loaded any more
    """
    path = Path(path)
    if path.suffix != ".py" or not path.is_file():
        raise input_error("--load", "name a Python file", f"is {str(path)!r}")
    content = path.read_bytes()
    file = LoadedFile(path.name, hashlib.sha256(content).hexdigest())
    if file in loaded_files():
        return
    if path.stem in sys.modules or path.stem in sys.stdlib_module_names:
        must = "have a name that no other module has"
        raise input_error("--load", must, f"is {path.name}", "Rename the file.")
    whole = path.resolve()
    module = types.ModuleType(path.stem)
    module.__file__ = str(whole)
    sys.modules[path.stem] = module  # dataclasses look their module up
    try:
        exec(compile(content, whole, "exec", dont_inherit=True), vars(module))
    except Exception as error:
        del sys.modules[path.stem]
        raise InputError(f"{path}{_line_of(error, path)} fails: {error!r}.") from error
    options = options or ("--load", str(path))
    _LOADED.append(_Loaded(file, whole, content, options, module))


def loaded_files() -> tuple[LoadedFile, ...]:
    """The files that were loaded, in order.

    Example:
        >>> loaded_files()
        ()
    """
    return tuple(loaded.file for loaded in _loaded())


def loaded_paths() -> tuple[str, ...]:
    """Paths of the files that were loaded: another process needs them too.

    Example:
        >>> loaded_paths()
        ()
    """
    return tuple(str(loaded.path) for loaded in _loaded())


def content_of(file: LoadedFile) -> bytes:
    """What a file held when it was loaded.

    Raises:
        InputError: If it is not loaded.
    """
    for loaded in _loaded():
        if loaded.file == file:
            return loaded.content
    must = f"be loaded as it was, with the SHA-256 {file.sha256}"
    raise input_error(file.name, must, "is not", "Load it first: --load, or load_file.")


def command_line(*words: object) -> str:
    """A command of `qfm` as one types it here, with the files that it needs.

    Example:
        >>> command_line("train", "--resume", Path("my runs"))
        "qfm train --resume 'my runs'"
    """
    options = dict.fromkeys(loaded.options for loaded in _loaded())
    given = [word for option in options for word in option]
    return shlex.join(["qfm", *given, *map(str, words)])


def _loaded() -> list[_Loaded]:
    """Those whose module is still there."""
    return [x for x in _LOADED if sys.modules.get(x.path.stem) is x.module]


_LOADED: list[_Loaded] = []


def _line_of(error: Exception, path: Path) -> str:
    """Where in the file an error arose."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno},"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path.resolve())]
    return f", line {lines[-1]}," if lines else ""
