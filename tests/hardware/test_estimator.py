"""The fast path computes what the simulator does, in one job, with its gradients."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest
from qiskit import transpile
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error
from qiskit_aer.primitives import EstimatorV2, SamplerV2

from qfm_jax._checks import InputError
from qfm_jax.circuits import (
    AmplitudeEmbedding,
    AngleEmbedding,
    Circuit,
    ConvolutionalCircuit,
    ConvolutionalLayers,
    HamiltonianReuploading,
    PixelReuploading,
    RealAmplitudes,
    UnitaryLayers,
    ZZEmbedding,
)
from qfm_jax.circuits.qiskit_export import observables_of, to_qiskit
from qfm_jax.devices import as_jax_function
from qfm_jax.hardware.estimator import estimator_function

RNG = np.random.default_rng(73)


@pytest.fixture(autouse=True)
def double_precision():
    # Not by `with`, which holds in this thread alone: callbacks have one of their own.
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@dataclass(frozen=True)
class Custom:
    """Angles by functions of JAX, every gate that has an angle, several observables."""

    n_qubits: int = 3
    n_features: int = 2
    weights_shape: tuple[int, ...] = (3,)
    n_observables: int = 3

    def __call__(self, inputs, weights):
        for wire in range(3):
            qml.Hadamard(wire)
            qml.T(wire)
            qml.RX(0.4 + 0.1 * wire, wire)
        qml.CRX(jnp.arctan2(inputs[0], weights[0]), wires=[0, 1])
        qml.CRY(inputs[1] * weights[1], wires=[2, 1])
        qml.CRZ(jnp.sin(weights[2]), wires=[2, 0])
        qml.RX(0.3, 0)
        qml.ControlledPhaseShift(inputs[0] * 2, wires=[1, 0])
        qml.U3(weights[0], inputs[0], weights[1], wires=2)
        qml.PhaseShift(weights[2], wires=0)
        qml.IsingYY(weights[2] ** 2, wires=[0, 2])
        qml.MultiRZ(weights[0] * inputs[1], wires=[0, 1, 2])
        qml.ctrl(qml.RY, [0, 2])(weights[1], wires=1)
        qml.GlobalPhase(inputs[0])
        return [
            qml.expval(qml.Z(0) @ qml.Y(2)),
            qml.expval(0.5 * qml.X(1) - 2 * qml.Z(0) @ qml.Y(2) + qml.Identity(0)),
            qml.expval(qml.Identity(1)),
        ]


CIRCUITS = {
    "zz": Circuit(ZZEmbedding(3), RealAmplitudes(3, 1), ("ZII", "XYZ", "IXX")),
    "amplitudes": ConvolutionalCircuit(
        AmplitudeEmbedding(3, 6), ConvolutionalLayers(3, 1)
    ),
    "pixels": PixelReuploading(3, 9),
    "custom": Custom(),
}


def arguments(circuit, batch=3):
    inputs = RNG.uniform(0.1, 1, (batch, circuit.n_features))
    weights = RNG.normal(size=circuit.weights_shape)
    return jnp.asarray(inputs), jnp.asarray(weights)


def batched(function):
    return jax.vmap(function, (0, None))


def compiled(function):
    """As `batched`, and quicker where it runs once: eager JAX compiles each step."""
    return jax.jit(batched(function))


@pytest.mark.parametrize("circuit", CIRCUITS.values(), ids=CIRCUITS)
def test_values_and_gradients_are_the_simulator_s(circuit):
    inputs, weights = arguments(circuit)
    direction = RNG.normal(size=(len(inputs), circuit.n_observables))

    def loss(function):
        def of(inputs, weights):
            found = batched(function)(inputs, weights)
            return jnp.sum(jnp.sin(direction * found)), found

        return jax.jit(jax.grad(of, (0, 1), has_aux=True))(inputs, weights)

    expected_slopes, expected = loss(as_jax_function(circuit))
    slopes, found = loss(estimator_function(circuit))
    np.testing.assert_allclose(found, expected, atol=1e-9)
    for one, other in zip(slopes, expected_slopes, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8)


@pytest.fixture
def jobs(monkeypatch):
    """The number of circuits in each job that Aer gets."""
    sizes, run = [], AerSimulator.run

    def counted(self, circuits, *args, parameter_binds, **kwargs):
        sizes.append(sum(len(next(iter(bind.values()))) for bind in parameter_binds))
        return run(self, circuits, *args, parameter_binds=parameter_binds, **kwargs)

    monkeypatch.setattr(AerSimulator, "run", counted)
    return sizes


def test_a_batch_is_one_job_and_so_are_all_its_shifts(jobs):
    circuit = Circuit(AngleEmbedding(3), RealAmplitudes(3, 2))
    function = estimator_function(circuit)
    inputs, weights = arguments(circuit, batch=5)

    def loss(inputs, weights):
        return jnp.sum(batched(function)(inputs, weights))

    batched(function)(inputs, weights)
    assert jobs == [5]
    jax.grad(loss, (0, 1))(inputs, weights)
    assert jobs[1:] == [5 * (1 + 2 * (3 + 9))]
    jax.grad(loss, 1)(inputs, weights)  # the features' angles are not shifted
    assert jobs[2:] == [5 * (1 + 2 * 9)]


def test_vmap_jit_and_forward_mode_agree_with_a_loop():
    circuit = CIRCUITS["zz"]
    function = estimator_function(circuit)
    inputs, weights = arguments(circuit, batch=4)
    expected = np.stack([function(sample, weights) for sample in inputs])
    found = jax.jit(batched(function))(inputs, weights)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    nested = jax.vmap(batched(function), (0, None))
    found = nested(inputs.reshape(2, 2, -1), weights).reshape(4, -1)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    forward = jax.jacfwd(function, 1)(inputs[0], weights)
    backward = jax.jacrev(function, 1)(inputs[0], weights)
    np.testing.assert_allclose(forward, backward, atol=1e-12)


def test_single_precision_stays_single():
    jax.config.update("jax_enable_x64", False)
    circuit = CIRCUITS["zz"]
    inputs, weights = arguments(circuit)
    found = compiled(estimator_function(circuit))(inputs, weights)
    assert found.dtype == np.float32
    expected = compiled(as_jax_function(circuit))(inputs, weights)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    "circuit",
    [HamiltonianReuploading(3, 2, 2), Circuit(ZZEmbedding(3), UnitaryLayers(3, 2, 2))],
)
def test_with_fixed_weights_there_may_be_matrices(circuit):
    inputs, weights = arguments(circuit)
    found = jax.jit(jax.vmap(estimator_function(circuit, weights=weights)))(inputs)
    expected = compiled(as_jax_function(circuit))(inputs, weights)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(InputError, match=r"unitary on wires .* Fix the weights"):
        estimator_function(circuit)


def within_five_deviations(found, expected, shots):
    deviation = np.sqrt(np.maximum(1 - expected**2, 1e-3) / shots)
    assert np.all(np.abs(found - expected) < 5 * deviation)


def test_shots_scatter_about_the_exact_values():
    circuit = Circuit(ZZEmbedding(3), RealAmplitudes(3, 1), ("ZII", "XYZ", "IZX"))
    inputs, weights = arguments(circuit)
    expected = compiled(estimator_function(circuit))(inputs, weights)
    found = [
        compiled(estimator_function(circuit, shots=2000, seed=seed))(inputs, weights)
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert np.any(found[0] != found[2])
    for values in found:
        within_five_deviations(values, expected, 2000)
    by_sampler = estimator_function(circuit, shots=2000, sampler=SamplerV2(seed=5))
    within_five_deviations(compiled(by_sampler)(inputs, weights), expected, 2000)
    sums = estimator_function(Custom(), shots=4000, seed=3)(jnp.ones(2), jnp.ones(3))
    expected = jax.jit(as_jax_function(Custom()))(jnp.ones(2), jnp.ones(3))
    np.testing.assert_allclose(sums, expected, atol=0.2)
    assert sums[2] == 1


def noise():
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.05, 2), ["cx"])
    model.add_all_qubit_quantum_error(depolarizing_error(0.01, 1), ["sx", "x"])
    model.add_all_qubit_readout_error(ReadoutError([[0.97, 0.03], [0.05, 0.95]]))
    return model


# Qubit 0 stays idle: there Aer is wrong about observables on some of the qubits.
LINE = {
    "basis_gates": ["rz", "sx", "x", "cx", "id"],
    "coupling_map": [[1, 2], [2, 1], [2, 3], [3, 2]],
}


def test_a_backend_has_its_own_gates_and_qubits():
    circuit = CIRCUITS["zz"]
    inputs, weights = arguments(circuit)
    expected = compiled(as_jax_function(circuit))(inputs, weights)
    found = compiled(estimator_function(circuit, AerSimulator(**LINE)))(inputs, weights)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_noise_is_that_of_the_density_matrix():
    circuit = Circuit(AngleEmbedding(3), RealAmplitudes(3, 2), ("ZII", "XYZ"))
    inputs, weights = arguments(circuit, batch=2)
    backend = AerSimulator(noise_model=noise(), **LINE)
    found = compiled(estimator_function(circuit, backend))(inputs, weights)
    assert np.max(np.abs(found)) < 0.95
    estimator = EstimatorV2.from_backend(AerSimulator(noise_model=noise()))
    for sample, values in zip(inputs, found, strict=True):
        built = transpile(to_qiskit(circuit, sample, weights), backend)
        pubs = [
            (built, observable.apply_layout(built.layout))
            for observable in observables_of(circuit)
        ]
        # Each of the two and three bits that a word reads is wrong with 3 or 5 %.
        read = [r.data.evs for r in estimator.run(pubs, precision=0).result()]
        expected = np.array(read) * [0.92, 0.92**3]
        # Other optimisation, other numbers of noisy gates.
        np.testing.assert_allclose(values, expected, atol=0.1)
    shots = estimator_function(circuit, backend, shots=4000, seed=1)
    within_five_deviations(compiled(shots)(inputs, weights), found, 4000)


def test_another_backend_runs_by_the_runtime_s_sampler():
    circuit = Circuit(AngleEmbedding(3), RealAmplitudes(3, 1))
    inputs, weights = arguments(circuit, batch=2)
    backend = GenericBackendV2(4, seed=3)
    found = compiled(estimator_function(circuit, backend, shots=3000))(inputs, weights)
    expected = compiled(as_jax_function(circuit))(inputs, weights)
    np.testing.assert_allclose(found, expected, atol=0.2)
    with pytest.raises(InputError, match="`shots` must be given for a backend"):
        estimator_function(circuit, backend)


def test_bad_input():
    circuit = CIRCUITS["zz"]
    with pytest.raises(InputError, match=r"`shots` must be .* at least 1, but is 0"):
        estimator_function(circuit, shots=0)
    with pytest.raises(InputError, match=r"`weights` must have shape \(2, 3\)"):
        estimator_function(circuit, weights=np.zeros(3))


def test_results_that_are_missing_are_an_error(monkeypatch):
    function = estimator_function(CIRCUITS["zz"])
    run = AerSimulator.run

    def unbound(self, circuits, *args, parameter_binds, **kwargs):
        one = [{p: values[:1] for p, values in parameter_binds[0].items()}]
        return run(self, circuits, *args, parameter_binds=one, **kwargs)

    monkeypatch.setattr(AerSimulator, "run", unbound)
    with pytest.raises(Exception, match="1 of 3 results"):
        batched(function)(*arguments(CIRCUITS["zz"]))
