"""Runs, audits and comparisons that were made with a file of a user's own."""

import shutil

import pytest
from own_file import TINY, TURNS, forget

from qfm_jax.cli import main


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Nothing is drawn for a run, paths are as one types them, no file is loaded."""
    monkeypatch.setattr("qfm_jax.commands.training.write_figures", lambda run: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QFM_TEST_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("COLUMNS", "200")
    forget()
    yield
    forget()


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder with `turns.py`, a run, an audit and a comparison made with it."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "turns.py").write_text(TURNS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("QFM_TEST_LOG", str(folder / "log"))
        patch.setattr("qfm_jax.commands.training.write_figures", lambda run: None)
        forget()
        load = ["--load", "turns.py"]
        assert main([*load, "train", "turning", *TINY, "--out", "run"]) == 0
        audit = ["--seeds", "2", "--controls", "dense", "--rate-factors", "1"]
        audit += ["--baselines", "--out", "audit"]
        assert main([*load, "audit", "turning", *TINY, *audit]) == 0
        compare = ["--preset", "smoke", "--models", "linear", "turning"]
        assert main([*load, "compare", *compare, *TINY, "--out", "compared"]) == 0
        forget()
    (folder / "log").unlink()
    return folder


@pytest.fixture
def here(made, tmp_path):
    """All of that but `turns.py`, in the working directory."""
    for name in ("run", "audit", "compared"):
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path
