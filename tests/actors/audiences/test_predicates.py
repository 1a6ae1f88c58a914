from typing import Any

import pytest

from actors.audiences.criteria import Test as ValueTest
from actors.audiences.criteria import ValueRef
from actors.audiences.predicates import is_timed, pair_predicate, predicate, timed_predicate
from actors.audiences.values import MISSING, StoredValue

NOW = 1_773_147_600_000  # 2026-03-10T13:00:00Z
REFERENCE = ValueRef("user_attribute", "other")

# The fixture of spec/audiences.md, by MPID.
STATUS: dict[int, StoredValue] = {
    1001: "Premium",
    1002: "premium",
    1003: None,
    1004: MISSING,
    1005: "gold",
}
AGE: dict[int, StoredValue] = {1001: "34", 1002: "abc", 1003: "18", 1004: MISSING, 1005: MISSING}
TAGS: dict[int, StoredValue] = {
    1001: ["Jazz", "Rock"],
    1002: MISSING,
    1003: [],
    1004: MISSING,
    1005: MISSING,
}


def users(values: dict[int, StoredValue], type_: Any, operator: str, *operand: Any) -> set[int]:
    test = made(type_, operator, *operand)
    holds = predicate(test)
    return {mpid for mpid, value in values.items() if holds(value)}


def made(type_: Any, operator: str, *operand: Any) -> ValueTest:
    """Make a test; two operands are the least and the greatest, a list the values."""
    match operand:
        case ():
            return ValueTest(type_, operator)
        case (list() as values,):
            return ValueTest(type_, operator, values=tuple(values))
        case (value,):
            return ValueTest(type_, operator, value)
    least, greatest = operand
    return ValueTest(type_, operator, min_value=least, max_value=greatest)


@pytest.mark.parametrize(
    ("operator", "operand", "mpids"),
    [
        ("equals", ["PREMIUM"], {1001, 1002}),
        ("not_equals", ["premium"], {1005}),
        ("exists", [], {1001, 1002, 1003, 1005}),
        ("empty", [], {1003}),
        ("not_exists", [], {1004}),
        ("contains", ["rem"], {1001, 1002}),
        ("pattern", ["p*m"], {1001, 1002}),
        ("pattern", ["prem"], set()),
        ("pattern", ["?old"], {1005}),
        ("pattern", ["g\\*d"], set()),
        ("in_list", [["GOLD", "silver"]], {1005}),
        ("not_in_list", [["gold"]], {1001, 1002}),
        ("starts_with", ["PRE"], {1001, 1002}),
        ("not_ends_with", ["UM"], {1005}),
        ("not_pattern", ["p*"], {1005}),
    ],
)
def test_strings(operator: str, operand: list[Any], mpids: set[int]) -> None:
    """spec/audiences.md, worked cases 1, 2 and 4 to 6."""
    assert users(STATUS, "string", operator, *operand) == mpids


@pytest.mark.parametrize(
    ("operator", "operand", "mpids"),
    [
        ("greater_or_equal", [18.0], {1001, 1003}),
        ("not_equals", [34.0], {1003}),
        ("exists", [], {1001, 1002, 1003}),
        ("between", [18.0, 34.0], {1001, 1003}),
        ("equals", [34.0], {1001}),
        ("not_in_list", [[18.0]], {1001}),
        ("empty", [], set()),
    ],
)
def test_numbers(operator: str, operand: list[Any], mpids: set[int]) -> None:
    """spec/audiences.md, worked case 7."""
    assert users(AGE, "number", operator, *operand) == mpids


@pytest.mark.parametrize(
    ("operator", "operand", "mpids"),
    [
        ("includes", ["jazz"], {1001}),
        ("includes", ["ja"], set()),
        ("partial_match", ["ja"], {1001}),
        ("includes_all", [["rock", "JAZZ"]], {1001}),
        ("includes_any", [["pop", "JAZZ"]], {1001}),
        ("includes_none", [["pop"]], {1001, 1003}),
        ("not_includes", ["pop"], {1001, 1003}),
        ("not_partial_match", ["oc"], {1003}),
        ("empty", [], {1003}),
        ("exists", [], {1001, 1003}),
        ("size_greater_than", [1.0], {1001}),
        ("size_equals", [0.0], {1003}),
        ("size_less_than", [2.0], {1003}),
    ],
)
def test_lists(operator: str, operand: list[Any], mpids: set[int]) -> None:
    """spec/audiences.md, worked case 8."""
    assert users(TAGS, "list", operator, *operand) == mpids


def test_a_list_under_a_scalar_test_matches_by_any_element_and_by_none() -> None:
    """spec/audiences.md, worked case 9."""
    assert users(TAGS, "string", "contains", "az") == {1001}
    assert users(TAGS, "string", "not_contains", "az") == set()
    assert users(TAGS, "string", "not_contains", "pop") == {1001}


def test_elements_that_do_not_parse_count_neither_way() -> None:
    not_five = predicate(made("number", "not_equals", 5.0))
    assert not_five(["abc", "6"])
    assert not not_five(["abc"])
    assert not not_five(["abc", "6", "5"])


def test_a_scalar_under_a_list_test_is_a_list_of_one() -> None:
    assert predicate(made("list", "includes", "JAZZ"))("jazz")
    assert predicate(made("list", "size_equals", 1.0))("jazz")
    assert not predicate(made("list", "not_includes", "jazz"))(None)


@pytest.mark.parametrize("type_", ["string", "number", "boolean", "date", "version", "list"])
def test_presence_does_not_ask_what_the_value_is(type_: str) -> None:
    """spec/audiences.md, 5, rules 2, 3 and 5."""
    values: list[StoredValue] = [MISSING, None, "", "abc", [], ["a"]]
    outcomes = {
        operator: [predicate(made(type_, operator))(value) for value in values]
        for operator in ("exists", "not_exists", "empty")
    }
    assert outcomes == {
        "exists": [False, True, True, True, True, True],
        "not_exists": [True, False, False, False, False, False],
        "empty": [False, True, True, False, True, False],
    }


@pytest.mark.parametrize(
    ("test", "parsable"),
    [
        (made("number", "not_equals", 5.0), "6"),
        (made("number", "not_in_list", [5.0]), "6"),
        (made("version", "not_equals", "5"), "6"),
        (made("boolean", "equals", True), "TRUE"),
        (made("date", "after", "2026-01-01"), "2026-02-01"),
    ],
)
@pytest.mark.parametrize("value", [MISSING, None, "", "abc", ["abc"], []])
def test_what_does_not_parse_passes_no_test(
    test: ValueTest, parsable: str, value: StoredValue
) -> None:
    """spec/audiences.md, 5, rules 2, 3 and 5."""
    assert predicate(test)(parsable)
    assert not predicate(test)(value)


def test_the_empty_text_is_an_ordinary_string() -> None:
    assert predicate(made("string", "equals", ""))("")
    assert predicate(made("string", "not_equals", "a"))("")
    assert not predicate(made("string", "equals", ""))(None)


@pytest.mark.parametrize(
    ("operator", "operand", "holds"),
    [
        ("greater_or_equal", ["17.2"], True),
        ("equals", ["17.2.1.0"], True),
        ("less_than", ["17.10"], True),
        ("between", ["17", "17.2.1"], True),
        ("greater_than", ["17.2.1"], False),
        ("less_than_or_equal", ["17.2.0.9"], False),
    ],
)
def test_versions_compare_part_by_part(operator: str, operand: list[str], holds: bool) -> None:
    """spec/audiences.md, worked case 22."""
    assert predicate(made("version", operator, *operand))("17.2.1") is holds


def test_several_devices_are_a_list_of_their_values() -> None:
    """spec/audiences.md, worked case 22: one device is iOS."""
    assert not predicate(made("string", "not_equals", "ios"))(["iOS", "Android"])
    assert predicate(made("string", "not_equals", "web"))(["iOS", "Android"])


def test_a_date_test_relative_to_now_needs_now() -> None:
    last_two_hours = ValueTest("date", "within_last", 2.0, unit="hours")
    assert is_timed(last_two_hours)
    holds = timed_predicate(last_two_hours)
    assert holds("2026-03-10T11:00:00Z", NOW)
    assert not holds("2026-03-10T11:00:00Z", NOW + 1)
    assert holds(["2020-01-01", "2026-03-10T12:00"], NOW)
    assert not holds("soon", NOW)
    with pytest.raises(ValueError, match="more than the value"):
        predicate(last_two_hours)


def test_other_tests_do_not_look_at_now() -> None:
    on_the_day = made("date", "on", "2026-03-10")
    assert not is_timed(on_the_day)
    assert not is_timed(made("date", "exists"))
    assert timed_predicate(on_the_day)("1773147600", 0)


@pytest.mark.parametrize(
    ("type_", "operator", "value", "other", "holds"),
    [
        ("string", "equals", "Paris", "PARIS", True),
        ("string", "not_equals", "Paris", "PARIS", False),
        ("number", "greater_than", "10", "9.5", True),
        ("number", "greater_than", "10", "abc", False),
        ("number", "not_equals", "abc", "9", False),
        ("boolean", "equals", "true", "True", True),
        ("version", "less_than", "1.9", "1.10", True),
        ("date", "before", "2026-03-01", "2026-03-02", True),
        ("date", "on", "2026-03-01T10:00:00", "2026-03-01", True),
        ("list", "includes", ["a", "b"], "B", True),
        ("list", "size_equals", ["a", "b"], "2", True),
        ("string", "equals", "b", ["a", "b"], True),
        ("string", "not_equals", "b", ["a", "b"], False),
        ("string", "not_equals", "c", ["a", "b"], True),
        ("string", "not_equals", "c", [], False),
        ("string", "not_equals", "c", MISSING, False),
        ("string", "not_equals", "c", None, False),
        ("string", "not_equals", MISSING, "c", False),
    ],
)
def test_an_attribute_compares_with_another(
    type_: Any, operator: str, value: StoredValue, other: StoredValue, holds: bool
) -> None:
    """spec/audiences.md, 3.2, `value_ref`."""
    test = ValueTest(type_, operator, value_ref=REFERENCE)
    assert pair_predicate(test)(value, other) is holds


def test_a_reference_has_no_predicate_of_one_value() -> None:
    with pytest.raises(ValueError, match="more than the value"):
        predicate(ValueTest("string", "equals", value_ref=REFERENCE))
