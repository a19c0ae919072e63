"""An instance of every template of chemistry, arithmetic and algorithms."""

import numpy as np
import pennylane as qml
from simulator.programs.running import Program, numbers, unitary

A, B = numbers(seed=30), numbers(seed=31)


def _sum():
    """A sum of Pauli words on wires 1 and 2."""
    return qml.dot([0.6, 0.8, -0.3], [qml.X(2), qml.Z(2) @ qml.Y(1), qml.Z(1)])


def _acquaint(index, wires, param=None):
    return qml.CRX(param, wires=index)


def _block(weights, wires):
    qml.CNOT(wires=[wires[0], wires[1]])
    qml.RY(weights[0], wires=wires[0])
    qml.RX(weights[1], wires=wires[1])


def _oracle():
    return qml.FlipSign([1, 0], wires=[2, 1])


@qml.prod
def _mixer(wires):
    qml.Hadamard(wires[0])
    qml.RX(0.4, wires[1])
    qml.CNOT(wires)


def _qfunc(time, theta, wires):
    qml.RX(time * theta, wires[0])
    qml.RY(time * 0.7, wires[1])
    qml.CNOT(wires)


CHEMISTRY = {
    "AllSinglesDoubles": Program(
        lambda w: qml.AllSinglesDoubles(
            w, range(4), np.array([1, 1, 0, 0]), [[0, 2], [1, 3]], [[0, 1, 2, 3]]
        ),
        (numbers(3),),
        n_wires=4,
    ),
    "BasisRotation": Program(lambda: qml.BasisRotation(range(3), unitary(3))),
    "FermionicDoubleExcitation": Program(
        lambda x: qml.FermionicDoubleExcitation(x, [0, 1], [2, 3]), (A,), n_wires=4
    ),
    "FermionicSingleExcitation": Program(
        lambda x: qml.FermionicSingleExcitation(x, [0, 1, 2]), (A,)
    ),
    "kUpCCGSD": Program(
        lambda w: qml.kUpCCGSD(w, range(4), k=1, init_state=[1, 1, 0, 0]),
        (numbers(1, 6),),
        n_wires=4,
    ),
    "UCCSD": Program(
        lambda w: qml.UCCSD(
            w,
            range(4),
            [[0, 1, 2], [1, 2, 3]],
            [[[0, 1], [2, 3]]],
            np.array([1, 1, 0, 0]),
        ),
        (numbers(3),),
        n_wires=4,
    ),
}

ARITHMETIC = {
    "Adder": Program(lambda: qml.Adder(5, [0, 1, 2], 7, [3, 4])),
    "PhaseAdder": Program(lambda: qml.PhaseAdder(5, [0, 1, 2, 3], 7, [4])),
    "Multiplier": Program(lambda: qml.Multiplier(3, [0, 1, 2], 7, [3, 4, 5, 6, 7])),
    "ModExp": Program(
        lambda: qml.ModExp([0, 1], [2, 3, 4], 2, 7, [5, 6, 7, 8, 9]), n_wires=3
    ),
    "OutAdder": Program(
        lambda: qml.OutAdder([0, 1], [2, 3], [4, 5, 6], 7, [7, 8]), n_wires=4
    ),
    "OutMultiplier": Program(
        lambda: qml.OutMultiplier([0, 1], [2, 3], [4, 5, 6], 7, [7, 8]), n_wires=4
    ),
    "OutPoly": Program(
        lambda: qml.OutPoly(
            lambda x, y: x**2 + 3 * y, [[0, 1], [2]], [3, 4, 5], 7, [6, 7]
        )
    ),
    "SemiAdder": Program(lambda: qml.SemiAdder([0, 1], [2, 3], [4]), n_wires=4),
    "TemporaryAND": Program(lambda: qml.TemporaryAND([0, 1, 3], control_values=(0, 1))),
}

SUBROUTINES = {
    "AmplitudeAmplification": Program(
        lambda: qml.AmplitudeAmplification(_mixer([2, 1]), _oracle(), iters=2)
    ),
    "AmplitudeAmplification: fixed point": Program(
        lambda: qml.AmplitudeAmplification(
            _mixer([2, 1]), _oracle(), iters=3, fixed_point=True, work_wire=3
        )
    ),
    "AQFT": Program(lambda: qml.AQFT(1, [2, 0, 1])),
    "ArbitraryUnitary": Program(
        lambda w: qml.ArbitraryUnitary(w, [2, 0]), (numbers(15),)
    ),
    "ControlledSequence": Program(
        lambda x: qml.ControlledSequence(qml.RX(x, 2), control=[1, 0]), (A,), batch=(0,)
    ),
    "FABLE": Program(
        lambda m: qml.FABLE(m, [0, 1, 2]),
        (0.3 * numbers(2, 2),),
    ),
    "FlipSign": Program(lambda: qml.FlipSign([1, 0, 1], wires=[2, 0, 1])),
    "GQSP": Program(lambda w: qml.GQSP(qml.RX(0.3, 2), w, control=0), (numbers(3, 3),)),
    "GroverOperator": Program(lambda: qml.GroverOperator([2, 0, 1])),
    "HilbertSchmidt": Program(
        lambda x: qml.HilbertSchmidt(qml.RZ(x, 2), qml.U2(0.3, 0.4, 0)), (A,)
    ),
    "LocalHilbertSchmidt": Program(
        lambda x: qml.LocalHilbertSchmidt(
            [qml.RZ(x, 2), qml.CNOT([2, 3])], [qml.U2(0.3, 0.4, 0), qml.CZ([0, 1])]
        ),
        (A,),
        n_wires=4,
    ),
    "IQP": Program(
        lambda w: qml.IQP(w, 3, [[[0]], [[1]], [[0, 2]]], spin_sym=True),
        (numbers(3),),
        without={"autograd": "PennyLane puts boxes into an array"},
    ),
    "Permute": Program(lambda: qml.Permute([2, 0, 1], wires=range(3))),
    "PrepSelPrep": Program(lambda: qml.PrepSelPrep(_sum(), control=[0, 3])),
    "PrepSelPrep: twice": Program(
        lambda: [qml.PrepSelPrep(_sum(), control=[0, 3]) for _ in "12"]
    ),
    "QFT": Program(lambda: qml.QFT([2, 0, 1])),
    "QuantumMonteCarlo": Program(
        lambda: qml.QuantumMonteCarlo(
            np.array([0.4, 0.6]), lambda i: 0.3 + 0.4 * i, [0, 1], [2, 3]
        ),
        n_wires=4,
    ),
    "QuantumPhaseEstimation": Program(
        lambda: qml.QuantumPhaseEstimation(unitary(2), [2], [0, 1])
    ),
    "QuantumPhaseEstimation: of an operation": Program(
        lambda x: qml.QuantumPhaseEstimation(qml.RX(x, 2), estimation_wires=[0, 1]),
        (A,),
    ),
    "BBQRAM": Program(lambda: qml.BBQRAM([[0, 1], [1, 1]], [0], [1, 2], [3, 4, 5, 6])),
    "HybridQRAM": Program(
        lambda: qml.HybridQRAM([[0], [1], [1], [0]], [0, 1], [2], [3, 4, 5, 6, 7], k=1)
    ),
    "SelectOnlyQRAM": Program(
        lambda: qml.SelectOnlyQRAM([[0], [1], [1], [0]], [0, 1], [2])
    ),
    "QROM": Program(lambda: qml.QROM(["1", "0", "1", "1"], [0, 1], [2], [3])),
    "QSVT": Program(
        lambda x: qml.QSVT(
            qml.BlockEncode(np.array([[0.3, 0.1], [0.1, -0.2]]), [2, 0]),
            [qml.PCPhase(x, 2, [2, 0]), qml.PCPhase(0.4, 2, [2, 0])],
        ),
        (A,),
    ),
    "Qubitization": Program(lambda: qml.Qubitization(_sum(), control=[0, 3])),
    "Qubitization: twice": Program(
        lambda: [qml.Qubitization(_sum(), control=[0, 3]) for _ in "12"]
    ),
    "Reflection": Program(lambda x: qml.Reflection(_mixer([2, 1]), x), (A,)),
    "Select": Program(
        lambda x: qml.Select(
            [qml.X(2), qml.RY(x, 2), qml.Z(2), qml.S(2)], control=[0, 1]
        ),
        (A,),
    ),
    "SelectPauliRot": Program(
        lambda x: qml.SelectPauliRot(x, [0, 1], 2, rot_axis="Y"), (numbers(4),)
    ),
    "ApproxTimeEvolution": Program(
        lambda t: qml.ApproxTimeEvolution(_sum(), t, 2), (A,)
    ),
    "CommutingEvolution": Program(
        lambda t: qml.CommutingEvolution(qml.X(0) @ qml.X(1) + 0.4 * qml.X(2), t),
        (A,),
    ),
    "QDrift": Program(lambda t: qml.QDrift(_sum(), t, n=3, seed=5), (A,)),
    "TrotterProduct": Program(
        lambda t: qml.TrotterProduct(_sum(), t, n=2, order=2), (A,)
    ),
    "TrotterizedQfunc": Program(
        lambda t, x: qml.trotterize(_qfunc, n=2, order=2)(t, x, wires=[2, 0]), (A, B)
    ),
    "TwoLocalSwapNetwork": Program(
        lambda w: qml.templates.TwoLocalSwapNetwork(
            range(3), _acquaint, w, fermionic=False
        ),
        (numbers(3),),
    ),
    "MERA": Program(
        lambda w: qml.MERA(range(4), 2, _block, 2, w), (numbers(5, 2),), n_wires=4
    ),
    "MPS": Program(lambda w: qml.MPS(range(3), 2, _block, 2, w), (numbers(2, 2),)),
    "TTN": Program(
        lambda w: qml.TTN(range(4), 2, _block, 2, w), (numbers(3, 2),), n_wires=4
    ),
}

TEMPLATES = {**CHEMISTRY, **ARITHMETIC, **SUBROUTINES}
