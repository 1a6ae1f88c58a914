"""How long profiles and their events are kept, and that a restart loses none: cases 20 and 28."""

from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from tests.whole.sent import DAY, HOUR, MINUTE, batch, custom
from tests.whole.world import DOCUMENT, T, World, changed, running

USERS = "/platform/v2/workspaces/1/users"


async def status(world: World, mpid: int) -> int:
    """Return the status of a profile's reading."""
    response = await world.get(f"/userprofile/v1/1/1/1/{mpid}", fields="user_attributes")
    return response.status


async def test_case_20_reading_does_not_extend_a_profiles_life(
    world: World, clock: ManualClock
) -> None:
    """spec/profiles.md, worked case 20."""
    consent = {"gdpr": {"ads": {"consented": True, "timestamp_unixtime_ms": 5}}}
    await world.accept(
        batch(
            "c-1",
            custom("Before"),
            user_attributes={"a": "1"},
            user_identities={"email": "ann@example.com"},
            device_info={"platform": "iOS", "ios_idfv": "22222222-2222-3333-4444-555555555555"},
            consent_state=consent,
        )
    )
    mpid = await world.mpid("c-1")
    clock.advance(30 * DAY)
    assert (await world.profile(mpid))["last_stored_timestamp_ms"] == T
    clock.advance(DAY)
    world.sweep()
    assert await status(world, mpid) == 404
    assert (await world.resolve("c-1")).status == 404
    await world.accept(batch("c-1", custom("After")))
    assert await world.mpid("c-1") == mpid
    profile = await world.profile(mpid)
    assert profile["user_attributes"] == {}
    assert profile["device_identities"] == []
    assert profile["consent_state"] == {}
    assert profile["last_stored_timestamp_ms"] == T + 31 * DAY
    assert [each["name"] for each in await world.events(mpid)] == ["Before", "After"]


@pytest.mark.parametrize("is_swept", [True, False], ids=["swept", "not swept yet"])
async def test_what_is_due_is_gone_whether_or_not_it_was_swept(
    world: World, clock: ManualClock, is_swept: bool
) -> None:
    await world.accept(batch("c-1", user_attributes={"a": "1"}))
    mpid = await world.mpid("c-1")
    clock.advance(30 * DAY)
    assert await status(world, mpid) == 200
    clock.advance(1)
    if is_swept:
        world.sweep()
    assert await status(world, mpid) == 404
    await world.accept(batch("c-1", user_attributes={"b": "2"}))
    assert await world.attributes(mpid) == {"b": "2"}


async def test_every_batch_starts_the_lifetime_anew(world: World, clock: ManualClock) -> None:
    """spec/profiles.md, 6."""
    await world.accept(batch("c-1", user_attributes={"a": "1"}))
    for _ in range(3):
        clock.advance(29 * DAY)
        world.sweep()
        await world.accept(batch("c-1", custom()))
    assert await world.attributes("c-1") == {"a": "1"}


@pytest.mark.parametrize("is_swept", [True, False], ids=["swept", "not swept yet"])
async def test_who_has_aged_out_is_still_found_with_the_events(
    world: World, clock: ManualClock, is_swept: bool
) -> None:
    """spec/profiles.md, 6: users seen within the data retention."""
    await world.accept(batch("c-1", custom("Before"), user_attributes={"a": "1"}))
    mpid = await world.mpid("c-1")
    clock.advance(40 * DAY)
    if is_swept:
        world.sweep()
    assert await world.find("c-1") == [mpid]
    assert [each["name"] for each in await world.events(mpid)] == ["Before"]
    user = await (await world.get(f"{USERS}/{mpid}")).json()
    assert user["user_attributes"] == []
    assert user["user_details"]["last_seen_ms"] == T


async def test_a_longer_lifetime_is_kept(tmp_path: Path, clock: ManualClock) -> None:
    """spec/profiles.md, 6: the `lifetime profiles` mode; lowering it counts at the next sweep."""
    longer = changed(DOCUMENT, workspace={"retention": {"profile_idle_days": 365}})
    async with running(tmp_path, document=longer, clock=clock) as world:
        await world.accept(batch("c-1", user_attributes={"a": "1"}))
        clock.advance(300 * DAY)
        world.sweep()
        assert await world.attributes("c-1") == {"a": "1"}
        mpid = await world.mpid("c-1")
    async with running(tmp_path, clock=clock) as world:
        world.sweep()
        assert await status(world, mpid) == 404


async def test_events_go_with_the_data_retention(world: World, clock: ManualClock) -> None:
    """spec/profiles.md, 6: 730 days."""
    await world.accept(batch("c-1", custom("First")))
    clock.advance(HOUR)
    await world.accept(batch("c-1", custom("Second")))
    await world.historical([batch("c-1", custom("Old", T - 10 * DAY))])
    mpid = await world.mpid("c-1")
    clock.advance(730 * DAY)
    world.sweep()
    # What lies in the log goes by when it was stored; of the first nothing is left.
    assert {each["name"] for each in await world.events(mpid)} == {"Second", "Old"}
    clock.advance(MINUTE)
    world.sweep()
    assert await world.find("c-1") == []
    for path in (f"/{mpid}", f"/{mpid}/events"):
        assert (await world.get(USERS + path)).status == 404
    await world.accept(batch("c-1", custom("New")))
    assert [each["name"] for each in await world.events("c-1")] == ["New"]


async def test_a_sweep_touches_nobody_else(world: World, clock: ManualClock) -> None:
    for number in range(20):
        await world.accept(batch(f"c-{number}", user_attributes={"n": number}))
    clock.advance(20 * DAY)
    for number in range(0, 20, 2):
        await world.accept(batch(f"c-{number}", custom()))
    clock.advance(15 * DAY)
    world.sweep()
    for number in range(20):
        mpid = await world.mpid(f"c-{number}")
        assert await status(world, mpid) == (404 if number % 2 else 200)


async def send_thousand(world: World, clock: ManualClock) -> None:
    for start in range(0, 1000, 100):
        batches = [
            batch(f"c-{number}", custom(), user_attributes={"n": number})
            for number in range(start, start + 100)
        ]
        response = await world.bulk(batches)
        assert response.status == 202, await response.text()
        clock.advance(1000)


@pytest.mark.parametrize("shards", [1, 3])
async def test_case_28_what_was_accepted_is_there_after_a_restart(
    tmp_path: Path, clock: ManualClock, shards: int
) -> None:
    """spec/profiles.md, worked case 28; tests/crash kills the process."""
    document = changed(DOCUMENT, workspace={"limits": {"profile_requests_per_second": 10_000}})
    setup: dict[str, Any] = {"shards": shards, "document": document, "clock": clock}
    async with running(tmp_path, **setup) as world:
        await send_thousand(world, clock)
        mpids = {number: await world.mpid(f"c-{number}") for number in range(0, 1000, 50)}
    async with running(tmp_path, **setup) as world:
        assert sum(shard.state.status()["profiles"]["stored"] for shard in world.shards) == 1000
        assert len(world.outgoing()) == 1000
        token = await world.token()
        for number in range(1000):
            body = {
                "environment_type": "production",
                "identity": {"type": "customer_id", "value": f"c-{number}"},
            }
            path = "/userprofile/v1/resolve/1/1/1?fields=user_attributes"
            response = await world.client.post(path, json=body, headers=token)
            profile = await response.json()
            assert profile["user_attributes"] == {"n": str(number)}
            assert profile["mpid"] == mpids.get(number, profile["mpid"])
        await world.accept(batch("c-7", custom(), user_attributes={"m": "1"}))
        assert await world.attributes("c-7") == {"n": "7", "m": "1"}


async def test_a_timeline_goes_on_after_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    async with running(tmp_path, clock=clock) as world:
        await world.accept(batch("c-1", custom("A")))
        await world.historical([batch("c-1", custom("Old", T - 10 * DAY))])
        mpid = await world.mpid("c-1")
    async with running(tmp_path, clock=clock) as world:
        await world.accept(batch("c-1", custom("B")))
        assert await world.mpid("c-1") == mpid
        shown = [item["events"][0]["name"] for item in await world.timeline(mpid)]
        assert shown == ["B", "A", "Old"]
