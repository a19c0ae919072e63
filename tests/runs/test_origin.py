"""Runs that were made with a file of the user's own: opened, repeated, continued."""

import dataclasses
import hashlib
import json
import re
import shlex
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from qfm_jax._checks import InputError
from qfm_jax.audit import read_audit, stored
from qfm_jax.circuits import CIRCUITS
from qfm_jax.cli import main
from qfm_jax.parallel.loading import (
    LoadedFile,
    command_line,
    content_of,
    load_file,
    loaded_files,
)
from qfm_jax.reporting.repetition import repeat_command
from qfm_jax.runs.config import RunConfig, read_toml, to_toml
from qfm_jax.runs.directory import read_config, read_run
from qfm_jax.runs.origin import NotLoadedError, ask_for_loaded, trusting_runs
from qfm_jax.runs.presets import MODELS
from qfm_jax.training import loop

TURNS = '''
"""turns.py: each feature turns a qubit, at a frequency that is trained."""

import dataclasses
import os

import pennylane as qml

from qfm_jax.circuits import CIRCUITS, Angles, Normal
from qfm_jax.models import ModelConfig
from qfm_jax.runs.presets import MODELS, Preset

with open(os.environ["QFM_TEST_LOG"], "a") as log:
    log.write("executed\\n")


@dataclasses.dataclass(frozen=True)
class Turns:
    n_qubits: int
    n_layers: int
    takes = Angles()
    weights_start = Normal(mean=1.0)

    @property
    def n_features(self):
        return self.n_qubits

    @property
    def weights_shape(self):
        return (self.n_layers, self.n_qubits)

    @property
    def n_observables(self):
        return self.n_qubits

    def __call__(self, inputs, weights):
        for layer in range(self.n_layers):
            for i in range(self.n_qubits):
                qml.RY(weights[..., layer, i] * inputs[..., i], wires=i)
            qml.CNOT([0, 1])
        return [qml.expval(qml.Z(i)) for i in range(self.n_qubits)]


CIRCUITS["turns"] = Turns
network = ModelConfig(hidden=(6,), block="circuit", circuit="turns", n_qubits=2)
MODELS["turning"] = Preset("features that turn qubits", network)
'''
TINY = ["--dataset", "digits", "--train-size", "100", "--epochs", "1"]


def forget():
    """What another process would not have."""
    CIRCUITS.pop("turns", None)
    MODELS.pop("turning", None)
    sys.modules.pop("turns", None)


@pytest.fixture(autouse=True)
def another_process_afterwards():
    forget()
    yield
    forget()


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Nothing is drawn for a run; paths are as one types them."""
    monkeypatch.setattr("qfm_jax.commands.training.write_figures", lambda run: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QFM_TEST_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
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


def n_executed(folder):
    log = folder / "log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def typed(text):
    """The command that a sentence says to type, as its words behind `qfm`."""
    (command,) = re.findall(r"`(qfm [^`]*)`", " ".join(text.split()))
    return shlex.split(command)[1:]


SHA256 = hashlib.sha256(TURNS.encode()).hexdigest()


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


OPENINGS = {
    "evaluate": ["evaluate", "run", "--samples", "20"],
    "evaluate on aer": ["evaluate", "run", "--samples", "4", "--device", "aer"],
    "cost": ["cost", "run", "--backend", "fake_torino", "--samples", "4"],
    "report": ["report", "run", "audit", "--out", "page.html"],
    "report of an audit": ["report", "run", "compared/turning", "audit"],
    "resume": ["train", "--resume", "run"],
    "resume an audit": ["audit", "--resume", "audit"],
    "resume a comparison": ["compare", "--resume", "compared"],
    "predict": ["predict", "run", "image.npy"],
}


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


def test_a_circuit_takes_the_place_of_a_presets_parts(made, capsys):
    """`hybrid-cnn` has layers of its own; the report's command has the circuit."""
    small = ["--channels", "2", "--hidden", "8", "--n-qubits", "2", "--out", "hybrid"]
    load, circuit = ["--load", str(made / "turns.py")], ["--circuit", "turns"]
    assert main([*load, "train", "hybrid-cnn", *circuit, *TINY, *small]) == 0
    run = read_run("hybrid")
    network = run.config.network
    assert (network.circuit, network.embedding, network.layers) == ("turns", None, None)
    assert "--circuit turns" in repeat_command(run)
    for option in ("--embedding", "--layers"):
        assert option not in repeat_command(run)
    assert main(["train", "hybrid-cnn", "--circuit", "hamilton"]) == 2
    assert "Did you mean 'hamiltonian'?" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["train", "hybrid-cnn", "--circuit", "hamiltonian", "--layers", "tree"])
    assert "must be None where a whole circuit is named" in capsys.readouterr().err


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


def commands_of(page):
    """Those that a report says repeat what it shows."""
    found = re.findall(r"qfm --load [^<\n]*", page.read_text())
    return [shlex.split(command.replace("&#39;", "'"))[1:] for command in found]


def test_the_reports_commands_repeat_what_they_show(here, made, capsys):
    """Each is executed, where the file lies: the results are the same."""
    assert main(["--trust-run", *OPENINGS["report"]]) == 0
    commands = commands_of(here / "page.html")
    assert sorted(command[2] for command in commands) == ["audit", "train"]
    again = here / "again"
    again.mkdir()
    shutil.copy(made / "turns.py", again)
    forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(again)
        for command in commands:
            assert command[:2] == ["--load", "turns.py"]
            assert main(command) == 0, capsys.readouterr().err
        one, other = (read_run(d / "run").result.scores for d in (here, again))
        assert one == other
        tables = [
            json.loads((folder / "audit.json").read_text())["results"]
            for folder in (here / "audit", again / "audit-turning")
        ]
    accuracies = [{n: r["accuracy"] for n, r in table.items()} for table in tables]
    assert accuracies[0] == accuracies[1]


CONTINUED = {
    "train": ["train", "turning", *TINY, "--out", "new"],
    "audit": [
        *("audit", "turning", *TINY, "--seeds", "2", "--controls", "dense"),
        *("--rate-factors", "1", "--baselines", "--out", "new"),
    ],
    "compare": [
        *("compare", "--preset", "smoke", "--models", "turning", *TINY),
        *("--out", "new"),
    ],
}


@pytest.mark.parametrize("command", CONTINUED.values(), ids=CONTINUED)
@pytest.mark.parametrize("how", ["--load", "--trust-run"])
def test_what_was_interrupted_goes_on_as_it_says(
    made, tmp_path, capsys, monkeypatch, command, how
):
    """Ctrl-C; then the very command that it prints, in another process."""
    shutil.copy(made / "turns.py", tmp_path / "turns.py")

    with monkeypatch.context() as patch:
        interrupted(patch)
        assert main(["--load", "turns.py", *command]) == 130
    said = " ".join(capsys.readouterr().err.split())
    (last,) = re.findall(r"`(qfm [^`]*)`\.?$", said)
    assert last == f"qfm --load turns.py {command[0]} --resume new"
    forget()
    words = shlex.split(last)[1:]
    if how == "--trust-run":
        words = ["--trust-run", *words[2:]]
    assert main(words) == 0


def interrupted(patch):
    """Ctrl-C at the first step of a training, or at the first file of an audit."""
    advance, write = loop.TrainingProgress.advance, stored.write_json

    def pressed(self, *arguments, **named):
        signal.raise_signal(signal.SIGINT)
        advance(self, *arguments, **named)

    def write_json(path, table):
        write(path, table)
        raise KeyboardInterrupt

    patch.setattr(loop.TrainingProgress, "advance", pressed)
    patch.setattr(stored, "write_json", write_json)


def test_an_unfinished_run_and_audit_say_how_they_go_on(here, capsys):
    (here / "run" / "scores.json").unlink()
    assert main(["--trust-run", "evaluate", "run"]) == 2
    words = typed(capsys.readouterr().err)
    assert words == ["--trust-run", "train", "--resume", "run"]
    forget()
    assert main(words) == 0
    assert (here / "run" / "scores.json").exists()
    (here / "audit" / "audit.json").unlink()
    with pytest.raises(InputError, match="no finished audit") as raised:
        read_audit(Path("audit"))
    forget()
    words = typed(str(raised.value))
    assert words == ["--trust-run", "audit", "--resume", "audit"]
    assert main(words) == 0


def test_commands_are_typed_as_their_files_were(made):
    assert command_line("train", "--resume", "a run") == "qfm train --resume 'a run'"
    load_file(made / "turns.py")
    expected = f"qfm --load {shlex.quote(str(made / 'turns.py'))} audit"
    assert command_line("audit") == expected


def test_another_file_beside_it_changes_nothing(here, made, tmp_path):
    (tmp_path / "beside.py").write_text("a = 1\n")
    load = ["--load", "beside.py", "--load", str(made / "turns.py")]
    try:
        assert main([*load, "train", "--resume", "run"]) == 0
    finally:
        sys.modules.pop("beside", None)
    with trusting_runs():
        config = read_toml(here / "run" / "config.toml", RunConfig)
    assert dataclasses.replace(config, loaded=None) != config
