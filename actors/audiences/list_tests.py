"""Tests of a list of texts (spec/audiences.md, 4 and 5, rules 3 and 9)."""

from collections.abc import Callable

from actors.audiences.criteria import Test
from actors.audiences.matchers import folded

Entries = list[str]  # folded
ListTest = Callable[[Entries], bool]


def list_test(test: Test) -> ListTest:
    """Compile a list test with an operand, for a list that exists."""
    return _LIST_TESTS[test.operator](test)


def _includes(test: Test) -> ListTest:
    operand = folded(test.value)
    return lambda entries: operand in entries


def _not_includes(test: Test) -> ListTest:
    operand = folded(test.value)
    return lambda entries: operand not in entries


def _partial_match(test: Test) -> ListTest:
    operand = folded(test.value)
    return lambda entries: any(operand in entry for entry in entries)


def _not_partial_match(test: Test) -> ListTest:
    operand = folded(test.value)
    return lambda entries: not any(operand in entry for entry in entries)


def _includes_any(test: Test) -> ListTest:
    operands = _operands(test)
    return lambda entries: not operands.isdisjoint(entries)


def _includes_all(test: Test) -> ListTest:
    operands = _operands(test)
    return lambda entries: operands.issubset(entries)


def _includes_none(test: Test) -> ListTest:
    operands = _operands(test)
    return lambda entries: operands.isdisjoint(entries)


def _size_equals(test: Test) -> ListTest:
    size = _size(test)
    return lambda entries: len(entries) == size


def _size_greater_than(test: Test) -> ListTest:
    size = _size(test)
    return lambda entries: len(entries) > size


def _size_less_than(test: Test) -> ListTest:
    size = _size(test)
    return lambda entries: len(entries) < size


_LIST_TESTS: dict[str, Callable[[Test], ListTest]] = {
    "includes": _includes,
    "not_includes": _not_includes,
    "partial_match": _partial_match,
    "not_partial_match": _not_partial_match,
    "includes_any": _includes_any,
    "includes_all": _includes_all,
    "includes_none": _includes_none,
    "size_equals": _size_equals,
    "size_greater_than": _size_greater_than,
    "size_less_than": _size_less_than,
}


def _operands(test: Test) -> frozenset[str]:
    return frozenset(folded(value) for value in test.values)


def _size(test: Test) -> float:
    if not isinstance(test.value, float):
        raise ValueError("the operand is no number")
    return test.value
