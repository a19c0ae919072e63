"""A person's own Flax model with its circuits on other devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest
from flax import nnx

from qfm_jax import Target, logits_on
from qfm_jax._checks import InputError
from qfm_jax.circuits import build_circuit
from qfm_jax.models import QuantumLayer

IMAGES = np.random.default_rng(0).uniform(size=(4, 8, 9)).astype(np.float32)


@qml.qnode(qml.device("qfm.statevector", wires=3))
def qnode(inputs, turns, shift):
    qml.AngleEmbedding(inputs, range(3))
    qml.StronglyEntanglingLayers(turns, range(3))
    qml.RX(shift, 0)
    return [qml.expval(qml.Z(i)) for i in range(3)]


class Mine(nnx.Module):
    """A QNode whose results are the angles of another circuit; dropout between."""

    def __init__(self, rngs):
        shapes = {"turns": (1, 3, 3), "shift": ()}
        self.reduce = nnx.Linear(72, 3, rngs=rngs)
        self.first = QuantumLayer(qnode, shapes, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        declared = build_circuit("angle", "real-amplitudes", 3, n_layers=1)
        self.second = QuantumLayer(declared, rngs=rngs)
        self.head = nnx.Linear(3, 4, rngs=rngs)

    def __call__(self, images):
        features = self.reduce(images.reshape(len(images), -1))
        return self.head(self.second(self.drop(self.first(features))))


@pytest.fixture(scope="module")
def exact():
    model = Mine(nnx.Rngs(0))
    model.eval()
    return model(IMAGES)


@pytest.mark.parametrize("device", ["aer", "default.qubit", "lightning.qubit"])
def test_exact_devices_give_what_the_simulator_gives(exact, device):
    found = logits_on(Target(device), Mine(nnx.Rngs(0)), IMAGES)
    np.testing.assert_allclose(found, exact, atol=1e-4)


def test_shots_scatter_about_the_exact_results_and_repeat(exact):
    model = Mine(nnx.Rngs(0))
    found = [
        logits_on(Target("aer", shots=4096, seed=s), model, IMAGES) for s in (1, 1, 2)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 1e-4
    assert 1e-4 < np.abs(found[0] - exact).max() < 0.2


def test_what_cannot_run_elsewhere():
    model = Mine(nnx.Rngs(0))
    with pytest.raises(InputError, match="be a simulator or a fake backend"):
        logits_on(Target("ibm:ibm_torino", shots=10), model, IMAGES)
    linear = nnx.Sequential(lambda x: x.reshape(len(x), -1))
    with pytest.raises(InputError, match="`model` must call a QuantumLayer"):
        logits_on(Target("aer"), linear, IMAGES)
    with pytest.raises(InputError, match="Pass at least one image"):
        logits_on(Target("aer"), model, IMAGES[:0])
    jitted = nnx.Sequential(jax.jit(lambda x: model(jnp.asarray(x))))
    with pytest.raises(InputError, match="outside of `jit`"):
        logits_on(Target("aer"), jitted, IMAGES)
