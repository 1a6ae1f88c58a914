"""Worked cases 1 to 11 and 22 to 26 of spec/calculated-attributes.md against the recomputation."""

from typing import Any

import pytest

from actors.model.batches import Batch, Event, StoredBatch
from tests.oracle.audiences.fixture import APP, DAY, NOW, WORKSPACE, at
from tests.oracle.calculated.recompute import Value, calculated_value, flat_text, number_text

_PRODUCTS = [
    {"name": "Tea", "brand": "B1", "price": 30, "quantity": 2},
    {"name": "Cup", "brand": "B0", "price": 15.5},
]
SIX_DAYS = {"type": "within", "within": 6, "within_unit": "days"}
ONE_DAY = {"type": "within", "within": 1, "within_unit": "days"}
FIVE_DAYS = {"type": "within", "within": 5, "within_unit": "days"}


def buy(at_ms: int, **attributes: str) -> Event:
    """Make an event `Buy`."""
    body = {"event_name": "Buy", "custom_event_type": "other", "custom_attributes": attributes}
    return Event("custom_event", at_ms, body)


def stored(log_id: int, *events: Event, received_ms: int | None = None) -> StoredBatch:
    """Make a batch, by default received when its first event happened."""
    got_ms = events[0].timestamp_ms if received_ms is None else received_ms
    place = (log_id, log_id - 1, WORKSPACE.number, WORKSPACE.scope, 1, APP)
    batch = Batch("production", got_ms, list(events))
    return StoredBatch(*place, got_ms, "server_to_server", False, None, batch)


PURCHASE = Event(
    "commerce_event",
    at("03-06T10:00"),
    {
        "custom_event_type": "purchase",
        "product_action": {"action": "purchase", "products": _PRODUCTS},
    },
)
BOUGHT_MS = at("03-06T10:00:01")
BATCHES = [
    stored(1, buy(at("03-01T10:00"), amt="10.1", cat="shoes")),
    stored(2, buy(at("03-02T10:00"), amt="20.2", cat="Bags")),
    stored(3, buy(at("03-03T10:00"), amt="n/a", cat="bags")),
    stored(4, buy(at("03-04T10:00"), cat="shoes")),
    stored(5, buy(at("03-05T10:00"), amt="-3", cat="bags")),
    stored(6, PURCHASE, received_ms=BOUGHT_MS),
]


def defined(
    function: str, name: str | None = None, part: tuple[bool, ...] = (), **rest: Any
) -> dict[str, Any]:
    """Make a definition over Buy; over products of purchases with `part` = (by quantity,)."""
    point: dict[str, Any] = {"type": "event", "attribute_name": name}
    if part:
        point |= {"event_type": "commerce_event", "custom_event_type": "purchase"}
        point |= {"attribute_category": "product_attribute", "use_product_quantity": part[0]}
    else:
        point |= {"event_type": "custom_event", "event_name": "Buy"}
    period = {"type": "since", "date": "2026-02-15"}
    return {"datapoint": point, "calculation_type": function, "time_period": period, **rest}


def condition(type_: str, name: str, operator: str, value: Any = None) -> dict[str, Any]:
    """Make a condition."""
    operand = "values" if isinstance(value, list) else "value"
    return {"type": type_, "attribute_name": name, "operator": operator, operand: value}


def counted(type_: str, name: str, operator: str, value: Any = None) -> dict[str, Any]:
    """Make a count of Buy with a condition."""
    return defined("count", conditions=[condition(type_, name, operator, value)])


def seeded(function: str, name: str, cutoff: str, **rest: Any) -> dict[str, Any]:
    """Make a definition with a cut-off date."""
    return defined(function, name, seeding={"cutoff_date": cutoff}, **rest)


def value(
    definition: dict[str, Any],
    batches: list[StoredBatch] | None = None,
    now_ms: int = NOW,
    **rest: Any,
) -> Value:
    """Return the value of a user with the events of the worked cases."""
    return calculated_value(
        definition, BATCHES if batches is None else batches, WORKSPACE, now_ms, **rest
    )


CASES: list[tuple[str, dict[str, Any], Value]] = [
    ("1", defined("count"), "5"),
    ("1 exists", counted("number", "amt", "exists"), "4"),
    ("1 greater", counted("number", "amt", "greater_than", "0"), "2"),
    ("1 not", counted("number", "amt", "not_equals", "10.1"), "2"),
    ("1 equals", counted("string", "cat", "equals", "BAGS"), "3"),
    ("1 not_contains", counted("string", "cat", "not_contains", "ag"), "2"),
    ("1 pattern", counted("string", "cat", "pattern", "b*s"), "3"),
    ("1 not_exists", counted("string", "amt", "not_exists"), "1"),
    ("1 in_list", counted("string", "cat", "in_list", ["shoes", "x"]), "2"),
    ("2 sum", defined("sum", "amt"), "27.3"),
    ("2 min", defined("min", "amt"), "-3"),
    ("2 max", defined("max", "amt"), "20.2"),
    ("2 average", defined("average", "amt"), "9.1"),
    ("3 most_frequent", defined("most_frequent", "cat"), "bags"),
    ("3 unique", defined("unique_values_count", "cat"), "3"),
    ("3 list", defined("unique_list", "cat"), ["Bags", "bags", "shoes"]),
    ("4 first", defined("first_occurrence", "cat"), "shoes"),
    ("4 last", defined("last_occurrence", "amt"), "-3"),
    ("4 first t", defined("first_occurrence_timestamp"), "2026-03-01T10:00:00.000Z"),
    ("4 last t", defined("last_occurrence_timestamp"), "2026-03-05T10:00:00.000Z"),
    ("5 average", defined("average", "price", (True,)), "25.1666666666667"),
    ("5 average once", defined("average", "price", (False,)), "22.75"),
    ("5 sum", defined("sum", "price", (True,)), "75.5"),
    ("5 sum once", defined("sum", "price", (False,)), "45.5"),
    ("5 most_frequent", defined("most_frequent", "brand", (True,)), "B1"),
    ("5 tie", defined("most_frequent", "brand", (False,)), "B0"),
    ("5 first", defined("first_occurrence", "name", (False,)), "Tea"),
    ("5 last", defined("last_occurrence", "name", (False,)), "Cup"),
    ("5 t", defined("last_occurrence_timestamp", None, (False,)), "2026-03-06T10:00:01.000Z"),
    ("5 count", defined("count", None, (True,)), "3"),
    ("5 count once", defined("count", None, (False,)), "1"),
    (
        "6",
        defined("sum", "price", (True,), conditions=[condition("string", "brand", "equals", "b0")]),
        "15.5",
    ),
    ("7", defined("sum", "cat"), None),
    ("8 count", defined("count", time_period=SIX_DAYS), "1"),
    ("8 sum", defined("sum", "amt", time_period=SIX_DAYS), "-3"),
    ("8 left", defined("count", time_period=ONE_DAY), "0"),
    ("8 sum left", defined("sum", "amt", time_period=ONE_DAY), "0"),
    ("8 min left", defined("min", "amt", time_period=ONE_DAY), None),
    ("8 list left", defined("unique_list", "cat", time_period=ONE_DAY), None),
    ("22 unseeded", seeded("sum", "amt", "2026-03-03"), "-3"),
]
SEEDED: list[tuple[str, dict[str, Any], Any, Value]] = [
    ("22", seeded("sum", "amt", "2026-03-03"), 100, "97"),
    ("22 text", seeded("sum", "amt", "2026-03-03"), "100", "97"),
    ("24", seeded("most_frequent", "cat", "2026-03-01"), {"bags": 1, "ink": 5}, "ink"),
    (
        "24 list",
        seeded("unique_list", "cat", "2026-03-01"),
        ["ink", "bags"],
        ["Bags", "bags", "ink", "shoes"],
    ),
    ("25 first", seeded("first_occurrence", "cat", "2026-03-01"), "pens", "pens"),
    ("25 last", seeded("last_occurrence", "cat", "2026-03-01"), "pens", "bags"),
]


@pytest.mark.parametrize(
    ("definition", "expected"), [pytest.param(*rest, id=name) for name, *rest in CASES]
)
def test_the_value_is_that_of_the_worked_case(definition: dict[str, Any], expected: Value) -> None:
    """Cases 1 to 8 and 22."""
    assert value(definition) == expected


@pytest.mark.parametrize(
    ("definition", "seed", "expected"), [pytest.param(*rest, id=name) for name, *rest in SEEDED]
)
def test_a_seed_is_gone_on_from(definition: dict[str, Any], seed: Any, expected: Value) -> None:
    """Cases 22, 24 and 25."""
    assert value(definition, seed=seed) == expected


def test_a_user_without_any_event_has_no_value() -> None:
    """Case 7."""
    assert value(defined("count"), []) is None


def test_a_rolling_range_has_the_event_at_its_border() -> None:
    """Case 8: t = now − 5 days is inside, 1 ms later it is not."""
    border_ms = at("03-10T10:00")
    rolling = defined("count", time_period=FIVE_DAYS)
    assert value(rolling, now_ms=border_ms) == "1"
    assert value(rolling, now_ms=border_ms + 1) == "0"


def test_a_late_event_counts_at_its_own_time() -> None:
    """Case 9."""
    late = [*BATCHES, stored(7, buy(at("02-20T00:00"), cat="hats"), received_ms=NOW)]
    assert value(defined("first_occurrence", "cat"), late) == "hats"
    assert value(defined("last_occurrence", "cat"), late) == "bags"
    assert value(defined("count"), late) == "6"
    too_late = [*late, stored(8, buy(at("02-10T00:00"), cat="caps"), received_ms=NOW)]
    assert value(defined("first_occurrence", "cat"), too_late) == "hats"
    assert value(defined("count"), too_late) == "6"


def test_the_first_hundred_values_are_kept() -> None:
    """Case 10."""
    texts = [f"v{number:03d}" for number in range(1, 151)]
    events = [buy(NOW - DAY, cat=text) for text in [*texts, *["v150"] * 10, "v001"]]
    batches = [stored(number, event) for number, event in enumerate(events, 1)]
    assert value(defined("unique_list", "cat"), batches) == texts[:100]
    assert value(defined("most_frequent", "cat"), batches) == "v001"
    assert value(defined("unique_values_count", "cat"), batches) == "150"


def test_numbers_are_written_with_at_most_fifteen_digits() -> None:
    """Case 11."""
    assert number_text(0.1 + 0.2) == "0.3"
    assert number_text(5.0) == "5"
    assert number_text(1e15 + 1) == "1e+15"
    assert number_text(1.25e-6) == "0.00000125"
    assert number_text(1.25e-7) == "1.25e-07"


def test_a_list_is_flat_text_in_csv() -> None:
    """Case 3."""
    assert flat_text(["Bags", 'a"b']) == '"Bags","a""b"'


def test_a_seeded_average_weighs_by_count() -> None:
    """Case 23: 299.2 of 20 and 30.8 of 2."""
    events = [buy(NOW - DAY, amt="20.2"), buy(NOW - DAY, amt="10.6")]
    batches = [stored(number, event) for number, event in enumerate(events, 1)]
    seed = {"sum": 299.2, "count": 20}
    assert value(seeded("average", "amt", "2026-03-01"), batches, seed=seed) == "15"


def test_a_seed_never_leaves_a_rolling_range() -> None:
    """Case 26."""
    rolling = seeded("count", "amt", "2026-03-01", time_period=FIVE_DAYS)
    batches = [stored(1, buy(NOW - DAY))]
    assert value(rolling, batches, seed=7) == "8"
    assert value(rolling, batches, NOW + 5 * DAY, seed=7) == "7"


def test_after_the_activation_only_live_batches_count() -> None:
    """Case 18, and the lookback that limits what an initialization sees (5)."""
    old = stored(11, buy(NOW - 31 * DAY))
    late = stored(12, buy(NOW - DAY), received_ms=NOW + 1)
    late.is_historical = True
    anything = defined("count", time_period={"type": "since", "date": "2026-01-01"})
    assert value(anything, [old, late, *BATCHES[:2]], NOW + 2, activated_ms=NOW) == "2"
    assert value(anything, [old, late, *BATCHES[:2]], NOW + 2) == "4"
