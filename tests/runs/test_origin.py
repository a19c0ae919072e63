"""What was made with a file of the user's own asks for it when it is opened."""

import hashlib
import json
import re
import shutil
import sys

import numpy as np
import pytest
from own_file import OPENINGS, SHA256, TURNS, forget, n_executed, typed

from qfm_jax._checks import InputError
from qfm_jax.circuits import CIRCUITS
from qfm_jax.cli import main
from qfm_jax.parallel.loading import LoadedFile, content_of, load_file, loaded_files
from qfm_jax.runs.config import RunConfig, to_toml
from qfm_jax.runs.directory import read_config, read_run
from qfm_jax.runs.origin import NotLoadedError, ask_for_loaded, trusting_runs
from qfm_jax.runs.presets import MODELS

pytestmark = pytest.mark.usefixtures("quick")


def test_the_file_is_kept_and_named(here):
    assert read_config_text(here / "run" / "config.toml") == ("turns.py", SHA256)
    for path in (*("run", "audit", "compared", "compared/linear", "compared/turning"),):
        assert (here / path / "loaded" / "turns.py").read_text() == TURNS
    for name in ("audit/audit.toml", "compared/comparison.toml"):
        assert read_config_text(here / name) == ("turns.py", SHA256)
    table = json.loads((here / "audit" / "audit.json").read_text())
    assert table["config"]["run"]["loaded"] == [{"name": "turns.py", "sha256": SHA256}]


def read_config_text(path):
    text = path.read_text()
    (name,) = re.findall(r'name = "(.*\.py)"', text)
    (sha256,) = re.findall(r'sha256 = "(.*)"', text)
    return name, sha256


def test_runs_without_a_file_say_nothing_of_it():
    config = RunConfig("linear", MODELS["linear"].network)
    assert "loaded" not in to_toml(config)


@pytest.mark.parametrize("command", OPENINGS.values(), ids=OPENINGS)
def test_what_is_opened_says_what_to_type_and_runs_nothing_before(
    here, command, capsys
):
    if "image.npy" in command:
        shutil.copy(an_image(here), here / "image.npy")
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "turns.py" in said
    assert SHA256 in said
    assert "damaged" not in said
    assert n_executed(here) == 0
    assert "turns" not in CIRCUITS
    words = typed(said)
    assert words == ["--trust-run", *command]
    assert main(words) == 0
    assert n_executed(here) == 1


def an_image(folder):
    np.save(folder / "one.npy", np.zeros((28, 28), np.uint8))
    return folder / "one.npy"


def test_the_flag_may_stand_behind_and_lasts_for_one_command(here, capsys):
    assert main([*OPENINGS["evaluate"], "--trust-run"]) == 0
    forget()
    assert main(OPENINGS["evaluate"]) == 2
    assert "which is not loaded" in capsys.readouterr().err


def test_the_users_own_file_or_the_copy_does_as_well(here, made):
    load = ["--load", str(made / "turns.py")]
    assert main([*load, *OPENINGS["evaluate"]]) == 0
    forget()
    assert main(["--load", "run/loaded/turns.py", *OPENINGS["evaluate"]]) == 0
    forget()
    with pytest.raises(NotLoadedError, match=r"A copy is .*turns.py: read it, then"):
        read_run(here / "run")
    load_file(here / "run" / "loaded" / "turns.py")
    assert read_run(here / "run").config.loaded == loaded_files()


def test_a_file_that_changed_since_is_named_with_both_digests(here, capsys):
    changed = TURNS + "# as of today\n"
    (here / "turns.py").write_text(changed)
    today = hashlib.sha256(changed.encode()).hexdigest()
    for command in ("evaluate", "report", "resume", "resume an audit"):
        forget()
        assert main(["--load", "turns.py", *OPENINGS[command]]) == 2
        said = capsys.readouterr().err
        assert SHA256 in said
        assert today in said
        assert "it changed since" in said
        forget()
        assert main(typed(said)) == 0
        capsys.readouterr()


def test_what_named_no_file_yet_is_not_damaged(here, capsys):
    """Runs and audits of before a file was named: they need it all the same."""
    path = here / "audit" / "audit.json"
    table = json.loads(path.read_text())
    del table["config"]["run"]["loaded"]
    path.write_text(json.dumps(table))
    config = here / "run" / "config.toml"
    text = config.read_text()
    config.write_text(text[: text.index("[[loaded]]")])
    for opening in (["report", "audit"], ["report", "run", "audit"], ["cost", "run"]):
        assert main(opening) == 2
        said = capsys.readouterr().err
        assert "needs a circuit that is not here: Argument `circuit` must be" in said
        assert "goes before the command: --load FILE" in said
        assert "damaged" not in said
    load = ["--load", "run/loaded/turns.py"]
    assert main([*load, "report", "run", "audit", "--out", "page.html"]) == 0


def test_a_copy_that_changed_is_not_executed(here, capsys):
    copy = here / "run" / "loaded" / "turns.py"
    copy.write_text("raise SystemExit(7)\n")
    assert main(["--trust-run", *OPENINGS["evaluate"]]) == 2
    said = capsys.readouterr().err
    found = hashlib.sha256(copy.read_bytes()).hexdigest()
    assert f"has the SHA-256 {found}, and config.toml names {SHA256}" in said
    assert "is not executed. Restore it" in said
    copy.unlink()
    assert main(["--trust-run", *OPENINGS["evaluate"]]) == 2
    said = capsys.readouterr().err
    assert "turns.py is missing, with which run was made. Load your own file" in said
    assert n_executed(here) == 0


@pytest.mark.parametrize("name", ["../turns.py", "/etc/turns.py", "turns", ""])
def test_a_name_that_is_a_path_is_refused(tmp_path, name):
    file = LoadedFile(name, SHA256)
    with trusting_runs(), pytest.raises(InputError, match="is no Python file's name"):
        ask_for_loaded(tmp_path / "config.toml", [file])


@pytest.mark.parametrize("loaded", ["3", '"turns.py"', '[{name = "turns.py"}]'])
def test_damage_in_what_is_named_is_a_sentence(here, loaded):
    path = here / "run" / "config.toml"
    text = path.read_text()
    path.write_text(f"loaded = {loaded}\n" + text[: text.index("[[loaded]]")])
    with pytest.raises(InputError, match=r"config.toml (does not describe|is damaged)"):
        read_config(here / "run")


def test_what_is_not_loaded_cannot_be_kept():
    with pytest.raises(InputError, match=f"`turns.py` must be loaded .* {SHA256}"):
        content_of(LoadedFile("turns.py", SHA256))


def test_a_file_is_loaded_once_by_its_content(made, here):
    load_file(made / "turns.py")
    load_file(here / "run" / "loaded" / "turns.py")
    assert n_executed(here) == 1
    (here / "turns.py").write_text(TURNS + "#\n")
    with pytest.raises(InputError, match="must have a name that no other module has"):
        load_file(here / "turns.py")


def test_another_file_beside_it_changes_nothing(here, made, tmp_path):
    (tmp_path / "beside.py").write_text("a = 1\n")
    before = (here / "run" / "config.toml").read_bytes()
    load = ["--load", "beside.py", "--load", str(made / "turns.py")]
    try:
        assert main([*load, "train", "--resume", "run"]) == 0
    finally:
        sys.modules.pop("beside", None)
    assert (here / "run" / "config.toml").read_bytes() == before
    assert [path.name for path in (here / "run" / "loaded").iterdir()] == ["turns.py"]
