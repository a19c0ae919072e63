"""Diagonals that a gate gives entry by entry: one multiplication, not a matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest
import reference

N = 4
RNG = np.random.default_rng(8)
WEIGHTS = RNG.uniform(-2, 2, (3, N, 3)).astype(np.float32)


def operations(angles, weights):
    """Diagonals on all wires in another order, and on three of them."""
    for layer in range(3):
        yield qml.StronglyEntanglingLayers(weights[layer : layer + 1], range(N))
        yield qml.DiagonalQubitUnitary(jnp.exp(1j * angles * (layer + 1)), [2, 0, 3, 1])
        yield qml.DiagonalQubitUnitary(jnp.exp(-1j * angles[:8]), [3, 1, 0])
    yield qml.RX(0.3, 2)


def qnode(method):
    device = qml.device("qfm.statevector", wires=N, c_dtype="complex64")

    @qml.qnode(device, diff_method=method)
    def circuit(angles, weights):
        list(operations(angles, weights))  # queued as they are made
        return [qml.expval(qml.Z(i)) for i in range(N)]

    return lambda angles, weights: jnp.stack(circuit(angles, weights))


def expected(angles, weights):
    with qml.QueuingManager.stop_recording():
        made = list(operations(np.asarray(angles, float), np.asarray(weights, float)))
    made = [
        qml.DiagonalQubitUnitary(np.asarray(op.data[0], complex), op.wires)
        if isinstance(op, qml.DiagonalQubitUnitary)
        else op
        for op in made
    ]
    vector = reference.state(made, N)
    words = ["I" * i + "Z" + "I" * (N - 1 - i) for i in range(N)]
    return np.array([reference.expectation(vector, word) for word in words])


@pytest.mark.parametrize("method", ["backprop", "adjoint"])
def test_a_batch_of_diagonals_and_its_gradients_are_the_oracles(method):
    angles = RNG.normal(size=(5, 16)).astype(np.float32)
    run = jax.vmap(qnode(method), in_axes=(0, None))
    found = jax.jit(run)(angles, WEIGHTS)
    truth = np.stack([expected(a, WEIGHTS) for a in angles])
    np.testing.assert_allclose(found, truth, atol=2e-5)

    def loss(angles, weights):
        return (run(angles, weights) * jnp.arange(N)).sum()

    by_angles, by_weights = jax.jit(jax.grad(loss, (0, 1)))(angles, WEIGHTS)
    step = 1e-4
    for i, j in ((0, 3), (2, 15), (4, 8)):
        shift = np.zeros_like(angles, float)
        shift[i, j] = step
        slope = (
            expected(angles[i] + shift[i], WEIGHTS)
            - expected(angles[i] - shift[i], WEIGHTS)
        ) @ np.arange(N)
        assert abs(by_angles[i, j] - slope / (2 * step)) < 2e-3
    shift = np.zeros_like(WEIGHTS, float)
    shift[1, 2, 1] = step
    slope = sum(
        (expected(a, WEIGHTS + shift) - expected(a, WEIGHTS - shift)) @ np.arange(N)
        for a in angles
    )
    assert abs(by_weights[1, 2, 1] - slope / (2 * step)) < 2e-3


def test_ten_wires_compile_to_no_matrix_of_their_size():
    device = qml.device("qfm.statevector", wires=10)

    @qml.qnode(device)
    def circuit(angles):
        for wire in range(10):
            qml.Hadamard(wire)
        qml.DiagonalQubitUnitary(jnp.exp(1j * angles), range(10))
        qml.Hadamard(0)
        return qml.expval(qml.Z(0))

    angles = jnp.zeros((3, 1024)).at[1, 512:].set(jnp.pi)
    program = jax.jit(jax.vmap(circuit)).lower(angles)
    assert "1024x1024" not in program.as_text()
    np.testing.assert_allclose(program.compile()(angles), [1, -1, 1], atol=1e-5)
