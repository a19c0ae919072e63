"""A circuit on the frozen layers of a finished run."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.cli import main
from qfm_jax.models import ModelConfig, count_frozen, count_parameters
from qfm_jax.reporting import cost_records
from qfm_jax.runs.config import DataConfig, RunConfig
from qfm_jax.runs.directory import read_run
from qfm_jax.runs.execute import execute
from qfm_jax.runs.model import load_model, start_model
from qfm_jax.training import TrainConfig

DENSE = ModelConfig(hidden=(6,), block="dense", n_qubits=3)
HEAD = dataclasses.replace(
    DENSE, block="circuit", layers="real-amplitudes", n_layers=1, frozen_front=True
)
DATA = DataConfig("digits", train_size=200, test_size=50)


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    directory = tmp_path_factory.mktemp("trunk") / "run"
    config = RunConfig("trunk", DENSE, TrainConfig(epochs=1), DATA)
    return execute(config, directory, progress=False)


def front(model):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(model.front))]


def test_the_front_is_the_trunks_and_stays_so(trunk, tmp_path):
    config = RunConfig(
        *("transfer", HEAD, TrainConfig(epochs=2), DATA), trunk=str(trunk.directory)
    )
    run = execute(config, tmp_path / "run", progress=False)
    trained = load_model(read_run(run.directory))
    theirs = front(load_model(trunk))
    assert len(theirs) == 4  # kernels and biases of two layers
    for ours, expected in zip(front(trained), theirs, strict=True):
        np.testing.assert_array_equal(ours, expected)
    start = start_model(config, n_classes=10)
    moved = [
        not np.array_equal(a, b)
        for a, b in zip(
            jax.tree.leaves(nnx.state(start, nnx.Param)),
            jax.tree.leaves(nnx.state(trained, nnx.Param)),
            strict=True,
        )
    ]
    assert all(moved)
    assert count_parameters(trained) == (2 * 3, 3 * 10 + 10)
    # A hidden layer of six, and the one that reduces them to three.
    n_frozen = 784 * 6 + 6 + 6 * 3 + 3
    assert count_frozen(trained) == run.result.n_parameters_frozen == n_frozen
    (record,) = cost_records([run])
    assert record.costs["parameters"] == 6 + 40 + n_frozen


def test_without_frozen_layers_the_trunk_is_a_start(trunk):
    network = dataclasses.replace(HEAD, frozen_front=False)
    config = RunConfig("warm", network, data=DATA, trunk=str(trunk.directory))
    model = start_model(config, n_classes=10)
    for ours, expected in zip(front(model), front(load_model(trunk)), strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert len(jax.tree.leaves(nnx.state(model.front, nnx.Param))) == 4


def test_frozen_layers_need_a_trunk_that_fits(trunk, tmp_path, capsys):
    with pytest.raises(InputError, match=r"`trunk` must name a finished run.* is miss"):
        RunConfig("head", HEAD, data=DATA)
    other = dataclasses.replace(HEAD, hidden=(7,))
    config = RunConfig("head", other, data=DATA, trunk=str(trunk.directory))
    with pytest.raises(InputError, match=r"`trunk` must name a run with the same lay"):
        start_model(config, n_classes=10)
    out = tmp_path / "run"
    given = ["--dataset", "digits", "--train-size", "100", "--out", str(out)]
    models = ["--models", "transfer-hybrid"]
    for command in (["train", "transfer-hybrid"], ["audit", "transfer-hybrid"]):
        assert main([*command, *given]) == 2
        assert "`trunk` must name a finished run" in capsys.readouterr().err
    assert main(["compare", *models, *given]) == 2
    assert "`trunk` must name a finished run" in capsys.readouterr().err
    other = ["--trunk", str(trunk.directory), "--controls", "dense"]
    assert main(["audit", "transfer-hybrid", *given, *other]) == 2
    assert "`trunk` must name a run with the same layers" in capsys.readouterr().err
    assert not out.exists()
