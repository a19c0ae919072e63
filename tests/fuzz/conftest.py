"""How long to fuzz: a few examples, always the same; or QFM_FUZZ_SECONDS in all.

QFM_FUZZ_SEED says from which seed on; where it is empty, from a random one.
"""

import collections
import os
import random
import time

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

SECONDS = float(os.environ.get("QFM_FUZZ_SECONDS", "0"))
N_CALLS = 20
"""Calls of `fuzz` that share the seconds."""

FEW = 20
MANY = 20
"""Examples after which a clock is looked at."""

CHECKS = (HealthCheck.too_slow, HealthCheck.data_too_large)
SEED = os.environ.get("QFM_FUZZ_SEED") or random.SystemRandom().randrange(2**32)
START = int(SEED) if SECONDS else 0
TRIED: collections.Counter[str] = collections.Counter()


@pytest.fixture
def fuzz(request):
    """Calls a check with examples of a strategy, as long as there is time."""

    def run(strategy, check, few=FEW):
        def trial(number, **options):
            @seed(number)
            @settings(**options)
            @given(strategy)
            def one(value):
                TRIED[request.node.name] += 1
                check(value)

            one()

        same = {"deadline": None, "database": None, "suppress_health_check": CHECKS}
        if not SECONDS:
            phases = (Phase.explicit, Phase.generate)
            trial(START, max_examples=few, phases=phases, **same)
            return
        late, number = time.monotonic() + SECONDS / N_CALLS, START
        while time.monotonic() < late:
            trial(number, max_examples=MANY, **same)
            number += 1

    return run


def pytest_terminal_summary(terminalreporter):
    if SECONDS and TRIED:
        terminalreporter.section(f"damaged files tried, from seed {START} on")
        for name, count in TRIED.items():
            terminalreporter.write_line(f"{name:<50}{count:>10,}")
        terminalreporter.write_line(f"{'all':<50}{TRIED.total():>10,}")
