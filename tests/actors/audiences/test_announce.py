"""Deliveries of membership changes (spec/audiences.md, 12.2; spec/connections.md, 5 and 7.1)."""

import itertools
from typing import Any

import orjson

from actors.audiences.announce import (
    FIRST_NUMBER,
    MemberChange,
    Subscription,
    announce,
    identities_of,
)
from actors.model.deliveries import Delivery
from actors.model.profiles import (
    AttributeValue,
    Device,
    IdentityValue,
    Profile,
    ProfileKey,
    Section,
)
from actors.outputs.audience_messages import MessageAudience

NOW_MS = 1_773_147_600_000
ANN = ProfileKey(1, "production", 1005)


def person() -> tuple[Profile, Section]:
    section = Section(1, 2)
    section.devices = {
        "old": Device("old", 1, 5, identities={"ios_vendor_id": "v-old"}),
        "new": Device("new", 1, 9, identities={"ios_vendor_id": "v-new"}),
    }
    section.user_attributes = {
        "city": AttributeValue("Paris", 1, 1),
        "ltv": AttributeValue("1", 1, 1),
    }
    profile = Profile(1, workspaces={1: section})
    profile.user_identities = {"email": IdentityValue("e@example.com", 1, 1)}
    profile.partner_identities = {"acme": "p1"}
    return profile, section


def subscription(number: int = 0, **changes: Any) -> Subscription:
    values: dict[str, Any] = {
        "number": FIRST_NUMBER + number,
        "id": f"s{number}",
        "audience": 7,
        "name": MessageAudience(7, "Paris fans", "paris"),
        "workspace": 1,
        "output": "hook",
        "environments": frozenset({"production"}),
    }
    return Subscription(**values | changes)


def announced(action: Any, *subscriptions: Subscription, changed: str = "") -> list[Delivery]:
    profile, section = person()
    change = MemberChange(ANN, 7, action, frozenset(changed.split()))
    draw = itertools.count(100).__next__
    return announce(change, profile, section, {"ltv": "500"}, subscriptions, NOW_MS, draw)


def test_the_latest_device_speaks_for_its_type() -> None:
    assert identities_of(person()[0]) == {
        "ios_vendor_id": "v-new",
        "partner:acme": "p1",
        "email": "e@example.com",
    }


def test_an_entry_is_told_with_identities() -> None:
    [delivery] = announced("add", subscription())
    assert (delivery.sequence, delivery.connection, delivery.mpid) == (100, FIRST_NUMBER, 1005)
    assert orjson.loads(delivery.payload) == {
        "type": "audience_membership_change",
        "id": delivery.delivery_id,
        "timestamp_ms": NOW_MS,
        "workspace_id": 1,
        "audience": {"id": 7, "name": "Paris fans", "external_name": "paris"},
        "changes": [
            {
                "mpid": 1005,
                "action": "add",
                "identities": identities_of(person()[0]),
                "user_attributes": {},
                "deleted_user_attributes": [],
            }
        ],
    }


def test_shared_attributes_go_with_an_entry_and_calculated_ones_shadow_others() -> None:
    shares = subscription(shared_user_attributes=("ltv", "city", "missing"))
    [entered] = announced("add", shares)
    [left] = announced("delete", shares)
    assert orjson.loads(entered.payload)["changes"][0]["user_attributes"] == {
        "ltv": "500",
        "city": "Paris",
    }
    assert orjson.loads(left.payload)["changes"][0]["user_attributes"] == {}


def test_an_update_has_all_that_is_shared_and_names_what_is_missing() -> None:
    shares = subscription(shared_user_attributes=("ltv", "missing"))
    [updated] = announced("attribute_update", shares, changed="ltv")
    [change] = orjson.loads(updated.payload)["changes"]
    assert change["action"] == "attribute_update"
    assert change["user_attributes"] == {"ltv": "500"}
    assert change["deleted_user_attributes"] == ["missing"]


def test_who_does_not_share_what_has_changed_is_not_told() -> None:
    none, other = subscription(1), subscription(2, shared_user_attributes=("city",))
    assert announced("attribute_update", none, other, changed="ltv") == []


def test_an_output_gets_only_what_it_accepts_and_nothing_of_a_user_without() -> None:
    some = subscription(1, identities=frozenset({"email"}))
    none = subscription(2, identities=frozenset({"facebook"}))
    [delivery] = announced("add", some, none)
    assert orjson.loads(delivery.payload)["changes"][0]["identities"] == {"email": "e@example.com"}


def test_every_subscription_has_a_delivery_of_its_own() -> None:
    first, second = announced("delete", subscription(1), subscription(2))
    assert first.delivery_id != second.delivery_id
    assert [first.sequence, second.sequence] == [100, 101]


def test_an_environment_that_the_output_does_not_take_is_not_told() -> None:
    assert announced("add", subscription(environments=frozenset({"development"}))) == []
