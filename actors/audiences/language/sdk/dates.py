"""Dates of audience-sdk documents, as windows of events and as tests (spec/audiences.md, 14.1).

Two things are taken more loosely than written: a relative date is compared alike with and without
equality, which differ by one millisecond of a moving border; and no value is taken to be exactly
now.
"""

from datetime import UTC, datetime, timedelta

from msgspec import Struct

from actors.audiences.language.members import Json
from actors.audiences.language.sdk.operands import (
    AbsoluteDate,
    Date,
    NotTranslatable,
    RelativeDate,
)
from actors.audiences.values import DAY_MS, date_span, is_date_operand

# Unit to how many of which unit of criteria.
_UNITS: dict[str, tuple[float, str]] = {
    "second": (1 / 60, "minutes"),
    "minute": (1, "minutes"),
    "hour": (1, "hours"),
    "day": (1, "days"),
    "week": (1, "weeks"),
    "month": (1, "months"),
    "quarter": (3, "months"),
    "year": (12, "months"),
}
_CALENDAR_UNITS = ("day", "week", "month", "quarter", "year")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Within these also the ms and the day beside can be written as dates.
_FIRST_MS = round(datetime(1, 1, 3, tzinfo=UTC).timestamp()) * 1000
_LAST_MS = round(datetime(9999, 12, 29, tzinfo=UTC).timestamp()) * 1000
_LOWER = ("greater_than", "greater_or_equal")
_UPPER = ("less_than", "less_than_or_equal")
_NOW = {"value": 0, "unit": "days"}


class Bounds(Struct):
    """What comparisons with dates leave of time; `None` where nothing bounds it.

    Absolute bounds are ms, both included.
    """

    first_ms: int | None = None
    last_ms: int | None = None
    first: RelativeDate | None = None
    last: RelativeDate | None = None

    def add(self, operator: str, date: Date, place: str) -> None:
        """Narrow by one comparison.

        Raises:
            NotTranslatable: the operator does not order, or that side is bounded already.
        """
        if operator == "equals" and isinstance(date, AbsoluteDate):
            first_ms, last_ms = absolute_span(date)
            self._set_first(first_ms, None, place)
            self._set_last(last_ms, None, place)
        elif operator in _LOWER:
            if isinstance(date, AbsoluteDate):
                first_ms, last_ms = absolute_span(date)
                is_strict = operator == "greater_than"
                self._set_first(last_ms + 1 if is_strict else first_ms, None, place)
            else:
                self._set_first(None, date, place)
        elif operator in _UPPER:
            if isinstance(date, AbsoluteDate):
                first_ms, last_ms = absolute_span(date)
                self._set_last(first_ms - 1 if operator == "less_than" else last_ms, None, place)
            else:
                self._set_last(None, date, place)
        else:
            raise NotTranslatable(place, f"cannot compare a time by {operator}.")

    def _set_first(self, first_ms: int | None, first: RelativeDate | None, place: str) -> None:
        if self.first_ms is not None or self.first is not None:
            raise NotTranslatable(place, "bounds a time from below that is bounded already.")
        self.first_ms, self.first = first_ms, first

    def _set_last(self, last_ms: int | None, last: RelativeDate | None, place: str) -> None:
        if self.last_ms is not None or self.last is not None:
            raise NotTranslatable(place, "bounds a time from above that is bounded already.")
        self.last_ms, self.last = last_ms, last

    def to_recency(self, place: str) -> Json | None:
        """Return the `recency` of events inside, `None` for all.

        Raises:
            NotTranslatable: no recency says this.
        """
        if self.first is not None or self.last is not None:
            return self._to_relative_recency(place)
        if self.first_ms is not None and self.last_ms is not None:
            if self.first_ms > self.last_ms:
                raise NotTranslatable(place, "leaves no time at all.")
            start, end = date_text(self.first_ms), _end_text(self.last_ms)
            return {"type": "between_dates", "start": start, "end": end}
        if self.first_ms is not None:
            return {"type": "after", "date": date_text(self.first_ms)}
        if self.last_ms is not None:
            return {"type": "before", "date": date_text(self.last_ms + 1)}
        return None

    def _to_relative_recency(self, place: str) -> Json:
        first, last = self.first, self.last
        if self.first_ms is not None or self.last_ms is not None:
            raise NotTranslatable(place, "mixes dates and times relative to now.")
        if (first and first.boundary) or (last and last.boundary):
            return _calendar_recency(first, last, place)
        if first is None and last is not None:
            return {"type": "older_than", **ago(last)}
        if last is None and first is not None:
            return {"type": "within_last", **ago(first)}
        if first is None or last is None:
            raise NotTranslatable(place, "has no bound.")
        return {"type": "between_ago", "from": ago(first), "to": ago(last)}


def _calendar_recency(first: RelativeDate | None, last: RelativeDate | None, place: str) -> Json:
    """Return the recency of one whole calendar period: it is all that the language has."""
    starts = None if first is None else _period(first, "start")
    ends = None if last is None else _period(last, "end")
    if starts is not None and (ends == starts or (last is None and starts[1] == 0)):
        return {"type": "calendar", "unit": starts[0], "offset": starts[1]}
    raise NotTranslatable(place, "must be exactly one calendar period up to the current one.")


def _period(date: RelativeDate, border: str) -> tuple[str, int] | None:
    """Return unit and offset of the period whose border this is, `None` if it is none.

    The start of a period is the end of the one before.
    """
    if date.boundary is None or date.unit not in _CALENDAR_UNITS or not date.offset.is_integer():
        return None
    offset = int(date.offset)
    if date.boundary != border:
        offset += 1 if border == "start" else -1
    return date.unit, offset


def date_test(operator: str, date: Date) -> list[Json]:
    """Return tests of a date attribute, of which one has to hold.

    Args:
        operator: of criteria, as for numbers.
        date: what the attribute is compared with.

    Raises:
        NotTranslatable: no test says this.
    """
    if isinstance(date, RelativeDate):
        return _relative_tests(operator, date)
    first_ms, last_ms = absolute_span(date)
    before = {"operator": "before", "value": date_text(first_ms)}
    after = {"operator": "after", "value": date_text(last_ms + 1)}
    match operator:
        case "equals":
            return [{"operator": "equals", "value": date.text}]
        case "not_equals":
            return [before, after]
        case "less_than":
            return [before]
        case "less_than_or_equal":
            return [{"operator": "before", "value": date_text(last_ms + 1)}]
        case "greater_than":
            return [after]
        case "greater_or_equal":
            return [{"operator": "after", "value": date_text(first_ms)}]
    raise NotTranslatable(date.place, f"cannot be compared by {operator}.")


def _relative_tests(operator: str, date: RelativeDate) -> list[Json]:
    if date.boundary is not None:
        raise NotTranslatable(date.place, "has a boundary, which only times of events can have.")
    if operator in _UPPER:
        if date.offset > 0:
            return [{"operator": "older_than", **_NOW}, {"operator": "within_next", **ahead(date)}]
        return [{"operator": "older_than", **ago(date)}]
    if operator in _LOWER and date.offset <= 0:
        return [{"operator": "within_last", **ago(date)}]
    raise NotTranslatable(date.place, f"cannot be compared by {operator}.")


def absolute_span(date: AbsoluteDate) -> tuple[int, int]:
    """Return first and last ms of an absolute date: a plain date is its whole day."""
    span = date_span(date.text) if is_date_operand(date.text) else None
    if span is None or not _FIRST_MS <= span[0] <= span[1] <= _LAST_MS:
        raise NotTranslatable(
            date.place, "must be a date (YYYY-MM-DD), or an ISO 8601 timestamp with an offset."
        )
    return span


def ago(date: RelativeDate) -> Json:
    """Return how long ago a relative date is, as `value` and `unit`."""
    if date.offset > 0:
        raise NotTranslatable(date.place, "lies in the future.")
    return _duration(date, -date.offset)


def ahead(date: RelativeDate) -> Json:
    """Return how far ahead a relative date is, as `value` and `unit`."""
    return _duration(date, date.offset)


def _duration(date: RelativeDate, count: float) -> Json:
    if date.unit not in _UNITS:
        raise NotTranslatable(date.place + "/unit", f"must be one of {', '.join(_UNITS)}.")
    factor, unit = _UNITS[date.unit]
    value = count * factor
    return {"value": int(value) if value.is_integer() else value, "unit": unit}


def date_text(instant_ms: int) -> str:
    """Return an instant as a definition writes it: a plain date if that is its 00:00."""
    moment = _EPOCH + timedelta(milliseconds=instant_ms)
    if instant_ms % DAY_MS == 0:
        return moment.date().isoformat()
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _end_text(last_ms: int) -> str:
    """Return the end of a range of dates, which is included."""
    return date_text(last_ms + 1 - DAY_MS if (last_ms + 1) % DAY_MS == 0 else last_ms)
