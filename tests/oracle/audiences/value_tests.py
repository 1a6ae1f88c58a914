"""Tests of one value (spec/audiences.md, 4 and 5, rules 2 to 9)."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from actors.audiences.criteria import Test, ValueRef
from tests.oracle.audiences.windows import Now, date_holds
from tests.oracle.texts import (
    Missing,
    Stored,
    boolean,
    folded,
    instant_ms,
    matches,
    number,
    text_of,
    version,
)

Refer = Callable[[ValueRef], Stored]

_POSITIVE_OF = {
    "not_equals": "equals",
    "not_contains": "contains",
    "not_pattern": "pattern",
    "not_starts_with": "starts_with",
    "not_ends_with": "ends_with",
    "not_in_list": "in_list",
}
_PARSERS: dict[str, Callable[[str], object]] = {
    "string": lambda text: text,
    "number": number,
    "boolean": boolean,
    "date": instant_ms,
    "version": version,
    "list": lambda text: text,
}


def holds(test: Test, value: Stored, now: Now, refer: Refer) -> bool:
    """Tell whether a value passes a test. `refer` finds the value that a `value_ref` names."""
    if isinstance(value, Missing):
        return test.operator == "not_exists"
    if test.operator in ("exists", "not_exists"):
        return test.operator == "exists"
    if value is None:
        return test.operator == "empty"
    if test.operator == "empty":
        return _is_empty(test, value)
    if test.value_ref is not None:
        return _refers(test, value, now, refer(test.value_ref))
    elements = value if isinstance(value, list) else [value]
    if test.type == "list":
        return _list_holds(test, elements)
    readable = [element for element in elements if _PARSERS[test.type](element) is not None]
    positive = _POSITIVE_OF.get(test.operator)
    if positive is None:
        return any(_element_holds(test, element, now) for element in readable)
    wanted = replace(test, operator=positive)
    return bool(readable) and not any(_element_holds(wanted, each, now) for each in readable)


def _refers(test: Test, value: Stored, now: Now, other: Stored) -> bool:
    """Compare with another attribute; of a list a positive test needs one entry, others all."""
    if other is None or isinstance(other, Missing):
        return False
    operands = [
        text
        for text in (other if isinstance(other, list) else [other])
        if _PARSERS[test.type](text) is not None
    ]
    results = [
        holds(replace(test, value=text, value_ref=None), value, now, _no_reference)
        for text in operands
    ]
    if test.operator in _POSITIVE_OF:
        return bool(results) and all(results)
    return any(results)


def _no_reference(_: ValueRef) -> Stored:
    raise AssertionError("a test with a value refers to nothing")


def _is_empty(test: Test, value: str | list[str]) -> bool:
    if isinstance(value, str):
        return value == ""
    return not value or (test.type != "list" and "" in value)


def _element_holds(test: Test, text: str, now: Now) -> bool:
    """Tell whether a text, which is of the test's type, passes a positive test."""
    if test.type == "string":
        return _string_holds(test, text)
    if test.type == "date":
        value_ms = instant_ms(text)
        assert value_ms is not None
        return date_holds(test, value_ms, now)
    parse = _PARSERS[test.type]
    return _ordered_holds(test, parse(text), parse)


def _string_holds(test: Test, text: str) -> bool:
    if test.operator == "in_list":
        return folded(text) in [folded(text_of(each)) for each in test.values]
    operand = text_of(test.value)
    match test.operator:
        case "equals":
            return folded(text) == folded(operand)
        case "contains":
            return folded(operand) in folded(text)
        case "starts_with":
            return folded(text).startswith(folded(operand))
        case "ends_with":
            return folded(text).endswith(folded(operand))
        case "pattern":
            return matches(operand, text)
    raise AssertionError(test.operator)


def _ordered_holds(test: Test, value: object, parse: Callable[[str], object]) -> bool:
    """Compare numbers, booleans or versions."""
    if test.operator == "in_list":
        return value in [_operand(each, parse) for each in test.values]
    if test.operator == "between":
        least, most = _operand(test.min_value, parse), _operand(test.max_value, parse)
        return not _is_less(value, least) and not _is_less(most, value)
    operand = _operand(test.value, parse)
    match test.operator:
        case "equals":
            return value == operand
        case "greater_than":
            return _is_less(operand, value)
        case "greater_or_equal":
            return not _is_less(value, operand)
        case "less_than":
            return _is_less(value, operand)
        case "less_than_or_equal":
            return not _is_less(operand, value)
    raise AssertionError(test.operator)


def _operand(operand: str | float | None, parse: Callable[[str], object]) -> object:
    if isinstance(operand, str):
        return parse(operand)
    return operand if isinstance(operand, bool) else float(operand or 0)


def _is_less(left: object, right: object) -> bool:
    if isinstance(left, tuple) and isinstance(right, tuple):
        return left < right
    assert isinstance(left, float)
    assert isinstance(right, float)
    return left < right


def _list_holds(test: Test, elements: Sequence[str]) -> bool:
    whole = [folded(element) for element in elements]
    several = [folded(text_of(each)) for each in test.values]
    match test.operator:
        case "includes_any":
            return any(each in whole for each in several)
        case "includes_all":
            return all(each in whole for each in several)
        case "includes_none":
            return not any(each in whole for each in several)
        case "size_equals":
            return len(whole) == _operand(test.value, number)
        case "size_greater_than":
            return _is_less(_operand(test.value, number), float(len(whole)))
        case "size_less_than":
            return _is_less(float(len(whole)), _operand(test.value, number))
    one = folded(text_of(test.value))
    match test.operator:
        case "includes":
            return one in whole
        case "not_includes":
            return one not in whole
        case "partial_match":
            return any(one in element for element in whole)
        case "not_partial_match":
            return not any(one in element for element in whole)
    raise AssertionError(test.operator)
