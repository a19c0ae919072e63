"""Which combinations of program, start, mode and precision the fast tests run."""

import zlib

import numpy as np
import pytest
from simulator.programs.running import MODES, PRECISIONS, STARTS, compare


def modes_of(program):
    """The modes in which `default.qubit` runs the program.

    Second derivatives are those of random programs.
    """
    apart = {"torch", "second"}
    return [mode for mode in MODES if mode not in {*apart, *program.without}]


def sampled(programs, share, modes=None):
    """Parameters of a test: each program in each mode; the sample is not slow.

    Args:
        programs: programs by name.
        share: how many of the programs run in a drawn mode; all run in NumPy.
        modes: the modes, or those of each program.
    """
    found = []
    for name, program in programs.items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        allowed = modes or modes_of(program)
        compiled = [mode for mode in allowed if mode != "numpy"]
        drawn = rng.choice(compiled) if rng.uniform() < share else None
        for mode in allowed:
            fast = mode in {"numpy", drawn}
            start, precision = rng.choice(STARTS), rng.choice(PRECISIONS)
            if fast:
                found.append(_parameter(name, mode, str(start), str(precision)))
            found.append(_parameter(name, mode, "all", "all", pytest.mark.slow))
    return found


def _parameter(name, mode, start, precision, *marks):
    label = f"{name}-{mode}-{start}-{precision}".replace(" ", "_")
    return pytest.param(name, mode, start, precision, marks=marks, id=label)


def check(program, mode, start, precision):
    """Compares one combination, or all of a mode."""
    starts = STARTS if start == "all" else (start,)
    precisions = PRECISIONS if precision == "all" else (precision,)
    for one in starts:
        for other in precisions:
            compare(program, one, mode, other)
