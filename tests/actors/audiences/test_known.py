"""What a shard keeps of what it is told, and memberships in a profile (spec/profiles.md, 7.3)."""

from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from actors.audiences.fields import AudienceFields, SubscriptionFields
from actors.audiences.in_force import InForce, read_in_force, with_audiences, write_in_force
from actors.audiences.known import KnownAudiences, shown_memberships
from actors.audiences.told import LiveAudiences
from actors.calculated.definition import (
    Attribute,
    Datapoint,
    DateRange,
    Definition,
    LiveAttributes,
)
from actors.model.profiles import Section
from actors.profiles.view import profile_view, user_view
from actors.store.environment import Store
from tests.actors.audiences.desks import ACTOR, HOOK, MAP_SIZE_BYTES, attribute, clips, open_desk
from tests.actors.calculated.builders import definition
from tests.oracle.audiences.fixture import WORKSPACE, make_users


async def told(folder: Path) -> LiveAudiences:
    """Return what the shards are told of three audiences, one of them standard, one static."""
    with open_desk(folder, make_users()) as desk:
        calls = desk.calls
        for fields in (
            AudienceFields(name="Clips", definition={"and": [clips(1), attribute("gold")]}),
            AudienceFields(name="List", type="static"),
        ):
            made = await calls.create_audience(fields, ACTOR)
            await calls.activate_audience(made.number, ACTOR)
        standard = await calls.create_audience(
            AudienceFields(name="Old", type="standard", definition=clips(0)), ACTOR
        )
        await calls.calculate_audiences([standard.number], ACTOR)
        await calls.create_subscription(standard.number, SubscriptionFields(output=HOOK), ACTOR)
        return desk.shards[0].live


async def test_what_a_shard_was_told_is_there_after_a_restart(tmp_path: Path) -> None:
    live = await told(tmp_path)
    assert [each.name for each in live.audiences] == ["Clips", "List", "Old"]
    for number in range(2):
        store = Store(tmp_path / "shard", MAP_SIZE_BYTES)
        if number == 0:
            with store.read() as txn:
                assert read_in_force(txn) == InForce()
            with store.write() as txn:
                write_in_force(txn, with_audiences(InForce(), live, 3))
        with store.read() as txn:
            assert read_in_force(txn).audiences == live
        store.close()


def test_an_attribute_that_cannot_be_read_does_not_keep_the_others_from_being_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its values and seeds stay, and the log says which one it is."""
    good = Attribute(3, "ltv", 1, definition("count"))
    datapoint = Datapoint("screen_view", cast(str, ["Home"]))
    bad = Attribute(4, "views", 1, Definition("count", datapoint, DateRange("all")))
    told_all = InForce(
        attributes=LiveAttributes(7, (good, bad), frozenset({5}), 9),
        epoch=2,
        attribute_epochs={3: (1, 10), 4: (2, 20)},
    )
    store = Store(tmp_path, MAP_SIZE_BYTES)
    with store.write() as txn:
        write_in_force(txn, told_all)
    with store.read() as txn:
        in_force = read_in_force(txn)
    store.close()
    assert in_force == replace(
        told_all, attributes=LiveAttributes(7, (good,), frozenset({4, 5}), 9)
    )
    [record] = [each for each in caplog.records if "cannot be read" in each.getMessage()]
    assert record.__dict__["calculated"] == 4


async def test_memberships_are_shown_by_audience_as_long_as_it_exists(tmp_path: Path) -> None:
    known = KnownAudiences(await told(tmp_path))
    first, second, _ = (each.number for each in known.live.audiences)
    section = Section(0, 0, audiences={second: 5, 77: 5, first: 9})
    assert shown_memberships(section, known, {first: 1000}) == [
        {"audience_id": first, "audience_name": "Clips", "expiration_timestamp_ms": 1000},
        {"audience_id": second, "audience_name": "List", "expiration_timestamp_ms": None},
    ]
    users = make_users()
    profile = users.profiles[1001]
    profile.workspaces[WORKSPACE.number].audiences = {first: 9}
    shown = [{"audience_id": first, "audience_name": "Clips", "expiration_timestamp_ms": None}]
    fields = ("audience_memberships",)
    view = profile_view(1001, profile, WORKSPACE, fields, audiences=known)
    assert cast(dict[str, Any], view)["audience_memberships"] == shown
    activity = user_view(1001, profile, WORKSPACE, audiences=known)
    assert cast(dict[str, Any], activity)["audience_memberships"] == shown
