"""The comparison of all models, what it costs, and the tables written from it."""

import json
import shutil
import subprocess
from pathlib import Path

import cattrs
import pytest
from synthetic_runs import RESULTS, make_run

from qfm_jax._checks import InputError
from qfm_jax.audit.classifiers import BASELINES
from qfm_jax.models import ModelConfig
from qfm_jax.runs.directory import read_config, write_config
from qfm_jax.runs.execute import execute
from qfm_jax.runs.presets import MODELS, get_preset


@pytest.fixture
def compare(experiment):
    return experiment("compare_models")


@pytest.fixture
def price(experiment):
    return experiment("accuracy_vs_cost")


@pytest.fixture
def writing(experiment):
    return experiment("write_results")


def train_here(command, **_):
    """In place of a process of its own, which would load everything again."""
    directory = Path(command[-1])
    execute(read_config(directory), directory, resume=True, progress=False)
    return subprocess.CompletedProcess(command, 0)


def test_all_models_have_the_same_images_and_epochs(compare):
    for preset in ("laptop", "full"):
        cells = compare.cells_of(compare.Options(preset=preset))
        assert [cell["model"] for cell in cells] == [*MODELS, *BASELINES]
        for key in ("dataset", "train_size", "seed"):
            assert len({cell[key] for cell in cells}) == 1
        assert {cell["epochs"] for cell in cells[: len(MODELS)]} == {
            compare.PLANS[preset].epochs
        }
        config = compare.config_of(cells[0], None)
        assert config.data.train_size == compare.PLANS[preset].train_size
        assert config.training.epochs == compare.PLANS[preset].epochs


def test_what_is_left_is_corrected_by_what_was_done(compare):
    cells = compare.cells_of(compare.Options(preset="laptop"))
    planned = [compare.planned_seconds(cell) for cell in cells]
    assert min(planned) > 0
    pace = compare.Pace()
    assert pace.minutes_left(cells) == f"about {sum(planned) / 60:.0f} minutes"
    pace.took(cells[0], 3 * planned[0])
    left = f"about {3 * sum(planned[1:]) / 60:.0f} minutes"
    assert pace.minutes_left(cells[1:]) == left


def test_what_fails_is_named_and_the_rest_is_measured_once(
    compare, monkeypatch, tmp_path, capsys
):
    given = ["--preset", "smoke", "--models", "linear", "logistic-regression"]
    given += ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "rows.json")]

    def fail(command, **_):
        return subprocess.CompletedProcess(command, -9)

    monkeypatch.setattr(compare.subprocess, "run", fail)
    with pytest.raises(SystemExit, match="linear has no row: its training ended with"):
        compare.main(given)
    (baseline,) = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert baseline["cell"]["model"] == "logistic-regression"
    monkeypatch.setattr(compare.subprocess, "run", train_here)
    compare.main(given)
    kept, row = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert kept == baseline
    for found in (kept, row):
        assert found["n_train"] == 300
        assert found["n_test"] == 360
        assert found["n_right"] == pytest.approx(found["accuracy"] * 360)
        assert found["n_parameters_classical"] == 7850
        assert found["executions_per_image"] == 0
    assert (row["kind"], kept["kind"]) == ("classical", "scikit-learn")
    assert len(row["seconds_of_epochs"]) == 2
    assert sum(map(sum, row["confusion"])) == 360
    monkeypatch.setattr(compare.subprocess, "run", fail)
    compare.main(given)  # nothing is left to train
    shown = capsys.readouterr().out
    assert "linear: 1 of 2, about" in shown
    table = shown.splitlines()[-5:-1]
    assert max(map(len, table)) <= 80
    assert "logistic-regression" in table[-2]
    assert not any("\u2026" in line for line in table)


def test_a_trunk_is_trained_first_and_the_table_says_so(compare, monkeypatch, tmp_path):
    asked = []

    def fail(command, **_):
        asked.append(Path(command[-1]).name)
        return subprocess.CompletedProcess(command, int(asked[-1] != "cnn"))

    monkeypatch.setattr(compare.subprocess, "run", fail)
    monkeypatch.setattr(compare, "read_run", lambda directory: None)
    (cell,) = compare.cells_of(compare.Options("smoke", models=("transfer-hybrid",)))
    with pytest.raises(compare.TrainingError, match="transfer-hybrid has no row"):
        compare.measure(cell, runs=tmp_path)
    assert asked == ["cnn", "transfer-hybrid"]
    (folder,) = tmp_path.iterdir()
    trunk, config = (read_config(folder / name) for name in asked)
    assert config.trunk == str(folder / "cnn")
    assert trunk.data == config.data
    row = make_row(compare, "transfer-hybrid", config.network, trunk="cnn")
    ((name, _, parameters, *_),) = compare.leaderboard([row])
    assert name == "transfer-hybrid (on cnn)"
    assert parameters == "12 + 7,850"  # a row of before frozen weights were counted
    row["n_parameters_frozen"] = 60_744
    ((_, _, parameters, *_),) = compare.leaderboard([row])
    assert parameters == "12 + 7,850 (+ 60,744)"


def test_a_row_counts_the_circuits_of_an_image(compare):
    row = compare.row_of(make_run("hybrid-cnn"))
    assert (row["kind"], row["executions_per_image"]) == ("hybrid", 1)
    assert (row["n_parameters_quantum"], row["n_parameters_classical"]) == (48, 97_952)
    assert row["n_right"] == round(row["accuracy"] * 2000)
    patches = get_preset("quanvolution").network
    row = compare.row_of(make_run("hybrid-cnn", network=patches))
    assert row["executions_per_image"] == 196
    assert compare.row_of(make_run("cnn"))["executions_per_image"] == 0
    pure = get_preset("qcnn").network
    assert compare.kind_of(pure) == "circuit on pixels"


def test_a_run_of_another_configuration_is_no_row(compare, tmp_path):
    (cell,) = compare.cells_of(compare.Options("smoke", models=("linear",)))
    other = compare.config_of({**cell, "epochs": 9}, None)
    write_config(tmp_path / "smoke-digits-seed0" / "linear", other)
    with pytest.raises(InputError, match=r"training\.epochs is 9 there and 2 here"):
        compare.measure(cell, runs=tmp_path)


def test_a_row_of_an_older_preset_is_named(compare, tmp_path):
    (cell,) = compare.cells_of(compare.Options("smoke", models=("linear",)))
    config = cattrs.unstructure(compare.config_of(cell, None))
    row = make_row(compare, "linear", config=config)
    compare.check_is_of_today(row)
    row["config"]["training"]["learning_rate"] = 1.0
    write_rows(tmp_path, [row])
    with pytest.raises(InputError, match=r"presets, but linear was another .* Remove"):
        compare.main([*GIVEN, "--out", str(tmp_path / "compare_models.json")])


GIVEN = ("--preset", "smoke", "--models", "linear")


def test_bad_input_is_named_and_left(compare, price, tmp_path):
    with pytest.raises(InputError, match=r"`models` must be one of .*'cnm'.* 'cnn'"):
        compare.main(["--models", "cnm"])
    out = tmp_path / "compare_models.json"
    with pytest.raises(InputError, match="hold rows of the preset 'full', but"):
        price.main(["--preset", "full", "--results", str(tmp_path)])
    for content in ('{"rows": [', '{"experiment": "x", "format": 0, "rows": []}'):
        out.write_text(content)
        for main, given in (
            (compare.main, ["--out", str(out)]),
            (price.main, ["--results", str(tmp_path)]),
        ):
            with pytest.raises(InputError, match=r"compare_models\.json .* Move it"):
                main(["--preset", "smoke", *given])
        assert out.read_text() == content


def make_row(compare, model, network=None, preset="smoke", **more):
    """A row as the file holds it, without a training."""
    plan = compare.PLANS[preset]
    cell = {"preset": preset, "model": model, "dataset": plan.dataset}
    cell |= {"train_size": plan.train_size, "epochs": plan.epochs, "seed": 0}
    has_circuit = network is not None and network.block == "circuit"
    row = {
        "cell": cell,
        "kind": "classical" if network is None else compare.kind_of(network),
        "accuracy": 0.8,
        "accuracy_interval": [0.79, 0.81],
        "n_train": 10_000,
        "n_test": 10_000,
        "n_parameters_quantum": 12 if has_circuit else 0,
        "n_parameters_classical": 7850,
        "executions_per_image": 4 if has_circuit else 0,
        "seconds_of_epochs": [2.0, 9.0, 1.0],
        "seconds_training": 12.0,
        "seconds_per_image": 1e-4,
        "peak_memory_bytes": 2**29,
        "trunk": None,
        "versions": {"machine": "Linux x86_64, 2 cores"},
    }
    if network is not None:
        row["config"] = {"network": cattrs.unstructure(network)}
    return json.loads(json.dumps(row | more))


def write_rows(folder, rows):
    table = {"experiment": "compare_models", "format": 1, "rows": rows}
    (folder / "compare_models.json").write_text(json.dumps(table))


def test_costs_and_fronts_of_a_comparison(compare, price, tmp_path, capsys):
    hybrid = ModelConfig(block="circuit", n_qubits=3, n_layers=1)
    pure = ModelConfig(
        block="circuit", features="pixels", embedding="amplitude", n_qubits=2
    )
    rows = [
        make_row(compare, "linear", accuracy=0.84),
        make_row(compare, "compact-hybrid", hybrid, accuracy=0.9),
        make_row(compare, "amplitude", pure, seconds_training=99.0),
        make_row(compare, "mlp", preset="laptop", accuracy=0.99),
    ]
    write_rows(tmp_path, rows)
    price.main(["--results", str(tmp_path), "--backend", "fake_manila", *SMOKE])
    shown = capsys.readouterr().out
    assert "no row yet of cnn-2k, logistic-regression" in shown
    table = json.loads((tmp_path / "accuracy_vs_cost.json").read_text())
    for row in table["rows"]:
        shot = row["duration"] + 250e-6
        seconds = 4 * row["settings"] * 1024 * shot
        assert row["seconds_qpu_per_image"] == pytest.approx(seconds)
        assert row["two_qubit_gates"] > 0
    fronts = table["fronts_smoke"]["fronts"]
    assert fronts["training (s)"] == ["compact-hybrid"]
    assert fronts["circuit executions (an image)"] == ["linear", "compact-hybrid"]
    assert set(fronts["QPU (s an image)"]) <= {"compact-hybrid", "amplitude"}
    assert len(fronts) == 6
    picture = (tmp_path / "accuracy_vs_cost_smoke.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    for row in rows:
        row["cell"]["seed"] = 1
    write_rows(tmp_path, rows[:2])
    price.main(["--results", str(tmp_path), "--seed", "1", *SMOKE])
    table = json.loads((tmp_path / "accuracy_vs_cost.json").read_text())
    assert table["fronts_smoke"]["fronts"] == fronts
    assert len(table["fronts_smoke_seed1"]["fronts"]) == 6
    assert (tmp_path / "accuracy_vs_cost_smoke.png").read_bytes() == picture
    other = price.Options("laptop", dataset="digits", seed=2)
    assert price.name_of(other) == "laptop_digits_seed2"
    assert price.name_of(price.Options("laptop", "fashion-mnist")) == "laptop"


def test_a_trunk_is_trained_for_whoever_stands_on_it(compare, price):
    """Else a head of 138 numbers would be the cheapest good model."""
    hybrid = ModelConfig(block="circuit", n_qubits=3, n_layers=1)
    trunk = make_row(compare, "cnn", accuracy=0.9, seconds_training=100.0)
    head = make_row(
        *(compare, "transfer-hybrid", hybrid),
        **{"accuracy": 0.85, "seconds_training": 90.0, "trunk": "cnn"},
    )
    rows = [trunk, head, make_row(compare, "linear", accuracy=0.8)]
    records = price.records_of(rows, [None, 0.3, None])
    assert [r.costs["training (s)"] for r in records] == [100.0, 190.0, 12.0]
    assert price.fronts_of(records)["training (s)"] == ["linear", "cnn"]
    _, orphan = price.records_of([rows[2], head], [None, 0.3])
    assert "training (s)" not in orphan.costs
    assert orphan.costs["QPU (s an image)"] == 0.3


def test_the_stored_front_counts_trunks(compare, price):
    rows = json.loads((compare.RESULTS / "compare_models.json").read_text())["rows"]
    rows = compare.rows_of_preset(rows, "full")
    fronts = price.fronts_of(price.records_of(rows, [None] * len(rows)))
    table = json.loads((compare.RESULTS / "accuracy_vs_cost.json").read_text())
    stored = table["fronts_full"]["fronts"]
    assert {name: stored[name] for name in fronts} == fronts
    assert "transfer-hybrid" not in stored["training (s)"]


SMOKE = ["--preset", "smoke"]


def test_what_qiskit_cannot_hold_has_no_seconds(price, monkeypatch):
    def refuse(circuit):
        raise InputError("no such gate")

    monkeypatch.setattr(price, "exported_circuit", refuse)
    network = cattrs.unstructure(ModelConfig(block="circuit", n_qubits=2))
    found = price.transpile_cell({"network": network})
    assert found == {"seconds_qpu_per_image": None, "reason": "no such gate"}


PAGE = "before\n<!-- results: {} -->\n| old |\n<!-- end -->\nafter\n"


def rewrite(writing, name, folder):
    """The block's new text, and what was said about it."""
    sentences = []
    text = writing.rewritten(PAGE.format(name), folder, sentences.append)
    assert text.startswith("before\n<!-- results:")
    assert text.endswith("<!-- end -->\nafter\n")
    return text.split("-->\n")[1].removesuffix("<!-- end "), " ".join(sentences)


def test_the_leaderboard_says_what_is_missing_and_where_it_ran(
    writing, compare, tmp_path
):
    hybrid = ModelConfig(block="circuit", n_qubits=3, n_layers=1)
    rows = [
        make_row(compare, "linear", preset="laptop"),
        make_row(compare, "hybrid-cnn", hybrid, preset="laptop", accuracy=0.9),
        make_row(compare, "mlp", preset="smoke", accuracy=0.99),
        make_row(compare, "cnn", preset="full", accuracy=0.99),
    ]
    write_rows(tmp_path, rows)
    text, said = rewrite(writing, "leaderboard", tmp_path)
    assert said == ""
    assert "10,000 images, 6 epochs each" in text
    assert "Linux x86_64, 2 cores.\n" in text
    assert "Not run yet: `mlp`, `cnn-2k`" in text
    first, second = (line for line in text.splitlines() if line.startswith("| `"))
    assert first.startswith(
        "| `hybrid-cnn` | 90.00 (79.00\u201381.00) | 12 + 7,850 | 2.0"
    )
    assert second.endswith("| 7,850 | 2.0 | 0.10 | 512 |  |")
    rows[0]["versions"]["machine"] = "another"
    write_rows(tmp_path, rows)
    text, _ = rewrite(writing, "leaderboard", tmp_path)
    assert "cores and another, whose seconds are not comparable" in text
    write_rows(tmp_path, rows[2:3])
    text, said = rewrite(writing, "leaderboard", tmp_path)
    assert text == "| old |\n"
    assert "no row of laptop or full" in said


def test_fronts_are_written_for_the_largest_preset(writing, tmp_path):
    fronts = {
        f"fronts_{preset}": {"fronts": {"parameters": names}}
        for preset, names in (("laptop", ["linear"]), ("full", ["linear", "cnn"]))
    }
    table = {"experiment": "accuracy_vs_cost", "format": 1, "rows": [], **fronts}
    (tmp_path / "accuracy_vs_cost.json").write_text(json.dumps(table))
    text, _ = rewrite(writing, "fronts", tmp_path)
    assert "| parameters | `linear`, `cnn` |" in text


def write_scaling(folder, experiment, rows):
    table = {"experiment": experiment.EXPERIMENT, "format": 1, "rows": rows}
    (folder / f"{experiment.EXPERIMENT}.json").write_text(json.dumps(table))


def test_accuracies_by_images_are_a_column_a_model(experiment, writing, tmp_path):
    scaling = experiment("scale_data")
    cells = scaling.cells_of(scaling.PLANS["laptop"], scaling.Options("laptop"))
    rows = [{"cell": cell, "accuracy": [0.5, 0.6, 0.7]} for cell in cells]
    rows[1]["accuracy"] = [0.9, 0.9, 0.9]  # `linear` at the usual values
    write_scaling(tmp_path, scaling, rows)
    text, said = rewrite(writing, "images", tmp_path)
    assert said == ""
    lines = text.splitlines()
    assert len(lines) == 2 + 4 + 3 + 3 + 5
    # Student's t of three seeds: 4.303 * 10 points / sqrt(3).
    usual = " | 60.0 (35.2\u201384.8) | 90.0 (90.0\u201390.0) | "
    assert sum(usual in line for line in lines) == 4  # once for each thing changed
    assert all(" (usual) | " in line for line in lines if usual in line)
    write_scaling(tmp_path, scaling, rows[:-1])
    text, said = rewrite(writing, "images", tmp_path)
    assert text == "| old |\n"
    assert "neither all rows of full nor all of laptop" in said


def test_what_qubits_cost_and_bring_are_three_tables(experiment, writing, tmp_path):
    scaling = experiment("scale_qubits")
    rows = []
    for cell in scaling.cells_of(scaling.PLANS["laptop"], scaling.Options("laptop")):
        n = cell["n_qubits"]
        row = {"times_s": [0.001 * n] * 5, "memory_bytes": n * 2**20}
        if cell["part"] == "random":
            slopes = {"local": [1 / n, 0.01], "global": [0.5 / n, 0.02]}
            row = {"gradient_variance": slopes, "expressibility": [0.3, 0.01]}
            row |= {"expressibility_floor": 0.25, "entangling_capability": [0.8, 0.01]}
        elif cell["part"] == "accuracy":
            row = {"accuracy": [0.7, 0.7, 0.7]}
        rows.append({"cell": cell, **row})
    write_scaling(tmp_path, scaling, rows)
    text, said = rewrite(writing, "steps", tmp_path)
    assert "| 16 | 16 (16\u201316) | 16 | 16 (16\u201316) | 16 |" in text
    assert "| 20 | 20 (20\u201320) | 20 |  |  |" in text  # too large for 32 samples
    text, more = rewrite(writing, "circuits", tmp_path)
    line = "| 32 | 4 | 0.25 ± 0.01 | 0.12 ± 0.02 | 0.3 ± 0.01 | 0.25 | 0.800 ± 0.010 |"
    assert line in text
    text, last = rewrite(writing, "widths", tmp_path)
    same = "70.0 (70.0\u201370.0)"
    assert f"| 12 | 4 | {same} | {same} | {same} |" in text
    assert f"| 8 | 64 | {same} |  |  |" in text
    assert said == more == last == ""


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "audit_amplitude.json is damaged"),
        ("[]", "audit_amplitude.json is damaged"),
        ('{"format": 2}', "audit_amplitude.json is damaged: KeyError"),
        ('{"format": 9}', "audit_amplitude.json has format 9, and 1 or 2 or 3 is read"),
        (None, "audit_amplitude.json is not there"),
    ],
)
def test_a_bad_file_is_named_and_the_old_table_stays(
    writing, tmp_path, content, sentence
):
    for path in RESULTS.glob("audit_*.json"):
        shutil.copy(path, tmp_path)
    path = tmp_path / "audit_amplitude.json"
    path.unlink() if content is None else path.write_text(content)
    text, said = rewrite(writing, "audits", tmp_path)
    assert text == "| old |\n"
    assert "The block 'audits' stays as it is" in said
    assert sentence in said
    text, said = rewrite(writing, "audits", RESULTS)
    audit = json.loads((RESULTS / "audit_amplitude.json").read_text())
    frozen = audit["twins"]["frozen"]["difference"]
    limits = [100 * value for value in (frozen["mean"], *frozen["interval"])]
    assert "{:+.2f} ({:+.2f} to {:+.2f})".format(*limits) in text
    (separable,) = (line for line in text.splitlines() if "entangling" in line)
    assert audit["twins"]["separable"]["dead_seeds"] == audit["seeds"]
    assert separable.count("| at chance with every seed") == 2  # hamiltonian's too
    assert said == ""


def test_no_results_and_no_such_block_are_refused(writing, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE.format("audit"))
    with pytest.raises(InputError, match="holds no results, and the tables stay"):
        writing.main(["--results", str(tmp_path), "--pages", str(page)])
    with pytest.raises(InputError, match=r"'audit'.*Did you mean 'audits'"):
        writing.main(["--pages", str(page)])
    assert page.read_text() == PAGE.format("audit")


def test_a_control_that_was_not_asked_for_is_no_impossible_one(writing, tmp_path):
    for path in RESULTS.glob("audit_*.json"):
        shutil.copy(path, tmp_path)
    path = tmp_path / "audit_amplitude.json"
    audit = json.loads(path.read_text())
    assert set(audit["impossible"]) == {"linear", "fourier"}
    del audit["twins"]["frozen"]
    path.write_text(json.dumps(audit))
    text, _ = rewrite(writing, "audits", tmp_path)
    (frozen,) = (line for line in text.splitlines() if "at its random start" in line)
    (fourier,) = (line for line in text.splitlines() if "random Fourier" in line)
    assert (frozen.count("not asked for"), frozen.count("cannot exist")) == (1, 0)
    assert (fourier.count("not asked for"), fourier.count("cannot exist")) == (0, 2)


def test_kernels_and_baselines_are_of_one_setting(writing, tmp_path):
    for name in ("quantum_kernel", "classical_baselines"):
        table = json.loads((RESULTS / f"{name}.json").read_text())
        other = json.loads(json.dumps(table["rows"][0]))
        other["cell"] |= {"seed": 7, "run": {"model": "another"}}
        table["rows"].append(other)
        (tmp_path / f"{name}.json").write_text(json.dumps(table))
    assert rewrite(writing, "kernels", tmp_path) == rewrite(writing, "kernels", RESULTS)
    text, said = rewrite(writing, "baselines", tmp_path)
    assert text == "| old |\n"
    assert "classical_baselines.json holds rows of several runs" in said


def test_pages_are_written_whole_and_only_where_they_change(writing, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(PAGE.format("training"))
    stored = json.loads((RESULTS / "bench_training.json").read_text())
    accuracy = {row["model"]: row["accuracy"] for row in stored["models"]}["cnn"]
    for said in ("Written", "As it was"):
        writing.main(["--pages", str(page)])
        assert f"{said}: {page}" in capsys.readouterr().out
        assert f"| `cnn` | {accuracy:.2%}" in page.read_text()
    assert list(tmp_path.iterdir()) == [page]


@pytest.mark.slow
def test_the_smoke_preset_from_training_to_figure(compare, price, tmp_path, capsys):
    out = tmp_path / "compare_models.json"
    given = [*SMOKE, "--runs", str(tmp_path / "runs"), "--out", str(out)]
    compare.main(given)
    rows = json.loads(out.read_text())["rows"]
    assert [row["cell"]["model"] for row in rows] == list(compare.PLANS["smoke"].models)
    assert {row["n_train"] for row in rows} == {300}
    assert all(row["peak_memory_bytes"] > 2**26 for row in rows)
    before = out.read_text()
    compare.main(given)
    assert out.read_text() == before
    price.main([*SMOKE, "--results", str(tmp_path)])
    assert (tmp_path / "accuracy_vs_cost_smoke.png").exists()
    assert "QPU (s an image): compact-hybrid" in capsys.readouterr().out


def test_faults_of_all_seeds_stand_side_by_side(experiment):
    rows = [
        {"cell": {"fault": fault, "seed": seed}, "notes": note, "tried": n, "lost": m}
        for fault, seed, note, n, m in (
            ("a kill", 0, "", 1200, 0),
            ("a full disk", 0, "a tmpfs", 2, 0),
            ("a kill", 1, "", 5, 1),
        )
    ]
    tables = experiment("result_tables")
    assert tables.chaos_block({"rows": rows}).splitlines() == [
        "| fault | tried, SEED=0 | lost, SEED=0 | tried, SEED=1 | lost, SEED=1 |",
        "| --- | --- | --- | --- | --- |",
        "| a kill | 1,200 | 0 | 5 | 1 |",
        "| a full disk (a tmpfs) | 2 | 0 | 0 | 0 |",
        "| all | 1,202 | 0 | 5 | 1 |",
    ]
