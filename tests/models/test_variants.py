"""Variants of the classifier: circuits on pixels, on patches, side by side, beside."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.models import Classifier, ModelConfig
from qfm_jax.models.block import SideBySide
from qfm_jax.models.head import ScaledHead
from qfm_jax.models.pixels import framed, patches

IMAGES = np.random.default_rng(4).uniform(size=(3, 8, 8)).astype(np.float32)
SMALL = {"block": "circuit", "layers": "real-amplitudes", "n_layers": 1}


def build(n_classes=3, **changes):
    config = ModelConfig(**SMALL | changes)
    sizes = {"image_shape": (8, 8), "n_classes": n_classes}
    return Classifier(config, **sizes, rngs=nnx.Rngs(0))


def test_a_pure_model_is_a_circuit_and_a_scale():
    model = build(embedding="amplitude", features="pixels", head="scale", n_qubits=7)
    weights = jax.tree.leaves(nnx.state(model, nnx.Param))
    assert sorted(w.size for w in weights) == [1, 3, 2 * 7]
    model.head.offset[...] = jnp.array([1.0, 2.0, 3.0])
    expectations = model.block(framed(IMAGES, 2**7))
    expected = 5 * expectations[:, :3] + np.array([1, 2, 3])
    np.testing.assert_allclose(model(IMAGES), expected, atol=1e-5)
    np.testing.assert_allclose(model.features(IMAGES), framed(IMAGES, 2**7))


def test_side_by_side_each_circuit_has_its_own_features_and_weights():
    model = build(n_qubits=2, n_circuits=3)
    assert isinstance(model.block, SideBySide)
    features = jnp.asarray(np.random.default_rng(1).uniform(size=(5, 6)), jnp.float32)
    whole = model.block(features)
    for i, block in enumerate(model.block.blocks):
        own = block(features[:, 2 * i : 2 * i + 2])
        np.testing.assert_allclose(whole[:, 2 * i : 2 * i + 2], own, atol=1e-6)
    first, second = (nnx.state(b, nnx.Param) for b in model.block.blocks[:2])
    assert not np.allclose(*(jax.tree.leaves(state)[0] for state in (first, second)))
    assert model(IMAGES).shape == (3, 3)


def test_a_residual_model_reads_the_features_too():
    model = build(n_qubits=2, residual=True)
    features = model.features(IMAGES)
    around_zero = features - np.pi / 2
    both = jnp.concatenate([model.block(features), around_zero], axis=1)
    np.testing.assert_allclose(model(IMAGES), model.head(both), atol=1e-6)
    without = build(n_qubits=2, residual=True, block="removed")
    assert without.head.kernel[...].shape == (2, 3)  # not the same features twice


def test_a_block_on_patches_maps_each_of_them():
    model = build(patch=2, n_qubits=4, channels=(5,), hidden=(6,))
    found = model.block(patches(IMAGES, 2))
    assert found.shape == (3, 4, 4, 4)
    one = model.block(patches(IMAGES, 2)[1, 2, 3][None])[0]
    np.testing.assert_allclose(found[1, 2, 3], one, atol=1e-6)
    np.testing.assert_allclose(model(IMAGES), model.head(model.back(found)))
    control = build(patch=2, n_qubits=4, channels=(5,), hidden=(6,), block="dense")
    shapes = jax.tree.map(jnp.shape, nnx.state((control.back, control.head)))
    assert shapes == jax.tree.map(jnp.shape, nnx.state((model.back, model.head)))


def test_the_spread_of_the_angles_at_the_start():
    for spread in (0.0, 0.3, 3.0):
        model = build(n_qubits=8, angle_spread=spread, n_circuits=4)
        angles = np.concatenate(
            [np.ravel(w) for w in jax.tree.leaves(nnx.state(model.block, nnx.Param))]
        )
        assert np.std(angles) == pytest.approx(spread, rel=0.35)


PIXELS = {"embedding": "amplitude", "features": "pixels", "n_qubits": 7}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": "pixel"}, "`features` must be one of .* Did you mean 'pixels'"),
        ({"head": "scaled"}, "`head` must be one of .* Did you mean 'scale'"),
        ({"n_circuits": 0}, "`n_circuits` must be .* but is 0"),
        ({"patch": -1}, "`patch` must be .* but is -1"),
        ({"angle_spread": -0.1}, "`angle_spread` must .* but is -0.1"),
        (PIXELS | {"channels": (4,)}, r"`channels` must be \(\) where .* is \(4,\)"),
        (PIXELS | {"n_circuits": 2}, "`n_circuits` must be 1 where .* pixels"),
        ({"patch": 2, "n_qubits": 3}, "`n_qubits` must be 4, one for each .* is 3"),
        (
            {"patch": 2, "n_qubits": 4, "embedding": "amplitude"},
            r"`n_qubits` must be 4.* that takes angles, but .* takes 16: Ampl",
        ),
        (
            {"patch": 2, "n_qubits": 4, "residual": True},
            "`residual` must be False where the block maps patches",
        ),
        (
            {"embedding": "hamiltonian", "n_qubits": 2},
            "`embedding` must be one of .* whole circuit: name it as `circuit='hamilt",
        ),
        (
            {"circuit": "hamiltonian", "n_qubits": 2},
            "`layers` must be None where a whole circuit .* is 'real-amplitudes'",
        ),
        (
            {"features": "pixels", "n_qubits": 3},
            "`circuit` must be a circuit of a square number .* but takes 3 features",
        ),
        # In 2 x 2 pixels there is no place for a frame.
        (PIXELS | {"n_qubits": 2}, "`n_qubits` must leave a frame around the image"),
        # A tree is read by three words, and there are four classes.
        (
            PIXELS | {"head": "scale", "layers": "tree"},
            "`head` must be 'dense' where .* fewer results than 4",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        nnx.eval_shape(lambda: build(4, **changes)(jnp.zeros((1, 8, 8))))


def test_a_scaled_head_needs_a_result_a_class():
    with pytest.raises(InputError, match=r"`head` must .* and there are 2. Take more"):
        ScaledHead(2, 3)
