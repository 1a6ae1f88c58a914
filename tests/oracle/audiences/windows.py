"""Windows of time (spec/audiences.md, 3.3).

`now` may lie between two milliseconds, so that one can ask what holds just after an instant.
"""

import math
from datetime import UTC, date, datetime, timedelta

from actors.audiences.criteria import UNIT_MS, Recency, Test
from tests.oracle.texts import EPOCH, MS, day, day_end_ms, day_start_ms, instant_ms

Now = int | float


def is_within(recency: Recency, t_ms: int, now: Now) -> bool:
    """Tell whether an event of time `t_ms`, which is inside the lookback, counts."""
    match recency.type:
        case "all":
            return True
        case "within_last":
            return t_ms >= now - _set(recency.duration_ms)
        case "older_than":
            return t_ms < now - _set(recency.duration_ms)
        case "between_ago":
            return now - _set(recency.from_ms) <= t_ms <= now - _set(recency.to_ms)
        case "before":
            return _is_before(t_ms, _text(recency.date))
        case "after":
            return not _is_before(t_ms, _text(recency.date))
        case "on":
            return _is_on(t_ms, _text(recency.date))
        case "between_dates":
            return _is_between(t_ms, _text(recency.start), _text(recency.end))
        case "calendar":
            return _is_in_period(t_ms, recency.unit or "day", recency.offset, now)


def date_holds(test: Test, value_ms: int, now: Now) -> bool:
    """Tell whether a date passes a test of type `date`."""
    match test.operator:
        case "equals":
            operand = _text(test.value)
            is_day = day(operand) is not None
            return _is_on(value_ms, operand) if is_day else value_ms == instant_ms(operand)
        case "before":
            return _is_before(value_ms, _text(test.value))
        case "after":
            return not _is_before(value_ms, _text(test.value))
        case "on":
            return _is_on(value_ms, _text(test.value))
        case "between_dates":
            return _is_between(value_ms, _text(test.min_value), _text(test.max_value))
        case "within_last":
            return value_ms >= now - span_ms(test)
        case "older_than":
            return value_ms < now - span_ms(test)
        case "within_next":
            return now < value_ms <= now + span_ms(test)
    raise AssertionError(test.operator)


def span_ms(test: Test) -> int:
    """Return the span of time of a test relative to now."""
    assert isinstance(test.value, int | float)
    assert test.unit is not None
    return round(test.value * UNIT_MS[test.unit])


def period(unit: str, offset: int, now: Now) -> tuple[int, int]:
    """Return the first instant of a UTC calendar period and the first one after it."""
    today = (EPOCH + timedelta(milliseconds=math.floor(now))).date()
    if unit == "day":
        first = today + timedelta(days=offset)
        return day_start_ms(first), day_end_ms(first)
    if unit == "week":
        monday = today - timedelta(days=today.weekday()) + timedelta(weeks=offset)
        return day_start_ms(monday), day_end_ms(monday + timedelta(days=6))
    months = {"month": 1, "quarter": 3, "year": 12}[unit]
    whole = (today.year * 12 + today.month - 1) // months + offset
    return _month_ms(whole * months), _month_ms((whole + 1) * months)


def _month_ms(number: int) -> int:
    first = date(number // 12, number % 12 + 1, 1)
    return (datetime(first.year, first.month, 1, tzinfo=UTC) - EPOCH) // MS


def _is_in_period(t_ms: int, unit: str, offset: int, now: Now) -> bool:
    start_ms, end_ms = period(unit, offset, now)
    return start_ms <= t_ms < end_ms


def _is_before(t_ms: int, operand: str) -> bool:
    border_ms = instant_ms(operand)
    assert border_ms is not None, operand
    return t_ms < border_ms


def _is_on(t_ms: int, operand: str) -> bool:
    """A day, or the UTC day of an instant."""
    instant = instant_ms(operand)
    assert instant is not None, operand
    start_ms, end_ms = period("day", 0, instant)
    return start_ms <= t_ms < end_ms


def _is_between(t_ms: int, start: str, end: str) -> bool:
    if _is_before(t_ms, start):
        return False
    last = day(end)
    if last is not None:
        return t_ms < day_end_ms(last)
    end_ms = instant_ms(end)
    assert end_ms is not None, end
    return t_ms <= end_ms


def _set(duration_ms: int | None) -> int:
    assert duration_ms is not None, "the language sets it"
    return duration_ms


def _text(operand: object) -> str:
    assert isinstance(operand, str), "the language sets it"
    return operand
