"""Random programs that mix everything, against `default.qubit`."""

from hypothesis import HealthCheck, given, settings
from simulator.programs.drawn import compare, programs

HOW = settings(
    max_examples=200,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@HOW
@given(programs())
def test_a_random_program_gives_what_default_qubit_gives(program):
    compare(program)
