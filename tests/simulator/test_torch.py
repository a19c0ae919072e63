"""PyTorch on the device, against default.qubit with backprop in double precision."""

import numpy as np
import pennylane as qml
import pytest

torch = pytest.importorskip("torch")

N, LAYERS, BATCH = 3, 2, 4
RNG = np.random.default_rng(5)
WEIGHTS = RNG.uniform(-2, 2, (LAYERS, N, 3))
FEATURES = RNG.uniform(-2, 2, (BATCH, N))


class Clipped(qml.operation.Operation):
    """A rotation by |angle|, scaled by what the object keeps to itself."""

    num_wires = 1
    num_params = 1
    ndim_params = (0,)

    def __init__(self, angle, wires, scale=1.0):
        super().__init__(angle, wires=wires)
        self.scale = scale

    def decomposition(self):
        return [qml.RX(self.scale * abs(self.data[0]), self.wires)]


def strong(x, w):
    qml.AngleEmbedding(x, range(N), rotation="Y")
    qml.StronglyEntanglingLayers(w, range(N))
    return qml.expval(qml.Z(0)), qml.probs(wires=[2, 1])


def behind_hadamards(x, w):
    for wire in range(N):
        qml.Hadamard(wire)
    qml.IsingZZ(w[0, 0, 0], [0, 2])
    qml.CRX(w[1, 0, 0], [1, 2])
    qml.RX(x[..., 0], 1)
    return qml.expval(qml.X(2) @ qml.Z(1)), qml.var(qml.Y(1))


def own_gate(x, w):
    qml.RY(x[..., 1], 0)
    Clipped(w[0, 0, 0], 0, scale=0.5)
    Clipped(w[0, 1, 0], 1, scale=1.5)
    qml.CNOT([0, 1])
    return qml.expval(qml.Z(1)), qml.expval(qml.Y(0))


def amplitudes(x, w):
    qml.AmplitudeEmbedding(x + 0.1j * w[0, 0, :], [2, 0], pad_with=0.3, normalize=True)
    qml.Rot(*w[1, 1], wires=2)
    qml.CNOT([2, 1])
    state = torch.tensor([[0.5, 0.2j], [-0.2j, -1.0]], dtype=torch.complex128)
    return qml.expval(qml.Hermitian(state, 1)), qml.probs(wires=[0])


def whole_state(x, w):
    qml.AngleEmbedding(x, range(N))
    qml.StronglyEntanglingLayers(w, range(N))
    return qml.state()


def beside_an_own_gate(x, w):
    Clipped(w[0, 0, 0], 1, scale=2.0)
    qml.AngleEmbedding(x, range(N))
    qml.exp(qml.X(0) @ qml.Z(1), 0.3 * w[0, 0, 1])
    qml.exp(qml.Y(2), 1j * w[0, 0, 2])
    qml.s_prod(w[0, 1, 0], qml.Identity())
    return qml.expval(qml.dot(w[1, 0], [qml.Z(0), qml.X(1) @ qml.Y(2), qml.Z(2)]))


CIRCUITS = [
    *(strong, behind_hadamards, own_gate, amplitudes, whole_state),
    beside_an_own_gate,
]


def loss_of(node):
    """A loss that gives each result a weight of its own."""

    def loss(x, w):
        results = node(x, w)
        results = results if isinstance(results, tuple) else (results,)
        total = 0
        for result in results:
            # Complex amplitudes enter by both of their parts.
            real = torch.view_as_real(result) if result.is_complex() else result
            weights = torch.arange(1, real.numel() + 1, dtype=real.dtype)
            total = total + (weights * torch.sin(real.flatten())).sum()
        return total

    return loss


def on(name, circuit, **how):
    return qml.QNode(circuit, qml.device(name, wires=N), interface="torch", **how)


def tensors(dtype=torch.float64, batch=True):
    x = torch.tensor(FEATURES if batch else FEATURES[0], dtype=dtype)
    w = torch.tensor(WEIGHTS, dtype=dtype)
    return x.requires_grad_(), w.requires_grad_()


def value_and_gradient(node, x, w):
    loss = loss_of(node)(x, w)
    return loss.detach().numpy(), *torch.autograd.grad(loss, (x, w))


@pytest.mark.parametrize("batch", [False, True], ids=["one", "batch"])
@pytest.mark.parametrize("circuit", CIRCUITS)
def test_values_and_gradients_are_those_of_default_qubit(circuit, batch):
    x, w = tensors(batch=batch)
    nodes = on("qfm.statevector", circuit), on("default.qubit", circuit)
    got, expected = (value_and_gradient(node, x, w) for node in nodes)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)
    assert got[1].dtype == torch.float64
    assert got[1].shape == x.shape
    assert got[2].abs().max() > 0.1


@pytest.mark.parametrize(
    "method", ["backprop", "adjoint", "parameter-shift", "finite-diff"]
)
def test_every_method_gives_the_gradient(method):
    x, w = tensors(batch=False)
    got = value_and_gradient(on("qfm.statevector", strong, diff_method=method), x, w)
    theirs = on("default.qubit", strong, diff_method="backprop")
    for one, other in zip(got, value_and_gradient(theirs, x, w), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    ("c_dtype", "dtype"), [(None, torch.float32), ("complex64", torch.float64)]
)
def test_single_precision_stays_single_whatever_jax_is_set_to(c_dtype, dtype):
    import jax

    x, w = tensors(dtype)
    expected = value_and_gradient(on("default.qubit", strong), *tensors())
    node = qml.QNode(strong, qml.device("qfm.statevector", wires=N, c_dtype=c_dtype))
    for x64 in (False, True, False):
        with jax.enable_x64(x64):
            assert node(x, w)[0].dtype == torch.float32
            got = value_and_gradient(node, x, w)
        assert got[2].dtype == dtype
        for one, other in zip(got, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=2e-5)


def test_second_derivatives_and_jacobians():
    _, w = tensors()
    x = torch.tensor(FEATURES[0])
    found = []
    for name in ("qfm.statevector", "default.qubit"):
        node = on(name, strong)
        jacobian = torch.autograd.functional.jacobian(lambda w, n=node: n(x, w)[1], w)
        hessian = torch.autograd.functional.hessian(
            lambda w, n=node: loss_of(n)(x, w), w
        )
        found.append((jacobian, hessian))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)


def test_a_batch_is_one_circuit_and_not_one_for_each_sample():
    device = qml.device("qfm.statevector", wires=N)
    node = qml.QNode(strong, device)
    x, w = tensors()
    with device.tracker:
        (node(x, w)[0].sum()).backward()
    assert device.tracker.totals["simulations"] == 1


def test_a_torch_layer_trains_as_on_default_qubit():
    def circuit(inputs, weights):
        qml.AngleEmbedding(inputs, range(N), rotation="Y")
        qml.StronglyEntanglingLayers(weights, range(N))
        return [qml.expval(qml.Z(i)) for i in range(N)]

    x = torch.tensor(FEATURES, dtype=torch.float32)
    losses = []
    for name in ("qfm.statevector", "default.qubit"):
        torch.manual_seed(3)
        quantum = qml.qnn.TorchLayer(on(name, circuit), {"weights": (LAYERS, N, 3)})
        model = torch.nn.Sequential(torch.nn.Linear(N, N), quantum)
        optimizer = torch.optim.Adam(model.parameters(), 0.1)
        row = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = ((model(x) - 0.5) ** 2).mean()
            loss.backward()
            optimizer.step()
            row.append(float(loss.detach()))
        losses.append(row)
    assert losses[0][-1] < losses[0][0]
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_an_own_gate_is_decomposed_with_the_numbers_of_each_call():
    node = on("qfm.statevector", own_gate)
    x, w = tensors(batch=False)
    for sign in (1, -1):  # |angle| has another gradient on the other side
        moved = (sign * w).detach().requires_grad_()
        expected = value_and_gradient(on("default.qubit", own_gate), x, moved)
        for one, other in zip(
            value_and_gradient(node, x, moved), expected, strict=True
        ):
            np.testing.assert_allclose(one, other, atol=1e-10)


def test_without_gradients_nothing_is_kept():
    x, w = tensors()
    node = on("qfm.statevector", strong)
    with torch.no_grad():
        result = node(x, w)[0]
    assert result.grad_fn is None
    np.testing.assert_allclose(result, node(x, w)[0].detach(), atol=1e-12)


def test_samples_of_tensors_have_a_gradient_by_the_shift_rule():
    node = qml.set_shots(
        qml.QNode(strong, qml.device("qfm.statevector", wires=N, seed=1)), 20_000
    )
    x, w = tensors(batch=False)
    value = node(x, w)[0]
    (gradient,) = torch.autograd.grad(value, w)
    exact = on("default.qubit", strong)(x, w)[0]
    np.testing.assert_allclose(value.detach(), exact.detach(), atol=0.05)
    (expected,) = torch.autograd.grad(exact, w)
    np.testing.assert_allclose(gradient, expected, atol=0.05)


def test_python_numbers_keep_their_precision_beside_tensors():
    # PyTorch's own default for them is float32.
    def circuit(x):
        qml.RY(x, 0)
        qml.RZ(1.3, 0)
        qml.CNOT([0, 1])
        qml.RX(0.1, 1)
        return qml.expval(qml.X(0) @ qml.Y(1))

    x = torch.tensor(0.83, dtype=torch.float64, requires_grad=True)
    found = {}
    for name in ("default.qubit", "qfm.statevector"):
        value = qml.QNode(circuit, qml.device(name, wires=3))(x)
        (gradient,) = torch.autograd.grad(value, x)
        found[name] = [value.item(), gradient.item()]
    np.testing.assert_allclose(*found.values(), atol=1e-14)


def test_the_interface_that_is_named_is_that_of_the_results():
    def circuit(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0)), qml.probs(wires=[1, 0])

    for x in (0.3, np.array([0.3, 0.7])):
        found = on("qfm.statevector", circuit)(x)
        for one, other in zip(found, on("default.qubit", circuit)(x), strict=True):
            torch.testing.assert_close(one, other)
