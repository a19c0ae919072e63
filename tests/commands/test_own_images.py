"""Every command on a folder of colour pictures of two classes, of uneven numbers."""

import json

import numpy as np
import pytest
from PIL import Image

from qfm_jax.cli import main


def qfm(*arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "100")
        return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Red on dark ground, and green: a linear model of the colours tells them apart."""
    root = tmp_path_factory.mktemp("pictures") / "lights"
    rng = np.random.default_rng(0)
    for channel, (name, n) in enumerate((("stop", 90), ("go", 45))):
        (root / name).mkdir(parents=True)
        for i in range(n):
            pixels = rng.integers(0, 120, (12, 10, 3))
            pixels[3:8, 2:7, channel] = rng.integers(150, 256)
            file = root / name / f"{i}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(file)
    return root


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "hybrid"
    network = ("--n-qubits", 3, "--channels", 4, "--hidden", 8)
    how = ("--epochs", 25, "--learning-rate", 0.02, "--batch-size", 20)
    assert (
        qfm("train", "hybrid-cnn", "--data", folder, "--out", out, *network, *how) == 0
    )
    return out


def test_a_run_knows_the_shape_of_its_images(run):
    scores = json.loads((run / "scores.json").read_text())
    assert scores["image_shape"] == [12, 10, 3]
    assert scores["dataset"] == "lights"
    assert scores["accuracy"] > 0.8


def test_what_a_data_set_has_is_listed(folder, capsys):
    assert qfm("data", "--data", folder) == 0
    shown = capsys.readouterr().out
    rows = [line.split() for line in shown.splitlines() if line.startswith("│")]
    counts = {row[1]: [int(n) for n in row[3::2]] for row in rows}
    assert counts == {"go": [33, 3, 9], "stop": [66, 6, 18], "all": [99, 9, 27]}


def test_a_picture_is_classified_in_its_colours(run, folder, capsys):
    files = [folder / "stop" / "3.png", folder / "go" / "4.png"]
    assert qfm("predict", run, *files, "--top", 1) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("stop", "go"):
        assert any(f"/{name}/" in line and f" {name} " in line for line in lines)
    small = folder.parent / "small.png"
    Image.new("RGB", (5, 5)).save(small)
    assert qfm("predict", run, small) == 2
    assert "name an image of 12 x 10 pixels" in capsys.readouterr().err


def test_the_circuit_runs_elsewhere_and_has_a_price(run, capsys):
    assert qfm("evaluate", run, "--device", "aer", "--samples", 6, "--shots", 64) == 0
    assert "64 shots" in capsys.readouterr().out
    assert qfm("cost", run, "--backend", "fake_torino") == 0


def test_models_are_compared_and_uneven_classes_have_balanced_scores(
    folder, tmp_path, capsys
):
    out = tmp_path / "both"
    models = ("--models", "linear", "mlp")
    assert qfm("compare", *models, "--data", folder, "--epochs", 3, "--out", out) == 0
    assert "Balanced, %" in capsys.readouterr().out
    page = (out / "report.html").read_text()
    assert "12 x 10 pixels in colour" in page


def test_an_audit_of_pictures(folder, tmp_path, capsys):
    out = tmp_path / "audit"
    few = ("--seeds", 2, "--epochs", 1, "--rate-factors", 1, "--controls", "removed")
    network = ("--n-qubits", 3, "--channels", 4, "--hidden", 8)
    rest = ("--baselines", "logistic-regression", "--out", out)
    assert qfm("audit", "hybrid-cnn", "--data", folder, *few, *network, *rest) == 0
    assert "Verdict" in capsys.readouterr().out
