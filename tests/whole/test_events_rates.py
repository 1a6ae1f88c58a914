"""Rate limits of batches: worked cases 58 to 62. The clock stands still unless it is moved."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from aiohttp import ClientResponse

from actors.clock import ManualClock
from tests.whole.cases import USED, problems, user
from tests.whole.world import DOCUMENT, World, changed, running

EXCEEDED = "X-mp-rate-limit-exceeded"


def limited(
    folder: Path, clock: ManualClock, **limits: int | dict[str, int]
) -> AbstractAsyncContextManager[World]:
    """Run a deployment whose workspace has other limits."""
    document = changed(DOCUMENT, workspace={"limits": limits})
    return running(folder, document=document, clock=clock)


def told(response: ClientResponse) -> tuple[int, str, str]:
    """Return what a client goes by: status, seconds to wait, exceeded level."""
    headers = response.headers
    return response.status, headers.get("Retry-After", ""), headers.get(EXCEEDED, "")


@pytest.mark.parametrize(("key", "level"), [("k1", "feed"), ("k2", "app")])
async def test_case_58_a_second_of_single_batches(world: World, key: str, level: str) -> None:
    """spec/events-api.md, worked case 58."""
    first = await world.send(user(), key)
    assert (first.status, first.headers[USED]) == (202, "0")
    others = await asyncio.gather(*(world.send({}, key) for _ in range(269)))
    assert {each.status for each in others} == {202}
    used = sorted(int(each.headers[USED]) for each in (first, *others))
    assert used == [100 * number // 270 for number in range(1, 271)]
    assert (used[0], used[99], used[269]) == (0, 37, 100)
    response = await world.send(user("late"), key)
    assert told(response) == (429, "1", level)
    assert USED not in response.headers
    assert (await problems(response))[0]["code"] == "TOO_MANY_REQUESTS"
    assert await world.find("late") == []


async def test_case_58_inputs_do_not_share_their_limit(world: World, clock: ManualClock) -> None:
    """spec/events-api.md, 4."""
    for count in (100, 100, 70):
        assert (await world.bulk([{}] * count)).status == 202
    assert (await world.send({})).status == 429
    assert (await world.send({}, "k2")).headers[USED] == "0"
    clock.advance(3)
    assert (await world.send({})).status == 429
    clock.advance(1)
    assert (await world.send({})).status == 202


async def test_case_59_a_request_passes_whole_or_not_at_all(world: World) -> None:
    """spec/events-api.md, worked case 59."""
    for count in (100, 100, 40):
        assert (await world.bulk([{}] * count)).status == 202
    refused = [user(f"refused{number}") for number in range(40)]
    assert told(await world.bulk(refused)) == (429, "1", "feed")
    assert [each for each in world.log() if each.batch.user_identities] == []
    admitted = [user(f"admitted{number}") for number in range(30)]
    response = await world.bulk(admitted)
    assert (response.status, response.headers[USED]) == (202, "100")
    assert len([each for each in world.log() if each.batch.user_identities]) == 30


async def test_case_60_more_than_the_limit_in_one_request(
    tmp_path: Path, clock: ManualClock
) -> None:
    """spec/events-api.md, worked case 60."""
    async with limited(tmp_path, clock, batches_per_second=10) as world:
        response = await world.bulk([{}] * 40)
        assert (response.status, response.headers[USED]) == (202, "100")
        assert told(await world.send({})) == (429, "4", "feed")
        clock.advance(3099)
        assert told(await world.send({})) == (429, "1", "feed")
        clock.advance(1)
        assert (await world.send({})).status == 202
        assert told(await world.bulk([{}] * 40)) == (429, "1", "feed")


async def test_case_61_acceleration(tmp_path: Path, clock: ManualClock) -> None:
    """spec/events-api.md, worked case 61."""
    async with limited(tmp_path, clock, acceleration=100) as world:
        response = await world.bulk([{}] * 100)
        assert (response.status, response.headers[USED]) == (202, "100")
        assert told(await world.send(user())) == (429, "1", "acceleration")
        clock.advance(1000)
        for _ in range(2):
            assert (await world.bulk([{}] * 100)).status == 202
        assert told(await world.send(user())) == (429, "1", "acceleration")
        assert await world.find("a") == []
        clock.advance(2000)
        assert (await world.bulk([{}] * 100)).status == 202
        assert told(await world.send({})) == (429, "1", "acceleration")


async def test_case_62_malformed_bodies_use_nothing(world: World) -> None:
    """spec/events-api.md, worked case 62."""
    malformed = await asyncio.gather(*(world.post("/v2/events", b"{") for _ in range(300)))
    assert {each.status for each in malformed} == {400}
    good = await asyncio.gather(*(world.send({}) for _ in range(270)))
    assert {each.status for each in good} == {202}
    assert (await world.send({})).status == 429


async def test_what_is_invalid_uses_tokens(world: World) -> None:
    """spec/events-api.md, 3.1: requests refused at step 6 do."""
    for count in (100, 100, 69):
        assert (await world.bulk([5] * count)).status == 400
    response = await world.bulk([{}])
    assert (response.status, response.headers[USED]) == (202, "100")
    assert (await world.send({})).status == 429


async def test_case_62_without_a_limit(tmp_path: Path, clock: ManualClock) -> None:
    """spec/events-api.md, worked case 62."""
    async with limited(tmp_path, clock, batches_per_second=0) as world:
        for _ in range(4):
            response = await world.bulk([{}] * 100)
            assert response.status == 202
            assert USED not in response.headers


@pytest.mark.parametrize("level", ["workspace", "account", "org", "system"])
async def test_all_inputs_share_the_limits_above_them(
    tmp_path: Path, clock: ManualClock, level: str
) -> None:
    """spec/events-api.md, 4: across paths too; the input's own limit is named first."""
    shared = {level: {"batches_per_second": 10}}
    async with limited(tmp_path, clock, batches_per_second=15, **shared) as world:
        assert (await world.send({})).headers[USED] == "10"
        assert (await world.bulk([{}] * 9, "k2")).headers[USED] == "100"
        assert told(await world.send({}, "k3")) == (429, "1", level)
        assert told(await world.historical([{}], "k2")) == (429, "1", level)
        assert told(await world.bulk([{}] * 15, "k2")) == (429, "1", "app")
