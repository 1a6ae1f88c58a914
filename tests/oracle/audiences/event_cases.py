"""Worked cases 10 to 18 and 20 of spec/audiences.md as criteria and their members."""

from typing import Any

from actors.audiences.criteria import (
    Aggregate,
    EventFilter,
    Named,
    Node,
    Recency,
    Sequence,
    Step,
    Where,
    WhereGroup,
)
from tests.oracle.audiences.build import event, passing, purchase, where, within_last
from tests.oracle.audiences.fixture import DAY, HOUR, MINUTE

PLAYED = EventFilter(
    "custom_event",
    ("Clip Played",),
    where=WhereGroup("and", (where("kind", "equals", "intro"), where("city", "contains", "paris"))),
)
WATCH = event(PLAYED, within_last(3 * DAY), ("greater_or_equal", 2))
_LOWER = EventFilter("custom_event", ("clip played",), where=PLAYED.where)

_ACME = where("brand", "equals", "acme", "product_attribute")
_HAT = where("name", "contains", "hat", "product_attribute")


def _logins(recency: Recency, operator: str, count: int, *of: str) -> Named:
    return event("Login", recency, (operator, count, *of))


def _bought(op: Any, *wanted: Where) -> Named:
    return event(purchase(WhereGroup(op, wanted)))


def _price(operator: str, value: float, *, by_quantity: bool) -> Named:
    test = passing("number", operator, value)
    total = Aggregate("sum", "price", "product_attribute", by_quantity, test)
    return event(purchase(), aggregate=total)


def then_purchase(within_ms: int) -> Node:
    """Make the sequence of a clip and a purchase."""
    first = Step(EventFilter("custom_event", ("Clip Played",)))
    return Named(Sequence((first, Step(purchase(), within_ms))))


def no_purchase(within_ms: int) -> Node:
    """Make the sequence of a clip and no purchase."""
    first = Step(EventFilter("custom_event", ("Clip Played",)))
    return Named(Sequence((first, Step(purchase(), within_ms, is_absent=True))))


CASES: list[tuple[str, Node, set[int]]] = [
    ("10", WATCH, {1001}),
    ("10 default", event(PLAYED, within_last(3 * DAY)), {1001, 1002}),
    ("10 lower case", event(_LOWER, within_last(3 * DAY)), set()),
    ("11", event("Clip Played", frequency=("equals", 0)), {1003, 1004, 1005}),
    ("12 within_last", _logins(within_last(6 * DAY), "equals", 4), {1004}),
    (
        "12 older_than",
        _logins(Recency("older_than", duration_ms=6 * DAY), "greater_than", 0),
        set(),
    ),
    (
        "13",
        _logins(Recency("between_ago", from_ms=6 * DAY, to_ms=4 * DAY), "equals", 2),
        {1004},
    ),
    ("14 before", _logins(Recency("before", date="2026-03-09"), "equals", 3), {1004}),
    ("14 after", _logins(Recency("after", date="2026-03-09"), "equals", 1), {1004}),
    ("14 on", _logins(Recency("on", date="2026-03-08"), "equals", 1), {1004}),
    (
        "14 between_dates",
        _logins(Recency("between_dates", start="2026-03-06", end="2026-03-08"), "equals", 2),
        {1004},
    ),
    ("15 days", _logins(Recency(), "equals", 4, "days"), {1004}),
    ("15 calendar", _logins(Recency("calendar", unit="week"), "equals", 1), {1004}),
    ("16 and", _bought("and", _ACME, _HAT), set()),
    ("16 or", _bought("or", _ACME, _HAT), {1002}),
    ("17", event(purchase(_ACME), frequency=("equals", 3, "quantity")), {1002}),
    ("18 by quantity", _price("greater_or_equal", 35, by_quantity=True), {1002}),
    ("18 once each", _price("greater_or_equal", 35, by_quantity=False), set()),
    ("18 once each is 25", _price("equals", 25, by_quantity=False), {1002}),
    ("20 2 hours", then_purchase(2 * HOUR), {1002}),
    ("20 59 minutes", then_purchase(59 * MINUTE), set()),
    ("20 60 minutes", then_purchase(60 * MINUTE), {1002}),
    ("20 absent", no_purchase(DAY), {1001}),
]
