"""Circuits on devices, against dense algebra in NumPy that shares no code with them."""

import functools
import logging
import os
import sys
import threading
import warnings
from types import SimpleNamespace

import jax
import numpy as np
import pennylane as qml
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qfm_jax._checks import InputError
from qfm_jax.circuits import AngleEmbedding, Circuit, RealAmplitudes
from qfm_jax.devices import (
    DIFF_METHODS,
    DeviceConfig,
    as_jax_function,
    build_qnode,
    check_memory,
    error_of_callback,
    in_its_own_words,
)

# Words that can be measured at once, so that Aer runs one circuit for all of them.
WORDS = ("ZII", "ZXI", "IXY")
CIRCUIT = Circuit(AngleEmbedding(3, "X"), RealAmplitudes(3, 1), WORDS)

RNG = np.random.default_rng(11)
INPUTS = RNG.uniform(-2, 2, (2, 3)).astype(np.float32)
WEIGHTS = RNG.uniform(-np.pi, np.pi, (2, 2, 3)).astype(np.float32)
COTANGENT = np.array([1.0, -2.0, 0.5], np.float32)

PAULIS = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}


def kron(*factors):
    return functools.reduce(np.kron, factors)


def rotation(pauli, angle, wire):
    """exp(-i angle/2 P) on one of three wires; wire 0 is the most significant bit."""
    gate = np.cos(angle / 2) * np.eye(2) - 1j * np.sin(angle / 2) * PAULIS[pauli]
    return kron(np.eye(2**wire), gate, np.eye(2 ** (2 - wire)))


NOT_BELOW = kron(np.diag([1, 0]), np.eye(2)) + kron(np.diag([0, 1]), PAULIS["X"])
CNOTS = [kron(np.eye(2), NOT_BELOW), kron(NOT_BELOW, np.eye(2))]  # (1, 2), (0, 1)


def dense_expectations(inputs, weights):
    """The expectations of CIRCUIT in double precision."""
    gates = [rotation("X", inputs[i], i) for i in range(3)]
    gates += [rotation("Y", weights[0, i], i) for i in range(3)]
    gates += CNOTS
    gates += [rotation("Y", weights[1, i], i) for i in range(3)]
    state = functools.reduce(lambda state, gate: gate @ state, gates, np.eye(8)[0])
    words = [kron(*(PAULIS[letter] for letter in word)) for word in WORDS]
    return np.array([(state.conj() @ word @ state).real for word in words])


def dense_gradient(inputs, weights, step=1e-5):
    """Central differences of COTANGENT @ expectations, exact to about 1e-10."""
    arguments = np.concatenate([inputs, weights.ravel()]).astype(np.float64)

    def loss(x):
        return COTANGENT @ dense_expectations(x[:3], x[3:].reshape(2, 3))

    slopes = [
        (loss(arguments + d) - loss(arguments - d)) / (2 * step)
        for d in step * np.eye(len(arguments))
    ]
    return np.array(slopes[:3]), np.array(slopes[3:]).reshape(2, 3)


EXPECTED = np.array(
    [dense_expectations(*sample) for sample in zip(INPUTS, WEIGHTS, strict=True)]
)

CONFIGS = {
    "qfm.statevector": DeviceConfig(),
    "default.qubit": DeviceConfig("default.qubit"),
    "parameter-shift": DeviceConfig("default.qubit", diff_method="parameter-shift"),
    "adjoint": DeviceConfig("default.qubit", diff_method="adjoint"),
    "lightning.qubit": DeviceConfig("lightning.qubit", diff_method="adjoint"),
    "qiskit.aer": DeviceConfig("qiskit.aer"),
    "reference.qubit": DeviceConfig("reference.qubit"),
}


@pytest.fixture(scope="module", params=CONFIGS.values(), ids=CONFIGS)
def function(request):
    return as_jax_function(CIRCUIT, request.param)


def test_expectations_are_those_of_dense_algebra(function):
    expectations = function(INPUTS[0], WEIGHTS[0])
    assert expectations.shape == (3,)
    np.testing.assert_allclose(expectations, EXPECTED[0], atol=1e-5)


def test_jitted_is_not_jitted(function):
    with jax.disable_jit():
        expectations = function(INPUTS[0], WEIGHTS[0])
    np.testing.assert_allclose(expectations, function(INPUTS[0], WEIGHTS[0]), atol=1e-6)


def test_batched_is_a_loop_over_samples(function):
    batched = jax.vmap(function)(INPUTS, WEIGHTS)
    loop = [function(*sample) for sample in zip(INPUTS, WEIGHTS, strict=True)]
    np.testing.assert_allclose(batched, loop, atol=1e-6)
    np.testing.assert_allclose(batched, EXPECTED, atol=1e-5)


def test_gradients_are_those_of_dense_algebra(function):
    gradient = jax.jit(jax.grad(lambda *args: COTANGENT @ function(*args), (0, 1)))
    actual = gradient(INPUTS[0], WEIGHTS[0])
    expected = dense_gradient(INPUTS[0], WEIGHTS[0])
    np.testing.assert_allclose(actual[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(actual[1], expected[1], atol=1e-5)


def test_the_default_is_our_simulator_without_shots():
    assert DeviceConfig() == DeviceConfig("qfm.statevector", None, "best", None, ())
    function = as_jax_function(CIRCUIT)
    actual = function(inputs=INPUTS[1], weights=WEIGHTS[1])
    np.testing.assert_allclose(actual, EXPECTED[1], atol=1e-5)


def standard_errors(estimates, expected, shots):
    """By how many standard errors of `shots` measurements the estimates are off."""
    return (estimates - expected) / np.sqrt((1 - expected**2) / shots)


def check_shots(estimates, shots):
    """A mean of `shots` values of +1 and -1 is a multiple of 2/shots, from -1 on."""
    n_plus = (np.asarray(estimates, np.float64) + 1) * shots / 2
    np.testing.assert_allclose(n_plus, np.round(n_plus), atol=1e-3)


SHOTS = 1000


def test_samples_of_the_default_device_scatter_as_shots_do():
    config = DeviceConfig(shots=SHOTS, seed=5)
    many = jax.vmap(as_jax_function(CIRCUIT, config), (0, None))
    estimates = many(np.tile(INPUTS[0], (60, 1)), WEIGHTS[0])
    check_shots(estimates, SHOTS)
    errors = standard_errors(estimates, EXPECTED[0], SHOTS)
    assert np.abs(errors).max() < 5
    assert 0.8 < np.std(errors) < 1.2  # 180 errors: 1 +- 0.05


@pytest.mark.parametrize(
    "config",
    [
        DeviceConfig("qiskit.aer", shots=SHOTS, options={"seed_simulator": 5}),
        DeviceConfig("lightning.qubit", shots=SHOTS, seed=5),
        DeviceConfig("reference.qubit", shots=SHOTS, seed=5),
    ],
    ids=lambda config: config.name,
)
def test_samples_agree_within_five_standard_errors(config):
    estimates = as_jax_function(CIRCUIT, config)(INPUTS[0], WEIGHTS[0])
    check_shots(estimates, SHOTS)
    errors = standard_errors(estimates, EXPECTED[0], SHOTS)
    assert np.abs(errors).max() < 5
    assert np.abs(errors).max() > 1e-3  # sampled, not exact


@pytest.mark.parametrize(
    "name", ["qfm.statevector", "default.qubit", "lightning.qubit"]
)
def test_a_seed_fixes_the_sequence_and_not_each_call(name):
    def draw(seed):
        config = DeviceConfig(name, shots=SHOTS, seed=seed)
        function = as_jax_function(CIRCUIT, config)
        return [np.asarray(function(INPUTS[0], WEIGHTS[0])) for _ in range(3)]

    first, again, other = draw(1), draw(1), draw(2)
    np.testing.assert_array_equal(first, again)
    assert np.any(first[0] != first[1])
    assert np.any(first[1] != first[2])
    assert np.any(first[0] != other[0])


def test_aer_draws_anew_at_each_call_unless_its_simulator_is_seeded():
    fresh = as_jax_function(CIRCUIT, DeviceConfig("qiskit.aer", shots=SHOTS))
    draws = [fresh(INPUTS[0], WEIGHTS[0]) for _ in range(3)]
    assert np.any(np.ptp(draws, axis=0) > 0)
    config = DeviceConfig("qiskit.aer", shots=SHOTS, options={"seed_simulator": 1})
    seeded = as_jax_function(CIRCUIT, config)
    first, second = (seeded(INPUTS[0], WEIGHTS[0]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_gradients_of_samples_agree_within_five_standard_errors():
    function = as_jax_function(CIRCUIT, DeviceConfig(shots=SHOTS, seed=3))
    gradient = jax.jit(jax.grad(lambda w: COTANGENT @ function(INPUTS[0], w)))
    expected = dense_gradient(INPUTS[0], WEIGHTS[0])[1]
    errors = gradient(WEIGHTS[0]) - expected
    # Half the difference of two estimates of COTANGENT @ expectations.
    assert np.abs(errors).max() < 5 * np.abs(COTANGENT).sum() / np.sqrt(2 * SHOTS)
    assert np.abs(errors).max() > 1e-4


@qml.qnode(qml.device("default.qubit", wires=3))
def user_qnode(x, theta, phi):
    qml.RX(x[0], 0)
    qml.RY(theta, 1)
    qml.RX(phi, 2)
    return qml.probs(wires=[1, 0]), qml.expval(qml.Y(2)), qml.expval(qml.Z(2))


def test_a_qnode_keeps_its_own_device_arguments_and_measurements():
    x, theta, phi = np.array([0.4]), 1.1, 0.7
    actual = as_jax_function(user_qnode)(x, phi=phi, theta=theta)
    p0, p1 = np.sin([x[0] / 2, theta / 2]) ** 2
    probs = np.kron([1 - p1, p1], [1 - p0, p0])
    expected = [*probs, -np.sin(phi), np.cos(phi)]
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_a_qnode_admits_no_config():
    with pytest.raises(InputError, match="`config` must be left out for a QNode"):
        as_jax_function(user_qnode, DeviceConfig("lightning.qubit"))


values = st.one_of(st.integers(), st.text(), st.none())


@settings(max_examples=25)
@given(st.dictionaries(st.text(), values, max_size=4), st.randoms())
def test_a_config_is_equal_and_hashable_however_its_options_are_given(options, random):
    pairs = list(options.items())
    random.shuffle(pairs)
    config = DeviceConfig("qiskit.aer", options=options)
    same = DeviceConfig("qiskit.aer", options=tuple(pairs))
    assert config == same
    assert hash(config) == hash(same)
    assert dict(config.options) == options
    assert config != DeviceConfig("qiskit.aer", options=options | {"\0new": 1})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "default.qbit"}, "`device` must be .* Did you mean 'default.qubit'"),
        ({"name": "aer"}, "`device` must be one of .*qiskit.aer.* but is 'aer'"),
        ({"diff_method": "back-prop"}, "`diff_method` .* Did you mean 'backprop'"),
        ({"shots": 0}, "`shots` must be a whole number of at least 1, but is 0. Leave"),
        ({"shots": -5}, "`shots` must be .* but is -5"),
        ({"shots": 1.5}, "`shots` must be a whole number .* but is 1.5"),
        (
            {"shots": 10, "diff_method": "backprop"},
            "`diff_method` must work on sampled .* but is 'backprop' with shots=10. "
            "Use 'parameter-shift', or leave `shots` out",
        ),
        ({"name": "qiskit.basicsim"}, "`shots` must be given .*Choose 'qiskit.aer'"),
        ({"shots": 10, "diff_method": "adjoint"}, "but is 'adjoint' with shots=10"),
        (
            {"name": "qiskit.aer", "shots": 10, "seed": 3},
            "`seed` must be left out for Qiskit's devices, but is 3. .*seed_simulator",
        ),
    ],
)
def test_a_config_is_checked(changes, message):
    with pytest.raises(InputError, match=message):
        DeviceConfig(**changes)


@pytest.mark.filterwarnings("ignore:The .* backend:PendingDeprecationWarning")
@pytest.mark.parametrize(
    ("config", "message"),
    [
        (DeviceConfig("qiskit.basicaer"), "'qiskit.basicaer' cannot be built .*has no"),
        (
            DeviceConfig("qiskit.remote"),
            "'qiskit.remote' cannot .* argument: 'backend'",
        ),
        (DeviceConfig(options={"colour": 1}), r"options \{'colour': 1\}.* 'colour'"),
        (
            DeviceConfig("qiskit.aer", options={"method": "magic"}),
            r"'qiskit.aer' cannot be built .*aer_simulator_magic' does not exist",
        ),
        (
            DeviceConfig("lightning.qubit", diff_method="backprop"),
            r"diff_method='backprop': .*does not support backprop.*Choose another",
        ),
    ],
)
def test_a_device_that_cannot_be_built_tells_why(config, message):
    with pytest.raises(InputError, match=f"(?s)^Device .*{message}"):
        as_jax_function(CIRCUIT, config)


def test_a_device_that_cannot_run_the_circuit_tells_why():
    qutrits = as_jax_function(CIRCUIT, DeviceConfig("default.qutrit"))
    weights = np.zeros(CIRCUIT.weights_shape)
    with pytest.raises(InputError, match=r"'default\.qutrit' cannot run .* Choose"):
        qutrits(np.zeros(CIRCUIT.n_features), weights)


def test_an_error_of_the_circuit_itself_stays_what_it_is():
    def broken(inputs, weights):
        qml.RX(inputs["a"], 0)
        return [qml.expval(qml.Z(0))]

    circuit = SimpleNamespace(n_qubits=3, n_features=3, n_observables=1)
    circuit = replace_call(circuit, broken)
    with pytest.raises(TypeError, match="string indexing"):
        as_jax_function(circuit)(INPUTS[0], WEIGHTS[0])


def replace_call(circuit, function):
    class Written:
        def __call__(self, inputs, weights):
            return function(inputs, weights)

    written = Written()
    vars(written).update(vars(circuit))
    return written


def test_a_method_that_cannot_work_is_not_offered():
    assert "hadamard" not in DIFF_METHODS
    with pytest.raises(InputError, match=r"`diff_method` must be one of .*'hadamard'"):
        DeviceConfig(diff_method="hadamard")
    with pytest.raises(InputError, match=r"must draw again at each call, .*'spsa' on"):
        DeviceConfig(diff_method="spsa")


@pytest.mark.filterwarnings("ignore:Finite differences with float32")
@pytest.mark.parametrize(
    "method", sorted(set(DIFF_METHODS) - {"best", "spsa"}), ids=str
)
@pytest.mark.parametrize("name", ["qfm.statevector", "default.qubit"])
def test_every_method_has_the_gradient_of_dense_algebra(name, method):
    function = as_jax_function(CIRCUIT, DeviceConfig(name, diff_method=method))
    gradient = jax.grad(lambda w: COTANGENT @ function(INPUTS[0], w))(WEIGHTS[0])
    expected = dense_gradient(INPUTS[0], WEIGHTS[0])[1]
    np.testing.assert_allclose(gradient, expected, atol=5e-4)


def test_spsa_is_the_gradient_on_average():
    # One direction of random signs: its mean over directions is the gradient.
    config = DeviceConfig("lightning.qubit", diff_method="spsa")
    function = as_jax_function(CIRCUIT, config)
    slope = jax.jit(jax.grad(lambda w: COTANGENT @ function(INPUTS[0], w)))
    found = np.array([slope(WEIGHTS[0]) for _ in range(100)])
    expected = dense_gradient(INPUTS[0], WEIGHTS[0])[1]
    errors = (found.mean(0) - expected) / (found.std(0) / 10)
    assert np.abs(errors).max() < 5


@pytest.mark.filterwarnings("ignore:Finite differences with float32")
def test_finite_differences_of_samples_see_the_slope():
    config = DeviceConfig(shots=SHOTS, seed=1, diff_method="finite-diff")
    function = as_jax_function(CIRCUIT, config)
    slope = jax.jit(jax.grad(lambda w: COTANGENT @ function(INPUTS[0], w)))
    expected = dense_gradient(INPUTS[0], WEIGHTS[0])[1]
    scale = np.abs(COTANGENT).sum() / np.sqrt(2 * SHOTS) / 0.2
    assert np.abs(slope(WEIGHTS[0]) - expected).max() < 4 * scale + 0.02


def fails(kind, sentence):
    """A compiled function whose host callback raises."""

    def raise_it(x):
        raise kind(sentence)

    shape = jax.ShapeDtypeStruct((), np.float32)
    return in_its_own_words(jax.jit(lambda x: jax.pure_callback(raise_it, shape, x)))


def test_an_error_in_a_host_callback_is_its_own_sentence():
    sentence = "Argument `postselect` must happen, but never does.\nMend it."
    with pytest.raises(InputError) as info:
        fails(InputError, sentence)(1.0)
    assert str(info.value) == sentence
    with pytest.raises(RuntimeError, match=r"^ValueError: a bug$"):
        fails(ValueError, "a bug")(1.0)
    outer = jax.jit(fails(InputError, sentence))
    with pytest.raises(jax.errors.JaxRuntimeError) as buried:
        jax.block_until_ready(outer(1.0))
    assert str(error_of_callback(buried.value)) == sentence
    assert error_of_callback(RuntimeError("Out of memory")) is None


FLAGS = [name for name in jax.config.values if hasattr(jax.config, name)]


def heard(logger):
    """PennyLane adds one more handler that does nothing at each call."""
    return [h for h in logger.handlers if not isinstance(h, logging.NullHandler)]


def state_of_the_process():
    loggers = {
        name: (logger.level, logger.disabled, heard(logger))
        for name, logger in logging.Logger.manager.loggerDict.items()
        if isinstance(logger, logging.Logger)
    }
    flags = {name: getattr(jax.config, name) for name in FLAGS}
    return {
        "hooks": (sys.excepthook, sys.unraisablehook, threading.excepthook),
        "warnings": (list(warnings.filters), warnings.showwarning),
        "environment": dict(os.environ),
        "flags": flags,
        "root": (logging.root.level, tuple(logging.root.handlers)),
        "numpy": np.geterr(),
    }, loggers


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_running_a_circuit_changes_nothing_of_the_process(config):
    build_qnode(CIRCUIT, config)  # imports the plugin: what that does is its own
    before, loggers = state_of_the_process()
    function = as_jax_function(CIRCUIT, config)
    jax.grad(lambda w: COTANGENT @ function(INPUTS[0], w))(WEIGHTS[0])
    after, found = state_of_the_process()
    assert after == before
    assert {name: found[name] for name in loggers} == loggers


def set_free_memory(monkeypatch, n_bytes):
    memory = SimpleNamespace(available=n_bytes)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


@pytest.mark.parametrize(
    ("n_qubits", "batch", "bytes_per_amplitude"), [(3, 5, 8), (10, 32, 16), (33, 1, 8)]
)
def test_states_may_fill_the_free_memory_to_the_last_byte(
    monkeypatch, n_qubits, batch, bytes_per_amplitude
):
    needed = 2**n_qubits * batch * bytes_per_amplitude
    set_free_memory(monkeypatch, needed)
    check_memory(n_qubits, batch, bytes_per_amplitude=bytes_per_amplitude)
    set_free_memory(monkeypatch, needed - 1)
    with pytest.raises(InputError, match=f"At most {n_qubits - 1} qubits fit"):
        check_memory(n_qubits, batch, bytes_per_amplitude=bytes_per_amplitude)


def test_too_many_qubits_are_told_with_the_calculation(monkeypatch):
    set_free_memory(monkeypatch, 24 * 2**30)
    with pytest.raises(InputError) as info:
        check_memory(34, 4)
    assert str(info.value) == (
        "Argument `n_qubits` must leave the state vectors within the memory that is "
        "free, but is 34: 2^34 amplitudes x 4 circuits x 8 bytes = 512.0 GiB, and "
        "24.0 GiB are free. At most 29 qubits fit with this batch; take fewer qubits "
        "or a smaller batch."
    )
    set_free_memory(monkeypatch, 10)
    with pytest.raises(InputError, match=r"free\. Nothing fits with this batch"):
        check_memory(2, 4)


def test_a_device_without_a_state_vector_takes_any_number_of_qubits():
    wide = Circuit(AngleEmbedding(60), RealAmplitudes(60, 1))
    assert build_qnode(wide, DeviceConfig("null.qubit")).device.name == "null.qubit"
    for name in ("qfm.statevector", "default.qubit", "lightning.qubit"):
        with pytest.raises(InputError, match=r"`n_qubits` must leave .* is 60"):
            build_qnode(wide, DeviceConfig(name))
