"""Whom subscriptions are told of, and with what (spec/audiences.md, 12.2; connections.md, 5)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.model.profiles import ProfileKey
from tests.whole.identities import modify
from tests.whole.test_audiences import (
    AUDIENCE_DOCUMENT,
    DAY_MS,
    advance,
    ask,
    changes,
    connected,
    send,
    status_is,
)
from tests.whole.world import World, changed, running

FILES = {
    "id": "files",
    "kind": "audience",
    "module": "audience_csv",
    "name": "Files",
    "settings": {"url": "file:///tmp/nothing-is-written", "identities": ["email", "ios_vendor_id"]},
}
DOCUMENT = changed(AUDIENCE_DOCUMENT, outputs=[*AUDIENCE_DOCUMENT["outputs"], FILES])
HOOK_OUTPUT, FILES_OUTPUT = 2, 3
VENDOR = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Run one shard, whose deliveries have one order."""
    async with running(tmp_path, document=DOCUMENT, shards=1) as opened:
        yield opened


async def gold(world: World, output: int, **fields: Any) -> tuple[str, int]:
    """Make an audience of who is gold, with one connection; return its path and the connection."""
    audience, subscription = await connected(world, "Gold", status_is("gold"))
    path = f"/{audience}/subscriptions"
    if output == HOOK_OUTPUT:
        path = f"{path}/{subscription}"
        if fields:
            await ask(world, 200, "PUT", path, fields)
    else:
        subscription = (await ask(world, 201, "POST", path, {"output_id": output} | fields))["id"]
        path = f"{path}/{subscription}"
    await world.settle_audiences()
    return path, subscription


def updates(world: World, subscription: int, since: int) -> list[dict[str, Any]]:
    """Return the changes that a subscription was told after so many others, by user."""
    found = [
        change for message in world.told(subscription)[since:] for change in message["changes"]
    ]
    return sorted(found, key=lambda each: int(each["mpid"]))


async def test_members_are_told_when_other_attributes_are_shared(world: World) -> None:
    await send(world, "ann", status="gold", city="Rome", age=30)
    await send(world, "bob", status="gold")
    await send(world, "eve", status="silver", city="Oslo")
    path, subscription = await gold(world, HOOK_OUTPUT)
    assert len(world.told(subscription)) == 2
    mpids = sorted([await world.mpid("ann"), await world.mpid("bob")])
    await ask(world, 200, "PUT", path, {"shared_user_attributes": ["city", "age"]})
    await world.settle_audiences()
    told = updates(world, subscription, 2)
    assert [(each["action"], each["mpid"]) for each in told] == [
        ("attribute_update", mpid) for mpid in mpids
    ]
    by_user = {each["mpid"]: each for each in told}
    ann, bob = by_user[await world.mpid("ann")], by_user[await world.mpid("bob")]
    assert ann["user_attributes"] == {"city": "Rome", "age": "30"}
    assert (bob["user_attributes"], bob["deleted_user_attributes"]) == ({}, ["city", "age"])
    # What is not shared any more is taken back, now and in all updates to come.
    await ask(world, 200, "PUT", path, {"shared_user_attributes": ["age"]})
    await world.settle_audiences()
    told = updates(world, subscription, 4)
    assert len(told) == 2
    by_user = {each["mpid"]: each for each in told}
    ann = by_user[await world.mpid("ann")]
    assert (ann["user_attributes"], ann["deleted_user_attributes"]) == ({"age": "30"}, ["city"])
    await send(world, "ann", age=31)
    [last] = updates(world, subscription, 6)
    assert (last["user_attributes"], last["deleted_user_attributes"]) == ({"age": "31"}, ["city"])
    await ask(world, 200, "PUT", path, {"shared_user_attributes": ["age"]})
    await world.settle_audiences()
    assert len(world.told(subscription)) == 7
    await ask(world, 200, "PUT", path, {"shared_user_attributes": []})
    await world.settle_audiences()
    told = updates(world, subscription, 7)
    assert {tuple(each["deleted_user_attributes"]) for each in told} == {("city", "age")}


async def test_who_has_no_accepted_identity_is_told_of_when_there_is_one(world: World) -> None:
    await send(world, "ann", status="gold", city="Rome")
    await send(world, "bob", status="gold")
    _, subscription = await gold(world, FILES_OUTPUT, shared_user_attributes=["city"])
    await send(world, "eve", status="gold")
    assert changes(world, subscription) == []
    await send(world, "ann", city="Oslo")  # no update of somebody whom nobody knows
    assert changes(world, subscription) == []
    ann, eve = await world.mpid("ann"), await world.mpid("eve")
    await world.accept({"user_identities": {"customer_id": "ann", "email": "ann@example.com"}})
    assert changes(world, subscription) == [("add", ann)]
    assert updates(world, subscription, 0)[0]["user_attributes"] == {"city": "Oslo"}
    await send(world, "ann", city="Bonn")
    assert changes(world, subscription)[1:] == [("attribute_update", ann)]
    # Who leaves before is not taken back.
    await send(world, "bob", status="silver")
    assert len(changes(world, subscription)) == 2
    await send(world, "ann", status="silver")
    assert changes(world, subscription)[2:] == [("delete", ann)]
    device = {"device_info": {"platform": "iOS", "ios_idfv": VENDOR}}
    await world.accept({"user_identities": {"customer_id": "eve"}} | device)
    assert changes(world, subscription)[3:] == [("add", eve)]


async def test_an_identity_that_an_identity_call_brings_counts_as_well(world: World) -> None:
    await send(world, "ann", status="gold")
    _, subscription = await gold(world, FILES_OUTPUT)
    ann = await world.mpid("ann")
    await modify(world, str(ann), ("email", None, "ann@example.com"))
    await world.settle_audiences()
    assert changes(world, subscription) == [("add", ann)]


async def test_who_ages_out_is_taken_back_by_the_identities_that_were_told(world: World) -> None:
    device = {"device_info": {"platform": "iOS", "ios_idfv": VENDOR}}
    await world.accept(
        {"user_identities": {"customer_id": "ann"}, "user_attributes": {"status": "gold"}} | device
    )
    ann = await world.mpid("ann")
    _, subscription = await gold(world, FILES_OUTPUT)
    assert changes(world, subscription) == [("add", ann)]
    advance(world, 31 * DAY_MS)
    world.sweep()
    await world.settle_audiences()
    assert changes(world, subscription) == [("add", ann), ("delete", ann)]
    first, last = (message["changes"][0]["identities"] for message in world.told(subscription))
    assert last == first
    assert list(last) == ["ios_vendor_id"]
    with world.shards[0].store.read() as txn:
        profile = world.shards[0].profiles.get(txn, ProfileKey(1, "production", ann))
    assert profile is not None
    [section] = profile.workspaces.values()
    assert (section.is_aged_out, section.devices, section.audiences) == (True, {}, {})
