"""Damaged files of runs, audits and evaluations end in our own sentence."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest
from fuzz.mutations import mutated, retyped
from fuzz.test_data_files import refuses_or_reads
from synthetic_runs import make_run, read_stored_audit

from qfm_jax.audit import AuditConfig, read_audit, read_audit_config
from qfm_jax.audit.records import Tuning, Unit
from qfm_jax.audit.stored import (
    read_tuning,
    read_unit,
    tuning_path,
    unit_path,
    write_tuning,
    write_unit,
)
from qfm_jax.commands.training import COMPARISON_FILE, Compare
from qfm_jax.deployment.jobs import Jobs, Submission
from qfm_jax.reporting.hardware_section import hardware_section, hardware_sentences
from qfm_jax.reporting.page import _templates as templates
from qfm_jax.runs.config import to_toml
from qfm_jax.runs.directory import read_config, read_run, write_config, write_result
from qfm_jax.runs.results import add_rows, read_rows
from qfm_jax.training.checkpoints import Checkpoints
from qfm_jax.training.history import append_record, read_records


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run, without its training."""
    run = make_run("cnn", directory=tmp_path_factory.mktemp("runs"), n_test=100)
    write_config(run.directory, run.config)
    for record in run.history.epochs:
        append_record(run.directory / "metrics.jsonl", record)
    write_result(run.directory, run.result, run.mistakes)
    return read_run(run.directory)


@pytest.fixture
def damaging(fuzz):
    """Damages a file in many ways, and reads it after each; then it is whole again."""

    def run(path, read, few=10):
        content = path.read_bytes()
        strategy = mutated(content)
        if path.suffix == ".json":
            changed = retyped(json.loads(content))
            strategy |= changed.map(lambda table: json.dumps(table).encode())

        def check(damaged):
            path.write_bytes(damaged)
            refuses_or_reads(read)

        try:
            fuzz(strategy, check, few)
        finally:
            path.write_bytes(content)

    return run


@pytest.mark.parametrize("name", ["scores.json", "metrics.jsonl", "mistakes.npz"])
def test_runs(finished, damaging, name):
    damaging(finished.directory / name, lambda: read_run(finished.directory))


def test_metrics(finished, damaging):
    path = finished.directory / "metrics.jsonl"
    damaging(path, lambda: read_records(path))


def test_configurations(finished, damaging, tmp_path):
    damaging(
        finished.directory / "config.toml", lambda: read_config(finished.directory)
    )
    run = dataclasses.replace(finished.config, model="cnn-model")
    for name, value, read in (
        ("audit.toml", AuditConfig(run), read_audit_config),
        (COMPARISON_FILE, Compare(), Compare.of),
    ):
        (tmp_path / name).write_text(to_toml(value))
        damaging(tmp_path / name, lambda read=read: read(tmp_path))


def test_checkpoints(damaging, tmp_path):
    checkpoints = Checkpoints(tmp_path, {"model": "linear"})
    state = {"weights": jnp.arange(100.0)}
    checkpoints.save("last", 1, state)
    (path,) = (tmp_path / "last" / "1" / "description").glob("metadata")
    damaging(path, lambda: checkpoints.restore("last", state), 6)


def test_rows(damaging, tmp_path):
    path = tmp_path / "rows.json"
    add_rows(path, "squares", [{"cell": {"n": 2}, "square": 4}])
    damaging(path, lambda: read_rows(path, "squares"))


def test_units_and_tunings(damaging, tmp_path):
    unit = Unit(
        "dense", 0, "digits", 0.5, 0.5, False, 1, 10, 2, 0.1, {"jax": "0"}, (1, 2, 3)
    )
    write_unit(tmp_path, unit)
    path = unit_path(tmp_path, "dense", 0)
    damaging(path, lambda: read_unit(tmp_path, "dense", 0))
    write_tuning(tmp_path, Tuning("dense", "digits", (0.1, 0.2), ((0.5,), (0.6,))))
    path = tuning_path(tmp_path, "dense")
    damaging(path, lambda: read_tuning(tmp_path, "dense"))


def test_audits(damaging, tmp_path):
    read_stored_audit(tmp_path / "audit")
    path = tmp_path / "audit" / "audit.json"
    damaging(path, lambda: read_audit(tmp_path / "audit"), 4)


def test_jobs(damaging, tmp_path):
    description = {"device": "aer", "shots": 10}
    jobs = Jobs(tmp_path, description)
    jobs.write(0, np.array([[0.5, -1.0]]), 1.0)
    note = Submission("tag", "aer", 0, 2, 2, 10, 1.0, 60, "2026-01-01", "id")
    jobs.note(0, note)
    damaging(tmp_path / "jobs.json", lambda: Jobs(tmp_path, description))
    damaging(tmp_path / "job-0.json", lambda: jobs.read_timed(0))
    damaging(tmp_path / "submitted-0.json", lambda: jobs.submission(0))


SCORES = {
    "format": 1, "label": "aer", "device": "aer", "noise": "none", "mitigation": "none",
    "shots": 100, "accuracy": 0.5, "accuracy_interval": [0.4, 0.6], "n_test": 100,
    "accuracy_ideal": 0.5, "flipped": 0.0, "margin_flipped": None, "margin_kept": 0.5,
    "two_qubit_gates": None, "seconds": 1.0,
}  # fmt: skip


COST = {
    "format": 1, "n_test": 1000, "shots": 1024, "formula": "seconds = circuits x shots",
    "plan": {"minutes": 10.0, "days": 28, "as_of": "2026-11-22"},
    "backends": {
        "fake_torino": {
            "optimization_level": 2, "n_qubits": 8, "depth": 1234,
            "success_probability": 0.5, "two_qubit_gates": 98,
            "seconds_qpu": 262.0, "share_of_plan": 0.44,
        }
    },
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Glyph")  # a font lacks what a label may hold
def test_deployments_in_a_report(finished, damaging):
    template = templates().get_template("sections/hardware.html.j2")

    def shown():
        sections, _ = hardware_section([finished], ["model"])
        template.render(hardware=sections).encode()
        hardware_sentences(sections)
        return sections

    path = finished.directory / "deployments" / "aer" / "scores.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(SCORES))
    assert shown()[0]["figures"]
    damaging(path, shown, 3)
    path = finished.directory / "cost.json"
    path.write_text(json.dumps(COST))
    assert shown()[0]["backends"]
    damaging(path, shown, 3)
