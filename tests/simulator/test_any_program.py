"""Every operation and template that PennyLane exports, against `default.qubit`."""

import importlib
import os
import pkgutil
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import numpy as np
import pennylane as qml
import pytest
from pennylane.measurements import MeasurementProcess
from pennylane.operation import Operator
from simulator.programs.flow import FLOW
from simulator.programs.gates import GATES
from simulator.programs.layers import STATES_AND_LAYERS
from simulator.programs.left_out import LEFT_OUT
from simulator.programs.readouts import READOUTS
from simulator.programs.running import ANGLES, node_of
from simulator.programs.sample import check, sampled
from simulator.programs.shots import SAMPLED
from simulator.programs.templates import TEMPLATES

from qfm_jax.simulator.gates import ANGLES as ONE_ANGLE

OPERATIONS = {**GATES, **STATES_AND_LAYERS, **TEMPLATES, **FLOW}
PROGRAMS = {**OPERATIONS, **READOUTS}


@pytest.mark.parametrize(
    ("name", "mode", "start", "precision"), sampled(OPERATIONS, share=0.4)
)
def test_an_operation_gives_what_default_qubit_gives(name, mode, start, precision):
    check(OPERATIONS[name], mode, start, precision)


@pytest.mark.parametrize("gate", sorted(ONE_ANGLE, key=lambda gate: gate.__name__))
def test_a_gate_that_is_read_by_its_spectrum_is_one_at_zero_and_turns_on(gate):
    words = {"PauliRot": ("XY",), "TmpPauliRot": ("XY",)}.get(gate.__name__, ())
    n = gate.num_wires or 2

    def matrix(angle):
        return np.asarray(qml.matrix(gate(angle, *words, wires=range(n)), range(n)))

    np.testing.assert_allclose(matrix(0.0), np.eye(2**n), atol=1e-12)
    np.testing.assert_allclose(matrix(0.4) @ matrix(1.1), matrix(1.5), atol=1e-12)


def test_a_batch_of_pswap_is_swapped():
    # At zero it is a SWAP: no rotation, although it has one angle.
    for mode in ("vmap", "broadcast", "grad"):
        check(GATES["PSWAP"], mode, "rotations", "complex128")


PULSE = """
from simulator.programs.flow import PULSE
from simulator.programs.running import compare
for mode in ("numpy", "jit", "grad", "vmap"):
    compare(PULSE, "rotations", mode, "complex128")
"""


def test_a_pulse_gives_what_default_qubit_gives():
    env = {**os.environ, "JAX_ENABLE_X64": "1"}
    place = Path(__file__).parents[1]
    run = [sys.executable, "-c", PULSE]
    done = subprocess.run(run, cwd=place, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _load_all():
    """Loads PennyLane's modules, so that all of its classes are known.

    One of its experimental ones switches JAX to double precision when it is loaded.
    """
    before = jax.config.jax_enable_x64
    for module in pkgutil.walk_packages(qml.__path__, "pennylane."):
        if not module.name.startswith("pennylane.devices.tests"):
            try:
                importlib.import_module(module.name)
            except Exception:
                continue
    jax.config.update("jax_enable_x64", before)


def _below(base):
    for cls in base.__subclasses__():
        yield cls
        yield from _below(cls)


def test_every_class_of_pennylane_stands_in_a_program_or_is_left_out_with_a_reason():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _load_all()
    known = {
        cls.__name__
        for base in (Operator, MeasurementProcess)
        for cls in _below(base)
        if cls.__module__.startswith("pennylane.")
    }
    left_out = [name for names in LEFT_OUT.values() for name in names.split()]
    assert len(left_out) == len(set(left_out))
    run = {name.split(":")[0].split(",")[0] for name in (*PROGRAMS, *SAMPLED)}
    run.add("ParametrizedEvolution")
    assert known - run - set(left_out) == set(), "new: write a program, or a reason"
    assert set(left_out) - known == set(), "gone from PennyLane"
    assert set(left_out) & run == set(), "left out, but there is a program"


def _parts(thing):
    """The classes of an operation or measurement, and of all inside it."""
    yield type(thing).__name__
    for name in ("obs", "base", "operands", "mv", "_measurements"):
        inner = getattr(thing, name, None)
        for one in inner if isinstance(inner, list | tuple) else [inner]:
            if isinstance(one, Operator):
                yield from _parts(one)


@pytest.mark.parametrize(
    "name",
    [name for name in PROGRAMS if name not in FLOW and not name.endswith("probs")],
)
def test_a_program_holds_what_it_is_named_after(name):
    program = PROGRAMS[name]
    node = node_of(program, "Hadamards", "default.qubit")
    tape = qml.workflow.construct_tape(node)(ANGLES, *program.values)
    found = {
        part for one in (*tape.operations, *tape.measurements) for part in _parts(one)
    }
    wanted = name.split(":")[0].split(",")[0]
    assert wanted in found
