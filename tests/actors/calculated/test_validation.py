"""Messages about definitions (spec/calculated-attributes.md, 6.2; worked case 15)."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import msgspec
import pytest

from actors.calculated.definition import Definition
from actors.calculated.objects import CalculatedAttribute
from actors.calculated.reading import canonical, read_definition
from actors.calculated.validation import Bounds, check_definition
from tests.actors.calculated.builders import (
    AS_OF_MS,
    UNBOUND,
    condition,
    definition_json,
    of_products,
)

Json = dict[str, Any]
DAYS_30 = Bounds(retention_days=30)
EXTENDED = Bounds(retention_days=30, has_extended_windows=True)


def found(sent: Json, bounds: Bounds = DAYS_30) -> list[str]:
    """Return the messages for a definition."""
    return check_definition(sent, bounds, AS_OF_MS)


def within(length: Any, unit: Any) -> Json:
    """Return a rolling range."""
    return {"type": "within", "within": length, "within_unit": unit}


@pytest.mark.parametrize(
    ("period", "bounds", "expected"),
    [
        (within(30, "days"), DAYS_30, []),
        (within(4, "weeks"), DAYS_30, []),
        (within(0, "days"), DAYS_30, ["Invalid 'within' time period specification"]),
        (within("3", "days"), DAYS_30, ["Invalid 'within' time period specification"]),
        (within(True, "days"), DAYS_30, ["Invalid 'within' time period specification"]),
        (within(1, "months"), DAYS_30, ["Invalid 'within_unit' time period specification"]),
        (within(1, "hours"), DAYS_30, ["Invalid 'within_unit' time period specification"]),
        (within(1, "months"), EXTENDED, []),
        (within(720, "hours"), EXTENDED, []),
        (
            within(0, None),
            DAYS_30,
            [
                "Invalid 'within' time period specification",
                "Invalid 'within_unit' time period specification",
            ],
        ),
        (
            within(31, "days"),
            DAYS_30,
            [
                "The within time period cannot exceed your configured retention period of 30 days "
                "for Calculated Attributes"
            ],
        ),
        ({"type": "all"}, DAYS_30, ["Field 'time_period.type' = 'all' is not supported."]),
        ({"type": "all"}, EXTENDED, []),
        ({"type": "ever"}, DAYS_30, ["Invalid 'type' time period specification"]),
        ({}, DAYS_30, ["Invalid 'type' time period specification"]),
        (None, DAYS_30, ["Invalid time period specification"]),
        ({"type": "since"}, DAYS_30, ["Invalid time period specification"]),
        ({"type": "since", "date": "soon"}, DAYS_30, ["Invalid time period specification"]),
        ({"type": "since", "date": "2026-02-09"}, DAYS_30, []),
        (
            {"type": "since", "date": "2026-02-08T12:59:59Z"},
            DAYS_30,
            [
                "'time_period.date' must be on or after the earliest date available of "
                "2026-02-08T13:00:00"
            ],
        ),
        (
            {"type": "last_events", "count": 5},
            DAYS_30,
            ["Invalid 'type' time period specification"],
        ),
        ({"type": "last_events", "count": 10_000}, EXTENDED, []),
        (
            {"type": "last_events", "count": 10_001},
            EXTENDED,
            ["Invalid 'count' time period specification"],
        ),
    ],
)
def test_15_the_range_is_checked(period: Any, bounds: Bounds, expected: list[str]) -> None:
    """Case 15, and every form that a range can have."""
    sent = definition_json("count") | {"time_period": period}
    assert found(sent, bounds) == expected


@pytest.mark.parametrize(
    ("tested", "expected"),
    [
        (condition("boolean", "a", "contains", "x"), ["Invalid boolean condition operator"]),
        (condition("string", "a", "before", "x"), ["Invalid string condition operator"]),
        (condition("number", "a", "pattern", "x"), ["Invalid numeric condition operator"]),
        (condition("date", "a", "in_list", values=["2026"]), ["Invalid date condition operator"]),
        (
            condition("number", "a", "between", min_value=1),
            ["Invalid numeric condition maximum value"],
        ),
        (
            condition("date", "a", "between_dates", "x", max_value="2026-13-01"),
            [
                "Invalid date condition minimum value",
                "Invalid date condition maximum value",
                "Condition value must be empty",
            ],
        ),
        (condition("string", "a", "equals", "b", values=["a"]), ["Condition values must be empty"]),
        (condition("string", "a", "equals"), ["String condition value must be specified"]),
        (condition("number", "a", "equals", "n/a"), ["Invalid numeric condition value"]),
        (condition("boolean", "a", "equals", "yes"), ["Invalid boolean condition value"]),
        (condition("date", "a", "after", "soon"), ["Invalid date condition value"]),
        (condition("string", "a", "in_list"), ["In-list condition values must be specified"]),
        (
            condition("number", "a", "in_list", values=[1, "x"]),
            ["Invalid numeric in-list condition values"],
        ),
        (condition("string", "a", "in_list", "ignored", values=["x"]), []),
        (
            condition("number", "a", "equals", 1, min_value=1, max_value=2),
            [
                "Condition minimum value must be empty",
                "Condition maximum value must be empty",
            ],
        ),
        (condition("string", " ", "exists"), ["Condition attribute name must be specified"]),
        (condition("text", "a", "exists"), ["Invalid condition definition type"]),
        ("a = b", ["Invalid condition definition"]),
        (condition("number", "a", "between", min_value=1, max_value="2.5"), []),
        (condition("boolean", "a", "equals", value=True), []),
        (condition("string", "a", "equals", ""), []),
    ],
)
def test_15_conditions_are_checked(tested: Any, expected: list[str]) -> None:
    """Case 15, and each message about a condition."""
    assert found(definition_json("count", conditions=[tested])) == expected


@pytest.mark.parametrize(
    ("datapoint", "expected"),
    [
        ({"event_name": None}, ["Invalid data point custom event name"]),
        ({"event_name": " "}, ["Invalid data point custom event name"]),
        (
            {"event_type": "screen_view", "custom_event_type": "search"},
            ["Invalid data point custom event type"],
        ),
        ({"custom_event_type": "purchase"}, ["Invalid data point custom event type"]),
        ({"custom_event_type": "transaction"}, []),
        ({"type": "user_attribute"}, ["Invalid data point specification"]),
        ({"type": None}, ["Invalid data point specification"]),
        ({"event_type": "install"}, ["Invalid data point specification"]),
        ({"attribute_category": "event_field"}, ["Invalid data point specification"]),
        ({"event_type": "screen_view", "event_name": None}, []),
        ({"event_type": "screen_view", "event_name": 7}, ["Invalid data point specification"]),
        ({"event_type": "purchase", "event_name": ["x"]}, ["Invalid data point specification"]),
        ({"attribute_name": {"of": "x"}}, ["Invalid data point specification"]),
        ({"custom_event_type": ["search"]}, ["Invalid data point custom event type"]),
    ],
)
def test_15_the_data_point_is_checked(datapoint: Json, expected: list[str]) -> None:
    """Case 15, and each message about a data point."""
    assert found(definition_json("count", datapoint=datapoint)) == expected


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_an_instant_outside_the_years_that_can_be_shown_is_no_date(at: str) -> None:
    """Its offset puts it into the year 0 or 10000."""
    since = definition_json("count", period={"type": "since", "date": at})
    assert found(since, UNBOUND) == ["Invalid time period specification"]
    seeded = definition_json("count", cutoff=at)
    assert found(seeded, UNBOUND) == ["Invalid seeding specification"]


@pytest.mark.parametrize("year", ["0001", "0999", "9999"])
def test_the_dates_of_all_other_years_read_back_as_they_are(year: str) -> None:
    """Years have four digits, also those before 1000."""
    sent = definition_json("count", period={"type": "since", "date": f"{year}-01-01"})
    assert found(sent, UNBOUND) == []
    shown = canonical(sent)
    assert shown["time_period"]["date"] == f"{year}-01-01T00:00:00"
    assert canonical(shown) == shown


def test_a_rolling_range_is_not_longer_than_time() -> None:
    """A workspace document may reach back as far as it likes, but not farther than can be kept."""
    assert found(definition_json("count", period=within(10_000_000, "days")), UNBOUND) == []
    assert found(definition_json("count", period=within(10**30, "days")), UNBOUND) == [
        "Invalid 'within' time period specification"
    ]


def test_an_attribute_is_needed_by_functions_of_values_only() -> None:
    """The name of an attribute is asked for where the function takes one."""
    assert found(definition_json("sum")) == ["Invalid data point specification"]
    assert found(definition_json("last_occurrence_timestamp")) == []


def test_everything_that_is_wrong_is_said_at_once_and_in_order() -> None:
    """Messages come in the order of the specification's table, whatever was found first."""
    sent = {
        "recipe_type": "batch",
        "calculation_type": "median",
        "time_period": {"type": "all"},
        "conditions": [condition("number", "a", "between"), "x", condition("string", "", "equals")],
    }
    assert found(sent) == [
        "Field 'time_period.type' = 'all' is not supported.",
        "Invalid recipe type",
        "Invalid calculation type",
        "Invalid data point specification",
        "Invalid condition definition",
        "Condition attribute name must be specified",
        "String condition value must be specified",
        "Invalid numeric condition minimum value",
        "Invalid numeric condition maximum value",
    ]


def test_a_member_that_means_nothing_is_named() -> None:
    """A misspelt condition would let everything count; unknown keys of documents are errors, too
    (spec/connections.md, 10)."""
    sent = definition_json("count") | {"conditons": [condition("string", "a", "exists")]}
    assert found(sent) == ["Field 'conditons' is not known."]
    sent = definition_json(
        "count", conditions=[condition("string", "a", "exists") | {"vaule": "x"}]
    )
    sent["datapoint"] = sent["datapoint"] | {"name": "x"}
    sent["time_period"] = within(1, "days") | {"unit": "days"}
    sent["seeding"] = {"cutoff_date": "2026-03-01", "seed": 1}
    assert found(sent) == [
        "Field 'datapoint.name' is not known.",
        "Field 'time_period.unit' is not known.",
        "Field 'seeding.seed' is not known.",
        "Field 'conditions[0].vaule' is not known.",
    ]
    shown = canonical(definition_json("count", conditions=[condition("string", "a", "exists")]))
    assert found(shown) == []


def test_a_definition_has_at_most_20_conditions() -> None:
    """The limits of spec/calculated-attributes.md, 10 are messages too."""
    one = condition("string", "a", "exists")
    assert found(definition_json("count", conditions=[one] * 20)) == []
    assert found(definition_json("count", conditions=[one] * 21)) == [
        "A definition has at most 20 conditions."
    ]
    many = condition("string", "a", "in_list", values=["x"] * 1001)
    assert found(definition_json("count", conditions=[many])) == [
        "A condition has at most 1000 values."
    ]


def test_what_is_shown_has_all_members_and_means_the_same() -> None:
    """A canonical definition reads back as itself; aliases and JSON operands are gone."""
    arguments = of_products("maximum", "price", True, cutoff="2026-03-01")
    sent = definition_json(
        **arguments, conditions=[condition("number", "quantity", "greater_than", 1)]
    )
    sent["data_point"] = sent.pop("datapoint")
    assert found(sent) == []
    shown = canonical(sent)
    assert shown == {
        "recipe_type": "event",
        "datapoint": {
            "type": "event",
            "event_type": "commerce_event",
            "event_name": "Purchase",
            "custom_event_type": "purchase",
            "attribute_name": "price",
            "attribute_category": "product_attribute",
            "use_product_quantity": True,
        },
        "conditions": [
            {
                "type": "number",
                "operator": "greater_than",
                "attribute_name": "quantity",
                "value": "1",
                "values": None,
                "min_value": None,
                "max_value": None,
            }
        ],
        "calculation_type": "max",
        "time_period": {
            "type": "since",
            "within": None,
            "within_unit": None,
            "date": "2026-02-15T00:00:00",
        },
        "seeding": {"cutoff_date": "2026-03-01T00:00:00"},
    }
    assert canonical(shown) == shown
    assert read_definition(canonical(shown)) == read_definition(shown)


_SCALARS: list[Any] = [
    *(None, True, False, 0, 1, -1, 7, 0.5, 1e300, 10**30, 1 << 63, float("inf"), float("nan")),
    *("", " ", "x", "1", "true", "days", "2026-03-01", "9999-12-31T23:59:59-14:00"),
]
_ANYTHING: list[Any] = [*_SCALARS, [], {}, *([each] for each in _SCALARS), {"x": 1}, [["x"]], [{}]]
_VALID = [
    definition_json("count", period=within(3, "weeks"), cutoff="2026-03-01"),
    definition_json("first_occurrence", "amt", period={"type": "last_events", "count": 3}),
    definition_json("count", datapoint={"event_type": "screen_view", "event_name": "Home"}),
    definition_json("count", period={"type": "all"}, conditions=[condition("date", "a", "exists")]),
    definition_json(**of_products("sum", "price", True)),
    definition_json(
        "count",
        conditions=[
            condition("string", "a", "in_list", values=["x"]),
            condition("number", "a", "between", min_value=1, max_value=2),
            condition("date", "a", "between_dates", min_value="2026-03-01", max_value="2026-03-02"),
            condition("boolean", "a", "equals", True),
            condition("number", "a", "equals", 1),
        ],
    ),
]


def _parts(sent: Json) -> list[Json]:
    """Return the objects whose members are to be something else."""
    return [
        sent,
        sent["datapoint"],
        sent["time_period"],
        sent["seeding"] or {},
        *sent["conditions"],
    ]


def _mutated(valid: Json) -> Iterator[Json]:
    """Yield a definition with each of its members replaced by anything."""
    for at, part in enumerate(_parts(valid)):
        for name in part:
            for other in _ANYTHING:
                sent = deepcopy(valid)
                _parts(sent)[at][name] = other
                yield sent


@pytest.mark.parametrize("valid", _VALID)
def test_what_is_valid_is_read_back_from_disk_as_it_was(valid: Json) -> None:
    """Shards and the coordinator decode by type: what they cannot read stops every start."""
    sent_and_valid = [each for each in _mutated(valid) if not found(each, UNBOUND)]
    assert len(sent_and_valid) > 10
    for sent in sent_and_valid:
        _check_kept(sent)


def _check_kept(sent: Json) -> None:
    shown = canonical(sent)
    assert found(shown, UNBOUND) == []
    assert canonical(shown) == shown
    meant = read_definition(shown)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(meant), type=Definition) == meant
    kept = CalculatedAttribute(
        number=1,
        name="ltv",
        description="",
        draft=shown,
        active=None,
        created_by="ops",
        created_ms=0,
        last_modified_by="ops",
        last_modified_ms=0,
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(kept), type=CalculatedAttribute) == kept
