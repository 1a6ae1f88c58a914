"""Random definitions (spec/audiences.md, 3)."""

from random import Random
from typing import Any

from msgspec.structs import replace

from actors.audiences.criteria import (
    UNIT_MS,
    Aggregate,
    CartAbandonment,
    Condition,
    Criterion,
    EventCategory,
    EventCriterion,
    EventFilter,
    Frequency,
    Group,
    Named,
    Node,
    Sequence,
    Step,
    Where,
    WhereGroup,
)
from tests.oracle.audiences.random_tests import TYPES, make_recency, make_test
from tests.oracle.audiences.random_user_criteria import UserCriteria
from tests.oracle.audiences.vocabulary import (
    ACTIONS,
    EVENT_ATTRIBUTES,
    EVENT_NAMES,
    INPUTS,
    PRODUCT_ATTRIBUTES,
    SCREENS,
    SPANS,
    chance,
    some,
)

_WORKSPACE_SCOPED = ("install", "upgrade", "uninstall", "crash_report")
_OTHER_TYPES = ("session_start", "session_end", "application_state_transition", "push_message")
_VALUES: dict[str, tuple[EventCategory, tuple[str, ...]]] = {
    "custom_event": ("event_attribute", EVENT_ATTRIBUTES),
    "session_end": ("event_field", ("session_duration_ms", "application_version")),
    "crash_report": ("event_field", ("severity", "device_platform")),
    "screen_view": ("event_field", ("screen_name", "latitude")),
    "promotion": ("promotion_attribute", ("id", "position")),
    "commerce_event": (
        "product_attribute",
        ("name", "brand", "price", "quantity", "total_product_amount", *PRODUCT_ATTRIBUTES),
    ),
}
_ORDERS: tuple[Any, ...] = (
    *("greater_than", "greater_or_equal", "less_than", "less_than_or_equal"),
    *("equals", "not_equals", "between"),
)


class Definitions:
    """Makes definitions. `nests`: they may name the audiences of `vocabulary.AUDIENCES`."""

    def __init__(self, randomness: Random, now_ms: int, *, nests: bool = True) -> None:
        self._randomness = randomness
        self._now_ms = now_ms
        self._users = UserCriteria(randomness, now_ms, nests=nests)

    def node(self, depth: int = 2) -> Node:
        """Return a whole definition with at most so many groups inside each other."""
        randomness = self._randomness
        if depth == 0 or chance(randomness, 0.25):
            return Named(self.criterion())
        op: Any = randomness.choice(("and", "and", "or", "or", "not", "exclude"))
        count = {"not": 1, "exclude": randomness.randint(1, 3)}.get(op, randomness.randint(1, 3))
        if op == "exclude":
            count = max(2, count)
        return Group(op, tuple(self.node(depth - 1) for _ in range(count)))

    def criterion(self) -> Criterion:
        """Return any criterion."""
        makers = (
            *((self._event,) * 8),
            *((self._sequence,) * 2),
            self._abandonment,
            *((self._users.criterion,) * 12),
        )
        return self._randomness.choice(makers)()

    def _event(self) -> Criterion:
        randomness = self._randomness
        wanted = self._filter()
        aggregate = None
        if chance(randomness, 0.2):
            aggregate = self._aggregate(wanted.event_type)
        return EventCriterion(
            wanted, make_recency(randomness, self._now_ms), self._frequency(), aggregate
        )

    def _filter(self, where_share: float = 0.4) -> EventFilter:
        randomness = self._randomness
        if chance(randomness, 0.75):
            kind = randomness.choice(("custom_event", "custom_event", "commerce_event"))
        else:
            kind = randomness.choice(("screen_view", "any", *_OTHER_TYPES, *_WORKSPACE_SCOPED))
        inputs = None
        if chance(randomness, 0.15):
            inputs = (randomness.choice(INPUTS),)
        where = None
        if chance(randomness, where_share):
            where = self._where(kind, 2)
        return EventFilter(
            kind,
            some(randomness, EVENT_NAMES, 1, 3)
            if kind == "custom_event"
            else (some(randomness, SCREENS, 0, 1) if kind == "screen_view" else ()),
            ("other",) if kind == "custom_event" and chance(randomness, 0.2) else (),
            some(randomness, (*ACTIONS, "promotion_view", "impression"), 0, 3)
            if kind == "commerce_event"
            else (),
            where,
            inputs,
        )

    def _where(self, kind: str, depth: int) -> Where:
        randomness = self._randomness
        if depth and chance(randomness, 0.4):
            op: Any = randomness.choice(("and", "or", "not"))
            count = 1 if op == "not" else randomness.randint(1, 3)
            return WhereGroup(op, tuple(self._where(kind, depth - 1) for _ in range(count)))
        category, name = self._value(kind)
        type_ = randomness.choice(TYPES)
        if name in ("price", "quantity", "total_product_amount", "session_duration_ms", "n"):
            type_ = "number"
        elif name == "due":
            type_ = "date"
        elif chance(randomness, 0.6):
            type_ = "string"
        return Condition(name, category, make_test(randomness, type_, self._now_ms))

    def _value(self, kind: str) -> tuple[EventCategory, str]:
        randomness = self._randomness
        if kind == "commerce_event" and chance(randomness, 0.15):
            kind = "promotion"
        elif kind == "commerce_event" and chance(randomness, 0.2):
            return "event_field", randomness.choice(("currency_code", "total_amount"))
        category, names = _VALUES.get(kind, _VALUES["custom_event"])
        return category, randomness.choice(names)

    def _aggregate(self, kind: str) -> Aggregate:
        randomness = self._randomness
        category, name = self._value(kind)
        if chance(randomness, 0.7) and category in ("event_attribute", "product_attribute"):
            name = "n" if category == "event_attribute" else randomness.choice(("price", "color"))
        function: Any = randomness.choice(("sum", "min", "max", "average", "unique_values_count"))
        test = make_test(randomness, "number", self._now_ms)
        while test.operator in ("exists", "not_exists", "empty", "in_list", "not_in_list"):
            test = make_test(randomness, "number", self._now_ms)
        return Aggregate(function, name, category, chance(randomness, 0.5), test)

    def _frequency(self) -> Frequency:
        randomness = self._randomness
        if chance(randomness, 0.3):
            return Frequency()
        operator = randomness.choice(_ORDERS)
        of: Any = randomness.choice(("events",) * 4 + ("days", "sessions", "quantity"))
        if operator == "between":
            least = randomness.randint(0, 3)
            return Frequency(operator, 0, least, least + randomness.randint(0, 2), of)
        return Frequency(operator, randomness.randint(0, 3), of=of)

    def _span(self) -> int:
        value, unit = self._randomness.choice(SPANS[:-2])
        return value * UNIT_MS[unit]

    def _sequence(self) -> Criterion:
        randomness = self._randomness
        count = randomness.choice((2, 2, 2, 2, 3))
        inputs = (randomness.choice(INPUTS),) if chance(randomness, 0.1) else None
        steps = [Step(replace(self._filter(0.15), inputs=inputs))]
        for place in range(1, count):
            is_absent = place == count - 1 and chance(randomness, 0.35)
            within_ms = self._span() if is_absent or chance(randomness, 0.6) else None
            same = (
                some(randomness, ("session_id", "kind"), 0, 1) if chance(randomness, 0.25) else ()
            )
            wanted = replace(self._filter(0.15), inputs=inputs)
            steps.append(Step(wanted, within_ms, same, is_absent))
        return Sequence(tuple(steps), make_recency(randomness, self._now_ms))

    def _abandonment(self) -> Criterion:
        randomness = self._randomness
        where = self._where("commerce_event", 1) if chance(randomness, 0.15) else None
        inputs = (randomness.choice(INPUTS),) if chance(randomness, 0.2) else None
        added = EventFilter(
            "commerce_event", commerce_actions=("add_to_cart",), where=where, inputs=inputs
        )
        return CartAbandonment(added, self._span(), make_recency(randomness, self._now_ms))
