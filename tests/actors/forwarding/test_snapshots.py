"""When all members of an audience are written (spec/connections.md, 7.6)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import cast

import pytest
from msgspec.structs import replace

from actors.audiences.answers import MemberRow
from actors.audiences.calls import AudienceShard
from actors.clock import ManualClock
from actors.errors import ShardUnavailable
from actors.forwarder import Forwarder
from actors.forwarding.foreign import alias
from actors.forwarding.snapshots import Snapshots
from actors.forwarding.subscriptions import Followed
from actors.outputs.contract import Delivered, Fatal, Outcome, Retry
from actors.outputs.snapshots import Snapshot
from tests.actors.forwarding.support import (
    NUMBER,
    MemoryOutbox,
    ScriptedOutput,
    Simulation,
    connection,
    followed,
)

MINUTE_MS = 60_000


class Listing(ScriptedOutput):
    """An output that is given all members every ten minutes."""

    snapshot_interval_ms = 10 * MINUTE_MS
    snapshot_identities = ("email",)

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.clock = clock
        self.written: list[tuple[int, Snapshot, list[int]]] = []
        self.outcome: Outcome = Delivered()

    async def write_snapshot(
        self, snapshot: Snapshot, pages: AsyncIterator[Sequence[MemberRow]]
    ) -> Outcome:
        """Remember when what was written."""
        mpids = [row.mpid async for page in pages for row in page]
        self.written.append((self.clock.now_ms(), snapshot, mpids))
        return self.outcome


class Shard:
    """Has members."""

    def __init__(self, *mpids: int) -> None:
        self.mpids = mpids
        self.asked: list[tuple[int, Sequence[str]]] = []
        self.is_available = True

    async def export_subscribed(
        self, subscription: int, identity_types: Sequence[str], after: int | None, limit: int
    ) -> list[MemberRow]:
        """Return the next members."""
        if not self.is_available:
            raise ShardUnavailable("shard 0")
        self.asked.append((subscription, identity_types))
        found = [each for each in self.mpids if after is None or each > after]
        return [MemberRow(each, 0, ()) for each in found[:limit]]


class Kept:
    """What outputs keep, in memory."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def output_state(self, output: str) -> dict[str, bytes]:
        """Return everything."""
        return dict(self.values)

    async def keep_output_state(self, output: str, changes: Mapping[str, bytes | None]) -> None:
        """Keep and forget."""
        for name, value in changes.items():
            if value is None:
                self.values.pop(name, None)
            else:
                self.values[name] = value


class World:
    """A forwarder whose output is given snapshots, and what decides when."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.output = Listing(self.clock)
        self.shards = [Shard(1, 4), Shard(2, 3, 9)]
        self.kept = Kept()
        self.simulation = Simulation(self.clock)
        self.forwarder: Forwarder = self.simulation.start(self.output, [MemoryOutbox()])
        self.begin()

    def begin(self) -> None:
        """Begin as a new process does."""
        shards = cast(Sequence[AudienceShard], self.shards)
        self.snapshots = Snapshots("hook", {0: shards, 5: shards}, self.kept, self.clock)

    async def step(self, *subscriptions: Followed, minutes: float = 0) -> int:
        """Let time pass and look once; return how many snapshots were written so far."""
        await self.simulation.run(minutes * 60)
        self.forwarder.follow(subscriptions)
        await self.snapshots.step(self.forwarder)
        return len(self.output.written)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    opened = World()
    await opened.simulation.run(1)
    yield opened
    await opened.simulation.stop()


async def test_all_members_are_written_at_once_and_at_every_interval(world: World) -> None:
    one = followed()
    assert await world.step(one) == 1
    assert world.output.written[0][2] == [1, 2, 3, 4, 9]
    assert world.shards[0].asked == [(NUMBER, ("email",))]
    assert await world.step(one, minutes=9) == 1
    assert await world.step(one, minutes=1) == 2
    first, second = (snapshot for _, snapshot, _ in world.output.written)
    assert second.moment_ms - first.moment_ms == 10 * MINUTE_MS
    assert second.moment_ms % (10 * MINUTE_MS) == 0
    assert first.id != second.id
    # Hours in which nothing looked are made up for once.
    assert await world.step(one, minutes=300) == 3
    assert await world.step(one) == 3


async def test_a_restart_writes_nothing_anew_and_a_lost_note_writes_the_same(world: World) -> None:
    one = followed()
    await world.step(one)
    world.begin()
    assert await world.step(one) == 1
    world.kept.values.clear()  # killed before it was kept
    world.begin()
    assert await world.step(one) == 2
    assert world.output.written[0][1] == world.output.written[1][1]


async def test_nothing_is_written_of_who_is_still_to_be_evaluated(world: World) -> None:
    assert await world.step(replace(followed(), members_are_known=False)) == 0
    assert await world.step(followed()) == 1


async def test_nothing_is_written_of_what_does_not_send(world: World) -> None:
    assert await world.step(followed(is_faulted=True)) == 0
    assert await world.step(followed(1)) == 1  # resumed
    assert await world.step(minutes=60) == 1  # disconnected
    assert world.kept.values == {}
    assert await world.step(followed(1)) == 2  # and connected again


async def test_a_standard_audience_is_written_when_it_is_sent(world: World) -> None:
    one = followed()
    assert await world.step(replace(one, sends=0)) == 0
    assert await world.step(replace(one, sends=1)) == 1
    assert await world.step(replace(one, sends=1), minutes=60) == 1
    assert await world.step(replace(one, sends=2)) == 2


async def test_what_fails_is_tried_again_for_a_day_and_then_faults(world: World) -> None:
    one = followed()
    world.output.outcome = Retry("no route")
    assert await world.step(one) == 1
    assert await world.step(one) == 1
    assert await world.step(one, minutes=0.2) == 2
    while world.forwarder.fault(NUMBER) is None:
        await world.step(one, minutes=15)
    fault = world.forwarder.fault(NUMBER)
    assert fault is not None
    assert fault.reason_code == "Retry Count Exceeded"
    elapsed_ms = world.output.written[-1][0] - world.output.written[0][0]
    assert 24 * 60 * MINUTE_MS < elapsed_ms < 25 * 60 * MINUTE_MS


async def test_what_can_never_work_faults_at_once(world: World) -> None:
    world.output.outcome = Fatal("egress_refused", "10.0.0.1")
    await world.step(followed())
    assert world.forwarder.fault(NUMBER) is not None
    world.output.outcome = Delivered()
    assert await world.step(followed(), minutes=60) == 1
    assert await world.step(followed(1)) == 2


async def test_a_shard_that_is_away_delays_one(world: World) -> None:
    world.shards[1].is_available = False
    with pytest.raises(ShardUnavailable):
        await world.step(followed())
    world.shards[1].is_available = True
    assert await world.step(followed()) == 1


async def test_members_of_another_workspace_are_asked_for_there(world: World) -> None:
    own, foreign = followed(), followed()
    foreign = replace(foreign, info=replace(foreign.info, number=alias(5, NUMBER), id="foreign"))
    assert await world.step(own, foreign) == 2
    assert {number for number, _ in world.shards[0].asked} == {NUMBER}


async def test_outputs_that_are_told_of_changes_are_left_alone() -> None:
    clock = ManualClock()
    simulation = Simulation(clock)
    forwarder = simulation.start(ScriptedOutput(clock), [MemoryOutbox()], [connection()])
    forwarder.follow([followed()])
    await Snapshots("hook", {}, Kept(), clock).step(forwarder)
    await simulation.stop()
