"""The classical classifiers beside an audit: the same images, the very features."""

import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from qfm_jax._checks import InputError
from qfm_jax.audit import AuditConfig, read_audit, run_audit
from qfm_jax.audit.classifiers import circuit_features
from qfm_jax.models import ModelConfig
from qfm_jax.reporting import baselines_table, write_audit_report
from qfm_jax.runs.config import DataConfig, RunConfig
from qfm_jax.runs.model import keys_of, load_images, start_model
from qfm_jax.training import TrainConfig, fit

RUN = RunConfig(
    "tiny",
    ModelConfig(hidden=(8,), block="circuit", n_qubits=3, n_layers=1),
    TrainConfig(epochs=2, batch_size=20),
    DataConfig("digits", train_size=300),
    seed=5,
)
CONFIG = AuditConfig(
    *(RUN, 2, ("dense",)), rate_factors=(1.0,), baselines=("logistic-regression",)
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished audit and its directory, and what was told of it."""
    directory, told = tmp_path_factory.mktemp("baselines") / "audit", []
    return run_audit(CONFIG, directory, show=lambda *a: told.append(a)), directory, told


def right_share(train, test, data):
    """Of scikit-learn, used directly."""
    regression = LogisticRegression(max_iter=2000, random_state=5)
    fitted = make_pipeline(StandardScaler(), regression).fit(train, data.train.labels)
    return (fitted.predict(test) == data.test.labels).mean()


def test_they_see_all_pixels_and_what_the_circuit_sees(finished):
    audit, directory, _ = finished
    on_pixels, on_features = audit.baselines
    data = load_images(RUN)
    pixels = [p.pixels.reshape(len(p), -1) / 255.0 for p in (data.train, data.test)]
    assert (on_pixels.sees, on_pixels.score.n_features) == ("pixels", 784)
    assert on_pixels.score.accuracy == pytest.approx(
        right_share(*pixels, data), abs=6e-3
    )
    model = start_model(RUN, n_classes=10)
    key = keys_of(RUN.seed).training
    fit(model, data.train, data.validation, RUN.training, key, progress=False)
    features = [circuit_features(model, p.pixels) for p in (data.train, data.test)]
    with np.load(directory / "features.npz") as kept:
        for name, expected in zip(("train", "test"), features, strict=True):
            np.testing.assert_allclose(kept[name], expected, atol=1e-3)
    assert (on_features.sees, on_features.score.n_features) == ("features", 3)
    expected = right_share(*features, data)
    assert on_features.score.accuracy == pytest.approx(expected, abs=0.012)
    assert 0.2 < on_features.score.accuracy < on_pixels.score.accuracy


def test_they_are_kept_told_of_and_shown(finished, tmp_path):
    audit, directory, told = finished
    assert read_audit(directory) == audit
    names = [name for _, name, seeds, _ in told if not seeds]
    assert names == ["logistic-regression on pixels", "logistic-regression on features"]
    page = write_audit_report(audit, tmp_path / "report.html").read_text()
    accuracy = audit.results[0].accuracy
    for baseline in audit.baselines:
        share = baseline.score.accuracy
        assert f"<td>{100 * share:.2f}</td>" in page
        assert f"<td>{100 * (sum(accuracy) / 2 - share):+.2f}</td>" in page
    assert "front end of this seed" in page
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(baselines_table(audit))
    text = console.export_text()
    assert "\u2026" not in text  # nothing is cut off
    for baseline in audit.baselines:
        row = next(line for line in text.splitlines() if f" {baseline.sees} " in line)
        assert f"{100 * baseline.score.accuracy:.2f} (" in row


def test_resuming_fits_what_is_missing(finished, tmp_path):
    _, directory, _ = finished
    kept = directory / "baselines" / "pixels-logistic-regression.json"
    before = kept.stat().st_mtime_ns
    (directory / "baselines" / "features-logistic-regression.json").unlink()
    (directory / "audit.json").unlink()
    told = []
    again = run_audit(CONFIG, directory, resume=True, show=lambda *a: told.append(a[1]))
    assert told == ["logistic-regression on features"]
    assert kept.stat().st_mtime_ns == before
    assert len(again.baselines) == 2
    (directory / "audit.json").unlink()
    kept.write_text("{")
    with pytest.raises(InputError, match=r"pixels-logistic.* is damaged.*Remove it"):
        run_audit(CONFIG, directory, resume=True)


def test_a_circuit_on_the_pixels_has_no_features_of_its_own(tmp_path):
    pixels = ModelConfig(
        *((), (), 0.0, "circuit", "amplitude"), n_qubits=6, features="pixels"
    )
    run = dataclasses.replace(RUN, network=pixels)
    config = dataclasses.replace(CONFIG, run=run, controls=("removed",))
    audit = run_audit(config, tmp_path / "audit")
    assert [baseline.sees for baseline in audit.baselines] == ["pixels"]
    assert not (tmp_path / "audit" / "features.npz").exists()
    page = write_audit_report(audit, tmp_path / "report.html").read_text()
    assert "front end of this seed" not in page


def test_an_unknown_baseline_is_refused():
    with pytest.raises(InputError, match=r"`baselines` .* 'rbf-svn'. .*'rbf-svm'"):
        dataclasses.replace(CONFIG, baselines=("rbf-svn",))
