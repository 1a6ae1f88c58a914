"""What a shard answers about the members that it keeps (spec/audiences.md, 7 and 11)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.audiences.announce import Subscription
from actors.audiences.answers import Counts, Member
from actors.audiences.criteria import AudienceMembership, Named
from actors.audiences.objects import AbTest, Variation
from actors.audiences.receivers import Withheld
from actors.audiences.told import LiveAudiences, LiveSubscription
from actors.errors import ShardUnavailable, StoreFull
from actors.outputs.audience_messages import MessageAudience
from actors.profiles.view import MEMBERSHIPS
from actors.shard_views import ShardViews
from actors.store.member_counts import SPAN_MS
from tests.actors.audience_shards import Asked, audience, fixture_shard
from tests.oracle.audiences.build import (
    attribute,
    event,
    negated,
    within_last,
)
from tests.oracle.audiences.fixture import (
    DAY,
    EMAIL,
    HOUR,
    MINUTE,
    NOW,
    PEOPLE,
    WORKSPACE,
    custom,
)

PREMIUM = attribute("status", "string", "equals", "premium")
GOLD = attribute("status", "string", "equals", "gold")
ADULT = attribute("age", "number", "greater_or_equal", 18)
ONE, TWO, LIST = 1, 2, 3
VENDOR = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[Asked]:
    """Open the users of the worked cases at their instant."""
    with fixture_shard(tmp_path) as asked:
        yield asked


# -- Members and counts ---------------------------------------------------------------------------


def test_members_come_in_pages_with_the_instant_of_their_entry(shard: Asked) -> None:
    shard.define(audience(ONE, negated(PREMIUM)), audience(LIST, None))
    shard.clock.advance(MINUTE)
    shard.send(1002, {"user_attributes": {"status": "basic"}})
    views = shard.members
    assert views.audience_members(ONE, None, 2) == [Member(1002, NOW + MINUTE), Member(1003, NOW)]
    assert views.audience_members(ONE, 1003, 2) == [Member(1004, NOW), Member(1005, NOW)]
    assert views.audience_members(ONE, 1005, 2) == []
    assert views.audience_member(ONE, 1002) == Member(1002, NOW + MINUTE)
    assert views.audience_member(ONE, 1001) is None
    assert views.audience_member(ONE, 42) is None
    assert views.audience_member(99, 1002) is None
    assert views.audience_members(99, None, 2) == []


def test_who_asks_for_a_list_changes_with_it(shard: Asked) -> None:
    """Rule 15 of section 5."""
    shard.define(audience(LIST, None), audience(ONE, Named(AudienceMembership(LIST, True))))
    shard.worker.change_list(1, LIST, [1001], [])
    assert shard.members.audience_counts()[ONE].size == 1
    shard.worker.change_list(2, LIST, [], [1001])
    assert shard.members.audience_counts()[ONE].size == 0


def test_members_of_a_list_are_those_on_it_who_are_known(shard: Asked) -> None:
    shard.define(audience(LIST, None))
    shard.worker.change_list(1, LIST, [1004, 1001, 42], [])
    assert [each.mpid for each in shard.members.audience_members(LIST, None, 9)] == [1001, 1004]
    shard.restart()
    assert shard.members.audience_counts()[LIST].size == 2
    shard.worker.change_list(2, LIST, [], [1001])
    assert [each.mpid for each in shard.members.audience_members(LIST, None, 9)] == [1004]


def test_what_enters_and_leaves_is_counted_for_a_day_without_the_first_pass(shard: Asked) -> None:
    shard.define(audience(ONE, PREMIUM))
    assert shard.members.audience_counts() == {ONE: Counts(2)}
    shard.send(1004, {"user_attributes": {"status": "premium"}})
    shard.clock.advance(HOUR)
    shard.send(1001, {"user_attributes": {"status": "basic"}})
    shard.send(77, {"user_attributes": {"status": "premium"}})
    counted = {ONE: Counts(3, added=2, dropped=1)}
    assert shard.members.audience_counts() == counted
    shard.restart()
    assert shard.members.audience_counts() == counted
    shard.clock.advance(DAY - HOUR + SPAN_MS)
    assert shard.members.audience_counts() == {ONE: Counts(3, added=1, dropped=1)}
    shard.clock.advance(HOUR)
    assert shard.members.audience_counts() == {ONE: Counts(3)}


def test_differences_of_an_edit_are_counted(shard: Asked) -> None:
    """Case 34, in small: an edit of an active audience is no first pass."""
    shard.define(audience(ONE, PREMIUM))
    shard.define(audience(ONE, GOLD, revision=2), audience(TWO, ADULT))
    assert shard.members.audience_counts() == {ONE: Counts(1, 1, 2), TWO: Counts(2)}
    shard.define()
    shard.define(audience(ONE, GOLD, revision=3))
    assert shard.members.audience_counts() == {ONE: Counts(1)}


def test_nothing_is_counted_of_a_transaction_that_fails(
    shard: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard.define(audience(ONE, PREMIUM))

    def full(*_: object) -> None:
        raise StoreFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr("actors.shard.micro_batches.remember", full)
        with pytest.raises(StoreFull):
            shard.send(1004, {"user_attributes": {"status": "premium"}})
    assert shard.members.audience_counts() == {ONE: Counts(2)}
    shard.send(1004, {"user_attributes": {"status": "premium"}})
    assert shard.members.audience_counts() == {ONE: Counts(3, added=1)}


def bring_device(shard: Asked) -> None:
    """Let 1005 have a device with a vendor's id."""
    shard.send(
        1005,
        {
            "mp_deviceid": "33333333-3333-4333-8333-333333333333",
            "device_info": {"platform": "iOS", "ios_idfv": VENDOR},
        },
    )


def test_43_identities_of_members_are_exported(shard: Asked) -> None:
    """Case 43: 1005 has an e-mail address and a vendor's id, 1002 has nothing."""
    bring_device(shard)
    shard.define(audience(LIST, None))
    shard.worker.change_list(1, LIST, [1005, 1002], [])
    rows = shard.members.export_members(LIST, ["email", "customer_id"], None, 10)
    assert [(each.mpid, each.scanned_ms, each.identities) for each in rows] == [
        (1002, NOW, ()),
        (1005, NOW, (("email", EMAIL),)),
    ]
    [row] = shard.members.export_members(LIST, ["ios_vendor_id"], 1002, 10)
    assert [name for name, _ in row.identities] == ["ios_vendor_id"]
    assert row.identities[0][1].lower() == VENDOR


def subscribed(**changes: Any) -> LiveSubscription:
    """Return a subscription of `ONE`."""
    variation = changes.pop("variation", None)
    told = Subscription(
        number=5,
        id="s",
        audience=ONE,
        name=MessageAudience(ONE, "x", "x"),
        workspace=WORKSPACE.number,
        output="files",
        environments=frozenset({"production"}),
        **changes,
    )
    return LiveSubscription(
        subscription=told, variation=variation, is_faulted=False, resumed=0, sends=0
    )


def exported(shard: Asked, subscription: LiveSubscription, test: AbTest | None = None) -> Any:
    """Return whom a subscription to everybody exports with which types."""
    shard.live = LiveAudiences(
        version=shard.live.version + 1,
        audiences=(audience(ONE, event("Ping", frequency=("equals", 0)), test=test),),
        subscriptions=(subscription,),
    )
    shard.worker.set_audiences(shard.live)
    shard.settle()
    rows = shard.members.export_subscribed(5, ["email", "ios_vendor_id"], None, 10)
    assert [each.mpid for each in rows] == list(PEOPLE)
    return {each.mpid: [name for name, _ in each.identities] for each in rows if each.identities}


def test_a_subscription_exports_only_what_its_receiver_is_told(shard: Asked) -> None:
    """Spec/audiences.md, 10 and 12.1."""
    bring_device(shard)
    assert exported(shard, subscribed()) == {1005: ["email", "ios_vendor_id"]}
    stranger = Withheld(frozenset({"email"}), frozenset({77}))
    assert exported(shard, subscribed(withheld=stranger)) == {1005: ["ios_vendor_id"]}
    friend = Withheld(frozenset({"email"}), frozenset({WORKSPACE.number}))
    assert exported(shard, subscribed(withheld=friend)) == {1005: ["email", "ios_vendor_id"]}
    test = AbTest(1, (Variation("A", 10_000),), "", 0)
    assert exported(shard, subscribed(variation="A"), test) == {1005: ["email", "ios_vendor_id"]}
    assert exported(shard, subscribed(variation="Control"), test) == {}
    assert shard.members.export_subscribed(6, ["email"], None, 10) == []


def test_the_profile_api_tells_when_a_membership_lapses(shard: Asked) -> None:
    """Spec/profiles.md, 7.3."""
    shard.define(audience(ONE, event("Ping", within_last(HOUR))), audience(TWO, PREMIUM))
    shard.send(1001, {"events": [custom("Ping", NOW - MINUTE)]})
    views = ShardViews(shard.shard, shard.clock)
    for body in (views.profile(1001, None, (MEMBERSHIPS,)), views.user(1001, "production")):
        assert body is not None
        assert [
            (each["audience_id"], each["expiration_timestamp_ms"]) for each in body[MEMBERSHIPS]
        ] == [(ONE, NOW - MINUTE + HOUR), (TWO, None)]
    assert shard.members.audience_member(ONE, 1001) == Member(1001, NOW)


def test_after_a_start_of_a_large_store_members_are_told_once_all_are_known(
    shard: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is about one user, and batches, are answered at once."""
    shard.define(audience(ONE, event("Login")))
    before = shard.members.audience_members(ONE, None, 9)
    monkeypatch.setattr("actors.shard_state.LOAD_S", 0.0)
    shard.restart()
    for ask in (
        shard.members.audience_counts,
        lambda: shard.members.audience_members(ONE, None, 9),
        lambda: shard.members.export_members(ONE, (EMAIL,), None, 9),
    ):
        with pytest.raises(ShardUnavailable):
            ask()
    assert shard.members.audience_member(ONE, 1004) == before[-1]
    shard.send(1002, {"events": [custom("Login", NOW)]})
    shard.settle()
    assert shard.members.audience_members(ONE, None, 9) == [Member(1002, NOW), *before]
    assert shard.members.audience_counts()[ONE].size == 1 + len(before)
