"""Files are whole or not there; one process at a time works on a directory."""

import errno
import fcntl
import os
import platform
import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from qfm_jax import files
from qfm_jax._checks import InputError
from qfm_jax.files import is_unused, locked, read_table, write_whole


def test_a_second_process_is_refused_and_told_whom_it_waits_for(tmp_path):
    other = re.escape(f"process {files.os.getpid()} on {socket.gethostname()}")
    with (
        locked(tmp_path / "run", "Wait."),
        pytest.raises(
            InputError, match=rf"run is worked on by {other}\. Wait for it\."
        ),
        locked(tmp_path / "run", "Wait for it."),
    ):
        pass
    with locked(tmp_path / "run", "Wait."):  # it ended
        pass


def test_where_there_are_no_locks_it_says_so(tmp_path, monkeypatch):
    def refuse(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.warns(UserWarning, match=r"cannot be locked \(No locks available\)"),
        locked(tmp_path, "Wait."),
    ):
        pass


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match="file/run cannot be written: Not a directory"),
        locked(tmp_path / "file" / "run", "Wait."),
    ):
        pass


def test_what_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "scores.json"
    write_whole(path, b"old")

    def refuse(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["scores.json"]


def test_what_a_killed_process_began_to_write_is_removed(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = platform.node()
    names = {
        "unfinished": f"unit.json.{here}-{ended.pid}.0a1b.tmp",
        "being written": f"unit.json.{here}-{os.getpid()}.0a1b.tmp",
        "another machine's": f"unit.json.not-{here}-{ended.pid}.0a1b.tmp",
        "a person's": f"{ended.pid}.tmp",
    }
    (tmp_path / "units").mkdir()
    for name in names.values():
        (tmp_path / "units" / name).touch()
    with locked(tmp_path, "Wait."):
        left = {path.name for path in (tmp_path / "units").iterdir()}
    assert left == set(names.values()) - {names["unfinished"]}


def test_a_file_system_that_cannot_rename(tmp_path, monkeypatch):
    from qfm_jax.models import ModelConfig
    from qfm_jax.runs.config import RunConfig
    from qfm_jax.runs.directory import write_config

    def refuse(self, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(files.Path, "replace", refuse)
    with pytest.raises(InputError, match="cannot be written: Invalid cross-device"):
        write_config(tmp_path / "run", RunConfig("linear", ModelConfig()))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b"[1]", "holds no table"),
        (b'{"a": ', "Expecting value"),
        (b"\xff", "invalid start byte"),
    ],
)
def test_what_is_no_table(tmp_path, content, sentence):
    (tmp_path / "table.json").write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        read_table(tmp_path / "table.json")


def test_what_a_start_that_was_killed_leaves_behind(tmp_path):
    assert is_unused(tmp_path / "run")
    with locked(tmp_path, "Wait."):
        (tmp_path / "audit.toml.tmp").touch()
    assert is_unused(tmp_path)
    (tmp_path / "notes").touch()
    assert not is_unused(tmp_path)
    assert not is_unused(tmp_path / "notes")


def test_threads_that_write_one_file_do_not_meet(tmp_path):
    path, contents = tmp_path / "file", [bytes([i]) * 5000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: write_whole(path, content), contents * 25))
    assert path.read_bytes() in contents
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
