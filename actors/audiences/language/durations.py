"""Durations: a number and a unit (spec/audiences.md, 3.3)."""

from typing import get_args

from actors.audiences.criteria import UNIT_MS, Unit
from actors.audiences.language.members import Members

UNITS: tuple[Unit, ...] = get_args(Unit)

# About 285,000 years; keeps sums of instants and durations far inside int64 and exact as doubles.
MAX_DURATION_MS = 1 << 53


def read_duration_of(members: Members) -> tuple[float, Unit]:
    """Read `value` and `unit` of an object that has other members too."""
    value = members.number("value", 0, MAX_DURATION_MS)
    unit = members.word("unit", UNITS)
    if value * UNIT_MS[unit] > MAX_DURATION_MS:
        members.fail("value", "is too long a time.")
        return 0.0, unit
    return value, unit


def duration_ms(value: float, unit: Unit) -> int:
    """Return a duration in ms."""
    return round(value * UNIT_MS[unit])


def read_duration(members: Members, name: str, sent_as: str | None = None) -> int:
    """Read a member that is a duration and nothing else; it has to be there. In ms."""
    part = members.part(name, sent_as)
    value, unit = read_duration_of(part)
    members.canonical[name] = part.finish()
    return duration_ms(value, unit)
