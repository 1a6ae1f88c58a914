"""Bulk requests, historical ones, and what survives a restart: worked cases 49, 50, 55 to 57."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from actors.clock import ManualClock
from tests.whole.cases import EV, newest, paths, problems, user
from tests.whole.sent import DAY, HOUR, custom
from tests.whole.world import DOCUMENT, T, World, changed, running

THREE_DAYS = 72 * HOUR
BAD: dict[str, Any] = {"events": [{"data": {}}]}


async def test_case_49_as_many_batches_as_may_be(world: World) -> None:
    """spec/events-api.md, worked case 49."""
    customers = [f"u{number}" for number in range(101)]
    response = await world.bulk([user(each) for each in customers])
    assert response.status == 400
    [problem] = await problems(response)
    assert problem["message"] == "Request contains 101 batches; the maximum is 100."
    assert world.log() == []
    assert (await world.bulk([user(each) for each in customers[:100]])).status == 202
    assert len({each.mpid for each in world.log()}) == 100


async def test_case_49_there_is_no_limit_on_events(world: World) -> None:
    """spec/events-api.md, worked case 49."""
    event = custom(custom_flags={"padding": "x" * 256})
    batches = [user(each, events=[event] * 200) for each in "abc"]
    assert 200_000 < len(orjson.dumps(batches)) < 256 * 1024
    assert (await world.bulk(batches)).status == 202
    assert [len(await world.events(each)) for each in "abc"] == [200] * 3


async def test_case_50_batches_are_independent(world: World) -> None:
    """spec/events-api.md, worked case 50."""
    response = await world.bulk([user("a"), BAD, 5])
    assert response.status == 202
    assert await paths(response) == ["[1].events[0].event_type", "[2]"]
    assert len(await world.events("a")) == 1
    response = await world.bulk([BAD, 5, None, user(environment="test")])
    assert response.status == 400
    assert await paths(response) == ["[0].events[0].event_type", "[1]", "[2]", "[3].environment"]
    assert len(world.log()) == 1


async def test_one_invalid_event_refuses_its_batch(world: World) -> None:
    """spec/events-api.md, 5.1."""
    response = await world.bulk([user("a", events=[EV, custom("")]), user("b")])
    assert (response.status, await paths(response)) == (202, ["[0].events[1].data.event_name"])
    assert (await world.find("a"), len(await world.events("b"))) == ([], 1)


async def test_case_55_what_is_not_historical(world: World) -> None:
    """spec/events-api.md, worked case 55."""
    good = user("good", events=[custom(at_ms=T - THREE_DAYS)])
    time = ".data.timestamp_unixtime_ms"
    wrong: list[tuple[dict[str, Any], str]] = [
        (user(events=[custom(at_ms=T - THREE_DAYS + 1)]), "[0].events[0]" + time),
        (user(), "[0].events[0]" + time),
        (user(events=[*good["events"], EV]), "[0].events[1]" + time),
        (user(events=[]), "[0].events"),
        (user(events=None), "[0].events"),
    ]
    for batch, path in wrong:
        response = await world.historical([batch])
        assert (response.status, await paths(response)) == (400, [path])
    assert world.log() == []
    for batch, path in wrong:
        response = await world.historical([batch, good])
        assert (response.status, await paths(response)) == (202, [path])
    assert (await world.find("a"), len(await world.events("good"))) == ([], len(wrong))


async def test_case_56_history_undoes_nothing(world: World, clock: ManualClock) -> None:
    """spec/events-api.md, worked case 56."""
    old = {"kept": "old", "added": "old"}
    await world.accept(user(user_attributes={"kept": "new"}))
    clock.advance(HOUR)
    events = [custom("Long ago", at_ms=T - 40 * DAY), custom("Later", at_ms=T - 4 * DAY)]
    response = await world.historical([user(events=events, user_attributes=old)])
    assert response.status == 202
    assert await world.attributes("a") == {"kept": "new", "added": "old"}
    recent, historical = await world.timeline("a")
    assert [recent["is_historical"], historical["is_historical"]] == [False, True]
    assert [each["name"] for each in historical["events"]] == ["Long ago", "Later"]
    assert len(world.outgoing()) == 1
    await world.accept(user())
    assert world.outgoing()[-1]["user_attributes"] == {"kept": "new", "added": "old"}
    assert [each["source_info"]["is_historical"] for each in world.outgoing()] == [False, False]


async def test_case_56_a_new_user_may_begin_with_history(world: World) -> None:
    """spec/events-api.md, worked case 56, and 5.6: identity is as usual; newer history wins."""
    for days, value in ((5, "newer"), (9, "older"), (4, "newest")):
        batch = user(events=[custom(at_ms=T - days * DAY)], user_attributes={"x": value})
        assert (await world.historical([batch])).status == 202
        assert await world.attributes("a") == {"x": "newer" if value == "older" else value}
    assert len(await world.events("a")) == 3
    assert world.outgoing() == []


async def test_case_56_a_raw_output_receives_no_history(tmp_path: Path, clock: ManualClock) -> None:
    """spec/events-api.md, worked case 56: no event output receives it, whatever its settings."""
    connections = [
        each | {"settings": {"send_as_batch": True, "raw_data_feed": True}}
        for each in DOCUMENT["connections"]
    ]
    document = changed(DOCUMENT, connections=connections)
    async with running(tmp_path, document=document, clock=clock) as world:
        old = user(events=[custom(at_ms=T - 4 * DAY)])
        assert (await world.historical([old])).status == 202
        await world.accept(user())
        assert len(await world.events("a")) == 2
        assert len(world.outgoing()) == 1


@pytest.mark.parametrize("shards", [1, 3])
async def test_case_57_what_was_acknowledged_is_there_after_a_restart(
    tmp_path: Path, clock: ManualClock, shards: int
) -> None:
    """spec/events-api.md, worked case 57; real processes are killed in tests/crash."""
    customers = [f"u{number}" for number in range(20)]
    async with running(tmp_path, shards=shards, clock=clock) as world:
        batches = [user(each, user_attributes={"x": each}) for each in customers]
        assert (await world.bulk(batches)).status == 202
        mpids = [await world.mpid(each) for each in customers]
        before = sorted(map(orjson.dumps, world.outgoing()))
    async with running(tmp_path, shards=shards, clock=clock) as world:
        assert [await world.mpid(each) for each in customers] == mpids
        for customer, mpid in zip(customers, mpids, strict=True):
            assert await world.attributes(mpid) == {"x": customer}
            assert len((await newest(world, mpid))["events"]) == 1
        assert len(world.log()) == 20
        assert sorted(map(orjson.dumps, world.outgoing())) == before
