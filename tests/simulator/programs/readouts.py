"""An instance of every observable and of every measurement."""

import numpy as np
import pennylane as qml
from simulator.programs.running import Program, hermitian, numbers, unit

A, B = numbers(seed=50), numbers(seed=51)


WORDS = qml.dot([0.3, -1.2], [qml.X(0) @ qml.Y(2), qml.Z(1)])
SPARSE = WORDS.sparse_matrix(range(3))


def _turned(a):
    """A unitary observable: its mean is complex."""
    return qml.exp(qml.Y(0), 1j * a)


OBSERVABLES = {
    "PauliX": (lambda: qml.X(1),),
    "PauliY": (lambda: qml.Y(2),),
    "PauliZ": (lambda: qml.Z(0),),
    "Hadamard": (lambda: qml.Hadamard(1),),
    "Identity": (lambda: qml.Identity(1),),
    "Prod": (lambda: qml.X(2) @ qml.Y(0) @ qml.Hadamard(1),),
    "Prod: of one wire": (lambda: qml.prod(qml.X(1), qml.Y(1), qml.Z(1), qml.X(0)),),
    "SProd": (lambda a: qml.s_prod(a, qml.X(2) @ qml.Z(0)), A),
    "Sum": (lambda a: a * qml.X(0) + qml.Y(1) @ qml.Z(2) - 0.4 * qml.Z(1), A),
    "Sum: with a matrix": (
        lambda a: a * qml.Hermitian(hermitian(4), [2, 0]) + qml.X(1),
        A,
    ),
    "Sum: overlapping": (lambda: qml.X(0) @ qml.Y(1) + qml.Y(0) @ qml.Y(1) + qml.Z(1),),
    "LinearCombination": (
        lambda a, b: qml.Hamiltonian(
            qml.math.stack([a, b, 0.3 * a]),
            [qml.X(0) @ qml.X(1), qml.Z(2), qml.Identity(0)],
        ),
        A,
        B,
    ),
    "Hermitian": (lambda: qml.Hermitian(hermitian(4), [2, 0]),),
    "Hermitian: in a product": (lambda: qml.Hermitian(hermitian(2), 2) @ qml.X(0),),
    "BasisStateProjector": (lambda: qml.Projector([1, 0], [2, 0]),),
    "StateVectorProjector": (lambda: qml.Projector(unit(4), [2, 0]),),
    "BasisStateProjector: in a product": (lambda: qml.Projector([1], 2) @ qml.X(0),),
    "SparseHamiltonian": (lambda: qml.SparseHamiltonian(SPARSE, range(3)),),
    "Pow": (lambda: qml.pow(qml.X(1) + qml.Z(2), 2),),
    "Adjoint": (lambda: qml.adjoint(qml.Hermitian(hermitian(2), 1)),),
    "Controlled": (lambda: qml.ctrl(qml.Hermitian(hermitian(2), 1), 0),),
    "Exp": (lambda a: qml.exp(qml.X(0) @ qml.Z(1), 0.3 * a), A),
    "CNOT": (lambda: qml.CNOT([2, 0]),),
    "Evolution": (lambda: qml.evolve(qml.Z(0), np.pi),),
    "Exp: imaginary": (lambda a: qml.exp(qml.X(0) @ qml.Y(1), 1j * a), A),
    "Evolution: traced": (lambda a: qml.evolve(qml.X(0) @ qml.Y(1), a), A),
    "AdjointOperation: of an exponential": (
        lambda: qml.adjoint(qml.exp(qml.Y(0), 0.4j)),
    ),
    "PowOperation: of an exponential": (lambda: qml.pow(qml.exp(qml.Y(0), 0.4j), 2),),
    "SProd: of an exponential": (lambda a: (0.3 - 1j) * _turned(a), A),
    "Sum: of an exponential": (lambda a: _turned(a) + qml.X(1), A),
    "Prod: of an exponential": (lambda a: _turned(a) @ qml.X(1), A),
    "Prod: overlapping, commuting": (lambda: qml.prod(qml.CNOT([0, 1]), qml.X(1)),),
    "ChangeOpBasis": (lambda: qml.change_op_basis(qml.H(1), qml.Z(1)),),
    "GlobalPhase": (lambda: qml.GlobalPhase(np.pi, 1),),
    "Sum: complex": (lambda: qml.s_prod(0.4 - 0.3j, qml.X(1)) + qml.Z(0),),
}
KINDS = {
    "expval": qml.expval,
    "var": qml.var,
    "probs": lambda observable: qml.probs(op=observable),
}
REFUSED = {
    "ChangeOpBasis, expval",
    "ChangeOpBasis, var",
    "ChangeOpBasis, probs",
    "LinearCombination, probs",
    "SparseHamiltonian, probs",
}
"""What `default.qubit` refuses, too."""


def _outcomes():
    outcome = qml.measure(1)
    return [
        qml.expval(outcome),
        qml.var(outcome),
        qml.probs(op=[outcome]),
        qml.expval(qml.Z(0)),
    ]


def _readout(build, *values, without=()):
    return Program(build, values, is_readout=True, without=dict(without))


NO_BOXES = {"autograd": "PennyLane multiplies a box by an operator"}


def _measured(name, make, measure, *values):
    without = NO_BOXES if name in ("Sum", "Sum: with a matrix") else {}
    return _readout(lambda *given: measure(make(*given)), *values, without=without)


MEASUREMENTS = {
    "ProbabilityMP": _readout(lambda: qml.probs(wires=[2, 0])),
    "ProbabilityMP: all": _readout(qml.probs),
    "StateMP": _readout(qml.state),
    "DensityMatrixMP": _readout(lambda: qml.density_matrix([2, 0])),
    "PurityMP": _readout(lambda: qml.purity([2, 0])),
    "VnEntropyMP": _readout(lambda: qml.vn_entropy([2, 0], log_base=2)),
    "MutualInfoMP": _readout(lambda: qml.mutual_info([2], [0])),
    "ExpectationMP: outcomes": _readout(_outcomes),
    "ExpectationMP: arithmetic of outcomes": _readout(
        lambda: qml.expval(qml.measure(0) + 2 * qml.measure(1))
    ),
    "ExpectationMP: all at once": _readout(
        lambda a: [
            qml.expval(a * qml.X(0) + qml.Z(2)),
            qml.probs(wires=[1]),
            qml.var(qml.Hermitian(hermitian(2), 1)),
            qml.density_matrix([0]),
        ],
        A,
        without=NO_BOXES,
    ),
}
ALL = {
    f"{name}, {kind}": _measured(name, make, measure, *values)
    for name, (make, *values) in OBSERVABLES.items()
    for kind, measure in KINDS.items()
}
ALL.pop("SparseHamiltonian, var")  # ours has it, the judge has not: a test of its own
REFUSALS = {name: ALL[name] for name in REFUSED}
READOUTS = {
    **{name: program for name, program in ALL.items() if name not in REFUSED},
    **MEASUREMENTS,
}
