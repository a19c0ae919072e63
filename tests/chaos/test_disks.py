"""Disks that are full, cannot be written, or are another process's just now."""

import os
import subprocess
import time

import pytest
from chaos.commands import contents, finish, kill, start
from chaos.jobs import AUDIT, EVALUATION, JOBS, TRAINING

from qfm_jax.files import locked

pytestmark = pytest.mark.chaos

ROOM = {"training": (0, 20, 150, 300), "audit": (0, 1), "evaluation": (0, 2)}
"""KiB that are left on the disk."""


def undisturbed(job, directory, trained):
    job.begin(directory, trained)
    status, text = finish(job.arguments(directory), directory.with_name("output"))
    assert status == 0, text
    return contents(directory)


def fill(disk, kib):
    """Takes all of a disk but some KiB."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                break
    os.truncate(ballast, max(0, ballast.stat().st_size - 1024 * kib))
    return ballast


@pytest.mark.parametrize("name", JOBS)
def test_full(disk, tmp_path, submitted_run, faults, name):
    job, output = JOBS[name], tmp_path / "output"
    expected = undisturbed(job, tmp_path / "whole", submitted_run.directory)
    for kib in ROOM[name]:
        directory = disk / f"run-{kib}"
        job.begin(directory, submitted_run.directory)
        with faults("a full disk", notes="a tmpfs of 2 MiB"):
            ballast = fill(disk, kib)
            status, text = finish(job.arguments(directory), output)
            assert status in (0, 1, 2), text
            assert status == 0 or "No space left on device" in text.replace("\n", " ")
            ballast.unlink()
            status, text = finish(job.arguments(directory), output)
            assert status == 0, text
            assert contents(directory) == expected
        subprocess.run(["rm", "-r", str(directory)], check=True)


def test_files_that_may_not_grow(tmp_path, submitted_run, faults):
    expected = undisturbed(TRAINING, tmp_path / "whole", submitted_run.directory)
    directory = tmp_path / "run"
    with faults("a limit on the size of files", notes="RLIMIT_FSIZE"):
        status, text = finish(
            TRAINING.arguments(directory), tmp_path / "output", "small_files"
        )
        assert status == 1, text
        assert "File too large" in text.replace("\n", " ")
        status, text = finish(TRAINING.arguments(directory), tmp_path / "output")
        assert status == 0, text
        assert contents(directory) == expected


def test_read_only(disk, tmp_path, submitted_run, faults):
    expected = undisturbed(TRAINING, tmp_path / "whole", submitted_run.directory)
    directory, output = disk / "run", tmp_path / "output"

    def remount(kind):
        command = ["mount", "-o", f"remount,{kind}", str(disk)]
        subprocess.run(command, check=True)

    with faults("a directory that cannot be written", 2, notes="remounted read-only"):
        remount("ro")
        status, text = finish(TRAINING.arguments(directory), output)
        assert status == 2, text
        assert "cannot be written: Read-only file" in text.replace("\n", " ")
        remount("rw")
        begin_and_kill(directory, output)
        remount("ro")
        status, text = finish(TRAINING.arguments(directory), output)
        assert status == 2, text
        assert "cannot be written: Read-only file" in text.replace("\n", " ")
        remount("rw")
        status, text = finish(TRAINING.arguments(directory), output)
        assert status == 0, text
        assert contents(directory) == expected


def begin_and_kill(directory, output):
    process = start(TRAINING.arguments(directory), output)
    while process.is_alive() and not any(directory.glob("checkpoints/last/[1-9]*")):
        time.sleep(0.002)
    assert kill(process)


def is_held(directory):
    """Whether a process has written its number into a lock."""
    return any(path.stat().st_size for path in directory.rglob("lock"))


@pytest.mark.parametrize("name", JOBS)
def test_two_processes(tmp_path, submitted_run, faults, name):
    job, directory = JOBS[name], tmp_path / "run"
    expected = undisturbed(job, tmp_path / "whole", submitted_run.directory)
    job.begin(directory, submitted_run.directory)
    with faults("two processes on one directory"):
        first = start(job.arguments(directory), tmp_path / "first")
        while first.is_alive() and not is_held(directory):
            time.sleep(0.002)
        os.kill(first.pid, 19)  # SIGSTOP: it stays where it is
        status, text = finish(job.arguments(directory), tmp_path / "second")
        os.kill(first.pid, 18)  # SIGCONT
        first.join()
        assert status == 2, text
        assert "worked on by process" in text.replace("\n", " ")
        assert first.exitcode == 0
        assert contents(directory) == expected


def test_a_killed_process_leaves_no_lock(tmp_path, faults):
    with faults("a lock whose process was killed"):
        directory, output = tmp_path / "run", tmp_path / "output"
        begin_and_kill(directory, output)
        with locked(directory, "Wait."):
            pass


def test_jobs_are_three():
    assert {AUDIT, EVALUATION, TRAINING} == set(JOBS.values())
