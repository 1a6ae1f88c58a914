"""Random definitions of calculated attributes, and streams of events that arrive in any order.

Definitions are canonical JSON. Numbers are quarters: their sums are exact in any order.
"""

from dataclasses import dataclass
from random import Random
from typing import Any

from actors.model.batches import Batch, Event, StoredBatch
from actors.model.workspaces import WorkspaceInfo
from tests.oracle.audiences.fixture import APP, DAY, HOUR, WORKSPACE, iso
from tests.oracle.audiences.vocabulary import chance
from tests.oracle.calculated.rows import UNITS_MS, range_start_ms

FUNCTIONS = (
    *("count", "sum", "min", "max", "average", "most_frequent", "unique_values_count"),
    *("unique_list", "first_occurrence", "last_occurrence"),
    *("first_occurrence_timestamp", "last_occurrence_timestamp"),
)
NUMERIC = ("sum", "min", "max", "average")

_CATEGORIES = ("shoes", "Bags", "bags", "SHOES", "hat", "")
_AMOUNTS = ("10.25", "20.5", "-3", "0", "1e1", " 7 ", "n/a", "")
_PRICES = (30, 15.5, 0.25, -2, 0)
_QUANTITIES = (1, 2, 3, 0, -1, 0.5)
_ACTIONS = ("purchase", "add_to_cart", "remove_from_wish_list")
_DERIVED = {"remove_from_wish_list": "remove_from_wishlist"}


@dataclass(frozen=True)
class Arrival:
    """One batch, and when it is evaluated: when it comes, or later."""

    stored: StoredBatch
    now_ms: int


def make_definition(randomness: Random, now_ms: int, *, is_extended: bool = False) -> Any:
    """Return a definition as canonical JSON.

    Args:
        randomness: where everything comes from.
        now_ms: about when it will be evaluated.
        is_extended: with the ranges of extended windows too.
    """
    function = randomness.choice(FUNCTIONS)
    is_numeric = function in NUMERIC
    point: dict[str, Any]
    choice = randomness.randint(0, 9)
    if choice < 5:
        category, name = "event_attribute", "amt" if is_numeric else randomness.choice(("cat", "n"))
        point = {"event_type": "custom_event", "event_name": "Buy", "custom_event_type": None}
        if chance(randomness, 0.2):
            point["custom_event_type"] = "search"
    elif choice < 8:
        category = "product_attribute"
        name = randomness.choice(
            ("price", "price", "position") if is_numeric else ("name", "brand")
        )
        action = randomness.choice((*_ACTIONS, "purchase", None))
        point = {"event_type": "commerce_event", "event_name": None, "custom_event_type": action}
    elif choice < 9:
        category, name = "promotion_attribute", "position" if is_numeric else "id"
        point = {
            "event_type": "commerce_event",
            "event_name": None,
            "custom_event_type": randomness.choice(("promotion_view", None)),
        }
    else:
        category, name = "event_attribute", "latitude" if is_numeric else "screen_name"
        screen = randomness.choice(("Home", None))
        point = {"event_type": "screen_view", "event_name": screen, "custom_event_type": None}
    point |= {
        "type": "event",
        "attribute_name": name,
        "attribute_category": category,
        "use_product_quantity": chance(randomness, 0.5),
    }
    count = randomness.choice((0, 0, 0, 1, 2))
    conditions = [_make_condition(randomness, category, now_ms) for _ in range(count)]
    cutoff = iso(now_ms - randomness.randint(0, 9) * DAY)[:10] + "T00:00:00"
    return {
        "recipe_type": "event",
        "datapoint": point,
        "conditions": conditions or None,
        "calculation_type": function,
        "time_period": _make_period(randomness, now_ms, is_extended),
        "seeding": {"cutoff_date": cutoff} if chance(randomness, 0.2) else None,
    }


def make_seed(randomness: Random, function: str, now_ms: int) -> Any:
    """Return the member of a seed that its function takes: value, pairs or list."""
    match function:
        case "count" | "sum" | "min" | "max":
            return randomness.choice((7, 0, 12))
        case "average":
            return {"sum": randomness.choice((299.25, -4)), "count": randomness.randint(1, 20)}
        case "most_frequent":
            return {text: randomness.randint(1, 5) for text in randomness.sample(_CATEGORIES, 2)}
        case "unique_list" | "unique_values_count":
            return [*randomness.sample(_CATEGORIES, 2), "ink"]
        case "first_occurrence" | "last_occurrence":
            return "pens"
    return now_ms - randomness.randint(0, 20) * DAY


def make_stream(
    randomness: Random, definition: Any, start_ms: int, workspace: WorkspaceInfo = WORKSPACE
) -> list[Arrival]:
    """Return the batches of one user in the order in which they arrive.

    Event times are in any order, from the future too, and often at the border of the range at some
    evaluation. Evaluation times do not go back.
    """
    length = randomness.choice((1, 3, 8, 20, 40))
    is_crowded = chance(randomness, 0.1)  # with more different values than are kept
    now_ms, arrivals = start_ms, []
    for log_id in range(1, length + 1):
        now_ms += randomness.choice((0, 1, 1000, HOUR, DAY, 2 * DAY))
        events = [
            _make_event(randomness, _make_time(randomness, definition, now_ms), is_crowded)
            for _ in range(randomness.choice((1, 1, 2, 4, 30 if is_crowded else 3)))
        ]
        late_ms = randomness.choice((0, 0, 0, 5, HOUR))
        stored = StoredBatch(
            log_id=log_id,
            previous_log_id=log_id - 1,
            workspace=workspace.number,
            scope=workspace.scope,
            mpid=1,
            input=APP,
            received_ms=now_ms - late_ms,
            channel="server_to_server",
            is_historical=False,
            device_key=None,
            batch=Batch("production", now_ms, events),
        )
        arrivals.append(Arrival(stored, now_ms))
    return arrivals


def _make_time(randomness: Random, definition: Any, now_ms: int) -> int:
    choice = randomness.randint(0, 9)
    if choice < 4:
        return now_ms - randomness.randint(0, 10 * DAY)
    if choice < 6 and definition["time_period"]["type"] in ("since", "within"):
        ahead_ms = randomness.choice((0, DAY))  # at the border of now, or of a later evaluation
        border_ms = range_start_ms(definition["time_period"], now_ms + ahead_ms)
        return border_ms + randomness.randint(-1, 1)
    if choice == 6:
        return now_ms + randomness.choice((1, HOUR, 3 * DAY))
    return now_ms - randomness.choice((0, 1, HOUR, DAY))


def _make_period(randomness: Random, now_ms: int, is_extended: bool) -> dict[str, Any]:
    period: dict[str, Any] = {"type": "within", "within": None, "within_unit": None, "date": None}
    choice = randomness.randint(0, 3 if is_extended else 1)
    if choice == 0:
        date = iso(now_ms - randomness.randint(0, 20) * DAY)[:10] + "T00:00:00"
        return period | {"type": "since", "date": date}
    if choice == 1:
        unit = randomness.choice(tuple(UNITS_MS) if is_extended else ("days", "weeks"))
        return period | {"within": randomness.randint(1, 6), "within_unit": unit}
    if choice == 2:
        return period | {"type": "all"}
    return period | {"type": "last_events", "count": randomness.choice((1, 2, 5))}


def _make_condition(randomness: Random, category: str, now_ms: int) -> dict[str, Any]:
    names = {"product_attribute": ("name", "brand", "color"), "promotion_attribute": ("id",)}
    name = randomness.choice((*names.get(category, ()), "cat", "amt", "due"))
    type_ = {"amt": "number", "due": "date"}.get(name, "string")
    condition: dict[str, Any] = {"type": type_, "attribute_name": name}
    condition |= dict.fromkeys(("value", "values", "min_value", "max_value"))
    if chance(randomness, 0.2):
        operator = randomness.choice(("exists", "not_exists", "empty"))
        return condition | {"operator": operator}
    match type_:
        case "number":
            if chance(randomness, 0.3):
                return condition | {"operator": "between", "min_value": "0", "max_value": "10.25"}
            operator = randomness.choice(("greater_than", "less_than_or_equal", "not_equals"))
            return condition | {"operator": operator, "value": randomness.choice(("0", "10"))}
        case "date":
            day = iso(now_ms - randomness.randint(0, 5) * DAY)[:10]
            operator = randomness.choice(("before", "after", "equals"))
            return condition | {"operator": operator, "value": day}
    if chance(randomness, 0.3):
        values = randomness.sample(_CATEGORIES, 2)
        return condition | {"operator": "in_list", "values": values}
    operator = randomness.choice(("equals", "not_equals", "contains", "not_contains", "pattern"))
    value = "b*s" if operator == "pattern" else randomness.choice(("bags", "SHOES", "ag"))
    return condition | {"operator": operator, "value": value}


def _make_event(randomness: Random, at_ms: int, is_crowded: bool) -> Event:
    attributes: dict[str, str | None] = {}
    if chance(randomness, 0.8):
        attributes["cat"] = randomness.choice((*_CATEGORIES, None))
    if chance(randomness, 0.8):
        attributes["amt"] = randomness.choice((*_AMOUNTS, None))
    if is_crowded or chance(randomness, 0.5):
        attributes["n"] = f"v{randomness.randint(1, 400 if is_crowded else 4):03d}"
    if chance(randomness, 0.3):
        attributes["due"] = iso(at_ms)[:10]
    body: dict[str, Any] = {"timestamp_unixtime_ms": at_ms, "custom_attributes": attributes}
    choice = randomness.randint(0, 9)
    if choice < 5:
        kind = randomness.choice(("other", "other", "search"))
        name = randomness.choice(("Buy", "Buy", "Buy", "buy"))
        body |= {"event_name": name, "custom_event_type": kind}
        return Event("custom_event", at_ms, body)
    if choice == 5:
        body |= {"screen_name": randomness.choice(("Home", "Cart")), "location": {"latitude": 0.5}}
        return Event("screen_view", at_ms, body)
    if choice == 6:
        promotions = [{"id": text, "position": "4"} for text in randomness.sample(_CATEGORIES, 2)]
        body["promotion_action"] = {"action": "view", "promotions": promotions}
        body["custom_event_type"] = "promotion_view"
        return Event("commerce_event", at_ms, body)
    products = [_make_product(randomness) for _ in range(randomness.choice((0, 1, 2, 3)))]
    action = randomness.choice((*_ACTIONS, "purchase"))
    body["product_action"] = {"action": action, "products": products}
    body["custom_event_type"] = _DERIVED.get(action, action)
    return Event("commerce_event", at_ms, body)


def _make_product(randomness: Random) -> dict[str, Any]:
    product: dict[str, Any] = {}
    if chance(randomness, 0.8):
        product["name"] = randomness.choice(_CATEGORIES)
    if chance(randomness, 0.6):
        product["brand"] = randomness.choice(("Acme", "bags"))
    if chance(randomness, 0.8):
        product["price"] = randomness.choice(_PRICES)
    if chance(randomness, 0.6):
        product["quantity"] = randomness.choice(_QUANTITIES)
    if chance(randomness, 0.3):
        product["position"] = randomness.randint(1, 3)
    if chance(randomness, 0.3):
        product["custom_attributes"] = {"color": randomness.choice((*_CATEGORIES[:3], None))}
    return product
