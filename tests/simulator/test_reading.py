"""Programs of any kind, as users write them: default.qubit and closed forms."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest
from pennylane.exceptions import DeviceError

from qfm_jax import as_jax_function
from qfm_jax._checks import InputError
from qfm_jax.simulator import StateVectorDevice, memory, native, simulation

RNG = np.random.default_rng(0)
HERMITIAN = np.array([[0.5, 0.2 - 0.1j], [0.2 + 0.1j, -0.3]])


def spread():
    """A state without symmetry on three wires, made of fixed gates alone."""
    for wire in range(3):
        qml.RY(0.3 + wire, wire)
        qml.RZ(0.7 * wire + 0.2, wire)
    qml.CNOT([0, 1])
    qml.CNOT([1, 2])


def qaoa(x):
    for wire in range(3):
        qml.Hadamard(wire)
    for wire in range(3):
        qml.IsingZZ(x, [wire, (wire + 1) % 3])
    for wire in range(3):
        qml.RX(2 * x, wire)


def constant_start(x):
    spread()
    qml.CRZ(x, [0, 1])
    qml.Hadamard(0)
    qml.MultiRZ(0.4, range(3))
    qml.IsingXX(x, [0, 2])


def filters(x):
    spread()
    qml.exp(qml.Z(0), 0.4)
    qml.RY(2 * x, 0)
    qml.CNOT([0, 1])
    qml.exp(qml.Z(1) @ qml.X(2), -x)


def traced_matrix(x):
    spread()
    rows = [[jnp.cos(x), 0.3 * jnp.sin(x)], [jnp.sin(x), jnp.cos(x)]]
    qml.QubitUnitary(jnp.array(rows) if _is_jax(x) else np.array(rows), 0)
    qml.CNOT([0, 1])


def _is_jax(x):
    return isinstance(x, jax.Array)


def complex_parameters(x):
    spread()
    qml.exp(qml.Z(0), -1j * x)
    qml.s_prod(1j, qml.Z(1))
    qml.exp(qml.Z(0) @ qml.X(1), 1j * x)
    qml.GlobalPhase(0.3j)
    qml.evolve(qml.Y(1) @ qml.X(2), x)


def projections(x):
    spread()
    qml.Projector([1], 0)
    qml.exp(qml.Z(1), 0.4)
    qml.ctrl(qml.Projector([1], 1), 2)
    qml.prod(qml.Projector([1], 2), qml.Hadamard(2))
    qml.RY(x, 2)


def late_preparations(x):
    spread()
    qml.RX(x, 0)
    qml.StatePrep(np.array([0.6, 0, 0, 0.8]), [1, 2])
    qml.BasisState([1, 0], [0, 1])
    qml.RY(x, 1)


def chemistry(x):
    qml.RY(0.6, 0)
    qml.ParticleConservingU2(x * np.ones((1, 3)), [0, 1], np.array([1, 0]))
    qml.ParticleConservingU2(x * np.ones((1, 5)), [0, 1, 2], np.array([1, 0, 0]))


def walk(x):
    spread()
    qml.RX(x, 1)
    for _ in range(2):
        qml.Qubitization(qml.dot([0.3, 0.7], [qml.X(1), qml.Z(1)]), control=[0])
        qml.PrepSelPrep(qml.dot([0.3, 0.7], [qml.X(2), qml.Z(2)]), control=[0])


def many_controls(x):
    spread()
    for wire in (3, 4):
        qml.RY(1.1 + wire, wire)
    qml.ctrl(qml.RX(x, 5), range(5))
    qml.MultiControlledX([5, 4, 3, 2, 1, 0], control_values=[0, 1, 0, 1, 1])
    qml.ctrl(qml.Rot(x, 0.2, 0.3, 2), [0, 1, 3, 4, 5], [0, 1, 0, 1, 1])
    qml.ctrl(qml.StronglyEntanglingLayers, 4)(x * np.ones((1, 3, 3)), range(3))
    qml.ctrl(qml.GlobalPhase(x), range(6))


def powers_and_adjoints(x):
    spread()
    qml.pow(qml.RX(x, 0), 0.5)
    qml.pow(qml.S(2), 0.5)
    qml.adjoint(qml.U3(x, 0.2, 0.3, 2))
    qml.adjoint(qml.CRot(x, 0.1, 0.2, [0, 1]))
    qml.adjoint(qml.exp(qml.Z(0), 0.3 * x))
    qml.adjoint(qml.StronglyEntanglingLayers)(x * np.ones((2, 3, 3)), range(3))


def arithmetic(x):
    spread()
    qml.RX(x, 0)
    qml.QFT(range(5))
    qml.PhaseAdder(5, range(4), 7, [4])
    qml.IntegerComparator(2, geq=False, wires=[2, 0, 1])
    qml.Select([qml.X(2), qml.RY(x, 2), qml.Z(2), qml.T(2)], control=[0, 1])
    qml.QROM([[1], [0], [0], [1]], [0, 1], [2], [3])


PROGRAMS = [
    *(qaoa, constant_start, filters, traced_matrix, complex_parameters, projections),
    *(late_preparations, chemistry, walk, many_controls, powers_and_adjoints),
    arithmetic,
]


def node(program, name, **how):
    @qml.qnode(qml.device(name, wires=6), **how)
    def circuit(x):
        program(x)
        return qml.expval(qml.Z(0) @ qml.X(1)), qml.expval(qml.Y(2)), qml.probs([2, 1])

    return lambda x: qml.math.hstack(circuit(x))


@pytest.mark.parametrize("program", PROGRAMS)
def test_values_and_slopes_are_those_of_default_qubit(program):
    ours, theirs = node(program, "qfm.statevector"), node(program, "default.qubit")
    x, step, factors = 0.8, 1e-5, np.arange(1.0, 7)
    want = theirs(x)
    np.testing.assert_allclose(ours(x), want, atol=1e-10)
    with jax.enable_x64(True):
        both = jax.jit(jax.value_and_grad(lambda x: ours(x) @ factors))
        value, slope = both(jnp.asarray(x))
        np.testing.assert_allclose(value, want @ factors, atol=1e-10)
        difference = (theirs(x + step) - theirs(x - step)) @ factors / (2 * step)
        np.testing.assert_allclose(slope, difference, atol=1e-7)
        many = jax.vmap(ours)(jnp.array([x, 0.3]))
        np.testing.assert_allclose(many, [want, theirs(0.3)], atol=1e-10)


def angle_of(angle_from):
    class Own(qml.operation.Operation):
        num_wires, num_params, ndim_params = 1, 1, (0,)

        @staticmethod
        def compute_decomposition(x, wires):
            return [qml.RX(angle_from(x), wires)]

    return Own


@pytest.mark.parametrize(
    ("angle_from", "x"),
    [
        (qml.math.abs, -0.7),
        (lambda x: qml.math.clip(x, -1.0, 1.0), 2.3),
        (lambda x: qml.math.where(x > 0.5, x, 3 * x), 0.4),
        (lambda x: 2e-9 * np.pi * x, 0.21e9),
        (lambda x: x**2, -0.6),
    ],
)
def test_own_decompositions_see_the_actual_value(angle_from, x):
    own = angle_of(angle_from)

    @qml.qnode(StateVectorDevice(wires=3))
    def circuit(x):
        own(x, wires=1)
        return qml.expval(qml.Y(1))

    with jax.enable_x64(True):
        want = lambda x: -jnp.sin(angle_from(x))  # noqa: E731
        for run in (circuit, jax.jit(circuit)):
            np.testing.assert_allclose(run(x), want(x), atol=1e-10)
        slopes = [jax.grad(f)(jnp.asarray(x)) for f in (circuit, want)]
        np.testing.assert_allclose(*slopes, rtol=1e-9)
        xs = jnp.asarray([x, -x, 0.1])
        np.testing.assert_allclose(jax.vmap(circuit)(xs), want(xs), atol=1e-10)


class Turns(qml.operation.Operation):
    """Keeps a list, an attribute, and reads a setting when it is decomposed."""

    num_wires, ndim_params, setting = 1, (0,), 1

    def __init__(self, x, wires, factor=1.0, pairs=()):
        self.factor = factor
        self._hyperparameters = {"pairs": list(pairs)}
        super().__init__(x, wires=wires)

    def decomposition(self):
        return [qml.RX(self.factor * self.data[0], self.wires)] * Turns.setting


def test_own_operations_keep_attributes_and_settings(monkeypatch):
    @qml.qnode(StateVectorDevice(wires=3))
    def circuit(x):
        Turns(x, 2, factor=2.0, pairs=[[0, 1]])
        return qml.expval(qml.Z(2))

    np.testing.assert_allclose(circuit(0.5), np.cos(1.0), atol=1e-12)
    monkeypatch.setattr(Turns, "setting", 3)
    np.testing.assert_allclose(circuit(0.5), np.cos(3.0), atol=1e-12)


OBSERVABLES = [
    lambda: qml.expval(qml.Hermitian(HERMITIAN, 0) @ qml.Z(1)),
    lambda: qml.var(qml.Hermitian(HERMITIAN, 0)),
    lambda: qml.expval(qml.Hermitian(HERMITIAN, 2) + 0.3 * qml.X(2)),
    lambda: qml.probs(op=qml.Hermitian(HERMITIAN, 0)),
    lambda: qml.expval((0.2 + 0.7j) * qml.Z(0)),
    lambda: qml.expval(qml.X(1) @ qml.Y(1) @ qml.Z(1) @ qml.X(0)),
    lambda: qml.var(qml.X(0) + 0.4 * qml.Z(0) @ qml.X(1)),
    lambda: qml.var(0.7 * qml.Y(2)),
    lambda: qml.var(0.3j * qml.Z(0) + qml.X(1)),
    lambda: qml.expval(qml.Projector([1, 0], [2, 0])),
    lambda: qml.purity([1]),
    lambda: qml.density_matrix([2, 0]),
]


@pytest.mark.filterwarnings("ignore:Using qp.probs with a Hermitian")
@pytest.mark.filterwarnings("ignore:Casting complex values to real")
@pytest.mark.parametrize("observed", OBSERVABLES)
def test_observables_are_those_of_default_qubit(observed):
    def circuit(x):
        spread()
        qml.RX(x, 0)
        return observed()

    want = qml.QNode(circuit, qml.device("default.qubit", wires=3))(0.7)
    ours = qml.QNode(circuit, StateVectorDevice(wires=3))
    np.testing.assert_allclose(ours(0.7), want, atol=1e-10)
    with jax.enable_x64(True):
        for run in (ours, jax.jit(ours)):
            found = run(jnp.asarray(0.7))
            np.testing.assert_allclose(found, want, atol=1e-10)


def test_a_batch_that_a_decomposition_does_not_carry_runs_sample_by_sample():
    def circuit(x, w):
        qml.AngleEmbedding(x, range(3))
        qml.StronglyEntanglingLayers(w, range(3))
        qml.prod(qml.RX(x[..., 0], 0), qml.RY(0.3, 1))
        qml.PauliRot(x[..., 1], "XYZ", range(3))
        qml.exp(qml.X(2), 1j * x[..., 2])
        return qml.expval(qml.Z(0)), qml.probs([2, 1])

    ours, theirs = (
        qml.QNode(circuit, qml.device(name, wires=3))
        for name in ("qfm.statevector", "default.qubit")
    )
    x, w = RNG.uniform(-1, 1, (4, 3)), RNG.uniform(-1, 1, (4, 2, 3, 3))
    each = [theirs(*pair) for pair in zip(x, w, strict=True)]
    want = [np.stack(results) for results in zip(*each, strict=True)]
    with jax.enable_x64(True):
        for values in ((x, w), (jnp.array(x), jnp.array(w))):
            for found, value in zip(ours(*values), want, strict=True):
                np.testing.assert_allclose(found, value, atol=1e-10)


WIDE = qml.prod(*map(qml.X, range(5)), qml.Y(5))


@pytest.mark.parametrize(
    "make",
    [
        lambda x: qml.exp(WIDE, 0.1 - 1j * x),
        lambda x: qml.ctrl(qml.exp(WIDE, 1j * x), 6),
        lambda x: qml.prod(qml.RX(x, 0), qml.evolve(WIDE, x)),
        lambda x: qml.ControlledSequence(qml.RX(x, 6), range(4)),
        lambda x: qml.ctrl(qml.change_op_basis(qml.S(2), qml.RY(x, 2)), 1),
    ],
)
def test_a_batch_of_operators_of_operators_is_that_of_its_samples(make):
    def circuit(x):
        for wire in range(7):
            qml.RY(0.3 + wire, wire)
        qml.change_op_basis(qml.RX(x, 1), qml.RZ(2 * x, 1), qml.RY(x, 1))
        make(x)
        qml.evolve(WIDE, x)
        return qml.state()

    ours, theirs = (
        qml.QNode(circuit, qml.device(name, wires=7))
        for name in ("qfm.statevector", "default.qubit")
    )
    x = np.array([0.4, -1.3, 2.2])
    want = np.stack(list(map(theirs, x)))
    np.testing.assert_allclose(ours(x), want, atol=1e-10)
    with jax.enable_x64(True):
        np.testing.assert_allclose(ours(jnp.array(x)), want, atol=1e-10)


class Filter(qml.operation.Operation):
    """An operation of two parts, the last of them not unitary, and of no matrix."""

    def decomposition(self):
        return [qml.CRX(0.7, self.wires[:2]), qml.exp(qml.Z(self.wires[1]), 0.4)]


@pytest.mark.parametrize("exponent", [-1, -3, 2])
def test_powers_of_what_has_no_matrix_repeat_it_or_its_inverse(exponent):
    def state(device, op):
        @qml.qnode(qml.device(device, wires=3))
        def circuit():
            spread()
            op()
            return qml.state()

        return circuit()

    def dense():
        matrix = qml.matrix(Filter([2, 0]), wire_order=[2, 0])
        power = np.linalg.matrix_power(matrix, exponent)
        return qml.QubitUnitary(power, [2, 0], unitary_check=False)

    found = state("qfm.statevector", lambda: qml.pow(Filter([2, 0]), exponent))
    np.testing.assert_allclose(found, state("default.qubit", dense), atol=1e-12)


def test_whole_numbers_and_free_memory_are_no_part_of_a_program(monkeypatch):
    @qml.qnode(StateVectorDevice(wires=3))
    def circuit(w, k):
        qml.RX(w, 0)
        qml.IsingXX(k, [0, 1])
        return qml.expval(qml.Z(0))

    circuit(jnp.asarray(0.3), 1)
    before = simulation.plan.cache_info().misses, simulation._jitted._cache_size()
    free = memory.available_bytes()
    for k in (2, 3):
        monkeypatch.setattr(memory, "available_bytes", lambda k=k: free // 4**k)
        circuit(jnp.asarray(0.3), k)
        np.testing.assert_allclose(circuit(0.3, k), np.cos(0.3) * np.cos(k), atol=1e-6)
    after = simulation.plan.cache_info().misses, simulation._jitted._cache_size()
    assert after[1] == before[1]
    assert after[0] <= before[0] + 1  # NumPy's precision


def test_fixed_gates_are_multiplied_before_they_are_compiled():
    def program(n_gates):
        @jax.jit
        @qml.qnode(StateVectorDevice(wires=3))
        def circuit(x):
            for i, angles in enumerate(RNG.uniform(-3, 3, (n_gates, 3))):
                qml.U3(*angles, i % 3)
                qml.CNOT([i % 3, (i + 1) % 3])
            qml.RX(x, 0)
            return qml.expval(qml.Z(0))

        return circuit.lower(0.3).as_text()

    few, many = (program(n).count("\n") for n in (20, 300))
    assert many < 2 * few


@pytest.mark.parametrize("fixed_every", [None, 3])
def test_many_gates_on_few_wires_compile_to_few_products(fixed_every):
    def circuit(w):
        for i in range(60):
            qml.RX(0.3 if fixed_every and i % fixed_every else w[i], i % 3)
            qml.CRY(w[i], [i % 3, (i + 1) % 3])
        return qml.probs(range(3))

    w = RNG.uniform(-3, 3, 60)
    want = qml.QNode(circuit, qml.device("default.qubit", wires=3))(w)
    with jax.enable_x64(True):
        ours = jax.jit(qml.QNode(circuit, StateVectorDevice(wires=3)))
        np.testing.assert_allclose(ours(jnp.asarray(w)), want, atol=1e-10)


def explained(program, **how):
    tape = qml.tape.make_qscript(program)(0.3)
    tape = tape.copy(measurements=[qml.expval(qml.Z(0))])
    return StateVectorDevice(wires=6).explain(tape, **how)


def test_the_device_explains_what_it_does():
    plain = explained(qaoa)
    assert plain.differentiation == "reversible"
    assert (plain.n_wires, plain.gates) == (3, 6)  # no measurement sees the others
    assert explained(qaoa, diff_method="backprop").reason == "it was asked for"
    filtered = explained(filters)
    assert filtered.differentiation == "backprop"
    assert filtered.reason == "it is not known that these are unitary: Exp"
    assert "lack one of its gates" in filtered.not_native or not native.are_there()
    assert filtered.bytes_per_sample > plain.bytes_per_sample
    assert "Qubitization" in explained(walk).decomposed
    assert not plain.not_native or plain.not_native == native.why_missing()
    text = str(explained(walk))
    for part in (
        "3 of 3 wires",
        "native kernels",
        "PrepSelPrep",
        "from a budget of",
        "MiB",
    ):
        assert part in text


def test_a_unitary_that_is_declared_is_undone(by_xla):
    def circuit(declared, x):
        op = qml.QubitUnitary(qml.RX.compute_matrix(x), 0)
        if declared:
            op.known_unitary = True
        qml.CNOT([0, 1])
        return qml.expval(qml.Z(1))

    def found(declared):
        run = qml.QNode(partial(circuit, declared), StateVectorDevice(wires=2))
        return str(jax.make_jaxpr(jax.grad(run))(0.3))

    for declared in (True, False):
        assert ("evolve_state" in found(declared)) == declared


class Endless(qml.operation.Operation):
    num_wires = 1

    def decomposition(self):
        return [Endless(self.wires)]


class Wrong(qml.operation.Operation):
    num_wires, num_params = 1, 1

    @staticmethod
    def compute_matrix(value):
        return value


class Escaping(qml.operation.Operation):
    num_wires = 1

    def decomposition(self):
        return [qml.X(17)]


class Broken(qml.operation.Operation):
    num_wires = 1

    def decomposition(self):
        return [qml.X(self.wires[3])]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Endless(0), "must have a decomposition that ends, but Endless"),
        (lambda: Wrong(np.eye(4), 0), r"must have a matrix of shape \(2, 2\)"),
        (lambda: Wrong(np.full((2, 2), np.nan), 0), "matrix of finite numbers"),
        (lambda: qml.QubitUnitary(np.full((2, 2), np.inf), 0), "finite numbers"),
        (lambda: Escaping(0), "must act on the device's wires .* on wire 17"),
        (lambda: qml.AmplitudeDamping(0.1, 0), "must have a matrix or a decomposition"),
    ],
)
def test_what_cannot_run_is_refused_in_a_sentence(make, sentence):
    @qml.qnode(StateVectorDevice(wires=3))
    def circuit():
        make()
        return qml.expval(qml.Z(0))

    with pytest.raises(InputError, match=sentence):
        circuit()
    with pytest.raises(InputError, match=sentence):
        jax.jit(circuit)()


def test_a_users_own_error_stays_what_it_is():
    @qml.qnode(StateVectorDevice(wires=3))
    def circuit():
        Broken(0)
        return qml.expval(qml.Z(0))

    with pytest.raises(IndexError, match="out of range"):
        circuit()

    class Whole:
        n_qubits = 3

        def __call__(self, inputs, weights):
            Broken(0)
            return [qml.expval(qml.Z(0))]

    with pytest.raises(IndexError, match="out of range"):
        as_jax_function(Whole())(jnp.zeros(3), jnp.zeros(0))


def test_a_density_matrix_is_refused_before_anything_runs():
    op = qml.QubitDensityMatrix(np.diag([1.0, 0, 0, 0]), wires=[0, 1])
    pipeline = StateVectorDevice(wires=3).preprocess_transforms()
    must = (
        "`operation` must have a matrix or a decomposition, but is QubitDensityMatrix"
    )
    with pytest.raises(InputError, match=must):
        pipeline((qml.tape.QuantumScript([op], [qml.expval(qml.Z(0))]),))


@pytest.mark.parametrize(
    "obs",
    [
        qml.prod(qml.RX(1.23, 0), qml.Identity(1)),
        qml.change_op_basis(qml.X(0), qml.RX(0.3, 1)),
        qml.sum(qml.X(0), qml.RY(0.4, 1)),
    ],
)
def test_what_is_no_observable_is_refused_before_anything_runs(obs):
    @qml.qnode(qml.device("qfm.statevector", wires=3))
    def circuit():
        return qml.expval(obs)

    with pytest.raises(DeviceError, match="not accepted for analytic simulation"):
        circuit()
