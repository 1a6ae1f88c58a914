"""The worked cases of spec/audiences.md that need evaluation alone, by the engine."""

import pytest

from actors.audiences.criteria import AudienceMembership, CartAbandonment, EventFilter, Node
from actors.audiences.engine.engine import Engine
from actors.audiences.engine.records import Change, Kept
from actors.model.profiles import ProfileKey
from tests.oracle.audiences import event_cases, user_cases
from tests.oracle.audiences.build import both, event, named, within_last
from tests.oracle.audiences.fixture import (
    APP,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    PEOPLE,
    SHOP,
    WORKSPACE,
    at,
    commerce,
    custom,
    make_users,
)
from tests.oracle.audiences.user_cases import PREMIUM, age
from tests.oracle.audiences.users import Users

LOOKBACK_MS = WORKSPACE.audience_event_days * DAY
CASES = [*user_cases.CASES, *event_cases.CASES]
PING, A, B = 1, 10, 11
PINGED = event("Ping", within_last(HOUR))


class Watched:
    """The users of the fixture, and an engine that has evaluated audiences for them at N."""

    def __init__(self, audiences: dict[int, Node]) -> None:
        self.users: Users = make_users()
        self.engine = Engine(WORKSPACE, LOOKBACK_MS)
        for number, node in audiences.items():
            self.engine.activate(number, "production", node)
        for mpid, profile in self.users.profiles.items():
            self.engine.load(key(mpid), profile, Kept())
            self.engine.rebuild_events(key(mpid), self.users.batches[mpid], 0, NOW)
        self.first = self.engine.evaluate(self.engine.rows_of(map(key, PEOPLE)), NOW)

    def send(self, mpid: int, body: dict[str, object], received_ms: int = NOW) -> list[Change]:
        """Let a batch come; return what changes at once."""
        stored = self.users.send(mpid, body, received_ms)
        self.engine.observe(key(mpid), self.users.profiles[mpid], stored)
        return self.engine.evaluate(self.engine.rows_of([key(mpid)]), received_ms)

    def pass_until(self, now_ms: int) -> list[Change]:
        """Evaluate who is due."""
        return self.engine.evaluate(self.engine.due(now_ms), now_ms)

    def members(self, audience: int) -> set[int]:
        """Return the members of an audience."""
        return {each.mpid for each in self.engine.members(audience)}


def key(mpid: int) -> ProfileKey:
    """Return the key of a user of the fixture."""
    return ProfileKey(WORKSPACE.scope, "production", mpid)


def test_the_members_are_those_of_the_worked_cases() -> None:
    """Cases 1 to 18, 20 and 22 to 27, all active at once."""
    watched = Watched({number: node for number, (_, node, _) in enumerate(CASES)})
    for number, (name, _, expected) in enumerate(CASES):
        assert watched.members(number) == expected, name


@pytest.mark.parametrize(
    ("wait_ms", "expected"), [(2 * HOUR, {1003}), (121 * MINUTE, set())], ids=["2 h", "121 min"]
)
def test_19_an_abandoned_cart(wait_ms: int, expected: set[int]) -> None:
    """Case 19: and a purchase after it takes the user out."""
    added = EventFilter("commerce_event", commerce_actions=("add_to_cart",))
    watched = Watched({1: named(CartAbandonment(added, wait_ms))})
    assert watched.members(1) == expected
    watched.send(1003, {"events": [commerce("purchase", at("03-10T12:30"))]})
    assert watched.members(1) == set()


def test_21_events_of_other_inputs_are_not_seen() -> None:
    """Case 21, the part that is evaluated."""
    played = [EventFilter("custom_event", ("Clip Played",), inputs=(each,)) for each in (APP, SHOP)]
    watched = Watched({number: event(wanted) for number, wanted in enumerate(played)})
    assert (watched.members(0), watched.members(1)) == ({1001, 1002}, set())


def test_32_a_late_ping_enters_at_once_and_leaves_when_its_hour_is_over() -> None:
    """Case 32: one entry with its expiration, one exit."""
    watched = Watched({PING: PINGED})
    pinged_ms = NOW - HOUR + 10_000
    entered = watched.send(1001, {"events": [custom("Ping", pinged_ms)]})
    assert entered == [Change(key(1001), PING, True, pinged_ms + HOUR)]
    assert watched.pass_until(pinged_ms + HOUR) == []
    assert watched.engine.next_due_ms() == pinged_ms + HOUR + 1
    assert watched.pass_until(pinged_ms + HOUR + 1) == [Change(key(1001), PING, False)]


def test_33_a_batch_that_comes_to_nothing_changes_nothing() -> None:
    """Case 33: out and in again within one batch."""
    watched = Watched({A: PREMIUM})
    change = "user_attribute_change"
    events = [
        {"event_type": change, "data": {"user_attribute_name": "status", "new": new}}
        for new in ("basic", "Premium")
    ]
    assert watched.send(1001, {"events": events}) == []


def test_36_both_audiences_are_entered_in_one_step() -> None:
    """Case 36: B asks about A."""
    outer = both(named(AudienceMembership(A, is_member=True)), age("greater_or_equal", 18))
    watched = Watched({A: PREMIUM, B: outer})
    assert (watched.members(A), watched.members(B)) == ({1001, 1002}, {1001})
    body: dict[str, object] = {"user_attributes": {"status": "premium", "age": 20}}
    entered = {(each.audience, each.entered) for each in watched.send(1004, body)}
    assert entered == {(A, True), (B, True)}


def test_40_late_and_future_events() -> None:
    """Case 40: the late one changes nothing, the future one counts as at receipt."""
    watched = Watched({PING: PINGED, A: event("Login")})
    assert watched.send(1005, {"events": [custom("Login", NOW - 31 * DAY)]}) == []
    entered = watched.send(1001, {"events": [custom("Ping", NOW + DAY)]})
    assert entered == [Change(key(1001), PING, True, NOW + HOUR)]
    assert Change(key(1001), PING, False) in watched.pass_until(NOW + HOUR + 1)
