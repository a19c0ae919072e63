"""`experiments/newer_jax` puts back the names that newer versions of jax have moved."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "experiments" / "newer_jax"


@pytest.fixture
def newer_jax(tmp_path):
    """A package as jax 0.11 has it: the names are in `jax._src.core` alone."""
    files = {
        "jax/__init__.py": "from jax import core as core",
        "jax/core.py": "Tracer = int",
        "jax/_src/__init__.py": "",
        "jax/_src/core.py": "is_concrete, concrete_or_error, Tracer = 1, 2, str",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_names_are_put_back_and_no_other_changes(newer_jax):
    code = (
        "import jax; c = jax.core; print(c.is_concrete, c.concrete_or_error, c.Tracer)"
    )
    path = os.pathsep.join(map(str, (FOLDER, newer_jax)))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1 2 <class 'int'>\n"
