"""Fits of what is known, and a cluster counted by hand."""

import numpy as np
import pytest
from growth import (
    Cluster,
    Growth,
    cluster_step,
    doubling,
    fit_growth,
    largest_circuit,
)
from hypothesis import given
from hypothesis import strategies as st

from qfm_jax._checks import InputError

N = [2, 4, 8, 12, 16]


@given(
    st.floats(1e-6, 1e3),
    st.floats(1e-9, 1e-3),
    st.integers(0, 2),
)
def test_what_follows_the_law_is_found_again(overhead, factor, power):
    values = [overhead + factor * n**power * 2.0**n for n in N]
    found = fit_growth(N, values, power=power)
    assert found.largest_misfit < 1e-6
    for n in (3, 16, 30):
        assert found(n) == pytest.approx(
            overhead + factor * n**power * 2.0**n, rel=1e-3
        )


def test_noise_is_borne_and_said():
    noise = 1 + 0.1 * np.random.default_rng(0).uniform(-1, 1, len(N))
    found = fit_growth(
        N, [f * (1e-3 + 1e-6 * n * 2**n) for f, n in zip(noise, N, strict=True)]
    )
    assert found(30) == pytest.approx(1e-6 * 30 * 2**30, rel=0.15)
    assert 0.01 < found.largest_misfit < 0.2


def test_what_does_not_grow_is_all_overhead():
    found = fit_growth(N, [5.0] * len(N))
    assert found(16) == pytest.approx(5, rel=1e-6)
    falling = fit_growth(N, [1 / n for n in N])  # no negative part
    assert min(falling.overhead, falling.factor) >= 0
    assert falling.largest_misfit > 0.5


def test_growth_for_a_qubit_more():
    assert doubling([4, 2, 3], [8.0, 1.0, 4.0]) == 2
    assert doubling([10, 12], [1.0, 9.0]) == 3


def test_a_cluster_by_hand():
    growth = Growth(overhead=0.0, factor=1e-9, power=0, largest_misfit=0.0)
    alone = Cluster(nodes=1, memory=1e9, bandwidth=1e9)
    assert cluster_step(growth, 30, 4, alone) == growth(30)
    shared = Cluster(nodes=8, memory=1e9, bandwidth=2e9)
    bytes_of_a_node = 2**30 / 8 * 8
    exchanges = 3 * 4 * 3  # passes, layers, qubits that tell nodes apart
    expected = growth(30) / 8 + exchanges * bytes_of_a_node / 2 / 2e9
    assert cluster_step(growth, 30, 4, shared) == pytest.approx(expected)


def test_the_largest_circuit_just_fits():
    growth = Growth(100.0, 48.0, 0, 0.0)
    n = largest_circuit(growth, 20e9)
    assert growth(n) <= 20e9 < growth(n + 1)
    assert largest_circuit(growth, 10.0) == 0


def test_bad_input():
    with pytest.raises(InputError, match="`n_qubits` must hold two different numbers"):
        fit_growth([4, 4], [1.0, 2.0])
    with pytest.raises(InputError, match=r"`values` must be positive .* hold 0.0"):
        fit_growth([2, 4], [0.0, 1.0])
    with pytest.raises(InputError, match="`nodes` must be a power of two, but is 3"):
        Cluster(3, 1e9, 1e9)
