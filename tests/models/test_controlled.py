"""Controls in the place of the circuits of a person's own model."""

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.circuits import build_circuit
from qfm_jax.models import QuantumLayer, count_parameters
from qfm_jax.models.controlled import with_control

SHAPE = (8, 9)
IMAGES = np.random.default_rng(0).uniform(size=(5, *SHAPE)).astype(np.float32)


@qml.qnode(qml.device("qfm.statevector", wires=3))
def qnode(inputs, turns, shift):
    qml.AngleEmbedding(inputs, range(3))
    qml.StronglyEntanglingLayers(turns, range(3))
    qml.RX(shift, 0)
    return [qml.expval(qml.Z(i)) for i in range(3)]


class Mine(nnx.Module):
    """Two circuits, one in a list; the second gets what the first gives."""

    def __init__(self, rngs):
        shapes = {"turns": (1, 3, 3), "shift": ()}
        self.reduce = nnx.Linear(72, 3, rngs=rngs)
        self.circuit = QuantumLayer(qnode, shapes, rngs=rngs)
        declared = build_circuit("angle", "strongly-entangling", 3, n_layers=2)
        self.others = nnx.List([QuantumLayer(declared, rngs=rngs)])
        self.head = nnx.Linear(3, 4, rngs=rngs)

    def __call__(self, images):
        features = jnp.tanh(self.reduce(images.reshape(len(images), -1)))
        return self.head(self.others[0](self.circuit(features)))


@pytest.fixture(scope="module")
def model():
    return Mine(nnx.Rngs(0))


def rest_of(model):
    parts = (model.reduce, model.head)
    return [np.asarray(w) for part in parts for w in jax.tree.leaves(nnx.state(part))]


def test_frozen_circuits_give_the_same_and_have_no_parameters(model):
    frozen = with_control(model, "frozen", SHAPE, rngs=nnx.Rngs(1))
    np.testing.assert_array_equal(frozen(IMAGES), model(IMAGES))
    assert count_parameters(frozen)[0] == 0
    assert count_parameters(model)[0] == 10 + 18
    gradient = nnx.grad(lambda m: m(IMAGES).sum())(frozen)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_removed_circuits_hand_their_features_on(model):
    removed = with_control(model, "removed", SHAPE, rngs=nnx.Rngs(1))
    features = jnp.tanh(model.reduce(IMAGES.reshape(5, -1)))
    np.testing.assert_allclose(removed(IMAGES), model.head(features), atol=1e-6)


@pytest.mark.parametrize("kind", ["dense", "matched"])
def test_classical_layers_leave_all_else_as_it_is(model, kind):
    before = model(IMAGES)
    other = with_control(model, kind, SHAPE, rngs=nnx.Rngs(1))
    for one, same in zip(rest_of(other), rest_of(model), strict=True):
        np.testing.assert_array_equal(one, same)
    assert other(IMAGES).shape == (5, 4)
    assert count_parameters(other)[0] == 0
    other.head.bias[...] = other.head.bias[...] + 1
    np.testing.assert_array_equal(model(IMAGES), before)


class Narrow(nnx.Module):
    """A declared circuit of amplitudes: eight features, three results."""

    def __init__(self, rngs):
        circuit = build_circuit("amplitude", "strongly-entangling", 3, n_layers=2)
        self.reduce = nnx.Linear(72, 8, rngs=rngs)
        self.circuit = QuantumLayer(circuit, rngs=rngs)

    def __call__(self, images):
        return self.circuit(self.reduce(images.reshape(len(images), -1)))


def test_separable_circuits_stand_where_a_circuit_is_declared():
    model = Narrow(nnx.Rngs(0))
    separable = with_control(model, "separable", SHAPE, rngs=nnx.Rngs(1))
    assert separable(IMAGES).shape == (5, 3)
    assert count_parameters(separable) == count_parameters(model)


class Unused(Narrow):
    def __call__(self, images):
        return self.reduce(images.reshape(len(images), -1))


@pytest.mark.parametrize(
    ("build", "kind", "sentence"),
    [
        (Mine, "separable", "`kind` must be another one for a QNode"),
        (Mine, "linear", "`kind` must be one of"),
        (Narrow, "removed", "give the 3 numbers .* which gives 8"),
        (Narrow, "fourier", "not known to be a Fourier series"),
        (Unused, "dense", "call each of its QuantumLayers"),
        (lambda rngs: nnx.Linear(9, 2, rngs=rngs), "dense", "have a QuantumLayer"),
    ],
)
def test_what_cannot_stand_there(build, kind, sentence):
    with pytest.raises(InputError, match=sentence):
        with_control(build(nnx.Rngs(0)), kind, SHAPE, rngs=nnx.Rngs(1))
