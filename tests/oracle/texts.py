"""How stored texts are read (spec/audiences.md, 5, rules 4 to 7).

Written from the spec alone and independent of `actors.audiences`, which is checked against it.
"""

import math
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final


class Missing:
    """What an attribute that is not there has in place of a value."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()
Stored = str | list[str] | None | Missing  # null is a tag

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MS = timedelta(milliseconds=1)

_NUMBER = re.compile(r"[ \t]*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t]*")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+){0,3}")
_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?"
    r"(?:(Z)|([+-])([0-9]{2}):?([0-9]{2}))?"
)


def text_of(value: Any) -> str:
    """Return a JSON scalar as it is stored (spec/profiles.md, 3.2)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if float(value).is_integer():
        return str(int(value))
    return format(Decimal(f"{value:.15g}"), "f")


def number(text: str) -> float | None:
    """Return the number that a text is, `None` if it is none."""
    if _NUMBER.fullmatch(text) is None:
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def boolean(text: str) -> bool | None:
    """Return the boolean that a text is, `None` if it is none."""
    return {"true": True, "false": False}.get(text.lower())


def version(text: str) -> tuple[int, ...] | None:
    """Return the four parts of a version, `None` if the text is none."""
    if _VERSION.fullmatch(text) is None:
        return None
    parts = [int(part) for part in text.split(".")]
    return tuple(parts + [0] * (4 - len(parts)))


def day(text: str) -> date | None:
    """Return the day that a text of the form `YYYY-MM-DD` is, `None` if it is none."""
    found = _DAY.fullmatch(text)
    if found is None:
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return None


def day_start_ms(of: date) -> int:
    """Return the first instant of a UTC day."""
    return (datetime(of.year, of.month, of.day, tzinfo=UTC) - EPOCH) // MS


def day_end_ms(of: date) -> int:
    """Return the first instant after a UTC day."""
    return day_start_ms(of) + 24 * 60 * 60 * 1000


def instant_ms(text: str) -> int | None:
    """Return the instant that a text is, `None` if it is none."""
    if re.fullmatch(r"[0-9]{10}", text):
        return int(text) * 1000
    if re.fullmatch(r"[0-9]{12,14}", text):
        return int(text)
    plain = day(text)
    return _timestamp_ms(text) if plain is None else day_start_ms(plain)


def _timestamp_ms(text: str) -> int | None:
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        return None
    year, month, of_month, hour, minute = (int(found[place]) for place in range(1, 6))
    try:
        local = datetime(year, month, of_month, hour, minute, int(found[6] or 0), tzinfo=UTC)
    except ValueError:
        return None
    local_ms = (local - EPOCH) // MS + int((found[7] or "")[:3].ljust(3, "0"))
    if found[9] is None:
        return local_ms
    hours, minutes = int(found[10]), int(found[11])
    if hours > 23 or minutes > 59:
        return None
    offset_ms = (hours * 60 + minutes) * 60_000
    return local_ms - offset_ms if found[9] == "+" else local_ms + offset_ms


def folded(text: str) -> str:
    """Return a text as it is compared."""
    return text.casefold()


def matches(pattern: str, text: str) -> bool:
    """Tell whether a whole text, whatever its case, has the form of a pattern."""
    steps: list[tuple[str, str]] = []  # ("any", ""), ("one", "") or ("is", character)
    characters = iter(folded(pattern))
    for character in characters:
        if character == "*":
            steps.append(("any", ""))
        elif character == "?":
            steps.append(("one", ""))
        else:
            steps.append(("is", next(characters, "\\") if character == "\\" else character))
    reached = {0}  # how many steps may have been used up
    for step, (kind, _) in enumerate(steps):
        if kind == "any" and step in reached:
            reached.add(step + 1)
    for character in folded(text):
        after: set[int] = set()
        for step in reached:
            if step == len(steps):
                continue
            kind, wanted = steps[step]
            if kind == "any":
                after.add(step)
            elif kind == "one" or wanted == character:
                after.add(step + 1)
        for step, (kind, _) in enumerate(steps):
            if kind == "any" and step in after:
                after.add(step + 1)
        reached = after
    return len(steps) in reached
