"""States on eight devices against the same circuits on one; `test_sharded.py` runs it.

The references are NumPy's: values, and slopes by finite differences of fourth order,
whose error is far below what is asked for. Nothing is compiled for them.

    python sharded_circuits.py NAME...   the checks with these names
"""

import re
import sys
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest

from qfm_jax._checks import InputError
from qfm_jax.simulator import memory

N, DEVICES, H = 6, 8, 1e-3
RNG = np.random.default_rng(7)


def node(circuit, n, measured, method="adjoint", **how):
    device = qml.device("qfm.statevector", wires=n, **how)

    @qml.qnode(device, diff_method=method)
    def run(*args):
        circuit(*args)
        return measured()

    return run


def sharded(circuit, n, measured, method="adjoint", devices=DEVICES):
    return node(circuit, n, measured, method, devices=devices, shard_above=0)


def close(found, expected, atol):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=atol),
        found,
        expected,
    )


def check_slopes(slopes, function, args):
    """Along random directions: a wrong entry of any slope would show."""
    for _ in range(3):
        way = [RNG.normal(size=array.shape) for array in args]
        length = np.sqrt(sum((d**2).sum() for d in way))
        way = [d / length for d in way]  # so that the differences err by 1e-12
        at = lambda t: function(*(x + t * d for x, d in zip(args, way, strict=True)))  # noqa: B023, E731
        expected = (8 * (at(H) - at(-H)) - at(2 * H) + at(-2 * H)) / (12 * H)
        found = sum(np.vdot(d, slope) for d, slope in zip(way, slopes, strict=True))
        close(found, expected, 1e-10)


ANGLE_GATES = [
    *(qml.RX, qml.RY, qml.RZ, qml.PhaseShift, qml.CRX, qml.CRZ, qml.IsingXX),
    *(qml.IsingZZ, qml.ControlledPhaseShift, qml.SingleExcitation, qml.MultiRZ),
]
FIXED_GATES = [qml.Hadamard, qml.S, qml.X, qml.CNOT, qml.CZ, qml.SWAP, qml.Toffoli]


def random_circuit(seed):
    """Every kind of gate in a random order on random wires; angles are arguments."""
    rng = np.random.default_rng(seed)
    gates = [
        (kind, tuple(int(w) for w in rng.permutation(N)[: kind.num_wires or 3]))
        for kind in rng.permutation([*ANGLE_GATES, *FIXED_GATES])
    ]
    dense = qml.matrix(qml.Rot(0.1, 0.2, 0.3, 0) @ qml.RY(0.4, 1)) @ np.diag(
        [1, 1j, 1, -1]
    )

    def circuit(angles, amplitudes):
        qml.AmplitudeEmbedding(amplitudes, [4, 1], normalize=True)
        for (kind, wires), angle in zip(gates, angles, strict=True):
            kind(*([angle] if kind in ANGLE_GATES else []), wires=wires)
        qml.QubitUnitary(dense, [5, 0])
        qml.DiagonalQubitUnitary(jnp.exp(1j * jnp.arange(2**N) * 0.37), range(N))
        qml.DiagonalQubitUnitary(np.array([1, 1j, -1, 1]), [2, 3])
        qml.GlobalPhase(angles[0])
        qml.RX(angles[1], 3)

    return circuit, (rng.uniform(-2, 2, len(gates)), rng.uniform(0.1, 1, 4))


def words():
    """No basis measures all of them; each letter falls on every device bit."""
    return (
        *(qml.expval(qml.prod(*(p(w) for w in range(N)))) for p in (qml.X, qml.Y)),
        qml.expval(0.3 * qml.X(0) @ qml.Z(1) + 0.7 * qml.Y(5) - qml.Z(3)),
        qml.var(qml.Z(2)),
        *(qml.expval(qml.Y(w) @ qml.Z((w + 1) % N)) for w in range(N)),
    )


def check_every_kind_of_gate(seed=7):
    circuit, args = random_circuit(seed)
    weights = RNG.uniform(-1, 1, 4 + N)
    alone, together = (f(circuit, N, words) for f in (node, sharded))

    def loss(run):
        return lambda *args: sum(
            w * r for w, r in zip(weights, run(*args), strict=True)
        )

    value, found = jax.jit(jax.value_and_grad(loss(together), (0, 1)))(*args)
    assert len(value.sharding.device_set) == DEVICES
    close(value, loss(alone)(*args), 1e-13)
    check_slopes(found, loss(alone), args)


def check_more_circuits():
    for seed in (1, 2, 3):
        check_every_kind_of_gate(seed)


def check_a_batch_by_backprop_on_four_devices():
    def circuit(angles, features):
        qml.IQPEmbedding(features, range(4))
        qml.AngleEmbedding(features, range(4), rotation="X")
        qml.BasicEntanglerLayers(angles, range(4))
        qml.Rot(*features[:3], 1)

    def measured():
        return qml.expval(qml.X(0) @ qml.X(3))  # one basis: turned into Z

    args = RNG.uniform(-1, 1, (1, 4)), RNG.uniform(-1, 1, (3, 4))
    together = sharded(circuit, 4, measured, "backprop", 4)
    alone = node(circuit, 4, measured)

    def plain(angles, features):
        return sum(alone(angles, row) ** 2 for row in features)

    def loss(angles, features):
        return (jax.vmap(together, (None, 0))(angles, features) ** 2).sum()

    value, found = jax.jit(jax.value_and_grad(loss, (0, 1)))(*args)
    close(value, plain(*args), 1e-13)
    check_slopes(found, plain, args)


def check_numpy_in_numpy_out():
    def circuit(angle):
        for wire in range(3):
            qml.RY(angle + wire, wire)
            qml.CNOT([wire, (wire + 1) % 3])

    def measured():
        return qml.expval(qml.Z(2)), qml.expval(qml.Y(1))

    run = sharded(circuit, 3, measured, devices=2)
    expected = node(circuit, 3, measured)(0.4)
    found = run(0.4)
    assert all(isinstance(value, np.ndarray) for value in found)
    close(found, expected, 1e-14)
    close(jax.jit(lambda: run(0.4))(), expected, 1e-14)  # constants of a program
    placed = jax.device_put(0.4, jax.devices()[1])
    close(run(placed), expected, 1e-14)


def check_the_traffic_and_that_no_device_holds_a_state():
    n = 15

    def circuit(angles):
        for wire in range(n):
            qml.RY(angles[wire], wire)
        for wire in range(13):  # the last two lead, and need not move
            qml.CNOT([wire, (wire + 1) % 13])
            qml.RX(angles[wire], wire)

    run = sharded(circuit, n, lambda: qml.expval(qml.prod(*map(qml.Z, range(n)))))
    angles = jax.ShapeDtypeStruct((n,), float)
    text = jax.jit(jax.value_and_grad(run)).lower(angles).compile().as_text()
    state = 2 * 2**n  # numbers
    assert "all-gather" not in text
    assert max(map(size, re.findall(r"f64\[([\d,]+)\]", text))) <= state / 4
    # Each device makes 2^s pieces of its part and keeps one: s qubits change places.
    exchanges = [
        [size(piece) for piece in re.findall(r"f64\[([\d,]+)\]", shapes)]
        for shapes in re.findall(r"= \((.*)\) all-to-all\(", text)
    ]
    assert {sum(pieces) for pieces in exchanges} == {state / DEVICES}
    sent = [1 - pieces[0] / sum(pieces) for pieces in exchanges]
    print("exchanges send of a state:", *sent)
    # Qubit 12 comes, one that is done goes: forwards, undone, and of the cotangent.
    assert sent == [0.5] * 3


def refused(words, run, *args):
    with pytest.raises(InputError, match=words):
        run(*args)


def check_bad_input():
    def circuit(angle):
        qml.RX(angle, 0)
        qml.DoubleExcitation(angle, range(4))

    def z():
        return qml.expval(qml.Z(3))

    widest = "`devices` must leave each device .* 4 qubits .* Choose at most 1 devices"
    refused(widest, sharded(circuit, 4, z), 0.1)
    pauli = "`measurement` must be the expectation or variance of a few Pauli words"
    refused(pauli, sharded(circuit, 8, lambda: qml.probs([0]), devices=2), 0.1)
    shots = qml.set_shots(sharded(circuit, 8, z, "parameter-shift", devices=2), 10)
    refused(pauli, shots, 0.1)
    there = "`devices` must be at most 8, but is 16"
    refused(there, lambda: qml.device("qfm.statevector", devices=16))


def check_what_one_device_cannot_hold_eight_can():
    available, memory.available_bytes = memory.available_bytes, lambda: 3 * 2**30
    try:
        qml.device("qfm.statevector", wires=30, devices=8)
        for wires, n_devices in ((30, 4), (28, 1)):
            how = {"wires": wires, "devices": n_devices}
            fits = "`wires` must fit the memory of .*, or more `devices`"
            refused(fits, lambda how=how: qml.device("qfm.statevector", **how))
    finally:
        memory.available_bytes = available


def size(shape):
    return prod(map(int, shape.split(",")))


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    for name in sys.argv[1:]:
        globals()[name]()
        print("passed:", name, flush=True)
