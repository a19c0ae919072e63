"""`qfm` as it is typed: what it prints, writes and refuses."""

import contextlib
import io
import json
import re
import runpy
import shutil
import sys

import numpy as np
import pytest
from PIL import Image
from synthetic_runs import CONCLUSION, read_stored_audit

from qfm_jax import __version__
from qfm_jax.cli import COMMANDS, main
from qfm_jax.models.prediction import predict_logits
from qfm_jax.runs.directory import read_config, read_run
from qfm_jax.runs.model import load_model
from qfm_jax.runs.presets import MODELS

DIGITS = ["--dataset", "digits"]
SMOKE = ["--preset", "smoke", *DIGITS, "--models", "linear", "mlp"]


def qfm(*arguments):
    """The exit status of a command."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as end:  # tyro ends the process itself
        return end.code


def one_line(text):
    """Without the colours, frames and line breaks of a terminal."""
    plain = re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─┃]", " ", text)
    return " ".join(plain.split())


@pytest.fixture(autouse=True)
def wide_terminal_in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def undrawn(monkeypatch):
    """Runs get no figures: to draw them takes longer than to train."""
    monkeypatch.setattr("qfm_jax.commands.training.write_figures", lambda run: None)


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    """What `qfm train` wrote."""
    directory = tmp_path_factory.mktemp("train") / "run"
    options = ["--train-size", 500, "--epochs", 3, "--seed", 1, "--out", directory]
    assert qfm("train", "linear", *DIGITS, *options) == 0
    return directory


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """What `qfm compare` wrote: a directory, and its output."""
    directory = tmp_path_factory.mktemp("compare") / "out"
    with contextlib.redirect_stdout(io.StringIO()) as output:
        assert qfm("compare", *SMOKE, "--out", directory) == 0
    return directory, output.getvalue()


def snapshot(directory):
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def weights_and_scores(directory):
    """All files but the drawings and the report."""
    is_drawn = {".png", ".svg", ".html"}
    files = snapshot(directory).items()
    return {path: content for path, content in files if path.suffix not in is_drawn}


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_every_command(capsys, arguments):
    assert qfm(*arguments) == 0
    printed = capsys.readouterr().out
    assert all(f"\n  {name} " in printed for name in COMMANDS)


def test_version(capsys):
    assert qfm("--version") == 0
    assert capsys.readouterr().out == f"qfm {__version__}\n"


def test_the_package_is_the_command_too(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["qfm_jax", "--version"])
    with pytest.raises(SystemExit, match=r"^0$"):
        runpy.run_module("qfm_jax", run_name="__main__")
    assert capsys.readouterr().out == f"qfm {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_help_line(capsys, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")  # wider, boxes of options stand side by side
    assert qfm(command, "--help") == 0
    printed = one_line(capsys.readouterr().out)
    assert f"usage: qfm {command}" in printed
    name_or_type = r"--[a-z-]+|STR|INT|FLOAT|DIR|PATH|[\]}]"
    assert not re.findall(rf"(?:{name_or_type}) \((?:default|required)[^)]*\)", printed)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["trian"], "There is no command 'trian'. Did you mean 'train'"),
        (["train", "hybrid"], "`model` must be one of .* Did you mean 'hybrid-cnn'"),
        (
            ["train"],
            "`MODEL` must be the first argument of `qfm train`, but is missing",
        ),
        (
            ["train", "--epochs", "3"],
            "`MODEL` .* but is '--epochs'. Choose one of linea",
        ),
        (["train", "mlp", "--dataset", "digit"], "`name` must .* mean 'digits'"),
        (
            ["train", "mlp", *DIGITS, "--device", "lightning"],
            "`device` must be .* Did you mean 'lightning.qubit'",
        ),
        (
            ["train", "mlp", *DIGITS, "--diff-method", "backprob"],
            "`diff_method` must be .* Did you mean 'backprop'",
        ),
        (
            ["train", "hybrid-cnn", *DIGITS, "--shots", 9, "--diff-method", "backprop"],
            "`diff_method` must work on sampled expectations when `shots` is set",
        ),
        (["train", "mlp", *DIGITS, "--epochs", 0], "`epochs` must .* but is 0"),
        (["train", "mlp", *DIGITS, "--batch-size", -1], "`batch_size` must .* is -1"),
        (["train", "mlp", *DIGITS, "--train-size", 0], "`train_size` must .* is 0"),
        (["train", "mlp", *DIGITS, "--test-size", -3], "`test_size` must .* is -3"),
        (["train", "mlp", *DIGITS, "--seed", -1], "`seed` must .* but is -1"),
        (["train", "mlp", *DIGITS, "--n-layers", 0], "`n_layers` must .* is 0"),
        (["train", "mlp", *DIGITS, "--epochs", "many"], "many"),
        (["train", "mlp", *DIGITS, "--epoch", 3], "(?i)unrecognized.*--epoch"),
        (
            ["train", "mlp", "--data-dir", "nowhere"],
            "`folder` must .*nowhere is not the",
        ),
        (
            ["train", "hybrid-cnn", *DIGITS, "--n-qubits", 60],
            r"`n_qubits` must leave the state vectors .* is 60: 2\^60 amplitudes x",
        ),
        (
            [
                *("train", "hybrid-cnn", *DIGITS, "--device", "default.qubit"),
                *("--n-qubits", 24, "--batch-size", 10**8),
            ],
            r"`n_qubits` must leave .* 2\^24 amplitudes x 1318 circuits x 8 bytes",
        ),
        (
            ["train", "--resume", "nowhere"],
            "nowhere holds no run: there is no config.to",
        ),
        (["compare", "--preset", "demmo"], "`preset` must .* Did you mean 'demo'"),
        (["compare", *DIGITS, "--models", "mpl"], "`model` must .* Did you mean 'mlp'"),
        (["compare", *SMOKE, "--train-size", 0], "`train_size` must .* but is 0"),
        (["compare", *SMOKE, "--epochs", 0], "`epochs` must .* but is 0"),
        (
            ["compare", *SMOKE, "--resume", "nowhere"],
            "must name a directory that `qfm compare` wrote, but nowhere holds no",
        ),
        (["data", "cifar"], "`name` must be one of auto, digits"),
        (
            ["train", "linear", *DIGITS, "--classes", "3"],
            "`classes` must name two classes or more, but names '3' alone",
        ),
        (["evaluate", "nowhere"], "nowhere holds no run"),
        (["predict", "nowhere", "image.png"], "`path` .*image.png is not there"),
        (["report", "nowhere"], "nowhere holds no run"),
    ],
)
def test_bad_input_is_a_sentence_and_writes_nothing(
    capsys, tmp_path, arguments, sentence
):
    assert qfm(*arguments) == 2
    printed = capsys.readouterr()
    assert re.search(sentence, one_line(printed.err))
    assert "Traceback" not in printed.err
    assert list(tmp_path.iterdir()) == []


def test_train_writes_a_run(run_directory):
    config = read_config(run_directory)
    assert (config.model, config.seed, config.training.epochs) == ("linear", 1, 3)
    table = json.loads((run_directory / "scores.json").read_text())
    assert table["n_test"] == 360
    assert table["n_train"] == 500
    assert table["n_parameters"] == 7850
    low, high = table["accuracy_interval"]
    assert 0.7 < low < table["accuracy"] < high < 1
    assert len((run_directory / "metrics.jsonl").read_text().splitlines()) == 3
    assert {path.suffix for path in run_directory.rglob("*.[ps][nv]g")} == {
        ".png",
        ".svg",
    }


@pytest.mark.usefixtures("undrawn")
def test_classes_are_kept_by_a_run_and_when_it_is_scored_again(tmp_path):
    out = tmp_path / "run"
    options = ["--classes", 8, 3, "--train-size", 100, "--epochs", 2, "--out", out]
    assert qfm("train", "linear", *DIGITS, *options) == 0
    table = json.loads((out / "scores.json").read_text())
    assert table["class_names"] == ["8", "3"]
    assert table["n_parameters"] == 2 * 785
    assert read_config(out).data.classes == ("8", "3")
    assert qfm("evaluate", out, "--test-size", 20) == 0
    assert qfm("train", "--resume", out) == 0


@pytest.mark.usefixtures("undrawn")
def test_train_says_where_the_run_lies(capsys, tmp_path):
    options = [*DIGITS, "--train-size", 500, "--epochs", 3, "--seed", 1]
    assert qfm("train", "linear", *options) == 0
    printed = capsys.readouterr()
    assert "Run directory: runs/linear-digits-seed1\n" in printed.out
    assert "linear" in printed.out.splitlines()[0] + printed.out
    assert [line[:9] for line in printed.err.splitlines()].count("epoch 1/3") == 1
    assert (tmp_path / "runs" / "linear-digits-seed1" / "scores.json").exists()


def test_train_refuses_a_directory_with_a_run(capsys, run_directory):
    before = snapshot(run_directory)
    assert qfm("train", "linear", *DIGITS, "--out", run_directory) == 2
    assert "already holds a run, and nothing is overwritten" in capsys.readouterr().err
    assert snapshot(run_directory) == before


def test_train_refuses_a_directory_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "file").write_text("x")
    assert qfm("train", "linear", *DIGITS, "--out", tmp_path / "file" / "run") == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.usefixtures("undrawn")
def test_resume_keeps_a_finished_run(capsys, run_directory):
    before = weights_and_scores(run_directory)
    assert qfm("train", "--resume", run_directory) == 0
    assert weights_and_scores(run_directory) == before
    assert f"Run directory: {run_directory}" in capsys.readouterr().out


def test_options_of_version_0_1_go_by_their_new_names(tmp_path):
    words = ["linear", *DIGITS, "--train-size", "50", "--epochs", "1"]
    assert qfm("train", *words, "--readout=scale", "--out", tmp_path / "run") == 0
    assert read_config(tmp_path / "run").network.head == "scale"


def test_resume_with_other_options_names_them(capsys, run_directory):
    options = ["--epochs", 9, "--learning-rate", 0.1]
    assert qfm("train", "linear", "--resume", run_directory, *options) == 2
    error = capsys.readouterr().err
    assert "training.epochs is 3 there and 9 here" in error
    assert "training.learning_rate is 0.004 there and 0.1 here" in error
    assert qfm("train", "linear", "--resume", run_directory, "--out", "new") == 2
    assert "`--out` must be left out with --resume" in capsys.readouterr().err


def test_evaluate_repeats_the_accuracy(capsys, run_directory, tmp_path):
    out = tmp_path / "again.json"
    assert qfm("evaluate", run_directory, "--out", out) == 0
    stored = json.loads((run_directory / "scores.json").read_text())
    table = json.loads(out.read_text())
    for name in ("accuracy", "log_loss", "confusion", "n_test"):
        assert table[name] == stored[name]
    assert f"{stored['accuracy']:.2%} of 360 test images" in capsys.readouterr().out
    before = out.read_bytes()
    assert qfm("evaluate", run_directory, "--out", out) == 2
    assert "exists, and nothing is overwritten" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert qfm("evaluate", run_directory, "--out", tmp_path / "no" / "a.json") == 2
    assert "`--out` must lie in a folder that exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (["--test-size", 0], "`samples` must .* is 0"),
        (["--shots", 0], "`shots` must be a whole number of at least 1, but is 0"),
        (["--device", "nothing"], "`device` must be one of"),
        (["--mitigation", "zne"], "`--mitigation` must .* a model without a circuit"),
        (["--noise", "none"], "`--noise` must .* a model without a circuit, but is"),
    ],
)
def test_evaluate_refuses(capsys, run_directory, option, sentence):
    assert qfm("evaluate", run_directory, *option) == 2
    assert re.search(sentence, capsys.readouterr().err)


def test_evaluate_scores_fewer_images(capsys, run_directory):
    assert qfm("evaluate", run_directory, "--test-size", 100) == 0
    assert "of 100 test images" in capsys.readouterr().out


def test_predict_reads_images_of_your_own(capsys, run_directory, digits, tmp_path):
    images = digits.test.pixels[:3]
    Image.fromarray(images[0]).save(tmp_path / "one.png")
    Image.fromarray(images[1]).convert("RGB").save(tmp_path / "two.jpg", quality=100)
    np.save(tmp_path / "three.npy", images[2])
    files = [tmp_path / name for name in ("one.png", "two.jpg", "three.npy")]
    assert qfm("predict", run_directory, *files, "--top", 2) == 0
    printed = capsys.readouterr().out
    logits = predict_logits(load_model(read_run(run_directory)), images)
    for path, row in zip(files, logits, strict=True):
        (line,) = [line for line in printed.splitlines() if path.name in line]
        first, second = re.findall(r"(\d) (\d+\.\d)%", line)
        assert int(first[0]) == row.argmax()
        assert float(first[1]) >= float(second[1])


def test_predict_names_the_cure_for_a_wrong_size(capsys, run_directory, tmp_path):
    Image.new("L", (40, 30)).save(tmp_path / "large.png")
    assert qfm("predict", run_directory, "large.png") == 2
    error = capsys.readouterr().err
    assert "must name an image of 28 x 28 pixels, but large.png has 30 x 40" in error
    assert "--resize" in error
    assert qfm("predict", run_directory, "large.png", "--resize") == 0
    assert "large.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "IMAGES|required|missing"),
        (["missing.png"], "missing.png is not there"),
        (["text.png"], "text.png cannot be read"),
        (["text.png", "--top", "0"], "`--top` must be a whole number of at least 1"),
    ],
)
def test_predict_refuses(capsys, run_directory, tmp_path, arguments, sentence):
    (tmp_path / "text.png").write_text("no picture")
    assert qfm("predict", run_directory, *arguments) == 2
    assert re.search(sentence, capsys.readouterr().err)


def test_compare_ends_with_the_table_and_the_report(comparison):
    directory, output = comparison
    *table, last = output.rstrip().splitlines()
    assert last == f"Report: {directory / 'report.html'}"
    for model in ("linear", "mlp"):
        assert any(model in line for line in table)
        scores = json.loads((directory / model / "scores.json").read_text())
        assert scores["n_train"] == 600
    report = (directory / "report.html").read_text()
    assert report.lower().startswith("<!doctype html>")


def test_compare_refuses_a_directory_that_is_not_empty(capsys, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("out", "file"):
        assert qfm("compare", *SMOKE, "--out", name) == 2
        assert "is not empty, and nothing is overwritten" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


@pytest.mark.usefixtures("undrawn")
def test_compare_resume_keeps_finished_models(capsys, comparison):
    directory, _ = comparison
    kept = weights_and_scores(directory)
    (directory / "mlp" / "scores.json").unlink()  # as if stopped before scoring
    assert qfm("compare", "--resume", directory) == 0  # its options are remembered
    assert "linear" in capsys.readouterr().out
    after = weights_and_scores(directory)
    # The weights of both and the scores of one stand as they were.
    changed = {path for path in after if after[path] != kept[path]}
    mlp = directory / "mlp"
    rewritten = ("scores.json", "mistakes.npz", "metrics.jsonl", "lock")
    assert changed <= {mlp / name for name in rewritten}
    tables = [json.loads(files[mlp / "scores.json"][1]) for files in (kept, after)]
    assert tables[0]["accuracy"] == tables[1]["accuracy"]
    assert tables[0]["log_loss"] == tables[1]["log_loss"]


@pytest.mark.usefixtures("undrawn")
def test_compare_resume_shows_audits_that_lie_beside_the_runs(
    capsys, comparison, tmp_path
):
    directory = tmp_path / "compared"
    shutil.copytree(comparison[0], directory)
    read_stored_audit(directory / "audit")
    (directory / "half").mkdir()
    (directory / "half" / "audit.json").write_text("{")
    assert qfm("compare", "--resume", "compared") == 0
    text = (directory / "report.html").read_text()
    assert f"amplitude: {CONCLUSION[:-1]}" in text
    sentence = "Left out: compared/half/audit.json is damaged"
    assert sentence in one_line(capsys.readouterr().err)
    assert sentence in text


def test_compare_resume_with_other_options_names_them(capsys, comparison):
    directory, _ = comparison
    before = snapshot(directory)
    assert qfm("compare", *SMOKE, "--epochs", 7, "--resume", directory) == 2
    assert "training.epochs is 2 there and 7 here" in capsys.readouterr().err
    assert snapshot(directory) == before


def test_report_of_runs(capsys, comparison, run_directory, tmp_path):
    directory, _ = comparison
    assert qfm("report", directory / "mlp", run_directory, "--out", "both.html") == 0
    assert "Report: both.html" in capsys.readouterr().out
    text = (tmp_path / "both.html").read_text()
    assert "mlp" in text
    assert "linear" in text
    assert qfm("report", run_directory, "--out", "both.html") == 2
    assert "exists, and nothing is overwritten" in capsys.readouterr().err
    assert (tmp_path / "both.html").read_text() == text


def test_report_refuses_a_run_that_is_not_finished(capsys, tmp_path, run_directory):
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "config.toml").write_bytes(
        (run_directory / "config.toml").read_bytes()
    )
    assert qfm("report", run_directory, "half") == 2
    assert "holds no scores: the run is not finished" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


@pytest.fixture
def damaged(run_directory, tmp_path):
    """A run whose scores are of another version."""
    directory = tmp_path / "damaged"
    shutil.copytree(run_directory, directory)
    scores = json.loads((directory / "scores.json").read_text())
    (directory / "scores.json").write_text(json.dumps(scores | {"format": 99}))
    return directory


def test_report_takes_audits_and_leaves_out_what_is_damaged(
    capsys, run_directory, damaged, tmp_path
):
    read_stored_audit(tmp_path / "audit")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "audit.json").write_text("{")
    names = (damaged.name, "audit", run_directory, "half")
    assert qfm("report", *names, "--out", "study.html") == 0
    printed = one_line(capsys.readouterr().err)
    text = (tmp_path / "study.html").read_text()
    for sentence in (
        "Left out: damaged/scores.json has format 99, and this version reads 1.",
        "Left out: half/audit.json is damaged",
    ):
        assert sentence in printed
        assert sentence in text
    assert "<h1>linear on digits</h1>" in text  # one run, not two
    assert f"amplitude: {CONCLUSION[:-1]}" in text


def test_report_without_a_readable_run_is_refused(capsys, damaged, tmp_path):
    (tmp_path / "empty").mkdir()
    read_stored_audit(tmp_path / "audit")
    for names, sentence in (
        ([damaged], "has format 99, and this version reads 1"),
        (["empty"], "empty holds no run: there is no config.toml"),
        (["audit"], "`runs` must hold at least one run, but is empty"),
        ([], "`RUNS` must name at least one run directory"),
    ):
        assert qfm("report", *names, "--out", "none.html") == 2
        assert sentence in one_line(capsys.readouterr().err)
    assert not (tmp_path / "none.html").exists()


def test_data_counts_the_images(capsys):
    assert qfm("data", "digits") == 0
    printed = capsys.readouterr().out
    assert "scikit-learn" in printed
    (line,) = [line for line in printed.splitlines() if re.search(r"\ball\b", line)]
    assert re.findall(r"[\d,]+", line) == ["1,318", "119", "360"]


def test_models_lists_every_model_with_its_parameters(capsys):
    assert qfm("models") == 0
    printed = capsys.readouterr().out
    for name in MODELS:
        assert re.search(rf"│ {name} ", printed)
    hybrid = next(line for line in printed.splitlines() if "│ hybrid-cnn " in line)
    assert re.findall(r"│ +([\d,]+) +", hybrid) == ["48", "60,834"]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            OSError(28, "No space left on device", "a/b"),
            "a/b: No space left on device.",
        ),
        (MemoryError(), "There is not enough memory."),
        (
            RuntimeError("INTERNAL: Out of memory allocating 3221225472 bytes."),
            "There is not enough memory for 3 GiB more.",
        ),
    ],
    ids=["disk", "memory", "memory of JAX"],
)
def test_a_machine_that_gives_out_is_a_sentence(capsys, monkeypatch, error, sentence):
    def give_out(*_):
        raise error

    monkeypatch.setattr("qfm_jax.commands.run_command", give_out)
    assert main(["models"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"qfm: {sentence}")
    assert said.endswith("continue with --resume where it was begun.\n")


def test_other_errors_are_not_hidden(monkeypatch):
    def fail(*_):
        raise RuntimeError("a defect")

    monkeypatch.setattr("qfm_jax.commands.run_command", fail)
    with pytest.raises(RuntimeError, match="a defect"):
        main(["models"])
