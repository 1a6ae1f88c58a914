"""Worked cases 1 to 9, 22 to 27, 33 and 36 of spec/audiences.md: criteria on users."""

import pytest

from actors.audiences.criteria import AudienceMembership, Flag, Node, Recency
from tests.oracle.audiences.build import both, event, named, negated, purchase
from tests.oracle.audiences.evaluate import explain
from tests.oracle.audiences.event_cases import WATCH
from tests.oracle.audiences.fixture import DAY, NOW, make_users
from tests.oracle.audiences.people import Surroundings
from tests.oracle.audiences.user_cases import ALL, CASES, PREMIUM, age

USERS = make_users()


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
