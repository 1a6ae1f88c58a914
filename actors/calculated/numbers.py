"""How values are written, and sums that no order can change (calculated-attributes.md, 2.3, 9)."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from math import fsum

# What is added up stays below this, so that no sum of them leaves the range of doubles.
SUMMABLE_END = 2.0**960

_INTEGRAL_END = 1e15
_PLAIN_START = 1e-6
_EPOCH = date(1970, 1, 1)
_DAY_MS = 86_400_000
_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999  # years 1 to 9999


def number_text(number: float) -> str:
    """Write a number: all digits of a whole one below 10^15, else at most 15 significant ones."""
    size = abs(number)
    if size < _INTEGRAL_END and number == int(number):
        return str(int(number))
    text = f"{number:.15g}"
    if size >= _PLAIN_START and "e-" in text:
        return format(Decimal(text), "f")
    return text


def timestamp_text(at_ms: int) -> str:
    """Write an instant; one beyond the calendar is written as its first or last ms."""
    day, ms = divmod(min(max(at_ms, _FIRST_MS), _LAST_MS), _DAY_MS)
    seconds, ms = divmod(ms, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{_day_text(day)}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"


@lru_cache(maxsize=1024)
def _day_text(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()


def alphabetical(text: str) -> tuple[str, str]:
    """Return the sort key of the alphabetical order: without case, then by code points."""
    return text.casefold(), text


def add_exactly(parts: list[float], term: float) -> None:
    """Add a term below `SUMMABLE_END` to an exact sum.

    Args:
        parts: doubles, in ascending order of size, whose exact sum is the number; changed in place.
            It takes few of them: what one addition rounds off is kept as a part of its own.
    """
    kept = 0
    for part in parts:
        if abs(term) < abs(part):
            term, part = part, term
        total = term + part
        rest = part - (total - term)
        if rest:
            parts[kept] = rest
            kept += 1
        term = total
    parts[kept:] = [term]


def exact_parts(terms: Sequence[float]) -> list[float]:
    """Return the sum of terms below `SUMMABLE_END` as `add_exactly` keeps it."""
    parts: list[float] = []
    while rest := fsum((*terms, *parts)) if parts else fsum(terms):
        parts.append(-rest)
    return [-part for part in reversed(parts)] or [0.0]


def ratio(terms: Sequence[float], weights: Sequence[float]) -> float:
    """Return the sum of some numbers by the sum of others, which is not 0, rounded once."""
    above, below = _exact_sum(terms)
    by_above, by_below = _exact_sum(weights)
    return (above * by_below) / (below * by_above)  # of integers, of any size


def _exact_sum(terms: Sequence[float]) -> tuple[int, int]:
    """Return a sum as a fraction: twice as exact as a double, which is exact enough to round it."""
    total = fsum(terms)
    above, below = total.as_integer_ratio()
    rest = fsum((*terms, -total)) if len(terms) > 1 else 0.0
    if rest:
        rest_above, rest_below = rest.as_integer_ratio()
        above, below = above * rest_below + rest_above * below, below * rest_below
    return above, below
