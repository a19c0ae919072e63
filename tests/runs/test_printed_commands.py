"""Each command that is printed for a run of one's own file is executed."""

import json
import re
import shlex
import shutil
import signal
from pathlib import Path

import pytest
from own_file import OPENINGS, TINY, forget, typed

from qfm_jax._checks import InputError
from qfm_jax.audit import read_audit, stored
from qfm_jax.cli import main
from qfm_jax.parallel.loading import command_line, load_file
from qfm_jax.reporting.repetition import repeat_command
from qfm_jax.runs.directory import read_run
from qfm_jax.training import loop

pytestmark = pytest.mark.usefixtures("quick")


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
