"""Samples: keys, independence, what is compiled, and post-selection."""

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest

from qfm_jax._checks import InputError
from qfm_jax.simulator import StateVectorDevice

SHOTS, MANY = 100, 400


def gates(x):
    qml.RX(x, 0)
    qml.RY(0.7, 1)
    qml.CNOT([0, 2])


def shallow(x):
    gates(x)
    return qml.expval(qml.Z(0))


def sampled(device, circuit=shallow, shots=SHOTS, **how):
    return qml.set_shots(qml.QNode(circuit, device, **how), shots)


def check_scatter(estimates, mean, deviation):
    """Mean within five standard errors, standard deviation within 20 %."""
    n = len(estimates)
    assert abs(np.mean(estimates) - mean) < 5 * deviation / np.sqrt(n)
    assert 0.8 * deviation < np.std(estimates) < 1.2 * deviation


def test_the_same_key_repeats_and_two_calls_differ():
    device = StateVectorDevice(wires=3)
    node = sampled(device, lambda x: (gates(x), qml.sample(wires=[0, 1, 2]))[1])

    def draw(x, key):
        with device.sampling_key(key):
            return node(x), node(x)

    for run, x in ((draw, 0.9), (draw, jnp.asarray(0.9)), (jax.jit(draw), 0.9)):
        first, again = (run(x, jax.random.key(1)) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        assert np.any(np.asarray(first[0]) != np.asarray(first[1]))
        other = run(x, jax.random.key(2))
        assert np.any(np.asarray(other[0]) != np.asarray(first[0]))
    old = jax.random.PRNGKey(1)  # JAX's older kind of key
    np.testing.assert_array_equal(jax.jit(draw)(0.9, old), first)


@pytest.mark.parametrize("x", [1.1, jnp.float32(1.1)], ids=["numpy", "jax"])
def test_measurements_that_are_not_made_together_are_independent(x):
    device = StateVectorDevice(wires=3)

    def circuit(x):
        qml.RX(x, 0)
        return qml.expval(qml.Y(0)), qml.expval(qml.X(0))  # no common basis

    node = sampled(device, circuit)
    run = jax.jit(lambda key: _with_key(device, key, node, x))
    keys = jax.random.split(jax.random.key(0), MANY)
    found = np.array([run(key) for key in keys])
    assert abs(np.corrcoef(found.T)[0, 1]) < 5 / np.sqrt(MANY)


def _with_key(device, key, function, *args):
    with device.sampling_key(key):
        return function(*args)


@pytest.mark.parametrize("with_key", [True, False])
def test_the_shift_rule_draws_its_circuits_independently(with_key):
    # Half a difference of two expectations of +-1: sin(x)^2 of noise in each one.
    x, n_shots = 0.4, 1000
    device = StateVectorDevice(wires=3, seed=2)
    slope = jax.grad(sampled(device, shots=n_shots, diff_method="parameter-shift"))
    keys = jax.random.split(jax.random.key(5), 200)
    if with_key:
        run = jax.jit(lambda key: _with_key(device, key, slope, x))
        found = np.array([run(key) for key in keys])
    else:
        run = jax.jit(slope)
        found = np.array([run(x) for _ in keys])
    # d<Z>/dx = -sin(x); both shifted expectations are +-sin(x).
    check_scatter(found, -np.sin(x), np.cos(x) / np.sqrt(2 * n_shots))


def test_two_weights_have_independent_slopes():
    device = StateVectorDevice(wires=3)

    def circuit(w):
        qml.RX(w[0], 0)
        qml.RX(w[1], 1)
        return qml.expval(qml.Z(0) @ qml.Z(1))

    slope = jax.grad(sampled(device, circuit, 1000, diff_method="parameter-shift"))
    run = jax.jit(lambda key: _with_key(device, key, slope, jnp.full(2, 0.9)))
    keys = jax.random.split(jax.random.key(3), MANY)
    found = np.array([run(key) for key in keys])
    assert abs(np.corrcoef(found.T)[0, 1]) < 5 / np.sqrt(MANY)


def test_a_compiled_program_draws_anew_whenever_it_runs():
    device = StateVectorDevice(wires=3, seed=4)
    program = jax.jit(sampled(device, shots=1000))
    text = str(jax.make_jaxpr(program)(0.5))
    assert "pure_callback" not in text
    assert "random" in text
    found = np.array([program(0.5) for _ in range(200)])
    check_scatter(found, np.cos(0.5), np.sin(0.5) / np.sqrt(1000))
    again = jax.jit(sampled(StateVectorDevice(wires=3, seed=4), shots=1000))
    np.testing.assert_array_equal([again(0.5) for _ in range(3)], found[:3])


def test_a_compiled_circuit_without_parameters_draws_anew():
    program = jax.jit(sampled(StateVectorDevice(wires=3), lambda: shallow(0.5)))
    assert len({float(program()) for _ in range(20)}) > 1


@pytest.mark.parametrize("with_key", [True, False])
@pytest.mark.parametrize("compiled", [True, False])
def test_shots_of_a_batch_are_independent(compiled, with_key):
    device = StateVectorDevice(wires=3, seed=6)
    node = sampled(device, shots=1000)
    x = jnp.full(MANY, 0.8)
    runs = {"vmap": jax.vmap(node), "broadcast": node}
    runs["twice"] = lambda x: jax.vmap(jax.vmap(node))(x.reshape(4, -1)).ravel()
    for run in runs.values():
        call = lambda key, run=run: (  # noqa: E731
            _with_key(device, key, run, x) if with_key else run(x)
        )
        found = (jax.jit(call) if compiled else call)(jax.random.key(1))
        check_scatter(found, np.cos(0.8), np.sin(0.8) / np.sqrt(1000))


def test_a_key_for_each_sample():
    device = StateVectorDevice(wires=3)
    node = sampled(device, shots=1000)
    run = jax.jit(jax.vmap(lambda x, key: _with_key(device, key, node, x)))
    keys = jax.random.split(jax.random.key(9), 3)
    both = run(jnp.full(3, 0.8), keys[jnp.array([0, 1, 0])])
    assert both[0] == both[2] != both[1]


def test_a_key_from_outside_of_a_compiled_function_is_refused():
    device = StateVectorDevice(wires=3)
    program = jax.jit(sampled(device))
    message = "`key` must be an argument of the function .* Open `sampling_key` inside"
    program(0.1)  # what was compiled before does not hide it
    with device.sampling_key(jax.random.key(0)):
        with pytest.raises(InputError, match=message):
            program(0.1)
        assert sampled(device)(0.0) == 1
    program(0.1)


@pytest.mark.parametrize("shots", [SHOTS, (30, 70)])
def test_all_measurements_have_pennylanes_shapes_under_jit(shots):
    def circuit(x):
        gates(x)
        return (
            qml.expval(qml.Z(0)),
            qml.var(qml.X(1)),
            qml.probs(wires=[2, 0]),
            qml.sample(wires=[0, 1]),
            qml.sample(qml.Z(0) @ qml.Z(1)),
            qml.expval(qml.Hamiltonian([0.5, -1.0], [qml.Z(0), qml.X(1) @ qml.Y(2)])),
            qml.expval(qml.Hermitian(np.array([[1.0, 2.0], [2.0, -1.0]]), 1)),
        )

    ours, theirs = (
        jax.jit(sampled(qml.device(name, wires=3), circuit, shots))(0.3)
        for name in ("qfm.statevector", "default.qubit")
    )
    shape = lambda tree: jax.tree.map(lambda a: (a.shape, a.dtype.kind), tree)  # noqa: E731
    assert shape(ours) == shape(theirs)


def test_a_hamiltonian_is_sampled_with_its_mean_and_scatter():
    terms = qml.Hamiltonian([0.5, -1.0], [qml.Z(0), qml.Y(0)])

    def circuit(x):
        qml.RX(x, 0)
        return qml.expval(terms)

    run = jax.jit(sampled(StateVectorDevice(wires=3, seed=1), circuit, 1000))
    found = np.array([run(0.6) for _ in range(200)])
    c, s = np.cos(0.6), np.sin(0.6)
    check_scatter(found, 0.5 * c + s, np.sqrt((0.25 * s**2 + c**2) / 1000))


def test_counts_of_a_batch_and_with_all_outcomes():
    def circuit(x):
        qml.RX(x, 0)
        return qml.counts(wires=[0, 1], all_outcomes=True)

    node = sampled(StateVectorDevice(wires=3, seed=1), circuit, 10)
    expected = {"00": 0, "01": 0, "10": 10, "11": 0}
    for x in (np.pi, jnp.asarray(np.pi)):
        assert node(x) == expected
        assert [dict(c) for c in node(np.array([np.pi, 0]))] == [
            expected,
            {**expected, "10": 0, "00": 10},
        ]
    assert jax.jit(node)(np.pi) == expected
    plain = sampled(StateVectorDevice(wires=3), lambda x: (gates(x), qml.counts())[1])
    with pytest.raises(InputError, match="must be an array that JAX can draw"):
        jax.jit(plain)(0.1)


def test_counts_in_a_compiled_program_take_no_key():
    device = StateVectorDevice(wires=3)
    node = sampled(device, lambda x: (gates(x), qml.counts(all_outcomes=True))[1])
    with pytest.raises(InputError, match=r"array that JAX can draw.* is CountsMP"):
        jax.jit(lambda key: _with_key(device, key, node, 0.1))(jax.random.key(0))


def measured(x):
    qml.RX(x, 0)
    outcome = qml.measure(0)
    qml.cond(outcome, qml.RY)(0.7, 1)
    return qml.expval(qml.Z(1)), qml.expval(outcome)


@pytest.mark.parametrize("compiled", [True, False])
def test_mid_circuit_measurements_are_sampled(compiled):
    node = sampled(StateVectorDevice(wires=3, seed=8), measured, 20_000)
    chance = np.sin(0.5) ** 2
    found = (jax.jit(node) if compiled else node)(jnp.asarray(1.0))
    expected = [1 - chance + chance * np.cos(0.7), chance]
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize("method", ["one-shot", "tree-traversal", "deferred"])
def test_every_method_of_mid_circuit_measurements_counts_alike(method):
    device = StateVectorDevice()  # each measurement takes a wire of its own

    def one():
        qml.X(0)
        return qml.counts(qml.measure(0), all_outcomes=True)

    def two():
        outcomes = [qml.measure(0), qml.measure(1)]
        return qml.counts(outcomes, all_outcomes=True)

    assert sampled(device, one, 10, mcm_method=method)() == {0: 0, 1: 10}
    expected = {"00": 10, "01": 0, "10": 0, "11": 0}
    assert sampled(device, two, 10, mcm_method=method)() == expected


def impossible(x):
    qml.RX(x, 0)
    qml.CNOT([0, 1])
    qml.measure(0, postselect=1)
    return qml.expval(qml.Z(1)), qml.sample(wires=[0, 1])


def test_postselection_that_cannot_happen():
    node = sampled(StateVectorDevice(wires=3), impossible, 5)
    with pytest.raises(InputError, match="`postselect` must have a chance above 0"):
        node(0.0)
    value, samples = jax.jit(node)(0.0)  # as in exact results: no number
    assert np.isnan(value)
    assert np.all(samples == np.iinfo(np.int32).min)
    value, samples = jax.jit(node)(1.0)
    assert value == -1
    np.testing.assert_array_equal(samples, np.ones((5, 2)))


def test_work_wires_that_an_operation_does_not_name_are_no_others():
    # PhaseAdder's `wires` are those of its number alone.
    def circuit():
        qml.BasisState([0, 1, 1], ["a", 2, 0])
        qml.QFT(["a", 2, 0])
        qml.PhaseAdder(3, ["a", 2, 0], mod=5, work_wire=[1])
        qml.adjoint(qml.QFT)(["a", 2, 0])
        return qml.sample(wires=["a", 2, 0])

    for wires in (None, ["a", 0, 1, 2]):
        node = qml.set_shots(
            qml.QNode(circuit, qml.device("qfm.statevector", wires=wires)), 20
        )
        np.testing.assert_array_equal(node(), np.tile([0, 0, 1], (20, 1)))  # 6 mod 5


@pytest.mark.parametrize("copies", [40, (40, 20)])
def test_a_compiled_program_has_the_shadow_that_the_host_draws(copies):
    @qml.set_shots(copies)
    @qml.qnode(qml.device("qfm.statevector", wires=3, seed=4))
    def node(x):
        qml.BasisState([1, 0, 1], range(3))
        qml.RZ(x, 1)
        return qml.classical_shadow(range(3), seed=3)

    for found in (node(0.4), jax.jit(node)(0.4)):
        for bits, recipes in found if isinstance(copies, tuple) else [found]:
            of_z = np.asarray(recipes) == 2
            wanted = np.broadcast_to([1, 0, 1], of_z.shape)
            np.testing.assert_array_equal(np.asarray(bits)[of_z], wanted[of_z])
            assert of_z.any()
