"""Rows are measured once, written at once, and never mixed with others."""

import json

import pytest

from qfm_jax._checks import InputError
from qfm_jax.results import FORMAT, measure_missing, read_rows, write_rows

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
    write_rows(path, "test", [{"cell": {"n": 1}}], fit={"factor": 2.0})
    table = json.loads(path.read_text())
    assert table["format"] == FORMAT
    assert table["fit"] == {"factor": 2.0}
    assert read_rows(path, "test") == [{"cell": {"n": 1}}]
    measure_missing(path, "test", CELLS, lambda cell: {"value": 1})
    assert json.loads(path.read_text())["fit"] == {"factor": 2.0}
