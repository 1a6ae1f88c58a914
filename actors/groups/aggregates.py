"""What a group attribute becomes of its members' own values (spec/identity.md, 13).

An aggregation works on states, which any part of the members has one of: states merge in any order
and grouping to the same result, so that every shard can begin with its own members. States are made
of what msgpack knows.
"""

import re
from collections.abc import Mapping
from decimal import Context, Decimal
from itertools import islice
from math import isfinite
from typing import Any, Protocol

from actors.batches.coerce import text_of
from actors.model.batches import AttributeText
from actors.model.profiles import AttributeValue

MAX_UNION_ENTRIES = 1000

_WHOLE = re.compile(r"[+-]?[0-9]{1,300}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
# Of doubles and of whole numbers within 300 digits, sums have fewer digits: nothing is rounded, so
# the order of the members does not matter.
_EXACT = Context(prec=1000)


class Aggregation(Protocol):
    """One type of group attribute."""

    def start(self, own: AttributeValue, mpid: int) -> Any:
        """Return the state of one member; `None` if its value counts for nothing."""
        ...

    def merge(self, one: Any, other: Any) -> Any:
        """Return the state of both together; `one` may be changed."""
        ...

    def result(self, state: Any) -> AttributeText:
        """Return the value of the group attribute."""
        ...


class BooleanOr:
    """`"true"` if any member's value is true."""

    def start(self, own: AttributeValue, mpid: int) -> bool:
        """See `Aggregation`."""
        return _is_true(own.value)

    def merge(self, one: bool, other: bool) -> bool:
        """See `Aggregation`."""
        return one or other

    def result(self, state: bool) -> str:
        """See `Aggregation`."""
        return text_of(state)


class BooleanAnd(BooleanOr):
    """`"true"` if all members' values are."""

    def merge(self, one: bool, other: bool) -> bool:
        """See `Aggregation`."""
        return one and other


class Sum:
    """Of the values that are numbers. The state is the decimal text of the exact sum."""

    def start(self, own: AttributeValue, mpid: int) -> str | None:
        """See `Aggregation`."""
        number = _number(own.value)
        return None if number is None else str(number)

    def merge(self, one: str, other: str) -> str:
        """See `Aggregation`."""
        return str(self._of_both(Decimal(one), Decimal(other)))

    def result(self, state: str) -> str:
        """See `Aggregation`."""
        number = Decimal(state)
        is_whole = number == number.to_integral_value()
        return text_of(int(number) if is_whole else float(number))

    def _of_both(self, one: Decimal, other: Decimal) -> Decimal:
        return _EXACT.add(one, other)


class Max(Sum):
    """The greatest number."""

    def _of_both(self, one: Decimal, other: Decimal) -> Decimal:
        return max(one, other)


class Min(Sum):
    """The least number."""

    def _of_both(self, one: Decimal, other: Decimal) -> Decimal:
        return min(one, other)


class Latest:
    """The value that was updated last; of several at once, that of the greatest MPID."""

    def start(self, own: AttributeValue, mpid: int) -> list[Any]:
        """See `Aggregation`."""
        return [own.updated_ms, mpid, own.value]

    def merge(self, one: list[Any], other: list[Any]) -> list[Any]:
        """See `Aggregation`."""
        return one if one[:2] >= other[:2] else other

    def result(self, state: list[Any]) -> AttributeText:
        """See `Aggregation`."""
        value: AttributeText = state[2]
        return value


class ListUnion:
    """The distinct values, those updated first first, then by MPID and place in its list.

    The state maps a value to where it was seen first. It holds no more than the result can: what
    comes after so many others in a part of the members does so among all of them.
    """

    def start(self, own: AttributeValue, mpid: int) -> dict[str, list[int]]:
        """See `Aggregation`."""
        if own.value is None:
            return {}
        entries = [own.value] if isinstance(own.value, str) else own.value
        first: dict[str, list[int]] = {}
        for place, entry in enumerate(entries):
            first.setdefault(entry, [own.updated_ms, mpid, place])
        return _earliest(first)

    def merge(self, one: dict[str, list[int]], other: dict[str, list[int]]) -> Any:
        """See `Aggregation`."""
        for value, seen in other.items():
            known = one.get(value)
            if known is None or seen < known:
                one[value] = seen
        return _earliest(one) if len(one) > MAX_UNION_ENTRIES else one

    def result(self, state: dict[str, list[int]]) -> list[str]:
        """See `Aggregation`."""
        return list(_earliest(state))


AGGREGATIONS: Mapping[str, Aggregation] = {
    "boolean_or": BooleanOr(),
    "boolean_and": BooleanAnd(),
    "sum": Sum(),
    "max": Max(),
    "min": Min(),
    "latest": Latest(),
    "list_union": ListUnion(),
}


def _is_true(value: AttributeText) -> bool:
    return isinstance(value, str) and value.strip().lower() == "true"


def _number(value: AttributeText) -> Decimal | None:
    """Read a number; one without a finite double is none."""
    text = value.strip() if isinstance(value, str) else ""
    if _WHOLE.fullmatch(text):
        return Decimal(text)
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    # Through the double: the exponent that a text can have is without bounds.
    return Decimal(repr(number)) if isfinite(number) else None


def _earliest(first: dict[str, list[int]]) -> dict[str, list[int]]:
    ordered = sorted(first.items(), key=lambda each: each[1])
    return dict(islice(ordered, MAX_UNION_ENTRIES))
