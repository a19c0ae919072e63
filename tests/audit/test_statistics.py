"""Paired statistics against brute force, hand computation and the literature."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from paired_answers import N_TEST, against, answers
from scipy.stats import rankdata, t, ttest_1samp, wilcoxon

from qfm_jax._checks import InputError
from qfm_jax.audit.statistics import compare, dead_seeds, holm
from qfm_jax.audit.verdicts import verdict

SWAPPED = {"helps": "hurts", "hurts": "helps"}


def signed_rank_p(differences):
    """The share of all 2^n sign patterns whose rank sum is as far from the middle."""
    d = np.array([value for value in differences if value])
    ranks = rankdata(abs(d))
    middle = ranks.sum() / 2
    signs = itertools.product([0, 1], repeat=len(d))
    far = abs(np.array(list(signs)) @ ranks - middle)
    return np.mean(far >= abs(ranks[d > 0].sum() - middle))


images = st.integers(-12, 12)  # few values: many ties and zeros


@given(st.lists(images, min_size=2, max_size=11).filter(any))
@example([3] * 10)
@example([0, 5])
@settings(max_examples=40, deadline=None)
def test_p_value_is_that_of_all_sign_flips(won):
    (difference,) = against(won)
    assert difference.p_value == pytest.approx(signed_rank_p(won), rel=1e-12)


@pytest.mark.parametrize("n_seeds", [14, 25, 50])
def test_p_value_without_ties_is_the_exact_one_of_scipy(n_seeds):
    rng = np.random.default_rng(n_seeds)
    won = rng.permutation(np.arange(1, n_seeds + 1)) * rng.choice([-1, 1, 1], n_seeds)
    (difference,) = against(won)
    expected = wilcoxon(won, method="exact").pvalue
    assert difference.p_value == pytest.approx(expected, rel=1e-9)


def test_p_value_of_sixteen_seeds_with_ties_and_zeros_is_exact():
    won = [1, -2, 3, 3, -5, 3, 7, -7, 9, 10, 0, 10, 7, -14, 12, 12]
    (difference,) = against(won)
    assert difference.p_value == pytest.approx(signed_rank_p(won), rel=1e-12)


def test_unanimous_seeds_reach_the_floor_for_any_number_of_exact_seeds():
    for n_seeds in (2, 10, 25, 50):
        (difference,) = against([4] * n_seeds)
        assert difference.p_value == difference.p_floor == 2 / 2**n_seeds


@pytest.mark.parametrize(
    ("won", "p"),
    [
        ([1, 2, 3, 4, 5, 6], 2 / 64),  # W = 0: the one pattern without a minus
        ([-1, 2, 3, 4, 5, 6], 4 / 64),  # W = 1: {} and {1}
        ([1, 2, -3, 4, 5, 6], 10 / 64),  # W = 3: {}, {1}, {2}, {3}, {1, 2}
        ([-1, -2, -3, -4, -5], 2 / 32),
        ([9, 9, 9, 9], 2 / 16),  # below it, at 0.046, is the normal approximation
        ([0, 0, 7, 8, 9], 2 / 8),  # zeros are left out
        ([5, -5], 1.0),
    ],
)
def test_p_value_by_hand(won, p):
    (difference,) = against(won)
    assert difference.p_value == pytest.approx(p, rel=1e-12)
    assert difference.p_floor == 2 / 2 ** len(won) <= difference.p_adjusted


def test_accuracies_that_differ_by_rounding_alone_are_ties():
    won = [100, 100, 100, -100, 200, 200]  # 0.3 - 0.2 is not 0.2 - 0.1
    control = answers([200, 100, 700, 900, 100, 600])
    model = answers([300, 200, 800, 800, 300, 800])
    (difference,) = compare(model, {"control": control})
    assert difference.p_value == pytest.approx(signed_rank_p(won), rel=1e-12)
    assert difference.differences == (0.1, 0.1, 0.1, -0.1, 0.2, 0.2)


def test_many_seeds_and_ties_take_the_normal_approximation():
    won = np.array([3] * 35 + [-1] * 25)  # ranks 48 and 13
    rank_sum, mean = 25 * 13, 60 * 61 / 4
    ties = (35**3 - 35 + 25**3 - 25) / 48
    z = (rank_sum - mean) / math.sqrt(60 * 61 * 121 / 24 - ties)
    (difference,) = against(won)
    assert difference.p_value == pytest.approx(math.erfc(-z / math.sqrt(2)))


def test_effect_size_is_that_of_the_paired_t_test():
    won = [4, -1, 7, 3, 3, 0, 9]
    (difference,) = against(won)
    t_statistic = ttest_1samp(won, 0).statistic
    assert difference.effect_size == pytest.approx(t_statistic / math.sqrt(7))
    assert difference.mean == pytest.approx(np.mean(won) / N_TEST)
    assert (difference.n_seeds, difference.n_wins) == (7, 5)


def test_interval_of_many_seeds_is_that_of_the_t_test():
    won = np.random.default_rng(0).normal(5, 20, 200).round().astype(int)
    (difference,) = against(won)
    half = t.ppf(0.975, 199) * won.std(ddof=1) / math.sqrt(200)
    expected = (won.mean() - half, won.mean() + half)
    assert np.multiply(difference.interval, N_TEST) == pytest.approx(expected, abs=0.3)


def test_interval_of_skewed_differences_reaches_to_their_long_side():
    (difference,) = against([0, 0, 0, 1, 1, 1, 2, 2, 3, 40])
    low, high = difference.interval
    assert high - difference.mean > 2 * (difference.mean - low)


@given(st.lists(images, min_size=2, max_size=12), st.integers(0, 2**32 - 1))
@example([0] * 11 + [1], 0)
@settings(max_examples=40, deadline=None)
def test_interval_contains_the_mean_and_ignores_the_order_of_the_seeds(won, seed):
    (difference,) = against(won, seed=seed)
    low, high = difference.interval
    lowest, *_, highest = sorted(difference.differences)
    assert lowest <= low <= difference.mean <= high <= highest
    assert low < high or lowest == highest
    (again,) = against(won[::-1], seed=seed)
    assert again.interval == difference.interval
    assert type(low) is type(high) is float


@given(st.lists(images, min_size=2, max_size=12), st.floats(0, 0.02))
@settings(max_examples=40, deadline=None)
def test_exchanging_model_and_control_turns_the_signs_round(won, margin):
    model, control = answers([500] * len(won)), answers(500 - np.array(won))
    (there,), (back,) = compare(model, {"x": control}), compare(control, {"x": model})
    assert back.differences == tuple(-d for d in there.differences)
    assert back.interval == tuple(-end for end in reversed(there.interval))
    assert back.p_value == pytest.approx(there.p_value)
    word = verdict(there, margin=margin)
    assert verdict(back, margin=margin) == SWAPPED.get(word, word)


def test_equal_differences_have_no_spread():
    same, none = against([7] * 8, [0] * 8)
    assert same.interval == (0.007, 0.007)
    assert same.effect_size is None
    assert same.p_value == same.p_floor
    assert none.interval == (0, 0)
    assert none.effect_size is None
    assert none.p_value is None
    assert none.p_adjusted == 1


def test_a_seed_of_the_bootstrap_gives_the_same_interval_again():
    won = [3, -4, 9, 12, -7, 2, 30]
    assert against(won, seed=3) == against(won, seed=3)
    assert against(won, seed=3)[0].interval != against(won, seed=4)[0].interval


# Benjamini and Hochberg (1995), the fifteen comparisons of their example.
PUBLISHED = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344]
PUBLISHED += [0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000]


def test_holm_rejects_what_the_literature_rejects():
    adjusted = holm(PUBLISHED)
    assert sum(p <= 0.05 for p in adjusted) == 3
    assert adjusted[:4] == pytest.approx((0.0015, 0.0056, 0.0247, 0.114))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_holm_is_the_closed_test_of_bonferroni(p_values):
    # Marcus, Peritz and Gabriel (1976): reject what every intersection rejects.
    places = range(len(p_values))
    expected = [0.0] * len(p_values)
    for size in range(1, len(p_values) + 1):
        for family in itertools.combinations(places, size):
            local = min(1, size * min(p_values[i] for i in family))
            for i in family:
                expected[i] = max(expected[i], local)
    assert holm(p_values) == pytest.approx(expected)


def test_compare_adjusts_over_all_controls_in_their_order():
    won = [[0] * 8, [1, 2, 3, 4, 5, 6, 7, 8], [-1, 2, -3, 4, 5, 6, 7, 8]]
    differences = against(*won)
    assert [d.control for d in differences] == ["control0", "control1", "control2"]
    assert {d.n_controls for d in differences} == {3}
    p = [signed_rank_p(w) for w in won[1:]]  # the first has none and still counts
    expected = [1, 3 * p[0], max(3 * p[0], 2 * p[1])]
    assert [d.p_adjusted for d in differences] == pytest.approx(expected)


@pytest.mark.parametrize("n_classes", range(2, 51))
def test_a_dead_seed_is_within_two_points_of_guessing(n_classes):
    # In whole ten-thousandths times n_classes, which no rounding touches.
    right = np.arange(0, 10_001)
    expected = np.flatnonzero(right * n_classes <= 10_000 + 200 * n_classes)
    assert dead_seeds(right / 10_000, 1 / n_classes) == tuple(expected)


def test_no_seed_is_dead_in_a_model_that_learns():
    assert dead_seeds(np.array([0.86, 0.4]), 0.1) == ()


RIGHT = np.ones((3, 5), bool)


@pytest.mark.parametrize(
    ("model", "controls", "sentence"),
    [
        (
            RIGHT[:1],
            {"a": RIGHT[:1]},
            "`n_seeds` must be .* at least 2, but is 1. Each",
        ),
        (RIGHT[:, :0], {"a": RIGHT[:, :0]}, "`n_test` must be .* at least 1, but is 0"),
        (RIGHT[0], {"a": RIGHT}, r"`model_right` must have shape \(n_seeds, n_test\)"),
        (1 * RIGHT, {"a": RIGHT}, "`model_right` must be boolean, but has type int64"),
        (RIGHT, {}, "`controls_right` must hold at least one control, but is empty"),
        (
            RIGHT,
            {"a": RIGHT, "b": RIGHT[:, :4]},
            r"`controls_right\['b'\]` must have shape \(3, 5\), but has shape \(3, 4\)",
        ),
        (
            RIGHT,
            {"a": RIGHT.astype(float)},
            r"`controls_right\['a'\]` must be boolean, but has type float64. Pass `p",
        ),
    ],
)
def test_bad_answers(model, controls, sentence):
    with pytest.raises(InputError, match=sentence):
        compare(model, controls)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: compare(RIGHT, {"a": RIGHT}, seed=-1),
            "`seed` must be a whole number",
        ),
        (
            lambda: dead_seeds(np.array([0.1]), 1.5),
            r"`chance` must lie in \[0, 1\], but",
        ),
        (lambda: dead_seeds(np.array(0.1), 0.1), r"`accuracy` must have shape \(n_see"),
        (lambda: dead_seeds(np.array([86.0]), 0.1), r"`accuracy` must lie in \[0, 1\]"),
        (lambda: dead_seeds(np.array([np.nan]), 0.1), r"`accuracy` must lie in \[0, 1"),
    ],
)
def test_bad_input(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
