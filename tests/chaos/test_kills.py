"""`kill -9` at random moments: what is resumed ends as if nothing had been."""

import os
import time

import pytest
from chaos.commands import contents, finish, kill, start
from chaos.jobs import JOBS

pytestmark = pytest.mark.chaos

KILLS = int(os.environ.get("CHAOS_KILLS", "100"))
MOST_IN_A_RUN = 6


def undisturbed(job, directory, trained):
    """What a command finds, and how many seconds it takes."""
    job.begin(directory, trained)
    begun = time.monotonic()
    status, text = finish(job.arguments(directory), directory.with_name("output"))
    assert status == 0, text
    return contents(directory), time.monotonic() - begun


def is_writing(directory):
    return any(directory.rglob("*tmp*"))


def wait(process, directory, rng, seconds):
    """Until a random moment; of two moments, one is while something is written."""
    late = time.monotonic() + seconds * rng.uniform(0, 0.9)
    while_writing = rng.random() < 0.5
    while process.is_alive():
        is_late = time.monotonic() > late
        if is_late and (not while_writing or is_writing(directory)):
            return
        time.sleep(0.002)


@pytest.mark.parametrize("name", JOBS)
def test_killed(submitted_run, tmp_path, rng, faults, name):
    job, trained = JOBS[name], submitted_run.directory
    expected, seconds = undisturbed(job, tmp_path / "whole", trained)
    share = KILLS // len(JOBS) + (KILLS % len(JOBS) if name == "training" else 0)
    n_killed, n_runs = 0, 0
    while n_killed < share:
        n_runs += 1
        directory = tmp_path / f"run-{n_runs}"
        job.begin(directory, trained)
        here = 0
        for _ in range(min(rng.randint(1, MOST_IN_A_RUN), share - n_killed)):
            output = tmp_path / f"output-{n_runs}-{here}"
            begun = time.monotonic()
            process = start(job.arguments(directory), output)
            wait(process, directory, rng, seconds)
            if not kill(process):
                assert process.exitcode == 0, output.read_text()
                seconds = min(seconds, time.monotonic() - begun)
                break
            here += 1
        n_killed += here
        with faults(f"`kill -9` of a running {name}", here):
            status, text = finish(job.arguments(directory), tmp_path / "last")
            assert status == 0, text
            assert contents(directory) == expected
