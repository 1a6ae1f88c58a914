"""Worked cases 1 to 9 and 22 to 27 of spec/audiences.md as criteria and their members."""

from typing import Any

from actors.audiences.criteria import (
    Consent,
    DeviceCriterion,
    Flag,
    IdentityCriterion,
    LocationWithin,
    Named,
    Node,
    ValueType,
)
from tests.oracle.audiences.build import (
    attribute,
    both,
    event,
    exclude,
    list_attribute,
    named,
    negated,
    passing,
    purchase,
    within_last,
)
from tests.oracle.audiences.event_cases import WATCH
from tests.oracle.audiences.fixture import DAY, PEOPLE

ALL = set(PEOPLE)
PREMIUM = attribute("status", "string", "equals", "premium")


def status(operator: str, value: Any = None) -> Named:
    """Make a test of the attribute `status` as a string."""
    return attribute("status", "string", operator, value)


def age(operator: str, value: Any = None, **rest: Any) -> Named:
    """Make a test of the attribute `age` as a number."""
    return attribute("age", "number", operator, value, **rest)


def device(field: str, type_: ValueType, operator: str, value: Any, match: Any = "any") -> Node:
    """Make a criterion on devices."""
    return named(DeviceCriterion(field, match, passing(type_, operator, value)))


def near(distance_m: float) -> Node:
    """Make a criterion on the distance from New York."""
    return named(LocationWithin(40.7128, -74.0060, distance_m))


def consent(regulation: Any, purpose: str, operator: Any) -> Node:
    """Make a criterion on a consent record."""
    return named(Consent(regulation, purpose, operator))


def identity(identity_type: str, operator: str, value: Any = None) -> Node:
    """Make a criterion on an identity."""
    return named(IdentityCriterion(identity_type, passing("string", operator, value)))


FULL = exclude(
    both(WATCH, PREMIUM, consent("ccpa", "data_sale_opt_out", "not_true")),
    event(purchase(), within_last(7 * DAY)),
)

CASES: list[tuple[str, Node, set[int]]] = [
    ("1", status("equals", "PREMIUM"), {1001, 1002}),
    ("2", status("not_equals", "premium"), {1005}),
    ("3", negated(status("equals", "PREMIUM")), {1003, 1004, 1005}),
    ("4 exists", status("exists"), {1001, 1002, 1003, 1005}),
    ("4 empty", status("empty"), {1003}),
    ("4 not_exists", status("not_exists"), {1004}),
    ("5 contains", status("contains", "rem"), {1001, 1002}),
    ("5 p*m", status("pattern", "p*m"), {1001, 1002}),
    ("5 prem", status("pattern", "prem"), set()),
    ("5 ?old", status("pattern", "?old"), {1005}),
    ("5 escaped star", status("pattern", "g\\*d"), set()),
    ("6 in_list", status("in_list", ["GOLD", "silver"]), {1005}),
    ("6 not_in_list", status("not_in_list", ["gold"]), {1001, 1002}),
    ("7 at least 18", age("greater_or_equal", 18), {1001, 1003}),
    ("7 not 34", age("not_equals", 34), {1003}),
    ("7 exists", age("exists"), {1001, 1002, 1003}),
    ("7 between", age("between", min_value=18, max_value=34), {1001, 1003}),
    ("7 equals", age("equals", 34.0), {1001}),
    ("8 includes", list_attribute("tags", "includes", "jazz"), {1001}),
    ("8 part", list_attribute("tags", "includes", "ja"), set()),
    ("8 partial_match", list_attribute("tags", "partial_match", "ja"), {1001}),
    ("8 includes_all", list_attribute("tags", "includes_all", ["rock", "JAZZ"]), {1001}),
    ("8 not_includes", list_attribute("tags", "not_includes", "pop"), {1001, 1003}),
    ("8 empty", list_attribute("tags", "empty"), {1003}),
    ("8 size", list_attribute("tags", "size_greater_than", 1), {1001}),
    ("9 contains", attribute("tags", "string", "contains", "az"), {1001}),
    ("9 not_contains", attribute("tags", "string", "not_contains", "az"), set()),
    ("22 any", device("os_version", "version", "greater_or_equal", "17.2"), {1005}),
    ("22 latest", device("os_version", "version", "greater_or_equal", "17.2", "latest"), set()),
    ("22 platform", device("platform", "string", "not_equals", "ios"), set()),
    ("23 15 km", near(15_000), {1005}),
    ("23 14 km", near(14_000), set()),
    ("23 9 miles", near(9 * 1609.344), {1005}),
    ("24 consented", consent("gdpr", "ads", "consented"), {1005}),
    ("24 not_consented", consent("gdpr", "ads", "not_consented"), set()),
    ("24 not_true", consent("ccpa", "data_sale_opt_out", "not_true"), ALL),
    ("24 exists", consent("ccpa", "data_sale_opt_out", "exists"), set()),
    ("25 exists", identity("email", "exists"), {1005}),
    ("25 ends_with", identity("email", "ends_with", "@EXAMPLE.com"), {1005}),
    ("25 mpid", identity("mpid", "in_list", ["1002", "9"]), {1002}),
    ("26 exclude", exclude(PREMIUM, event(purchase())), {1001}),
    ("26 full", FULL, {1001}),
    ("27", named(Flag("opt_out", False)), ALL),
]
