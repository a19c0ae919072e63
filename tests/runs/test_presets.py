"""The models and comparisons that have a name."""

import dataclasses
import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.special import logsumexp

from qfm_jax._checks import InputError
from qfm_jax.models import Classifier, count_parameters
from qfm_jax.runs.presets import COMPARISONS, MODELS, get_comparison, get_preset


def count(name):
    network = get_preset(name).network
    shapes = nnx.eval_shape(lambda: Classifier(network, rngs=nnx.Rngs(0)))
    return count_parameters(shapes)


def test_every_model_is_as_small_as_it_says():
    counts = {name: sum(count(name)) for name in MODELS}
    assert 200_000 < counts.pop("strong-cnn") < 400_000
    assert all(total < 100_000 for total in counts.values())
    assert counts["cnn-2k"] < 2_000 < counts["cnn-10k"] < 10_000
    assert counts["compact-hybrid"] < 20_000
    wide = {n: p.network.n_qubits for n, p in MODELS.items() if p.network.n_qubits > 10}
    assert wide == {}


def test_parameters_of_the_pure_models_by_hand():
    groups = 8 * 2 * 32**2  # layers, groups of five qubits, entries
    assert count("amplitude") == (groups, 1 + 10)
    assert count("hamiltonian") == (groups + 8 * 1024, 1 + 10)
    for name in ("tree", "chain"):  # read out: X, Y, Z of one qubit
        assert count(name) == (4 * 9 * 15, 3 * 10 + 10)
    # 10 qubits -> 5 -> 3, read out: 9 words of one letter, 27 of two
    pools = 5 + 2
    assert count("qcnn") == (15 * (10 + 5) + 2 * pools, 36 * 10 + 10)


def test_the_control_of_the_quanvolution_has_as_many_channels():
    (quantum, classical), (_, control) = count("quanvolution"), count("patch-cnn")
    assert (quantum, control) == (2 * 4 * 3, classical + 4 * 4 + 4)


@pytest.mark.parametrize("name", MODELS)
def test_the_first_loss_is_near_that_of_a_guess(name, digits):
    """A sure random classifier has to unlearn first: cross-entropy up to 7 nats."""
    network = dataclasses.replace(MODELS[name].network, frozen_front=False)
    model = Classifier(network, rngs=nnx.Rngs(7))
    images, labels = digits.train.pixels[:64], digits.train.labels[:64]
    logits = np.asarray(model(jnp.asarray(images) / 255), float)
    losses = logsumexp(logits, axis=1) - logits[np.arange(64), labels]
    assert losses.mean() < 1.2 * np.log(10)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("n_images", [600, 1_000, 2_000, 9_600, 55_000])
def test_few_images_are_seen_more_often(name, n_images):
    training = MODELS[name].training
    settled = training.settled(n_images)
    assert training.n_steps(n_images) >= training.min_steps >= 400
    assert 64 <= settled.batch_size <= training.batch_size
    assert settled.epochs >= training.epochs
    if n_images == 55_000:  # enough of them: nothing changes
        assert settled == dataclasses.replace(training, min_steps=0)


def test_every_model_of_the_page_exists_and_every_other_way_round():
    page = Path(__file__).parents[2] / "docs" / "commands.md"
    text = page.read_text(encoding="utf-8")
    table = text.split("## The models that have a name")[1].split("## ")[0]
    named = set(re.findall(r"`([a-z0-9-]+)`", table.split("|---|---|")[1]))
    assert named == set(MODELS)


def test_a_random_quanvolution_trains_no_angle():
    assert count("quanvolution")[0] == 2 * 4 * 3
    assert count("quanvolution-random")[0] == 0
    assert count("quanvolution-random")[1] == count("quanvolution")[1]


def test_parameters_of_the_hybrid_and_its_control_by_hand():
    convolutions = 9 * 16 + 16 + 9 * 16 * 32 + 32 + 9 * 32 * 64 + 64
    front = convolutions + (3 * 3 * 64) * 64 + 64 + 64 * 8 + 8
    read_out = 8 * 10 + 10
    assert count("hybrid-cnn") == ((2 + 1) * 2 * 8, front + read_out)
    assert count("cnn") == (0, front + 8 * 8 + 8 + read_out)
    assert count("linear") == (0, 784 * 10 + 10)


def test_deep_controls_differ_in_their_block_alone():
    hybrid, classical = (get_preset(f"deep-{kind}") for kind in ("hybrid", "cnn"))
    dense = dataclasses.replace(
        hybrid.network, block="dense", layers=classical.network.layers
    )
    assert dense == classical.network
    assert hybrid.training == classical.training


@pytest.mark.parametrize("comparison", COMPARISONS.values(), ids=list(COMPARISONS))
def test_comparisons_name_models_that_exist(comparison):
    assert set(comparison.models) <= set(MODELS)


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"`model` must be one of .* Did you mean 'hy"):
        get_preset("hybrid")
    with pytest.raises(InputError, match=r"`preset` .* 'demmo'. Did you mean 'demo'"):
        get_comparison("demmo")


def test_a_model_of_version_0_1_goes_by_its_new_name():
    assert get_preset("reuploading") is MODELS["pixel-reuploading"]
    network = MODELS["pixel-reuploading"].network
    assert network.circuit == "pixel-reuploading"
