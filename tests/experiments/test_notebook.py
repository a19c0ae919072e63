"""The committed notebook: as its source says, executed, small, free of this machine."""

import copy
import json
import re
import sys

import pytest
from execute_notebook import (
    LARGEST,
    NOTEBOOK,
    SOURCE,
    execute,
    main,
    problems,
    text_of,
)

from qfm_jax._checks import InputError
from qfm_jax.data.archive import UnavailableError

STORED = json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def cells_of_source():
    """(kind, text) of each cell of the percent format; jupytext is not needed."""
    text = SOURCE.read_text(encoding="utf-8").split("# ---\n", 2)[2]
    for part in re.split(r"^# %%", text, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        lines = body.strip().splitlines()
        if "[markdown]" in head:
            yield "markdown", "\n".join(line[2:] for line in lines)
        else:  # commands of the notebook are comments in the source
            yield "code", re.sub(r"^( *)# (?=[%!])", r"\1", body.strip(), flags=re.M)


def test_the_notebook_has_the_cells_of_its_source():
    stored = [
        (cell["cell_type"], text_of(cell["source"]).rstrip("\n"))
        for cell in STORED["cells"]
    ]
    assert stored == list(cells_of_source()), "Call `make notebook`."


def test_it_was_executed_from_top_to_bottom_without_a_problem():
    assert problems(STORED) == []
    counts = [c["execution_count"] for c in STORED["cells"] if c["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))


def test_it_is_small_and_holds_its_figures():
    assert NOTEBOOK.stat().st_size < LARGEST
    shown = [
        output["data"]
        for cell in STORED["cells"]
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    assert len(shown) >= 12


def with_output(output):
    notebook = copy.deepcopy(STORED)
    cell = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    cell["outputs"] = [output]
    return problems(notebook)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({"output_type": "error", "ename": "E", "evalue": "x"}, "ended with E: x"),
        ({"output_type": "stream", "name": "stderr", "text": "a"}, "standard error"),
        ({"output_type": "stream", "text": "in /home/someone/data"}, "shows"),
        ({"output_type": "stream", "text": ["10%\r", "20%\r"]}, "shows"),
        ({"output_type": "stream", "text": "a.py:3: UserWarning: x"}, "shows"),
        (
            {"output_type": "display_data", "data": {"text/html": "/home/someone/x"}},
            "shows",
        ),
    ],
)
def test_what_may_not_stand_in_an_output_is_found(output, words):
    assert [words in problem for problem in with_output(output)] == [True]


def test_a_figure_that_is_missing_and_a_long_cell_are_found():
    notebook = copy.deepcopy(STORED)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    shown = next(c for c in code if text_of(c["source"]).endswith("plot_images(data)"))
    shown["outputs"] = []
    code[0]["source"] = "x = 1\n" * 9
    code[1]["execution_count"] = None
    found = " ".join(problems(notebook))
    assert "ends with a figure, and shows 0" in found
    assert "has 9 lines of code, more than 8" in found
    assert "was not executed" in found


@pytest.mark.parametrize(
    ("package", "arguments"),
    [("nbformat", []), ("jupytext", ["--write"])],
)
def test_a_missing_package_is_named_with_its_cure(
    package, arguments, monkeypatch, capsys
):
    monkeypatch.setattr("execute_notebook.find_archive", lambda name: None)
    monkeypatch.setattr("execute_notebook.compile_quickly", lambda: None)
    monkeypatch.setitem(sys.modules, package, None)
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert f"needs {package}, which is not installed" in said
    assert "pip install 'qfm_jax[notebook]'" in said


@pytest.mark.parametrize("package", ["ipykernel", "nbclient"])
def test_a_kernel_that_is_missing_is_named_too(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=r"The notebook needs .* `make notebook`"):
        execute(None)


def test_without_its_images_it_says_that_it_was_not_executed(monkeypatch, capsys):
    def missing(name):
        raise UnavailableError("Nowhere.")

    monkeypatch.setattr("execute_notebook.find_archive", missing)
    assert main([]) == 0
    assert main(["--write"]) == 2
    assert capsys.readouterr().out.count("NOT EXECUTED: the notebook's images") == 2
