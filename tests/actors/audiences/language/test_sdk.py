"""Import of audience-sdk documents (spec/audiences.md, 14.1)."""

from typing import Any

import pytest

from actors.audiences.language.sdk.document import is_sdk_document
from tests.actors.audiences.language.support import broken, read, refused, whole

NAME = {"model": "events", "path": "event_name"}
TIME = {"model": "events", "path": "timestamp"}
TWO_WEEKS = {"type": "within_last", "value": 2, "unit": "weeks"}
A_DAY_AGO = {"date": {"relative": {"offset": -1, "unit": "day"}}}


def sdk(audience: Any, version: Any = "1.6.0") -> dict[str, Any]:
    return {"schema_version": version, "audience": audience}


def binary(operator: str, left: Any, right: Any) -> dict[str, Any]:
    return {"operator": operator, "left": left, "right": right}


def both(*expressions: Any) -> dict[str, Any]:
    return {"operator": "and", "expressions": list(expressions)}


def either(*expressions: Any) -> dict[str, Any]:
    return {"operator": "or", "expressions": list(expressions)}


def user(path: str) -> dict[str, Any]:
    return {"model": "user", "path": path}


def event(path: str) -> dict[str, Any]:
    return {"model": "events", "path": path}


def is_named(name: str) -> dict[str, Any]:
    return binary("equals", NAME, name)


def absolute(text: str) -> dict[str, Any]:
    return {"date": {"absolute": text}}


def relative(offset: float, unit: str = "day", **more: Any) -> dict[str, Any]:
    return {"date": {"relative": {"offset": offset, "unit": unit, **more}}}


def count(condition: Any = None, operator: str = "count", path: str = "event_id") -> dict[str, Any]:
    aggregation = {"operator": operator, "group_by_model": "user", "operand": event(path)}
    return aggregation if condition is None else aggregation | {"condition": condition}


WATCHED = binary(
    "greater_than_equal",
    count(
        both(is_named("Clip Played"), binary("greater_than_equal", TIME, relative(-3))),
    ),
    2,
)


def criteria(audience: Any) -> Any:
    """Return the canonical criteria of a document without problems."""
    definition = read(sdk(audience))
    assert definition.problems == []
    assert read(definition.canonical).canonical == definition.canonical
    return definition.canonical["criteria"]


def test_a_count_of_events_is_a_frequency() -> None:
    """spec/audiences.md, worked case 51."""
    assert criteria(WATCHED) == {
        "type": "event",
        "event_type": "custom_event",
        "event_name": "Clip Played",
        "recency": {"type": "within_last", "value": 3, "unit": "days"},
        "frequency": {"operator": "greater_or_equal", "value": 2},
    }


def test_another_model_is_refused_where_it_stands() -> None:
    """spec/audiences.md, worked case 51."""
    orders = {"model": "orders", "path": "event_id"}
    counted = {"operator": "count", "group_by_model": "user", "operand": orders}
    paths = refused(sdk(binary("greater_than_equal", counted, 2)))
    assert paths == ["/definition/audience/left/operand/model"]


def attribute(value_type: str, operator: str, **operand: Any) -> dict[str, Any]:
    subject = {"type": "user_attribute", "attribute_name": "k"}
    return {**subject, "value_type": value_type, "operator": operator, **operand}


@pytest.mark.parametrize(
    ("operator", "right", "expected"),
    [
        ("equals", "a", attribute("string", "equals", value="a")),
        ("not_equals", "a", attribute("string", "not_equals", value="a")),
        ("matches", "a*", attribute("string", "pattern", value="a*")),
        ("not_matches", "a*", attribute("string", "not_pattern", value="a*")),
        ("not_starts_with", "a", attribute("string", "not_starts_with", value="a")),
        ("less_than_equal", 5, attribute("number", "less_than_or_equal", value=5)),
        ("greater_than", 5.5, attribute("number", "greater_than", value=5.5)),
        ("equals", True, attribute("boolean", "equals", value=True)),
        ("not_equals", True, attribute("boolean", "equals", value=False)),
        ("in", "a", attribute("string", "equals", value="a")),
        ("not_in", 5, attribute("number", "not_equals", value=5)),
        ("in", ["a", "b"], attribute("string", "in_list", values=["a", "b"])),
        ("not_in", [1, 2], attribute("number", "not_in_list", values=[1, 2])),
        (
            "equals",
            user("user_attributes.other"),
            attribute(
                "string",
                "equals",
                value_ref={"type": "user_attribute", "attribute_name": "other"},
            ),
        ),
        (
            "greater_than",
            user("calculated_attributes.ltv"),
            attribute(
                "number",
                "greater_than",
                value_ref={"type": "calculated_attribute", "attribute_name": "ltv"},
            ),
        ),
        ("equals", absolute("2026-03-01"), attribute("date", "equals", value="2026-03-01")),
        ("less_than", absolute("2026-03-01"), attribute("date", "before", value="2026-03-01")),
        (
            "less_than_equal",
            absolute("2026-03-01"),
            attribute("date", "before", value="2026-03-02"),
        ),
        ("greater_than", absolute("2026-03-01"), attribute("date", "after", value="2026-03-02")),
        (
            "greater_than_equal",
            absolute("2026-03-01T10:00:00+01:00"),
            attribute("date", "after", value="2026-03-01T09:00:00.000Z"),
        ),
        (
            "greater_than",
            absolute("2026-03-01T10:00:00Z"),
            attribute("date", "after", value="2026-03-01T10:00:00.001Z"),
        ),
        (
            "not_equals",
            absolute("2026-03-01"),
            {
                "op": "or",
                "nodes": [
                    attribute("date", "before", value="2026-03-01"),
                    attribute("date", "after", value="2026-03-02"),
                ],
            },
        ),
        (
            "greater_than_equal",
            relative(-2, "quarter"),
            attribute("date", "within_last", value=6, unit="months"),
        ),
        (
            "less_than",
            relative(-90, "second"),
            attribute("date", "older_than", value=1.5, unit="minutes"),
        ),
        (
            "less_than_equal",
            relative(7),
            {
                "op": "or",
                "nodes": [
                    attribute("date", "older_than", value=0, unit="days"),
                    attribute("date", "within_next", value=7, unit="days"),
                ],
            },
        ),
    ],
)
@pytest.mark.parametrize("path", ["k", "user_attributes.k"])
def test_comparisons_of_a_user_attribute(
    operator: str, right: Any, expected: Any, path: str
) -> None:
    assert criteria(binary(operator, user(path), right)) == expected


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("exists", attribute("string", "exists")),
        ("not_exists", attribute("string", "not_exists")),
        (
            "null",
            {
                "op": "or",
                "nodes": [attribute("string", "not_exists"), attribute("string", "empty")],
            },
        ),
        (
            "not_null",
            {
                "op": "and",
                "nodes": [
                    attribute("string", "exists"),
                    {"op": "not", "nodes": [attribute("string", "empty")]},
                ],
            },
        ),
    ],
)
def test_presence(operator: str, expected: Any) -> None:
    assert criteria({"operator": operator, "operand": user("k")}) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (
            binary("greater_than", user("calculated_attributes.ltv"), 5),
            {
                "type": "calculated_attribute",
                "attribute_name": "ltv",
                "value_type": "number",
                "operator": "greater_than",
                "value": 5,
            },
        ),
        (
            binary("ends_with", user("identities.email"), "@example.com"),
            {
                "type": "identity",
                "identity_type": "email",
                "value_type": "string",
                "operator": "ends_with",
                "value": "@example.com",
            },
        ),
        (
            binary("equals", user("consent.gdpr.ads.consented"), True),
            {"type": "consent", "regulation": "gdpr", "purpose": "ads", "operator": "consented"},
        ),
        (
            binary("not_equals", user("consent.gdpr.ads.consented"), True),
            {
                "type": "consent",
                "regulation": "gdpr",
                "purpose": "ads",
                "operator": "not_consented",
            },
        ),
        (
            {"operator": "not_exists", "operand": user("consent.gdpr.ads.consented")},
            {"type": "consent", "regulation": "gdpr", "purpose": "ads", "operator": "not_exists"},
        ),
        (
            {"operator": "exists", "operand": user("consent.gdpr.a.b.timestamp")},
            {
                "type": "consent",
                "regulation": "gdpr",
                "purpose": "a.b",
                "field": "timestamp",
                "value_type": "date",
                "operator": "exists",
            },
        ),
        (
            binary("less_than", user("first_seen"), relative(-30)),
            {
                "type": "first_seen",
                "value_type": "date",
                "operator": "older_than",
                "value": 30,
                "unit": "days",
            },
        ),
        (
            binary(
                "within",
                user("location"),
                {
                    "location": {
                        "latitude": 40.7,
                        "longitude": -74.0,
                        "distance": {"value": 9, "unit": "miles"},
                    }
                },
            ),
            {
                "type": "location",
                "operator": "within",
                "latitude": 40.7,
                "longitude": -74.0,
                "distance": 9,
                "unit": "miles",
            },
        ),
        (
            binary("not_in", {"model": "user"}, {"audience": "11"}),
            {"type": "audience_membership", "audience_id": 11, "operator": "is_not_member"},
        ),
    ],
)
def test_other_user_criteria(expression: Any, expected: Any) -> None:
    assert criteria(expression) == expected


def test_comparisons_of_events_in_one_group_are_of_one_event() -> None:
    found = criteria(
        both(
            is_named("Clip Played"),
            binary("equals", user("k"), "a"),
            binary("in", event("custom_event_type"), ["media", "social"]),
            binary("equals", event("custom_attributes.kind"), "intro"),
            binary("greater_than", event("product.price"), 5),
        )
    )
    assert found == {
        "op": "and",
        "nodes": [
            attribute("string", "equals", value="a"),
            {
                "type": "event",
                "event_type": "custom_event",
                "event_name": "Clip Played",
                "custom_event_type": ["media", "social"],
                "where": {
                    "op": "and",
                    "nodes": [
                        {
                            "attribute_name": "kind",
                            "attribute_category": "event_attribute",
                            "type": "string",
                            "operator": "equals",
                            "value": "intro",
                        },
                        {
                            "attribute_name": "price",
                            "attribute_category": "product_attribute",
                            "type": "number",
                            "operator": "greater_than",
                            "value": 5,
                        },
                    ],
                },
            },
        ],
    }


def test_lone_comparisons_of_events_are_each_of_their_own() -> None:
    found = criteria(either(is_named("A"), binary("equals", event("event_type"), "uninstall")))
    assert found == {
        "op": "or",
        "nodes": [
            {"type": "event", "event_type": "custom_event", "event_name": "A"},
            {"type": "event", "event_type": "uninstall"},
        ],
    }


@pytest.mark.parametrize(
    ("bounds", "recency"),
    [
        (
            [("greater_than", relative(-2, "week"))],
            TWO_WEEKS,
        ),
        ([("greater_than_equal", relative(-2, "week"))], TWO_WEEKS),
        ([("less_than", relative(-1))], {"type": "older_than", "value": 1, "unit": "days"}),
        (
            [("greater_than", relative(-6)), ("less_than", relative(-4))],
            {
                "type": "between_ago",
                "from": {"value": 6, "unit": "days"},
                "to": {"value": 4, "unit": "days"},
            },
        ),
        ([("less_than", absolute("2026-03-09"))], {"type": "before", "date": "2026-03-09"}),
        ([("less_than_equal", absolute("2026-03-09"))], {"type": "before", "date": "2026-03-10"}),
        ([("greater_than_equal", absolute("2026-03-09"))], {"type": "after", "date": "2026-03-09"}),
        (
            [("equals", absolute("2026-03-09"))],
            {"type": "between_dates", "start": "2026-03-09", "end": "2026-03-09"},
        ),
        (
            [
                ("greater_than_equal", absolute("2026-03-01")),
                ("less_than", absolute("2026-03-05T12:00:00Z")),
            ],
            {"type": "between_dates", "start": "2026-03-01", "end": "2026-03-05T11:59:59.999Z"},
        ),
        (
            [("greater_than_equal", relative(0, "month", boundary="start"))],
            {"type": "calendar", "unit": "month", "offset": 0},
        ),
        (
            [
                ("greater_than_equal", relative(-1, "week", boundary="start")),
                ("less_than", relative(0, "week", boundary="start")),
            ],
            {"type": "calendar", "unit": "week", "offset": -1},
        ),
        (
            [
                ("greater_than_equal", relative(-1, "year", boundary="start")),
                ("less_than_equal", relative(-1, "year", boundary="end")),
            ],
            {"type": "calendar", "unit": "year", "offset": -1},
        ),
    ],
)
def test_times_of_events_are_recencies(bounds: Any, recency: Any) -> None:
    compared = [binary(operator, TIME, date) for operator, date in bounds]
    assert criteria(both(is_named("A"), *compared))["recency"] == recency


@pytest.mark.parametrize(
    ("operator", "function"),
    [("sum", "sum"), ("min", "min"), ("max", "max"), ("avg", "average")],
)
def test_aggregates(operator: str, function: str) -> None:
    total = count(
        binary("equals", event("event_type"), "commerce_event"), operator, "product.price"
    )
    assert criteria(binary("less_than", total, 35.5)) == {
        "type": "event",
        "event_type": "commerce_event",
        "aggregate": {
            "function": function,
            "attribute_name": "price",
            "attribute_category": "product_attribute",
            "operator": "less_than",
            "value": 35.5,
        },
    }


def test_a_list_that_contains_a_value_is_an_event_with_it() -> None:
    listed = count(is_named("A"), "list", "custom_attributes.city")
    assert criteria(binary("contains", listed, "Paris")) == {
        "type": "event",
        "event_type": "custom_event",
        "event_name": "A",
        "where": {
            "attribute_name": "city",
            "attribute_category": "event_attribute",
            "type": "string",
            "operator": "equals",
            "value": "Paris",
        },
    }


def test_a_condition_can_have_alternatives() -> None:
    kinds = [binary("equals", event("custom_attributes.kind"), kind) for kind in ("a", "b")]
    found = criteria(binary("equals", count(both(is_named("A"), either(*kinds))), 0))
    assert found["frequency"] == {"operator": "equals", "value": 0}
    assert found["where"]["op"] == "or"
    assert [node["value"] for node in found["where"]["nodes"]] == ["a", "b"]


def step(alias: str, *conditions: Any) -> dict[str, Any]:
    return {"alias": alias, "operand": TIME, "condition": both(*conditions)}


def then(*steps: Any) -> dict[str, Any]:
    return {"operator": "then", "sequence": list(steps)}


OF_FIRST = {"alias": "a", "path": "session_id"}
AFTER_FIRST = {"relative_to": {"alias": "first", "path": "timestamp"}}


def test_then_is_a_sequence() -> None:
    found = criteria(
        then(
            step("first", is_named("A"), binary("greater_than_equal", TIME, relative(-3))),
            step(
                "second",
                is_named("B"),
                binary("greater_than", TIME, {"alias": "first", "path": "timestamp"}),
                binary("less_than_equal", TIME, relative(2, "hour", **AFTER_FIRST)),
                binary("equals", event("session_id"), {"alias": "first", "path": "session_id"}),
                binary(
                    "equals",
                    event("custom_attributes.cart"),
                    {"alias": "first", "path": "custom_attributes.cart"},
                ),
            ),
        )
    )
    assert found == {
        "type": "sequence",
        "steps": [
            {"event_type": "custom_event", "event_name": "A"},
            {
                "event_type": "custom_event",
                "event_name": "B",
                "within": {"value": 2, "unit": "hours"},
                "same": ["session_id", "cart"],
            },
        ],
        "recency": {"type": "within_last", "value": 3, "unit": "days"},
    }


@pytest.mark.parametrize(
    ("audience", "path"),
    [
        (7, ""),
        ({}, "/operator"),
        (both(), "/expressions"),
        (both(7), "/expressions/0"),
        (binary("xor", user("k"), 1), "/operator"),
        (binary("equals", user("k"), None), "/right"),
        ({"operator": "equals", "left": user("k")}, "/right"),
        (binary("equals", user("k"), 1) | {"note": 1}, "/note"),
        (binary("equals", {"model": "user", "paht": "k"}, 1), "/left/paht"),
        (binary("equals", "k", 1), "/left"),
        (binary("contains", user("k"), ["a"]), "/operator"),
        (binary("contains", user("k"), 5), ""),
        (binary("in", user("k"), []), ""),
        (binary("equals", user("k"), absolute("soon")), "/right/date/absolute"),
        (binary("equals", user("k"), absolute("9999-12-31")), "/right/date/absolute"),
        (binary("equals", user("k"), relative(-1)), "/right/date/relative"),
        (binary("greater_than", user("k"), relative(1)), "/right/date/relative"),
        (binary("less_than", user("k"), relative(-1, "eon")), "/right/date/relative/unit"),
        (
            binary("less_than", user("k"), relative(-1, boundary="start")),
            "/right/date/relative",
        ),
        (binary("contains", user("k"), absolute("2026-03-01")), "/right/date/absolute"),
        (binary("equals", user("consent.gdpr"), True), "/left/path"),
        (binary("equals", user("consent.gdpr.ads.consented"), "yes"), "/right"),
        (binary("equals", user("consent.hipaa.ads.consented"), True), ""),
        (binary("equals", user("location"), "Paris"), "/operator"),
        (binary("in", {"model": "user"}, {"audience": "eleven"}), "/right/audience"),
        (binary("equals", {"model": "user"}, {"audience": "11"}), "/left"),
        (binary("contains", NAME, "A"), ""),
        (binary("equals", event("app"), "A"), "/left/path"),
        (both(is_named("A"), is_named("B")), "/expressions/1"),
        (binary("equals", event("event_type"), "clip"), ""),
        (both(binary("greater_than", TIME, relative(1))), "/expressions/0/right/date/relative"),
        (
            both(
                binary("greater_than", TIME, relative(-1)),
                binary("less_than", TIME, absolute("2026-03-01")),
            ),
            "",
        ),
        (
            both(
                binary("greater_than", TIME, absolute("2026-03-05")),
                binary("less_than", TIME, absolute("2026-03-01")),
            ),
            "",
        ),
        (binary("greater_than", TIME, relative(-1, "month", boundary="start")), ""),
        (
            both(
                binary("greater_than_equal", TIME, relative(-2e11, boundary="start")),
                binary("less_than_equal", TIME, relative(-2e11, boundary="end")),
            ),
            "",
        ),
        (binary("equals", count(), "2"), "/right"),
        (binary("equals", count(path="session_id"), 2), "/left/operand/path"),
        (binary("equals", count(operator="median"), 2), "/left/operator"),
        (binary("equals", count() | {"group_by_model": "device"}, 2), "/left/group_by_model"),
        (binary("equals", count(binary("equals", user("k"), 1)), 2), "/left/condition/left"),
        (binary("equals", count(operator="sum"), 2), "/left/operand/path"),
        (binary("equals", count(operator="list", path="product.id"), "a"), "/operator"),
        (binary("equals", count(), 1.5), ""),
        (then(), "/sequence"),
        (then(step("first", is_named("A"))), ""),
        (
            then(step("a", is_named("A")), step("b", binary("less_than", TIME, A_DAY_AGO))),
            "/sequence/1/condition/expressions/0",
        ),
        (
            then(
                step("a", is_named("A")),
                step("b", is_named("B")),
                step(
                    "c", binary("equals", event("session_id"), {"alias": "a", "path": "session_id"})
                ),
            ),
            "/sequence/2/condition/expressions/0/right/alias",
        ),
    ],
)
def test_anything_else_is_refused_where_it_stands(audience: Any, path: str) -> None:
    assert refused(sdk(audience)) == [f"/definition/audience{path}"]


def test_all_mistakes_are_told_at_once() -> None:
    audience = either(
        binary("equals", user("k"), None), both(binary("xor", NAME, 1)), is_named("A")
    )
    assert refused(sdk(audience)) == [
        "/definition/audience/expressions/0/right",
        "/definition/audience/expressions/1/expressions/0/operator",
    ]


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (sdk(WATCHED, "2.0.0"), "/schema_version"),
        (sdk(WATCHED, None), "/schema_version"),
        ({"schema_version": "1.6.0"}, "/audience"),
        (sdk(WATCHED) | {"version": 1}, "/version"),
    ],
)
def test_the_envelope(document: Any, path: str) -> None:
    assert is_sdk_document(document)
    assert refused(document) == [f"/definition{path}"]


@pytest.mark.parametrize("version", ["1.6.0", "1.0", "1.7.0-beta.1"])
def test_every_first_version_is_read(version: str) -> None:
    assert read(sdk(WATCHED, version)).problems == []


def test_what_it_refers_to_is_missed_where_it_stands() -> None:
    """spec/audiences.md, 14: 422 for what is broken outside the document."""
    unknown = binary("in", {"model": "user"}, {"audience": "99"})
    old = both(is_named("A"), binary("greater_than", TIME, relative(-90)))
    definition = read(sdk(either(unknown, old)))
    found = [(problem.code, problem.path) for problem in definition.problems]
    assert found == [("REFERENCE_NOT_FOUND", "/definition/audience/expressions/0")]
    paths = [warning.path for warning in definition.warnings]
    assert paths == ["/definition/audience/expressions/1"]


def test_limits_hold_for_translations_too() -> None:
    nested = is_named("A")
    for _ in range(9):
        nested = either(nested, is_named("B"))
    place = "/definition/audience" + "/expressions/0" * 8
    assert broken(sdk(nested)) == [("LIMIT_EXCEEDED", place)]


def test_the_translation_is_a_whole_definition() -> None:
    definition = read(sdk(WATCHED))
    assert definition.canonical == whole(criteria(WATCHED))
