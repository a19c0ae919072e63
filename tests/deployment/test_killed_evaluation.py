"""A process that is killed with SIGKILL loses no job that has ended."""

import importlib
import json
import signal
import subprocess
import sys

import pytest

from qfm_jax.cli import main

KILLED = """
import importlib, os, signal, sys
from qfm_jax.cli import main
from qfm_jax.deployment import model_circuits
from qfm_jax.deployment.jobs import Jobs

directory, last, *arguments = sys.argv[1:]
importlib.import_module("qfm_jax.deployment.deploy").CHUNK = 10
model_circuits.MOST_IN_A_JOB = 10
write = Jobs.write

def counted(self, number, *rest):
    write(self, number, *rest)
    print(f"ran {number}", flush=True)
    if number == int(last):
        os.kill(os.getpid(), signal.SIGKILL)

Jobs.write = counted
sys.exit(main(["evaluate", directory, *arguments]))
"""
NEVER = -1


def evaluate(directory, *arguments, kill_after=NEVER):
    """The status of a process, and the jobs that it ran."""
    command = [sys.executable, "-c", KILLED, str(directory), str(kill_after)]
    found = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False
    )
    jobs = [line for line in found.stdout.splitlines() if line.startswith("ran ")]
    return found.returncode, jobs


def scores(path):
    """All but the seconds, which no two processes share."""
    table = json.loads(path.read_text())
    for one in (table, *table["targets"]):
        del one["seconds"]
    return table


FEW = ("--samples", "25", "--shots", "30")
NOISE = ("--noise", "depolarizing:0.05+readout:0.05")
FAKE = ("--device", "fake_manila")


def test_a_killed_evaluation_goes_on(submitted_run, tmp_path, monkeypatch):
    directory = submitted_run.directory
    given = [*NOISE, *FEW, "--seed", "5"]
    status, jobs = evaluate(directory, *given, kill_after=1)
    assert (status, jobs) == (-signal.SIGKILL, ["ran 0", "ran 1"])
    (folder,) = (directory / "deployments").glob("aer-*seed5")
    names = {path.name for path in folder.iterdir()}
    assert names == {"jobs.json", "job-0.json", "job-1.json", "lock"}
    before = [(folder / f"job-{n}.json").stat().st_mtime_ns for n in (0, 1)]
    module = importlib.import_module("qfm_jax.deployment.deploy")
    monkeypatch.setattr(module, "CHUNK", 10)
    out = tmp_path / "resumed.json"
    assert main(["evaluate", str(directory), *given, "--out", str(out)]) == 0
    assert before == [(folder / f"job-{n}.json").stat().st_mtime_ns for n in (0, 1)]
    folder.rename(tmp_path / "aside")
    whole = tmp_path / "whole.json"
    assert main(["evaluate", str(directory), *given, "--out", str(whole)]) == 0
    assert scores(out) == scores(whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    "device",
    [NOISE, FAKE, (*FAKE, "--submit", "--max-seconds", "60")],
    ids=["noise", "fake backend", "submitted"],
)
def test_it_ends_as_one_that_was_not_killed(submitted_run, tmp_path, device):
    directory = submitted_run.directory
    given = (*device, *FEW, "--seed", "6")
    status, jobs = evaluate(directory, *given, kill_after=1)
    assert (status, jobs[-2:]) == (-signal.SIGKILL, ["ran 0", "ran 1"])
    resumed, whole = tmp_path / "resumed.json", tmp_path / "whole.json"
    status, rest = evaluate(directory, *given, "--out", str(resumed))
    assert status == 0
    assert rest
    assert rest[0] == "ran 2"
    (directory / "deployments").rename(tmp_path / "aside")
    status, every = evaluate(directory, *given, "--out", str(whole))
    assert status == 0
    assert every == [*jobs, *rest]
    found, expected = scores(resumed), scores(whole)
    if device == NOISE:
        assert found == expected
    # Where two layouts are as good, Qiskit 2.3.0 takes one or the other at each call,
    # whatever its seed; outcomes are then others.
    assert found["accuracy_ideal"] == expected["accuracy_ideal"]
    assert found["n_test"] == expected["n_test"] == 25
