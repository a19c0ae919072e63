"""A run that was killed, at whatever moment, ends as one that never was."""

import contextlib
import dataclasses
import json
import os
import random
import signal
import time
import warnings

import command_process
import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.models import Classifier, ModelConfig
from qfm_jax.runs.config import DataConfig, RunConfig
from qfm_jax.runs.directory import read_config, read_run
from qfm_jax.runs.execute import execute
from qfm_jax.runs.presets import get_preset
from qfm_jax.training import TrainConfig, fit, store
from qfm_jax.training.checkpoints import Checkpoints

TIMES = {"seconds", "images_per_second"}
STEPS_PER_EPOCH = 20
EPOCHS = 4
OPTIONS = [
    "mlp", "--dataset", "digits", "--train-size", "400", "--batch-size", "20",
    "--epochs", str(EPOCHS), "--checkpoint-seconds", "0",
]  # fmt: skip


def config_of(**changes):
    """The configuration that `OPTIONS` describe."""
    training = TrainConfig(
        epochs=EPOCHS, batch_size=20, checkpoint_seconds=0.0, **changes
    )
    data = DataConfig("digits", train_size=400)
    return RunConfig("mlp", get_preset("mlp").network, training, data)


def arrays_in(directory, name):
    """The arrays of a checkpoint as bytes by path, read without our code."""
    (folder,) = (directory / "checkpoints" / name).iterdir()
    handler = ocp.PyTreeCheckpointHandler()
    with ocp.Checkpointer(handler) as reader, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is read where it was written
        tree = reader.restore(folder / "state")
    leaves, _ = jax.tree.flatten_with_path(tree)
    named = {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
    arrays = {
        path: jax.random.key_data(leaf) if "key" in path and leaf.ndim == 0 else leaf
        for path, leaf in named.items()
        if "seconds" not in path
    }
    return folder.name, {path: np.asarray(a).tobytes() for path, a in arrays.items()}


def metrics_in(directory):
    path = directory / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [
        {name: value for name, value in json.loads(line).items() if name not in TIMES}
        for line in lines
    ]


def assert_same_run(directory, expected):
    assert metrics_in(directory) == metrics_in(expected)
    for name in ("last", "best"):
        step, arrays = arrays_in(directory, name)
        expected_step, expected_arrays = arrays_in(expected, name)
        assert step == expected_step
        assert len(arrays) > 5
        assert arrays == expected_arrays


def finish(directory):
    return execute(read_config(directory), directory, resume=True, progress=False)


def steps_saved(directory):
    folder = directory / "checkpoints" / "last"
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    return max((int(name) for name in names if name.isdigit()), default=0)


def is_writing(directory):
    return any(directory.glob("checkpoints/*/*tmp*"))


def kill_when(arguments, condition, output, kind=signal.SIGKILL):
    """Starts `qfm train`, and sends the signal as soon as the condition holds."""
    process = command_process.start(["train", *map(str, arguments)], output)
    deadline = time.monotonic() + 300
    while process.is_alive() and not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError):  # it may have come to its end
        os.kill(process.pid, kind)
    process.join()
    return process.exitcode, output.read_text()


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "augmented"])
def uninterrupted(request, tmp_path_factory):
    """A run that was never stopped: its augmentation option and its directory."""
    augment = request.param
    directory = tmp_path_factory.mktemp("uninterrupted") / "run"
    execute(config_of(augment=augment), directory, progress=False)
    return augment, directory


def test_killed_three_times(tmp_path):
    expected, directory = tmp_path / "expected", tmp_path / "run"
    expected_run = execute(config_of(), expected, progress=False)
    moments = [
        # before the first checkpoint; within an epoch; while a checkpoint is written
        ([*OPTIONS, "--out", directory], (directory / "config.toml").exists),
        (["--resume", directory], lambda: steps_saved(directory) % STEPS_PER_EPOCH),
        (
            ["--resume", directory],
            lambda: steps_saved(directory) > STEPS_PER_EPOCH and is_writing(directory),
        ),
    ]
    for arguments, moment in moments:
        status, output = kill_when(arguments, moment, tmp_path / "output")
        assert status == -signal.SIGKILL, output
    assert not (directory / "scores.json").exists()
    run = finish(directory)
    assert run.config == expected_run.config
    assert run.result.scores == expected_run.result.scores
    assert_same_run(directory, expected)


def random_moment(directory, rng):
    """A condition that comes true a while behind a random step."""
    step = rng.randrange(EPOCHS * STEPS_PER_EPOCH - 5)
    while_writing = rng.random() < 0.5
    delay = 0.0 if while_writing else 0.2 * rng.random()

    def is_now():
        if steps_saved(directory) < step:
            return False
        if while_writing and not is_writing(directory):
            return False
        time.sleep(delay)
        return True

    return is_now


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_killed_at_random(uninterrupted, tmp_path, seed):
    augment, expected = uninterrupted
    rng = random.Random(seed)
    directory = tmp_path / "run"
    options = [*OPTIONS, "--augment"] if augment else OPTIONS
    arguments = [*options, "--out", directory]
    for _ in range(rng.randint(1, 2)):
        late = random_moment(directory, rng)
        kill_when(arguments, late, tmp_path / "output")
        if (directory / "config.toml").exists():
            arguments = ["--resume", directory]
    run = finish(directory)
    assert run.result.scores == read_run(expected).result.scores
    assert_same_run(directory, expected)


def test_ctrl_c_on_the_command_line(tmp_path):
    directory = tmp_path / "run"
    options = ["--epochs", "2000", *OPTIONS[1:-4], "--checkpoint-seconds", "60"]
    status, output = kill_when(
        ["mlp", *options, "--out", directory],
        lambda: len(metrics_in(directory)) > 0,
        tmp_path / "output",
        signal.SIGINT,
    )
    assert status == 130, output
    assert f"Continue with --resume {directory}." in output.replace("\n", " ")
    assert "Traceback" not in output
    assert steps_saved(directory)
    assert not (directory / "scores.json").exists()


class Stop(BaseException):
    """Ends the process, as far as the code under test can see."""


class Noisy(nnx.Module):
    """A model whose state is more than its weights: averages and random numbers."""

    def __init__(self, seed=0):
        rngs = nnx.Rngs(seed)
        self.hidden = nnx.Linear(784, 12, rngs=rngs)
        self.norm = nnx.BatchNorm(12, momentum=0.9, rngs=rngs)
        self.dropout = nnx.Dropout(0.3, rngs=rngs)
        self.linear = nnx.Linear(12, 10, rngs=rngs)

    def __call__(self, images):
        x = self.norm(self.hidden(images.reshape(images.shape[0], -1)))
        return self.linear(self.dropout(jax.nn.relu(x)))


def noisy_run(digits, directory, *, resume=False, key=0, model=None, **options):
    config = TrainConfig(
        **{"epochs": 3, "batch_size": 50, "checkpoint_seconds": 0.0} | options
    )
    model = model or Noisy()
    train = digits.train.take(range(200))
    arguments = (train, digits.validation, config, jax.random.key(key))
    return fit(model, *arguments, directory=directory, resume=resume, progress=False)


@pytest.fixture(scope="module")
def noisy(digits, tmp_path_factory):
    directory = tmp_path_factory.mktemp("noisy")
    noisy_run(digits, directory)
    return directory


def stop_at(patch, moment):
    """Raises at a moment, counted from 1.

    The moments are those after each line of metrics.jsonl, and before and after each
    checkpoint.
    """
    count = 0

    def tick():
        nonlocal count
        count += 1
        if count == moment:
            raise Stop

    save, append = Checkpoints.save, store.append_record

    def saving(self, name, step, state):
        tick()
        save(self, name, step, state)
        tick()

    def appending(path, record):
        append(path, record)
        tick()

    patch.setattr(Checkpoints, "save", saving)
    patch.setattr(store, "append_record", appending)


def test_stopped_around_every_write(digits, noisy, tmp_path, monkeypatch):
    directory = tmp_path / "run"
    # From the first write of a run on; then at various ones of its continuations.
    for moment in (1, 2, 3, 4, 5, 2, 7, 3):
        with monkeypatch.context() as patch:
            stop_at(patch, moment)
            with pytest.raises(Stop):
                noisy_run(digits, directory, resume=directory.exists())
    noisy_run(digits, directory, resume=True)
    assert_same_run(directory, noisy)


def test_finished_run_resumes_to_the_same_model(digits, noisy):
    model, again = Noisy(), Noisy(seed=5)
    before = metrics_in(noisy)
    noisy_run(digits, noisy, resume=True, model=model)
    noisy_run(digits, noisy, resume=True, model=again)
    one, other = (jax.tree.leaves(nnx.state(m, nnx.Not(nnx.RngState)))
                  for m in (model, again))  # fmt: skip
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert metrics_in(noisy) == before


def snapshot(directory):
    return {p: p.read_bytes() for p in directory.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"epochs": 4}, "belongs to another .*training is .*'epochs': 3.* there"),
        ({"augment": True}, "belongs to another .*training is"),
        (
            {"model": Classifier(ModelConfig(), rngs=nnx.Rngs(0))},
            "belongs to another .*weights is",
        ),
    ],
)
def test_checkpoint_of_another_run(digits, noisy, changes, sentence):
    before = snapshot(noisy)
    with pytest.raises(InputError, match=sentence):
        noisy_run(digits, noisy, resume=True, **changes)
    assert snapshot(noisy) == before


def test_a_run_is_not_overwritten(digits, noisy):
    before = snapshot(noisy)
    with pytest.raises(InputError, match="already holds a run, and nothing is overwri"):
        noisy_run(digits, noisy)
    assert snapshot(noisy) == before


def test_lost_metrics(digits, noisy, tmp_path):
    directory = tmp_path / "run"
    noisy_run(digits, directory)
    (directory / "metrics.jsonl").unlink()
    with pytest.raises(InputError, match="holds 0 epochs, but the checkpoint beside i"):
        noisy_run(digits, directory, resume=True)


def test_another_seed_would_be_seen(digits, noisy, tmp_path):
    noisy_run(digits, tmp_path / "run", key=1)
    with pytest.raises(AssertionError):
        assert_same_run(tmp_path / "run", noisy)


def test_options_describe_the_configuration():
    from qfm_jax.commands import Train

    assert Train.of(config_of()).config == config_of()
    assert dataclasses.replace(config_of(), seed=1) != config_of()
