"""`qfm audit`: units that are kept, a verdict that follows from them, a report."""

import dataclasses
import json
import os
import re
import subprocess
import sys

import numpy as np
import psutil
import pytest

from qfm_jax._checks import InputError
from qfm_jax.audit import (
    AuditConfig,
    read_audit,
    run_audit,
    stored,
)
from qfm_jax.audit import (
    units as trainings,
)
from qfm_jax.audit.statistics import compare
from qfm_jax.audit.verdicts import verdict
from qfm_jax.cli import main
from qfm_jax.data import load_dataset
from qfm_jax.models import ModelConfig
from qfm_jax.models.prediction import predict_logits
from qfm_jax.parallel import Scheduler, UnitsFailedError
from qfm_jax.reporting import audit_table, write_audit_report
from qfm_jax.runs.config import DataConfig, RunConfig
from qfm_jax.runs.model import load_images, start_model
from qfm_jax.training import TrainConfig

NETWORK = ModelConfig(block="circuit", n_qubits=2, n_layers=1)
RUN = RunConfig(
    "tiny",
    NETWORK,
    TrainConfig(epochs=1, batch_size=20),
    DataConfig("digits", train_size=200),
    seed=5,
)
# Two rates with a seed, and two seeds with a rate: one program for both.
CONFIG = AuditConfig(
    RUN,
    n_seeds=2,
    controls=("removed", "frozen"),
    together=2,
    rate_factors=(1e-3, 10.0),
    baselines=("logistic-regression",),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished audit and its directory."""
    directory = tmp_path_factory.mktemp("audit") / "tiny"
    return run_audit(CONFIG, directory), directory


def units(directory):
    return {p.relative_to(directory): p for p in directory.glob("units/*/*.json")}


def tunings(directory):
    return {p.relative_to(directory): p for p in directory.glob("tuning/*.json")}


def test_every_training_has_a_file_of_its_own(finished):
    audit, directory = finished
    names = [f"units/{n}/seed-{s}.json" for n in audit_names() for s in (5, 6)]
    assert sorted(map(str, units(directory))) == sorted(names)
    assert audit.seeds == (5, 6)


def copy_of(directory, tmp_path):
    """An audit that has its units, but not its end."""
    copy = tmp_path / "copy"
    of_both = units(directory) | tunings(directory)
    for path in (*of_both.values(), directory / "audit.toml"):
        target = copy / path.relative_to(directory)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return copy


def audit_names():
    return ("tiny", "removed", "frozen")


def test_the_scores_are_those_of_the_stored_predictions(finished):
    audit, directory = finished
    labels = load_dataset("digits", train_size=200, seed=5).test.labels
    right = {}
    for name in audit_names():
        tables = [
            json.loads((directory / f"units/{name}/seed-{seed}.json").read_text())
            for seed in audit.seeds
        ]
        right[name] = np.array([table["predictions"] for table in tables]) == labels
    for result in audit.results:
        np.testing.assert_allclose(result.accuracy, right[result.name].mean(axis=1))
    controls = {name: right[name] for name in audit_names()[1:]}
    differences = compare(right["tiny"], controls)
    assert tuple(result.difference for result in audit.results[1:]) == differences
    assert audit.control == "removed"  # the only control without a circuit
    assert audit.verdict == verdict(differences[0])
    assert "Against removed" in audit.sentence


def test_what_was_written_is_what_is_read(finished):
    audit, directory = finished
    assert read_audit(directory) == audit
    table = json.loads((directory / "audit.json").read_text())
    assert table["model"] == "tiny"
    assert list(table["results"]) == list(audit_names())
    assert len(table["results"]["frozen"]["accuracy"]) == 2
    assert table["results"]["tiny"]["n_parameters_quantum"] == 6
    assert table["results"]["frozen"]["n_parameters_quantum"] == 0


def test_what_a_control_costs_is_counted_in_its_own_program(finished, tmp_path):
    audit, _ = finished
    results = {result.name: result for result in audit.results}
    runs = {name: result.executions_per_image for name, result in results.items()}
    assert runs == {n: int(n != "removed") for n in audit_names()}
    assert results["tiny"].flops_per_image == results["frozen"].flops_per_image
    removed = results["removed"].flops_per_image
    assert results["tiny"].flops_per_image > removed > 2 * 784 * 2
    assert all(result.memory_bytes > 0 for result in audit.results)
    model, *others = audit.results
    model = dataclasses.replace(
        model,
        flops_per_image=12_345_678,
        memory_bytes=3 * 2**19,
        executions_per_image=7,
    )
    costly = dataclasses.replace(audit, results=(model, *others))
    page = write_audit_report(costly, tmp_path / "report.html").read_text()
    n_forward = 7 * 200
    for cell in ("12,346", "1.5", f"{n_forward:,}"):
        assert f"<td>{cell}</td>" in page


def test_an_interrupted_audit_goes_on_where_it_stopped(finished, tmp_path, monkeypatch):
    audit, _ = finished
    original, n_written = stored.write_json, 0

    def stopping(path, table):
        nonlocal n_written
        n_written += 1
        if n_written == 6:  # within the first control's seeds, after its tuning
            raise KeyboardInterrupt
        original(path, table)

    with monkeypatch.context() as patch:
        patch.setattr(stored, "write_json", stopping)
        with pytest.raises(KeyboardInterrupt):
            run_audit(CONFIG, tmp_path / "audit")
    half = tmp_path / "audit"
    assert (len(units(half)), len(tunings(half))) == (3, 2)
    files = (*units(half).values(), *tunings(half).values())
    kept = {path: path.read_bytes() for path in files}
    again = dataclasses.replace(CONFIG, together=5)  # changes the time alone
    seen = []
    resumed = run_audit(
        again, tmp_path / "audit", resume=True, show=lambda *told: seen.append(told)
    )
    assert all(path.read_bytes() == content for path, content in kept.items())
    for result, expected in zip(resumed.results, audit.results, strict=True):
        np.testing.assert_allclose(result.accuracy, expected.accuracy, atol=0.006)
    shares = [told[0] for told in seen]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)


def assert_same(audit, expected):
    """But for rounding, which may move a few of the 360 test images."""
    assert [r.name for r in audit.results] == [r.name for r in expected.results]
    for result, other in zip(audit.results, expected.results, strict=True):
        np.testing.assert_allclose(result.accuracy, other.accuracy, atol=0.006)
        assert result.tuning.learning_rates == other.tuning.learning_rates
        assert result.n_parameters == other.n_parameters


def test_a_scheduler_changes_nothing(finished, tmp_path, dask_scheduler, monkeypatch):
    audit, _ = finished
    directory, shown = tmp_path / "audit", []
    how = {"scheduler": dask_scheduler, "show_units": shown.append}
    original = trainings.train_units

    def failing(name, run, seeds, data, told, **rest):
        if name == "frozen":
            raise ArithmeticError("too cold")
        return original(name, run, seeds, data, told, **rest)

    with monkeypatch.context() as patch:
        patch.setattr(trainings, "train_units", failing)
        sentence = (
            r"1 of the units failed, each tried 3 times: frozen, seeds 5 6. The first: "
            r"ArithmeticError: too cold. .*failed.json says why; go on with `qfm audit"
        )
        with pytest.raises(UnitsFailedError, match=sentence):
            run_audit(CONFIG, directory, **how)
    last = shown[-1]
    assert (last.done, last.running, last.failed, last.total) == (5, 0, 1, 6)
    why = json.loads((directory / "failed.json").read_text())
    assert "in failing" in why["units"]["frozen, seeds 5 6"]["traceback"]
    kept = {path: path.read_bytes() for path in units(directory).values()}
    assert len(kept) == 4
    resumed = run_audit(CONFIG, directory, resume=True, **how)
    assert_same(resumed, audit)
    assert shown[-1].total == 1  # what was missing, and nothing else
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert not (directory / "failed.json").exists()


def test_seeds_spread_over_cores_change_nothing(finished, tmp_path):
    """The command as it is typed, where a CPU has two cores for the two seeds."""
    audit, _ = finished
    program = (
        "from qfm_jax.parallel import mesh; from qfm_jax.cli import main\n"
        "mesh._n_cores = lambda: 2; import sys; sys.exit(main(sys.argv[1:]))"
    )
    network = ["--features", "dense", "--channels", "--hidden", "--dropout", "0"]
    network += ["--n-qubits", "2", "--n-layers", "1"]
    network += ["--layers", NETWORK.layers, "--clip-norm", "1"]
    images = ["--dataset", "digits", "--train-size", "200", "--batch-size", "20"]
    how = ["--epochs", "1", "--seeds", "2", "--seed", "5", "--out", "audit"]
    how += ["--controls", "removed", "frozen", "--rate-factors", "0.001", "10"]
    words = ["audit", "hybrid-cnn", *network, *images, *how, "--baselines"]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *words],
        **{"cwd": tmp_path, "env": environment, "capture_output": True, "text": True},
    )
    assert done.returncode == 0, done.stderr
    found = read_audit(tmp_path / "audit")
    renamed = {"hybrid-cnn": "tiny"}
    results = [
        dataclasses.replace(result, name=renamed.get(result.name, result.name))
        for result in found.results
    ]
    assert_same(dataclasses.replace(found, results=tuple(results)), audit)


@pytest.mark.slow
def test_a_killed_worker_costs_an_audit_its_own_unit(finished, tmp_path):
    audit, _ = finished
    directory, killed, kept = tmp_path / "audit", [], {}

    def kill_one(now):
        if now.done >= 2 and now.running == 2 and not killed:
            kept.update({p: p.stat().st_mtime_ns for p in units(directory).values()})
            children = psutil.Process().children(recursive=True)
            busy = [c for c in children if "spawn_main" in " ".join(c.cmdline())]
            worker = max(busy, key=lambda child: sum(child.cpu_times()[:2]))
            worker.kill()
            killed.append(worker.pid)

    how = {"scheduler": Scheduler(n_workers=2), "show_units": kill_one}
    found = run_audit(CONFIG, directory, **how)
    assert_same(found, audit)
    assert len(killed) == 1
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    assert not (directory / "failed.json").exists()


def test_what_is_wrong_is_refused_on_a_scheduler_too(tmp_path, dask_scheduler):
    large = dataclasses.replace(NETWORK, n_qubits=60)
    config = dataclasses.replace(CONFIG, run=dataclasses.replace(RUN, network=large))
    with pytest.raises(InputError, match="qubits"):
        run_audit(config, tmp_path / "audit", scheduler=dask_scheduler)
    assert not (tmp_path / "audit").exists()


def test_each_learning_rate_is_the_best_of_those_tried(finished):
    audit, directory = finished
    assert CONFIG.seeds_of_tuning == (7,)
    for result in audit.results:
        tuning = result.tuning
        assert tuning.learning_rates == (4e-6, 4e-2)
        (slow,), (fast,) = tuning.accuracy
        assert tuning.learning_rate == (4e-2 if fast > slow else 4e-6)
        table = json.loads((directory / f"tuning/{result.name}.json").read_text())
        assert table["accuracy"] == [[slow], [fast]]


def test_the_rate_that_was_chosen_is_trained_with(tmp_path):
    config = dataclasses.replace(CONFIG, controls=("removed",), rate_factors=(1e-6,))
    slow = run_audit(config, tmp_path / "slow")
    assert slow.results[0].tuning.learning_rate == 4e-9
    for seed in config.seeds:  # hardly moved from its start
        own = dataclasses.replace(RUN, seed=seed)
        data = load_images(own)
        logits = predict_logits(start_model(own, n_classes=10), data.test.pixels)
        table = json.loads((tmp_path / f"slow/units/tiny/seed-{seed}.json").read_text())
        np.testing.assert_array_equal(table["predictions"], logits.argmax(axis=1))


def test_tuning_files_are_checked(finished, tmp_path):
    _, directory = finished
    copy = copy_of(directory, tmp_path)
    path = copy / "tuning/frozen.json"
    table = json.loads(path.read_text())
    for change, sentence in (
        ({"name": "removed"}, r"frozen.json is damaged: it is of removed. Remove it"),
        ({"learning_rates": [1.0]}, "is damaged: it has not a score for each rate"),
        ({"dataset": "fashion-mnist"}, "was found with fashion-mnist, and now there"),
    ):
        path.write_text(json.dumps(table | change))
        with pytest.raises(InputError, match=sentence):
            run_audit(CONFIG, copy, resume=True)


def test_a_directory_of_another_audit_is_refused(finished, tmp_path):
    _, directory = finished
    before = (directory / "audit.toml").read_bytes()
    with pytest.raises(InputError, match="is not empty, and nothing is overwritten"):
        run_audit(CONFIG, directory)
    for change in ({"n_seeds": 4}, {"tuning_seeds": 3}, {"baselines": ()}):
        ((name, value),) = change.items()
        there = re.escape(f"{getattr(CONFIG, name)!r} there and {value!r} here")
        with pytest.raises(InputError, match=f"holds an audit .*: {name} is {there}"):
            run_audit(dataclasses.replace(CONFIG, **change), directory, resume=True)
    longer = dataclasses.replace(RUN, training=TrainConfig(epochs=2))
    other = dataclasses.replace(CONFIG, run=longer)
    with pytest.raises(InputError, match=r"training.epochs is 1 there and 2 here"):
        run_audit(other, directory, resume=True)
    with pytest.raises(InputError, match="name a directory that `qfm audit` wrote"):
        run_audit(CONFIG, tmp_path / "nowhere", resume=True)
    assert (directory / "audit.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", r"seed-6.json is damaged: .*Remove it and"),
        ('{"format": 2}', r"seed-6.json is damaged: .*Remove it and"),
        ('{"format": 1}', r"seed-6.json has format 1, and this version reads 2"),
    ],
)
def test_a_damaged_unit_is_not_trusted(finished, tmp_path, content, sentence):
    _, directory = finished
    copy = copy_of(directory, tmp_path)
    (copy / "units/frozen/seed-6.json").write_text(content)
    with pytest.raises(InputError, match=sentence):
        run_audit(CONFIG, copy, resume=True)


def test_a_unit_of_other_data_is_refused(finished, tmp_path):
    _, directory = finished
    copy = copy_of(directory, tmp_path)
    path = copy / "units/frozen/seed-6.json"
    table = json.loads(path.read_text())
    path.write_text(json.dumps(table | {"dataset": "fashion-mnist"}))
    with pytest.raises(InputError, match=r"was trained on fashion-mnist .* of digits"):
        run_audit(CONFIG, copy, resume=True)
    path.write_text(json.dumps(table | {"seed": 7}))
    with pytest.raises(InputError, match=r"seed-6.json is damaged: it is of frozen, s"):
        run_audit(CONFIG, copy, resume=True)


def test_what_is_wrong_leaves_no_directory_behind(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"run directory .* cannot be written: .*--o"):
        run_audit(CONFIG, tmp_path / "file" / "audit")
    data = dataclasses.replace(RUN.data, train_size=10**6)
    config = dataclasses.replace(CONFIG, run=dataclasses.replace(RUN, data=data))
    with pytest.raises(InputError, match="`train_size` must"):
        run_audit(config, tmp_path / "audit")
    assert not (tmp_path / "audit").exists()


def test_the_report_needs_nothing_but_itself_and_says_it_all(finished, tmp_path):
    audit, _ = finished
    page = write_audit_report(audit, tmp_path / "report.html").read_text()
    assert page.lower().startswith("<!doctype html>")
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert audit.verdict in page
    for result in audit.results:
        cells = [f"{100 * mean:.2f}" for mean in result.tuning.means]
        chosen = cells.pop(result.tuning.chosen)
        assert f"<td>{cells[0]}</td>" in page
        assert f"<td><strong>{chosen}</strong></td>" in page
    assert "might do better: tiny, removed, frozen." in page
    for result in audit.results:
        assert all(f"{100 * accuracy:.2f}" in page for accuracy in result.accuracy)
    assert "advantage" not in page.lower()
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {
        f"{name}.{kind}"
        for name in ("accuracies", "differences")
        for kind in ("png", "svg")
    }
    assert audit_table(audit).row_count == 3


def test_the_command_line(finished, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    _, directory = finished
    before = (directory / "audit.json").read_bytes()
    assert main(["audit", "--resume", str(directory)]) == 0  # nothing left to train
    assert (directory / "audit.json").read_bytes() == before
    printed = capsys.readouterr().out
    assert f"Report: {directory / 'report.html'}" in printed
    assert "Verdict: cannot tell with this many seeds" in printed
    for arguments, sentence in (
        (["linear", "--dataset", "digits"], "`network` must have the block 'circuit'"),
        (["hybrid-cnn", "--seeds", "1"], "`seeds` must be .* at least 2, but is 1"),
        (
            ["hybrid-cnn", "--controls", "frosen"],
            "`controls` must .* Did you mean 'frozen'",
        ),
        (
            ["hybrid-cnn", "--twins", "frosen"],  # the name in version 0.1
            "`controls` must .* Did you mean 'frozen'",
        ),
        (
            ["hybrid-cnn", "--workers", "2"],
            "`workers` must stand with --scheduler, but is 2. Add --scheduler local.",
        ),
        (
            ["hybrid-cnn", "--scheduler", "local", "--unit-resources", "GPU"],
            "`unit_resources` must be names with amounts, such as GPU=1, but is 'GPU'",
        ),
        (
            ["hybrid-cnn", "--scheduler", "local", "--devices", "1"],
            "`devices` must be left out with --scheduler, .*, but is 1",
        ),
        ([], "`MODEL` must be the first argument of `qfm audit`"),
        (["--resume", "nowhere"], "must name a directory that `qfm audit` wrote"),
    ):
        assert main(["audit", *arguments]) == 2
        assert re.search(sentence, capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []
