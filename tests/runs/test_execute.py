"""A configuration becomes a run directory, once."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from qfm_jax._checks import InputError
from qfm_jax.devices import DeviceConfig
from qfm_jax.models import ModelConfig
from qfm_jax.models.prediction import predict_logits
from qfm_jax.runs import execute as experiment
from qfm_jax.runs.config import DataConfig, RunConfig
from qfm_jax.runs.execute import execute, score_model
from qfm_jax.runs.model import load_data, load_model
from qfm_jax.training import TrainConfig

CONFIG = RunConfig(
    "tiny",
    ModelConfig(block="circuit", n_qubits=3, n_layers=1),
    TrainConfig(epochs=3, batch_size=50, learning_rate=0.05),
    DataConfig("digits", train_size=300, test_size=200),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of a hybrid model of three qubits."""
    return execute(CONFIG, tmp_path_factory.mktemp("runs") / "tiny", progress=False)


def snapshot(directory):
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_directory_holds_the_files_of_a_run(run):
    names = {path.name for path in run.directory.iterdir()}
    assert names == {
        *("config.toml", "metrics.jsonl", "scores.json", "mistakes.npz"),
        *("checkpoints", "lock"),
    }
    folders = {path.name for path in (run.directory / "checkpoints").iterdir()}
    assert folders == {"last", "best"}
    assert len((run.directory / "metrics.jsonl").read_text().splitlines()) == 3


def test_scores_are_complete(run, digits):
    table = json.loads((run.directory / "scores.json").read_text())
    result, scores = run.result, run.result.scores
    assert table["n_test"] == scores.n_test == 200
    assert table["accuracy"] == scores.accuracy
    assert table["accuracy_interval"] == list(scores.accuracy_interval)
    quantum, classical = 3 * 3, 784 * 3 + 3 + 3 * 10 + 10
    assert table["n_parameters"] == quantum + classical
    assert table["n_parameters_quantum"] == quantum
    assert table["seconds_training"] == run.history.seconds_training > 0
    assert (result.n_train, result.n_validation) == (300, len(digits.validation))
    assert result.device == DeviceConfig().name
    assert 50 * 2**20 < result.peak_memory_bytes < 2**36
    assert result.versions["jax"] == jax.__version__


def test_loaded_model_reaches_the_very_scores(run):
    model = load_model(run)
    scores, *_ = score_model(model, load_data(run, test_size=200).test)
    assert scores == run.result.scores
    validation = load_data(run).validation
    guesses = predict_logits(model, validation.pixels).argmax(axis=1)
    accuracy = np.mean(guesses == validation.labels)
    assert accuracy == run.history.best.validation_accuracy


def test_loaded_model_runs_on_another_device(run):
    images = jnp.asarray(load_data(run).test.pixels[:4]) / 255
    own = load_model(run)(images)
    other = load_model(run, device=DeviceConfig("lightning.qubit"))(images)
    np.testing.assert_allclose(other, own, atol=2e-5)


def test_mistakes_are_the_most_certain_ones(run):
    test = load_data(run, test_size=200).test
    probabilities = softmax(predict_logits(load_model(run), test.pixels), axis=1)
    wrong = probabilities.argmax(axis=1) != test.labels
    certain = np.sort(probabilities.max(axis=1)[wrong])[::-1][:24]
    np.testing.assert_allclose(run.mistakes.confidence, certain, rtol=1e-6)
    assert np.all(run.mistakes.labels != run.mistakes.predictions)
    for image, label in zip(run.mistakes.images, run.mistakes.labels, strict=True):
        same = np.flatnonzero((test.pixels == image).all(axis=(1, 2)))
        assert label in test.labels[same]


def test_test_images_are_classified_once(tmp_path, monkeypatch):
    scored = []

    def counting(model, test):
        scored.append(len(test))
        return score_model(model, test)

    monkeypatch.setattr(experiment, "score_model", counting)
    config = dataclasses.replace(CONFIG, network=ModelConfig())
    run = execute(config, tmp_path / "run", progress=False)
    execute(config, tmp_path / "run", resume=True, progress=False)
    assert scored == [run.result.scores.n_test] == [200]


def test_resuming_a_finished_run_changes_nothing(run):
    before = snapshot(run.directory)
    again = execute(CONFIG, run.directory, resume=True, progress=False)
    assert again.result == run.result
    assert snapshot(run.directory) == before


def test_a_run_is_not_overwritten(run):
    before = snapshot(run.directory)
    with pytest.raises(InputError, match="already holds a run, and nothing is overwri"):
        execute(CONFIG, run.directory, progress=False)
    assert snapshot(run.directory) == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seed": 1}, "seed is 0 there and 1 here"),
        (
            {"training": TrainConfig(epochs=9)},
            "training.epochs is 3 there and 9 here; ",
        ),
        ({"network": ModelConfig()}, "network.block is 'circuit' there and 'none' her"),
        ({"data": DataConfig("digits")}, "data.train_size is 300 there and None here"),
        ({"device": DeviceConfig(shots=5)}, "device.shots is None there and 5 here"),
    ],
)
def test_resuming_with_other_options_names_each(run, change, sentence):
    before = snapshot(run.directory)
    config = dataclasses.replace(CONFIG, **change)
    with pytest.raises(InputError, match=f"holds a run of another con.*{sentence}"):
        execute(config, run.directory, resume=True, progress=False)
    assert snapshot(run.directory) == before


def test_nothing_to_resume(tmp_path):
    with pytest.raises(InputError, match=r"holds no run: there is no config.toml"):
        execute(CONFIG, tmp_path / "nowhere", resume=True, progress=False)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"data": DataConfig("digits", train_size=0)}, "`train_size` must"),
        ({"data": DataConfig("digits", test_size=-5)}, "`test_size` must"),
        ({"data": DataConfig("digits", train_size=10**6)}, "`train_size` must"),
        ({"data": DataConfig("digit")}, "`name` must be one of .*mean 'digits'"),
        ({"network": ModelConfig(channels=(2,) * 5)}, "`channels` must have fewer"),
    ],
)
def test_bad_input_leaves_no_directory(tmp_path, change, sentence):
    config = dataclasses.replace(CONFIG, **change)
    with pytest.raises(InputError, match=sentence):
        execute(config, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("damage", ["removed", "other"])
def test_model_without_its_checkpoint(run, damage, tmp_path):
    if damage == "removed":
        lost = dataclasses.replace(run, directory=tmp_path)
        sentence = "holds no best checkpoint"
    else:
        network = dataclasses.replace(CONFIG.network, n_layers=2)
        config = dataclasses.replace(CONFIG, network=network)
        lost = dataclasses.replace(run, config=config)
        sentence = "best checkpoint .* belongs to another model.*weights is"
    with pytest.raises(InputError, match=sentence):
        load_model(lost)
