import base64
import dataclasses
import hashlib
import io
import re
import shlex
import tomllib
from html.parser import HTMLParser
from importlib.resources import files
from xml.etree import ElementTree

import numpy as np
import pytest
import tyro
from rich.console import Console
from synthetic_runs import CONCLUSION, NETWORKS, make_run, read_stored_audit

from qfm_jax import InputError
from qfm_jax.commands import Train
from qfm_jax.commands.auditing import AuditCommand, audit_default
from qfm_jax.commands.training import train_default
from qfm_jax.evaluation import percent
from qfm_jax.reporting import (
    leaderboard,
    leaderboard_table,
    summarize,
    write_figures,
    write_report,
)
from qfm_jax.reporting.repetition import audit_command, config_toml, repeat_command
from qfm_jax.reporting.style import looks_of

WARNING = "Fashion-MNIST could not be had; these are the digits of scikit-learn."
TEMPLATES = files("qfm_jax.reporting").joinpath("templates")
HOSTILE = "<script>alert('x')</script>&\"{{ 7 * 7 }}"


class Page(HTMLParser):
    """The parts of a page that the tests ask about."""

    def __init__(self, text):
        super().__init__()
        self.source = text
        self.tags, self.open, self.words = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("img", "meta", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words += data.split()

    def find(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self):
        return " ".join(self.words)


@pytest.fixture(scope="module")
def runs():
    return [make_run(name) for name in reversed(NETWORKS)]


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "deep" / "report.html"
    assert write_report(runs, path) == path
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    return Page(path.read_text(encoding="utf-8"))


def small_run(name, **options):
    """A run whose figures are quickly drawn."""
    return make_run(name, class_names=("Bag", "Coat"), n_test=80, **options)


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    return read_stored_audit(tmp_path_factory.mktemp("audit") / "amplitude")


def said(runs, audits=()):
    """All that the top of the page says."""
    answers = summarize(runs, audits)
    return " ".join(sentence for answer in answers for sentence in answer.sentences)


def write_page(runs, directory):
    return Page(write_report(runs, directory / "report.html").read_text("utf-8"))


def test_page_needs_nothing_but_itself(page):
    for tag in ("link", "iframe", "object", "base"):
        assert page.find(tag) == []
    assert page.find("script") == [{}]
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "poster"):
            address = attributes.get(name, "#")
            assert address.startswith(("#", "data:image/svg+xml;base64,"))
    css = TEMPLATES.joinpath("page.css").read_text("utf-8")
    assert "url(" not in css
    assert "@import" not in css


def test_browsers_run_the_script_of_the_page_alone(page):
    script = TEMPLATES.joinpath("page.js").read_bytes()
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    (policy,) = [a["content"] for a in page.find("meta") if "http-equiv" in a]
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_every_tag_is_closed_and_every_anchor_leads_somewhere(page):
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"] for a in page.find("a")} <= {f"#{name}" for name in ids}


def test_figures_are_whole_and_described(page, runs):
    images = page.find("img")
    # Five of all runs, two of each run, and the circuit of one.
    assert len(images) == 5 + 2 * len(runs) + 1
    for image in images:
        assert len(image["alt"]) > 20
        svg = base64.b64decode(image["src"].split(",", 1)[1])
        root = ElementTree.fromstring(svg)
        assert root.tag.endswith("svg")
        width, height = (float(root.get(side)[:-2]) for side in ("width", "height"))
        drawn = int(image["width"]) / int(image["height"])
        assert drawn == pytest.approx(width / height, rel=0.01)


def test_header_cells_say_what_they_head(page):
    assert {attributes.get("scope") for attributes in page.find("th")} == {"row", "col"}


def test_page_of_four_models_is_small(page):
    assert len(page.source) < 1.5e6


def test_numbers_stand_on_the_page_in_order_of_accuracy(page, runs):
    for run in runs:
        low, high = run.result.scores.accuracy_interval
        name, accuracy = run.result.model, percent(run.result.scores.accuracy)
        row = f"{name} {accuracy} {percent(low)} to {percent(high)}"
        assert row in page.text
    order = [row.label for row in leaderboard(runs)]
    accuracy = {run.result.model: run.result.scores.accuracy for run in runs}
    assert order == sorted(accuracy, key=accuracy.get, reverse=True)
    ids = [f"model-{i}" for i in range(1, len(runs) + 1)]
    headings = [h["id"] for h in page.find("h3")]
    assert headings == ids


def test_page_shows_no_path_of_this_machine_and_no_boast(page, runs):
    assert runs[0].config.data.folder == "/home/someone/data"
    assert "/home" not in page.text
    assert "someone" not in page.text
    assert "advantage" not in page.text.lower()


def test_hostile_names_are_text(tmp_path):
    names = (HOSTILE, "</style><b>", "</title>")
    run = make_run(HOSTILE, class_names=names, n_test=60, warning=HOSTILE)
    page = write_page([run], tmp_path)
    assert page.find("script") == [{}]
    assert page.find("b") == []
    assert page.open == []
    assert page.text.count("<script>alert('x')</script>&\"{{ 7 * 7 }}") >= 5


def test_one_run_without_circuit_two_classes_and_no_mistakes(tmp_path):
    names = ("T-shirt/top", "Trouser")
    run = make_run("linear", class_names=names, skill=100.0, n_test=60)
    page = write_page([run], tmp_path)
    assert "No test image was classified wrongly." in page.text
    assert "One model was trained on 54,000 images" in page.text
    assert len(page.find("img")) == 6


@pytest.fixture(scope="module")
def warned_runs():
    network = dataclasses.replace(NETWORKS["hybrid-cnn"], n_qubits=3, n_layers=40)
    deep = small_run("deep", network=network, warning=WARNING)
    linear = small_run("linear", skill=1.0, warning=WARNING)
    versions = linear.result.versions | {"machine": "Linux, one NVIDIA H100"}
    result = dataclasses.replace(linear.result, versions=versions)
    return [deep, dataclasses.replace(linear, result=result)]


@pytest.fixture(scope="module")
def warned_page(warned_runs, tmp_path_factory):
    return write_page(warned_runs, tmp_path_factory.mktemp("warned"))


def test_same_runs_give_the_same_bytes(warned_runs, warned_page, tmp_path):
    assert write_page(warned_runs[::-1], tmp_path).source == warned_page.source


def test_warnings_stand_once_on_top(warned_page):
    text = warned_page.text
    assert text.count(WARNING) == 1
    assert text.index(WARNING) < text.index("were trained on")
    assert len([a for _, a in warned_page.tags if a.get("role") == "note"]) == 1


def test_deep_circuit_is_drawn_in_part_and_says_so(warned_page):
    assert "of which the first 2 of 40 are drawn" in warned_page.text


def test_no_runs_and_mixed_data_sets_are_refused(runs, tmp_path):
    path = tmp_path / "report.html"
    with pytest.raises(InputError, match="`runs` must hold at least one run, but is"):
        write_report([], path)
    other = make_run("cnn", class_names=("0", "1"), dataset="digits", n_test=60)
    message = r"must share one data set .*, but has digits, fashion-mnist"
    with pytest.raises(InputError, match=message):
        write_report([runs[0], other], path)
    assert not path.exists()


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/report.html cannot be written: .* Cho"):
        write_report([small_run("mlp")], tmp_path / "file" / "report.html")


def test_run_directory_gets_its_figures_and_nothing_else(tmp_path):
    run = small_run("hybrid-cnn", directory=tmp_path)
    directory = write_figures(run)
    assert directory == tmp_path / "hybrid-cnn" / "figures"
    assert list(run.directory.iterdir()) == [directory]
    written = {path.stem for path in directory.iterdir()}
    assert written == {
        "calibration",
        "circuit",
        "class_scores",
        "confusion",
        "mistakes",
        "training_curves",
    }
    for path in directory.iterdir():
        start = {".png": b"\x89PNG", ".svg": b"<?xml"}[path.suffix]
        assert path.read_bytes().startswith(start)
    assert len(list(directory.iterdir())) == 2 * len(written)


def test_terminal_table_fits_80_columns(runs):
    long = make_run("a-model-with-a-very-long-name", n_test=300)
    wide = dataclasses.replace(
        long, result=dataclasses.replace(long.result, n_parameters_quantum=20_480)
    )
    console = Console(width=80, file=io.StringIO())
    console.print(leaderboard_table([*runs, wide]))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    row = next(line for line in lines if line.strip().startswith("hybrid-cnn"))
    low, high = leaderboard(runs)[0].accuracy_interval
    assert f"({percent(low)}\u2013{percent(high)})" in row
    assert row.split()[-5:] == ["48", "+", "97,952", "123.4", "4,000"]
    assert any("20,480 + 98,000" in line for line in lines)


def test_summary_compares_the_circuit_with_its_control_only(runs):
    text = said(runs)
    by_name = {run.result.model: run for run in runs}
    hybrid = percent(by_name["hybrid-cnn"].result.scores.accuracy)
    control = percent(by_name["cnn"].result.scores.accuracy)
    assert f"hybrid-cnn reaches {hybrid} %, and cnn, the same network" in text
    assert f"{control} %. The 95 % intervals of these two overlap;" in text
    assert "same network" not in said([by_name["hybrid-cnn"], by_name["mlp"]])


def test_summary_says_which_models_learn():
    skilled, lucky = make_run("hybrid-cnn"), make_run("linear", skill=0.01)
    confusion = np.array(skilled.result.scores.confusion)
    guess = (
        f"guessing the most frequent class ({100 * confusion.sum(1).max() / 2000:.1f}"
    )
    assert f"All beat always {guess} %)" in said([skilled, make_run("cnn")])
    text = said([skilled, lucky])
    assert f"Not surely better than always {guess} %): linear." in text
    assert "best model with a circuit is hybrid-cnn" in text
    assert "the best without one linear" in text
    assert "intervals do not overlap" in text
    assert "and does not beat always" in said([lucky])
    assert "with a circuit" not in said([lucky])


def test_summary_holds_verdicts_and_says_what_is_not_audited(runs, audit):
    assert CONCLUSION in said(runs, [audit])
    images = f"{audit.n_train:,} training images of"
    assert f"amplitude, audited on {images}" in said(runs, [audit])
    assert "Not audited here: hybrid-cnn." in said(runs, [audit])
    audited = make_run("amplitude", network=audit.config.run.network)
    assert "Not audited" not in said([audited], [audit])
    questions = [answer.question for answer in summarize([make_run("linear")])]
    assert questions == ["Which models learn?"]


def test_audits_have_a_section_of_their_own(audit, page, tmp_path):
    path = tmp_path / "report.html"
    audits, left_out = [dataclasses.replace(audit, warning=HOSTILE)], ["Left out: x."]
    write_report([small_run("linear")], path, audits=audits, left_out=left_out)
    with_audits = Page(path.read_text("utf-8"))
    assert "Note. Left out: x." in with_audits.text
    assert f"amplitude: {CONCLUSION[:-1]}" in with_audits.text
    control = {result.name: result for result in audit.results}[audit.control]
    mean, (low, high) = control.difference.mean, control.difference.interval
    limits = f"{100 * mean:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"
    assert limits in with_audits.text
    assert "qfm audit amplitude --dataset fashion-mnist" in with_audits.text
    assert HOSTILE in with_audits.text
    assert "Wilcoxon" in with_audits.text
    assert "Wilcoxon" not in page.text
    assert {"#audits", "#leaderboard"} <= {a["href"] for a in with_audits.find("a")}
    assert "#audits" not in {a["href"] for a in page.find("a")}


def test_audit_command_parses_into_the_same_audit(audit):
    qfm, command, name, *options = shlex.split(audit_command(audit))
    assert (qfm, command, name) == ("qfm", "audit", "amplitude")
    default = audit_default([name, *options])
    parsed = tyro.cli(AuditCommand, args=[name, *options], default=default).config
    # How many train together changes the time alone.
    same = dataclasses.replace(parsed, together=audit.config.together)
    assert same == audit.config


def test_times_of_two_machines_are_told_apart(page, warned_page):
    sentence = "Not all on the same machine, so that their times do not compare."
    assert sentence in warned_page.text
    assert "Linux, one NVIDIA H100" in warned_page.text
    assert sentence not in page.text


def test_without_scripts_nothing_waits_to_be_pressed(page):
    assert page.find("button") == page.find("dialog") == []


def test_summary_says_when_intervals_do_not_overlap():
    runs = [make_run("hybrid-cnn", skill=2.0), make_run("cnn", skill=9.0)]
    assert "intervals of these two do not overlap" in said(runs)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_control_has_the_same_seed(seed):
    runs = [make_run("hybrid-cnn"), make_run("cnn", seed=seed)]
    assert ("same network" in said(runs)) == (seed == 0)


def test_command_parses_into_the_same_run():
    """Every option of the command is one of `qfm train`, and means what was run."""
    network = dataclasses.replace(
        NETWORKS["hybrid-cnn"], channels=(4, 8), n_qubits=5, embedding="amplitude"
    )
    run = make_run("hybrid-cnn", network=network, seed=3)
    qfm, train, name, *options = shlex.split(repeat_command(run))
    assert (qfm, train, name) == ("qfm", "train", "hybrid-cnn")
    default = train_default([name, *options])
    parsed = tyro.cli(Train, args=[name, *options], default=default)
    data = dataclasses.replace(run.config.data, folder="data")
    assert parsed.config == dataclasses.replace(run.config, data=data)


def test_toml_holds_the_configuration_without_the_folder():
    config = make_run("hybrid-cnn").config
    table = tomllib.loads(config_toml(config))
    assert table["network"]["n_qubits"] == 8
    assert table["training"]["augment"] is True
    assert table["data"] == {"name": "fashion-mnist", "folder": "data", "classes": []}


def test_classes_and_trunk_are_repeated_without_the_machines_folders():
    run = make_run("hybrid-cnn")
    data = dataclasses.replace(run.config.data, classes=("Dress", "T-shirt/top"))
    config = dataclasses.replace(run.config, data=data, trunk="/home/me/runs/cnn")
    command = repeat_command(dataclasses.replace(run, config=config))
    assert "--classes Dress T-shirt/top" in command
    assert "--trunk cnn" in command
    assert "/home" not in command + config_toml(config)


def test_looks_are_made_once_a_page(runs, tmp_path, monkeypatch):
    asked = []

    def counted(labels):
        asked.append(labels)
        return looks_of(labels)

    monkeypatch.setattr("qfm_jax.reporting.style.looks_of", counted)
    write_report(runs, tmp_path / "report.html")
    assert len(asked) == 1


def test_glossary_defines_every_column(page):
    terms = page.text[page.text.index("Terms Accuracy") :]
    for word in ("interval", "F1", "Log-loss", "Calibration error"):
        assert re.search(rf"\b{word}\b", terms)
