"""Files of audits: those of this version and of earlier ones are read."""

import json

import pytest
from synthetic_runs import RESULTS, read_stored_audit

from qfm_jax._checks import InputError
from qfm_jax.audit import AuditConfig, read_audit, read_audit_config
from qfm_jax.audit.stored import CONFIG_FORMAT, write_audit
from qfm_jax.models import ModelConfig
from qfm_jax.runs.config import RunConfig, write_toml

RUN = RunConfig("tiny", ModelConfig(block="circuit", n_qubits=2, n_layers=1))
CONFIG = AuditConfig(RUN, n_seeds=2, controls=("removed", "frozen"))


def test_an_unfinished_audit_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="holds no finished audit"):
        read_audit(tmp_path)
    (tmp_path / "audit.json").write_text('{"format": 3}')
    with pytest.raises(InputError, match=r"audit.json is damaged"):
        read_audit(tmp_path)


@pytest.mark.parametrize(
    ("name", "number"), [("hybrid-cnn", 1), ("hybrid-cnn_short", 2), ("amplitude", 2)]
)
def test_audits_of_earlier_formats_are_read(name, number, tmp_path):
    path = RESULTS / f"audit_{name}.json"
    stored = json.loads(path.read_text())
    assert stored["format"] == number
    audit = read_audit(path)
    assert (audit.verdict, audit.seconds) == (stored["verdict"], stored["seconds"])
    assert audit.config.n_seeds == len(audit.seeds) == stored["config"]["n_seeds"]
    for result in audit.results:
        own = stored["twins"][result.name]
        assert result.accuracy == tuple(own["accuracy"])
        if result.difference:
            assert result.difference.mean == own["difference"]["mean"]
    write_audit(tmp_path, audit)
    assert json.loads((tmp_path / "audit.json").read_text())["format"] == 3
    assert read_audit(tmp_path) == audit


def test_configurations_of_both_formats_are_read(tmp_path):
    path = tmp_path / "audit.toml"
    write_toml(path, CONFIG, CONFIG_FORMAT)
    assert read_audit_config(tmp_path) == CONFIG
    text = path.read_text()
    older = text.replace("format = 2\n", "format = 1\n")
    older = older.replace("\ncontrols = [", "\ntwins = [")
    assert older.count("twins") == 1
    path.write_text(older)
    assert read_audit_config(tmp_path) == CONFIG
    path.write_text(text.replace("format = 2", "format = 3"))
    with pytest.raises(InputError, match="has format 3, and this version reads 2"):
        read_audit_config(tmp_path)


def test_an_audit_is_read_from_its_file_too(tmp_path):
    directory = tmp_path / "audit"
    audit = read_stored_audit(directory)
    moved = (directory / "audit.json").rename(tmp_path / "audit_amplitude.json")
    assert read_audit(moved) == audit
    with pytest.raises(InputError, match="holds no finished audit"):
        read_audit(tmp_path / "another.json")
