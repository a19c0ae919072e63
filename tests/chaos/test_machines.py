"""Clocks that jump, memory that gives out, numbers that are none."""

import jax
import jax.numpy as jnp
import pytest
from chaos.commands import contents, finish
from chaos.jobs import EVALUATION, TINY, TRAINING
from flax import nnx

from qfm_jax.training import TrainConfig, TrainingDiverged, fit

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize("job", [TRAINING, EVALUATION], ids=lambda job: job.name)
def test_a_clock_that_jumps(tmp_path, submitted_run, faults, job):
    found = []
    for name, disturb in (("calm", None), ("jumping", "jumping_clock")):
        directory = tmp_path / name
        job.begin(directory, submitted_run.directory)
        status, text = finish(job.arguments(directory), tmp_path / "output", disturb)
        assert status == 0, text
        found.append(contents(directory))
    with faults("a clock that jumps by days", notes="Python's `time.time`"):
        assert found[0] == found[1]


def test_memory_that_gives_out(tmp_path, faults):
    arguments = ["train", "mlp", *TINY, "--hidden", "4000000", "--out", tmp_path / "a"]
    with faults("memory that gives out", notes="RLIMIT_AS of 8 GiB"):
        status, text = finish(arguments, tmp_path / "output", "little_memory")
        assert status == 1, text
        assert "There is not enough memory" in text


def test_a_circuit_that_cannot_fit(tmp_path, faults):
    directory = tmp_path / "run"
    options = ["--n-qubits", "40", "--out", directory]
    with faults("a circuit that cannot fit, refused before it starts"):
        status, text = finish(
            ["train", "hybrid-cnn", *TINY, *options], tmp_path / "output"
        )
        assert status == 2, text
        assert "2^40 amplitudes" in text
        assert not directory.exists()


@jax.custom_jvp
def poisoned(x, is_now):
    """The identity; where it is time, its derivative is NaN."""
    return x


@poisoned.defjvp
def _(primals, tangents):
    x, is_now = primals
    return x, jnp.where(is_now, jnp.nan, 1.0) * tangents[0]


class Fragile(nnx.Module):
    """A linear classifier whose gradient is NaN at one step, from 1."""

    def __init__(self, nan_at=-1):
        self.linear = nnx.Linear(784, 10, rngs=nnx.Rngs(0))
        self.steps = nnx.BatchStat(jnp.float32(0))
        self.nan_at = nan_at

    def __call__(self, images):
        self.steps[...] += 1
        logits = self.linear(images.reshape(len(images), -1))
        return poisoned(logits, self.steps[...] == self.nan_at)


def trained(digits, model, directory, resume=False):
    train, config = digits.train.take(range(200)), TrainConfig(epochs=3, batch_size=50)
    fit(
        model, train, digits.validation, config, jax.random.key(0),
        directory=directory, resume=resume, progress=False,
    )  # fmt: skip


def test_a_gradient_that_is_no_number(digits, tmp_path, faults, rng):
    trained(digits, Fragile(), tmp_path / "whole")
    for nan_at in rng.sample(range(1, 13), 4):
        directory = tmp_path / f"run-{nan_at}"
        with faults("a gradient that is NaN"):
            with pytest.raises(
                TrainingDiverged, match=rf"step {nan_at}\. (The last|N)"
            ):
                trained(digits, Fragile(nan_at), directory)
            trained(digits, Fragile(), directory, resume=True)
            assert contents(directory) == contents(tmp_path / "whole")
