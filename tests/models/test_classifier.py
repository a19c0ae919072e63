"""The classifier: its variants, their parameters, and what they do to images."""

import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.devices import DeviceConfig
from qfm_jax.models import Classifier, ModelConfig, QuantumLayer, count_parameters
from qfm_jax.models.prediction import predict_logits
from qfm_jax.models.quantum_layer import QuantumParam
from qfm_jax.runs.presets import MODELS

# Small, since every shape of weights compiles its own initializer.
HYBRID = ModelConfig(
    channels=(2,),
    block="circuit",
    layers="real-amplitudes",
    n_qubits=3,
    n_layers=1,
)
# Compiles faster than default.qubit does.
LIGHTNING = DeviceConfig("lightning.qubit", diff_method="adjoint")
PLAIN = ("linear", "mlp", "cnn-2k", "cnn", "hybrid-cnn")
CONFIGS = {name: MODELS[name].network for name in PLAIN} | {
    "hybrid": dataclasses.replace(HYBRID, channels=(3, 5), hidden=(6, 4)),
    "circuit-on-pixels": ModelConfig(block="circuit", n_qubits=3, n_layers=2),
    "amplitude": dataclasses.replace(HYBRID, embedding="amplitude"),
    "efficient-su2": dataclasses.replace(HYBRID, layers="efficient-su2"),
    "real-amplitudes": HYBRID,
}


def n_weights(config):
    """Angles of the circuit, by the definition of its layers."""
    n, depth = config.n_qubits, config.n_layers
    counts = {
        "strongly-entangling": 3 * n * depth,
        "real-amplitudes": n * (depth + 1),
        "efficient-su2": 2 * n * (depth + 1),
    }
    return counts[config.layers] if config.block == "circuit" else 0


def n_classical(config, height, width, n_classes):
    """Weights and biases of all other layers, added up one after another."""
    c_in, total = 1, 0
    for c_out in config.channels:
        total += (9 * c_in + 1) * c_out
        height, width, c_in = height // 2, width // 2, c_out
    widths = [height * width * c_in, *config.hidden]
    if config.block == "dense":
        widths += [config.n_qubits] * 2
    if config.block == "circuit":
        amplitude = config.embedding == "amplitude"
        widths += [2**config.n_qubits if amplitude else config.n_qubits]
    # Behind a circuit the read-out takes one expectation a qubit.
    last = config.n_qubits if config.block == "circuit" else widths[-1]
    pairs = [*itertools.pairwise(widths), (last, n_classes)]
    return total + sum((n_in + 1) * n_out for n_in, n_out in pairs)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize(
    ("image_shape", "n_classes"), [((28, 28), 10), ((15, 9), 2)], ids=["28x28", "15x9"]
)
def test_every_kind_gives_logits_and_counts_its_parameters(
    config, image_shape, n_classes
):
    @nnx.eval_shape  # traced, never compiled
    def model():
        sizes = {"image_shape": image_shape, "n_classes": n_classes}
        return Classifier(config, **sizes, rngs=nnx.Rngs(0))

    images = jax.ShapeDtypeStruct((4, *image_shape), jnp.float32)
    logits = nnx.eval_shape(lambda model, x: model(x), model, images)
    assert logits.shape == (4, n_classes)
    assert logits.dtype == jnp.float32
    expected = (n_weights(config), n_classical(config, *image_shape, n_classes))
    assert count_parameters(model) == expected


def build(config, device=None, seed=0):
    return Classifier(
        config, image_shape=(9, 8), n_classes=4, device=device, rngs=nnx.Rngs(seed)
    )


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(2).uniform(size=(5, 9, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def hybrid():
    return build(HYBRID, LIGHTNING)


@nnx.jit
def gradient_and_logits(model, images):
    def loss(model):
        logits = model(images)
        return jnp.sum(logits**2), logits

    return nnx.grad(loss, has_aux=True)(model)


@pytest.fixture(scope="module")
def logits(hybrid, images):
    return np.asarray(gradient_and_logits(hybrid, images)[1])


def test_the_logits_of_an_image_do_not_depend_on_the_others(hybrid, logits, images):
    order = [3, 0, 4, 1, 2]
    _, shuffled = gradient_and_logits(hybrid, images[order])
    np.testing.assert_allclose(shuffled, logits[order], atol=1e-5)
    assert np.ptp(logits, axis=0).max() > 1e-3  # and on the image they do


def test_the_device_changes_where_the_circuit_runs_and_nothing_else(
    hybrid, logits, images
):
    assert hybrid.block.device == LIGHTNING
    on_default_qubit = nnx.jit(lambda model, images: model(images))
    np.testing.assert_allclose(
        on_default_qubit(build(HYBRID), images), logits, atol=1e-5
    )


def test_every_parameter_has_a_gradient(hybrid, images):
    gradient, _ = gradient_and_logits(hybrid, images)
    gradients = jax.tree.leaves_with_path(gradient)
    assert len(gradients) == 2 + 2 + 1 + 2  # kernels and biases; one array of angles
    dead = [path for path, leaf in gradients if not np.any(leaf)]
    assert dead == []


def is_circuit(layer):
    return isinstance(layer, QuantumLayer)


def without_circuit(model):
    """The weights of each layer other than the circuit, in order."""
    return [
        nnx.state(layer)
        for layer in [*model.front.layers, model.block, model.head]
        if isinstance(layer, nnx.Module) and not is_circuit(layer)
    ]


def test_the_dense_control_differs_in_its_block_alone(hybrid):
    control = build(dataclasses.replace(HYBRID, block="dense"))
    *front, head = without_circuit(hybrid)
    *control_front, block, control_head = without_circuit(control)
    assert jax.tree.map(jnp.shape, head) == jax.tree.map(jnp.shape, control_head)
    assert {math.prod(leaf.shape) for leaf in jax.tree.leaves(block)} == {3, 9}
    # With one seed, what stands before the block starts with the same values.
    assert len(front) == len(control_front) == 2
    jax.tree.map(np.testing.assert_array_equal, front, control_front)


def test_the_seed_decides_where_training_starts(hybrid):
    def leaves(model):
        return np.concatenate(
            [leaf.ravel() for leaf in jax.tree.leaves(nnx.state(model))]
        )

    np.testing.assert_array_equal(leaves(build(HYBRID)), leaves(hybrid))
    assert np.any(leaves(build(HYBRID, seed=1)) != leaves(hybrid))
    assert nnx.state(hybrid, QuantumParam)  # the circuit's angles are among them


@pytest.mark.parametrize("hidden", [(), (5,), (5, 4)])
@pytest.mark.parametrize("block", ["none", "dense"])
def test_dropout_never_does_nothing(hidden, block):
    """Before each hidden layer, or once behind the convolutions."""
    config = ModelConfig(channels=(2,), hidden=hidden, block=block, dropout=0.5)
    model = build(config)
    drops = [x for x in nnx.iter_modules(model) if isinstance(x[1], nnx.Dropout)]
    assert len(drops) == max(len(hidden), 1)
    images = jax.random.uniform(jax.random.key(0), (3, 9, 8))
    model.train()
    assert jnp.any(model(images) != model(images))
    model.eval()
    np.testing.assert_array_equal(model(images), model(images))


def test_outside_of_training_images_are_mirrored_too():
    config = ModelConfig(channels=(2,), normalized=True, mirrored=True)
    model, plain = build(config), build(dataclasses.replace(config, mirrored=False))
    images = jax.random.uniform(jax.random.key(0), (3, 9, 8))
    expected = []
    for mode in ("train", "eval"):
        for one in (model, plain):
            getattr(one, mode)()
        expected.append(plain(images))
        if mode == "eval":
            expected[-1] = (expected[-1] + plain(images[:, :, ::-1])) / 2
            assert jnp.any(abs(expected[-1] - plain(images)) > 1e-3)
        np.testing.assert_allclose(model(images), expected[-1], rtol=1e-5, atol=1e-6)
    model.train()
    pixels = np.asarray(255 * images, np.uint8)
    found = predict_logits(model, pixels)  # in evaluation mode, whatever the model's
    mirror = predict_logits(model, pixels[:, :, ::-1])
    np.testing.assert_allclose(found, mirror, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"block": "dense", "mirrored": True},
            "`mirrored` must be False where there is a block: .*, but is True",
        ),
        (
            {"block": "dens"},
            "`block` must be one of circuit, dense, .*Did you mean 'dense'",
        ),
        ({"embedding": "angel"}, "`embedding` must be one of .* Did you mean 'angle'"),
        ({"layers": "su2"}, "`layers` must be one of .* but is 'su2'"),
        ({"n_qubits": 0}, "`n_qubits` must be a whole number of at least 1, but is 0"),
        ({"n_layers": -1}, "`n_layers` must be .* but is -1"),
        ({"channels": (8, 0)}, "`channels` must be .* but is 0"),
        ({"dropout": 1.0}, r"`dropout` must lie in \[0, 0.95\], but is 1.0"),
        (
            {"block": "circuit", "features": "pixels", "dropout": 0.1},
            "`dropout` must be 0.0 where the block takes the pixels, but is 0.1",
        ),
        ({"hidden": (2.5,)}, "`hidden` must be a whole number .* but is 2.5"),
    ],
)
def test_a_config_is_checked(changes, message):
    with pytest.raises(InputError, match=message):
        ModelConfig(**changes)


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (
            ModelConfig(),
            {"n_classes": 1},
            "`n_classes` must be .* at least 2, but is 1",
        ),
        (ModelConfig(), {"image_shape": (0, 4)}, "`image_shape` must be .* but is 0"),
        (
            ModelConfig(channels=(2, 4)),
            {"image_shape": (3, 9)},
            r"`channels` must have fewer .*\(2, 4\), and 1 x 4 pixels are left",
        ),
    ],
)
def test_a_classifier_is_checked(config, changes, message):
    with pytest.raises(InputError, match=message):
        Classifier(config, rngs=nnx.Rngs(0), **changes)


@pytest.mark.parametrize("shape", [(9, 8), (2, 8, 9), (2, 9, 8, 1)])
def test_images_of_another_shape_are_refused(hybrid, shape):
    with pytest.raises(InputError, match=r"`images` must have shape \(batch, 9, 8\)"):
        hybrid(jnp.zeros(shape))


MANY = {
    "linear": ModelConfig(),
    "convolutions": ModelConfig(channels=(4, 6), hidden=(5,), mirrored=True),
    "hybrid": ModelConfig(channels=(4,), block="circuit", n_qubits=3, resolution=8),
    "amplitude": ModelConfig(
        block="circuit", features="pixels", embedding="amplitude", n_qubits=6
    ),
    "patches": ModelConfig(block="circuit", patch=2, n_qubits=4, channels=(4,)),
}


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("shape", [(8, 10), (30, 26, 3), (64, 64, 3)])
def test_images_of_any_size_and_colour(name, shape):
    model = Classifier(MANY[name], image_shape=shape, n_classes=3, rngs=nnx.Rngs(0))
    images = np.random.default_rng(0).uniform(size=(2, *shape)).astype(np.float32)
    logits = model(images)
    assert logits.shape == (2, 3)
    gradient = jax.grad(lambda x: model(x)[0, 0])(images)
    assert np.abs(gradient[0]).max() > 0
    assert np.abs(gradient[1]).max() == 0
    if len(shape) == 3 and name in ("amplitude", "patches"):
        grey = np.repeat(images.mean(-1, keepdims=True), 3, -1)
        np.testing.assert_allclose(model(grey), logits, atol=1e-5)
    elif len(shape) == 3:  # each colour counts by itself
        assert np.abs(model(images[..., ::-1]) - logits).max() > 1e-4


def test_mirrored_models_do_not_mirror_colours():
    model = Classifier(
        MANY["convolutions"], image_shape=(8, 9, 3), n_classes=3, rngs=nnx.Rngs(0)
    )
    model.eval()
    images = np.random.default_rng(1).uniform(size=(2, 8, 9, 3)).astype(np.float32)
    np.testing.assert_allclose(model(images), model(images[:, :, ::-1]), atol=1e-5)


@pytest.mark.parametrize("shape", [(28,), (28, 28, 1), (28, 28, 4), (3, 28, 28)])
def test_shapes_that_no_image_has(shape):
    with pytest.raises(InputError, match=r"`image_shape` must be .height, width"):
        Classifier(ModelConfig(), image_shape=shape, rngs=nnx.Rngs(0))
