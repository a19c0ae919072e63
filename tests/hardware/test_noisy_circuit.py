"""Noise in JAX, exact and as trajectories, against Aer's density matrices."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest
from flax import nnx
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit_aer import AerSimulator

from qfm_jax import (
    AmplitudeEmbedding,
    AngleEmbedding,
    Circuit,
    DeviceConfig,
    EfficientSU2,
    HamiltonianReuploading,
    InputError,
    QuantumLayer,
    RealAmplitudes,
    StronglyEntanglingLayers,
    TrainConfig,
    UnitaryLayers,
    ZZEmbedding,
    as_jax_function,
    fit,
    predict_logits,
)
from qfm_jax.circuits.qiskit_export import observables_of, to_qiskit
from qfm_jax.circuits.qiskit_gates import PENNYLANE, QiskitGate
from qfm_jax.circuits.rotations import TRANSLATIONS, translated
from qfm_jax.hardware.estimator import estimator_function
from qfm_jax.hardware.noise import noise_model
from qfm_jax.hardware.noisy_circuit import NATIVE, NoisyCircuit
from qfm_jax.hardware.readout import read_out_operator, readout_errors
from qfm_jax.hardware.simulators import simulator_of
from qfm_jax.hardware.trajectories import TrajectoryCircuit
from qfm_jax.models.noisy_layer import NoisyQuantumLayer

WORDS = ("ZII", "IXY", "ZZX")
CIRCUITS = {
    "real": Circuit(AngleEmbedding(3), RealAmplitudes(3, 2), WORDS),
    "su2": Circuit(AngleEmbedding(3, "X"), EfficientSU2(3, 1)),
    "strong": Circuit(AngleEmbedding(3, "Z"), StronglyEntanglingLayers(3, 2), WORDS),
    "zz": Circuit(ZZEmbedding(3), RealAmplitudes(3, 1), WORDS),
}
MIXED = DeviceConfig("default.mixed")


def sample(circuit, seed=0):
    rng = np.random.default_rng(seed)
    inputs = rng.uniform(0, np.pi, circuit.n_features)
    return inputs, rng.uniform(-2, 2, circuit.weights_shape)


def by_aer(circuit, spec, inputs, weights):
    """Expectations (n_observables,) of Aer's density matrix."""
    model = noise_model(spec)
    written = to_qiskit(circuit, inputs, weights)
    run = transpile(written, basis_gates=model.basis_gates, optimization_level=0)
    run.save_density_matrix()
    simulator = AerSimulator(method="density_matrix", noise_model=model)
    state = simulator.run(run).result().data()["density_matrix"]
    errors = readout_errors(model, circuit.n_qubits)
    operators = [read_out_operator(o, errors) for o in observables_of(circuit)]
    return np.array([state.expectation_value(o).real for o in operators])


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("real", "depolarizing:0.05+readout:0.03"),
        ("su2", "depolarizing:0.1+thermal:3,2"),
        ("strong", "thermal:2,3+readout:0.1"),
        ("zz", "depolarizing:0.02"),
    ],
)
def test_density_matrices_agree_with_aer(name, spec):
    circuit = CIRCUITS[name]
    inputs, weights = sample(circuit)
    with jax.enable_x64(True):
        exact = jax.jit(as_jax_function(NoisyCircuit(circuit, spec), MIXED))
        found = np.asarray(exact(inputs, weights))
    assert np.allclose(found, by_aer(circuit, spec, inputs, weights), atol=1e-6)


@dataclass(frozen=True)
class Every:
    """Every gate that noise may follow, or not, with angles that are traced."""

    n_qubits: int = 3
    n_features: int = 2
    weights_shape: tuple[int, ...] = (3,)
    n_observables: int = 3

    def __call__(self, inputs, weights):
        for wire in range(3):
            qml.RY(0.3 + wire, wire)
        for k, (name, gate) in enumerate(PENNYLANE.items()):
            n_wires = get_standard_gate_name_mapping()[name].num_qubits
            n_angles = len(get_standard_gate_name_mapping()[name].params)
            angles = [weights[0] + 0.2 * k, inputs[0] * weights[1], inputs[1]]
            wires = [(k + i) % 3 for i in range(n_wires)][:: -1 if k % 2 else 1]
            gate(*angles[:n_angles], wires=wires)
        qml.ctrl(qml.RY, [0, 2])(weights[2], wires=1)
        qml.MultiRZ(inputs[0], wires=[0, 1, 2])
        qml.CRot(0.1, weights[1], 0.3, wires=[2, 0])
        words = (qml.Z(0), qml.X(0) @ qml.Y(2), qml.Z(1) @ qml.X(2) + 0.5 * qml.Y(1))
        return [qml.expval(word) for word in words]


SPECS = ("depolarizing:0.004+readout:0.05", "depolarizing:0.002+thermal:9,8")


@pytest.fixture
def double_precision():
    # Not by `with`, which holds in this thread alone: callbacks have one of their own.
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.mark.parametrize("spec", SPECS)
def test_one_noise_has_one_answer_by_every_route(spec, double_precision):
    circuit = Every()
    inputs, weights = sample(circuit)
    exact = jax.jit(as_jax_function(NoisyCircuit(circuit, spec), MIXED))
    found = np.asarray(exact(inputs, weights))
    assert np.all(abs(found) > 1e-3)
    ideal = np.asarray(as_jax_function(circuit)(inputs, weights))
    assert np.all(abs(found - ideal) > 1e-3)
    aer = simulator_of(noise=spec, n_qubits=3)
    for values in (
        by_aer(circuit, spec, inputs, weights),
        estimator_function(circuit, aer)(inputs, weights),
        estimator_function(circuit, aer, weights=weights)(inputs),
    ):
        np.testing.assert_allclose(values, found, atol=1e-6)
    shots = estimator_function(circuit, aer, shots=40_000, seed=1)(inputs, weights)
    assert np.all(abs(shots - found) < 6 / np.sqrt(40_000))
    if "thermal" in spec:
        return
    noisy = TrajectoryCircuit(circuit, spec)
    bits = noisy.draw(jax.random.key(0), (1000,))
    features = np.concatenate([np.tile(inputs, (1000, 1)), bits], axis=1)
    run = jax.jit(jax.vmap(as_jax_function(noisy), (0, None)))
    drawn = np.asarray(run(features, weights))
    error = drawn.std(axis=0) / np.sqrt(len(drawn))
    assert np.all(abs(drawn.mean(axis=0) - found) < 5 * error + 1e-6)


@pytest.mark.parametrize("name", TRANSLATIONS)
def test_gates_are_translated_as_qiskit_s_transpiler_does(name):
    gate = get_standard_gate_name_mapping()[name]
    n_qubits = gate.num_qubits
    angles = (0.7,) * len(gate.params)
    written = QuantumCircuit(n_qubits)
    written.append(gate.base_class(*angles), range(n_qubits))
    basis = noise_model("depolarizing:0.1").basis_gates
    run = transpile(written, basis_gates=basis, optimization_level=0)
    theirs = [
        (one.operation.name, tuple(one.operation.params), one.qubits)
        for one in run.data
    ]
    ours = list(translated(QiskitGate(name, angles, tuple(range(n_qubits)))))
    assert {part.name for part in ours} <= NATIVE
    assert [(p.name, p.parameters, tuple(run.qubits[w] for w in p.wires)) for p in ours
            ] == theirs  # fmt: skip


def test_amplitudes_have_the_same_gates_in_numbers_and_traced(double_precision):
    spec = "depolarizing:0.03"
    circuit = Circuit(AmplitudeEmbedding(3, 6), RealAmplitudes(3, 1), WORDS)
    inputs, weights = sample(circuit)
    aer = simulator_of(noise=spec, n_qubits=3)
    found = estimator_function(circuit, aer)(inputs, weights)
    np.testing.assert_allclose(found, by_aer(circuit, spec, inputs, weights), atol=1e-6)
    assert abs(found[2]) > 0.01


def test_trajectories_agree_with_aer_in_their_mean():
    circuit = Circuit(AngleEmbedding(3), EfficientSU2(3, 1), WORDS)
    spec = "depolarizing:0.05+readout:0.03"
    inputs, weights = sample(circuit)
    noisy = TrajectoryCircuit(circuit, spec)
    bits = noisy.draw(jax.random.key(0), (4000,))
    assert bits.shape == (4000, noisy.n_features - circuit.n_features)
    features = np.concatenate([np.tile(inputs, (4000, 1)), bits], axis=1)
    run = as_jax_function(noisy)
    found = np.asarray(jax.jit(jax.vmap(run, (0, None)))(features, weights))
    error = found.std(axis=0) / np.sqrt(len(found))
    assert np.all(error > 1e-4)
    mean = found.mean(axis=0)
    assert np.all(abs(mean - by_aer(circuit, spec, inputs, weights)) < 5 * error)


def test_gradients_of_trajectories_are_unbiased():
    circuit, spec = (
        Circuit(AngleEmbedding(3), RealAmplitudes(3, 1)),
        "depolarizing:0.08",
    )
    inputs, weights = sample(circuit)
    exact = as_jax_function(NoisyCircuit(circuit, spec), MIXED)
    exact = jax.jit(jax.jacobian(exact, 1))
    noisy = TrajectoryCircuit(circuit, spec)
    one = jax.grad(lambda w, x: as_jax_function(noisy)(x, w)[0])
    bits = noisy.draw(jax.random.key(1), (2000,))
    features = np.concatenate([np.tile(inputs, (2000, 1)), bits], axis=1)
    each = jax.jit(jax.vmap(one, (None, 0)))
    found = np.asarray(each(jnp.asarray(weights), features))
    error = found.std(axis=0) / np.sqrt(len(found)) + 1e-5
    wanted = np.asarray(exact(jnp.asarray(inputs), jnp.asarray(weights))[0])
    assert np.all(abs(found.mean(axis=0) - wanted) < 5 * error)


def test_a_layer_draws_anew_and_is_ideal_in_evaluation():
    circuit = CIRCUITS["su2"]
    spec = "depolarizing:0.2"
    layer = NoisyQuantumLayer(circuit, spec, n_trajectories=4, rngs=nnx.Rngs(0))
    features = jnp.linspace(0, 1, 6).reshape(2, 3)
    run = nnx.jit(lambda layer, features: layer(features))
    assert run(layer, features).shape == (2, 3)
    assert not np.allclose(run(layer, features), run(layer, features))
    gradient = nnx.jit(nnx.grad(lambda model: model(features).sum()))(layer)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient))
    layer.eval()
    weights = layer.layer.weights["weights"][...]
    ideal = jax.jit(jax.vmap(as_jax_function(circuit), (0, None)))(features, weights)
    assert np.allclose(run(layer, features), ideal, atol=1e-5)
    layer.train()
    view = nnx.view(layer, deterministic=True)
    assert np.allclose(run(view, features), ideal, atol=1e-5)


def test_a_model_is_trained_with_noise(digits):
    circuit = Circuit(AngleEmbedding(2), RealAmplitudes(2, 1))

    class Model(nnx.Module):
        def __init__(self, rngs):
            self.reduce = nnx.Linear(784, 2, rngs=rngs)
            self.circuit = NoisyQuantumLayer(circuit, "depolarizing:0.1", rngs=rngs)
            self.readout = nnx.Linear(2, 10, rngs=rngs)

        def __call__(self, images):
            features = self.reduce(images.reshape(-1, 784))
            return self.readout(self.circuit(features))

    model = Model(nnx.Rngs(0))
    start = predict_logits(model, digits.test.pixels)
    assert np.array_equal(start, predict_logits(model, digits.test.pixels))
    config = TrainConfig(epochs=2, learning_rate=0.02)
    history = fit(
        *(model, digits.train, digits.validation, config, jax.random.key(0)),
        progress=False,
    )
    assert history.epochs[1].train_loss < history.epochs[0].train_loss


def test_a_layer_without_noise_or_on_density_matrices():
    circuit = CIRCUITS["su2"]
    features = jnp.ones((2, 3))
    layer = NoisyQuantumLayer(circuit, "none", n_trajectories=2, rngs=nnx.Rngs(0))
    plain = QuantumLayer(circuit, rngs=nnx.Rngs(0))
    assert np.allclose(layer(features), plain(features), atol=1e-5)
    noisy = NoisyCircuit(circuit, "readout:0.1")
    mixed = QuantumLayer(noisy, device="default.mixed", rngs=nnx.Rngs(0))
    assert np.allclose(mixed(features), 0.8 * plain(features), atol=1e-5)


def test_what_noise_cannot_follow():
    circuit = CIRCUITS["real"]
    with pytest.raises(InputError, match="is that of 'fake_manila', which holds for a"):
        NoisyCircuit(circuit, "fake_manila")
    with pytest.raises(
        InputError, match=r"a mixture of Pauli gates .* 'thermal:200,120'"
    ):
        TrajectoryCircuit(circuit, "thermal")
    amplitudes = Circuit(AmplitudeEmbedding(3), RealAmplitudes(3, 1))
    noisy = NoisyCircuit(amplitudes, "depolarizing:0.1")
    with pytest.raises(InputError, match="has a state_preparation on wires"):
        as_jax_function(noisy, MIXED)(np.ones(8), np.zeros((2, 3)))
    # How many gates a matrix is, the transpiler of a device says.
    for matrices in (
        Circuit(AngleEmbedding(3), UnitaryLayers(3, 1, 2)),
        HamiltonianReuploading(3, 4, 2),
    ):
        inputs, weights = sample(matrices)
        sentence = (
            "has a (unitary|state_prep.*) on wires .* Train without noise or with la"
        )
        with pytest.raises(InputError, match=sentence):
            as_jax_function(NoisyCircuit(matrices, "thermal"), MIXED)(inputs, weights)
        with pytest.raises(InputError, match=sentence):
            NoisyQuantumLayer(matrices, "depolarizing:0.1", rngs=nnx.Rngs(0))(
                jnp.asarray(inputs)
            )
    with pytest.raises(InputError, match=r"`n_trajectories` must be .* but is 0"):
        NoisyQuantumLayer(circuit, "none", n_trajectories=0, rngs=nnx.Rngs(0))
    layer = NoisyQuantumLayer(circuit, "none", rngs=nnx.Rngs(0))
    with pytest.raises(InputError, match=r"`features` must have shape \(2, 3\)"):
        layer(jnp.zeros((2, 4)))
