"""The scripts run from their first line to their file, on the digits."""

import importlib.util
import json
from pathlib import Path

import jax
import pytest

from qfm_jax.experiment import execute
from qfm_jax.models import ModelConfig
from qfm_jax.runs import DataConfig, RunConfig
from qfm_jax.training import TrainConfig

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
ZOO = EXPERIMENTS / "results" / "zoo.json"


def script(name):
    spec = importlib.util.spec_from_file_location(name, EXPERIMENTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_zoo_trains_what_is_missing_and_keeps_what_is_there(tmp_path, capsys):
    zoo, out = script("zoo"), tmp_path / "zoo.json"
    given = ["--preset", "smoke", "--dataset", "digits", "--only", "compact-hybrid"]
    given += ["--runs", str(tmp_path / "runs"), "--out", str(out)]
    other = {"rows": [json.loads(ZOO.read_text())["rows"][0]]}
    out.write_text(json.dumps(other))
    zoo.main(given)
    kept, row = json.loads(out.read_text())["rows"]
    assert row["result"]["n_parameters"] < 20_000
    assert kept == other["rows"][0]
    scores = tmp_path / "runs" / "smoke" / "compact-hybrid" / "scores.json"
    before = scores.stat().st_mtime_ns
    zoo.main(given)
    assert scores.stat().st_mtime_ns == before
    assert "compact-hybrid" in capsys.readouterr().out


@pytest.mark.slow
def test_kernels_are_compared_on_the_same_features(tmp_path):
    compare, out = script("quantum_kernel"), tmp_path / "kernel.json"
    given = ["--preset", "smoke", "--dataset", "digits", "--n-qubits", "3"]
    compare.main([*given, "--out", str(out)])
    rows = json.loads(out.read_text())["rows"]
    assert [row["kernel"] for row in rows] == ["fidelity", "projected", "rbf"]
    assert {row["n_tries"] for row in rows} == {9}
    assert all(row["accuracy"] > 0.4 for row in rows)  # chance: 0.1
    stamp = [row["seconds"] for row in rows]
    compare.main([*given, "--out", str(out)])
    again = json.loads(out.read_text())["rows"]
    assert [row["seconds"] for row in again] == stamp
    compare.main([*given[:-1], "2", "--out", str(out)])
    kept = [row["n_features"] for row in json.loads(out.read_text())["rows"]]
    assert kept == [3, 3, 3, 2, 2, 2]


@pytest.mark.slow
def test_the_fast_path_and_the_plugin_compute_the_same(tmp_path):
    bench, out = script("bench_hardware"), tmp_path / "hardware.json"
    given = ["--sizes", "2", "1", "--batch", "1", "--large-batch", "4"]
    try:
        bench.main([*given, "--out", str(out)])
    finally:
        jax.config.update("jax_enable_x64", False)  # the script turns it on
    rows = json.loads(out.read_text())["rows"]
    assert [row["n_circuits"] for row in rows] == [1, 13, 4]
    assert all(row.get("largest_difference", 0) < 1e-6 for row in rows)
    assert all(row["ratio"] > 1 for row in rows)


@pytest.mark.slow
def test_hardware_limits_are_measured_once(tmp_path, capsys):
    limits, out = script("hardware_limits"), tmp_path / "limits.json"
    network = ModelConfig(block="circuit", n_qubits=3, n_layers=1, hidden=(16,))
    data = DataConfig("digits", train_size=300)
    config = RunConfig("tiny", network, TrainConfig(epochs=5), data)
    execute(config, tmp_path / "run", progress=False)
    given = ["--runs", str(tmp_path / "run"), "--preset", "smoke", "--out", str(out)]
    limits.main(given)
    table = json.loads(out.read_text())
    noisy = (limits.NOISES, limits.BACKENDS, limits.FEW_SHOTS, limits.MITIGATED)
    assert len(table["rows"]) == 2 + sum(map(len, noisy))
    assert {row["n_test"] for row in table["rows"]} == {50}
    assert table["rows"][0]["flipped"] == 0
    costs = table["costs"]["tiny"]["backends"]
    assert set(costs) == set(limits.BACKENDS)
    assert all(cost["seconds_qpu"] > 0 for cost in costs.values())
    limits.main(given)
    assert json.loads(out.read_text())["rows"] == table["rows"]
    assert "fake_torino" in capsys.readouterr().out
    names = {path.name for path in tmp_path.glob("limits_*.png")}
    assert "limits_accuracy_against_noise.png" in names
