"""Data sets that are nearly empty: a run that learns, or a sentence."""

import numpy as np
import pytest

from qfm_jax.cli import main


def write_images(folder, labels, n_classes):
    """Each class is one random picture; the test images are those again."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (n_classes, 28, 28), np.uint8)
    test = np.arange(20) % n_classes
    np.savez(
        folder / "data.npz",
        x_train=pictures[labels],
        y_train=labels,
        x_test=pictures[test],
        y_test=test,
    )


def train(folder, *options):
    out = folder / "run"
    options = ["--data-dir", str(folder), "--out", str(out), *options]
    return main(["train", "linear", *options])


def test_fewer_images_than_a_batch_are_learned(tmp_path, capsys):
    write_images(tmp_path, np.arange(40) % 4, 4)
    assert not train(tmp_path)
    printed = capsys.readouterr()
    assert "100.0" in printed.out
    assert "epoch 200/200" in printed.err
    assert "steps of the optimiser" not in printed.err
    assert "!" not in printed.out


def test_one_image_a_class_is_learned_but_for_that_of_validation(tmp_path, capsys):
    write_images(tmp_path, np.arange(10), 10)
    assert not train(tmp_path)
    assert "90.0" in capsys.readouterr().out


@pytest.mark.parametrize("labels", [[0, 3, 9, 7, 1], [2, 2, 2, 2, 2, 2]])
def test_more_classes_than_images_is_a_sentence(tmp_path, capsys, labels):
    write_images(tmp_path, np.array(labels), 10)
    assert train(tmp_path) == 2
    assert "must hold training labels of two classes or more" in capsys.readouterr().err


def test_a_single_image_of_each_of_two_classes(tmp_path, capsys):
    write_images(tmp_path, np.array([0, 1]), 2)
    assert not train(tmp_path, "--seed", "1")
    out = " ".join(capsys.readouterr().out.split())
    assert "! linear predicts one class only" in out


def test_a_network_that_saw_few_steps_is_named_wherever_it_is_shown(tmp_path, capsys):
    out = tmp_path / "run"
    options = ["--dataset", "digits", "--epochs", "1", "--train-size", "200"]
    assert not main(["train", "cnn", *options, "--out", str(out)])
    printed = capsys.readouterr()
    assert "Only 1 step of the optimiser (1 epoch of 1 batch)" in printed.err
    last = printed.out.split(f"Run directory: {out}\n")[1]
    assert last.startswith("! cnn ")
    assert last.split()[-6:] == ["not", "learn:", "do", "not", "compare", "it."]
    assert not main(["report", str(out), "--out", str(tmp_path / "report.html")])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "did not learn" in page
