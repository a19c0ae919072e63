"""Files of a user's own, which add models, circuits and comparisons to those there are.

A file adds an entry to a table: `MODELS` or `COMPARISONS` of `qfm_jax.runs.presets`,
`EMBEDDINGS` or `LAYERS` of `qfm_jax.circuits`.
"""

import importlib.util
import sys
import traceback
from pathlib import Path

from .._checks import InputError, input_error


def load_file(path: Path | str) -> None:
    r"""Executes a Python file, once, as a module of its own name.

    Args:
        path: The file; it runs with all rights of the user, as any program does.

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
    """
    path = Path(path)
    if path.suffix != ".py" or not path.is_file():
        raise input_error("--load", "name a Python file", f"is {str(path)!r}")
    loaded = sys.modules.get(path.stem)
    if getattr(loaded, "__file__", None) == str(path.resolve()):
        return
    if loaded is not None or path.stem in sys.stdlib_module_names:
        must = "have a name that no other module has"
        raise input_error("--load", must, f"is {path.name}", "Rename the file.")
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[path.stem]
        raise InputError(f"{path}{_line_of(error, path)} fails: {error!r}.") from error
    _LOADED.append(str(path.resolve()))


def loaded_files() -> tuple[str, ...]:
    """Paths of the files that were loaded, in order: another process needs them too."""
    return tuple(dict.fromkeys(_LOADED))


_LOADED: list[str] = []


def _line_of(error: Exception, path: Path) -> str:
    """Where in the file an error arose."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno},"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path.resolve())]
    return f", line {lines[-1]}," if lines else ""
