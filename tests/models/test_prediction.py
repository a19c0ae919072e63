"""Predictions in padded batches against the model applied to all images at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.models import Classifier, ModelConfig
from qfm_jax.models.prediction import predict_logits, predict_seeds, to_unit

IMAGES = np.random.default_rng(5).integers(0, 256, (23, 6, 5), np.uint8)


@pytest.fixture(scope="module")
def model():
    return Classifier(ModelConfig(), image_shape=(6, 5), n_classes=3, rngs=nnx.Rngs(1))


@pytest.fixture(scope="module")
def expected(model):
    return np.asarray(model(jnp.asarray(IMAGES / 255, jnp.float32)))


@pytest.mark.parametrize("n", [1, 9, 10, 11, 20, 23])
def test_any_number_of_images_is_the_model_applied_to_each(model, expected, n):
    logits = predict_logits(model, IMAGES[:n], batch_size=10)
    assert isinstance(logits, np.ndarray)
    assert logits.dtype == np.float32
    assert logits.shape == (n, 3)
    np.testing.assert_allclose(logits, expected[:n], atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 4, 23, 100])
def test_the_batch_size_does_not_change_the_logits(model, expected, batch_size):
    logits = predict_logits(model, IMAGES, batch_size=batch_size)
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_many_weights_see_their_own_images(expected, model):
    states = jax.tree.map(lambda leaf: jnp.stack([leaf, 0 * leaf]), nnx.state(model))
    images = np.stack([IMAGES, IMAGES])
    logits = predict_seeds(model, states, images, batch_size=10)
    np.testing.assert_allclose(logits[0], expected, atol=1e-5)
    np.testing.assert_array_equal(logits[1], 0)
    values = predict_seeds(model, states, images / np.float32(255), batch_size=10)
    np.testing.assert_allclose(values, logits, atol=1e-6)
    with pytest.raises(InputError, match="from 0 to 255 as uint8, or floats"):
        predict_seeds(model, states, images / 25)
    with pytest.raises(InputError, match=r"`images` must have shape \(n, height, w"):
        predict_seeds(model, states, IMAGES)


def test_dropout_is_off_whatever_mode_the_model_is_in():
    layers = [lambda x: x.reshape(len(x), -1), nnx.Dropout(0.5, rngs=nnx.Rngs(0))]
    model = nnx.Sequential(*layers)
    model.train()
    logits = predict_logits(model, IMAGES, batch_size=10)
    np.testing.assert_allclose(logits, IMAGES.reshape(23, -1) / 255, rtol=1e-6)
    assert not model.layers[1].deterministic


class CountingModel(nnx.Module):
    """Writes down the shape of every batch that it is traced with."""

    shapes: list[tuple[int, ...]] = []  # noqa: RUF012  shared by all that are merged

    def __call__(self, images):
        self.shapes.append(images.shape)
        return images.reshape(len(images), -1)


def test_one_program_serves_every_number_of_images():
    model = CountingModel()
    for n in (1, 10, 23):
        predict_logits(model, IMAGES[:n], batch_size=10)
    assert model.shapes == [(10, 6, 5)]


def test_pixels_from_0_to_255_become_numbers_from_0_to_1():
    pixels = np.arange(256, dtype=np.uint8)
    unit = to_unit(pixels)
    assert unit.dtype == jnp.float32
    np.testing.assert_allclose(unit, np.arange(256) / 255, rtol=1e-6)


@pytest.mark.parametrize(
    ("images", "batch_size", "message"),
    [
        (IMAGES, 0, "`batch_size` must be a whole number of at least 1, but is 0"),
        (IMAGES, -3, "`batch_size` must be .* but is -3"),
        (IMAGES[:0], 5, r"`len\(images\)` must be .* but is 0. Pass at least one"),
        (IMAGES[0], 5, r"`images` must have shape \(n, height, width\), .* \(6, 5\)"),
        (
            IMAGES[..., None],
            5,
            r"`images` must have shape .* has shape \(23, 6, 5, 1\)",
        ),
        (
            IMAGES / 200,
            5,
            r"or floats in \[0, 1\], but is float64 from .* Divide by 255",
        ),
        (IMAGES > 99, 5, r"floats in \[0, 1\], but has type bool.*`.*images_of`"),
        (IMAGES // 128, 5, "uint8 with no value but 0 and 1, .* multiply by 255"),
        (IMAGES[:, :5], 5, r"`images` must have shape \(batch, 6, 5\), .* 5, 5\)"),
    ],
)
def test_bad_input_gets_a_sentence(model, images, batch_size, message):
    with pytest.raises(InputError, match=message):
        predict_logits(model, images, batch_size=batch_size)
