"""Draws programs that mix everything, and compares two devices on them.

A program is a list of steps, each a name and its numbers, so that Hypothesis can
shrink it and a failing one can be read. Angles are constants, or made from two traced
parameters, in ways that are linear and in ways that are not.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pennylane as qml
from hypothesis import strategies as st
from simulator.programs import running
from simulator.programs.running import assert_close
from simulator.programs.steps import (
    ANGLE_1,
    ANGLE_2,
    FIXED_1,
    FIXED_2,
    FUNCTIONS,
    ONLY_NUMBERS,
    READOUTS,
    WITH_ANGLE,
    queue,
)

METHODS = ("best", "backprop", "adjoint")


@dataclass(frozen=True)
class RandomProgram:
    """Steps on n wires, and what is read from them."""

    n: int
    steps: tuple[tuple[Any, ...], ...]
    readout: tuple[str, ...]
    parameters: tuple[float, ...]
    mode: str
    method: str
    precision: str


MODES = (*4 * ("numpy",), "jax", "jit", "grad", "forward", "second", "vmap")
"""Those that need no compiling come more often; PyTorch and autograd are added."""


def angles():
    """A constant, or a function of a traced parameter."""
    constants = st.tuples(st.just("constant"), st.integers(-31, 31))
    traced = st.tuples(st.sampled_from(sorted(FUNCTIONS)), st.integers(0, 1))
    return st.one_of(constants, traced)


@st.composite
def steps(draw, n):
    """One step; its wires are drawn without repetition."""
    wires = st.just(tuple(draw(st.permutations(range(n)))))
    number = st.integers(0, 9)

    def name(names):
        return st.sampled_from(sorted(names))

    return draw(
        st.one_of(
            st.tuples(st.just("fixed"), name(FIXED_1 + FIXED_2), wires),
            st.tuples(st.just("angle"), name(ANGLE_1 + ANGLE_2), wires, angles()),
            st.tuples(name(ONLY_NUMBERS), wires, number),
            st.tuples(name(WITH_ANGLE), wires, angles(), number),
            st.tuples(st.just("postselect"), wires, st.integers(0, 1)),
        )
    )


def _start(number):
    """None, a constant one of two kinds, or one that depends on the parameters."""
    prepared = ("prepared", number)
    return ((), (("hadamards",),), (("rotations",),), (prepared,))[number % 4]


def _parameters():
    """Numbers of both signs, away from where a clipped angle has no derivative."""
    return st.floats(-2.5, 2.5, width=16).filter(
        lambda x: min(abs(abs(x) - 0.5), abs(x)) > 0.1
    )


@st.composite
def programs(draw, modes=MODES):
    """A start and up to eight steps, in one of the modes."""
    n = draw(st.integers(3, 4))
    body = draw(st.lists(steps(n), min_size=1, max_size=8))
    readout = st.lists(st.sampled_from(sorted(READOUTS)), min_size=1, max_size=2)
    return RandomProgram(
        n,
        (*_start(draw(st.integers(0, 9))), *body),
        tuple(draw(readout)),
        (draw(_parameters()), draw(_parameters())),
        draw(st.sampled_from(modes)),
        draw(st.sampled_from(METHODS)),
        draw(st.sampled_from(("complex128", "complex128", "complex64"))),
    )


def node_of(program, name):
    """The program as a QNode of its two parameters."""
    ours = name != "default.qubit"
    device = qml.device(name, **({"c_dtype": program.precision} if ours else {}))

    def circuit(parameters):
        for step in program.steps:
            queue(step, (parameters[..., 0], parameters[..., 1]), program.n)
        return [READOUTS[kind]() for kind in program.readout]

    return qml.QNode(circuit, device, diff_method=program.method if ours else "best")


def judged(program):
    """What is right, values and gradient; None where it is no number."""
    node, args = node_of(program, "default.qubit"), [np.array(program.parameters)]
    kinds = [program.mode if program.mode in {"vmap", "broadcast"} else "value"]
    if program.mode in running.SLOPES:
        kinds.append(running.SLOPES[program.mode])
    try:
        with np.errstate(all="ignore"):
            found = [running.judge(node, args, kind) for kind in kinds]
    except ValueError:  # an outcome that can not be: its logarithm is refused
        return None
    finite = all(np.isfinite(part).all() for part in [*found[0], *found[1:]])
    return found if finite else None


def compare(program, name="qfm.statevector"):
    """Asserts equality; returns whether the program has a result at all."""
    right = judged(program)
    if right is None:
        return False
    args = [np.array(program.parameters)]
    node = node_of(program, name)
    results, slope = running.run(node, args, program.mode, program.precision)
    assert_close(results, right[0], program.precision, loose=3)
    if slope is not None:
        loose = 1000 if program.mode == "second" else 30
        assert_close([slope], [np.asarray(right[1])], program.precision, loose=loose)
    return True
