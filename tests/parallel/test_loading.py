"""`qfm --load FILE`: a model in a file of the user's own gets what others get."""

import json
import re
import sys
from pathlib import Path

import pytest

from qfm_jax.circuits import EMBEDDINGS, LAYERS
from qfm_jax.cli import main
from qfm_jax.runs.directory import read_run
from qfm_jax.runs.presets import COMPARISONS, MODELS

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
TINY = ["--dataset", "digits", "--train-size", "300", "--epochs", "1"]
SMALL = ["--channels", "2", "--hidden", "8", "--n-qubits", "2"]


@pytest.fixture(autouse=True)
def tables_as_before():
    """What a file adds is gone after the test."""
    tables = [(t, dict(t)) for t in (EMBEDDINGS, LAYERS, MODELS, COMPARISONS)]
    yield
    for table, before in tables:
        table.clear()
        table.update(before)
    for name in ("brickwork", "broken"):
        sys.modules.pop(name, None)


@pytest.fixture
def brickwork(tmp_path):
    """The README's file."""
    (code,) = re.findall(r"```py\n(.*?)```", README, flags=re.DOTALL)
    assert len(code.splitlines()) < 40
    path = tmp_path / "brickwork.py"
    path.write_text(code)
    return path


def test_readmes_model_is_listed_trained_and_scored(
    brickwork, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("qfm_jax.commands.training.write_figures", lambda run: None)
    load, run = ["--load", str(brickwork)], tmp_path / "run"
    assert main([*load, "models"]) == 0
    assert "brickwork-cnn" in capsys.readouterr().out
    given = [*TINY, *SMALL, "--out", str(run)]
    assert main([*load, "train", "brickwork-cnn", *given]) == 0
    assert read_run(run).result.n_parameters_quantum == 4 * 2
    assert main([*load, "evaluate", str(run), "--test-size", "20"]) == 0


@pytest.mark.slow
def test_readmes_model_is_audited(brickwork, tmp_path):
    audit = tmp_path / "audit"
    given = [*TINY, *SMALL, "--seeds", "2", "--out", str(audit)]
    assert main(["--load", str(brickwork), "audit", "brickwork-cnn", *given]) == 0
    written = json.loads((audit / "audit.json").read_text())
    assert {"brickwork-cnn", "separable", "fourier"} <= set(written["results"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a = 1\nb = nothing\n", "broken.py, line 2, fails: NameError("),
        ("a = 1\n\ndef\n", "broken.py, line 3, fails: SyntaxError("),
    ],
)
def test_a_file_that_fails(tmp_path, capsys, text, sentence):
    path = tmp_path / "broken.py"
    path.write_text(text)
    assert main(["--load", str(path), "models"]) == 2
    assert sentence in capsys.readouterr().err
    assert "broken" not in sys.modules


def test_a_file_that_is_not_there_or_hides_a_module(tmp_path, capsys):
    assert main(["--load", str(tmp_path / "none.py"), "models"]) == 2
    assert "`--load` must name a Python file, but is" in capsys.readouterr().err
    path = tmp_path / "json.py"
    path.write_text("")
    assert main(["--load", str(path), "models"]) == 2
    assert "must have a name that no other module has" in capsys.readouterr().err
    assert main(["--load", str(path), "--help"]) == 0
    assert "usage: qfm [--load FILE] [--trust-run] COMMAND" in capsys.readouterr().out
    assert main(["--load", str(path)]) == 2
    assert "--load needs a Python file, and a command" in capsys.readouterr().err
