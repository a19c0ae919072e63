"""The sentences of `_checks`, and exactly which values pass."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfm_jax._checks import (
    InputError,
    check_at_least,
    check_one_of,
    check_range,
    check_shape,
    input_error,
)


def message_of(check, *args):
    with pytest.raises(InputError) as info:
        check(*args)
    return str(info.value)


def test_the_sentence_names_argument_demand_and_value():
    error = input_error("shots", "be even", "is 3")
    assert str(error) == "Argument `shots` must be even, but is 3."
    assert isinstance(error, ValueError)


@given(st.integers(), st.integers())
def test_at_least_accepts_exactly_the_integers_from_its_minimum_on(value, minimum):
    if value >= minimum:
        check_at_least("n", value, minimum)
    else:
        sentence = f"Argument `n` must be a whole number of at least {minimum}, "
        sentence += f"but is {value}. Cure."
        assert message_of(check_at_least, "n", value, minimum, "Cure.") == sentence


@pytest.mark.parametrize("value", [2.0, True, "2", None, float("nan"), np.float32(2)])
def test_at_least_refuses_what_is_no_whole_number(value):
    assert f"but is {value!r}." in message_of(check_at_least, "n", value, 0)


@pytest.mark.parametrize("value", [np.int64(2), np.uint8(2)])
def test_at_least_accepts_the_whole_numbers_of_numpy(value):
    check_at_least("n", value, 2)
    assert "at least 3" in message_of(check_at_least, "n", value, 3)


@given(st.floats(), st.floats(-5, 0), st.floats(1, 5))
def test_range_accepts_exactly_its_closed_interval(value, low, high):
    if low <= value <= high:
        check_range("rate", value, low, high)
    else:
        sentence = f"Argument `rate` must lie in [{low}, {high}], but is {value!r}."
        assert message_of(check_range, "rate", value, low, high) == sentence


def test_range_may_be_open_above():
    check_range("rate", 1e30, 0)
    expected = "Argument `rate` must be at least 0, but is -1."
    assert message_of(check_range, "rate", -1, 0) == expected
    assert "is nan" in message_of(check_range, "rate", float("nan"), 0)
    assert "is True" in message_of(check_range, "rate", True, 0)
    assert "is '1'" in message_of(check_range, "rate", "1", 0)


def test_one_of_names_the_options_in_order_and_the_nearest_first():
    options = ["qiskit.aer", "default.qubit", "lightning.qubit"]
    check_one_of("device", "qiskit.aer", options)
    assert message_of(check_one_of, "device", "default.qbit", options, "Cure.") == (
        "Argument `device` must be one of default.qubit, lightning.qubit, "
        "qiskit.aer, but is 'default.qbit'. "
        "Did you mean 'default.qubit' or 'lightning.qubit'? Cure."
    )


def test_one_of_guesses_nothing_where_nothing_is_near():
    expected = "Argument `block` must be one of a, b, but is 'zzzz'."
    assert message_of(check_one_of, "block", "zzzz", ("b", "a")) == expected
    assert "but is None." in message_of(check_one_of, "block", None, ("b", "a"))


shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@given(shapes, shapes)
def test_shape_accepts_exactly_the_shape_expected(shape, expected):
    if shape == expected:
        check_shape("images", shape, expected)
    else:
        sentence = f"Argument `images` must have shape {expected}, "
        sentence += f"but has shape {shape}."
        assert message_of(check_shape, "images", shape, expected) == sentence


def test_a_name_in_a_shape_stands_for_any_length():
    expected = ("batch", 28, 28)
    for batch in (0, 1, 7):
        check_shape("images", (batch, 28, 28), expected)
    sentence = "Argument `images` must have shape (batch, 28, 28), but has shape {}."
    for shape in [(28, 28), (1, 28, 27), (1, 28, 28, 1)]:
        expected_message = sentence.format(shape)
        assert message_of(check_shape, "images", shape, expected) == expected_message
