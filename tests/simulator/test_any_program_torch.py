"""The programs with PyTorch tensors: values and gradients."""

import pytest
from hypothesis import given, settings
from simulator.programs.drawn import compare, programs
from simulator.programs.flow import FLOW
from simulator.programs.gates import GATES
from simulator.programs.layers import STATES_AND_LAYERS
from simulator.programs.readouts import READOUTS
from simulator.programs.sample import check, sampled
from simulator.programs.templates import TEMPLATES

pytest.importorskip("torch")
# default.qubit: variances of observables whose eigenvalues are complex.
pytestmark = pytest.mark.filterwarnings("ignore:Casting complex values to real")
ALL = {**GATES, **STATES_AND_LAYERS, **TEMPLATES, **FLOW, **READOUTS}
PROGRAMS = {name: p for name, p in ALL.items() if "torch" not in p.without}


@pytest.mark.parametrize(
    ("name", "mode", "start", "precision"), sampled(PROGRAMS, 0.12, modes=("torch",))
)
def test_a_program_gives_what_default_qubit_gives(name, mode, start, precision):
    check(PROGRAMS[name], mode, start, precision)


@settings(max_examples=15, derandomize=True, database=None, deadline=None)
@given(programs(("torch",)))
def test_a_random_program_gives_what_default_qubit_gives(program):
    compare(program)
