"""Training against a reference loop in NumPy, and what stops it."""

import dataclasses
import signal
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.data import Images
from qfm_jax.models import Classifier, ModelConfig
from qfm_jax.training import (
    TrainConfig,
    TrainingDiverged,
    TrainingInterrupted,
    description_of,
    fit,
    loop,
)
from qfm_jax.training.checks import few_steps
from qfm_jax.training.config import learning_rate_schedule

MLP = ModelConfig(hidden=(16,))
# Few different programs: each takes two seconds to compile.
PLAIN = {"epochs": 2, "batch_size": 50}
AUGMENTED = {"epochs": 3, "batch_size": 50, "augment": True}


def build(network=ModelConfig(), seed=0):  # noqa: B008 - frozen
    return Classifier(network, rngs=nnx.Rngs(seed))


def train(model, data, seed=0, **options):
    key = jax.random.key(seed)
    config = TrainConfig(**options)
    return fit(model, data.train, data.validation, config, key, progress=False)


def weights_of(model):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))]


def same_weights(one, other):
    pairs = zip(weights_of(one), weights_of(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def figures(history):
    """The records without their times."""
    return [
        {k: v for k, v in vars(r).items() if k not in ("seconds", "images_per_second")}
        for r in history.epochs
    ]


@pytest.fixture(scope="module")
def small(digits):
    """200 training images, so that a step is quick."""
    parts = {"train": digits.train.take(range(200)), "validation": digits.validation}
    return SimpleNamespace(**parts)


@pytest.fixture(scope="module")
def linear(digits):
    """A linear model after its training on all digits, the history and the data."""
    model = build()
    return model, train(model, digits, epochs=7, learning_rate=0.02), digits


class Spy(nnx.Module):
    """Softmax regression that counts its training steps and can be told to fail.

    Args:
        saw: Called with the first pixel of each training image.
        nan_at: Step, from 1, at which the logits become NaN.
    """

    def __init__(self, saw=None, nan_at=-1):
        self.linear = nnx.Linear(784, 10, rngs=nnx.Rngs(0))
        self.steps = nnx.BatchStat(jnp.int32(0))
        self.deterministic = False
        self.saw, self.nan_at = saw, nan_at

    def __call__(self, images):
        logits = self.linear(images.reshape(images.shape[0], -1))
        if self.deterministic:
            return logits
        self.steps[...] += 1
        if self.saw:
            jax.debug.callback(self.saw, images[:, 0, 0], ordered=True)
        return jnp.where(self.steps[...] == self.nan_at, jnp.nan, logits)


def test_linear_model_learns_the_digits(linear):
    model, history, digits = linear
    losses = [record.train_loss for record in history.epochs]
    assert losses[-1] < losses[1] < losses[0]
    images = jnp.asarray(digits.test.pixels) / 255
    logits = np.asarray(model(images))
    assert np.mean(logits.argmax(axis=1) == digits.test.labels) > 0.85


def test_model_is_left_with_the_weights_of_its_best_epoch(linear):
    model, history, digits = linear
    accuracies = [record.validation_accuracy for record in history.epochs]
    assert history.best_epoch < 7, "the last epoch would prove nothing"
    assert history.best_epoch == 1 + int(np.argmax(accuracies))
    logits = np.asarray(model(jnp.asarray(digits.validation.pixels) / 255))
    reached = np.mean(logits.argmax(axis=1) == digits.validation.labels)
    assert reached == history.best.validation_accuracy


def softmax_regression(kernel, bias, images, labels, config):
    """Losses of full-batch training in float64, by the formulas of the papers."""
    x = (images.reshape(len(images), -1) / 255 - 0.286) / 0.353
    targets = np.eye(10)[labels]
    weights = [kernel.astype(float), bias.astype(float)]
    m, v = [[np.zeros_like(w) for w in weights] for _ in range(2)]
    warmup = max(round(config.warmup_fraction * config.epochs), config.epochs // 4)
    losses = []
    for t in range(config.epochs):
        logits = x @ weights[0] + weights[1]
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        losses.append(-np.log(p[np.arange(len(x)), labels]).mean())
        error = (p - targets) / len(x)
        gradient = [x.T @ error, error.sum(axis=0)]
        norm = np.sqrt(sum(np.sum(g**2) for g in gradient))
        if config.clip_norm and norm > config.clip_norm:
            gradient = [g * config.clip_norm / norm for g in gradient]
        progress = (t - warmup) / (config.epochs - warmup)
        cosine = (1 + np.cos(np.pi * progress)) / 2
        rate = config.learning_rate * (t / warmup if t < warmup else cosine)
        decay = config.weight_decay if config.optimizer == "adamw" else 0
        for i, g in enumerate(gradient):
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g**2
            direction = m[i] / (1 - 0.9 ** (t + 1))
            direction /= np.sqrt(v[i] / (1 - 0.999 ** (t + 1))) + 1e-8
            weights[i] = weights[i] - rate * (direction + decay * weights[i])
    return losses


@pytest.mark.parametrize(
    "options",
    [
        {"clip_norm": 0.1},
        {"optimizer": "adamw", "weight_decay": 3.0, "clip_norm": 0.0},
    ],
)
def test_losses_are_those_of_a_reference_loop(small, options):
    # A batch of all images: the order of the shuffle then has no say.
    config = TrainConfig(epochs=6, batch_size=200, warmup_fraction=1 / 3, **options)
    model = build()
    linear = nnx.to_pure_dict(nnx.state(model, nnx.Param))["head"]
    expected = softmax_regression(
        np.asarray(linear["kernel"]),
        np.asarray(linear["bias"]),
        small.train.pixels,
        small.train.labels,
        config,
    )
    key = jax.random.key(0)
    history = fit(model, small.train, small.validation, config, key, progress=False)
    losses = [record.train_loss for record in history.epochs]
    np.testing.assert_allclose(losses, expected, rtol=2e-5)
    assert len(set(np.round(losses, 4))) >= 5  # it moved after the first, idle step


def test_erasing_changes_what_is_trained_on_and_repeats(small):
    options = PLAIN | {"erase": 1.0}
    erased = train(build(MLP), small, **options)
    again = train(build(MLP), small, **options)
    plain = train(build(MLP), small, **PLAIN)
    losses = [[r.train_loss for r in h.epochs] for h in (erased, again, plain)]
    assert losses[0] == losses[1]
    assert min(losses[0]) > min(losses[2]) + 0.01  # half-covered digits are harder


def test_same_seed_same_result_and_another_seed_another(small):
    models = [build(MLP) for _ in range(3)]
    first, again, other = (
        train(model, small, seed, **AUGMENTED)
        for model, seed in zip(models, (0, 0, 1), strict=True)
    )
    assert figures(first) == figures(again) != figures(other)
    assert same_weights(models[0], models[1])
    assert not same_weights(models[0], models[2])
    plain = train(build(MLP), small, **AUGMENTED | {"augment": False})
    assert figures(plain) != figures(first)


def test_a_training_like_an_earlier_one_runs_its_program(small):
    traced = []

    class Traced(Spy):
        def __call__(self, images):
            traced.append((self.deterministic, len(images)))
            return super().__call__(images)

    train(Traced(), small, **PLAIN)
    assert (False, 50) in traced
    before = len(traced)
    train(Traced(), small, seed=1, **PLAIN)
    assert (False, 50) not in traced[before:]
    train(Traced(), small, **PLAIN | {"learning_rate": 0.1})
    assert (False, 50) in traced[before:]


def test_an_epoch_visits_each_image_at_most_once_in_an_order_of_its_own():
    pixels = np.zeros((100, 28, 28), np.uint8)
    pixels[:, 0, 0] = np.arange(100)  # an image's number
    images = Images(pixels, np.arange(100, dtype=np.int32) % 10)
    visits = []
    model = Spy(saw=lambda pixel: visits.append(np.rint(pixel * 255).astype(int)))
    parts = SimpleNamespace(train=images, validation=images.take(range(10)))
    history = train(model, parts, epochs=5, batch_size=32)
    jax.effects_barrier()
    epochs = np.array(visits).reshape(5, 96)
    assert all(len(set(epoch)) == 96 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 5
    assert set(epochs.ravel()) == set(range(100))
    assert [record.step for record in history.epochs] == [3, 6, 9, 12, 15]


def test_record_describes_the_state_after_its_epoch(small):
    model = build()
    history = train(model, small, **PLAIN)
    logits = np.asarray(model(jnp.asarray(small.validation.pixels) / 255), float)
    logits -= logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(logits).sum(axis=1))
    losses -= logits[np.arange(len(logits)), small.validation.labels]
    record = history.best
    assert record.validation_loss == pytest.approx(losses.mean(), rel=1e-5)
    assert record.images_per_second == pytest.approx(200 / record.seconds)
    seconds = [record.seconds for record in history.epochs]
    assert history.seconds_training == sum(seconds) > 0


def test_patience_stops_after_that_many_epochs_without_a_better_one(small):
    history = train(build(), small, epochs=9, patience=2, learning_rate=0.0)
    assert [record.epoch for record in history.epochs] == [1, 2, 3]


def test_few_images_give_smaller_batches_first_and_more_epochs_then():
    config = TrainConfig(epochs=4, batch_size=100, min_steps=24)
    assert config.settled(1_200).batch_size == 100  # 48 steps are enough
    assert config.settled(400).batch_size == 100  # a half of 100 is too small
    wide = dataclasses.replace(config, batch_size=256)
    assert (wide.settled(512).batch_size, wide.settled(512).epochs) == (64, 4)
    assert (wide.settled(130).batch_size, wide.settled(130).epochs) == (65, 12)
    assert wide.settled(1).epochs == wide.n_steps(1) == 24
    assert dataclasses.replace(config, min_steps=10_000).settled(100).epochs == 200


def test_a_training_takes_the_steps_that_its_budget_asks_for(small):
    history = train(build(), small, epochs=1, batch_size=50, min_steps=11)
    assert [record.step for record in history.epochs] == [4, 8, 12]


def test_warm_up_takes_thirty_steps_where_there_are_four_times_as_many():
    config = TrainConfig(learning_rate=1.0)
    rate = learning_rate_schedule(config, 300)
    assert float(rate(15)) == pytest.approx(0.5)
    assert float(rate(30)) == pytest.approx(1.0)
    assert float(learning_rate_schedule(config, 40)(10)) == pytest.approx(1.0)
    assert float(learning_rate_schedule(config, 4_000)(200)) == pytest.approx(1.0)
    at_once = dataclasses.replace(config, warmup_fraction=0.0)
    assert float(learning_rate_schedule(at_once, 300)(0)) == pytest.approx(1.0)


def test_few_steps_are_said_before_they_are_taken(small, capsys):
    config = TrainConfig(epochs=1, batch_size=50)
    fit(build(), small.train, small.validation, config, jax.random.key(0))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Only 4 steps of the optimiser (1 epoch of 4 batches)")
    assert (
        few_steps(dataclasses.replace(config, min_steps=250), len(small.train)) is None
    )


def test_a_circuit_trains(small):
    network = ModelConfig(block="circuit", n_qubits=3, n_layers=1)
    model = build(network)
    circuit_before = weights_of(model)
    history = train(model, small, epochs=30, batch_size=50)
    assert history.epochs[-1].train_loss < history.epochs[0].train_loss / 1.5
    for before, after in zip(circuit_before, weights_of(model), strict=True):
        assert not np.array_equal(before, after)


def test_running_averages_and_dropout_follow_the_mode(small):
    class Network(nnx.Module):
        def __init__(self, rngs):
            self.norm = nnx.BatchNorm(784, rngs=rngs)
            self.dropout = nnx.Dropout(0.5, rngs=rngs)
            self.linear = nnx.Linear(784, 10, rngs=rngs)

        def __call__(self, images):
            x = self.norm(images.reshape(images.shape[0], -1))
            return self.linear(self.dropout(x))

    model = Network(nnx.Rngs(0))
    history = train(model, small, epochs=3, batch_size=50)
    assert np.any(model.norm.mean[...])
    assert model.dropout.rngs.count[...] == 4 * history.best_epoch
    # Evaluation mode: an image's logits do not depend on its batch, nor on chance.
    images = jnp.asarray(small.validation.pixels) / 255
    alone = jnp.concatenate([model(images[i : i + 1]) for i in range(len(images))])
    np.testing.assert_allclose(model(images), alone, rtol=1e-4, atol=1e-5)
    reached = np.mean(np.asarray(alone).argmax(axis=1) == small.validation.labels)
    assert reached == history.best.validation_accuracy


def test_divergence_names_epoch_and_step(small):
    options = {"learning_rate": 1e30, "warmup_fraction": 0.0, "epochs": 2}
    with pytest.raises(TrainingDiverged, match=r"at epoch \d, step \d+\. None was sav"):
        train(build(ModelConfig(hidden=(16, 16))), small, batch_size=20, **options)


def test_divergence_names_the_last_good_checkpoint(small, tmp_path):
    model = Spy(nan_at=6)  # the second of the four steps of epoch 2
    config = TrainConfig(epochs=3, batch_size=50, learning_rate=0.001)
    arguments = (small.train, small.validation, config, jax.random.key(0))
    where = tmp_path / "checkpoints" / "last" / "4"
    sentence = rf"at epoch 2, step 6\. The last good checkpoint is {where}\. Lower the"
    with pytest.raises(TrainingDiverged, match=sentence):
        fit(model, *arguments, directory=tmp_path, progress=False)
    assert where.is_dir()
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1


def test_a_gradient_that_is_not_finite_stops_before_its_weights_are_saved(
    small, tmp_path
):
    class Cusp(Spy):
        def __call__(self, images):
            # Zero, with the derivative 0 * inf: the loss itself stays finite.
            return super().__call__(images) + 0 * jnp.sqrt(0 * self.linear.bias[...])

    config, key = TrainConfig(**PLAIN), jax.random.key(0)
    with pytest.raises(TrainingDiverged, match=r"gradient .* at epoch 1, step 1\."):
        fit(Cusp(), small.train, small.validation, config, key, directory=tmp_path)
    assert not (tmp_path / "checkpoints").exists()


def test_validation_loss_that_is_not_finite_stops_too(small):
    class Overflow(Spy):
        def __call__(self, images):
            logits = super().__call__(images)
            return logits / 0 if self.deterministic else logits

    with pytest.raises(TrainingDiverged, match="at epoch 1, step 4"):
        train(Overflow(), small, **PLAIN)


def interrupt_at(monkeypatch, method, moment):
    """Presses Ctrl-C when the progress bar's `method` is told of step `moment`."""
    original = getattr(loop.TrainingProgress, method)

    def pressed(self, *args, **kwargs):
        step = args[0].step if args else kwargs["step"]
        if step == moment:
            signal.raise_signal(signal.SIGINT)
        original(self, *args, **kwargs)

    monkeypatch.setattr(loop.TrainingProgress, method, pressed)


@pytest.fixture(scope="module")
def uninterrupted(small):
    """What a training needs, the model after it, and its history."""
    config = TrainConfig(**AUGMENTED)
    arguments = (small.train, small.validation, config, jax.random.key(0))
    model = build(MLP)
    return arguments, model, fit(model, *arguments, progress=False)


@pytest.mark.parametrize(
    ("method", "moment"),
    [
        ("advance", 1),  # within an epoch
        ("advance", 5),
        ("finish_epoch", 4),  # while an epoch is completed
        ("finish_epoch", 12),  # and the last one
    ],
)
def test_ctrl_c_saves_and_the_run_goes_on_as_if_it_had_not_come(
    uninterrupted, tmp_path, monkeypatch, method, moment
):
    arguments, whole, expected = uninterrupted
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        interrupt_at(patch, method, moment)
        sentence = rf"checkpoint of step {moment} is saved.*--resume {tmp_path}"
        with pytest.raises(TrainingInterrupted, match=sentence):
            fit(build(MLP), *arguments, directory=tmp_path, progress=False)
    assert signal.getsignal(signal.SIGINT) is handler
    assert (tmp_path / "checkpoints" / "last" / str(moment)).is_dir()
    resumed = build(MLP, seed=1)
    history = fit(resumed, *arguments, directory=tmp_path, resume=True, progress=False)
    assert figures(history) == figures(expected)
    assert same_weights(resumed, whole)


def test_ctrl_c_without_a_directory_says_that_nothing_was_saved(small, monkeypatch):
    interrupt_at(monkeypatch, "advance", 1)
    with pytest.raises(TrainingInterrupted, match="step 1; without a directory noth"):
        train(build(), small, **PLAIN)


def test_second_ctrl_c_stops_at_once(small, monkeypatch):
    interrupt_at(monkeypatch, "advance", 1)
    interrupt_at(monkeypatch, "advance", 1)  # twice before the step is over
    with pytest.raises(KeyboardInterrupt) as raised:
        train(build(), small, **PLAIN)
    assert not isinstance(raised.value, TrainingInterrupted)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"epochs": 0}, "`epochs` must be a whole number of at least 1, but is 0"),
        ({"batch_size": -1}, "`batch_size` must be a whole number of at least 1"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be at least 0, but is"),
        ({"learning_rate": -0.1}, "`learning_rate` must be at least 0, but is -0.1"),
        ({"warmup_fraction": 1.5}, r"`warmup_fraction` must lie in \[0, 1\], but is"),
        ({"optimizer": "adamm"}, "Did you mean 'adam' or 'adamw'"),
        ({"weight_decay": -1}, "`weight_decay` must be at least 0"),
        ({"clip_norm": -1.0}, "`clip_norm` must be at least 0"),
        ({"erase": 1.5}, r"`erase` must lie in \[0, 1\], but is 1.5"),
        ({"patience": -1}, "`patience` must be a whole number of at least 0"),
        ({"checkpoint_seconds": -1}, "`checkpoint_seconds` must be at least 0"),
    ],
)
def test_options_out_of_range(options, sentence):
    with pytest.raises(InputError, match=sentence):
        TrainConfig(**options)


@pytest.mark.parametrize("part", ["train", "validation"])
def test_no_images(small, part):
    parts = vars(small) | {part: small.train.take([])}
    with pytest.raises(InputError, match=f"`{part}` must be a whole number of at leas"):
        train(build(), SimpleNamespace(**parts))


@pytest.mark.parametrize(("part", "label"), [("train", 10), ("validation", -1)])
def test_labels_without_a_class(small, part, label):
    images = getattr(small, part)
    labels = images.labels.copy()
    labels[3] = label
    parts = vars(small) | {part: Images(images.pixels, labels)}
    sentence = rf"`{part}` must have labels in \[0, 9\], but has"
    with pytest.raises(InputError, match=sentence):
        train(build(), SimpleNamespace(**parts))


def test_resume_needs_a_directory(small):
    arguments = (small.train, small.validation, TrainConfig(), jax.random.key(0))
    with pytest.raises(InputError, match="`directory` must name the run to resume"):
        fit(build(), *arguments, resume=True)


def test_description_tells_models_apart():
    def description(model):
        return description_of(model, TrainConfig(), 10, 5)

    assert description(build()) == description(build(seed=1))
    assert description(build()) != description(build(MLP))


@pytest.fixture
def double_precision():
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


class Wide(nnx.Module):
    """Computes in the widest type that there is, and keeps an average in single."""

    def __init__(self):
        self.layer = nnx.Linear(784, 10, rngs=nnx.Rngs(0))
        self.mean = nnx.BatchStat(jnp.float32(0))

    def __call__(self, images):
        wide = images.reshape(-1, 784).astype(jnp.result_type(float))
        self.mean.set_value(wide.mean())
        return self.layer(wide)


def test_training_in_double_precision(double_precision, small, tmp_path):
    options = AUGMENTED | {"erase": 0.5, "clip_norm": 1.0}
    model, config = Wide(), TrainConfig(**options | {"epochs": 2})
    parts, key = (small.train, small.validation), jax.random.key(0)
    history = fit(model, *parts, config, key, directory=tmp_path, progress=False)
    assert [np.isfinite(r.train_loss) for r in history.epochs] == [True, True]
    assert {w.dtype for w in weights_of(model)} == {np.dtype("float32")}
    assert model.mean[...] > 0
    # What was written in double precision is read in single, and the reverse.
    jax.config.update("jax_enable_x64", False)
    again = fit(Wide(), *parts, config, key, directory=tmp_path, resume=True,
                progress=False)  # fmt: skip
    assert figures(again) == figures(history)


def hinge(logits, labels):
    """Crammer and Singer's, by sample."""
    right = jnp.take_along_axis(logits, labels[:, None], 1)
    others = jnp.where(jax.nn.one_hot(labels, logits.shape[1]), -jnp.inf, logits)
    return jnp.maximum(0, 1 + others.max(1) - right[:, 0])


def fit_own(data, **own):
    model = build()
    config = TrainConfig(epochs=2, batch_size=50, clip_norm=0.0)
    parts = data.train, data.validation, config, jax.random.key(3)
    return model, fit(model, *parts, progress=False, **own)


def test_an_own_optimiser_and_loss_are_those_of_a_plain_loop(small):
    momentum = lambda rate: optax.sgd(rate, momentum=0.9)  # noqa: E731
    model, history = fit_own(small, optimizer=momentum, loss=hinge)
    config = TrainConfig(epochs=2, batch_size=50, clip_norm=0.0)
    steps = loop.Steps.of(build(), config, 200)
    plain, key = build(), jax.random.key(3)
    velocity = jax.tree.map(jnp.zeros_like, nnx.state(plain, nnx.Param))
    losses, kept, best = [], [], -1.0
    for epoch in (1, 2):
        order = np.asarray(steps.order(key, epoch))
        for i in range(4):
            rows = order[50 * i : 50 * (i + 1)]
            images = small.train.pixels[rows].astype(np.float32) / 255
            labels = jnp.asarray(small.train.labels[rows], jnp.int32)
            loss_of = lambda m: hinge(m(images), labels).mean()  # noqa: B023, E731
            loss, gradient = nnx.value_and_grad(loss_of)(plain)
            losses.append(float(loss))
            rate = float(steps.schedule(4 * (epoch - 1) + i))
            velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, gradient)
            own = nnx.state(plain, nnx.Param)
            nnx.update(plain, jax.tree.map(lambda w, v: w - rate * v, own, velocity))  # noqa: B023
        images = small.validation.pixels.astype(np.float32) / 255
        logits = plain(images)
        accuracy = float((logits.argmax(1) == small.validation.labels).mean())
        if accuracy >= best:
            best, kept = accuracy, weights_of(plain)
        record = history.epochs[epoch - 1]
        assert record.train_loss == pytest.approx(np.mean(losses[-4:]), rel=1e-5)
        expected = hinge(logits, jnp.asarray(small.validation.labels, jnp.int32)).mean()
        assert record.validation_loss == pytest.approx(float(expected), rel=1e-5)
    for one, other in zip(weights_of(model), kept, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_who_is_told_of_an_epoch_may_stop(small):
    told = []
    _, history = fit_own(small, on_epoch=lambda record: told.append(record) or True)
    assert history.epochs == tuple(told)
    assert len(told) == 1


def test_a_checkpoint_knows_its_own_optimiser_and_loss(small, tmp_path):
    fit_own(small, optimizer=optax.lion, directory=tmp_path)
    _, history = fit_own(small, optimizer=optax.lion, directory=tmp_path, resume=True)
    assert len(history.epochs) == 2
    with pytest.raises(InputError, match="optimizer"):
        fit_own(small, directory=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("own", "sentence"),
    [
        ({"optimizer": optax.adam(1e-3)}, "`optimizer` must be a function from the"),
        ({"optimizer": lambda rate: rate}, "`optimizer` must be a function .* gives"),
        ({"loss": 3}, "`loss` must be a function of logits and labels"),
        ({"loss": lambda a, b: a.mean()}, "`loss` must give a loss for each sample"),
    ],
)
def test_what_is_no_optimiser_or_loss_is_refused(small, own, sentence):
    with pytest.raises(InputError, match=sentence):
        fit_own(small, **own)
