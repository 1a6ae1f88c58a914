"""When a definition turns false by the passing of time alone (spec/audiences.md, 7).

Found by force: the definition is evaluated at every instant at which anything could change.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from actors.audiences.criteria import UNIT_MS, Node
from tests.oracle.audiences.evaluate import holds
from tests.oracle.audiences.people import Person, Surroundings
from tests.oracle.texts import instant_ms

DAY_MS = 24 * 60 * 60 * 1000


def expiration_timestamp_ms(
    node: Node, person: Person, around: Surroundings, now_ms: int
) -> int | None:
    """Return when a definition that holds will have ceased to hold; `None` if it never will.

    A window may include its border: then the definition still holds in this very millisecond and
    no longer in any instant after it. Otherwise this is the first millisecond when it is false.
    The end of the profile's lifetime does not count, but that it ends memberships of audiences that
    the definition names.
    """
    for candidate in instants(node, person, around, now_ms):
        if not holds(node, person, around, candidate, now_ms):
            is_false_before = not holds(node, person, around, candidate - 0.5, now_ms)
            return candidate - 1 if is_false_before else candidate
    return None


def instants(node: Node, person: Person, around: Surroundings, now_ms: int) -> list[int]:
    """Return every later instant at which the definition's value may become another."""
    stored = set(_dates(person)) | {now_ms}
    durations = {0, around.lookback_ms, around.lifetime_ms}  # an audience inside it ages too
    for each in (node, *around.audiences.values()):
        durations.update(spans(each))
    found = {
        instant + sign * span + beside
        for instant in stored
        for span in durations
        for sign in (-1, 1)
        for beside in (-1, 0, 1)
    }
    # Periods of the calendar change at midnight; after the lookback there is nothing to look at.
    last_ms = now_ms + around.lookback_ms + DAY_MS
    found.update(range(now_ms - now_ms % DAY_MS, last_ms + 1, DAY_MS))
    return sorted(instant for instant in found if instant > now_ms)


def spans(node: Any) -> Iterator[int]:
    """Yield every duration that a definition names."""
    if isinstance(node, msgspec.Struct):
        unit, value = getattr(node, "unit", None), getattr(node, "value", None)
        if unit in UNIT_MS and isinstance(value, int | float):
            yield round(value * UNIT_MS[unit])
        for name in node.__struct_fields__:
            member = getattr(node, name)
            if isinstance(member, int) and name.endswith("_ms"):
                yield member
            else:
                yield from spans(member)
    elif isinstance(node, tuple):
        for each in node:
            yield from spans(each)


def _dates(person: Person) -> Iterator[int]:
    """Yield every instant that is stored of a user, also those written in texts."""
    for seen in person.timeline:
        yield seen.t_ms
    profile = msgspec.to_builtins(person.profile)
    bodies = [seen.event.data for seen in person.timeline]
    for text in _scalars([profile, bodies, dict(person.calculated)]):
        instant = instant_ms(str(text))
        if instant is not None:
            yield instant


def _scalars(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _scalars(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _scalars(each)
    elif isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        yield value
