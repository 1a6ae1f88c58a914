"""Definitions of calculated attributes as types (spec/calculated-attributes.md, 3 and 4).

`actors.calculated.reading` makes them of JSON that `actors.calculated.validation` has found valid:
whoever is given one of them need not check again.
"""

from typing import Literal

from msgspec import Struct

from actors.audiences.criteria import Condition

Category = Literal["event_attribute", "product_attribute", "promotion_attribute"]
RangeType = Literal["since", "within", "all", "last_events"]

DAY_MS = 24 * 60 * 60 * 1000
UNIT_MS: dict[str, int] = {"days": DAY_MS, "weeks": 7 * DAY_MS}
EXTENDED_UNIT_MS: dict[str, int] = UNIT_MS | {"hours": DAY_MS // 24, "months": 30 * DAY_MS}

# Actions go by their documented names in definitions, by the derived ones in events and tiers.
_DERIVED_ACTIONS = {"remove_from_wish_list": "remove_from_wishlist"}

MAX_LAST_EVENTS = 10_000
MAX_VALUE_LENGTH = 4096  # characters; longer text is cut (10)


class Datapoint(Struct, frozen=True, array_like=True):
    """Which events are looked at, and what of them.

    Attributes:
        event_type: an input event type.
        event_name: name of a custom event or screen, `None` for any.
        subtype: custom event type, or product or promotion action; `None` for any.
        attribute_name: `None` for functions that need none.
        uses_quantity: rows weigh as much as their product's quantity.
    """

    event_type: str
    event_name: str | None = None
    subtype: str | None = None
    attribute_name: str | None = None
    category: Category = "event_attribute"
    uses_quantity: bool = False

    @property
    def action(self) -> str | None:
        """The subtype of a commerce event as events have it."""
        return self.subtype and _DERIVED_ACTIONS.get(self.subtype, self.subtype)

    @property
    def is_stamped_at_receipt(self) -> bool:
        """Timestamps are those of receipt: of commerce events with products or promotions (2.2)."""
        return self.event_type == "commerce_event" and self.category != "event_attribute"


class DateRange(Struct, frozen=True, array_like=True):
    """Which of these events count.

    Attributes:
        start_ms: of `since`: the first ms.
        length_ms: of `within`: now minus this is the first ms.
        count: of `last_events`.
    """

    type: RangeType
    start_ms: int = 0
    length_ms: int = 0
    count: int = 0


class Definition(Struct, frozen=True, array_like=True):
    """One definition. `function` is its canonical calculation type.

    `cutoff_ms`: 00:00 UTC of the day of the seeds' cut-off date, `None` if there is none; events
    before it never count.
    """

    function: str
    datapoint: Datapoint
    range: DateRange
    conditions: tuple[Condition, ...] = ()
    cutoff_ms: int | None = None

    @property
    def first_ms(self) -> int | None:
        """The earliest event time that ever counts; `None` if there is no such bound."""
        bounds = [] if self.cutoff_ms is None else [self.cutoff_ms]
        if self.range.type == "since":
            bounds.append(self.range.start_ms)
        return max(bounds, default=None)


class Attribute(Struct, frozen=True, array_like=True):
    """A calculated attribute in force: what calculates and shows its values.

    Attributes:
        number: its id, never given to another one.
        revision: of the definition; a value of another revision was calculated by another one.
    """

    number: int
    name: str
    revision: int
    definition: Definition


class LiveAttributes(Struct, frozen=True, array_like=True):
    """All that are active, and those of which seeds are kept.

    Attributes:
        version: greater is newer.
        attributes: the active ones.
        kept: numbers of those that exist and are not active: their values are not shown, but they
            and their seeds stay. Of all others nothing is kept.
        next_number: numbers from it on are of attributes that came later, of which this says
            nothing.
    """

    version: int = 0
    attributes: tuple[Attribute, ...] = ()
    kept: frozenset[int] = frozenset()
    next_number: int = 1 << 31
