from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.audiences.criteria import Frequency
from actors.audiences.criteria import Test as ValueTest
from actors.audiences.intervals import frequency_intervals, is_within, number_intervals

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 5.0])


@given(numbers, numbers)
def test_intervals_are_what_the_comparisons_say(number: float, operand: float) -> None:
    """spec/audiences.md, 5, rule 8."""
    expected = {
        "equals": number == operand,
        "not_equals": number != operand,
        "greater_than": number > operand,
        "greater_or_equal": number >= operand,
        "less_than": number < operand,
        "less_than_or_equal": number <= operand,
    }
    found = {
        operator: is_within(number, number_intervals(ValueTest("number", operator, operand)))
        for operator in expected
    }
    assert found == expected


@given(numbers, st.lists(numbers, min_size=1, max_size=5))
def test_lists_are_points_and_what_lies_between(number: float, operands: list[float]) -> None:
    values = tuple(operands)
    inside = number_intervals(ValueTest("number", "in_list", values=values))
    outside = number_intervals(ValueTest("number", "not_in_list", values=values))
    assert is_within(number, inside) is (number in operands)
    assert is_within(number, outside) is (number not in operands)


@given(numbers, numbers, numbers)
def test_between_includes_both_borders(number: float, least: float, greatest: float) -> None:
    intervals = number_intervals(
        ValueTest("number", "between", min_value=least, max_value=greatest)
    )
    assert is_within(number, intervals) is (least <= number <= greatest)


def test_no_interval_contains_what_is_no_number() -> None:
    not_five = number_intervals(ValueTest("number", "not_equals", 5.0))
    assert not is_within(float("nan"), not_five)
    assert len(not_five) == 2


def test_counts_have_intervals_too() -> None:
    assert frequency_intervals(Frequency("less_than", 3))[0][0] == -inf
    assert is_within(0, frequency_intervals(Frequency("less_than", 3)))
    assert not is_within(3, frequency_intervals(Frequency("less_than", 3)))
    assert not is_within(0, frequency_intervals(Frequency()))
    assert frequency_intervals(Frequency("between", min_value=0, max_value=2)) == ((0.0, 2.0),)


@pytest.mark.parametrize(
    "test", [ValueTest("number", "exists"), ValueTest("string", "equals", "5")]
)
def test_other_tests_have_no_intervals(test: ValueTest) -> None:
    with pytest.raises(ValueError, match=r"operand|intervals"):
        number_intervals(test)
