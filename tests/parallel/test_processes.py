"""Several processes that train together: two real ones on loopback, and refusals."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.parallel import processes
from qfm_jax.parallel.processes import Place, check_alike, exchange, find_place
from qfm_jax.runs.directory import read_run
from qfm_jax.runs.model import load_model

OPTIONS = ["linear", "--dataset", "digits", "--batch-size", "50", "--augment"]
SMALL = [*OPTIONS, "--train-size", "200", "--epochs", "2"]
LONG = [*OPTIONS, "--train-size", "200", "--epochs", "1000"]
QFM = "import sys; from qfm_jax.cli import main; sys.exit(main())"


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Started:
    """`qfm train` in a process of its own."""

    def __init__(self, arguments, output, code=QFM):
        self.output = output
        with output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", code, "train", *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "JAX_PLATFORMS": "cpu"},
            )

    def end(self, seconds=400):
        """Its status, and all that it printed."""
        try:
            return self.process.wait(seconds), self.output.read_text()
        finally:
            self.process.kill()


def start(tmp_path, *options, codes=(QFM, QFM)):
    """Two processes; `options` are those of each."""
    port = free_port()
    return [
        Started(
            [*map(str, own), *place(port, i)], tmp_path / f"{time.time()}-{i}", codes[i]
        )
        for i, own in enumerate(options)
    ]


def place(port, number, n_processes=2):
    where = ["--coordinator", f"localhost:{port}", "--process-id", str(number)]
    return [*where, "--processes", str(n_processes)]


def alone(arguments, tmp_path):
    status, output = Started(map(str, arguments), tmp_path / "alone").end()
    assert status == 0, output


def weights_of(directory):
    state = nnx.state(load_model(read_run(directory)), nnx.Param)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]


def losses_in(directory):
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["train_loss"] for line in lines]


def assert_same(directory, expected):
    np.testing.assert_allclose(losses_in(directory), losses_in(expected), atol=1e-5)
    for one, other in zip(weights_of(directory), weights_of(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def until(condition, processes):
    deadline = time.monotonic() + 300
    while not condition():
        assert all(p.process.poll() is None for p in processes), [
            p.output.read_text() for p in processes
        ]
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
def test_two_processes_give_the_weights_of_one(tmp_path):
    out, expected = tmp_path / "two", tmp_path / "one"
    first, second = start(tmp_path, [*SMALL, "--out", out], [*SMALL, "--out", out])
    status, printed = first.end()
    assert status == 0, printed
    assert f"Run directory: {out}" in printed
    status, silent = second.end()
    assert status == 0, silent
    assert "epoch" not in silent
    assert "Run directory" not in silent
    alone([*SMALL, "--out", expected], tmp_path)
    assert_same(out, expected)
    assert not [path for path in out.rglob("*") if "process_1" in path.name]


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_one_is_killed_and_the_run_goes_on_in_one_process(tmp_path, victim):
    out = tmp_path / "run"
    both = start(tmp_path, [*LONG, "--out", out], [*LONG, "--out", out])
    metrics = out / "metrics.jsonl"
    until(lambda: metrics.exists() and len(metrics.read_text()) > 300, both)
    both[victim].process.kill()
    both[victim].process.wait()
    killed = time.monotonic()
    status, output = both[1 - victim].end()
    assert time.monotonic() - killed < 60
    assert status == processes.LOST, output
    assert "Another of the 2 processes of this training has ended" in output
    assert f"Start all again with --resume {out}." in output
    n_epochs = len(losses_in(out))
    resumed = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", QFM, "train", "--resume", str(out)]
    )
    while len(losses_in(out)) < n_epochs + 3:
        assert resumed.poll() is None
        time.sleep(0.1)
    resumed.kill()
    resumed.wait()
    losses = losses_in(out)
    assert losses[0] > losses[n_epochs] > 0


@pytest.mark.slow
@pytest.mark.parametrize("one", [0, 1])
def test_ctrl_c_in_one_stops_all_with_a_checkpoint(tmp_path, one):
    out = tmp_path / "run"
    both = start(tmp_path, [*LONG, "--out", out], [*LONG, "--out", out])
    metrics = out / "metrics.jsonl"
    until(lambda: metrics.exists() and len(metrics.read_text()) > 300, both)
    both[one].process.send_signal(signal.SIGINT)
    (first, said), (second, silent) = (each.end(60) for each in both)
    assert (first, second) == (130, 130), said + silent
    assert f"Continue with --resume {out}." in said
    assert "process 0 saves it" in silent
    (checkpoint,) = (out / "checkpoints" / "last").glob("[0-9]*")
    assert int(checkpoint.name) > 0


OTHER_CODE = """
import qfm_jax.parallel.processes
qfm_jax.parallel.processes.code_digest = lambda: "another"
""" + QFM  # fmt: skip


@pytest.mark.slow
def test_processes_that_disagree_name_in_what(tmp_path):
    out = tmp_path / "run"
    own = [*SMALL, "--out", out, "--learning-rate", "0.1"]
    both = start(tmp_path, [*SMALL, "--out", out], own, codes=(QFM, OTHER_CODE))
    for process in both:
        status, output = process.end()
        assert status == 2, output
        sentence = output.replace("\n", " ")
        assert "Process 1 differs from process 0: " in sentence
        assert "training.learning_rate is 0.1 there and 0.004 in process 0" in sentence
        assert "code is 'another' there" in sentence
    assert not out.exists()


@pytest.mark.slow
def test_a_process_that_never_comes(tmp_path):
    code = f"import qfm_jax.parallel.processes as p; p.JOIN_SECONDS = 3; {QFM}"
    first = Started(
        [*SMALL, "--out", str(tmp_path / "run"), *place(free_port(), 0)],
        tmp_path / "output",
        code,
    )
    status, output = first.end()
    assert status == processes.LOST, output
    assert "The 2 processes did not find each other within 3 s" in output


def test_a_coordinator_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(processes, "JOIN_SECONDS", 0.5)
    address = f"localhost:{free_port()}"
    sentence = f"The coordinator at {address} did not answer within 0.5 s: .*refused"
    with (
        pytest.raises(InputError, match=sentence),
        processes.joined(Place(2, 1, address), "Start again."),
    ):
        pass


def test_a_failure_of_the_runtime_is_told_as_a_lost_process(monkeypatch):
    monkeypatch.setattr(processes, "_join", lambda place: None)
    monkeypatch.setattr(processes, "_set_last_words", lambda sentence: None)
    lost = "Another of the 2 processes of this training has ended.* Start again"
    with (
        pytest.raises(processes.ProcessLost, match=lost),
        processes.joined(Place(2, 1, "localhost:1"), "Start again."),
    ):
        raise ValueError("UNKNOWN: Gloo AllGather failed: Connection closed by peer")
    with (
        pytest.raises(ValueError, match="a bug of ours"),
        processes.joined(Place(2, 1, "localhost:1"), "Start again."),
    ):
        raise ValueError("a bug of ours")


def test_the_environment_names_the_place():
    kubernetes = {
        "QFM_COORDINATOR": "train-0.train:1234",
        "QFM_PROCESSES": "4",
        "JOB_COMPLETION_INDEX": "2",
    }
    expected = Place(4, 2, "train-0.train:1234")
    assert find_place(environment=kubernetes) == expected
    assert find_place(environment={**kubernetes, "QFM_PROCESS_ID": "3"}) == (
        dataclasses.replace(expected, process_id=3)
    )
    assert find_place("here:1", 2, 1, environment=kubernetes) == Place(2, 1, "here:1")


def test_a_step_of_slurm_is_seen_and_a_batch_script_is_not():
    step = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3", "SLURM_NTASKS": "4"}
    assert find_place(environment=step) == Place(4, 3)
    script = {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7"}
    assert find_place(environment=script) is None
    shell = {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}
    assert find_place(environment=shell) is None
    assert find_place(environment={"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("host:1", 2, None), "`process_id` must be given with the two others"),
        ((None, 2, 0), "`coordinator` must be given with the two others"),
        (("host", 2, 0), "`coordinator` must be HOST:PORT.* but is 'host'"),
        (("host:http", 2, 0), "`coordinator` must be HOST:PORT"),
        (("host:99999", 2, 0), "`coordinator` must be HOST:PORT"),
        (("host:1", 0, 0), "`processes` must be a whole number of at least 1"),
        (("host:1", 2, 2), r"`process_id` must lie in \[0, 1\], but is 2"),
    ],
)
def test_a_place_that_is_none(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        find_place(*arguments, environment={})


def test_the_environment_may_be_wrong():
    environment = {"QFM_COORDINATOR": "host:1", "QFM_PROCESSES": "four"}
    with pytest.raises(InputError, match=r"`QFM_PROCESSES` must be a whole .* 'four'"):
        find_place(environment=environment)


def test_a_process_alone_agrees_with_itself():
    assert exchange([1, "two"]) == [[1, "two"]]
    check_alike({"epochs": 3})


def test_what_differs_is_named(monkeypatch):
    monkeypatch.setattr(processes, "are_several", lambda: True)
    described = {"epochs": 3, "jax": "0.10.2", "train": "abc"}
    others = [described, described, {**described, "epochs": 4, "train": "abd"}]
    monkeypatch.setattr(processes, "exchange", lambda own: others)
    sentence = (
        "Process 2 differs from process 0: epochs is 4 there and 3 in process 0; train"
    )
    with pytest.raises(InputError, match=sentence):
        check_alike(described)
    others.pop()
    check_alike(described)
    monkeypatch.setattr(processes, "devices_of_each", lambda: [8, 4])
    with pytest.raises(InputError, match=r"The processes have \[8, 4\] devices"):
        check_alike(described)
