"""One user in one request, named in ways that share nothing (spec/events-api.md, 5.2)."""

from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from tests.whole.sent import custom
from tests.whole.world import World, running

# Several, because on three shards it depends on the values which shards have them.
USERS = range(6)


def device(user: int) -> str:
    return f"0f0f0f0f-0000-4000-8000-00000000000{user}"


def other_device(user: int) -> str:
    return f"0f0f0f0f-0000-4000-8000-00000000010{user}"


def numbered(name: str, **members: Any) -> dict[str, Any]:
    return {"user_attributes": {"x": name}, "events": [custom(name)], **members}


async def known(world: World, user: int) -> int:
    """Make a customer who has a device; return the MPID."""
    customer = {"user_identities": {"customer_id": f"c{user}"}, "mp_deviceid": device(user)}
    await world.accept(customer)
    return await world.mpid(f"c{user}")


async def applied(world: World, mpid: int) -> tuple[list[str], str]:
    """Return the events of a user in the order of the log, and the attribute."""
    names = [
        event.data["event_name"]
        for each in world.log()
        for event in each.batch.events
        if each.mpid == mpid
    ]
    return names, (await world.attributes(mpid))["x"]


@pytest.mark.parametrize("shards", [1, 3])
async def test_the_mpid_behind_a_batch_with_something_new(
    tmp_path: Path, clock: ManualClock, shards: int
) -> None:
    """What is new has to be decided by the coordinator, and what names an MPID has not."""
    async with running(tmp_path, shards=shards, clock=clock) as world:
        for user in USERS:
            mpid = await known(world, user)
            identities = {"customer_id": f"c{user}", "email": f"new{user}@example.com"}
            sent = [
                numbered("first", user_identities=identities),
                numbered("second", mpid=mpid),
                numbered("third", user_identities={"email": f"new{user}@example.com"}, mpid=mpid),
                numbered("fourth", user_identities={"customer_id": f"c{user}"}),
            ]
            assert (await world.bulk(sent)).status == 202
            expected = (["first", "second", "third", "fourth"], "fourth")
            assert await applied(world, mpid) == expected


@pytest.mark.parametrize("shards", [1, 3])
async def test_one_device_behind_another(tmp_path: Path, clock: ManualClock, shards: int) -> None:
    """An anonymous user who has two, either of them first."""
    async with running(tmp_path, shards=shards, clock=clock) as world:
        for user in USERS:
            shared = {"user_identities": {"other": f"o{user}"}}
            devices = device(user), other_device(user)
            for each in devices:
                await world.accept({"mp_deviceid": each, **shared})
            mpid = await world.mpid(f"o{user}")
            requests = (
                (("first", devices[0]), ("second", devices[1])),
                (("third", devices[1]), ("fourth", devices[0])),
            )
            for request in requests:
                sent = [numbered(name, mp_deviceid=stamp) for name, stamp in request]
                assert (await world.bulk(sent)).status == 202
            expected = (["first", "second", "third", "fourth"], "fourth")
            assert await applied(world, mpid) == expected


@pytest.mark.parametrize("shards", [1, 3])
async def test_another_identity_behind_a_batch_with_something_new(
    tmp_path: Path, clock: ManualClock, shards: int
) -> None:
    """An anonymous user, whom each of the two identities finds; others are in between."""
    async with running(tmp_path, shards=shards, clock=clock) as world:
        for user in USERS:
            other = {"other": f"o{user}"}
            await world.accept({"user_identities": other, "mp_deviceid": device(user)})
            email = {"email": f"new{user}@example.com"}
            sent = [
                numbered("first", user_identities=email, mp_deviceid=device(user)),
                {"user_identities": {"customer_id": f"somebody-else-{user}"}},
                numbered("second", user_identities=other),
            ]
            assert (await world.bulk(sent)).status == 202
            mpid = await world.mpid(email["email"])
            assert await applied(world, mpid) == (["first", "second"], "second")
