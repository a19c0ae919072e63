"""An audit of the same circuit under a new name: the same bits, unit by unit."""

import dataclasses
import json

from qfm_jax.audit import AuditConfig, run_audit
from qfm_jax.circuits import CIRCUITS, EMBEDDINGS
from qfm_jax.models import ModelConfig
from qfm_jax.runs.config import DataConfig, RunConfig
from qfm_jax.training import TrainConfig

NETWORK = ModelConfig(block="circuit", embedding="angle", n_qubits=2, n_layers=1)
MEASURED = ("seconds", "versions", "memory_bytes")


def of_units(network, directory):
    """What an audit of a model found in each of its trainings, the controls' too."""
    training = TrainConfig(epochs=1, batch_size=20)
    run = RunConfig("tiny", network, training, DataConfig("digits", train_size=100))
    controls = ("removed", "separable", "fourier")
    run_audit(
        AuditConfig(run, 2, controls, rate_factors=(1.0,), baselines=()), directory
    )
    found = {}
    for path in sorted(directory.glob("units/*/*.json")):
        table = json.loads(path.read_text())
        name = str(path.relative_to(directory))
        found[name] = {k: v for k, v in table.items() if k not in MEASURED}
    return found


def test_audit_of_the_same_class_under_a_new_name(tmp_path, monkeypatch):
    monkeypatch.setitem(EMBEDDINGS, "mine", EMBEDDINGS["angle"])
    renamed = dataclasses.replace(NETWORK, embedding="mine")
    ours = of_units(NETWORK, tmp_path / "ours")
    assert len(ours) == 4 * 2
    assert of_units(renamed, tmp_path / "theirs") == ours
    whole = {"embedding": None, "layers": None}
    named = dataclasses.replace(NETWORK, circuit="reuploading", **whole)
    monkeypatch.setitem(CIRCUITS, "mine", CIRCUITS["reuploading"])
    again = of_units(dataclasses.replace(named, circuit="mine"), tmp_path / "again")
    assert again == of_units(named, tmp_path / "named")
