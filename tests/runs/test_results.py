"""Rows are measured once, written at once, and never mixed with others."""

import json
import subprocess
import sys

import pytest

from qfm_jax._checks import InputError
from qfm_jax.parallel import UnitsFailedError
from qfm_jax.runs.results import RESULTS_FORMAT, add_rows, measure_missing, read_rows

CELLS = [{"n": 1, "kind": "a"}, {"n": 2, "kind": "a"}]


def test_rows_are_written_as_they_come_and_kept(tmp_path):
    path, asked = tmp_path / "new" / "file.json", []

    def measure(cell):
        asked.append(cell["n"])
        if cell["n"] == 2 and len(asked) == 2:
            raise KeyboardInterrupt
        return {"value": 10 * cell["n"]}

    with pytest.raises(KeyboardInterrupt):
        measure_missing(path, "test", CELLS, measure)
    assert [row["value"] for row in read_rows(path, "test")] == [10]
    rows = measure_missing(path, "test", CELLS, measure)
    assert asked == [1, 2, 2]
    assert [row["value"] for row in rows] == [10, 20]
    # Rows of other cells stay, and are not returned.
    (other,) = measure_missing(path, "test", [{"n": 3, "kind": ("b",)}], measure)
    assert other["cell"] == {"n": 3, "kind": ["b"]}
    assert len(read_rows(path, "test")) == 3
    measure_missing(path, "test", [{"n": 3, "kind": ("b",)}], measure)
    assert asked == [1, 2, 2, 3]


def test_versions_are_those_of_who_measured(tmp_path):
    theirs = {"machine": "another one"}
    rows = measure_missing(tmp_path / "a.json", "test", CELLS[:1], lambda cell: {})
    assert "python" in rows[0]["versions"]
    measure = lambda cell: {"versions": theirs}  # noqa: E731
    rows = measure_missing(tmp_path / "b.json", "test", CELLS[:1], measure)
    assert rows[0]["versions"] == theirs


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is damaged, or no file of an experiment"),
        ('{"rows": [', "is damaged"),
        ('{"rows": []}', "is damaged.*experiment"),
        ('[{"cell": {}}]', "is damaged"),
        ('{"experiment": "test", "format": 1, "rows": [{"n": 1}]}', "is damaged"),
        (
            '{"experiment": "test", "format": 99, "rows": []}',
            "holds format 99 of 'test'",
        ),
        ('{"experiment": "b", "format": 1, "rows": []}', "holds format 1 of 'b'"),
        ('{"experiment": "test", "format": 1, "rows": [{"cell": 1}]}', "is damaged"),
    ],
)
def test_a_file_that_is_damaged_or_another_is_named_and_left(
    tmp_path, content, sentence
):
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(InputError, match=f"results.json {sentence}"):
        measure_missing(path, "test", CELLS, lambda cell: {})
    assert path.read_text() == content


def test_more_stands_beside_the_rows(tmp_path):
    path = tmp_path / "file.json"
    add_rows(path, "test", [{"cell": {"n": 1}}], tables={"fit": {"factor": 2.0}})
    table = json.loads(path.read_text())
    assert table["format"] == RESULTS_FORMAT
    assert table["fit"] == {"factor": 2.0}
    assert read_rows(path, "test") == [{"cell": {"n": 1}}]
    measure_missing(path, "test", CELLS, lambda cell: {"value": 1})
    assert json.loads(path.read_text())["fit"] == {"factor": 2.0}


def ten_times(cell):
    if cell["n"] == 7:
        raise ArithmeticError("seven")
    return {"value": 10 * cell["n"]}


def test_cells_are_measured_on_a_scheduler(tmp_path, dask_scheduler):
    path = tmp_path / "file.json"
    cells = [{"n": n} for n in (3, 7, 1, 3)]
    sentence = r'1 of the units failed, each tried 3 times: {"n": 7}. The first: Arith'
    with pytest.raises(UnitsFailedError, match=sentence):
        measure_missing(path, "test", cells, ten_times, scheduler=dask_scheduler)
    kept = read_rows(path, "test")
    assert sorted(row["value"] for row in kept) == [10, 30]
    assert all("python" in row["versions"] for row in kept)
    good = [cells[i] for i in (0, 2, 3)]
    rows = measure_missing(path, "test", good, ten_times, scheduler=dask_scheduler)
    assert [row["value"] for row in rows] == [30, 10, 30]
    assert read_rows(path, "test") == kept


ADDING = """
import sys
from qfm_jax.runs.results import add_rows

path, first = sys.argv[1:]
for n in range(int(first), int(first) + 30):
    add_rows(path, "test", [{"cell": {"n": n}}], tables={"facts": {str(n): n}})
"""


def test_processes_that_add_to_one_file_lose_nothing(tmp_path):
    path = tmp_path / "rows.json"
    started = [
        subprocess.Popen([sys.executable, "-W", "ignore", "-c", ADDING, path, first])
        for first in ("0", "30")
    ]
    assert [process.wait() for process in started] == [0, 0]
    found = sorted(row["cell"]["n"] for row in read_rows(path, "test"))
    assert found == list(range(60))
    assert len(json.loads(path.read_text())["facts"]) == 60
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.json"]


def test_a_row_measured_by_another_process_meanwhile_stays(tmp_path):
    path = tmp_path / "rows.json"

    def measure(cell):
        if cell["n"] == 1:
            measure_missing(path, "test", [{"n": 9}], lambda cell: {})
        return {}

    measure_missing(path, "test", CELLS, measure)
    assert sorted(row["cell"]["n"] for row in read_rows(path, "test")) == [1, 2, 9]
