"""Tests as functions of a stored value (spec/audiences.md, 4 and 5, rules 2 to 9).

A stored value is `MISSING`, `None` (a tag), a text or a list of texts. Several devices, device
identities or attribution records are a list of their values, `MISSING` if there are none.
"""

from collections.abc import Callable
from functools import lru_cache

from msgspec import structs

from actors.audiences.criteria import Scalar, Test
from actors.audiences.list_tests import list_test
from actors.audiences.matchers import MATCHERS, NEGATIVE_OPERATORS, Matcher
from actors.audiences.values import (
    MISSING,
    StoredValue,
    date_span,
    fold,
    parse_boolean,
    parse_date,
    parse_number,
    parse_version,
)
from actors.audiences.windows import date_window

Predicate = Callable[[StoredValue], bool]
TimedPredicate = Callable[[StoredValue, int], bool]  # of a value and now, in ms
PairPredicate = Callable[[StoredValue, StoredValue], bool]  # of a value and what it refers to

PRESENCE_OPERATORS = frozenset({"exists", "not_exists", "empty"})

# Predicates of `value_ref` that are kept, one for each value of the other attribute.
_PAIRS_KEPT = 4096


def is_timed(test: Test) -> bool:
    """Tell whether the outcome of a test depends on now."""
    return (
        test.type == "date"
        and test.operator not in PRESENCE_OPERATORS
        and test.value_ref is None
        and date_window(test).is_relative
    )


def predicate(test: Test) -> Predicate:
    """Compile a test that does not depend on now.

    Raises:
        ValueError: it does (`timed_predicate`), or it has a `value_ref` (`pair_predicate`).
    """
    if test.value_ref is not None or is_timed(test):
        raise ValueError(f"{test.operator} needs more than the value")
    if test.operator in PRESENCE_OPERATORS:
        return _presence(test)
    if test.type == "list":
        return _of_list(test)
    if test.type == "date":
        first_ms, last_ms = date_window(test).at(0)
        return _over_elements(_date_matcher(first_ms, last_ms), is_negative=False)
    return _over_elements(MATCHERS[test.type](test), test.operator in NEGATIVE_OPERATORS)


def timed_predicate(test: Test) -> TimedPredicate:
    """Compile a test of any kind but one with a `value_ref`."""
    if not is_timed(test):
        holds = predicate(test)
        return lambda value, _: holds(value)
    window = date_window(test)

    def at(value: StoredValue, now_ms: int) -> bool:
        return _over_elements(_date_matcher(*window.at(now_ms)), is_negative=False)(value)

    return at


def pair_predicate(test: Test) -> PairPredicate:
    """Compile a test with a `value_ref`: false if either is missing, or not of the test's type.

    Of several texts on the other side a positive operator needs one that fits, a negative one all.
    """
    plain = structs.replace(test, value_ref=None)
    is_negative = test.operator in NEGATIVE_OPERATORS
    to_operand = _operand_reader(test)

    @lru_cache(maxsize=_PAIRS_KEPT)
    def with_operand(text: str) -> Predicate | None:
        operand = to_operand(text)
        return None if operand is None else predicate(structs.replace(plain, value=operand))

    def holds(value: StoredValue, other: StoredValue) -> bool:
        if other is MISSING or other is None:
            return False
        texts = [other] if type(other) is str else other
        results = [found(value) for text in texts if (found := with_operand(text)) is not None]
        return all(results) and bool(results) if is_negative else any(results)

    return holds


def _presence(test: Test) -> Predicate:
    if test.operator == "exists":
        return lambda value: value is not MISSING
    if test.operator == "not_exists":
        return lambda value: value is MISSING
    if test.type == "list":
        return lambda value: value is None or value in ("", [])
    return lambda value: value is None or value in ("", []) or (type(value) is list and "" in value)


def _of_list(test: Test) -> Predicate:
    holds = list_test(test)

    def holds_of(value: StoredValue) -> bool:
        if value is MISSING or value is None:
            return False
        return holds([fold(value)] if isinstance(value, str) else [fold(text) for text in value])

    return holds_of


def _over_elements(matches: Matcher, is_negative: bool) -> Predicate:
    """Apply a matcher to a text, or to those of a list that parse."""

    def holds(value: StoredValue) -> bool:
        if isinstance(value, str):
            return matches(value) is True
        if value is MISSING or value is None:
            return False
        results = [result for text in value if (result := matches(text)) is not None]
        return all(results) and bool(results) if is_negative else any(results)

    return holds


def _date_matcher(first_ms: int, last_ms: int) -> Matcher:
    def matches(text: str) -> bool | None:
        instant = parse_date(text)
        return None if instant is None else first_ms <= instant <= last_ms

    return matches


def _operand_reader(test: Test) -> Callable[[str], Scalar | None]:
    """Return how a stored text becomes an operand of a test; `None` where it cannot be one."""
    if test.operator.startswith("size_"):
        return parse_number
    return _OPERAND_READERS[test.type]


_OPERAND_READERS: dict[str, Callable[[str], Scalar | None]] = {
    "string": str,
    "list": str,
    "number": parse_number,
    "boolean": parse_boolean,
    "version": lambda text: None if parse_version(text) is None else text,
    "date": lambda text: None if date_span(text) is None else text,
}
