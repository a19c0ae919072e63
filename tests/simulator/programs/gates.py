"""An instance of every gate and of every way to make an operation from another."""

import numpy as np
import pennylane as qml
from pennylane import ftqc
from pennylane.drawer.label import LabelledOp
from pennylane.fourier.mark import MarkedOp
from simulator.programs.running import Program, hermitian, numbers, unit, unitary

FIXED = {
    "Hadamard": 1,
    "PauliX": 1,
    "PauliY": 1,
    "PauliZ": 1,
    "S": 1,
    "T": 1,
    "SX": 1,
    "CNOT": 2,
    "CY": 2,
    "CZ": 2,
    "CH": 2,
    "SWAP": 2,
    "ISWAP": 2,
    "SISWAP": 2,
    "ECR": 2,
    "CCZ": 3,
    "CSWAP": 3,
    "Toffoli": 3,
    "MultiControlledX": 3,
    "Identity": 3,
    "Barrier": 3,
    "WireCut": 1,
    "QubitSum": 3,
}
"""Gates without a parameter, and on how many wires."""

ANGLED = {
    "RX": (1, 1),
    "RY": (1, 1),
    "RZ": (1, 1),
    "PhaseShift": (1, 1),
    "U1": (1, 1),
    "U2": (2, 1),
    "U3": (3, 1),
    "Rot": (3, 1),
    "CRX": (1, 2),
    "CRY": (1, 2),
    "CRZ": (1, 2),
    "CRot": (3, 2),
    "ControlledPhaseShift": (1, 2),
    "CPhaseShift00": (1, 2),
    "CPhaseShift01": (1, 2),
    "CPhaseShift10": (1, 2),
    "IsingXX": (1, 2),
    "IsingXY": (1, 2),
    "IsingYY": (1, 2),
    "IsingZZ": (1, 2),
    "PSWAP": (1, 2),
    "MultiRZ": (1, 3),
    "SingleExcitation": (1, 2),
    "SingleExcitationPlus": (1, 2),
    "SingleExcitationMinus": (1, 2),
    "FermionicSWAP": (1, 2),
    "DoubleExcitation": (1, 4),
    "OrbitalRotation": (1, 4),
    "DoubleExcitationPlus": (1, 4),
    "DoubleExcitationMinus": (1, 4),
}
"""Gates that take angles: how many, and on how many wires."""

ORDER = (2, 0, 1, 3)
"""Wires of a gate: never in ascending order, so that a mix-up is seen."""


def _fixed(name, n):
    gate = getattr(qml, name)
    return Program(lambda: gate(wires=ORDER[:n]))


def _angled(name, n_angles, n):
    gate = getattr(qml, name)
    angles = tuple(numbers(seed=10 + i) for i in range(n_angles))
    return Program(
        lambda *values: gate(*values, wires=ORDER[:n]),
        angles,
        n_wires=max(n, 3),
        batch=tuple(range(n_angles)),
    )


def _phases(x):
    return qml.math.exp(1j * qml.math.cast(x, complex))


def _turn(x):
    """The matrix of a rotation, made from a traced angle."""
    return qml.RX.compute_matrix(x)


def _shrink(x):
    """A matrix that is not unitary."""
    zero, one = qml.math.zeros_like(x), qml.math.ones_like(x)
    rows = [qml.math.stack([one, x]), qml.math.stack([zero, one])]
    return 0.7 * qml.math.stack(rows)


def _special(x):
    return qml.SpecialUnitary(x, wires=[2, 0])


class Clipped(qml.operation.Operation):
    """A user's operation whose decomposition is not linear in its parameter."""

    num_params = 1
    num_wires = 1

    @staticmethod
    def compute_decomposition(x, wires):
        low, high = qml.math.clip(x, -1, 1), qml.math.abs(x)
        return [qml.RX(low, wires), qml.RY(high, wires), qml.RZ(x**2, wires)]


class Remembers(qml.operation.Operation):
    """A user's operation that keeps a number and a list."""

    num_params = 1
    num_wires = 2

    def __init__(self, x, factor, signs, wires):
        self.factor = factor
        super().__init__(x, wires=wires)
        self._hyperparameters = {"signs": signs}

    def decomposition(self):
        signs = self.hyperparameters["signs"]
        return [
            qml.RX(self.factor * sign * self.data[0], wire)
            for sign, wire in zip(signs, self.wires, strict=True)
        ]


class Drive(qml.operation.Operation):
    """A user's gate in physical units, hertz and nanoseconds: factors are small."""

    num_params = 1
    num_wires = 1

    @staticmethod
    def compute_decomposition(frequency, wires):
        return [qml.RX(2 * np.pi * 1e-9 * frequency, wires)]


A, B, C = numbers(seed=20), numbers(seed=21), numbers(seed=22)

OTHERS = {
    "GlobalPhase": Program(lambda x: qml.ctrl(qml.GlobalPhase(x), 1), (A,)),
    "GlobalPhase: alone": Program(lambda x: qml.GlobalPhase(x), (A,)),
    "Snapshot": Program(lambda: qml.Snapshot("here")),
    "PauliRot": Program(
        lambda x: qml.PauliRot(x, "XIY", wires=[2, 1, 0]), (A,), batch=(0,)
    ),
    "PCPhase": Program(lambda x: qml.PCPhase(x, dim=3, wires=[2, 0]), (A,)),
    "MultiControlledX: zeros": Program(
        lambda: qml.MultiControlledX([3, 1, 0, 2], [0, 1, 0]), n_wires=4
    ),
    "MultiControlledX: work wires": Program(
        lambda: qml.MultiControlledX(range(6), work_wires=[6, 7]), n_wires=6
    ),
    "IntegerComparator": Program(
        lambda: qml.IntegerComparator(2, geq=False, wires=[2, 0, 1])
    ),
    "QubitCarry": Program(lambda: qml.QubitCarry([3, 1, 0, 2]), n_wires=4),
    "QubitUnitary": Program(lambda: qml.QubitUnitary(unitary(4), [2, 0])),
    "QubitUnitary: traced": Program(lambda x: qml.QubitUnitary(_turn(x), 1), (A,)),
    "QubitUnitary: not unitary": Program(
        lambda: qml.QubitUnitary(np.array([[1, 0.4], [0, 0.6]]), 1)
    ),
    "QubitUnitary: not unitary, traced": Program(
        lambda x: qml.QubitUnitary(_shrink(x), 1), (A,)
    ),
    "ControlledQubitUnitary": Program(
        lambda: qml.ControlledQubitUnitary(unitary(2), [2, 0, 1], [0, 1])
    ),
    "DiagonalQubitUnitary": Program(
        lambda x: qml.DiagonalQubitUnitary(_phases(x), [2, 0]),
        (numbers(4),),
        without={"autograd": "warns of its own exponential"},
    ),
    "BlockEncode": Program(
        lambda x: qml.BlockEncode(x, wires=[2, 0]),
        (0.2 * numbers(2, 2),),
        without={"torch": "default.qubit has another gradient, too"},
    ),
    "SpecialUnitary": Program(_special, (numbers(15) / 4,)),
    "SpecialUnitary: one wire": Program(
        lambda x: qml.SpecialUnitary(x, wires=1), (numbers(3),), batch=(0,)
    ),
    "TmpPauliRot": Program(
        lambda x: qml.ops.qubit.special_unitary.TmpPauliRot(x, "XY", [2, 0]),
        (A,),
        without=dict.fromkeys(("jit", "grad", "vmap"), "asks whether its angle is 0"),
    ),
    "RotXZX": Program(
        lambda a, b, c: ftqc.RotXZX(a, b, c, wires=1), (A, B, C), batch=(0, 1, 2)
    ),
    "LabelledOp": Program(lambda x: LabelledOp(qml.RX(x, 1), "mine"), (A,)),
    "MarkedOp": Program(lambda x: MarkedOp(qml.RX(x, 1), "mine"), (A,)),
    "Adjoint": Program(lambda x: qml.adjoint(qml.S(0) @ qml.RX(x, 2)), (A,)),
    "AdjointOperation": Program(lambda x: qml.adjoint(qml.U2(x, 0.4, 1)), (A,)),
    "Controlled": Program(
        lambda x: qml.ctrl(qml.Hermitian(unitary(2), 2), [0], [0]) @ qml.RX(x, 1), (A,)
    ),
    "ControlledOp": Program(
        lambda x: qml.ctrl(qml.U2(x, 0.4, 2), [0, 1], [0, 1]), (A,), batch=(0,)
    ),
    "ControlledOp: five controls": Program(
        lambda x: qml.ctrl(qml.RX(x, 5), range(5), [1, 0, 1, 1, 0]), (A,), n_wires=6
    ),
    "ControlledOp: a template": Program(
        lambda x: qml.ctrl(qml.StronglyEntanglingLayers(x, [2, 1]), 0, [0]),
        (numbers(1, 2, 3),),
    ),
    "Pow": Program(lambda: qml.pow(qml.Hermitian(hermitian(2), 1), 2)),
    "PowOperation": Program(lambda x: qml.pow(qml.RX(x, 1), 0.5), (A,)),
    "PowOperation: below zero": Program(lambda: qml.pow(qml.SX(1), -3)),
    "PowOperation: of an exponential": Program(
        lambda x: qml.pow(qml.exp(qml.X(1) @ qml.Z(0), 1j * x), 2), (A,)
    ),
    "PowOperation: of an evolution": Program(
        lambda x: qml.adjoint(qml.pow(qml.evolve(qml.X(1) @ qml.Z(0), x), 0.5)),
        (A,),
    ),
    "Prod": Program(
        lambda a, b: qml.prod(qml.RX(a, 0), qml.IsingXX(b, [2, 0]), qml.S(1)),
        (A, B),
        batch=(0, 1),
    ),
    "SProd": Program(lambda: qml.s_prod(1j, qml.Z(2))),
    "SProd: not unitary": Program(lambda x: qml.s_prod(x, qml.RX(x, 1)), (0.8,)),
    "SProd: a number": Program(lambda x: qml.s_prod(0.8j, qml.GlobalPhase(x)), (A,)),
    "SProd: a fixed number": Program(lambda: qml.s_prod(0.8, qml.Identity())),
    "Sum: a number": Program(
        lambda x: qml.ctrl(qml.sum(qml.GlobalPhase(x), qml.Identity()), 1), (A,)
    ),
    "Sum": Program(
        lambda: qml.sum(qml.s_prod(0.6, qml.X(2)), qml.s_prod(0.8, qml.Z(2)))
    ),
    "LinearCombination": Program(
        lambda: qml.ops.LinearCombination([0.6, 0.8], [qml.X(2), qml.Z(2)])
    ),
    "Exp": Program(lambda x: qml.exp(qml.X(0) @ qml.Y(2), 1j * x), (A,)),
    "Exp: not unitary": Program(lambda x: qml.exp(qml.Z(1), x), (0.4,)),
    "Exp: not unitary, fixed": Program(lambda: qml.exp(qml.Z(1), 0.4)),
    "Exp: of a sum": Program(
        lambda x: qml.exp(qml.X(0) + 0.5 * qml.Y(2) @ qml.Z(0), -1j * x),
        (A,),
        without={"autograd": "default.qubit is wrong itself"},
    ),
    "Evolution": Program(lambda x: qml.evolve(qml.X(0) @ qml.Z(2), x), (A,)),
    "ChangeOpBasis": Program(
        lambda x: qml.change_op_basis(qml.QFT([2, 0]), qml.RZ(x, 0)), (A,)
    ),
    "BasisStateProjector": Program(lambda: qml.Projector([1, 0], [2, 0])),
    "StateVectorProjector": Program(lambda: qml.Projector(unit(4), [2, 0])),
    "Hermitian": Program(lambda: qml.Hermitian(hermitian(4) / 3, [2, 0])),
    "Drive": Program(lambda f: Drive(f, wires=1), (0.21e9,), batch=(0,)),
    "Clipped": Program(lambda x: Clipped(x, wires=1), (A,), batch=(0,)),
    "Remembers": Program(lambda x: Remembers(x, 0.7, [1, -2], wires=[2, 0]), (A,)),
}

GATES = {
    **{name: _fixed(name, n) for name, n in FIXED.items()},
    **{name: _angled(name, *sizes) for name, sizes in ANGLED.items()},
    **OTHERS,
}
