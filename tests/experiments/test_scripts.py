"""The scripts run from their first line to their file, on the digits."""

import ast
import dataclasses
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from qfm_jax._checks import InputError
from qfm_jax.models import ModelConfig
from qfm_jax.runs.config import DataConfig, RunConfig
from qfm_jax.runs.execute import execute
from qfm_jax.training import TrainConfig

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
ZOO = EXPERIMENTS / "results" / "zoo.json"


def script(name):
    spec = importlib.util.spec_from_file_location(name, EXPERIMENTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def siblings(monkeypatch):
    """A script that is run finds the modules beside it."""
    monkeypatch.syspath_prepend(EXPERIMENTS)


def test_bad_input_ends_every_script_in_a_sentence():
    last = "    sys.exit(in_sentences(main))"
    texts = {p.name: p.read_text(encoding="utf-8") for p in EXPERIMENTS.glob("*.py")}
    run = {n: t for n, t in texts.items() if "\nif __name__ ==" in t}
    del run["simulator_peers.py"]  # of another script, in another environment
    assert len(run) > 15
    assert all(text.splitlines()[-1] == last for text in run.values()), list(run)


def test_help_says_question_command_and_expectation_in_lines_of_their_own(
    experiment, capsys
):
    for path in EXPERIMENTS.glob("*.py"):
        if "tyro.cli" in (text := path.read_text(encoding="utf-8")):
            paragraphs = ast.get_docstring(ast.parse(text)).split("\n\n")
            starts = [paragraph.partition(":")[0] for paragraph in paragraphs[1:4]]
            assert starts == ["Question", "Command", "Expected"], path.name
    with pytest.raises(SystemExit, match="0"):
        experiment("quantum_kernel").main(["--help"])
    shown = capsys.readouterr().out.splitlines()
    assert "Command:  python experiments/quantum_kernel.py --preset laptop" in shown


@pytest.mark.slow
def test_a_script_says_what_is_wrong_and_no_more(tmp_path):
    command = [sys.executable, EXPERIMENTS / "zoo.py", "--only", "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("qfm: Argument `only` must be one of ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_zoo_trains_what_is_missing_and_keeps_what_is_there(tmp_path, capsys):
    zoo, out = script("zoo"), tmp_path / "zoo.json"
    given = ["--preset", "smoke", "--dataset", "digits", "--only", "compact-hybrid"]
    given += ["--runs", str(tmp_path / "runs"), "--out", str(out)]
    other = json.loads(ZOO.read_text())
    del other["rows"][1:]
    out.write_text(json.dumps(other))
    zoo.main(given)
    kept, row = json.loads(out.read_text())["rows"]
    assert row["result"]["n_parameters"] < 20_000
    assert row["cell"]["dataset"] == row["result"]["dataset"] == "digits"
    assert kept == other["rows"][0]
    scores = tmp_path / "runs" / "smoke-digits" / "compact-hybrid" / "scores.json"
    before = scores.stat().st_mtime_ns
    zoo.main(given)
    assert scores.stat().st_mtime_ns == before
    assert "compact-hybrid" in capsys.readouterr().out
    recipe = zoo.RECIPES["compact-hybrid"]
    zoo.RECIPES["compact-hybrid"] = dataclasses.replace(recipe, seed=1)
    with pytest.raises(InputError, match=r"holds a row of another.*: seed is 0 there"):
        zoo.main(given)
    with pytest.raises(InputError, match=r"holds a run of another.*: seed is 0 there"):
        zoo.main([*given[:-1], str(tmp_path / "new.json")])


@pytest.mark.slow
def test_variants_of_a_preset_are_trained_once(tmp_path, capsys):
    choose, out = script("choose_preset"), tmp_path / "variants.json"
    given = ["--dataset", "digits", "--train-size", "200", "--epochs", "1"]
    given += ["--variants", "0", "12", "--out", str(out)]
    choose.main([*given, "--seeds", "2"])
    rows = json.loads(out.read_text())["rows"]
    changes = [choose.structured(row["cell"]["change"]) for row in rows]
    assert changes == [choose.VARIANTS[0], choose.VARIANTS[12]]
    assert {len(row["validation_accuracy"]) for row in rows} == {2}
    assert "the start: " in capsys.readouterr().out
    choose.main([*given, "--seeds", "2"])
    assert json.loads(out.read_text())["rows"] == rows
    choose.main([*given, "--seeds", "1"])  # other seeds are no row of these
    assert len(json.loads(out.read_text())["rows"]) == 4


@pytest.mark.slow
def test_kernels_are_compared_on_the_same_features(tmp_path):
    compare, out = script("quantum_kernel"), tmp_path / "kernel.json"
    given = ["--preset", "smoke", "--dataset", "digits", "--n-qubits", "3"]
    compare.main([*given, "--out", str(out)])
    rows = json.loads(out.read_text())["rows"]
    kernels = [row["cell"]["kernel"] for row in rows]
    assert kernels == ["fidelity", "projected", "rbf"]
    assert {row["n_tries"] for row in rows} == {20}
    assert all(row["accuracy"] > 0.4 for row in rows)  # chance: 0.1
    stamp = [row["seconds"] for row in rows]
    compare.main([*given, "--out", str(out)])
    again = json.loads(out.read_text())["rows"]
    assert [row["seconds"] for row in again] == stamp
    compare.main([*given[:-1], "2", "--out", str(out)])
    kept = [row["cell"]["n_qubits"] for row in json.loads(out.read_text())["rows"]]
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
def test_hardware_limits_are_measured_once(tmp_path, siblings, capsys):
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
    out.write_text("{")
    with pytest.raises(InputError, match=r"limits\.json is damaged"):
        limits.main(given)
    assert out.read_text() == "{"


def test_scaling_rows_of_another_version_are_named_and_left(tmp_path, siblings):
    out = tmp_path / "rows.json"
    for name in ("scale_qubits", "scale_data"):
        for content in ('{"rows": [', '{"experiment": "x", "format": 0, "rows": []}'):
            out.write_text(content)
            with pytest.raises(InputError, match=r"rows\.json .* Move it away"):
                script(name).main(["--preset", "smoke", "--out", str(out)])
            assert out.read_text() == content


def test_thirty_qubits_on_paper(siblings):
    scale = script("scale_qubits")
    rows = [
        {
            "cell": {"n_qubits": n, "batch": batch},
            "times_s": [1e-3 + 1e-8 * n * 2**n] * 3,
            "memory_bytes": 48 * 2**n,
        }
        for n in (4, 8, 12, 14)
        for batch in (1, 32)
    ]
    paper = scale.on_paper(rows, *scale.fits_of(rows), 4)
    assert paper["seconds_at_30"] == pytest.approx(1e-8 * 30 * 2**30, rel=1e-4)
    assert paper["memory_gib_at_30"] == pytest.approx(48)
    sent = 3 * 4 * 6 * 8 * 2**30 / 64 / 2 / 25e9  # 64 nodes: six qubits
    alone = paper["seconds_at_30"] / 64
    assert paper["cluster_seconds_at_30"] == pytest.approx(alone + sent, rel=1e-6)
    assert paper["cluster_most_qubits"] == 39  # 48 bytes 2^n in 64 x 512 GiB


@pytest.mark.slow
def test_qubits_are_scaled_once_and_extrapolated(
    tmp_path, capsys, siblings, dask_scheduler
):
    scale, out = script("scale_qubits"), tmp_path / "qubits.json"
    given = ["--preset", "smoke", "--dataset", "digits", "--out", str(out)]
    scale.main(given)
    table = json.loads(out.read_text())
    parts = [row["cell"]["part"] for row in table["rows"]]
    counts = {name: parts.count(name) for name in ("step", "random", "accuracy")}
    assert counts == {"step": 3, "random": 2, "accuracy": 3}
    paper = table["on_paper_smoke"]
    assert paper["fitted_up_to_qubits"] == 3
    assert "seconds_at_30" not in paper  # three qubits say nothing of thirty
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".png"}
    scale.main(given)
    assert json.loads(out.read_text())["rows"] == table["rows"]
    assert "n * 2^n" in capsys.readouterr().out
    given[-1] = str(tmp_path / "elsewhere.json")
    scale.main([*given, "--parts", "random", "--scheduler", dask_scheduler.address])
    rows = json.loads((tmp_path / "elsewhere.json").read_text())["rows"]
    here = [row for row in table["rows"] if row["cell"]["part"] == "random"]
    assert sorted(row["cell"]["n_qubits"] for row in rows) == [2, 3]
    for row in rows:
        (same,) = (other for other in here if other["cell"] == row["cell"])
        assert row["gradient_variance"] == same["gradient_variance"]


def test_every_model_has_the_same_cells_each_with_one_change(siblings):
    scale = script("scale_data")
    plan, options = scale.PLANS["laptop"], scale.Options()
    cells, base = scale.cells_of(plan, options), scale.base_of(plan)
    assert {cell["resolution"] for cell in cells} == {4, 8, 16, 28}
    assert {cell["n_classes"] for cell in cells} == {2, 4, 10}
    for model in scale.MODELS:
        own = [cell for cell in cells if cell["model"] == model]
        assert len(own) == 1 + 3 + 2 + 2 + 4
        changed = [sum(cell[name] != base[name] for name in base) for cell in own]
        assert changed == [0] + [1] * 11


@pytest.mark.slow
def test_data_are_scaled_once_for_every_model_alike(tmp_path, siblings):
    scale, out = script("scale_data"), tmp_path / "data.json"
    given = ["--preset", "smoke", "--dataset", "digits", "--out", str(out)]
    scale.main(given)
    rows = json.loads(out.read_text())["rows"]
    assert [row["cell"]["model"] for row in rows] == list(scale.MODELS)
    assert {row["cell"]["resolution"] for row in rows} == {4}
    assert all(len(row["accuracy"]) == 2 for row in rows)
    assert {row["n_test"] for row in rows} == {100}
    assert (tmp_path / "data_smoke.png").exists()
    scale.main(given)
    assert json.loads(out.read_text())["rows"] == rows


def test_the_page_on_scaling_says_what_its_script_prints(capsys):
    script("scaling_on_paper").main([])
    page = EXPERIMENTS.parent / "docs" / "scaling.md"
    assert capsys.readouterr().out in page.read_text(encoding="utf-8")


def test_training_on_paper_by_hand():
    paper = script("scaling_on_paper")
    cost = paper.StateCost(30, 100e9, 2, working=1.0, sent=450e9)  # exchanges for 1 s
    assert paper.training(cost, 4096, 1) is None
    steps, each = 10 * 2, 1024 * 2.0  # epochs of two batches, four groups, 2 s a sample
    summing = 2 * 4 * 60_882 / 450e9 + 3 * 20e-6
    expected = steps * (0.27e-3 + summing + each)
    assert paper.training(cost, 5000, 8) == pytest.approx(expected)
    far = paper.StateCost(34, 1e12, 16, working=0.0, sent=15.0)  # 7 in the node, 8 not
    assert far.exchanging == pytest.approx(7 / 450e9 + 8 / 50e9)


@pytest.mark.slow
def test_processes_are_compared_on_the_same_batches(tmp_path, monkeypatch, capsys):
    bench, out = script("bench_distributed"), tmp_path / "distributed.json"
    given = ["--model", "linear", "--dataset", "digits", "--train-size", "200"]
    given += ["--epochs", "2", "--batch-sizes", "50", "--out", str(out)]
    core = min(bench.os.sched_getaffinity(0))
    # One core will do here, for both.
    monkeypatch.setattr(bench.os, "sched_getaffinity", lambda _: [core, core])
    bench.main(given)
    one, two = json.loads(out.read_text())["rows"]
    assert [row["cell"]["processes"] for row in (one, two)] == [1, 2]
    assert two["train_loss"] == pytest.approx(one["train_loss"], abs=1e-5)
    assert "Ratio" in capsys.readouterr().out


def test_each_process_of_the_comparison_needs_a_core(tmp_path):
    bench, out = script("bench_distributed"), str(tmp_path / "distributed.json")
    with pytest.raises(InputError, match=r"`processes` must be at most .* but is 9999"):
        bench.main(["--processes", "9999", "--out", out])
    with pytest.raises(InputError, match="`epochs` must be at least 2, but is 1"):
        bench.main(["--epochs", "1", "--processes", "1", "--out", out])
