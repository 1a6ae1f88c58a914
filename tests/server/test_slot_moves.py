"""A pass of a move: what is told to whom, in which order, and what becomes of it if that fails."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from actors import remote
from actors.clock import ManualClock, SystemClock
from actors.errors import DataFolderError, ShardUnavailable, StoreFull
from actors.hosted_shard import Shard
from actors.model.deliveries import Settlement
from actors.remote import Handle
from actors.shard_options import ShardOptions
from actors.store import moving
from actors.store.folder import DataFolder
from actors.store.layout import read_slots
from actors.store.slot_pages import Page
from actors.store.slots import SlotMap, owners_of
from server import transfer
from server.problems import Refused
from server.rebalance import Move
from server.slot_moves import SlotMoves
from server.supervisor import Watched
from tests.actors.forwarding.support import connection
from tests.actors.profiles.builders import BACKEND, WORKSPACE
from tests.actors.store.builders import content
from tests.actors.test_hosted_shard import (
    BEFORE,
    FIRST,
    LAST,
    MOVED,
    NUMBER,
    Shards,
    commit,
    stored,
)

WANTED = Move(0, 99, 1)


class FakeHandle:
    """An actor that notes what it is told, and fails when it is to."""

    def __init__(self, name: str, told: list[tuple[str, str]], clock: ManualClock) -> None:
        self.name = name
        self.told = told
        self.clock = clock
        self.failures: dict[str, Exception] = {}
        self.taken_s: dict[str, float] = {}
        self.state = "ok"
        self.asked: list[tuple[Any, ...]] = []
        self.is_gone_on = asyncio.Event()

    def within(self, timeout_s: float) -> "FakeHandle":
        return self

    def __getattr__(self, method: str) -> Callable[..., Any]:
        async def call(*arguments: Any) -> Any:
            self.told.append((self.name, method))
            self.asked.append((method, *arguments))
            self.clock.advance(int(1000 * self.taken_s.get(method, 0.0)))
            await asyncio.sleep(0)
            if method in self.failures:
                raise self.failures[method]
            if method == "ready":
                return self.state
            if method.startswith("read_"):
                return b"records" if method == "read_records" else Page({}, None)
            return None

        return call


class World:
    """Three shards, an edge, two forwarders and a coordinator."""

    def __init__(self, folder: DataFolder) -> None:
        self.clock = ManualClock()
        self.told: list[tuple[str, str]] = []
        self.folder = folder
        self.handles: dict[str, FakeHandle] = {}
        self.watched = [self._watched("shard", str(number), "go_on") for number in range(3)]
        self.watched += [self._watched("forwarder", name, "start") for name in ("hook", "files")]
        self.watched += [self._watched("coordinator", "0", "start")]
        self.watched += [self._watched("edge", "0", "start")]
        self.moves = SlotMoves(self.watched, folder, asyncio.Lock(), self.clock)

    def _watched(self, role: str, instance: str, method: str) -> Watched:
        handle = FakeHandle(f"{role}-{instance}", self.told, self.clock)
        self.handles[handle.name] = handle

        async def start() -> None:
            await getattr(handle, method)(self.folder.slots)

        return Watched(role, instance, cast(Handle, handle), start)

    @property
    def names(self) -> list[str]:
        return [f"{name} {method}" for name, method in self.told]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    folder = DataFolder(tmp_path, 3, 1 << 20, SystemClock())
    yield World(folder)
    folder.close()


async def refused(world: World, wanted: Move = WANTED) -> Refused:
    with pytest.raises(Refused) as error:
        await world.moves.move(wanted)
    return error.value


async def test_everybody_is_told_in_an_order_in_which_nothing_is_lost(world: World) -> None:
    before = world.folder.slots
    assert await world.moves.move(WANTED) == WANTED
    following = before.moved(0, 99, 1)
    assert world.folder.slots == following == await asyncio.to_thread(read_slots, world.folder.path)
    names = world.names

    def place(name: str) -> int:
        return names.index(name)

    outputs = [place(f"forwarder-{name} rest") for name in ("hook", "files")]
    settled = [place(f"shard-{number} go_on") for number in (0, 1)]
    begun = [place(f"shard-{number} begin_move") for number in (0, 1)]
    copied = [place("shard-0 read_page"), place("shard-0 read_scattered")]
    kept = place("shard-1 keep_records")
    going_on = [names.index(f"shard-{number} go_on", kept) for number in (0, 1)]
    assert max(outputs) < min(settled) < max(settled) < min(begun)
    assert max(begun) < min(copied) < max(copied) < kept
    assert kept < place("edge-0 start") < min(going_on), "edges know before the shards serve"
    assert not any(name.startswith("shard-2") for name in names), "others are not concerned"
    for name in ("shard-0", "shard-1", "forwarder-hook", "forwarder-files", "coordinator-0"):
        told = [each[-1] for each in world.handles[name].asked if isinstance(each[-1], SlotMap)]
        assert told == ([before, following] if name.startswith("shard") else [following])
    assert world.handles["shard-0"].asked[2] == ("begin_move", moving.Move(0, 99, before.epoch))
    assert world.moves.under_way is None
    assert not any(each.starting.locked() for each in world.watched)


async def test_a_pass_ends_when_its_time_is_up(world: World) -> None:
    """The rest is for another one; a single slot moves in any case."""
    world.handles["shard-1"].taken_s["write_page"] = 0.6
    wanted = Move(0, 9999, 1)
    done = await world.moves.move(wanted)
    first = transfer.FIRST_SLOTS
    assert done == Move(0, first + first // 2 - 1, 1)
    assert owners_of(world.folder.slots)[: done.last + 2].tolist() == [1] * (done.last + 1) + [0]
    world.handles["shard-1"].taken_s["write_page"] = 5.0
    assert await world.moves.move(Move(500, 500, 1)) == Move(500, 500, 1)


@pytest.mark.parametrize(
    ("name", "method", "error"),
    [
        ("shard-1", "go_on", StoreFull("the disk took no data")),
        ("shard-0", "begin_move", StoreFull("the disk took no data")),
        ("shard-1", "begin_move", ShardUnavailable("shard-1 does not answer")),
        ("shard-0", "read_page", ShardUnavailable("shard-0 does not answer")),
        ("shard-1", "write_page", StoreFull("the store's map is full")),
        ("shard-1", "write_page", DataFolderError("shard-0001: no table can be made")),
        ("shard-0", "read_scattered", ShardUnavailable("shard-0 does not answer")),
        ("shard-0", "read_records", RuntimeError("an actor failed: KeyError")),
        ("shard-1", "keep_records", StoreFull("the store's map is full")),
    ],
)
async def test_what_fails_before_the_commit_is_undone(
    world: World, name: str, method: str, error: Exception
) -> None:
    before = world.folder.slots
    world.handles[name].failures[method] = error
    refusal = await refused(world)
    assert refusal.code == "SERVICE_UNAVAILABLE"
    assert refusal.problems[0].message == f"No slots have moved: {error}."
    assert refusal.headers == {"Retry-After": "1"}
    assert world.folder.slots == before == await asyncio.to_thread(read_slots, world.folder.path)
    for number in (0, 1):
        assert world.handles[f"shard-{number}"].asked[-1] == ("go_on", before)
    assert ("start", before) in world.handles["forwarder-hook"].asked
    assert not any(each.starting.locked() for each in world.watched)
    del world.handles[name].failures[method]
    assert await world.moves.move(WANTED) == WANTED


async def test_who_does_not_go_on_is_left_to_the_supervisor(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    move_slots = world.folder.move_slots

    def move_and_fill(slots: SlotMap) -> None:
        move_slots(slots)
        world.handles["shard-0"].failures["go_on"] = StoreFull("no room")

    monkeypatch.setattr(world.folder, "move_slots", move_and_fill)
    world.handles["edge-0"].failures["start"] = ShardUnavailable("edge-0 does not answer")
    assert await world.moves.move(WANTED) == WANTED
    assert world.names.count("shard-1 go_on") == 2
    assert "coordinator-0 start" in world.names


async def test_a_shard_that_is_not_ready_disturbs_nobody(world: World) -> None:
    world.handles["shard-1"].state = "slots are being moved"
    refusal = await refused(world)
    assert refusal.problems[0].message == (
        "No slots have moved: shard 1 is not ready: slots are being moved."
    )
    world.handles["shard-1"].failures["ready"] = ShardUnavailable("shard-1 does not answer")
    refusal = await refused(world)
    assert "shard 1 is not ready: it does not answer" in refusal.problems[0].message
    assert {method for _, method in world.told} == {"ready"}


async def test_of_two_at_once_one_is_refused(world: World) -> None:
    moving_now = asyncio.create_task(world.moves.move(WANTED))
    await asyncio.sleep(0)
    assert world.moves.under_way == WANTED
    refusal = await refused(world, Move(200, 300, 2))
    assert (refusal.code, refusal.problems[0].message) == (
        "CONFLICT",
        "Slots 0 to 99 are moving to shard 1 just now.",
    )
    assert await moving_now == WANTED


class Directly:
    """Calls a shard of this process as an actor is called."""

    name = "a shard"

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    def within(self, timeout_s: float) -> "Directly":
        return self

    def __getattr__(self, method: str) -> Callable[..., Any]:
        async def call(*arguments: Any) -> Any:
            return await asyncio.to_thread(getattr(self._shard, method), *arguments)

        return call


def directly(number: int, shard: Shard, folder: DataFolder) -> Watched:
    handle = cast(Handle, Directly(shard))

    async def start() -> None:
        await handle.go_on(folder.slots)

    return Watched("shard", str(number), handle, start)


def test_what_the_giver_removes_after_a_pass_that_failed_does_not_come_back_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The getter was away when all were told to go on, and still has the copies."""
    shards = Shards(tmp_path, monkeypatch)
    shards.options = ShardOptions(workspace=WORKSPACE, connections=(connection(1, input=BACKEND),))
    shards.end(BEFORE)
    source = shards.both[0]
    commit(source, 0, MOVED, 0)
    identity = FIRST.to_bytes(2, "big") + b"an identity"
    with source._state.store.write() as txn:
        txn.put("identities", identity, b"")
    shards.move()
    source.go_on(BEFORE)
    [waiting] = source.call(NUMBER, 0, "read_outbox", 1, 0, 9, 1 << 20)
    source.call(NUMBER, 0, "settle", Settlement(1, done=[waiting.sequence]))
    with source._state.store.write() as txn:
        txn.delete("identities", identity)
    folder = DataFolder(tmp_path / "data", 2, 1 << 20, SystemClock())
    watched = [directly(number, each, folder) for number, each in enumerate(shards.both)]
    moves = SlotMoves(watched, folder, asyncio.Lock(), ManualClock())
    assert asyncio.run(moves.move(Move(FIRST, LAST, 1))) == Move(FIRST, LAST, 1)
    assert [stored(each) for each in shards.both] == [[0, 0], [1, 0]]
    for each in shards.both:
        assert content(each._state.store, "identities") == {}
        assert content(each._state.store.of(NUMBER), "outbox") == {}
        each.close()
    folder.close()


async def test_a_forwarder_that_does_not_come_to_rest_is_started_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would go on with what it has read from a shard that has it no more."""
    restarted: list[object] = []
    monkeypatch.setattr(remote, "restart", restarted.append)
    world.handles["forwarder-hook"].failures["rest"] = ShardUnavailable("it does not answer")
    assert await world.moves.move(WANTED) == WANTED
    assert restarted == [world.handles["forwarder-hook"]]
