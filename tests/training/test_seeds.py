"""Seeds that train together against seeds that train alone."""

import contextlib
import dataclasses
import itertools

import jax
import numpy as np
import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.data import Images, load_dataset
from qfm_jax.models import Classifier, ModelConfig, prediction
from qfm_jax.models.prediction import predict_logits
from qfm_jax.training import TrainConfig, fit, fit_seeds
from qfm_jax.training.steps import Steps

SEEDS = (3, 4, 5)
# A higher rate lets the rounding of one step grow in those that follow.
CONFIG = TrainConfig(epochs=3, batch_size=50, learning_rate=0.005, augment=True)
NETWORKS = {
    "dropout": ModelConfig(hidden=(12,), dropout=0.4),
    "circuit": ModelConfig(block="circuit", n_qubits=3, n_layers=1),
}


@pytest.fixture(scope="module")
def data():
    """Every seed has a split of its own."""
    return [load_dataset("digits", train_size=220, seed=seed) for seed in SEEDS]


def build(network):
    return [Classifier(network, rngs=nnx.Rngs(seed)) for seed in SEEDS]


def together(models, data, config=CONFIG, **more):
    train, validation = [d.train for d in data], [d.validation for d in data]
    keys = [jax.random.key(seed) for seed in SEEDS]
    return fit_seeds(models, train, validation, config, keys, **more)


@contextlib.contextmanager
def as_on_a_gpu():
    """Seeds are an axis of `vmap`, and no program of another way is used."""
    programs = Steps.advance, Steps.orders, prediction._logits_of_seeds
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prediction, "on_gpu", lambda: True)
        for program in programs:
            program.clear_cache()
        yield
    for program in programs:
        program.clear_cache()


WAYS = {"in turn": contextlib.nullcontext, "at once": as_on_a_gpu}


@pytest.fixture(scope="module", params=itertools.product(NETWORKS, WAYS), ids=", ".join)
def trained(request, data):
    """Models and histories, together; and the same, one after another."""
    name, way = request.param
    models, alone = build(NETWORKS[name]), build(NETWORKS[name])
    told = []
    with WAYS[way]():
        histories = together(models, data, on_epoch=told.append)
    expected = [
        fit(m, d.train, d.validation, CONFIG, jax.random.key(seed), progress=False)
        for m, d, seed in zip(alone, data, SEEDS, strict=True)
    ]
    return models, histories, alone, expected, told


def test_every_seed_goes_the_way_that_it_goes_alone(trained):
    _, histories, _, expected, _ = trained
    for history, alone in zip(histories, expected, strict=True):
        assert history.best_epoch == alone.best_epoch
        for name in ("train_loss", "train_accuracy", "validation_loss"):
            # Rounding may turn one image of 200: under `vmap` another program runs.
            one_image = 1 / 200 if name == "train_accuracy" else 0
            np.testing.assert_allclose(
                [getattr(record, name) for record in history.epochs],
                [getattr(record, name) for record in alone.epochs],
                rtol=1e-3,
                atol=one_image,
            )
        steps = [(r.epoch, r.step, r.learning_rate) for r in history.epochs]
        assert steps == [(r.epoch, r.step, r.learning_rate) for r in alone.epochs]


def test_every_model_ends_with_the_weights_that_it_ends_with_alone(trained, data):
    models, _, alone, _, _ = trained
    images = data[0].test.pixels[:20]
    for model, other in zip(models, alone, strict=True):
        logits = predict_logits(model, images, batch_size=20)
        expected = predict_logits(other, images, batch_size=20)
        np.testing.assert_allclose(logits, expected, atol=2e-3)
    first, second = (predict_logits(m, images, batch_size=20) for m in models[:2])
    assert np.abs(first - second).max() > 0.5


def test_each_seed_may_have_a_learning_rate_of_its_own(data):
    factors = (0.25, 1.0, 2.0)
    models, alone = build(NETWORKS["dropout"]), build(NETWORKS["dropout"])
    config = dataclasses.replace(CONFIG, optimizer="adamw", weight_decay=0.1)
    histories = together(models, data, config, rate_factors=factors)
    for i, (factor, model) in enumerate(zip(factors, alone, strict=True)):
        own = dataclasses.replace(config, learning_rate=factor * config.learning_rate)
        expected = fit(
            model,
            data[i].train,
            data[i].validation,
            own,
            jax.random.key(SEEDS[i]),
            progress=False,
        )
        for name in ("train_loss", "learning_rate"):
            np.testing.assert_allclose(
                [getattr(record, name) for record in histories[i].epochs],
                [getattr(record, name) for record in expected.epochs],
                rtol=1e-3,
            )


def test_each_epoch_is_told_with_a_record_of_each_seed(trained):
    _, histories, _, _, told = trained
    assert [records[0].epoch for records in told] == [1, 2, 3]
    for i, history in enumerate(histories):
        assert history.epochs == tuple(records[i] for records in told)


@pytest.mark.parametrize("way", WAYS)
def test_a_seed_that_diverges_leaves_the_others_alone(data, way):
    class Fragile(nnx.Module):
        """Softmax regression whose weights may start as NaN."""

        def __init__(self, start):
            self.linear = nnx.Linear(784, 10, rngs=nnx.Rngs(0))
            self.linear.bias[...] += start

        def __call__(self, images):
            return self.linear(images.reshape(len(images), -1))

    models = [Fragile(start) for start in (0.0, np.nan, 0.0)]
    with WAYS[way]():
        histories = together(models, data, TrainConfig(epochs=1, batch_size=50))
    losses = [history.epochs[-1].train_loss for history in histories]
    assert np.isnan(losses[1])
    assert np.isfinite(losses[0])
    assert np.isfinite(losses[2])


def test_bad_input_gets_a_sentence(data):
    models = build(ModelConfig())
    keys = [jax.random.key(seed) for seed in SEEDS]
    train, validation = [d.train for d in data], [d.validation for d in data]
    with pytest.raises(InputError, match=r"`len\(models\)` must be .* but is 0"):
        fit_seeds([], [], [], CONFIG, [])
    with pytest.raises(InputError, match="`keys` must have an entry for each of the 3"):
        fit_seeds(models, train, validation, CONFIG, keys[:2])
    short = [*train[:2], Images(train[2].pixels[:9], train[2].labels[:9])]
    with pytest.raises(InputError, match=r"`train` must have as many .* 220, 9\]"):
        fit_seeds(models, short, validation, CONFIG, keys)
    with pytest.raises(InputError, match="`rate_factors` must have an entry for each"):
        fit_seeds(models, train, validation, CONFIG, keys, rate_factors=[1.0])
    with pytest.raises(InputError, match="`directory` must name the run to resume"):
        fit_seeds(models, train, validation, CONFIG, keys, resume=True)


def test_each_seed_ends_where_its_patience_ends(data):
    config = dataclasses.replace(CONFIG, epochs=12, patience=2, learning_rate=0.05)
    models, alone = build(ModelConfig()), build(ModelConfig())
    histories = together(models, data, config)
    expected = [
        fit(m, d.train, d.validation, config, jax.random.key(seed), progress=False)
        for m, d, seed in zip(alone, data, SEEDS, strict=True)
    ]
    lengths = [len(history.epochs) for history in histories]
    assert lengths == [len(history.epochs) for history in expected]
    assert len(set(lengths)) > 1, lengths
    assert [h.best_epoch for h in histories] == [h.best_epoch for h in expected]
    for model, other in zip(models, alone, strict=True):
        np.testing.assert_allclose(
            model.head.kernel[...], other.head.kernel[...], atol=1e-4
        )


def test_seeds_that_were_stopped_go_on_as_if_they_had_not_been(data, tmp_path):
    class Stopped(Exception):  # noqa: N818 - an event
        pass

    def stop(records):
        if records[0].epoch == 2:
            raise Stopped

    network = NETWORKS["dropout"]
    whole, models = build(network), build(network)
    expected = together(whole, data)
    tmp_path = tmp_path / "made" / "by it"
    with pytest.raises(Stopped):
        together(models, data, directory=tmp_path, on_epoch=stop)
    models = build(network)
    with pytest.raises(InputError, match="already holds a run, and nothing is over"):
        together(models, data, directory=tmp_path)
    told = []
    histories = together(
        models, data, directory=tmp_path, resume=True, on_epoch=told.append
    )
    assert [records[0].epoch for records in told] == [3]
    for history, other in zip(histories, expected, strict=True):
        losses = [[r.train_loss for r in h.epochs] for h in (history, other)]
        assert losses[0] == losses[1]
    for model, other in zip(models, whole, strict=True):
        for a, b in zip(
            *(jax.tree.leaves(nnx.state(m, nnx.Param)) for m in (model, other)),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(InputError, match=r"rate_factors is .* there and"):
        together(
            build(network),
            data,
            directory=tmp_path,
            resume=True,
            rate_factors=[1.0, 2.0, 1.0],
        )
