"""What may be said of a circuit: the rule, its symmetry, its sentences."""

import dataclasses
import re
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paired_answers import against

from qfm_jax._checks import InputError
from qfm_jax.audit.statistics import PairedDifference
from qfm_jax.audit.verdicts import Verdict, seeds_needed, verdict, verdict_sentence

CANNOT_TELL = "cannot tell with this many seeds"
SWAPPED = {"helps": "hurts", "hurts": "helps"}


def paired(interval, p_adjusted, *, n_seeds=10, n_controls=1, sign=1):
    """A difference with these numbers; all seeds of one sign."""
    mean = sum(interval) / 2
    return PairedDifference(
        control="dense",
        n_seeds=n_seeds,
        n_controls=n_controls,
        differences=(sign * 0.001,) * n_seeds,
        mean=mean,
        interval=interval,
        effect_size=1.0,
        p_value=p_adjusted / n_controls,
        p_floor=2 / 2**n_seeds,
        p_adjusted=p_adjusted,
        n_wins=n_seeds if sign > 0 else 0,
    )


@pytest.mark.parametrize("n_controls", range(1, 9))
def test_seeds_needed_are_the_fewest_that_can_be_significant(n_controls):
    n = seeds_needed(n_controls)
    unanimous = against(*[range(1, n + 1)] * n_controls)
    assert {verdict(d) for d in unanimous} == {"helps"}
    unanimous = against(*[range(1, n)] * n_controls)
    assert {verdict(d) for d in unanimous} == {CANNOT_TELL}


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        (paired((0.001, 0.003), 0.05), "helps"),
        (paired((-0.003, -0.001), 0.05, sign=-1), "hurts"),
        (paired((-0.003, 0.002), 0.051), "no difference detected"),
        (paired((-0.01, 0.01), 0.4), "no difference detected"),
        (paired((-0.0101, 0.001), 0.4), CANNOT_TELL),  # room for a real difference
        (paired((-0.001, 0.0101), 0.4), CANNOT_TELL),
        (paired((0.001, 0.003), 0.051), CANNOT_TELL),  # the interval alone sees one
        (paired((-0.001, 0.003), 0.05), CANNOT_TELL),  # the test alone sees one
        (paired((0.001, 0.003), 0.05, sign=-1), CANNOT_TELL),  # opposite directions
        (paired((0.001, 0.003), 0.05, n_seeds=6), "helps"),
        (paired((0.001, 0.003), 0.05, n_seeds=5), CANNOT_TELL),
        (paired((0.001, 0.003), 0.05, n_seeds=6, n_controls=2), CANNOT_TELL),
        (paired((0.0, 0.0), 1.0), "no difference detected"),
        (paired((0.0, 0.003), 0.01), CANNOT_TELL),  # 0 is in the interval
    ],
)
def test_verdict(difference, expected):
    assert verdict(difference) == expected


def test_margin_is_the_difference_that_does_not_matter():
    difference = paired((-0.003, 0.002), 0.4)
    assert verdict(difference, margin=0.003) == "no difference detected"
    assert verdict(difference, margin=0.0029) == CANNOT_TELL
    assert "cannot tell" in verdict_sentence("m", [difference], margin=0.0029)


def test_a_few_huge_wins_do_not_outvote_the_ranks():
    # 41 seeds lose a little, 9 win much: the ranks favour the control, the mean the
    # model.
    (difference,) = against([-n for n in range(1, 42)] + list(range(300, 309)))
    assert difference.p_adjusted <= 0.05
    assert difference.interval[0] > 0
    assert verdict(difference) == CANNOT_TELL


def test_zeros_leave_the_direction_of_the_ranks_alone():
    # Ranks 5 + 6 against 1 + 2 + 3 + 4; behind four zeros 9 + 10 against 5 + ... + 8.
    differences = (0.001, 0.002, 0.003, 0.004, -0.005, -0.006, 0.0, 0.0, 0.0, 0.0)
    difference = paired((-0.003, -0.001), 0.05)
    difference = dataclasses.replace(difference, differences=differences)
    assert verdict(difference) == "hurts"


numbers = st.sampled_from([-1.0, -0.01, -0.002, 0.0, 0.002, 0.01, 1.0])
numbers |= st.floats(-1, 1)


@given(
    st.tuples(numbers, numbers).map(sorted).map(tuple),
    st.floats(0, 1) | st.just(0.05),
    st.integers(2, 40),
    st.integers(1, 9),
    st.sampled_from([-1, 0, 1]),
    st.floats(0, 1),
)
@settings(max_examples=150, deadline=None)
def test_verdict_is_total_and_symmetric(interval, p, n_seeds, n_controls, sign, margin):
    there = paired(interval, p, n_seeds=n_seeds, n_controls=n_controls, sign=sign)
    mirrored = (-interval[1], -interval[0])
    back = paired(mirrored, p, n_seeds=n_seeds, n_controls=n_controls, sign=-sign)
    word = verdict(there, margin=margin)
    assert word in get_args(Verdict)
    assert verdict(back, margin=margin) == SWAPPED.get(word, word)
    low, high = interval
    if word == "helps":
        assert low > 0 >= -sign
        assert p <= 0.05
    if word == "no difference detected":
        assert -margin <= low <= 0 <= high <= margin
        assert p > 0.05
    sentence = verdict_sentence("m", [there], margin=margin)
    assert (sentence.count(word), "-0.00" in sentence) == (1, False)


def test_sentence_of_a_circuit_that_hurts():
    difference = paired((-0.0052, -0.0010), 0.012, sign=-1)
    meanings = {"dense": "the same front end, a dense block of equal width"}
    assert verdict_sentence("hybrid-cnn", [difference], meanings) == (
        "Against dense (the same front end, a dense block of equal width), hybrid-cnn "
        "is 0.31 points lower (95 % interval -0.52 to -0.10, 10 seeds, Holm-adjusted "
        "p = 0.012): the circuit hurts."
    )
    subjects = {"dense": "the circuit with its squashing"}
    said = verdict_sentence("hybrid-cnn", [difference], subjects=subjects)
    assert said.endswith("p = 0.012): the circuit with its squashing hurts.")


def test_sentences_say_the_number_of_seeds_that_it_takes():
    text = verdict_sentence("hybrid", against([40, 50, 60], [0, 0, 0]))
    first, second, third = re.split(r"(?<=\.) (?=[A-Z])", text)
    assert first.startswith(
        "Against control0, hybrid is 5.00 points higher (95 % interval"
    )
    assert "3 seeds, Holm-adjusted p = 0.500): one cannot tell" in first
    assert second.startswith("Against control1, hybrid is equal to within 0.01 points")
    assert third == (
        "With 3 seeds and 2 controls no result could be significant: it takes at least "
        "7 seeds."
    )


def test_sentence_rounds_no_p_value_to_zero():
    (difference,) = against(range(1, 13))
    assert "Holm-adjusted p < 0.001): the circuit helps." in verdict_sentence(
        "hybrid", [difference]
    )


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: seeds_needed(0), "`n_controls` must be a whole number of at least 1"),
        (
            lambda: verdict(paired((0, 0), 1.0), margin=2),
            r"`margin` must lie in \[0, 1",
        ),
        (lambda: verdict_sentence("m", []), "`differences` must hold at least one com"),
    ],
)
def test_bad_input(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
