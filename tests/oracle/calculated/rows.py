"""Which rows a calculated attribute is made of (spec/calculated-attributes.md, 2.1, 3 and 4)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from actors.audiences.criteria import Test
from actors.model.batches import Event, StoredBatch
from actors.model.workspaces import WorkspaceInfo
from tests.oracle.audiences.value_tests import holds
from tests.oracle.events import (
    Row,
    SeenEvent,
    commerce_action,
    custom_attribute,
    event_field,
    rows,
    timeline,
)
from tests.oracle.texts import MISSING, Missing, Stored, instant_ms, number

DAY_MS = 24 * 60 * 60 * 1000
UNITS_MS = {
    "hours": DAY_MS // 24,
    "days": DAY_MS,
    "weeks": 7 * DAY_MS,
    "months": 30 * DAY_MS,
}
WEIGHTED = frozenset({"count", "sum", "average", "most_frequent"})
NUMERIC = frozenset({"sum", "min", "max", "average"})
WITHOUT_VALUE = frozenset({"count", "first_occurrence_timestamp", "last_occurrence_timestamp"})

Json = Mapping[str, Any]
_PARTS = ("product_attribute", "promotion_attribute")


@dataclass(frozen=True)
class UsedRow:
    """A row that counts: its value (empty where the function needs none), its weight, its time.

    `index` is the place of the product or promotion among those of the event.
    """

    seen: SeenEvent
    index: int
    value: str
    weight: float

    @property
    def place(self) -> tuple[int, int, int, int]:
        """What first and last are by: time, position in the batch, product; then arrival."""
        log_id, position = self.seen.order
        return self.seen.t_ms, position, self.index, log_id


@dataclass(frozen=True)
class Qualifying:
    """An event that matches and of which some row meets the conditions; its rows that count."""

    seen: SeenEvent
    rows: list[UsedRow]


def qualifying(
    definition: Json, batches: Iterable[StoredBatch], workspace: WorkspaceInfo, now_ms: int
) -> list[Qualifying]:
    """Return all events that qualify, whatever the range, in the order of arrival."""
    found = []
    for seen in timeline(batches, workspace):
        if seen.t_ms <= now_ms and matches(definition["datapoint"], seen.event):
            rows_of_event = _of_event(definition, seen)
            if rows_of_event is not None:
                found.append(Qualifying(seen, rows_of_event))
    return sorted(found, key=lambda each: each.seen.order)


def in_range(period: Json, events: list[Qualifying], now_ms: int) -> list[Qualifying]:
    """Return those of the events that are inside the range."""
    if period["type"] == "last_events":
        newest = sorted(each.seen.place for each in events)[-int(period["count"]) :]
        return [each for each in events if each.seen.place in newest]
    start_ms = range_start_ms(period, now_ms)
    return [each for each in events if each.seen.t_ms >= start_ms]


def range_start_ms(period: Json, now_ms: int) -> int:
    """Return the first instant of a range at an evaluation time."""
    if period["type"] == "within":
        return now_ms - int(period["within"]) * UNITS_MS[period["within_unit"]]
    if period["type"] == "since":
        since_ms = instant_ms(period["date"])
        assert since_ms is not None
        return since_ms
    return -(1 << 62)


def matches(datapoint: Json, event: Event) -> bool:
    """Tell whether an event is of the datapoint."""
    if event.event_type != datapoint["event_type"]:
        return False
    name, kind = datapoint.get("event_name"), datapoint.get("custom_event_type")
    match event.event_type:
        case "custom_event":
            is_of_kind = kind is None or event.get("custom_event_type") == kind
            return event.get("event_name") == name and is_of_kind
        case "screen_view":
            return name is None or event.get("screen_name") == name
        case "commerce_event":
            return kind is None or commerce_action(event) == kind
    return True


def _of_event(definition: Json, seen: SeenEvent) -> list[UsedRow] | None:
    """Return the rows of an event that count; `None` if no row meets the conditions."""
    datapoint, function = definition["datapoint"], definition["calculation_type"]
    category = datapoint.get("attribute_category") or "event_attribute"
    is_weighted = (
        bool(datapoint.get("use_product_quantity"))
        and category == "product_attribute"
        and function in WEIGHTED
    )
    # An event is one row unless the datapoint is about its products or promotions.
    candidates = [Row(seen)] if category == "event_attribute" else rows(seen)
    met = [
        (index, row)
        for index, row in enumerate(candidates)
        if _conditions_hold(definition, category, row)
    ]
    if not met:
        return None
    found = []
    for index, row in met:
        weight = _weight(row) if is_weighted else 1.0
        value: Stored = ""
        if function not in WITHOUT_VALUE:
            value = resolve(category, datapoint["attribute_name"], row, is_condition=False)
        is_usable = function not in NUMERIC or number(str(value)) is not None
        if weight > 0 and isinstance(value, str) and is_usable:
            found.append(UsedRow(seen, index, value[:4096], weight))
    return found


def _weight(row: Row) -> float:
    """Return how often a product counts; without one there is nothing to count."""
    return 0.0 if row.product is None else row.weight


def _conditions_hold(definition: Json, category: str, row: Row) -> bool:
    for condition in definition.get("conditions") or ():
        operands = ("value", "min_value", "max_value")
        test = Test(
            condition["type"],
            condition["operator"],
            values=tuple(condition.get("values") or ()),
            **{name: condition.get(name) for name in operands},
        )
        value = resolve(category, condition["attribute_name"], row, is_condition=True)
        if not holds(test, value, 0, lambda _: MISSING):
            return False
    return True


def resolve(category: str, name: str, row: Row, *, is_condition: bool) -> Stored:
    """Return an attribute: in the datapoint's category; for a condition then of the event."""
    if category in _PARTS:
        value = row.value(category, name)
        if not is_condition or not isinstance(value, Missing):
            return value
    custom = custom_attribute(row.seen.event.get("custom_attributes"), name)
    return event_field(row.seen, name) if isinstance(custom, Missing) else custom
