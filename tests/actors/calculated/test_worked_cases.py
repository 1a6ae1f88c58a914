"""Values over the events of spec/calculated-attributes.md, Worked cases 1 to 11."""

from typing import Any

import pytest

from actors.calculated.applying import apply, expire, next_expiry, values
from actors.calculated.numbers import number_text
from actors.model.profiles import Section
from tests.actors.calculated.builders import (
    AS_OF_MS,
    buy,
    condition,
    definition,
    known,
    ms,
    of_products,
    previewed,
    purchase,
    stored,
)

BUYS = [
    buy("03-01T10:00", amt="10.1", cat="shoes"),
    buy("03-02T10:00", amt="20.2", cat="Bags"),
    buy("03-03T10:00", amt="n/a", cat="bags"),
    buy("03-04T10:00", cat="shoes"),
    buy("03-05T10:00", amt="-3", cat="bags"),
]
PURCHASE = purchase(
    "03-06T10:00",
    [
        {"name": "Tea", "brand": "B1", "price": 30, "quantity": 2},
        {"name": "Cup", "brand": "B0", "price": 15.5},
    ],
)
DAYS_6 = {"type": "within", "within": 6, "within_unit": "days"}
DAY_1 = {"type": "within", "within": 1, "within_unit": "days"}


def test_1_count_without_conditions() -> None:
    """Case 1: every Buy counts."""
    assert previewed([*BUYS, PURCHASE], definition("count")) == "5"


@pytest.mark.parametrize(
    ("tested", "expected"),
    [
        (condition("number", "amt", "exists"), "4"),
        (condition("number", "amt", "greater_than", "0"), "2"),
        (condition("number", "amt", "not_equals", "10.1"), "2"),
        (condition("string", "cat", "equals", "BAGS"), "3"),
        (condition("string", "cat", "not_contains", "ag"), "2"),
        (condition("string", "cat", "pattern", "b*s"), "3"),
        (condition("string", "amt", "not_exists"), "1"),
        (condition("string", "cat", "in_list", values=["shoes", "x"]), "2"),
    ],
    ids=lambda value: value.get("operator") if isinstance(value, dict) else None,
)
def test_1_count_with_a_condition(tested: dict[str, Any], expected: str) -> None:
    """Case 1: an event counts where its condition holds."""
    assert previewed(BUYS, definition("count", conditions=[tested])) == expected


@pytest.mark.parametrize(
    ("calculation", "attribute", "expected"),
    [
        pytest.param("sum", "amt", "27.3", id="2: sum"),
        pytest.param("min", "amt", "-3", id="2: min"),
        pytest.param("max", "amt", "20.2", id="2: max"),
        pytest.param("average", "amt", "9.1", id="2: average"),
        pytest.param("most_frequent", "cat", "bags", id="3: most frequent of a tie"),
        pytest.param("unique_values_count", "cat", "3", id="3: unique values"),
        pytest.param("unique_list", "cat", ["Bags", "bags", "shoes"], id="3: unique list"),
        pytest.param("first_occurrence", "cat", "shoes", id="4: first"),
        pytest.param("last_occurrence", "amt", "-3", id="4: last"),
        pytest.param("first_occurrence_timestamp", None, "2026-03-01T10:00:00.000Z", id="4: t"),
        pytest.param("last_occurrence_timestamp", None, "2026-03-05T10:00:00.000Z", id="4: last t"),
        pytest.param("sum", "cat", None, id="7: a sum of texts is null"),
    ],
)
@pytest.mark.parametrize(
    "period", [{"type": "since", "date": "2026-02-15"}, DAYS_6 | {"within": 30}, {"type": "all"}]
)
def test_2_3_4_7_functions_of_events(
    calculation: str, attribute: str | None, expected: Any, period: dict[str, Any]
) -> None:
    """Cases 2, 3, 4 and 7, for every range that holds all events."""
    defined = definition(calculation, attribute, period=period)
    assert previewed([*BUYS, PURCHASE], defined) == expected


@pytest.mark.parametrize(
    ("calculation", "attribute", "quantity", "expected"),
    [
        ("average", "price", True, "25.1666666666667"),
        ("average", "price", False, "22.75"),
        ("sum", "price", True, "75.5"),
        ("sum", "price", False, "45.5"),
        ("most_frequent", "brand", True, "B1"),
        ("most_frequent", "brand", False, "B0"),
        ("first_occurrence", "name", False, "Tea"),
        ("last_occurrence", "name", False, "Cup"),
        ("last_occurrence_timestamp", None, False, "2026-03-10T13:00:00.000Z"),
        ("count", None, True, "3"),
        ("count", None, False, "1"),
    ],
)
@pytest.mark.parametrize("period", [{"type": "since", "date": "2026-02-15"}, DAYS_6])
def test_5_functions_of_products(
    calculation: str,
    attribute: str | None,
    quantity: bool,
    expected: str,
    period: dict[str, Any],
) -> None:
    """Case 5: a row for each product, with its quantity where that is asked for."""
    defined = definition(**of_products(calculation, attribute, quantity, period=period))
    assert previewed([*BUYS, PURCHASE], defined) == expected


def test_6_a_condition_and_the_value_are_of_the_same_product() -> None:
    """Case 6: only the product of brand B0 is added up."""
    only_b0 = condition("string", "brand", "equals", "b0")
    defined = definition(**of_products("sum", "price", True, conditions=[only_b0]))
    assert previewed([PURCHASE], defined) == "15.5"


def test_7_without_any_event_there_is_no_value() -> None:
    """Case 7: a count of nothing is null, not 0."""
    assert previewed([PURCHASE], definition("count")) is None


@pytest.mark.parametrize(
    ("calculation", "attribute", "period", "expected"),
    [
        ("count", None, DAYS_6, "1"),
        ("sum", "amt", DAYS_6, "-3"),
        ("count", None, DAY_1, "0"),
        ("sum", "amt", DAY_1, "0"),
        ("unique_values_count", "amt", DAY_1, "0"),
        ("min", "amt", DAY_1, None),
        ("unique_list", "amt", DAY_1, None),
    ],
)
def test_8_a_rolling_range_holds_what_is_inside(
    calculation: str, attribute: str | None, period: dict[str, Any], expected: str | None
) -> None:
    """Case 8: what has left the range does not count; of sums and counts 0 is left."""
    assert previewed(BUYS, definition(calculation, attribute, period=period)) == expected


def test_8_the_boundary_is_included() -> None:
    """Case 8: an event at now less 5 days counts, and 1 ms later it does not."""
    defined = definition("count", period=DAYS_6 | {"within": 5})
    boundary_ms = ms("03-10T10:00")
    assert previewed(BUYS[-1:], defined, boundary_ms) == "1"
    assert previewed(BUYS[-1:], defined, boundary_ms + 1) == "0"


def test_8_a_value_goes_down_when_its_time_has_come() -> None:
    """Case 8: the state says when, and then the value changes without an event."""
    active, section = known(definition("count", period=DAYS_6 | {"within": 5})), Section(1, 1)
    received_ms = ms("03-05T10:00")
    assert apply(section, stored(BUYS[-1], received_ms=received_ms), active, received_ms) == {
        1: "1"
    }
    due_ms = next_expiry(section)
    assert due_ms == ms("03-10T10:00") + 1
    assert expire(section, active, due_ms - 1) == {}
    assert expire(section, active, due_ms) == {1: "0"}
    assert next_expiry(section) is None


def test_9_a_late_event_takes_its_place() -> None:
    """Case 9: a late event is the first, not the last; one before the range changes nothing."""
    active = known(
        definition("first_occurrence", "cat"),
        definition("last_occurrence", "cat"),
        definition("count"),
    )
    section = Section(1, 1)
    apply(section, stored(*BUYS), active, AS_OF_MS)
    assert values(section, active) == {"ca1": "shoes", "ca2": "bags", "ca3": "5"}
    late = stored(buy("02-20T00:00", cat="hats"))
    assert apply(section, late, active, AS_OF_MS) == {1: "hats", 3: "6"}
    too_late = stored(buy("02-10T00:00", cat="caps"))
    assert apply(section, too_late, active, AS_OF_MS) == {}


@pytest.mark.parametrize(
    "period", [{"type": "since", "date": "2026-02-15"}, DAYS_6 | {"within": 30}]
)
@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_10_the_first_100_values_to_arrive_are_kept(period: dict[str, Any], order: str) -> None:
    """Case 10, whether the events come in the order of their times or not."""
    texts = [f"v{number:03}" for number in range(1, 151)] + ["v150"] * 10 + ["v001"]
    start_ms, step = ms("03-01T00:00"), 1000 if order == "ascending" else -1000
    events = [buy(start_ms + at * step, cat=text) for at, text in enumerate(texts)]
    expected = [f"v{number:03}" for number in range(1, 101)]
    assert previewed(events, definition("unique_list", "cat", period=period)) == expected
    assert previewed(events, definition("most_frequent", "cat", period=period)) == "v001"
    assert previewed(events, definition("unique_values_count", "cat", period=period)) == "150"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.1 + 0.2, "0.3"),
        (5.0, "5"),
        (1e15 + 1, "1e+15"),
        (999_999_999_999_999.0, "999999999999999"),
        (-0.0, "0"),
        (-2.5, "-2.5"),
        (75.5 / 3, "25.1666666666667"),
        (0.00001234, "0.00001234"),
        (1e-6, "0.000001"),
        (9.5e-7, "9.5e-07"),
    ],
)
def test_11_numbers_are_written_with_15_digits(number: float, text: str) -> None:
    """Case 11: whole numbers have all digits, others 15; very great and small ones an exponent."""
    assert number_text(number) == text


@pytest.mark.parametrize(
    "period", [{"type": "since", "date": "2026-02-15"}, DAYS_6 | {"within": 30}]
)
def test_11_a_sum_is_rounded_once(period: dict[str, Any]) -> None:
    """Case 11: 0.1 and 0.2 are 0.3, and what cancels out leaves nothing of itself behind."""
    amounts = ["0.1", "1e20", "0.2", "-1e20"]
    events = [buy("03-05T10:00", amt=amount) for amount in amounts]
    assert previewed(events, definition("sum", "amt", period=period)) == "0.3"


def test_the_newest_events_are_those_of_last_events() -> None:
    """`last_events` counts events without a usable value, but adds up only values."""
    period = {"type": "last_events", "count": 2}
    assert previewed(BUYS, definition("sum", "amt", period=period)) == "-3"
    assert previewed(BUYS[:4], definition("sum", "amt", period=period)) == "0"
    assert previewed(BUYS[::-1], definition("count", period=period)) == "2"
    assert previewed(BUYS[::-1], definition("last_occurrence", "cat", period=period)) == "bags"
