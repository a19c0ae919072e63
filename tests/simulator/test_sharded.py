"""States that devices share: planned in this process, run in one of eight devices."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pennylane as qml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfm_jax._checks import InputError
from qfm_jax.simulator.exchanges import exchange

ROOT = Path(__file__).parents[2]


def run(*checks):
    """Runs functions of `sharded_circuits.py` on eight virtual devices."""
    eight = "--xla_force_host_platform_device_count=8"
    flags = f"{os.environ['XLA_FLAGS']} {eight}"  # those of conftest.py, too
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    module = "tests.simulator.sharded_circuits"
    command = [sys.executable, "-W", "ignore", "-m", module, *checks]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("passed: ") == len(checks)


def test_eight_devices_give_the_same_and_none_holds_a_state():
    run(
        "check_every_kind_of_gate",
        "check_numpy_in_numpy_out",
        "check_the_traffic_and_that_no_device_holds_a_state",
        "check_bad_input",
        "check_what_one_device_cannot_hold_eight_can",
    )


@pytest.mark.slow
def test_more_circuits_and_batches_on_several_devices():
    run("check_more_circuits", "check_a_batch_by_backprop_on_four_devices")


@given(
    st.permutations(range(7)),
    st.lists(st.sets(st.integers(0, 6), min_size=1, max_size=4), min_size=1),
    st.integers(1, 3),
)
def test_an_exchange_makes_the_qubits_needed_last_the_leading_ones(order, needs, k):
    layout, axes = tuple(order), tuple("abc"[:k])
    swap, after = exchange(layout, axes, needs)
    assert sorted(after) == list(range(7))
    first = {
        w: next((i for i, s in enumerate(needs) if w in s), math.inf) for w in after
    }
    assert min(first[w] for w in after[:k]) >= max(first[w] for w in after[k:])
    assert not needs[0] & set(after[:k])
    # Places on the devices change where an axis says so, and nowhere else.
    moved = [a for a, old, new in zip(axes, layout, after, strict=False) if old != new]
    assert moved == list(swap.axes)
    # What was there comes to the front of what a device holds, in its order.
    came = tuple(w for w in layout[:k] if w not in after[:k])
    assert after[k : k + len(came)] == came


def test_a_number_of_devices_that_cannot_be():
    for number, words in ((3, "be a power of two, but is 3"), (0, "at least 1")):
        with pytest.raises(InputError, match=f"`devices` must .*{words}"):
            qml.device("qfm.statevector", devices=number)
    with pytest.raises(InputError, match=r"`devices` must be at most \d+, but is 4096"):
        qml.device("qfm.statevector", devices=4096)
    with pytest.raises(InputError, match="`shard_above` must be a whole number"):
        qml.device("qfm.statevector", shard_above=-1)


def test_a_small_state_lies_on_one_device_whatever_was_asked_for():
    node = qml.qnode(qml.device("qfm.statevector", wires=2, shard_above=64))(
        lambda: qml.state()
    )
    assert node().shape == (4,)
