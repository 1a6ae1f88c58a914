"""What is wrong with a definition, in the exact words of spec/calculated-attributes.md, 6.2.

A definition is checked as the JSON value that came in. All messages that apply are returned, each
once, in the order of the specification's table.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from actors.audiences.values import LATEST_MS, date_span
from actors.batches.events import EVENT_TYPES
from actors.calculated.conditions import MAX_CONDITIONS, check_condition
from actors.calculated.definition import (
    DAY_MS,
    EXTENDED_UNIT_MS,
    MAX_LAST_EVENTS,
    UNIT_MS,
)
from actors.calculated.functions.registry import function_named
from actors.calculated.messages import in_order

CUSTOM_EVENT_TYPES = frozenset(
    {
        *("navigation", "location", "search", "transaction", "user_content", "user_preference"),
        *("social", "media", "attribution", "other", "unknown"),
    }
)
COMMERCE_EVENT_TYPES = frozenset(
    {
        *("add_to_cart", "remove_from_cart", "checkout", "checkout_option", "click"),
        *("view_detail", "purchase", "refund", "add_to_wishlist", "remove_from_wish_list"),
        *("promotion_view", "promotion_click", "impression"),
    }
)
CATEGORIES = ("event_attribute", "product_attribute", "promotion_attribute")

# The members of a definition and of what is in it: a misspelt one would be passed over.
_MEMBERS = frozenset(
    {
        *("recipe_type", "datapoint", "data_point", "conditions", "calculation_type"),
        *("time_period", "seeding"),
    }
)
_MEMBERS_OF = {
    "datapoint": frozenset(
        {
            *("type", "event_type", "event_name", "custom_event_type", "attribute_name"),
            *("attribute_category", "use_product_quantity"),
        }
    ),
    "time_period": frozenset({"type", "date", "within", "within_unit", "count"}),
    "seeding": frozenset({"cutoff_date"}),
}
_OF_CONDITION = frozenset(
    {"type", "operator", "attribute_name", "value", "values", "min_value", "max_value"}
)

_TEXTS_OF_DATAPOINT = ("event_name", "attribute_name")  # kept also where they mean nothing
_SUBTYPES = {"custom_event": CUSTOM_EVENT_TYPES, "commerce_event": COMMERCE_EVENT_TYPES}


_FIRST_MS = -62_135_596_800_000  # the begin of the year 1
_LAST_MS = 253_402_300_799_999  # the end of the year 9999


class Bounds(Struct, frozen=True):
    """What the workspace allows.

    Attributes:
        retention_days: how far a range may reach back; `None`: as far as it likes.
        has_extended_windows: setting `calculated_attributes.extended_windows`.
    """

    retention_days: int | None
    has_extended_windows: bool = False


def check_definition(definition: dict[str, Any], bounds: Bounds, now_ms: int) -> list[str]:
    """Return the messages for a definition, none if it is valid."""
    return in_order(_found(definition, bounds, now_ms))


def _found(definition: dict[str, Any], bounds: Bounds, now_ms: int) -> Iterable[str]:
    yield from _check_period(definition.get("time_period"), bounds, now_ms)
    if definition.get("recipe_type") != "event":
        yield "Invalid recipe type"
    if function_named(definition.get("calculation_type")) is None:
        yield "Invalid calculation type"
    yield from _check_datapoint(definition)
    conditions = definition.get("conditions")
    if conditions is not None:
        yield from _check_conditions(conditions)
    seeding = definition.get("seeding")
    if seeding is not None and cutoff_day_ms(seeding) is None:
        yield "Invalid seeding specification"
    yield from _check_members(definition)


def _check_members(definition: dict[str, Any]) -> Iterable[str]:
    """Yield a message for each member that means nothing."""
    parts: list[tuple[str, Any, frozenset[str]]] = [("", definition, _MEMBERS)]
    for name, known in _MEMBERS_OF.items():
        part = datapoint_of(definition) if name == "datapoint" else definition.get(name)
        parts.append((f"{name}.", part, known))
    conditions = definition.get("conditions")
    for index, each in enumerate(conditions if isinstance(conditions, list) else ()):
        parts.append((f"conditions[{index}].", each, _OF_CONDITION))
    for at, part, known in parts:
        if isinstance(part, dict):
            yield from (f"Field '{at}{name}' is not known." for name in part if name not in known)


def datapoint_of(definition: dict[str, Any]) -> Any:
    """Return the data point, which goes by two names."""
    datapoint = definition.get("datapoint")
    return definition.get("data_point") if datapoint is None else datapoint


def cutoff_day_ms(seeding: Any) -> int | None:
    """Return 00:00 UTC of the day of `seeding.cutoff_date`; `None` if it is no date."""
    cutoff_ms = date_ms(seeding.get("cutoff_date")) if isinstance(seeding, dict) else None
    return None if cutoff_ms is None else cutoff_ms // DAY_MS * DAY_MS


def date_ms(value: Any) -> int | None:
    """Return the instant of an ISO date or timestamp of the years 1 to 9999, UTC.

    A date is its 00:00 UTC.
    """
    if not isinstance(value, str) or "-" not in value:  # epoch digits are no ISO date
        return None
    span = date_span(value.strip())
    # With an offset an instant may lie outside the years that can be shown.
    return span[0] if span is not None and _FIRST_MS <= span[0] <= _LAST_MS else None


def date_text(at_ms: int) -> str:
    """Write an instant as definitions have it: UTC, in seconds."""
    # `strftime` writes years before 1000 with less than four digits, which are no date.
    return datetime.fromtimestamp(at_ms // 1000, UTC).replace(tzinfo=None).isoformat()


def _check_period(period: Any, bounds: Bounds, now_ms: int) -> Iterable[str]:
    if not isinstance(period, dict):
        yield "Invalid time period specification"
        return
    match period.get("type"):
        case "since":
            yield from _check_since(period, bounds, now_ms)
        case "within":
            yield from _check_within(period, bounds)
        case "all" if not bounds.has_extended_windows:
            yield "Field 'time_period.type' = 'all' is not supported."
        case "all":
            pass
        case "last_events" if bounds.has_extended_windows:
            if not 0 < _count(period.get("count")) <= MAX_LAST_EVENTS:
                yield "Invalid 'count' time period specification"
        case _:
            yield "Invalid 'type' time period specification"


def _check_since(period: dict[str, Any], bounds: Bounds, now_ms: int) -> Iterable[str]:
    start_ms = date_ms(period.get("date"))
    if start_ms is None:
        yield "Invalid time period specification"
        return
    if bounds.retention_days is None:
        return
    earliest_ms = now_ms - bounds.retention_days * DAY_MS
    if start_ms < earliest_ms:
        earliest = date_text(earliest_ms + 999)  # in whole seconds, the first that is allowed
        yield f"'time_period.date' must be on or after the earliest date available of {earliest}"


def _check_within(period: dict[str, Any], bounds: Bounds) -> Iterable[str]:
    length, days = _count(period.get("within")), bounds.retention_days
    units = EXTENDED_UNIT_MS if bounds.has_extended_windows else UNIT_MS
    unit_ms = units.get(str(period.get("within_unit")))
    if not length or length * max(units.values()) > LATEST_MS:
        yield "Invalid 'within' time period specification"
    elif unit_ms is not None and days is not None and length * unit_ms > days * DAY_MS:
        yield (
            "The within time period cannot exceed your configured retention period of "
            f"{days} days for Calculated Attributes"
        )
    if unit_ms is None:
        yield "Invalid 'within_unit' time period specification"


def _check_datapoint(definition: dict[str, Any]) -> Iterable[str]:
    datapoint = datapoint_of(definition)
    if not isinstance(datapoint, dict):
        yield "Invalid data point specification"
        return
    event_type = datapoint.get("event_type")
    category = datapoint.get("attribute_category")
    function = function_named(definition.get("calculation_type"))
    needs_attribute = function is not None and function.takes == "value"
    if (
        datapoint.get("type") not in ("event", "event_attribute")
        or not isinstance(event_type, str)
        or event_type not in EVENT_TYPES
        or (category is not None and category not in CATEGORIES)
        or not all(_is_optional_text(datapoint.get(each)) for each in _TEXTS_OF_DATAPOINT)
        or (needs_attribute and not is_name(datapoint.get("attribute_name")))
        or not isinstance(datapoint.get("use_product_quantity") or False, bool)
    ):
        yield "Invalid data point specification"
    if event_type == "custom_event" and not is_name(datapoint.get("event_name")):
        yield "Invalid data point custom event name"
    subtype = datapoint.get("custom_event_type")
    known = _SUBTYPES.get(str(event_type), frozenset())
    if subtype is not None and not (isinstance(subtype, str) and subtype in known):
        yield "Invalid data point custom event type"


def _is_optional_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _check_conditions(conditions: Any) -> Iterable[str]:
    if not isinstance(conditions, list):
        yield "Invalid condition definition"
        return
    if len(conditions) > MAX_CONDITIONS:
        yield f"A definition has at most {MAX_CONDITIONS} conditions."
    for condition in conditions:
        yield from check_condition(condition)


def is_name(value: Any) -> bool:
    """Tell whether a value can name an event or attribute: text that is not blank."""
    return isinstance(value, str) and bool(value.strip())


def _count(value: Any) -> int:
    """Return a positive integer; 0 for anything else."""
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return max(value, 0) if is_integer else 0
