"""The study's page, from the raw numbers to the file."""

import copy
import json
import re
import shutil
from html.parser import HTMLParser

import pytest
from study_folder import fill, rows_of, stored, write, write_page
from synthetic_runs import CONCLUSION, RESULTS

from qfm_jax._checks import InputError
from qfm_jax.growth import Growth
from qfm_jax.reporting import Study, write_study
from qfm_jax.reporting.scaling_section import (
    scaled_accuracy,
    scaled_random,
    scaled_steps,
)

HOSTILE = "<script>alert('x')</script>&\"{{ 7 * 7 }}"
SECTIONS = (
    *("summary", "leaderboard", "fronts", "audits", "hardware", "scaling"),
    *("records", "terms"),
)


class Page(HTMLParser):
    """The text of a page, the attributes of its tags, the cells of its leaderboard."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.words = [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(re.sub("(?s)<(style|script)>.*?</(style|script)>", "", self.source))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words += data.split()

    def find(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self):
        return " ".join(self.words)


@pytest.fixture
def study(experiment):
    return experiment("write_study")


@pytest.fixture
def parts(experiment):
    return experiment("study_parts")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All files of the study, and an audit of an older version."""
    folder = fill(tmp_path_factory.mktemp("results"), names={"cnn-2k": HOSTILE})
    table = json.loads((folder / "audit_amplitude.json").read_text())
    write(folder, "audit_old", table | {"format": 1})
    return folder


@pytest.fixture(scope="module")
def path(folder, tmp_path_factory):
    return write_page(folder, tmp_path_factory.mktemp("page") / "deep" / "study.html")


@pytest.fixture(scope="module")
def page(path):
    return Page(path)


@pytest.fixture(scope="module")
def rows(folder):
    rows = json.loads((folder / "compare_models.json").read_text())["rows"]
    return sorted(rows, key=lambda row: -row["accuracy"])


def test_sections_stand_in_order_and_links_lead_somewhere(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert [name for name in ids if name in SECTIONS] == list(SECTIONS)
    assert len(set(ids)) == len(ids)
    assert {link["href"] for link in page.find("a")} <= {f"#{name}" for name in ids}


def test_the_page_needs_nothing_but_itself(page, path, folder):
    assert [p.name for p in path.parent.iterdir()] == ["study.html"]
    for _, attributes in page.tags:
        for name in ("src", "href"):
            address = attributes.get(name, "#")
            assert address.startswith(("#", "data:image/svg+xml;base64,"))
    assert str(folder) not in page.source
    assert str(RESULTS.parents[1]) not in page.source


def test_the_leaderboard_has_the_numbers_and_sorts_by_them(page, rows):
    start = page.source.index('<table class="sortable">')
    table = page.source[start : page.source.index("</table>", start)]
    assert 'aria-sort="descending">Accuracy, %' in table
    values = re.findall(r'<td data-value="([^"]*)">(.*?)</td>', table)
    n_columns = 9  # that hold numbers
    assert len(values) == n_columns * len(rows)
    for i, row in enumerate(rows):
        cells = values[n_columns * i : n_columns * (i + 1)]
        assert float(cells[0][0]) == row["accuracy"]
        assert cells[0][1] == f"{100 * row['accuracy']:.2f}"
        low, high = row["accuracy_interval"]
        assert cells[1][1] == f"{100 * low:.2f}\u2013{100 * high:.2f}"
        assert cells[2] == (
            str(row["n_parameters_quantum"]),
            f"{row['n_parameters_quantum']:,}",
        )
        is_known = row["n_parameters_classical"] is not None
        assert (cells[3] == ("-1", "")) == (not is_known)
        n_frozen = row["n_parameters_frozen"]
        assert cells[3][1].endswith(f"<br>+ {n_frozen:,}<br>frozen") == (n_frozen > 0)
        assert (cells[4] == ("-1", "")) == (not row["seconds_of_epochs"])
        assert float(cells[7][0]) == pytest.approx(row["peak_memory_bytes"] / 2**20)
        assert cells[8][1] == f"{row['executions_per_image']:,}"


def test_each_number_says_what_repeats_it(page, rows, parts):
    for i, row in enumerate(rows):
        assert f'<div id="model-{i + 1}">' in page.source
        assert f"Repeat {row['cell']['model']}: command" in page.text
    assert (
        "compare_models.py --preset laptop --models hybrid-cnn # the training alone: "
        "qfm train hybrid-cnn --dataset fashion-mnist" in page.text
    )
    assert "qfm audit amplitude --dataset fashion-mnist" in page.text
    assert "accuracy_vs_cost.py --preset laptop --backend fake_torino" in page.text
    for name in ("scale_qubits", "scale_data"):
        assert f"experiments/{name}.py --preset laptop" in page.text
    records = stored("zoo")["rows"]
    repeats = [text for text in page.words if text == "Repeat"]
    assert len(repeats) == len(rows) + 1 + 1 + 1 + 2 + len(records)


def test_the_summary_says_what_the_numbers_say(page, rows):
    best = rows[0]
    assert f"highest test accuracy, {100 * best['accuracy']:.1f} %" in page.text
    audit = stored("audit_amplitude")
    assert f"amplitude, audited on {audit['n_train']:,} training images" in page.text
    assert "Not audited on this page: hybrid-cnn" in page.text
    assert "would take about" in page.text
    assert "of a slope with random weights by" in page.text


def test_what_is_left_out_is_said_on_the_page(page):
    said = "Left out: audit_old.json has format 1, and"
    assert f"Note. {said}" in page.text
    # The other one is there.
    assert f"amplitude: {CONCLUSION[:-1]}" in page.text


def test_verdicts_of_several_audits_are_counted(tmp_path):
    for name, verdict in (("a", "hurts"), ("b", "helps"), ("c", "hurts")):
        table = stored("audit_amplitude") | {"verdict": verdict}
        table["twins"]["removed"]["verdict"] = verdict
        write(tmp_path, f"audit_{name}", table)
    page = Page(write_page(tmp_path, tmp_path / "study.html"))
    counted = "“the circuit hurts” 2 times, “the circuit helps” once."
    assert f"The verdict of 3 audits: {counted}" in page.text


def test_what_linear_lacks_is_said_and_removed_stands_beside_it(tmp_path):
    write(tmp_path, "audit_hybrid", stored("audit_hybrid-cnn_short"))
    page = Page(write_page(tmp_path, tmp_path / "study.html"))
    assert "hybrid-cnn: the circuit with its squashing hurts" in page.text
    assert "p = 0.014): the circuit with its squashing hurts. Against rem" in page.text
    one = "hybrid-cnn is 0.85 points lower (95 % interval -1.32 to -0.58, 10 seeds"
    assert f"{one}, Holm-adjusted p = 0.014): the circuit hurts." in page.text


def test_names_are_text(page):
    assert HOSTILE not in page.source
    assert HOSTILE in page.text


def test_the_same_files_give_the_same_bytes_and_an_old_page_goes(
    page, path, folder, tmp_path
):
    again = tmp_path / "study.html"
    shutil.copy(path, again)
    again.write_text(page.source.replace("</html>", "<!-- older -->"), "utf-8")
    write_page(folder, again)
    assert again.read_text(encoding="utf-8") == page.source


def test_nothing_but_a_page_of_the_study_is_replaced(study, tmp_path):
    fill(tmp_path)
    for name in ("accuracy_vs_cost", "hardware_limits", "scale_qubits", "scale_data"):
        (tmp_path / f"{name}.json").unlink()
    out = tmp_path / "zoo.json"
    before = out.read_bytes()
    given = ["--results", str(tmp_path), "--out"]
    with pytest.raises(InputError, match=r"`out` must .*zoo\.json is something else"):
        study.main([*given, str(out)])
    assert out.read_bytes() == before
    with pytest.raises(InputError, match=r"`out` must .* cannot be read"):
        study.main([*given, str(tmp_path)])
    with pytest.raises(InputError, match=r"cannot be written: .* Choose another path"):
        study.main([*given, str(out / "study.html")])
    with pytest.raises(InputError, match="`study` must hold a part to show"):
        write_study(Study(), tmp_path / "nothing.html")


def test_an_empty_folder_says_what_to_run(study, tmp_path):
    write(tmp_path, "bench_seeds", {"rows": []})
    out = tmp_path / "study.html"
    for folder in (tmp_path, tmp_path / "not there"):
        with pytest.raises(
            InputError, match=r"holds no file of the study.*compare_models\.py"
        ):
            study.main(["--results", str(folder), "--out", str(out)])
    write(tmp_path, "zoo", "{")
    with pytest.raises(InputError, match=r"Nothing in .*Left out: zoo\.json is damag"):
        study.main(["--results", str(tmp_path), "--out", str(out)])
    assert not out.exists()


def broken(change):
    """The comparison with something wrong in its first row."""
    table = stored("compare_models")
    table["rows"] = copy.deepcopy(rows_of(table))
    change(table, table["rows"][0])
    return table


DAMAGE = {
    "half": ('{"experiment": "compare_models", "ro', "compare_models.json is damaged"),
    "a list": ("[]", "compare_models.json is damaged"),
    "deep": ("[" * 100_000, "compare_models.json is damaged"),
    "version": (lambda t, row: t.update(format=9), "has format 9, and 1 is read"),
    "other": (
        lambda t, row: t.update(experiment="scale_data"),
        "must hold rows of 'compare_models', but holds those of 'scale_data'",
    ),
    "share": (
        lambda t, row: row.update(accuracy=7.2),
        "must lie in [0, 1], but is 7.2",
    ),
    "text": (
        lambda t, row: row.update(seconds_training="9"),
        "must be a finite number",
    ),
    "nan": (
        lambda t, row: row.update(seconds_per_image=float("nan")),
        "must be a finite number",
    ),
    "missing": (lambda t, row: row.pop("peak_memory_bytes"), "peak_memory_bytes"),
    "twice": (lambda t, row: t["rows"].append(row), "holds two rows of one model"),
    "config": (
        lambda t, row: row["config"]["network"].update(n_qubits="4"),
        "compare_models.json is damaged",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_named_and_left_out(study, tmp_path, capsys, kind):
    content, sentence = DAMAGE[kind]
    table = content if isinstance(content, str) else broken(content)
    write(tmp_path, "compare_models", table)
    shutil.copy(RESULTS / "zoo.json", tmp_path)
    found = study.read_study(tmp_path)
    assert found.comparison is None
    assert found.records is not None
    left_out, absent = found.notes
    assert left_out.startswith("Left out: compare_models.json")
    assert sentence in left_out
    assert str(tmp_path) not in left_out
    assert "audit_*.json (qfm audit" in absent
    study.main(["--results", str(tmp_path), "--out", str(tmp_path / "study.html")])
    assert left_out in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("accuracy_vs_cost", lambda t: t["rows"][0].pop("seconds_qpu_per_image")),
        ("hardware_limits", lambda t: t["rows"][0].update(flipped=-1)),
        ("hardware_limits", lambda t: t["costs"]["amplitude"].update(shots=None)),
        ("scale_qubits", lambda t: t["rows"].pop()),
        ("scale_qubits", lambda t: t["rows"][0].update(memory_bytes=0)),
        ("scale_data", lambda t: t["rows"][0].update(accuracy=[0.5, None, 0.5])),
        ("zoo", lambda t: t["rows"][0]["result"].update(n_parameters_quantum=-1)),
        ("audit_amplitude", lambda t: t.pop("verdict")),
        ("audit_amplitude", lambda t: t.update(control="none of these")),
    ],
)
def test_each_file_can_be_left_out(study, tmp_path, name, change):
    table = stored(name)
    change(table)
    write(tmp_path, name, table)
    keep = "scale_data" if name == "zoo" else "zoo"
    shutil.copy(RESULTS / f"{keep}.json", tmp_path)
    found = study.read_study(tmp_path)
    assert found.notes[0].startswith(f"Left out: {name}.json")
    parts = (found.comparison, found.devices, found.records, *found.scalings)
    assert sum(part is not None for part in (*parts, *found.audits)) == 1


def test_the_larger_preset_with_most_of_the_models_is_shown(study, parts, tmp_path):
    table = stored("compare_models")
    laptop = rows_of(table)
    full = copy.deepcopy(laptop)
    for row in full:
        is_trained = row["cell"]["epochs"] is not None
        row["cell"] |= {"preset": "full", "train_size": None}
        row["cell"] |= {"epochs": 10} if is_trained else {}
    table["rows"] = [*laptop, *full]

    def shown(preset=None):
        rows = parts.comparison_of(table, preset, {"rows": []}).rows
        return {row["cell"]["preset"] for row in rows}

    assert shown("laptop") == {"laptop"}
    table["rows"].pop()
    assert shown() == {"full"}  # though one model is missing
    del table["rows"][len(laptop) + len(laptop) // 2 :]
    assert shown() == {"laptop"}
    write(tmp_path, "compare_models", table)
    with pytest.raises(InputError, match=r"`preset` must .* no row of 'smoke'\. Run"):
        study.read_study(tmp_path, "smoke")
    (tmp_path / "compare_models.json").unlink()
    shutil.copy(RESULTS / "zoo.json", tmp_path)
    with pytest.raises(InputError, match=r"`preset` must .* no row of 'full'"):
        study.read_study(tmp_path, "full")


def test_a_comparison_says_what_it_lacks(parts):
    table = stored("compare_models")
    table["rows"] = rows_of(table)
    (hybrid,) = rows_of(table, models=("hybrid-cnn",))
    hybrid["config"]["training"]["learning_rate"] = 1.0
    found = parts.comparison_of(table, None, {"rows": []})
    assert "mlp" in found.missing
    assert "linear" not in found.missing
    assert "hybrid-cnn" in found.outdated
    assert set(found.unpriced) == {"hybrid-cnn", "quanvolution"}
    priced = parts.comparison_of(table, None, stored("accuracy_vs_cost"))
    assert priced.unpriced == []
    assert "--learning-rate 1.0" in str([r.command for r in found.repeats])


def test_versions_of_several_machines_are_all_there(parts):
    rows = [{"versions": {"jax": "1", "machine": name}} for name in ("a", "b", "a")]
    assert parts.versions_of(rows) == {"jax": "1", "machine": "a and b"}


def step(n_qubits, seconds):
    cell = {"n_qubits": n_qubits, "n_layers": 2, "batch": 1}
    return {"cell": cell, "times_s": [seconds] * 3, "memory_bytes": 2.0**20 * n_qubits}


def test_what_a_step_costs_is_said_with_its_growth():
    records = [step(12, 0.4), step(2, 0.001), step(10, 0.1)]
    fit = Growth(0.0, 1e-6, 1, 0.25)
    found = scaled_steps(records, fit, Growth(0.0, 1.0, 0, 0.0), until=30)
    first, memory, paper = found.sentences
    assert "(2 layers) take 1 ms on 2 qubits and 400 ms on 12, 2.0 times" in first
    assert "2 MiB on 2 qubits and 12 MiB on 12" in memory
    assert "30 qubits would take 537 minutes and 1 GiB" in paper
    assert "off by up to 25 %" in paper
    assert len(scaled_steps(records, fit, fit, until=12).sentences) == 2


def test_slopes_are_divided_by_every_qubit():
    records = [
        {
            "cell": {"n_qubits": n, "n_layers": 8},
            "gradient_variance": {"local": [3.0**-n, 1e-6], "global": [4.0**-n, 1e-6]},
            "expressibility": [0.1, 0.01],
            "expressibility_floor": 0.05,
            "entangling_capability": [0.8, 0.01],
        }
        for n in (2, 4, 6)
    ]
    (sentence,) = scaled_random(records).sentences
    assert "With 8 layers, from 2 to 6 qubits" in sentence
    assert "by 3.00 for a local observable and by 4.00 for a global" in sentence


def test_models_are_compared_with_their_twins_at_the_same_place():
    found = {
        ("a", 1): [0.5, 0.51, 0.49],
        ("b", 1): [0.8, 0.81, 0.79],
        ("a", 2): [0.6, 0.7, 0.8],
        ("b", 2): [0.5, 0.7, 0.8],
        ("a", 3): [0.9, 0.91, 0.9],
    }
    records = [
        {"cell": {"model": model, "n": n}, "accuracy": accuracy}
        for (model, n), accuracy in found.items()
    ]
    made = scaled_accuracy(records, {"n": 1}, {"n": "things"}, {"a": "b"}, "By things")
    assert made.sentences == (
        "By things: the mean of “a” is higher than that of “b” in 1 of 2 settings; "
        "their 95 % intervals are apart in 1, with it above in 0.",
        "Against things: a 50.0 % at 1 and 90.3 % at 3; b 80.0 % at 1 and 66.7 % at 2.",
    )
    near = [record for record in records if record["cell"]["n"] == 2]
    made = scaled_accuracy(near, {"n": 2}, {"n": "things"}, {"a": "b"}, "By things")
    (sentence,) = made.sentences
    assert sentence.endswith("in 1 of 1 settings; their 95 % intervals overlap in all.")
