"""Units on a scheduler: all results, whatever dies; what cannot work is named."""

import ast
import contextlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import distributed
import psutil
import pytest

from qfm_jax._checks import InputError
from qfm_jax.parallel import (
    Scheduler,
    UnitsFailedError,
    connect,
    processes,
    run_units,
    workers,
)
from qfm_jax.parallel import scheduler as scheduler_module
from qfm_jax.training.progress import UnitProgress

FOLDER = Path(__file__).parents[2] / "experiments" / "cluster"
TRIED = []


def square(n):
    return n * n


def fails_on_three(n):
    TRIED.append(n)
    if n == 3:
        raise ArithmeticError("three is too much")
    return -n


def seen_by(scheduler, units, function, **how):
    """The results, and how far the units were each time that was shown."""
    shown = []
    with connect(scheduler) as connection:
        found = dict(run_units(units, function, connection, show=shown.append, **how))
    return found, shown


def test_results_come_back_by_their_names(dask_scheduler):
    units = {f"unit {n}": n for n in range(20)}
    found, shown = seen_by(dask_scheduler, units, square)
    assert found == {f"unit {n}": n * n for n in range(20)}
    assert [now.done for now in shown] == sorted(now.done for now in shown)
    last = shown[-1]
    assert (last.done, last.running, last.failed, last.total) == (20, 0, 0, 20)
    assert last.n_workers == 2
    assert last.last in units


def test_what_fails_is_tried_three_times_and_named_and_the_others_go_on(dask_scheduler):
    TRIED.clear()
    units = {f"unit {n}": n for n in range(6)}
    found = {}
    sentence = (
        "2 of the units failed, each tried 3 times: unit 3; unit 5. The first: Ar"
    )
    with connect(dask_scheduler) as connection:
        results = run_units(
            units, fails_on_three, connection, after={"unit 5": "unit 3"}
        )
        with pytest.raises(UnitsFailedError, match=sentence) as caught:
            found.update(results)
    assert found == {f"unit {n}": -n for n in (0, 1, 2, 4)}
    assert sorted(TRIED) == [0, 1, 2, 3, 3, 3, 4]
    failure = caught.value.failures["unit 3"]
    assert failure.error == "ArithmeticError: three is too much"
    assert "in fails_on_three" in failure.traceback


def test_a_result_counts_though_its_worker_died_since(dask_scheduler, monkeypatch):
    monkeypatch.setattr(distributed.Future, "status", "lost")
    found, shown = seen_by(dask_scheduler, {"unit": 3, "other": 4}, square)
    assert found == {"unit": 9, "other": 16}
    assert shown[-1].done == 2


def test_a_unit_waits_for_that_which_it_comes_after(dask_scheduler):
    TRIED.clear()
    units = {"late": 1, "early": 2}
    seen_by(dask_scheduler, units, fails_on_three, after={"late": "early"})
    assert TRIED == [2, 1]


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        (
            "locl",
            "`scheduler` must be 'local', or the address .*'locl' does not answer",
        ),
        ("tcp://127.0.0.1:9", "'tcp://127.0.0.1:9' does not answer as one: .* running"),
        (
            "http://127.0.0.1:80",
            "does not answer as one: unknown address scheme 'http'",
        ),
        ("tls://127.0.0.1:9", "does not answer as one: "),
    ],
)
def test_a_scheduler_that_does_not_answer_is_named(monkeypatch, address, sentence):
    monkeypatch.setattr(scheduler_module, "PATIENCE", 0.2)
    with pytest.raises(InputError, match=sentence), connect(Scheduler(address)):
        pass


def test_nobody_waits_for_a_server_that_says_nothing(monkeypatch):
    monkeypatch.setattr(scheduler_module, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        begin = time.monotonic()
        with pytest.raises(InputError, match="does not answer as one: TimeoutError"):
            connect(Scheduler(address)).__enter__()
    assert time.monotonic() - begin < 10


def test_without_dask_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(InputError, match=r"run `pip install 'qfm_jax\[cluster\]'`"),
        connect(Scheduler()),
    ):
        pass


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_workers": 0}, "`workers` must be a whole number of at least 1, but is 0"),
        (
            {"address": "tcp://host:1", "n_workers": 2},
            "`workers` must be left out with the address of a scheduler, but is 2",
        ),
        ({"resources": (("GPU", 0.0),)}, "`resources of GPU` must be at least 1e-09"),
    ],
)
def test_a_scheduler_is_checked(options, sentence):
    with pytest.raises(InputError, match=sentence):
        Scheduler(**options)


def test_a_resource_that_no_worker_declares_is_named(dask_scheduler):
    greedy = Scheduler(dask_scheduler.address, resources=(("GPU", 1.0),))
    sentence = (
        r"`unit_resources` must be what a worker declares, .*GPU=1`, but GPU=1 is"
    )
    with pytest.raises(InputError, match=sentence), connect(greedy):
        pass


def test_a_worker_of_another_version_is_named_and_refused(dask_scheduler, monkeypatch):
    versions = iter(["0.1.0 (here)", *["0.1.0 (there)"] * 9])
    monkeypatch.setattr(workers, "code_version", lambda: next(versions))
    sentence = r"worker .* runs qfm_jax 0.1.0 \(there\), and this is 0.1.0 \(here\)"
    with pytest.raises(InputError, match=sentence), connect(dask_scheduler):
        pass


def test_the_version_is_that_of_the_code(tmp_path, monkeypatch):
    inner = tmp_path / "qfm_jax" / "processes.py"
    inner.parent.mkdir(parents=True)
    inner.write_text("one")
    monkeypatch.setattr(processes, "__file__", str(inner))
    before = workers.code_version.__wrapped__()
    assert re.fullmatch(r"0\.1\.0 \([0-9a-f]{12}\)", before)
    assert workers.code_version.__wrapped__() == before
    inner.write_text("two")
    assert workers.code_version.__wrapped__() != before


def test_workers_load_the_files_and_no_stale_ones(dask_scheduler, tmp_path):
    file = tmp_path / "loaded_on_workers.py"
    file.write_text("import os\nos.environ['LOADED_ON_WORKERS'] = 'yes'\n")
    with_file = Scheduler(dask_scheduler.address, files=(str(file),))
    try:
        with connect(with_file):
            assert os.environ.pop("LOADED_ON_WORKERS") == "yes"
        file.write_text("changed = True\n")
        sentence = r"has loaded another .*loaded_on_workers.py before. Start it again"
        with pytest.raises(InputError, match=sentence), connect(with_file):
            pass
    finally:
        sys.modules.pop("loaded_on_workers", None)


def test_a_directory_is_shared_or_refused(tmp_path, monkeypatch):
    (tmp_path / "audit.toml").write_text("mine")
    check = workers._check_directory
    check(tmp_path, "audit.toml", b"mine")
    assert [path.name for path in tmp_path.iterdir()] == ["audit.toml"]
    with pytest.raises(
        InputError, match=r"A worker does not see .*gone on .*: No such"
    ):
        check(tmp_path / "gone", "audit.toml", b"mine")
    with pytest.raises(InputError, match=r"is another one than here: its audit.toml"):
        check(tmp_path, "audit.toml", b"yours")
    with monkeypatch.context() as patch:
        part = SimpleNamespace(mountpoint=str(tmp_path.parent), fstype="fuse.s3fs")
        patch.setattr(psutil, "disk_partitions", lambda all: [part])
        with pytest.raises(
            InputError, match=r"lies on fuse.s3fs, which renames by cop"
        ):
            check(tmp_path, "audit.toml", b"mine")

    def refused(self, target):
        raise OSError("Function not implemented")

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(InputError, match=r"cannot write files in .* rename them: Func"):
        check(tmp_path, "audit.toml", b"mine")
    assert [path.name for path in tmp_path.iterdir()] == ["audit.toml"]


def test_progress_fits_and_says_it_all(dask_scheduler, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with connect(dask_scheduler) as connection, UnitProgress() as progress:
        dict(run_units({"a unit": 1}, square, connection, show=progress))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Dashboard: ")
    assert lines[-1] == "1 of 1 units done, 0 running, 0 failed  a unit"
    assert all(len(line) <= 80 for line in lines)


def test_the_files_for_clusters_are_well_formed():
    yaml = pytest.importorskip("yaml")
    scripts = sorted(FOLDER.glob("dask_*.py"))
    manifests = sorted(FOLDER.glob("dask_*.yaml"))
    assert [path.stem for path in scripts] == ["dask_pbs", "dask_slurm"]
    for path in scripts:
        assert ast.get_docstring(ast.parse(path.read_text()))
    (manifest,) = manifests
    (cluster,) = yaml.safe_load_all(manifest.read_text())
    assert cluster["kind"] == "DaskCluster"
    for part in ("worker", "scheduler"):
        assert cluster["spec"][part]["spec"]["containers"][0]["args"]


# -- processes -------------------------------------------------------------------------


def die_once(task):
    """Writes a line when it starts; the first time it is killed where told so."""
    folder, name, dies, seconds = task
    with (folder / f"{name}.txt").open("a") as file:
        file.write("started\n")
    time.sleep(seconds)
    if dies and len((folder / f"{name}.txt").read_text().splitlines()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return name


def always_die(task):
    if task == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


@pytest.mark.slow
def test_a_killed_worker_costs_the_unit_that_it_ran(tmp_path):
    there = {child.pid for child in psutil.Process().children(recursive=True)}
    units = {f"unit {n}": (tmp_path, f"{n}", n == 2, 0.5) for n in range(8)}
    with connect(Scheduler(n_workers=2)) as connection:
        assert connection.dashboard.startswith("http://127.0.0.1:")
        found = dict(run_units(units, die_once, connection))
        assert found == {f"unit {n}": f"{n}" for n in range(8)}
        starts = [len((tmp_path / f"{n}.txt").read_text().split()) for n in range(8)]
        assert starts == [1, 1, 2, 1, 1, 1, 1, 1]
        three = {f"unit {n}": n for n in range(4)}
        sentence = (
            "1 of the units failed, .*: unit 1. The first: each worker that ran it"
        )
        rest = {}
        with pytest.raises(UnitsFailedError, match=sentence):
            rest.update(run_units(three, always_die, connection))
        assert rest == {"unit 0": 0, "unit 2": 2, "unit 3": 3}
    children = psutil.Process().children(recursive=True)
    left = [child.cmdline() for child in children if child.pid not in there]
    assert [line for line in left if "resource_tracker" not in " ".join(line)] == []


def nap(n):
    time.sleep(0.3)
    return n


@pytest.mark.slow
def test_a_scheduler_that_goes_away_is_named(tmp_path):
    file = tmp_path / "scheduler.json"
    where = ["--scheduler-file", str(file), "--no-dashboard"]
    with contextlib.ExitStack() as stack:
        for kind, more in (
            ("scheduler", ["--host", "127.0.0.1", "--port", "0"]),
            ("worker", ["--nworkers", "1", "--nthreads", "1"]),
        ):
            command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *where]
            process = subprocess.Popen([*command, *more], stderr=subprocess.DEVNULL)
            stack.enter_context(process)
            stack.callback(process.kill)
            if kind == "scheduler":
                scheduler = process
                while not file.exists():
                    time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        connection = stack.enter_context(connect(Scheduler(address)))
        results = run_units({f"unit {n}": n for n in range(20)}, nap, connection)
        found = dict(itertools.islice(results, 3))
        scheduler.kill()
        sentence = f"The scheduler {address} went away. What was finished is kept"
        with pytest.raises(InputError, match=sentence):
            found.update(results)
        assert 3 <= len(found) < 20
