"""Spans of time that depend on now: recency and date tests (spec/audiences.md, 3.3).

A window says which of its borders move with now, so that whoever keeps a schedule can compute
when something comes into it or falls out of it.
"""

from typing import TypeVar

from msgspec import Struct

from actors.audiences.criteria import UNIT_MS, Recency, Test
from actors.audiences.values import EARLIEST_MS, LATEST_MS, Span, calendar_period, date_span

ValueT = TypeVar("ValueT")


class Window(Struct, frozen=True):
    """The ms from `first_ms` to `last_ms`, both included.

    A border that is relative is an offset to now; any other is an instant.
    """

    first_ms: int = EARLIEST_MS
    last_ms: int = LATEST_MS
    is_first_relative: bool = False
    is_last_relative: bool = False

    def at(self, now_ms: int) -> Span:
        """Return both borders as instants."""
        first = self.first_ms + now_ms if self.is_first_relative else self.first_ms
        last = self.last_ms + now_ms if self.is_last_relative else self.last_ms
        return first, last

    @property
    def is_relative(self) -> bool:
        """Tell whether any border moves with now."""
        return self.is_first_relative or self.is_last_relative


class CalendarWindow(Struct, frozen=True):
    """The UTC calendar period `offset` periods from the one of now; both borders jump."""

    unit: str
    offset: int

    def at(self, now_ms: int) -> Span:
        """Return both borders as instants."""
        return calendar_period(self.unit, self.offset, now_ms)

    def next_jump_ms(self, now_ms: int) -> int:
        """Return the first instant after now at which the borders are others."""
        return calendar_period(self.unit, 0, now_ms)[1] + 1


def recency_window(recency: Recency) -> Window | CalendarWindow:
    """Return when the events of a recency happen; the lookback is not in it."""
    match recency.type:
        case "all":
            return Window()
        case "within_last":
            return _within_last(_set(recency.duration_ms))
        case "older_than":
            return _older_than(_set(recency.duration_ms))
        case "between_ago":
            return Window(-_set(recency.from_ms), -_set(recency.to_ms), True, True)
        case "calendar":
            return CalendarWindow(_set(recency.unit), recency.offset)
        case "between_dates":
            return _between_dates(recency.start, recency.end)
        case kind:
            return _fixed(kind, recency.date)


def date_window(test: Test) -> Window:
    """Return which instants pass a date test with an operand.

    Raises:
        ValueError: it is no date test, or one of presence.
    """
    if test.type != "date":
        raise ValueError(f"a test of a {test.type} has no window")
    match test.operator:
        case "within_last":
            return _within_last(_duration_ms(test))
        case "older_than":
            return _older_than(_duration_ms(test))
        case "within_next":
            return Window(1, _duration_ms(test), True, True)
        case "between_dates":
            return _between_dates(test.min_value, test.max_value)
        case operator:
            return _fixed(operator, test.value)


def _within_last(duration_ms: int) -> Window:
    return Window(-duration_ms, is_first_relative=True)


def _older_than(duration_ms: int) -> Window:
    return Window(last_ms=-duration_ms - 1, is_last_relative=True)


def _between_dates(start: object, end: object) -> Window:
    return Window(_span(start)[0], _span(end)[1])


def _fixed(operator: str, date: object) -> Window:
    match operator:
        case "before":
            return Window(last_ms=_span(date)[0] - 1)
        case "after":
            return Window(first_ms=_span(date)[0])
        case "on":
            return Window(*calendar_period("day", 0, _span(date)[0]))
        case "equals":
            return Window(*_span(date))
    raise ValueError(f"{operator} has no window")


def _duration_ms(test: Test) -> int:
    if not isinstance(test.value, float) or test.unit is None:
        raise ValueError(f"{test.operator} needs a duration")
    return round(test.value * UNIT_MS[test.unit])


def _span(date: object) -> Span:
    span = date_span(date) if isinstance(date, str) else None
    if span is None:
        raise ValueError("no date")
    return span


def _set(value: ValueT | None) -> ValueT:
    if value is None:
        raise ValueError("the member that this type needs is not set")
    return value
