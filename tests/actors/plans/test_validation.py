"""What a plan finds in batches: the worked cases of spec/data-plans.md, by number."""

import time
from typing import Any

import pytest

from actors.plans.document import compile_document
from actors.plans.findings import Finding
from actors.plans.matching import ATTRIBUTES as USER_ATTRIBUTES
from actors.plans.validation import validate_batch
from tests.actors.plans.plans import (
    IDENTITIES,
    Data,
    compiled,
    custom_match,
    decoded,
    document,
    entries,
    event,
    findings,
    point,
    quote,
    with_attributes,
)
from tests.actors.profiles.builders import BACKEND, STAMP

PLAN = compiled()
WHERE = ("data", "custom_attributes")


def of_attribute(schema: Data, value: Any) -> list[Finding]:
    """Return what a schema of one attribute finds in it, in an event that is sent."""
    plan = compile_document(
        {"data_points": [point(custom_match("E"), with_attributes({"x": schema}))]}
    )
    attributes = {"x": value}
    sent = event("custom_event", event_name="E", custom_attributes=attributes)
    return findings(plan, sent)


def of_object(schema: Data, value: Any) -> list[Finding]:
    """Return what a schema finds in a value that events keep as it is sent: a custom flag."""
    definition = {"properties": {"data": {"properties": {"custom_flags": schema}}}}
    plan = compile_document({"data_points": [point(custom_match("E"), definition)]})
    return findings(plan, event("custom_event", event_name="E", custom_flags=value))


def test_case_1_what_is_planned_is_valid() -> None:
    assert entries(PLAN, quote({"premium": 12.5, "plan": "plus"})) == []


def test_case_2_a_number_may_be_sent_as_a_text() -> None:
    assert findings(PLAN, quote({"premium": "12.5"})) == []
    [found] = findings(PLAN, quote({"premium": "twelve"}))
    assert found == Finding(
        "invalid_value", "premium", (*WHERE, "premium"), "number", "string", "type"
    )
    assert found.pointer == "#/data/custom_attributes/premium"


def test_case_3_all_that_is_wrong_is_listed_in_the_order_of_the_schema() -> None:
    assert findings(PLAN, quote({"plan": "gold", "premium": -1})) == [
        Finding("invalid_value", "premium", (*WHERE, "premium"), "0", "-1", "minimum"),
        Finding("invalid_value", "plan", (*WHERE, "plan"), '["basic","plus"]', "gold", "enum"),
    ]


def test_case_4_a_required_attribute_is_missed() -> None:
    assert findings(PLAN, quote({})) == [
        Finding("missing_required", "custom_attributes", WHERE, "premium", None, "required")
    ]


def test_case_5_null_is_absent() -> None:
    expected = [
        Finding("missing_required", "data", ("data",), "custom_attributes", None, "required")
    ]
    assert findings(PLAN, quote(None)) == expected
    [found] = findings(PLAN, quote({"premium": None}))
    assert (found.kind, found.expected) == ("missing_required", "premium")


def test_case_6_an_attribute_that_is_not_planned_is_named_in_what_contains_it() -> None:
    [found] = findings(PLAN, quote({"premium": 1, "coupon": "X"}))
    assert found == Finding("unplanned", "coupon", WHERE, None, "coupon", "additionalProperties")


@pytest.mark.parametrize(
    ("name", "kind"), [("Quote Requested", "navigation"), ("quote requested", "other")]
)
def test_case_8_type_and_name_match_exactly(name: str, kind: str) -> None:
    sent = event("custom_event", event_name=name, custom_event_type=kind)
    [entry] = entries(PLAN, sent)
    assert entry.findings == [Finding("unplanned", name, (), None, name, None)]
    assert entry.findings[0].pointer == "#"
    assert entry.match.as_json() == {
        "type": "custom_event",
        "criteria": {"event_name": name, "custom_event_type": kind},
    }


def test_case_10_an_empty_definition_accepts_everything() -> None:
    home = event("screen_view", screen_name="Home", custom_attributes={"any": "thing"})
    settings = event("screen_view", screen_name="Settings")
    [entry] = entries(PLAN, home, settings)
    assert (entry.index, entry.match.key) == (1, "screen_view::Settings")


@pytest.mark.parametrize(
    "sent",
    [
        event("session_start"),
        event("session_end"),
        event("push_registration", register=True, registration_token="t"),
        event("opt_out"),
        event("custom_event", event_name="E", custom_event_type="attribution"),
    ],
    ids=lambda sent: sent["event_type"],
)
def test_case_11_what_cannot_be_planned_is_never_found(sent: Data) -> None:
    assert entries(PLAN, sent) == []


def test_case_12_user_attributes_have_an_entry_of_their_own() -> None:
    [entry] = entries(PLAN, user_attributes={"tier": "gold", "age": "30"})
    assert (entry.index, entry.match) == (None, USER_ATTRIBUTES)
    assert entry.match.as_json() == {"type": "user_attributes"}
    assert entry.findings == [Finding("unplanned", "age", (), None, "age", "additionalProperties")]


def test_case_13_identities_of_the_user_and_of_the_device_are_one_object() -> None:
    members = {
        "user_identities": {"email": "a@b.c", "twitter": "t", "alias": "not planned"},
        "device_info": {"ios_idfv": STAMP, "device_model": "any"},
        "mp_deviceid": STAMP,
    }
    plan = compiled(IDENTITIES)
    assert [each.key for each in findings(plan, **members)] == [
        "twitter",
        "ios_idfv",
        "mp_deviceid",
    ]


@pytest.mark.parametrize("name", ["customerid", "customer_id"])
def test_identities_have_their_aliases(name: str) -> None:
    schema = {"properties": {name: {}}, "required": [name], "additionalProperties": False}
    plan = compile_document({"data_points": [point({"type": "user_identities"}, schema)]})
    assert findings(plan, user_identities={"customer_id": "c"}) == []
    assert findings(plan, user_identities={"customerid": "c"}) == []
    assert [each.expected for each in findings(plan)] == ["customer_id"]  # absent counts as empty


def test_case_17_a_commerce_event_is_matched_by_the_first_of_its_parts() -> None:
    product = {"id": "1", "name": "Tea", "price": 2.5}
    purchase = event("commerce_event", product_action={"action": "purchase", "products": [product]})
    promotion = event(
        "commerce_event", promotion_action={"action": "view", "promotions": [{"id": "p"}]}
    )
    impression = event("commerce_event", product_impressions=[{"products": [product]}])
    found = entries(PLAN, purchase, promotion, impression)
    assert [each.match.key for each in found] == [
        "product_action:purchase",
        "promotion_action:view",
        "product_impression",
    ]
    assert [each.findings[0].key for each in found] == ["commerce_event"] * 3


def test_a_removal_from_a_wish_list_has_two_spellings() -> None:
    match = {"type": "product_action", "criteria": {"action": "remove_from_wishlist"}}
    plan = compile_document({"data_points": [point(match, {})]})
    for action in ("remove_from_wishlist", "remove_from_wish_list"):
        sent = event("commerce_event", product_action={"action": action, "products": []})
        assert entries(plan, sent) == []


def test_what_is_derived_here_is_planned_in_any_schema() -> None:
    closed = {
        "additionalProperties": False,
        "properties": {
            "data": {
                "additionalProperties": False,
                "properties": {
                    "product_action": {
                        "additionalProperties": False,
                        "properties": {
                            "products": {
                                "items": {
                                    "additionalProperties": False,
                                    "properties": {"name": {}, "price": {}},
                                }
                            }
                        },
                    }
                },
            }
        },
    }
    match = {"type": "product_action", "criteria": {"action": "purchase"}}
    plan = compile_document({"data_points": [point(match, closed)]})
    product = {"name": "Tea", "price": 2.5, "brand": "Leaf"}
    sent = event("commerce_event", product_action={"action": "purchase", "products": [product]})
    [found] = findings(plan, sent)
    assert found.pointer == "#/data/product_action/products/0"
    assert found.key == "brand"


def test_the_attribute_that_names_a_feed_is_nobodys() -> None:
    assert findings(PLAN, quote({"premium": 1}), source=BACKEND) == []
    bare = event("custom_event", event_name="Quote Requested", custom_event_type="other")
    [found] = findings(PLAN, bare, source=BACKEND)
    assert found.expected == "custom_attributes"


def test_case_26_a_hostile_pattern_takes_no_time() -> None:
    plan = compiled(point(custom_match("E"), with_attributes({"x": {"pattern": "^(a+)+$"}})))
    sent = event("custom_event", event_name="E", custom_attributes={"x": "a" * 4000 + "!"})
    batch = decoded(sent)
    spent_s = []
    for _ in range(5):
        began_s = time.thread_time()
        [entry] = validate_batch(plan, batch)
        spent_s.append(time.thread_time() - began_s)
    assert min(spent_s) < 0.005  # of this thread alone: others may have the processor
    [found] = entry.findings
    assert (found.kind, found.keyword) == ("invalid_value", "pattern")


def test_case_27_truth_values_have_their_texts() -> None:
    for right in (True, "TRUE", "false"):
        assert of_attribute({"type": "boolean"}, right) == []
    for wrong in ("yes", 1):
        [found] = of_attribute({"type": "boolean"}, wrong)
        assert (found.keyword, found.expected) == ("type", "boolean")


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"type": "integer"}, [3, "3", "3.0", "3e2"], [3.5, "3.5", "three", " 3"]),
        ({"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 2}, ["1.5"], [1, "2"]),
        ({"type": "number", "maximum": 10}, [10, "10"], [10.5, "1e400"]),
        ({"type": "number", "multipleOf": 0.1}, [0.3, "1"], [0.35, "1e300", "1e400"]),
        ({"multipleOf": 3}, [9, "9", "a text"], [10, "10"]),
        ({"enum": [1, 2]}, [1, "2"], [3, "3"]),
        ({"type": "number", "enum": [1, 2]}, ["2.0"], ["3"]),
        ({"const": True}, [True, "true"], [False, 1, "yes"]),
        ({"type": ["number", "boolean"]}, [1, "true"], ["x"]),
        ({"type": "string", "minLength": 2, "maxLength": 3}, ["ab", 12], ["a", "abcd", 1]),
        ({"pattern": "b+"}, ["abbc"], ["ac", "B"]),
        ({"pattern": "^.$"}, ["ü"], ["üü"]),
        ({"format": "date-time"}, ["2026-01-31T10:00:00Z"], ["2026-02-30T10:00:00Z", "2026-01-31"]),
        ({"format": "date"}, ["2024-02-29"], ["2025-02-29", "20250101"]),
        ({"format": "time"}, ["23:59:60Z", "12:00:00"], ["24:00:00Z", "12:00"]),
        ({"format": "email"}, ["a.b@c.de"], ["a b@c.de", "a@", "@c.de"]),
        ({"format": "hostname"}, ["a-b.example"], ["-a.example", "a..b", ""]),
        ({"format": "ipv4"}, ["10.0.0.1"], ["10.0.0", "10.0.0.01"]),
        ({"format": "ipv6"}, ["::1"], ["1::2::3", "fe80::1%eth0"]),
        ({"format": "uri"}, ["https://e.x/a?b#c"], ["//e.x", "a b:c", "x:%zz"]),
        ({"format": "uri-reference"}, ["/a/b", ""], ["a b"]),
        ({"format": "uuid"}, [STAMP], [STAMP[:-1]]),
        (
            {"format": "regex"},
            ["a|b", "", "(?=a)b", r"[\]a]+?", "a{2,}b{x", "(?<n>a)*"],
            ["(a", "a)", "[a", "*a", "a|+", "(?x)", "a**", "a\\", "(?{2}"],
        ),
        ({"format": "json-pointer"}, ["/a/~0b", ""], ["a", "/~2"]),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_keywords_take_values_in_any_form(schema: Data, right: list[Any], wrong: list[Any]) -> None:
    for value in right:
        assert of_attribute(schema, value) == [], value
    for value in wrong:
        assert of_attribute(schema, value) != [], value


@pytest.mark.parametrize(
    ("schema", "value", "keywords"),
    [
        ({"minProperties": 2}, {"a": 1, "b": None}, ["minProperties"]),
        ({"maxProperties": 1}, {"a": 1, "b": 2}, ["maxProperties"]),
        ({"propertyNames": {"maxLength": 1}}, {"a": 1, "bc": 2}, ["propertyNames"]),
        ({"additionalProperties": {"type": "number"}}, {"a": 1, "b": "x"}, ["type"]),
        ({"properties": {"l": {"minItems": 2}}}, {"l": [1]}, ["minItems"]),
        ({"properties": {"l": {"maxItems": 0}}}, {"l": [1]}, ["maxItems"]),
        ({"properties": {"l": {"uniqueItems": True}}}, {"l": [1, True, "1"]}, []),
        (
            {"properties": {"l": {"uniqueItems": True}}},
            {"l": [{"a": 1}, {"a": 1.0}]},
            ["uniqueItems"],
        ),
        ({"properties": {"l": {"contains": {"const": 2}}}}, {"l": [1, 3]}, ["contains"]),
        ({"properties": {"l": {"items": {"type": "number"}}}}, {"l": [1, "x", None]}, ["type"] * 2),
        ({"properties": {"o": {"const": {"a": 1}}}}, {"o": {"a": 1, "b": None}}, []),
        ({"properties": {"o": {"type": "object"}}}, {"o": "text"}, ["type"]),
        ({"properties": {"o": {"type": "string"}}}, {"o": []}, ["type"]),
    ],
)
def test_objects_and_arrays_are_looked_into(schema: Data, value: Any, keywords: list[str]) -> None:
    found = of_object(schema, value)
    assert [each.keyword for each in found] == keywords
    for each in found:
        is_value = each.keyword in ("type", "const")
        assert each.kind == ("invalid_value" if is_value else "unknown")


def test_within_an_object_what_is_only_required_comes_first() -> None:
    schema = {
        "required": ["z", "b"],
        "properties": {"a": {"type": "number"}, "b": {}},
        "additionalProperties": False,
    }
    found = of_object(schema, {"y": 1, "a": "x"})
    assert [(each.kind, each.key, each.expected) for each in found] == [
        ("missing_required", "custom_flags", "z"),
        ("unplanned", "y", None),
        ("invalid_value", "a", "number"),
        ("missing_required", "custom_flags", "b"),
    ]


def test_pointers_escape_names() -> None:
    [found] = of_object({"properties": {"a/b~c": {"type": "number"}}}, {"a/b~c": "x"})
    assert found.pointer == "#/data/custom_flags/a~1b~0c"


def test_data_points_of_users_are_silent_where_there_are_none() -> None:
    plan = compile_document(document(without=document()["data_points"]))
    members = {"user_attributes": {"age": "1"}, "user_identities": {"email": "e"}}
    assert findings(plan, **members) == []
