"""Controls: one change each, and a reason where one cannot exist."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.audit.controls import QUESTIONS, build_controls, possible_controls
from qfm_jax.models import Classifier, ModelConfig
from qfm_jax.models.block import BLOCKS
from qfm_jax.models.head import Amplified

HYBRID = ModelConfig(channels=(2,), hidden=(6,), block="circuit", n_qubits=3)


def test_there_is_a_control_for_every_block_and_each_asks_its_own_question():
    assert set(QUESTIONS) == set(BLOCKS) - {"circuit"}
    assert len(set(QUESTIONS.values())) == len(QUESTIONS)
    assert all(question.endswith("?") for question in QUESTIONS.values())


def test_a_control_differs_in_its_block_alone():
    controls = build_controls(HYBRID)
    assert [control.name for control in controls] == list(QUESTIONS)
    for control in controls:
        assert control.network.block == control.name
        assert dataclasses.replace(control.network, block="circuit") == HYBRID


def test_all_that_has_the_same_shape_starts_the_same():
    def start(network):
        model = Classifier(network, image_shape=(8, 8), rngs=nnx.Rngs(1))
        parts = nnx.state((model.front, model.head))
        return [np.asarray(w) for w in jax.tree.leaves(parts)]

    model = start(HYBRID)
    for control in build_controls(HYBRID):
        for one, other in zip(start(control.network), model, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=control.name)


@pytest.mark.parametrize("name", ["removed", "dense"])
def test_on_pixels_each_starts_from_what_it_takes_in(name):
    """Results in [-1, 1] get a gain; pixels, which are not bounded, do not."""
    pure = ModelConfig(
        block="circuit", features="pixels", embedding="amplitude", n_qubits=7
    )
    (control,) = build_controls(pure, (name,))
    images = np.random.default_rng(0).uniform(size=(64, 8, 8))
    for network in (pure, control.network):
        model = Classifier(network, image_shape=(8, 8), rngs=nnx.Rngs(1))
        assert isinstance(model.head, Amplified) == (network.block != "removed")
        assert np.abs(model(jnp.asarray(images))).mean() < 0.3


def test_a_control_that_cannot_exist_says_why():
    amplitudes = dataclasses.replace(HYBRID, embedding="amplitude", n_layers=1)
    controls, impossible = possible_controls(amplitudes)
    missing = ["matched", "fourier"]
    assert [control.name for control in controls] == [
        n for n in QUESTIONS if n not in missing
    ]
    assert list(impossible) == missing
    assert "not known to be a Fourier series" in impossible["fourier"]
    with pytest.raises(InputError, match="not known to be a Fourier series"):
        build_controls(amplitudes, ("dense", "fourier"))


@pytest.mark.parametrize("find", [build_controls, possible_controls])
def test_a_model_without_a_circuit_has_no_controls(find):
    with pytest.raises(InputError, match=r"`network` must have the block 'circuit'"):
        find(ModelConfig(block="dense"))


def test_pixels_and_patches_have_no_squashing_to_leave_out():
    pixels = ModelConfig(
        block="circuit", features="pixels", embedding="amplitude", n_qubits=6
    )
    patches = ModelConfig(block="circuit", patch=2, n_qubits=4, channels=(2,))
    for network in (pixels, patches):
        controls, impossible = possible_controls(network)
        assert {"removed", "dense", "frozen"} <= {control.name for control in controls}
        assert "not squashed, so that it is 'removed' again" in impossible["linear"]


def test_an_unknown_control_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="Did you mean 'frozen'"):
        build_controls(HYBRID, ("frosen",))
