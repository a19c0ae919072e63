"""Every observable and measurement of PennyLane, exact and with shots."""

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest
from pennylane.exceptions import DeviceError, QuantumFunctionError
from simulator.programs.readouts import READOUTS, REFUSALS, SPARSE, WORDS
from simulator.programs.running import ANGLES, Program, flat, hermitian, node_of
from simulator.programs.sample import check, sampled
from simulator.programs.shots import SAMPLED, SHOTS

# PennyLane says so of `probs` of a matrix, and of a variance with complex parts.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Using qp.probs with a Hermitian"),
    pytest.mark.filterwarnings("ignore:Casting complex values to real"),
]


@pytest.mark.parametrize(
    ("name", "mode", "start", "precision"), sampled(READOUTS, share=0.4)
)
def test_a_readout_gives_what_default_qubit_gives(name, mode, start, precision):
    check(READOUTS[name], mode, start, precision)


@pytest.mark.parametrize("name", sorted(REFUSALS))
@pytest.mark.parametrize("device", ["default.qubit", "qfm.statevector"])
def test_what_default_qubit_refuses_is_refused(name, device):
    program = REFUSALS[name]
    with pytest.raises((QuantumFunctionError, DeviceError, NotImplementedError)):
        node_of(program, "rotations", device)(ANGLES, *program.values)


def test_a_sparse_matrix_has_the_variance_of_its_words():
    def both():
        return qml.var(qml.SparseHamiltonian(SPARSE, range(3))), qml.var(WORDS)

    node = node_of(Program(both, is_readout=True), "rotations", "qfm.statevector")
    sparse, words = node(ANGLES)
    np.testing.assert_allclose(sparse, words, atol=1e-12)


def test_a_product_that_is_not_hermitian_has_a_complex_mean():
    # `default.qubit` takes the eigenvectors of its matrix for orthogonal.
    product = qml.prod(qml.Hermitian(hermitian(4), [2, 0]), qml.X(2))
    node = node_of(
        Program(lambda: qml.expval(product), is_readout=True),
        "rotations",
        "qfm.statevector",
    )
    state = node_of(Program(qml.state, is_readout=True), "rotations", "default.qubit")
    vector = state(ANGLES)
    mean = vector.conj() @ qml.matrix(product, wire_order=range(3)) @ vector
    assert abs(mean.imag) > 0.01
    np.testing.assert_allclose(node(ANGLES), mean, atol=1e-12)


@pytest.mark.parametrize(
    "labels", [(2, 0, 1), (1, 2, 3), ("b", "a", 7), (3, 0, 1), (0, 2, 1)]
)
def test_a_device_without_wires_orders_them_as_default_qubit_does(labels):
    def circuit(measure, read):
        for i, wire in enumerate(labels):
            qml.RY(0.3 + 0.5 * i, wire)
        qml.CNOT(labels[:2])
        return measure() if read is None else (measure(), qml.expval(qml.Z(read)))

    for measure in (qml.state, qml.probs):
        for read in (None, labels[0], 3):  # 3 may be a wire that is only measured
            ours, theirs = (
                qml.QNode(circuit, qml.device(name))(measure, read)
                for name in ("qfm.statevector", "default.qubit")
            )
            for one, other in zip(flat(ours), flat(theirs), strict=True):
                np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("interface", ["numpy", "jax", "jit"])
@pytest.mark.parametrize("name", sorted(SAMPLED))
def test_samples_have_the_mean_that_default_qubit_computes(name, interface):
    if interface == "jit" and name.startswith(("Counts", "Classical", "Shadow")):
        pytest.skip("counts have no fixed shape, and PennyLane draws shadows by NumPy")
    measure, mean, exact = SAMPLED[name]
    judge = node_of(Program(exact, is_readout=True), "rotations", "default.qubit")
    wanted = np.hstack([np.asarray(part).ravel() for part in flat(judge(ANGLES))])
    drawn = _draw(measure, interface)
    again = _draw(measure, interface)
    got = np.ravel(mean(drawn))
    # Six standard deviations; those of shadows are larger.
    atol = (6 if "Shadow" not in name else 30) / np.sqrt(SHOTS)
    np.testing.assert_allclose(got, wanted, atol=atol)
    np.testing.assert_array_equal(got, np.ravel(mean(again)))  # the same seed, or key


def _draw(measure, interface):
    device = qml.device("qfm.statevector", seed=11)
    node = qml.set_shots(
        qml.QNode(_circuit(Program(measure, is_readout=True)), device), SHOTS
    )
    if interface == "numpy":
        return node(ANGLES)

    def run(angles, key):
        with device.sampling_key(key):
            return node(angles)

    run = jax.jit(run) if interface == "jit" else run
    return run(jnp.asarray(ANGLES), jax.random.key(5))


def _circuit(program):
    return node_of(program, "rotations", "qfm.statevector").func


NOT_HERMITIAN = {
    "exponential": lambda: qml.exp(qml.X(0) @ qml.Y(1), 0.3j),
    "product": lambda: qml.prod(qml.exp(qml.Z(0), 0.4j), qml.X(1)),
    "product of one wire": lambda: qml.prod(qml.X(0), qml.Y(0)),
    "adjoint": lambda: qml.adjoint(qml.exp(qml.Y(1), 0.2j)),
    "evolution": lambda: qml.evolve(qml.X(0), 0.7),
    "real exponential": lambda: qml.exp(qml.X(0), 0.3),
}


@pytest.mark.parametrize("kind", [qml.expval, qml.var])
@pytest.mark.parametrize("name", NOT_HERMITIAN)
def test_what_is_not_hermitian_has_the_mean_and_variance_of_default_qubit(name, kind):
    def circuit(x):
        for wire in range(3):
            qml.RY(x + wire, wire)
            qml.RZ(0.3 + wire, wire)
        qml.CNOT([0, 1])
        qml.CNOT([1, 2])
        return kind(NOT_HERMITIAN[name]())

    ours, theirs = (
        qml.QNode(circuit, qml.device(device, wires=3))(0.4)
        for device in ("qfm.statevector", "default.qubit")
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize(
    "obs",
    [
        qml.Projector([0, 1], [0, 1]),
        qml.Projector([0.6, 0.8j], [1]),
        qml.Hermitian(np.array([[1, 2j], [-2j, 3]]), 0) @ qml.Z(1),
        qml.X(0) @ qml.Z(2) + 0.5 * qml.Y(1),
    ],
)
def test_what_is_hermitian_has_a_real_mean(obs):
    @qml.qnode(qml.device("qfm.statevector", wires=3))
    def circuit():
        qml.Hadamard(0)
        qml.CNOT([0, 1])
        return qml.expval(obs)

    assert circuit().dtype == float
