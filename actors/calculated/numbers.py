"""How values are written, and sums that no order can change (calculated-attributes.md, 2.3, 9)."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import fsum

# What is added up stays below this, so that no sum of them leaves the range of doubles.
SUMMABLE_END = 2.0**960

_INTEGRAL_END = 1e15
_PLAIN_START = 1e-6
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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
    moment = _EPOCH + timedelta(milliseconds=min(max(at_ms, _FIRST_MS), _LAST_MS))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


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


def ratio(terms: Sequence[float], weights: Sequence[float]) -> float:
    """Return the sum of some numbers by the sum of others, which is not 0, rounded once."""
    total, rest = _in_two(terms)
    weight, weight_rest = _in_two(weights)
    if not rest and not weight_rest:
        return total / weight
    exact = (Fraction(total) + Fraction(rest)) / (Fraction(weight) + Fraction(weight_rest))
    return float(exact)


def _in_two(terms: Iterable[float]) -> tuple[float, float]:
    """Return a sum as a double and what it was rounded by."""
    listed = list(terms)
    total = fsum(listed)
    listed.append(-total)
    return total, fsum(listed)
