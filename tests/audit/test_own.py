"""Audits of a person's own model: paired seeds, and nothing else changed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from qfm_jax import QuantumLayer, TrainConfig, audit_model, fit, load_dataset
from qfm_jax._checks import InputError
from qfm_jax.circuits import build_circuit
from qfm_jax.models.controlled import with_control
from qfm_jax.models.prediction import predict_logits
from qfm_jax.runs.model import keys_of

HOW = TrainConfig(epochs=2, batch_size=50, learning_rate=0.02)


class Mine(nnx.Module):
    def __init__(self, rngs):
        circuit = build_circuit("angle", "strongly-entangling", 3, n_layers=1)
        self.reduce = nnx.Linear(784, 3, rngs=rngs)
        self.circuit = QuantumLayer(circuit, rngs=rngs)
        self.head = nnx.Linear(3, 10, rngs=rngs)

    def __call__(self, images):
        features = jnp.tanh(self.reduce(images.reshape(len(images), -1)))
        return self.head(self.circuit(features))


@pytest.fixture(scope="module")
def data():
    return load_dataset("digits", train_size=200, test_size=100)


def test_each_seed_goes_the_way_that_it_goes_alone(data):
    audit = audit_model(Mine, data, HOW, controls=("dense",), seeds=(3, 4))
    for i, seed in enumerate((3, 4)):
        keys = keys_of(seed)
        for name in ("model", "dense"):
            streams = {"params": keys.start, "dropout": keys.dropout}
            model = Mine(nnx.Rngs(**streams, noise=keys.noise))
            if name == "dense":
                rngs = nnx.Rngs(jax.random.fold_in(keys.start, 1))
                model = with_control(model, "dense", (28, 28), rngs=rngs)
            fit(model, data.train, data.validation, HOW, keys.training, progress=False)
            guesses = predict_logits(model, data.test.pixels).argmax(1)
            accuracy = (guesses == data.test.labels).mean()
            # Rounding may turn an image of a hundred.
            assert audit.accuracy[name][i] == pytest.approx(accuracy, abs=0.011)
    (difference,) = audit.differences
    expected = np.subtract(audit.accuracy["model"], audit.accuracy["dense"])
    np.testing.assert_allclose(difference.differences, expected, atol=1e-9)
    text = str(audit)
    assert "dense" in text
    assert "2 paired seeds; Holm's p, at least 0.5." in text


def test_bad_input(data):
    with pytest.raises(InputError, match="pairs of seeds"):
        audit_model(Mine, data, HOW, seeds=(0,))
    with pytest.raises(InputError, match="`controls` must name one or more"):
        audit_model(Mine, data, HOW, controls=())

    def build(rngs):
        linear = nnx.Linear(784, 10, rngs=rngs)
        return nnx.Sequential(lambda x: x.reshape(len(x), -1), linear)

    with pytest.raises(InputError, match="have a QuantumLayer"):
        audit_model(build, data, HOW, seeds=(0, 1))
