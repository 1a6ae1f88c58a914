"""Worked cases 10 to 21, 32, 37 and 40 of spec/audiences.md: criteria on events."""

import pytest
from msgspec.structs import replace

from actors.audiences.criteria import CartAbandonment, EventFilter, Node
from tests.oracle.audiences.build import event, named, within_last
from tests.oracle.audiences.event_cases import CASES
from tests.oracle.audiences.expiration import expiration_timestamp_ms
from tests.oracle.audiences.fixture import (
    APP,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    PEOPLE,
    SHOP,
    WEEK,
    WORKSPACE,
    at,
    commerce,
    custom,
    make_users,
)
from tests.oracle.audiences.people import Surroundings

USERS = make_users()
PINGED = event("Ping", within_last(HOUR))


def abandoned(wait_ms: int) -> Node:
    """Make a criterion on an abandoned cart."""
    added = EventFilter("commerce_event", commerce_actions=("add_to_cart",))
    return named(CartAbandonment(added, wait_ms))


@pytest.mark.parametrize(("node", "members"), [pytest.param(*rest, id=id_) for id_, *rest in CASES])
def test_the_oracle_finds_the_members_of_the_worked_case(node: Node, members: set[int]) -> None:
    """Cases 10 to 18 and 20."""
    assert USERS.members(node, NOW) == members


def test_weeks_later_the_same_users_are_found() -> None:
    """A test may shift everything by whole weeks; case 14 names days, which do not shift."""
    later = make_users(2 * WEEK)
    for name, node, members in CASES:
        if not name.startswith("14"):
            assert later.members(node, NOW + 2 * WEEK) == members, name


def test_an_abandoned_cart_is_found_after_the_wait() -> None:
    """Case 19."""
    users = make_users()
    assert users.members(abandoned(2 * HOUR), NOW) == {1003}
    assert users.members(abandoned(121 * MINUTE), NOW) == set()
    bought_ms = at("03-10T12:30")
    users.send(1003, {"events": [commerce("purchase", bought_ms)]}, bought_ms)
    assert users.members(abandoned(2 * HOUR), NOW) == set()


def test_events_of_other_inputs_are_not_seen() -> None:
    """Case 21, the part that is evaluated."""
    for source, members in ((APP, {1001, 1002}), (SHOP, set())):
        played = EventFilter("custom_event", ("Clip Played",), inputs=(source,))
        assert USERS.members(event(played), NOW) == members


def test_a_late_ping_counts_until_an_hour_after_its_own_time() -> None:
    """Case 32: it expires at t + 3 600 000 ms, which is still inside the hour."""
    users = make_users()
    pinged_ms = NOW - HOUR + 10_000
    users.send(1001, {"events": [custom("Ping", pinged_ms)]}, NOW)
    end_ms = pinged_ms + HOUR
    around = Surroundings(users.workspace)
    assert expiration_timestamp_ms(PINGED, users.person(1001), around, NOW) == end_ms
    assert users.members(PINGED, end_ms) == {1001}
    assert users.members(PINGED, end_ms + 1) == set()


def test_events_older_than_the_lookback_change_nothing() -> None:
    """Case 40: and the oldest that counts is exactly as old."""
    for age_ms, expected in ((31 * DAY, set()), (30 * DAY + 1, set()), (30 * DAY, {1005})):
        users = make_users()
        users.send(1005, {"events": [custom("Login", NOW - age_ms)]}, NOW)
        assert users.members(event("Login"), NOW) - {1004} == expected


def test_events_of_the_future_count_as_when_they_were_received() -> None:
    """Case 40: for one hour only."""
    users = make_users()
    users.send(1001, {"events": [custom("Ping", NOW + DAY)]}, NOW)
    assert users.members(PINGED, NOW) == {1001}
    assert users.members(PINGED, NOW + HOUR) == {1001}
    assert users.members(PINGED, NOW + HOUR + 1) == set()


def test_events_of_another_tier_are_not_seen() -> None:
    """Case 37 refuses the change; what was stored under it is not evaluated."""
    users = make_users(workspace=replace(WORKSPACE, tiers={"Login": "preserve"}))
    assert users.members(event("Login"), NOW) == set()
    assert users.members(event("Clip Played"), NOW) == {1001, 1002}


def test_all_five_users_are_there() -> None:
    """The population of the fixture."""
    assert tuple(sorted(USERS.profiles)) == PEOPLE
