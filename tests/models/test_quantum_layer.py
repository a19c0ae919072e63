"""The NNX layer: batch axes, transformations, QNodes of users, and its errors."""

import copy
import pickle
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import psutil
import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.circuits import (
    AmplitudeEmbedding,
    AngleEmbedding,
    Circuit,
    RealAmplitudes,
    build_circuit,
)
from qfm_jax.devices import DeviceConfig
from qfm_jax.models import QuantumLayer, count_parameters
from qfm_jax.models.quantum_layer import QuantumParam

CIRCUIT = Circuit(AngleEmbedding(3), RealAmplitudes(3, 1))
RNG = np.random.default_rng(7)
# As many samples as features and wires, so that a mistaken axis changes no shape.
FEATURES = RNG.uniform(-2, 2, (3, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def layer():
    return QuantumLayer(CIRCUIT, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def expected(layer):
    """The expectations of each of FEATURES, from PennyLane alone."""
    weights = np.asarray(layer.weights["weights"][...], np.float64)
    qnode = qml.QNode(CIRCUIT, qml.device("reference.qubit", wires=3))
    return np.array([qnode(sample.astype(np.float64), weights) for sample in FEATURES])


@nnx.jit
def apply(layer, features):
    return layer(features)


def test_its_weights_are_quantum_parameters(layer):
    (weights,) = layer.weights.values()
    assert isinstance(weights, QuantumParam)
    assert weights.shape == CIRCUIT.weights_shape
    assert weights.dtype == jnp.float32
    assert count_parameters(layer) == (6, 0)


@pytest.mark.parametrize("batch_shape", [(3,), (3, 1), (1, 1, 3)])
def test_leading_axes_are_mapped(layer, expected, batch_shape):
    actual = layer(FEATURES.reshape(*batch_shape, 3))
    assert actual.shape == (*batch_shape, 3)
    np.testing.assert_allclose(actual.reshape(3, 3), expected, atol=1e-5)


def test_one_sample_needs_no_batch_axis(layer, expected):
    actual = layer(FEATURES[1])
    np.testing.assert_allclose(actual, expected[1], atol=1e-5)


@pytest.mark.parametrize("device", ["qfm.statevector", "default.qubit"])
def test_no_samples_give_no_results(device):
    layer = QuantumLayer(CIRCUIT, device=device, rngs=nnx.Rngs(0))
    assert jax.eval_shape(layer, jnp.zeros((2, 0, 3))).shape == (2, 0, 3)


def test_layers_that_are_alike_are_one_program_unless_outcomes_are_drawn():
    def made(device, circuit=CIRCUIT):
        return QuantumLayer(circuit, device=device, rngs=nnx.Rngs(0))

    assert nnx.graphdef(made(None)) == nnx.graphdef(made(None))
    other = Circuit(AngleEmbedding(3), RealAmplitudes(3, 2))
    assert made(None).function is not made(None, other).function
    sampled = DeviceConfig(shots=10, seed=1)
    assert made(sampled).function is not made(sampled).function


def test_it_works_inside_jit(layer, expected):
    np.testing.assert_allclose(apply(layer, FEATURES), expected, atol=1e-5)


def test_its_gradients_are_finite_differences(layer):
    cotangent = RNG.normal(size=(3, 3)).astype(np.float32)

    @nnx.jit
    def gradients(layer, features):
        def loss(layer, features):
            return jnp.sum(cotangent * layer(features) ** 2)

        return nnx.grad(loss, argnums=(0, 1))(layer, features)

    of_weights, of_features = gradients(layer, FEATURES)
    weights = np.asarray(layer.weights["weights"][...], np.float64)
    qnode = qml.QNode(CIRCUIT, qml.device("reference.qubit", wires=3))

    def loss(features, weights):
        results = [qnode(sample, weights) for sample in features.reshape(3, 3)]
        return np.sum(cotangent * np.array(results) ** 2)

    # One direction for the weights and one for the features, in double precision.
    step = 1e-5
    for gradient, point, function in [
        (of_weights["weights"]["weights"][...], weights, lambda w: loss(FEATURES, w)),
        (of_features, FEATURES.astype(float), lambda x: loss(x, weights)),
    ]:
        for _ in range(3):
            way = RNG.normal(size=point.shape)
            slope = function(point + step * way) - function(point - step * way)
            actual = np.sum(way * np.asarray(gradient, np.float64))
            assert actual == pytest.approx(slope / (2 * step), abs=1e-4)


def test_an_ensemble_is_a_loop_over_its_members():
    keys = jax.random.split(jax.random.key(3), 2)
    create = nnx.vmap(lambda key: QuantumLayer(CIRCUIT, rngs=nnx.Rngs(key)))
    ensemble = create(keys)
    stacked = ensemble.weights["weights"][...]
    assert stacked.shape == (2, *CIRCUIT.weights_shape)

    run = nnx.jit(nnx.vmap(apply, in_axes=(0, None)))
    actual = run(ensemble, FEATURES)
    assert actual.shape == (2, 3, 3)
    for key, weights, results in zip(keys, stacked, actual, strict=True):
        member = QuantumLayer(CIRCUIT, rngs=nnx.Rngs(key))
        np.testing.assert_array_equal(member.weights["weights"][...], weights)
        qnode = qml.QNode(CIRCUIT, qml.device("reference.qubit", wires=3))
        expected = [qnode(sample, np.asarray(weights)) for sample in FEATURES]
        np.testing.assert_allclose(results, expected, atol=1e-5)
    assert np.any(actual[0] != actual[1])


@pytest.mark.parametrize(
    "device",
    ["lightning.qubit", DeviceConfig("lightning.qubit", diff_method="adjoint")],
    ids=["name", "config"],
)
def test_the_device_may_be_a_name_or_a_config(layer, expected, device):
    other = QuantumLayer(CIRCUIT, device=device, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(other(FEATURES), expected, atol=1e-5)


# Written for one sample: with a batch axis, `inputs[0]` would be the first sample.
@qml.qnode(qml.device("default.qubit", wires=3))
def user_qnode(angles, inputs, scale, phase, mixing):
    qml.RX(scale * inputs[0], 0)
    qml.RX(inputs[1] + phase, 1)
    qml.RY(inputs[2] * inputs[0], 2)
    for wire in range(3):
        qml.RY(angles[wire], wire)
    qml.CRX(mixing[0, 1], [0, 1])
    qml.CRX(mixing[1, 0], [1, 2])
    return qml.probs(wires=[0, 1]), qml.expval(qml.Z(2)), qml.var(qml.Y(1))


USER_SHAPES = {"mixing": (2, 2), "angles": 3, "scale": 1, "phase": ()}


@pytest.fixture(scope="module")
def user_layer():
    return QuantumLayer(user_qnode, USER_SHAPES, rngs=nnx.Rngs(2))


def test_weight_shapes_mean_what_they_mean_in_torch_layer(user_layer):
    shapes = {name: weight.shape for name, weight in user_layer.weights.items()}
    assert shapes == {"mixing": (2, 2), "angles": (3,), "scale": (), "phase": ()}
    assert count_parameters(user_layer) == (4 + 3 + 1 + 1, 0)


def test_a_users_qnode_gives_all_its_results_for_each_sample(user_layer):
    # TorchLayer passes `inputs` and every weight by name and stacks the results.
    weights = {
        name: np.asarray(weight[...]) for name, weight in user_layer.weights.items()
    }
    expected = [np.hstack(user_qnode(inputs=sample, **weights)) for sample in FEATURES]
    actual = user_layer(FEATURES)
    assert actual.shape == (3, 4 + 1 + 1)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def any_names(inputs, **weights):
    qml.RX(inputs[0], 0)
    qml.RY(weights["theta"], 0)
    return qml.expval(qml.Z(0))


def test_a_qnode_may_take_weights_of_any_name():
    qnode = qml.QNode(any_names, qml.device("lightning.qubit", wires=1))
    layer = QuantumLayer(qnode, {"theta": ()}, rngs=nnx.Rngs(0))
    theta = float(layer.weights["theta"][...])
    expected = np.cos(FEATURES[:, :1]) * np.cos(theta)
    np.testing.assert_allclose(layer(FEATURES[:, :1]), expected, atol=1e-5)
    with pytest.raises(InputError, match=r"`weight_shapes` must give a shape .*inputs"):
        QuantumLayer(qnode, {"theta": (), "inputs": 1}, rngs=nnx.Rngs(0))


def initial_weights(init_method):
    layer = QuantumLayer(
        user_qnode, USER_SHAPES, init_method=init_method, rngs=nnx.Rngs(0)
    )
    return {name: np.asarray(weight[...]) for name, weight in layer.weights.items()}


def test_weights_start_uniform_in_a_full_turn():
    deep = Circuit(AngleEmbedding(10), RealAmplitudes(10, 199))
    layer = QuantumLayer(deep, rngs=nnx.Rngs(0))
    weights = np.asarray(layer.weights["weights"][...])
    counts, _ = np.histogram(weights, bins=10, range=(0, 2 * np.pi))
    assert counts.sum() == 2000  # none outside
    assert np.all(np.abs(counts - 200) < 5 * np.sqrt(200))
    other = QuantumLayer(deep, rngs=nnx.Rngs(1)).weights["weights"][...]
    assert np.any(other != weights)


def test_one_initializer_serves_all_weights():
    for weight in initial_weights(nnx.initializers.constant(0.5)).values():
        np.testing.assert_array_equal(weight, 0.5)


def test_each_weight_may_have_its_own_initializer():
    constants = {"phase": 1.0, "scale": 2.0, "angles": 3.0, "mixing": 4.0}
    init = {name: nnx.initializers.constant(c) for name, c in constants.items()}
    for name, weight in initial_weights(init).items():
        np.testing.assert_array_equal(weight, constants[name])


def test_an_initializer_must_be_there_for_each_weight():
    ones = nnx.initializers.ones
    with pytest.raises(
        InputError, match=r"`init_method` must .*\['angles', .* \['phi'"
    ):
        initial_weights({"phi": ones})


def no_inputs(x, theta):
    return qml.expval(qml.Z(0))


@pytest.mark.parametrize(
    ("circuit", "arguments", "message"),
    [
        (
            CIRCUIT,
            {"weight_shapes": {"weights": (2, 3)}},
            "`weight_shapes` must be left out for a circuit, .* but is {'weights'",
        ),
        (
            CIRCUIT,
            {"device": "lightning"},
            "`device` must be one of .*'lightning.qubit'",
        ),
        (
            CIRCUIT,
            {"init_method": {}},
            r"`init_method` must be one .* each of \['weights'\], but names \[\]",
        ),
        (
            qml.QNode(no_inputs, qml.device("default.qubit")),
            {"weight_shapes": {"theta": 1}},
            r"argument named `inputs`, but has the arguments \['x', 'theta'\]. Rename",
        ),
        (
            user_qnode,
            {},
            r"`weight_shapes` must .*\['angles', 'scale', 'phase', 'mixing'\], .* \[\]",
        ),
        (
            user_qnode,
            {"weight_shapes": USER_SHAPES | {"theta": 2}},
            "`weight_shapes` must give a shape for each .* but has .*'theta'",
        ),
        (
            user_qnode,
            {"weight_shapes": USER_SHAPES | {"inputs": 3}},
            "`weight_shapes` must give a shape for each .* but has .*'inputs'",
        ),
        (
            user_qnode,
            {"weight_shapes": USER_SHAPES | {"angles": 0}},
            r"`weight_shapes\['angles'\]` must be .* at least 1, but is 0",
        ),
        (
            user_qnode,
            {"weight_shapes": USER_SHAPES | {"mixing": (2, -1)}},
            r"`weight_shapes\['mixing'\]` must be .* at least 1, but is -1",
        ),
        (
            user_qnode,
            {"weight_shapes": USER_SHAPES, "device": "default.qubit"},
            "`config` must be left out for a QNode",
        ),
    ],
)
def test_bad_arguments_get_a_sentence(circuit, arguments, message):
    with pytest.raises(InputError, match=message):
        QuantumLayer(circuit, **arguments, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("shape", [(2,), (4, 2), (5, 3, 4)])
def test_features_of_another_length_are_refused(layer, shape):
    expected = ", ".join(str(n) for n in (*shape[:-1], 3))
    with pytest.raises(InputError, match=rf"`features` must have shape \({expected}"):
        layer(jnp.zeros(shape))


@pytest.mark.parametrize("shape", [(), (0,), (4, 0)])
def test_features_need_a_last_axis(layer, user_layer, shape):
    for each in (layer, user_layer):
        with pytest.raises(InputError, match="`features` must have a last axis"):
            each(jnp.zeros(shape))


def test_zeros_under_amplitude_embedding_give_no_nan():
    # Inside a jitted layer values cannot be checked; data are checked before.
    circuit = Circuit(AmplitudeEmbedding(3), RealAmplitudes(3, 1))
    layer = QuantumLayer(circuit, device="lightning.qubit", rngs=nnx.Rngs(0))
    assert np.all(np.isfinite(layer(jnp.zeros((2, 8)))))


def set_free_memory(monkeypatch, n_bytes):
    memory = SimpleNamespace(available=n_bytes)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


def test_states_beyond_the_memory_are_refused_before_they_are_made(monkeypatch):
    whole_batch, on_host = (
        QuantumLayer(CIRCUIT, device=device, rngs=nnx.Rngs(0))
        for device in ("default.qubit", "lightning.qubit")
    )
    set_free_memory(monkeypatch, 2**3 * 2 * 3 * 8 - 1)
    message = r"`n_qubits` must .* 2\^3 amplitudes x 6 circuits x 8 bytes"
    with pytest.raises(InputError, match=message):
        whole_batch(jnp.zeros((2, 3, 3)))
    assert jax.eval_shape(whole_batch, jnp.zeros((5, 3))).shape == (5, 3)
    # Behind a host callback one circuit runs at a time.
    assert jax.eval_shape(on_host, jnp.zeros((2, 3, 3))).shape == (2, 3, 3)


def test_a_circuit_beyond_the_memory_is_refused_when_the_layer_is_made(monkeypatch):
    set_free_memory(monkeypatch, 2**3 * 8 - 1)
    with pytest.raises(InputError, match=r"`n_qubits` must .* 2\^3 amplitudes x 1 "):
        QuantumLayer(CIRCUIT, rngs=nnx.Rngs(0))


NAMES = ("items", "keys", "get", "pop", "update", "values", "params", "rngs", "train")
NAMES += ("set_view", "deterministic", "use_running_average", "name", "function")


def rotations(**weights):
    """RX of the input, then RY of each weight: <Z> = cos(input) cos(sum)."""
    qml.RX(weights["inputs"][0], 0)
    for name in NAMES:
        qml.RY(weights[name], 0)
    return qml.expval(qml.Z(0))


def test_a_weight_may_be_named_like_any_method():
    arguments = ", ".join(("inputs", *NAMES))
    scope = {"rotations": rotations}
    code = f"def circuit({arguments}):\n    return rotations(**locals())"
    exec(code, scope)
    qnode = qml.QNode(scope["circuit"], qml.device("default.qubit", wires=1))
    shapes = dict.fromkeys(NAMES, ())
    layer = QuantumLayer(qnode, shapes, rngs=nnx.Rngs(0))
    layer.eval()
    layer.train()
    angles = {name: float(layer.weights[name][...]) for name in NAMES}
    assert 0 < min(angles.values()) < max(angles.values()) < 2 * np.pi
    x = FEATURES[:, :1]
    expected = np.cos(x) * np.cos(sum(angles.values()))
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)
    view = nnx.view(layer, deterministic=True, raise_if_not_found=False)
    np.testing.assert_allclose(nnx.jit(lambda m: m(x))(view), expected, atol=1e-5)
    slopes = nnx.grad(lambda layer: layer(x).sum())(layer)
    assert set(slopes["weights"]) == set(NAMES)
    slope = -(np.cos(x) * np.sin(sum(angles.values()))).sum()
    np.testing.assert_allclose(jax.tree.leaves(slopes), slope, atol=1e-5)


@pytest.mark.parametrize("layers", ["efficient-su2", "strongly-entangling"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_double_precision_takes_weights_of_single_precision(layers, dtype):
    """Layers start in float32, whatever JAX's switch says and the features are."""
    circuit = build_circuit("angle", layers, 3, n_layers=2)
    features = np.linspace(0.1, 2.0, 12, dtype=dtype).reshape(4, 3)

    def gradient():
        layer = QuantumLayer(circuit, rngs=nnx.Rngs(0))
        return nnx.grad(lambda own: own(jnp.asarray(features)).sum())(layer)

    single = jax.tree.leaves(gradient())
    with jax.enable_x64(True):
        double = jax.tree.leaves(gradient())
    np.testing.assert_allclose(double[0], single[0], atol=1e-5)


@qml.qnode(qml.device("qfm.statevector", wires=3))
def decorated(inputs, turns):
    qml.AngleEmbedding(inputs, range(3))
    qml.StronglyEntanglingLayers(turns, range(3))
    return [qml.expval(qml.Z(i)) for i in range(3)]


class Own(nnx.Module):
    def __init__(self, circuit, **how):
        rngs = nnx.Rngs(0)
        self.reduce = nnx.Linear(4, 3, rngs=rngs)
        self.circuit = QuantumLayer(circuit, rngs=rngs, **how)

    def __call__(self, images):
        return self.circuit(self.reduce(images))


@pytest.mark.parametrize(
    ("circuit", "how"),
    [
        (CIRCUIT, {}),
        (CIRCUIT, {"device": "default.qubit"}),
        (decorated, {"weight_shapes": {"turns": (1, 3, 3)}}),
    ],
)
@pytest.mark.parametrize(
    "again",
    [
        copy.deepcopy,
        nnx.clone,
        lambda model: pickle.loads(pickle.dumps(model)),  # noqa: S301
        lambda model: nnx.merge(*nnx.split(model), copy=True),
    ],
)
def test_a_copy_gives_the_same_and_has_weights_of_its_own(circuit, how, again):
    model = Own(circuit, **how)
    images = RNG.uniform(0, 1, (5, 4)).astype(np.float32)
    before = model(images)
    other = again(model)
    np.testing.assert_array_equal(other(images), before)
    for weight in other.circuit.weights.values():
        weight[...] = weight[...] + 1
    np.testing.assert_array_equal(model(images), before)
    assert np.abs(other(images) - before).max() > 0.01


def test_tabulate_counts_the_angles():
    wide = {"width": 200, "force_terminal": False}
    table = nnx.tabulate(Own(CIRCUIT), jnp.ones((2, 4)), console_kwargs=wide)
    (row,) = [line for line in table.splitlines() if "QuantumLayer" in line]
    assert "6 (24 B)" in row
