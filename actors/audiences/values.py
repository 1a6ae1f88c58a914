"""What a stored text stands for, and how texts compare (spec/audiences.md, 5, rules 2 to 7).

A stored value is `MISSING`, `None` (a tag, or a null), a text or a list of texts.

Every parser returns `None` for a text that does not parse. Times are ms since 1970, UTC.
"""

import re
from collections.abc import Callable
from datetime import date, timedelta
from enum import Enum
from functools import lru_cache
from typing import Final, Literal

from actors.model.batches import AttributeText


class Missing(Enum):
    """The type of `MISSING`."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING  # there is no such key, or no value was ever calculated
StoredValue = AttributeText | Literal[Missing.MISSING]

DAY_MS = 86_400_000
# Beyond every date that parses, and inside int64 so that sums with durations cannot overflow.
EARLIEST_MS = -(1 << 62)
LATEST_MS = 1 << 62

MAX_VERSION_PARTS = 4

Version = tuple[int, int, int, int]
Span = tuple[int, int]  # first and last ms, both included

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_FIRST_DAY = 1 - _EPOCH_DAY  # of the year 1
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097  # after which the calendar repeats itself
_MONDAY = 4  # 1970-01-05 was one

_NUMBER = re.compile(r"[ \t]*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[ \t]*")
_BOOLEANS = {"true": True, "false": False}
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+){0,3}")
_EPOCH = re.compile(r"[0-9]{10}|[0-9]{12,14}")
_EPOCH_SECONDS_DIGITS = 10
_LENGTH_REMEMBERED = 32  # characters, so that what is remembered takes little memory
_DATE = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    r"(?P<time>[T ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?"
    r"(?P<offset>Z|(?P<sign>[+-])(?P<hours>[0-9]{2})(?::?(?P<minutes>[0-9]{2}))?)?)?"
)
_ATOM = re.compile(r"\\.|.", re.DOTALL)


def parse_number(text: str) -> float | None:
    """Return the double that a text stands for; blanks around it are spaces and tabs."""
    return _short_number(text) if len(text) <= _LENGTH_REMEMBERED else _number(text)


def _number(text: str) -> float | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return None if number in (float("inf"), float("-inf")) else number


_short_number = lru_cache(maxsize=8192)(_number)  # the same ones come over and over


def parse_boolean(text: str) -> bool | None:
    """Return the truth value that a text stands for, in any case."""
    return _BOOLEANS.get(text.lower())


def parse_version(text: str) -> Version | None:
    """Return four numbers; parts that are missing are 0."""
    if not _VERSION.fullmatch(text):
        return None
    try:
        parts = [int(part) for part in text.split(".")]
    except ValueError:  # more digits than Python converts
        return None
    first, second, third, fourth = parts + [0] * (MAX_VERSION_PARTS - len(parts))
    return first, second, third, fourth


def parse_date(text: str) -> int | None:
    """Return the instant of a stored date in ms: a plain date is its 00:00."""
    span = date_span(text)
    return None if span is None else span[0]


def date_span(text: str) -> Span | None:
    """Return the ms of a date: of a plain date the whole UTC day, else the one of the instant."""
    found = _DATE.fullmatch(text)
    if found is None:
        if not _EPOCH.fullmatch(text):
            return None
        instant = int(text) * (1000 if len(text) == _EPOCH_SECONDS_DIGITS else 1)
        return instant, instant
    try:
        day = date(int(found["year"]), int(found["month"]), int(found["day"]))
    except ValueError:
        return None
    start = (day.toordinal() - _EPOCH_DAY) * DAY_MS
    if found["time"] is None:
        return start, start + DAY_MS - 1
    within = _ms_of_day(found)
    return None if within is None else (start + within, start + within)


def is_date_operand(text: str) -> bool:
    """Tell whether a text is a date of a definition: a plain date, or an instant with an offset."""
    found = _DATE.fullmatch(text)
    if found is None or (found["time"] is not None and found["offset"] is None):
        return False
    return date_span(text) is not None


def _ms_of_day(found: re.Match[str]) -> int | None:
    """Return the ms since 00:00 UTC of the day written; outside the day with some offsets."""
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"] or 0)
    hours, minutes = int(found["hours"] or 0), int(found["minutes"] or 0)
    if hour > 23 or hours > 23 or max(minute, second, minutes) > 59:
        return None
    milliseconds = int(((found["fraction"] or "") + "000")[:3])
    ahead = (hours * 60 + minutes) * (-1 if found["sign"] == "-" else 1)
    return (((hour * 60 + minute - ahead) * 60) + second) * 1000 + milliseconds


def fold(text: str) -> str:
    """Return what two texts have in common that differ in case only."""
    return text.casefold()


def pattern_matcher(pattern: str) -> Callable[[str], bool]:
    r"""Compile a pattern for folded texts: `*` any run, `?` one character, `\` escapes.

    A `\` at the end stands for itself. Cost of a match: at most length of text x of pattern.
    """
    pieces = _pieces(fold(pattern))
    compiled = [re.compile("".join(piece), re.DOTALL) for piece in pieces]
    if len(compiled) == 1:
        whole = compiled[0]
        return lambda text: whole.fullmatch(text) is not None
    first, *middle, last = compiled
    last_length = len(pieces[-1])

    def matches(text: str) -> bool:
        found = first.match(text)
        if found is None:
            return False
        position = found.end()
        for piece in middle:
            found = piece.search(text, position)
            if found is None:
                return False
            position = found.end()
        start = len(text) - last_length
        return start >= position and last.match(text, start) is not None

    return matches


def _pieces(pattern: str) -> list[list[str]]:
    """Split a pattern at its stars; each piece as regular expressions of one character each."""
    pieces: list[list[str]] = [[]]
    for atom in _ATOM.findall(pattern):
        if atom == "*":
            pieces.append([])
        else:
            pieces[-1].append("." if atom == "?" else re.escape(atom[-1]))
    return pieces


def calendar_period(unit: str, offset: int, now_ms: int) -> Span:
    """Return the first and last ms of the UTC calendar period `offset` periods from the current.

    Args:
        unit: `day`, `week` (from Monday), `month`, `quarter` or `year`.
        offset: 0 is the period of `now_ms`, -1 the one before. Years before 1 are cut off: of a
            period that lies there nothing is left.
        now_ms: of any year.
    """
    day = now_ms // DAY_MS
    if unit == "day":
        first, after = day + offset, day + offset + 1
    elif unit == "week":
        first = day - (day - _MONDAY) % 7 + 7 * offset
        after = first + 7
    else:
        months = {"month": 1, "quarter": 3, "year": 12}[unit]
        cycles, day_of_cycle = divmod(day, _CYCLE_DAYS)
        today = date(1970, 1, 1) + timedelta(days=day_of_cycle)
        year = today.year + cycles * _CYCLE_YEARS
        period = (year * 12 + today.month - 1) // months + offset
        first, after = _first_day(period * months), _first_day((period + 1) * months)
    return max(first, _FIRST_DAY) * DAY_MS, max(after, _FIRST_DAY) * DAY_MS - 1


def _first_day(month: int) -> int:
    """Return the day number, from 1970, of the first of a month; months count from year 0."""
    year, index = divmod(month, 12)
    cycles, year_of_cycle = divmod(year - 1970, _CYCLE_YEARS)
    first = date(1970 + year_of_cycle, index + 1, 1).toordinal() - _EPOCH_DAY
    return first + cycles * _CYCLE_DAYS
