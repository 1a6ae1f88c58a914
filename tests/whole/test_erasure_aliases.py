"""Erasures of users whose events an alias copies (spec/privacy.md, 5.2; spec/identity.md, 10.2)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from actors.errors import ShardUnavailable
from actors.identity.calls import AliasRequest
from actors.store import aliases
from actors.store.copies import decode
from actors.store.environment import Store
from tests.whole.sent import custom
from tests.whole.subject_requests import DAY_MS, MOMENT_MS, accepted, body, status
from tests.whole.test_erasure import DOCUMENT, IDENTITY, failing, person
from tests.whole.world import LocalShard, World, changed, named, serving

TURNS = 2_000  # of the event loop, far more than an erasure takes


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MOMENT_MS)


@pytest.fixture
async def worlds(tmp_path: Path, clock: ManualClock) -> AsyncIterator[list[World]]:
    """Run a workspace that erases, and one of the same identity scope."""
    first = changed(DOCUMENT, workspace={"identity_scope": "shared"})
    second = changed(named("w2", "shared"), identity=IDENTITY)
    async with serving(tmp_path, [first, second], clock=clock) as made:
        yield made


async def both(world: World) -> tuple[int, int]:
    """Make the user who is erased, and another one, with an event each; return their MPIDs."""
    for name in ("zoe", "bob"):
        await world.accept(person(name, custom(f"Of {name}")))
    return await world.mpid("zoe"), await world.mpid("bob")


async def alias(world: World, clock: ManualClock, source: int, destination: int) -> None:
    """Ask for an alias that is due."""
    now_ms = clock.now_ms()
    request = AliasRequest(
        request_id="r1",
        environment="production",
        source_mpid=source,
        destination_mpid=destination,
        start_ms=now_ms - 20 * DAY_MS,
        end_ms=now_ms,
        scope="mpid",
        device_stamp=None,
        received_ms=now_ms - 2 * DAY_MS,
        input=1,
    )
    await world.aliases.alias(request)


def copied(world: World) -> list[tuple[int, int | None]]:
    """Return (source, destination) of all copies."""
    found = []
    for shard in world.shards:
        with shard.store.read() as txn:
            found += [decode(encoded) for _, encoded in txn.scan("copies")]
    return [(each.source_mpid, each.stored.mpid) for each in found]


def rows(world: World) -> int:
    """Return how many entries about aliases there are, but for the number of the last one."""
    counts = []
    for store in world.coordinator_stores:
        with store.read() as txn:
            counts.append(sum(key != b"last" for key, _ in txn.scan("aliases")))
    return sum(counts)


def profiles(world: World, mpid: int) -> list[bool]:
    """Return of each shard whether it has something about an MPID among its profiles."""
    needle = mpid.to_bytes(8, "big")
    found = []
    for shard in world.shards:
        with shard.state.store.read() as txn:
            found.append(any(needle in key for key, _ in txn.scan("profiles")))
    return found


class Held:
    """Holds back chunks of copies that were read, and the last stage of erasures.

    `is_read`: there is such a chunk. `may_write`, `may_finish`: they are held back no more.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_read = asyncio.Event()
        self.may_write = asyncio.Event()
        self.may_finish = asyncio.Event()
        former = LocalShard.__getattr__

        def find(shard: LocalShard, method: str) -> Any:
            async def call(*arguments: Any) -> Any:
                if method == "write_copies":
                    self.is_read.set()
                    await self.may_write.wait()
                if method == "erase_profile":
                    await self.may_finish.wait()
                return await former(shard, method)(*arguments)

            return call

        monkeypatch.setattr(LocalShard, "__getattr__", find)


async def erase_while_copying(
    world: World, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, source: int, destination: int
) -> None:
    """Erase Zoe while a chunk of an alias is between its reading and its writing.

    It is written when the erasure does not get on, at the latest before its last stage.
    """
    request_id = await accepted(world, body())
    clock.advance(9 * DAY_MS)
    await alias(world, clock, source, destination)
    held = Held(monkeypatch)
    copying = asyncio.ensure_future(world.aliases.run_due())
    await held.is_read.wait()
    erasing = asyncio.ensure_future(world.privacy.work())
    for _ in range(TURNS):
        await asyncio.sleep(0)
    held.may_write.set()
    for _ in range(TURNS):
        await asyncio.sleep(0)
    held.may_finish.set()
    await asyncio.gather(copying, erasing)
    assert (await status(world, request_id))["request_status"] == "completed"


@pytest.mark.parametrize("is_shared", [False, True])
async def test_an_alias_under_way_leaves_nothing_with_an_erased_destination(
    worlds: list[World], clock: ManualClock, monkeypatch: pytest.MonkeyPatch, is_shared: bool
) -> None:
    world, other = worlds
    zoe, bob = await both(world)
    if is_shared:
        await other.accept(person("zoe", custom("There")))
    await erase_while_copying(world, clock, monkeypatch, bob, zoe)
    assert copied(world) == []
    assert rows(world) == 0
    assert any(profiles(world, zoe)) == is_shared
    response = await world.get(f"/userprofile/v1/1/1/1/{zoe}", fields="user_attributes")
    assert response.status == 404
    assert [each["name"] for each in await world.events(bob)] == ["Of bob"]


@pytest.mark.parametrize("is_shared", [False, True])
async def test_nothing_of_an_erased_source_is_written_once_its_events_are_gone(
    worlds: list[World], clock: ManualClock, monkeypatch: pytest.MonkeyPatch, is_shared: bool
) -> None:
    """The alias that was under way is applied before, all of it, or not at all."""
    world, other = worlds
    zoe, bob = await both(world)
    if is_shared:
        await other.accept(person("zoe", custom("There")))
    order: list[str] = []
    former = LocalShard.__getattr__

    def find(shard: LocalShard, method: str) -> Any:
        async def call(*arguments: Any) -> Any:
            result = await former(shard, method)(*arguments)
            order.append(method)
            return result

        return call

    monkeypatch.setattr(LocalShard, "__getattr__", find)
    await erase_while_copying(world, clock, monkeypatch, zoe, bob)
    assert order.index("finish_alias") < order.index("erase_events")
    assert rows(world) == 0
    assert any(profiles(world, zoe)) == is_shared


@pytest.mark.parametrize("is_source", [False, True])
async def test_an_alias_comes_to_nothing_where_an_erasure_is_half_done(
    worlds: list[World], clock: ManualClock, monkeypatch: pytest.MonkeyPatch, is_source: bool
) -> None:
    """It was accepted before its user was gone, and is tried before the erasure goes on."""
    world, other = worlds
    zoe, bob = await both(world)
    request_id = await accepted(world, body())
    clock.advance(9 * DAY_MS)
    with monkeypatch.context() as patch:
        patch.setattr(LocalShard, "__getattr__", failing("leave_audiences", is_done=False))
        with pytest.raises(ShardUnavailable):
            await world.privacy.work()
    for each in (world, other):
        await alias(each, clock, *((zoe, bob) if is_source else (bob, zoe)))
        await each.aliases.run_due()
        [found] = await each.aliases.aliases(zoe)
        assert (found.state, found.reason) == ("dropped", "unknown_mpid")
    assert copied(world) == []
    await world.privacy.work()
    assert (await status(world, request_id))["request_status"] == "completed"
    assert await world.aliases.aliases(zoe) == []
    assert not any(profiles(world, zoe))


async def test_copies_that_came_late_go_with_the_profile(
    worlds: list[World], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call whose caller has died may be done after the events have gone."""
    world, _ = worlds
    zoe, bob = await both(world)
    await alias(world, clock, bob, zoe)
    await world.aliases.run_due()
    assert copied(world) == [(bob, zoe)]
    kept = []
    for shard in world.shards:
        with shard.store.read() as txn:
            kept.append(list(txn.scan("copies")))
    await accepted(world, body())
    clock.advance(9 * DAY_MS)
    with monkeypatch.context() as patch:
        patch.setattr(LocalShard, "__getattr__", failing("erase_profile", is_done=False))
        with pytest.raises(ShardUnavailable):
            await world.privacy.work()
    assert copied(world) == []
    for shard, found in zip(world.shards, kept, strict=True):
        with shard.store.write() as txn:
            for key, encoded in found:
                txn.put("copies", key, encoded)
    await world.privacy.work()
    assert copied(world) == []


async def test_an_alias_that_is_forgotten_while_others_are_applied_is_not_written_anew(
    worlds: list[World], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round has read what is due before it begins."""
    world, _ = worlds
    zoe, bob = await both(world)
    await alias(world, clock, bob, zoe)
    [store] = [each for each in world.coordinator_stores if _has_aliases(each)]
    settle = world.aliases._settle

    async def forgotten_before(found: Any) -> None:
        with store.write() as txn:
            aliases.forget(txn, "production", zoe)
        await settle(found)

    monkeypatch.setattr(world.aliases, "_settle", forgotten_before)
    await world.aliases.run_due()
    assert rows(world) == 0
    assert copied(world) == []


def _has_aliases(store: Store) -> bool:
    with store.read() as txn:
        return any(True for _ in txn.scan("aliases"))
