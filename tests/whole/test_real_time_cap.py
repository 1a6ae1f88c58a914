"""How much of one user real-time evaluation sees (spec/profiles.md, 4; spec/audiences.md, 15)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from tests.whole import test_calculated as calculated
from tests.whole.sent import custom
from tests.whole.test_audiences import (
    AUDIENCE_DOCUMENT,
    HOUR_MS,
    advance,
    ask,
    connected,
    members,
    send,
)
from tests.whole.test_joint_audiences import BOTH, count, documents
from tests.whole.world import T, World, changed, running, serving

LIMIT = 20_000
SENT = 200  # `Buy` of about 400 bytes: many times the limit
LIMITS = {"limits": {"real_time_bytes_per_user": LIMIT}}


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(
        tmp_path, document=changed(AUDIENCE_DOCUMENT, workspace=LIMITS), clock=clock
    ) as one:
        yield one


async def seen(world: World, customer: str, at_ms: int | None = None, **scope: Any) -> int:
    """Return how many events `Buy` of a user are seen, now or as of a time."""
    mpid = await world.mpid(customer)
    low, high = 0, 2 * SENT
    while low < high:
        middle = (low + high + 1) // 2
        body = {"definition": count("Buy", middle), "mpids": [mpid], **scope}
        if at_ms is not None:
            body["as_of"] = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()
        [found] = await ask(world, 200, "POST", "/evaluate", body)
        low, high = (middle, high) if found["result"] else (low, middle - 1)
    return low


async def buy_much(world: World, customer: str, times: int = SENT) -> None:
    for _ in range(times):
        await calculated.buy(world, customer, advance(world, 1000))


async def test_the_oldest_events_are_not_seen_any_more(world: World) -> None:
    await buy_much(world, "bot")
    await calculated.buy(world, "ann", T)
    recent = await seen(world, "bot")
    sizes = stored_sizes(world)
    size = sum(sizes) // len(sizes)
    assert 0.7 * LIMIT <= recent * size <= 1.05 * LIMIT
    assert await seen(world, "ann") == 1
    assert len(await world.timeline("bot", limit="200")) == SENT  # nothing is lost
    assert await seen(world, "bot", advance(world, HOUR_MS)) == SENT  # of the archive
    assert world.count("headwater_real_time_cuts_total", workspace="w1") == 0  # nobody evaluates


def stored_sizes(world: World) -> list[int]:
    found = []
    for shard in world.shards:
        with shard.store.read() as txn:
            found += [len(encoded) for _, encoded in txn.scan("log")]
    return found


async def test_what_was_live_meanwhile_is_what_comes_later(world: World) -> None:
    """Audiences and moving attributes that were active, and such as are activated afterwards."""
    many, _ = await connected(world, "Many", count("Buy", SENT // 2))
    few, _ = await connected(world, "Few", count("Buy", 10))
    moving = calculated.definition("count")
    since = moving | {"time_period": {"type": "since", "date": "2025-12-31"}}
    await calculated.activate(world, "moving", moving)
    await calculated.activate(world, "since", since)
    await buy_much(world, "bot")
    bot = await world.mpid("bot")
    assert await members(world, few) == [bot]
    assert await members(world, many) == []
    recent = await seen(world, "bot")
    assert await calculated.value(world, "bot", "moving") == str(recent)
    assert await calculated.value(world, "bot", "since") == str(SENT)  # it only grows
    exact, _ = await connected(world, "Exact", count("Buy", recent))
    more, _ = await connected(world, "More", count("Buy", recent + 1))
    assert await members(world, exact) == [bot]
    assert await members(world, more) == []
    await calculated.activate(world, "later", moving)
    assert await calculated.value(world, "bot", "later") == str(recent)
    assert world.count("headwater_real_time_cuts_total", workspace="w1") > 0


async def test_a_standard_audience_sees_all_that_is_stored(world: World) -> None:
    await buy_much(world, "bot")
    body = {"name": "All", "type": "standard", "range": "all", "definition": count("Buy", SENT)}
    made = await ask(world, 201, "POST", "", body)
    await ask(world, 202, "POST", "/calculate", {"audience_ids": [made["id"]]})
    await world.settle_audiences()
    assert await members(world, made["id"]) == [await world.mpid("bot")]


async def test_events_of_tier_preserve_take_no_room(tmp_path: Path, clock: ManualClock) -> None:
    tiers = {"event_tiers": {"overrides": [{"event": "Beat", "tier": "preserve"}]}}
    document = changed(AUDIENCE_DOCUMENT, workspace=LIMITS | tiers)
    async with running(tmp_path, document=document, clock=clock) as world:
        await calculated.buy(world, "bot", T)
        for _ in range(SENT):
            await send(world, "bot", custom("Beat"))
        assert await seen(world, "bot") == 1


async def test_it_is_so_over_several_workspaces_and_after_a_start(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Each workspace has its own room."""
    given = [changed(each, workspace=LIMITS) for each in documents()]
    async with serving(tmp_path, given, clock=clock) as [one, other, _]:
        definition = count("Buy", 10)
        body = {"name": "Few", "definition": definition, "workspaces": BOTH}
        few = (await ask(one, 201, "POST", "", body))["id"]
        await ask(one, 204, "POST", f"/{few}/activation")
        await one.settle_audiences()
        await calculated.buy(other, "bot", T)
        await buy_much(one, "bot")
        assert await members(one, few) == [await one.mpid("bot")]
        recent = await seen(one, "bot", workspaces=[1])
        assert await seen(one, "bot", workspaces=BOTH) == recent + 1
        body = {"name": "Exact", "definition": count("Buy", recent + 1), "workspaces": BOTH}
        exact = (await ask(one, 201, "POST", "", body))["id"]
        await ask(one, 204, "POST", f"/{exact}/activation")
        await one.settle_audiences()
        assert await members(one, exact) == [await one.mpid("bot")]
    async with serving(tmp_path, given, clock=clock) as [one, other, _]:
        await one.settle_audiences()
        assert await members(one, exact) == [await one.mpid("bot")]
        assert await seen(one, "bot", workspaces=BOTH) == recent + 1
