"""The steps of which random programs are made, and what is read at their end."""

import numpy as np
import pennylane as qml
from simulator.programs.running import hermitian, unit, unitary

FIXED_1 = ("Hadamard", "PauliX", "PauliY", "S", "T", "SX")
FIXED_2 = ("CNOT", "CZ", "CY", "CH", "SWAP", "ISWAP", "ECR")
ANGLE_1 = ("RX", "RY", "RZ", "PhaseShift", "U1")
ANGLE_2 = (
    "CRX",
    "CRZ",
    "IsingXX",
    "IsingZZ",
    "IsingXY",
    "ControlledPhaseShift",
    "SingleExcitation",
    "PSWAP",
)
FUNCTIONS = {
    "itself": lambda x: x,
    "twice": lambda x: 2 * x - 0.3,
    "square": lambda x: x**2,
    "size": lambda x: qml.math.abs(x),
    "clip": lambda x: qml.math.clip(x, -0.5, 0.5) + 0.1 * x,
    "sine": lambda x: qml.math.sin(x),
}


def _angle(angle, parameters):
    kind, number = angle
    if kind == "constant":
        return 0.1 * number
    return FUNCTIONS[kind](parameters[number])


def _matrix(x):
    return qml.RY.compute_matrix(x)


def _vector(x):
    """A normalised real state of two qubits that depends on a number."""
    c, s = qml.math.cos(x), qml.math.sin(x)
    return qml.math.stack([c * 0.6, c * 0.8, s * 0.8, -s * 0.6])


def queue(step, p, n):
    """Queues one step of n wires, with the two parameters p."""
    kind, *rest = step
    if kind == "hadamards":
        return [qml.Hadamard(w) for w in range(n)]
    if kind == "rotations":
        return [qml.RY(p[w % 2] + w, w) for w in range(n)]
    if kind == "prepared":
        return qml.StatePrep(unit(2**n, rest[0]), range(n))
    if kind == "fixed":
        name, wires = rest
        return getattr(qml, name)(wires=wires[: 1 if name in FIXED_1 else 2])
    if kind == "angle":
        name, wires, angle = rest
        count = 1 if name in ANGLE_1 else 2
        return getattr(qml, name)(_angle(angle, p), wires=wires[:count])
    if kind == "postselect":
        qml.RY(0.9, rest[0][0])  # so that the outcome is possible
        return qml.measure(rest[0][0], postselect=rest[1])
    if kind in ONLY_NUMBERS:
        return ONLY_NUMBERS[kind](*rest)
    wires, angle, number = rest
    return WITH_ANGLE[kind](wires, _angle(angle, p), number)


def _if(w, x, seed):
    outcome = qml.measure(w[0])
    qml.cond(outcome, qml.RX, qml.RY if seed % 2 else None)(x, w[1])


def _if_two(w, x, seed):
    first, second = qml.measure(w[0]), qml.measure(w[1], reset=bool(seed % 2))
    qml.cond(first ^ second, qml.CRY)(x, [w[2], w[0]])


def _loop(w, x, seed):
    @qml.for_loop(1 + seed % 3)
    def turn(i, angle):
        qml.RX(angle, w[0])
        qml.IsingZZ(angle, w[:2])
        qml.Hadamard(w[1])
        return angle * 0.7

    turn(x)


def _stack(x, *shape):
    size = int(np.prod(shape))
    ramp = np.linspace(-1, 1, size)
    return qml.math.reshape(qml.math.stack([x * r + r for r in ramp]), shape)


ONLY_NUMBERS = {
    "project on a state": lambda w, s: qml.Projector(unit(2, s), w[0]),
    "controlled state": lambda w, s: qml.ctrl(
        qml.MottonenStatePreparation(unit(4, s), w[:2]), w[2]
    ),
    "compare": lambda w, s: qml.IntegerComparator(s % 4, geq=s > 4, wires=w[:3]),
    "state": lambda w, s: qml.StatePrep(unit(4, s), w[:2]),
    "bits": lambda w, s: qml.BasisState([s % 2, s // 2 % 2], w[:2]),
    "unitary": lambda w, s: qml.QubitUnitary(unitary(4, s), w[:2]),
    "damp": lambda w, s: qml.exp(qml.Z(w[0]), 0.1 * s - 0.4),
    "project": lambda w, s: [qml.RY(0.9, w[0]), qml.Projector([s % 2], w[0])],
    "non-unitary matrix": lambda w, s: qml.QubitUnitary(hermitian(4, s) / 3, w[:2]),
    "permute": lambda w, s: qml.Permute(w, sorted(w)),
    "qft": lambda w, s: (qml.adjoint(qml.QFT) if s % 2 else qml.QFT)(w[:3]),
    "controlled fixed": lambda w, s: qml.ctrl(
        (qml.S, qml.Hadamard, qml.SX)[s % 3](w[2]), w[:2], [s % 2, 1]
    ),
    "measure": lambda w, s: qml.measure(w[0]),
    "reset": lambda w, s: qml.measure(w[0], reset=True),
    "product": lambda w, s: qml.prod(qml.S(w[0]), qml.CNOT(w[:2]), qml.T(w[1])),
}
"""Steps that take wires and a number from 0 to 9."""

WITH_ANGLE = {
    "adjoint of a controlled template": lambda w, x, s: qml.adjoint(
        qml.ctrl(qml.QAOAEmbedding(_stack(x, 2), _stack(x, 1, 3), w[1:3]), w[0])
    ),
    "scaled": lambda w, x, s: qml.s_prod(1 + 0.2 * x, qml.RX(x, w[0])),
    "traced state": lambda w, x, s: qml.StatePrep(_vector(x), w[:2]),
    "layers": lambda w, x, s: qml.StronglyEntanglingLayers(_stack(x, 1, 3, 3), w[:3]),
    "adjoint layers": lambda w, x, s: qml.adjoint(qml.BasicEntanglerLayers)(
        _stack(x, 2, 3), w[:3]
    ),
    "controlled layers": lambda w, x, s: qml.ctrl(
        qml.BasicEntanglerLayers(_stack(x, 1, 2), w[1:3]), w[0], [s % 2]
    ),
    "exp": lambda w, x, s: qml.exp(qml.X(w[0]) @ qml.Y(w[1]), 1j * x),
    "growth": lambda w, x, s: qml.exp(qml.Z(w[0]), 0.3 * x),
    "traced unitary": lambda w, x, s: qml.QubitUnitary(_matrix(x), w[0]),
    "if": _if,
    "if two": _if_two,
    "loop": _loop,
    "power": lambda w, x, s: qml.pow(qml.RX(x, w[0]), (0.5, 2, -1, 3)[s % 4]),
    "trotter": lambda w, x, s: qml.TrotterProduct(
        qml.dot([0.5, -0.7], [qml.X(w[0]), qml.Z(w[0]) @ qml.Z(w[1])]),
        x,
        n=1 + s % 2,
        order=2,
    ),
    "embedding": lambda w, x, s: qml.IQPEmbedding(_stack(x, 3), w[:3]),
    "controlled rotation": lambda w, x, s: qml.ctrl(
        qml.Rot(x, 0.3, -x, w[2]), w[:2], [1, s % 2]
    ),
    "phase": lambda w, x, s: qml.ctrl(qml.GlobalPhase(x), w[0]),
    "evolution": lambda w, x, s: qml.evolve(qml.X(w[0]) + 0.5 * qml.Y(w[1]), x),
    "conserving": lambda w, x, s: qml.ParticleConservingU2(
        _stack(x, 1, 5), w[:3], init_state=[s % 2, 1, 0]
    ),
    "select": lambda w, x, s: qml.Select(
        [qml.RX(x, w[1]), qml.Y(w[2])], control=[w[0]]
    ),
    "change of basis": lambda w, x, s: qml.change_op_basis(
        qml.QFT(w[:2]), qml.RZ(x, w[0])
    ),
}
"""Steps that take wires, an angle and a number from 0 to 9."""


def _word():
    return qml.X(0) @ qml.Y(1) @ qml.Z(2)


READOUTS = {
    "Z": lambda: qml.expval(qml.Z(1)),
    "word": lambda: qml.expval(_word()),
    "sum": lambda: qml.expval(0.7 * _word() - 0.3 * qml.Y(0) + qml.Z(2) @ qml.X(1)),
    "variance": lambda: qml.var(qml.Y(1) @ qml.X(2)),
    "probabilities": lambda: qml.probs(wires=[2, 0]),
    "state": lambda: qml.density_matrix(wires=[0, 2]),
    "matrix": lambda: qml.expval(qml.Hermitian(hermitian(4), [2, 0])),
    "operator probabilities": lambda: qml.probs(op=qml.X(0) @ qml.Y(2)),
    "projector": lambda: qml.expval(qml.Projector([1, 0], [1, 2])),
    "purity": lambda: qml.purity(wires=[1]),
}
