"""Streams: the events of one filter, with what is taken of them (spec/audiences.md, 3.1)."""

from hashlib import sha256
from typing import Literal

from msgspec import Struct, json

from actors.audiences.conditions import is_timed_where
from actors.audiences.criteria import EventCategory, EventFilter


class TakeNothing(Struct, frozen=True, tag="nothing"):
    """One entry per event: that it happened."""


class TakeSession(Struct, frozen=True, tag="session"):
    """One entry per event that belongs to a session: its id."""


class TakeQuantity(Struct, frozen=True, tag="quantity"):
    """One entry per matching row with a product: how many of it."""


class TakeNumber(Struct, frozen=True, tag="number"):
    """One entry per matching row with a usable number: the number.

    `weight`: `product` multiplies it by the quantity of its product; `both` does so and keeps the
    quantity too.
    """

    category: EventCategory
    name: str
    weight: Literal["none", "product", "both"] = "none"


class TakeText(Struct, frozen=True, tag="text"):
    """One entry per matching row with a text: a hash of the text."""

    category: EventCategory
    name: str


class TakeSame(Struct, frozen=True, tag="same"):
    """One entry per event: a hash of these attributes, whatever their case.

    `UNLIKE` if one of them is missing.
    """

    names: tuple[str, ...]


Take = TakeNothing | TakeSession | TakeQuantity | TakeNumber | TakeText | TakeSame

UNLIKE = -1  # equal to no other event's; hashes are not negative


class Stream(Struct, frozen=True):
    """Which events make entries, and of what."""

    filter: EventFilter
    take: Take = TakeNothing()

    @property
    def is_wide(self) -> bool:
        """Tell whether entries have more than a time and a value: validity or a weight."""
        where = self.filter.where
        if where is not None and is_timed_where(where):
            return True
        return isinstance(self.take, TakeNumber) and self.take.weight == "both"

    @property
    def has_values(self) -> bool:
        """Tell whether entries have a value; that of others is 0."""
        return not isinstance(self.take, TakeNothing)

    @property
    def identity(self) -> int:
        """A number that is the same for equal streams, whenever and wherever it is computed."""
        return hash_of(json.encode(self))


def hash_of(data: bytes) -> int:
    """Return 63 bits that are the same for the same bytes; never `UNLIKE`."""
    return int.from_bytes(sha256(data).digest()[:8], "little") >> 1
