"""Random tests of values and windows of time, as a definition may have them."""

from random import Random
from typing import Any, get_args

from actors.audiences.criteria import UNIT_MS, Recency, Test, ValueRef, ValueType
from tests.oracle.audiences.vocabulary import (
    ATTRIBUTES,
    BOOLEANS,
    CALCULATED,
    LISTS,
    NUMBERS,
    SPANS,
    VERSIONS,
    WORDS,
    chance,
    make_day,
    make_instant,
    some,
)
from tests.oracle.texts import instant_ms, number, version

TYPES: tuple[ValueType, ...] = get_args(ValueType)[:5]  # those of scalar tests

_PRESENCE = ("exists", "not_exists", "empty")
_ORDER = ("greater_than", "greater_or_equal", "less_than", "less_than_or_equal")
OPERATORS: dict[ValueType, tuple[str, ...]] = {
    "string": (
        *("equals", "not_equals", "contains", "not_contains", "pattern", "not_pattern"),
        *("starts_with", "not_starts_with", "ends_with", "not_ends_with"),
        *("in_list", "not_in_list"),
    ),
    "number": ("equals", "not_equals", "in_list", "not_in_list", *_ORDER, "between"),
    "boolean": ("equals",),
    "date": (
        *("equals", "before", "after", "on", "between_dates"),
        *("within_last", "older_than", "within_next"),
    ),
    "version": ("equals", "not_equals", *_ORDER, "between"),
    "list": (
        *("includes", "not_includes", "partial_match", "not_partial_match"),
        *("includes_any", "includes_all", "includes_none"),
        *("size_equals", "size_greater_than", "size_less_than"),
    ),
}
_PATTERNS = ("p*m", "?old", "*", "r?d*", "g\\*d", "*hat", "1*", "premium")
_REAL_NUMBERS = tuple(value for text in NUMBERS if (value := number(text)) is not None)
_REAL_VERSIONS = tuple(text for text in VERSIONS if version(text) is not None)
_OF_SEVERAL = frozenset({"in_list", "not_in_list", "includes_any", "includes_all", "includes_none"})
_REFERRING = frozenset(
    {"equals", "not_equals", "contains", "starts_with", *_ORDER, "before", "after", "on"}
)


def make_test(
    randomness: Random, type_: ValueType, now_ms: int, *, may_refer: bool = False
) -> Test:
    """Return a test of a type; `may_refer` if it is of a user's value."""
    if chance(randomness, 0.12):
        return Test(type_, randomness.choice(_PRESENCE))
    operator = randomness.choice(OPERATORS[type_])
    may_refer = may_refer and operator in _REFERRING and type_ != "list"
    if may_refer and chance(randomness, 0.1):
        return Test(type_, operator, value_ref=_make_reference(randomness))
    if type_ == "date":
        return _make_date_test(randomness, operator, now_ms)
    if operator == "between":
        least, most = sorted(randomness.choices(_operands(type_), k=2), key=_sort_key)
        return Test(type_, operator, min_value=least, max_value=most)
    if operator.startswith("size_"):
        return Test(type_, operator, value=float(randomness.randint(0, 3)))
    if operator in _OF_SEVERAL:
        return Test(type_, operator, values=some(randomness, _operands(type_), 1))
    if operator.endswith("pattern"):
        return Test(type_, operator, value=randomness.choice(_PATTERNS))
    operand = randomness.choice(_operands(type_))
    if type_ == "string" and len(operand) > 2 and operator not in ("equals", "not_equals"):
        start = randomness.randint(0, 1)
        operand = operand[start : start + randomness.randint(1, 4)]
    return Test(type_, operator, value=operand)


def make_recency(randomness: Random, now_ms: int) -> Recency:
    """Return a window; a third of them is the whole lookback."""
    span, other = _make_span(randomness), _make_span(randomness)
    match randomness.randint(0, 11):
        case 0 | 1 | 2:
            return Recency("within_last", duration_ms=span)
        case 3:
            return Recency("older_than", duration_ms=span)
        case 4:
            return Recency("between_ago", from_ms=max(span, other), to_ms=min(span, other))
        case 5:
            kind: Any = randomness.choice(("before", "after"))
            return Recency(kind, date=_make_date(randomness, now_ms))
        case 6:
            return Recency("on", date=_make_date(randomness, now_ms))
        case 7:
            start, end = _make_range(randomness, now_ms)
            return Recency("between_dates", start=start, end=end)
        case 8:
            unit: Any = randomness.choice(("day", "week", "month", "quarter", "year"))
            return Recency("calendar", unit=unit, offset=-randomness.randint(0, 2))
    return Recency()


def _make_date_test(randomness: Random, operator: str, now_ms: int) -> Test:
    if operator in ("within_last", "older_than", "within_next"):
        value, unit = randomness.choice(SPANS)
        return Test("date", operator, value=float(value), unit=unit)
    if operator == "between_dates":
        least, most = _make_range(randomness, now_ms)
        return Test("date", operator, min_value=least, max_value=most)
    return Test("date", operator, value=_make_date(randomness, now_ms))


def _make_date(randomness: Random, now_ms: int) -> str:
    return randomness.choice((make_day, make_instant))(randomness, now_ms)


def _make_range(randomness: Random, now_ms: int) -> list[str]:
    make = randomness.choice((make_day, make_instant))
    return sorted(
        (make(randomness, now_ms) for _ in range(2)), key=lambda text: instant_ms(text) or 0
    )


def _make_reference(randomness: Random) -> ValueRef:
    if chance(randomness, 0.3):
        number_ = randomness.choice(CALCULATED)
        return ValueRef("calculated_attribute", f"ca{number_}", number_)
    return ValueRef("user_attribute", randomness.choice(ATTRIBUTES + LISTS))


def _make_span(randomness: Random) -> int:
    value, unit = randomness.choice(SPANS)
    return value * UNIT_MS[unit]


def _operands(type_: ValueType) -> tuple[Any, ...]:
    match type_:
        case "number":
            return _REAL_NUMBERS
        case "boolean":
            return True, False
        case "version":
            return _REAL_VERSIONS
    return (*WORDS, *NUMBERS[:3], *BOOLEANS[:1])


def _sort_key(operand: str | float) -> Any:
    return version(operand) if isinstance(operand, str) else operand
