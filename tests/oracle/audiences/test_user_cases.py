"""Worked cases 1 to 9, 22 to 27 and 36 of spec/audiences.md: criteria on users."""

from typing import Any

import pytest

from actors.audiences.criteria import (
    AudienceMembership,
    Consent,
    DeviceCriterion,
    Flag,
    IdentityCriterion,
    LocationWithin,
    Named,
    Node,
    Recency,
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
from tests.oracle.audiences.evaluate import explain
from tests.oracle.audiences.event_cases import WATCH
from tests.oracle.audiences.fixture import DAY, NOW, PEOPLE, make_users
from tests.oracle.audiences.people import Surroundings

ALL = set(PEOPLE)
USERS = make_users()
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


@pytest.mark.parametrize(("node", "members"), [pytest.param(*rest, id=id_) for id_, *rest in CASES])
def test_the_oracle_finds_the_members_of_the_worked_case(node: Node, members: set[int]) -> None:
    """Cases 1 to 9 and 22 to 27."""
    assert USERS.members(node, NOW) == members


def test_an_audience_inside_another_is_evaluated_at_the_same_instant() -> None:
    """Case 36: one batch makes a user a member of both."""
    users = make_users()
    inner = named(AudienceMembership(1, is_member=True))
    outer = both(inner, age("greater_or_equal", 18))
    assert users.members(outer, NOW, a1=PREMIUM) == {1001}
    users.send(1004, {"user_attributes": {"status": "premium", "age": 20}}, NOW)
    assert users.members(PREMIUM, NOW) == {1001, 1002, 1004}
    assert users.members(outer, NOW, a1=PREMIUM) == {1001, 1004}


def test_a_batch_that_comes_to_nothing_leaves_the_members_as_they_are() -> None:
    """Case 33: set away and back in one batch."""
    users = make_users()
    events = [
        {"event_type": "user_attribute_change", "data": {"user_attribute_name": "status", **new}}
        for new in ({"new": "basic"}, {"new": "Premium"})
    ]
    users.send(1001, {"events": events}, NOW)
    assert users.members(PREMIUM, NOW) == {1001, 1002}


def test_users_who_opted_out_are_in_no_audience() -> None:
    """Rule 10, also for a criterion that would hold."""
    users = make_users()
    opt_out = {"event_type": "opt_out", "data": {"is_opted_out": True}}
    users.send(1002, {"events": [opt_out]}, NOW)
    assert users.members(named(Flag("opt_out", True)), NOW) == set()
    assert users.members(event(purchase(), frequency=("equals", 0)), NOW) == ALL - {1002}


def test_profiles_whose_lifetime_is_over_are_in_no_audience() -> None:
    """Rule 10: 1005 was stored at 03-01T12:00."""
    anybody = event("Login", Recency(), ("greater_or_equal", 0))
    last_ms = USERS.profiles[1005].last_stored_timestamp_ms + 30 * DAY
    assert 1005 in USERS.members(anybody, last_ms)
    assert 1005 not in USERS.members(anybody, last_ms + 1)


def test_results_of_criteria_are_explained_by_their_ids() -> None:
    """`id` is echoed; criteria without one are left out."""
    node = both(named(WATCH.criterion, "watch"), negated(named(PREMIUM.criterion, "paid")), PREMIUM)
    around = Surroundings(USERS.workspace)
    assert explain(node, USERS.person(1002), around, NOW) == {"watch": False, "paid": True}
