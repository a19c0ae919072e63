"""The files of a run directory: what is written comes back, damage is named."""

import dataclasses
import json
import shutil
import tomllib

import numpy as np
import pytest

from qfm_jax._checks import InputError
from qfm_jax.devices import DeviceConfig
from qfm_jax.evaluation import score
from qfm_jax.models import ModelConfig
from qfm_jax.runs.config import DataConfig, RunConfig
from qfm_jax.runs.directory import (
    Mistakes,
    Result,
    read_config,
    read_run,
    write_config,
    write_result,
)
from qfm_jax.runs.presets import MODELS
from qfm_jax.runs.versions import machine_versions
from qfm_jax.training import TrainConfig
from qfm_jax.training.history import EpochRecord, append_record

CONFIGS = {
    "defaults": RunConfig("linear", ModelConfig()),
    "sizes": RunConfig(
        "cnn",
        ModelConfig(channels=(4, 8), hidden=(12,), block="dense", n_qubits=5),
        TrainConfig(epochs=3, optimizer="adamw", learning_rate=1e-5, augment=True),
        DataConfig("fashion-mnist", 'a "quoted" folder\\with é', 100, 50),
        seed=2**40,
    ),
    "shots": RunConfig(
        "hybrid",
        ModelConfig(block="circuit", n_qubits=3),
        device=DeviceConfig("default.qubit", 100, "parameter-shift", 7),
    ),
    "options": RunConfig(
        "hybrid",
        ModelConfig(block="circuit", n_qubits=3),
        device=DeviceConfig(
            "qiskit.aer",
            options={"method": "statevector", "seed_simulator": 3, "precise": True},
        ),
    ),
}


def result():
    scores = score(np.eye(3) * 4, np.array([0, 1, 1]))
    return Result(
        "linear", "digits", "classical", 0, ("a", "b", "c"), 10, 5, 30, 0, 30, 2,
        1.5, 0.1 + 0.2, 0.01, 10**9, scores, machine_versions(), "Fell back.",
    )  # fmt: skip


def test_versions_of_a_machine_that_lacks_a_package(monkeypatch):
    monkeypatch.setattr("qfm_jax.runs.versions.PACKAGES", ("numpy", "no-such-package"))
    versions = machine_versions(accelerator=False)
    assert versions["numpy"] == np.__version__
    assert versions["no-such-package"] == "not installed"


def mistakes():
    images = np.arange(784, dtype=np.uint8).reshape(1, 28, 28)
    one = np.array([1], np.int32)
    return Mistakes(images, one, one + 1, np.array([0.9], np.float32))


@pytest.fixture
def finished(tmp_path):
    """A directory with the files of a finished run of two epochs."""
    directory = tmp_path / "run"
    write_config(directory, CONFIGS["defaults"])
    for epoch in (1, 2):
        record = EpochRecord(epoch, epoch, 1.0, 0.5, 1.0, 0.1 * epoch, 1e-3, 1.0, 9.0)
        append_record(directory / "metrics.jsonl", record)
    write_result(directory, result(), mistakes())
    return directory


@pytest.mark.parametrize("config", CONFIGS.values(), ids=list(CONFIGS))
def test_configuration_comes_back_equal(tmp_path, config):
    write_config(tmp_path / "new" / "run", config)
    assert read_config(tmp_path / "new" / "run") == config


def test_configuration_can_be_read_by_others(tmp_path):
    write_config(tmp_path, CONFIGS["sizes"])
    table = tomllib.loads((tmp_path / "config.toml").read_text())
    assert table["format"] == 1
    assert table["network"]["channels"] == [4, 8]
    assert table["training"]["learning_rate"] == 1e-5
    assert table["data"]["train_size"] == 100
    assert "shots" not in table["device"]


def test_the_readout_of_version_0_1_is_the_head(tmp_path):
    config = RunConfig("pure", ModelConfig(block="removed", head="scale"))
    write_config(tmp_path / "run", config)
    path = tmp_path / "run" / "config.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('head = "scale"', 'readout = "scale"'))
    assert 'readout = "scale"' in path.read_text(encoding="utf-8")
    assert read_config(tmp_path / "run") == config


def test_a_whole_circuit_was_named_as_an_embedding(tmp_path):
    config = RunConfig("hamiltonian", MODELS["hamiltonian"].network)
    write_config(tmp_path / "run", config)
    path = tmp_path / "run" / "config.toml"
    text = path.read_text(encoding="utf-8")
    old = 'embedding = "hamiltonian"\nlayers = "unitary"'
    path.write_text(text.replace('circuit = "hamiltonian"', old))
    assert old in path.read_text(encoding="utf-8")
    assert read_config(tmp_path / "run") == config


def test_run_comes_back_equal(finished):
    run = read_run(finished)
    assert run.config == CONFIGS["defaults"]
    assert run.result == result()
    assert run.history.best_epoch == 2
    assert run.history.seconds_training == 2.0
    for name, array in vars(mistakes()).items():
        read = getattr(run.mistakes, name)
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)


def test_scores_stand_under_the_names_that_scripts_rely_on(finished):
    table = json.loads((finished / "scores.json").read_text())
    assert table["accuracy"] == pytest.approx(2 / 3)
    low, high = table["accuracy_interval"]
    assert 0 < low < table["accuracy"] < high < 1
    assert table["n_test"] == 3
    assert table["n_parameters"] == 30
    assert table["seconds_training"] == 1.5


def test_nothing_is_overwritten(finished):
    before = (finished / "config.toml").read_bytes()
    with pytest.raises(InputError, match="already holds a run, and nothing is overwri"):
        write_config(finished, CONFIGS["sizes"])
    assert (finished / "config.toml").read_bytes() == before


def test_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    for directory in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(
            InputError, match=r"run directory .* cannot be written: .*--o"
        ):
            write_config(directory, CONFIGS["defaults"])
        with pytest.raises(InputError, match=r"holds no run: there is no config.toml"):
            read_config(directory)
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[network]", "[network", "config.toml is damaged: .*Restore it"),
        ("format = 1", "format = 2", "has format 2, and this version reads 1"),
        ("format = 1", "", "has format None, and this version reads 1"),
        ("seed = 0", "sead = 0", "does not describe a run: .*sead"),
        ("epochs = 10", "epoch = 10", "does not describe a run: .*epoch"),
        ("epochs = 10", "epochs = 0", "`epochs` must be a whole number of at least 1"),
        ("epochs = 10", "epochs = 2.5", "must be a whole number, but is 2.5"),
        ("augment = false", "augment = 1", "must be true or false, but is 1"),
        ("epochs = 10", "epochs = true", "must be a whole number, but is True"),
        ("epochs = 10", 'epochs = "x"', "does not describe a run: .*epochs"),
        (f'"{DeviceConfig().name}"', '"defalt.qubit"', "Did you mean 'default.qubit'"),
        ('block = "none"', 'block = "nothing"', "does not describe a run: .*block"),
        ('model = "linear"', "", "does not describe a run: .*model"),
    ],
)
def test_damaged_configuration(tmp_path, old, new, sentence):
    write_config(tmp_path, CONFIGS["defaults"])
    path = tmp_path / "config.toml"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=sentence):
        read_config(tmp_path)


def test_configuration_that_is_no_text(tmp_path):
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"config.toml is damaged"):
        read_config(tmp_path)


def test_run_that_is_not_finished(finished):
    (finished / "scores.json").unlink()
    with pytest.raises(
        InputError, match=r"holds no scores: the run is not fin.*--resum"
    ):
        read_run(finished)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda table: table.pop("accuracy"), "scores.json is damaged: .*accuracy"),
        (lambda table: table.pop("n_train"), "does not hold scores: .*n_train"),
        (lambda table: table.update(surprise=1), "does not hold scores: .*surprise"),
        (
            lambda table: table.update(format=7),
            "has format 7, and this version reads 1",
        ),
    ],
)
def test_scores_of_another_shape(finished, change, sentence):
    path = finished / "scores.json"
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))
    with pytest.raises(InputError, match=sentence):
        read_run(finished)


@pytest.mark.parametrize("name", ["scores.json", "mistakes.npz"])
def test_truncated_file(finished, name):
    path = finished / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=f"{name} is damaged"):
        read_run(finished)


@pytest.mark.parametrize("kept", [0, 1])
def test_lost_epochs(finished, kept):
    path = finished / "metrics.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:kept]))
    with pytest.raises(InputError, match=f"metrics.jsonl holds {kept} epochs, and the"):
        read_run(finished)


def test_a_copy_of_a_run_reads_as_the_run(finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    run, copied = read_run(finished), read_run(copy)
    assert copied.directory == copy
    assert (copied.config, copied.result) == (run.config, run.result)


def test_negative_seed():
    with pytest.raises(InputError, match="`seed` must be a whole number of at least 0"):
        dataclasses.replace(CONFIGS["defaults"], seed=-1)
