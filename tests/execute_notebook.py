"""The study's notebook: executed in a fresh kernel and checked, or made again.

python tests/execute_notebook.py            executes it, checks what comes out
python tests/execute_notebook.py --write    makes it from experiments/fashion_mnist.py

What the first one executes is what is committed; it writes nothing. The second one
writes only what has no problem.
"""

import argparse
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quick_compiling import compile_quickly

from qfm_jax._checks import InputError
from qfm_jax.data.archive import UnavailableError, find_archive

SOURCE = Path(__file__).parents[1] / "experiments" / "fashion_mnist.py"
NOTEBOOK = SOURCE.with_suffix(".ipynb")

LARGEST = 2 * 2**20
"""Bytes of the file at most."""
LONGEST_CELL = 8
"""Lines of code in a cell at most."""
SECONDS_A_CELL = 600
"""Time after which a cell counts as stuck."""

MACHINE_PATH = re.compile(r"(?<![\w.])/(home|root|tmp|work|Users|usr|opt|var|mnt)/")
DEBRIS = re.compile(r"[\r\x08]|it/s\b|Warning:")
"""Progress bars and warnings."""


def problems(notebook: dict[str, Any]) -> list[str]:
    """What is wrong with an executed notebook, a sentence each."""
    found = []
    for i, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            found += [f"Cell {i} {problem}." for problem in _problems_of(cell)]
    return found


def _problems_of(cell: dict[str, Any]) -> Iterator[str]:
    code = [line for line in text_of(cell["source"]).splitlines() if line.strip()]
    if len(code) > LONGEST_CELL:
        yield f"has {len(code)} lines of code, more than {LONGEST_CELL}"
    if cell["execution_count"] is None:
        yield "was not executed"
    for output in cell["outputs"]:
        if output["output_type"] == "error":
            yield f"ended with {output['ename']}: {output['evalue']}"
        if output.get("name") == "stderr":
            yield f"wrote to standard error: {text_of(output['text'])[:200]!r}"
        for text in texts_of(output):
            if match := MACHINE_PATH.search(text) or DEBRIS.search(text):
                yield f"shows {text[max(match.start() - 20, 0) :][:60]!r}"
    figures = [o for o in cell["outputs"] if "image/png" in o.get("data", {})]
    if code and code[-1].startswith("plot_") and len(figures) != 1:
        yield f"ends with a figure, and shows {len(figures)}"


def texts_of(output: dict[str, Any]) -> Iterator[str]:
    """What an output says, its pictures left out."""
    yield text_of(output.get("text", ""))
    for kind, content in output.get("data", {}).items():
        if kind.startswith("text/"):
            yield text_of(content)


def text_of(content: str | list[str]) -> str:
    """A file holds a text, or its lines."""
    return content if isinstance(content, str) else "".join(content)


def execute(notebook: Any) -> Any:
    """Runs all cells from top to bottom in a kernel of its own, beside the scripts.

    Raises:
        InputError: If what it takes is not installed.
    """
    try:
        import ipykernel  # noqa: F401 - the kernel's process imports it
        from nbclient import NotebookClient
    except ImportError as error:
        raise missing(error) from error
    return NotebookClient(
        notebook,
        timeout=SECONDS_A_CELL,
        kernel_name="python3",
        allow_errors=True,
        record_timing=False,
        resources={"metadata": {"path": str(SOURCE.parent)}},
    ).execute()


def from_source() -> Any:
    """The notebook that the text source describes, without outputs.

    Raises:
        InputError: If what it takes is not installed.
    """
    try:
        import jupytext
    except ImportError as error:
        raise missing(error) from error
    notebook = jupytext.read(SOURCE)
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{i}"  # the same source gives the same file
    return notebook


def missing(error: ImportError) -> InputError:
    """The sentence for a package that is not there."""
    return InputError(
        f"The notebook needs {error.name}, which is not installed. `make notebook` and "
        "`make notebook-check` install it; so does pip install 'qfm_jax[notebook]'."
    )


def main(argv: list[str] | None = None) -> int:
    """0 if all is well, 1 for problems, 2 where something is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="make it again")
    is_write = parser.parse_args(argv).write
    try:
        find_archive("fashion-mnist")
        if not is_write:
            compile_quickly()
        notebook = from_source() if is_write else _stored()
        start = time.monotonic()
        found = problems(execute(notebook))
    except UnavailableError as error:
        print(f"NOT EXECUTED: the notebook's images are not here. {error}")
        return 2 if is_write else 0
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Executed {NOTEBOOK.name} in {time.monotonic() - start:.0f} s.")
    print("\n".join(found) or "No error, no warning, every figure is there.")
    if is_write and not found:
        import nbformat  # jupytext has it

        nbformat.write(notebook, NOTEBOOK)
        print(f"Written: {NOTEBOOK.name}, {NOTEBOOK.stat().st_size / 2**20:.2f} MiB")
    return 1 if found else 0


def _stored() -> Any:
    try:
        import nbformat
    except ImportError as error:
        raise missing(error) from error
    return nbformat.read(NOTEBOOK, as_version=4)


if __name__ == "__main__":
    sys.exit(main())
