"""A model follows what its circuit declares; the name of a circuit says nothing."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.audit.controls import possible_controls
from qfm_jax.circuits import (
    CIRCUITS,
    EMBEDDINGS,
    LAYERS,
    AmplitudeEmbedding,
    AngleEmbedding,
    Angles,
    Bits,
    Circuit,
    Normal,
    QNodeCircuit,
    RealAmplitudes,
    Uniform,
)
from qfm_jax.data import load_dataset
from qfm_jax.models import Classifier, ModelConfig, QuantumLayer
from qfm_jax.models.head import Amplified
from qfm_jax.training import TrainConfig, fit

SMALL = ModelConfig(channels=(2,), block="circuit", n_qubits=3, n_layers=2)
PURE = ModelConfig(block="circuit", features="pixels", n_qubits=3, n_layers=2)
WHOLE = {"embedding": None, "layers": None}
RENAMED = {
    "angle": (SMALL, {"embedding": "my-angle"}),
    "zz": (dataclasses.replace(SMALL, embedding="zz"), {"embedding": "my-zz"}),
    "layers": (SMALL, {"layers": "my-layers"}),
    "reuploading": (
        dataclasses.replace(SMALL, circuit="reuploading", **WHOLE),
        {"circuit": "my-reuploading"},
    ),
    "hamiltonian": (
        dataclasses.replace(PURE, circuit="hamiltonian", n_qubits=6, **WHOLE),
        {"circuit": "my-hamiltonian"},
    ),
    "pixels": (
        dataclasses.replace(PURE, circuit="pixel-reuploading", **WHOLE),
        {"circuit": "my-pixel-reuploading"},
    ),
}


@pytest.fixture
def renamed(monkeypatch):
    """The same classes under names of a user's own."""
    for name in ("angle", "zz"):
        monkeypatch.setitem(EMBEDDINGS, f"my-{name}", EMBEDDINGS[name])
    monkeypatch.setitem(LAYERS, "my-layers", LAYERS["strongly-entangling"])
    for name, builder in dict(CIRCUITS).items():
        monkeypatch.setitem(CIRCUITS, f"my-{name}", builder)


def trained(config, data):
    """The bits of a model: at its start, what it says, and after an epoch."""
    model = Classifier(config, rngs=nnx.Rngs(2))
    images = jnp.asarray(np.random.default_rng(0).uniform(size=(8, 28, 28)))
    seen = [model(images), model.features(images)]
    before = jax.tree.leaves(nnx.state(model, nnx.Param))
    training = TrainConfig(epochs=1, batch_size=50)
    key = jax.random.key(1)
    fit(model, data.train, data.validation, training, key, progress=False)
    after = jax.tree.leaves(nnx.state(model, nnx.Param))
    return [np.asarray(array) for array in (*seen, *before, *after)]


@pytest.fixture(scope="module")
def few():
    """Two hundred images to train on."""
    return load_dataset("digits", train_size=200)


@pytest.mark.usefixtures("renamed")
@pytest.mark.parametrize("name", RENAMED)
def test_the_same_class_under_a_new_name_gives_the_same_bits(name, few):
    config, names = RENAMED[name]
    own = dataclasses.replace(config, **names)
    for one, other in zip(trained(config, few), trained(own, few), strict=True):
        np.testing.assert_array_equal(one, other)


def start(config):
    model = Classifier(config, rngs=nnx.Rngs(2))
    images = jnp.asarray(np.random.default_rng(0).uniform(size=(3, 28, 28)))
    return [*jax.tree.leaves(nnx.state(model)), model(images)]


@pytest.mark.usefixtures("renamed")
@pytest.mark.parametrize("name", RENAMED)
def test_and_so_do_its_controls(name):
    config, names = RENAMED[name]
    ours, impossible = possible_controls(config)
    theirs, impossible_too = possible_controls(dataclasses.replace(config, **names))
    assert (len(ours), impossible) == (len(theirs), impossible_too)
    for one, other in zip(ours, theirs, strict=True):
        assert one.name == other.name
        for ours_, theirs_ in zip(
            start(one.network), start(other.network), strict=True
        ):
            np.testing.assert_array_equal(ours_, theirs_, err_msg=one.name)


@dataclasses.dataclass(frozen=True)
class Turns:
    """RX of every feature and RZ of every weight."""

    n_qubits: int
    n_layers: int
    takes: object
    weights_start: object = None

    @property
    def n_features(self):
        return self.n_qubits

    @property
    def n_observables(self):
        return self.n_qubits

    @property
    def weights_shape(self):
        return (self.n_layers, self.n_qubits)

    def __call__(self, inputs, weights):
        for i in range(self.n_qubits):
            if isinstance(self.takes, Bits):
                qml.BasisEmbedding(inputs[..., i : i + 1], wires=[i])
            else:
                qml.RX(inputs[..., i], wires=i)
            for layer in range(self.n_layers):
                qml.RY(weights[..., layer, i], wires=i)
        return [qml.expval(qml.Z(i)) for i in range(self.n_qubits)]


@pytest.fixture
def turns(monkeypatch):
    """Registers `Turns` of a declaration."""

    def register(**declared):
        builder = functools.partial(Turns, **declared)
        monkeypatch.setitem(CIRCUITS, "turns", builder)

    return register


IMAGES = np.random.default_rng(1).uniform(size=(20, 8, 8)).astype(np.float32)


def model_of(**changes):
    given = {"block": "circuit", "circuit": "turns", "n_layers": 1} | changes
    config = ModelConfig(**given)
    return Classifier(config, image_shape=(8, 8), n_classes=3, rngs=nnx.Rngs(0))


def test_a_trained_layer_is_squashed_to_the_angles_that_are_declared(turns):
    turns(takes=Angles(-1.0, 3.0))
    model = model_of(n_qubits=3, residual=True)
    kernel = model.front.layers[-2].kernel
    kernel[...] = 100 * kernel[...]  # far from the middle
    features = np.asarray(model.features(IMAGES))
    assert features.min() >= -1.0
    assert features.max() <= 3.0
    assert np.ptp(features) > 3.9
    assert model.middle == 1.0
    kernel[...] = 0 * kernel[...]
    np.testing.assert_allclose(model.features(IMAGES), 1.0)
    control = model_of(n_qubits=3, block="dense")
    assert np.abs(control.features(100 * IMAGES)).max() <= 1.0


def test_pixels_are_spread_over_the_angles_that_are_declared(turns):
    turns(takes=Angles(-1.0, 3.0))
    model = model_of(n_qubits=4, features="pixels")
    quarters = IMAGES.reshape(20, 2, 4, 2, 4).mean((2, 4)).reshape(20, 4)
    np.testing.assert_allclose(model.features(IMAGES), 4 * quarters - 1, atol=1e-5)
    assert isinstance(model.head, Amplified)
    patched = model_of(n_qubits=4, patch=2)
    found = patched.features(IMAGES)
    assert found.shape == (20, 4, 4, 4)
    corner = IMAGES[:, :2, :2].reshape(20, 4)
    np.testing.assert_allclose(found[:, 0, 0], 4 * corner - 1, atol=1e-5)


def test_bits_are_bright_pixels(turns, few):
    turns(takes=Bits())
    model = model_of(n_qubits=4, features="pixels")
    quarters = IMAGES.reshape(20, 2, 4, 2, 4).mean((2, 4)).reshape(20, 4)
    bits = model.features(IMAGES)
    np.testing.assert_array_equal(bits, (quarters >= 0.5).astype(np.float32))
    assert 0.2 < np.mean(bits) < 0.8
    model.block.weights["weights"][...] = jnp.zeros((1, 4))
    np.testing.assert_allclose(model.block(bits), 1 - 2 * bits, atol=1e-6)
    config = ModelConfig(
        block="circuit", circuit="turns", features="pixels", n_qubits=4, n_layers=1
    )
    assert all(np.isfinite(array).all() for array in trained(config, few))
    with pytest.raises(InputError, match=r"`features` must be 'pixels' .* bits"):
        model_of(n_qubits=4)
    with pytest.raises(InputError, match=r"that takes angles, .* takes 4: Bits\(\)"):
        model_of(n_qubits=4, patch=2)
    with pytest.raises(InputError, match=r"of a square number .* takes 3"):
        model_of(n_qubits=3, features="pixels")(IMAGES)


def test_a_surrogate_is_there_where_a_frequency_is_declared(turns):
    turns(takes=Angles())
    network = ModelConfig(block="circuit", circuit="turns", n_qubits=3)
    assert (
        "not known to be a Fourier series" in possible_controls(network)[1]["fourier"]
    )
    turns(takes=Angles(frequency=2))
    controls, impossible = possible_controls(network)
    assert "fourier" not in impossible
    model = Classifier(
        next(c.network for c in controls if c.name == "fourier"), rngs=nnx.Rngs(0)
    )
    assert set(np.unique(model.block.frequencies[...])) == {-2, -1, 0, 1, 2}


@pytest.mark.parametrize("spread", [0.1, 0.5])
def test_weights_start_as_declared(turns, spread):
    normal = Normal(mean=((3.0,), (0.0,)), scale=((0.0,), (2.0,)))
    turns(takes=Angles(), weights_start=normal)
    model = model_of(n_qubits=8, n_layers=2, angle_spread=spread, n_circuits=8)
    weights = np.stack([b.weights["weights"][...] for b in model.block.blocks])
    np.testing.assert_array_equal(weights[:, 0], 3.0)
    assert np.std(weights[:, 1]) == pytest.approx(2 * spread, rel=0.35)
    turns(takes=Angles(), weights_start=Uniform(2.0, 2.5))
    weights = model_of(n_qubits=8, angle_spread=spread).block.weights["weights"][...]
    assert 2.0 <= weights.min() < 2.2 < 2.3 < weights.max() <= 2.5


def test_a_layer_of_its_own_starts_as_declared_or_all_around():
    told = Turns(8, 4, Angles(), Normal(mean=1.0))
    weights = QuantumLayer(told, rngs=nnx.Rngs(0)).weights["weights"][...]
    assert np.mean(weights) == pytest.approx(1.0, abs=0.1)
    assert np.std(weights) == pytest.approx(0.1, rel=0.35)
    silent = Turns(8, 4, Angles())
    weights = QuantumLayer(silent, rngs=nnx.Rngs(0)).weights["weights"][...]
    assert weights.max() > 5
    circuit = Circuit(AngleEmbedding(8), RealAmplitudes(8, 3))
    assert QuantumLayer(circuit, rngs=nnx.Rngs(0)).weights["weights"][...].max() > 5


def test_a_bare_qnode_is_registered_trained_and_has_its_controls(monkeypatch, few):
    def build(n_qubits, n_layers):
        @qml.qnode(qml.device("default.qubit", wires=n_qubits))
        def circuit(inputs, angles, shift):
            qml.AngleEmbedding(inputs, wires=range(n_qubits))
            qml.BasicEntanglerLayers(angles, wires=range(n_qubits))
            qml.RX(shift, wires=0)
            return [qml.expval(qml.Z(wire)) for wire in range(n_qubits)]

        shapes = {"angles": (n_layers, n_qubits), "shift": ()}
        return QNodeCircuit(circuit, shapes, n_features=n_qubits, takes=Angles())

    monkeypatch.setitem(CIRCUITS, "bare", build)
    config = ModelConfig(channels=(2,), block="circuit", circuit="bare", n_qubits=3)
    start, end = (Classifier(config, rngs=nnx.Rngs(2)) for _ in range(2))
    training = TrainConfig(epochs=2, batch_size=20)
    key = jax.random.key(1)
    fit(end, few.train, few.validation, training, key, progress=False)
    moved = start.block.weights["weights"][...] - end.block.weights["weights"][...]
    assert moved.shape == (2 * 3 + 1,)
    assert np.abs(moved).min() > 0
    controls, impossible = possible_controls(config)
    assert {"frozen", "separable", "dense"} <= {c.name for c in controls}
    assert set(impossible) == {"matched", "fourier"}  # seven weights, no frequency


def test_what_a_circuit_takes_decides_where_its_name_does_not(monkeypatch):
    """A name of ours, with amplitudes behind it: nothing is squashed."""
    monkeypatch.setitem(EMBEDDINGS, "angle", AmplitudeEmbedding)
    model = Classifier(SMALL, rngs=nnx.Rngs(0))
    assert model.middle == 0.0
    assert model.front.layers[-1].kernel.shape[1] == 8
    assert math.isclose(Angles().middle, math.pi / 2)
