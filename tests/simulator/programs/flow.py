"""Programs with measurements inside, conditions, loops, borrowed wires and pulses."""

import pennylane as qml
from pennylane import ftqc
from pennylane.templates import Subroutine
from simulator.programs.running import Program, numbers

A, B = numbers(seed=40), numbers(seed=41)


def _conditional(x):
    outcome = qml.measure(1)
    qml.cond(outcome, qml.RY, qml.RX)(x, 2)


def _two_outcomes(x):
    first, second = qml.measure(0), qml.measure(2, reset=True)
    qml.cond(first & ~second, qml.CRX)(x, [1, 2])
    qml.cond(first + 2 * second == 2, qml.Hadamard)(1)


def _postselected(x):
    qml.RX(x, 1)
    qml.measure(1, postselect=1)


def _borrowed(x):
    with qml.allocate(1) as wires:
        qml.CNOT([0, wires[0]])
        qml.CRX(x, [wires[0], 2])
        qml.CNOT([0, wires[0]])


def _along_x(x):
    outcome = ftqc.measure_x(1)
    qml.cond(outcome, qml.RY)(x, 2)


def _along_y(x):
    outcome = ftqc.measure_y(1)
    qml.cond(outcome, qml.RY)(x, 2)


def _along_angle(x):
    outcome = ftqc.measure_arbitrary_basis(1, angle=0.7, plane="XY")
    qml.cond(outcome, qml.RY)(x, 2)


def _pulse(x):
    shape = lambda p, t: p * qml.math.cos(0.4 * t)  # noqa: E731
    hamiltonian = qml.X(1) @ qml.Z(2) + shape * qml.Y(1)
    qml.evolve(hamiltonian, atol=1e-12, rtol=1e-12)([x], t=0.6)


@Subroutine
def _routine(x, wires):
    qml.RX(x, wires[0])
    qml.CNOT(wires)


def _loop(x):
    @qml.for_loop(3)
    def turn(i, angle):
        qml.RX(angle, i)
        qml.CNOT([i, (i + 1) % 3])
        return 0.5 * angle

    turn(x)


def _while(x):
    @qml.while_loop(lambda i: i < 2)
    def turn(i):
        qml.IsingXX(x, [i, i + 1])
        return i + 1

    turn(0)


FLOW = {
    "MidMeasure": Program(lambda: qml.measure(1)),
    "MidMeasure: reset": Program(lambda: qml.measure(1, reset=True)),
    "MidMeasure: post-selected": Program(_postselected, (A,)),
    "Conditional": Program(_conditional, (A,), batch=(0,)),
    "Conditional: two outcomes": Program(_two_outcomes, (A,)),
    "XMidMeasure": Program(_along_x, (A,)),
    "YMidMeasure": Program(_along_y, (A,)),
    "ParametricMidMeasure": Program(_along_angle, (A,)),
    "Allocate": Program(_borrowed, (A,)),
    "SubroutineOp": Program(lambda x: _routine(x, [2, 0]), (A,)),
    "for_loop": Program(_loop, (A,)),
    "while_loop": Program(_while, (A,)),
}

PULSE = Program(_pulse, (A,))
"""Runs in a process of its own: JAX's solver keeps constants of one precision."""
