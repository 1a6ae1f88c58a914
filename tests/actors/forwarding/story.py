"""One forwarder, its shard and its receiver, and all that may happen to them, step by step."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from msgspec.structs import replace

from actors.clock import ManualClock
from actors.forwarder import Forwarder
from actors.forwarding import connections
from actors.forwarding.desk import OutputInfo
from actors.forwarding.lanes import Ordering
from actors.forwarding.pace import RateLimit
from actors.metric_groups import ForwarderMetrics, ShardMetrics
from actors.model.deliveries import DeadLetter, Delivery
from actors.outputs.contract import RequestLimits
from actors.outputs.retry import PROFILES
from actors.shard_options import ShardOptions
from actors.shard_outbox import ShardOutbox
from actors.store import outbox
from actors.store.environment import Store
from actors.store.ids import Ids
from tests.actors.forwarding.counts import check_counters, check_depths, total
from tests.actors.forwarding.ledger import Ledger
from tests.actors.forwarding.moody import Line, Mood, MoodyReceiver, PaceLedger
from tests.actors.forwarding.reached import Chance, Faults, Source, Trouble
from tests.actors.forwarding.support import connection, delivery
from tests.actors.profiles.builders import WORKSPACE

NAMES = {1: "c1", 2: "c2"}  # of the connections, by number
CONNECTIONS = tuple(NAMES)
QUEUE_BYTES = 4000  # some 30 deliveries
CALM_S = 3 * 3600.0  # longer than every wait that a story can bring about
TROUBLE_S = 4 * 3600.0
POLL_MS = 3600_000  # longer than anything that may depend on being woken
MAP_SIZE_BYTES = 16 * 1024 * 1024


class Setup(NamedTuple):
    """How an output is configured, and how many deliveries of a connection may be in memory."""

    ordering: Ordering = "user"
    max_in_flight: int = 16
    requests_per_second: float | None = None
    events_per_second: float | None = None
    together: int = 1
    in_memory: int = connections.WINDOW

    @property
    def limits(self) -> RequestLimits:
        """What goes into one request."""
        return RequestLimits(self.together, max_wait_ms=200 if self.together > 1 else 0)


class Story:
    """One shard, one receiver, and one forwarder after another between them."""

    def __init__(self, folder: Path, clock: ManualClock, setup: Setup, seed: int) -> None:
        self.clock = clock
        self.trouble = Trouble()
        self.ledger = Ledger(CONNECTIONS)
        self.faults = Faults()
        self.batches = 0
        self._setup = setup
        self._chance = Chance(seed)
        self.infos = {number: connection(number) for number in CONNECTIONS}
        self.store = Store(folder, MAP_SIZE_BYTES)
        outbox.begin_sums(self.store)
        self._ids = Ids(0, 0, self.clock)
        options = ShardOptions(
            workspace=WORKSPACE,
            connections=tuple(self.infos.values()),
            queue_limits=dict.fromkeys(CONNECTIONS, QUEUE_BYTES),
        )
        with self.store.read() as txn:
            self.shard = ShardOutbox(
                self.store, txn, options, self._ids, self._wake, ShardMetrics("test")
            )
        self.receiver = MoodyReceiver(self.clock, self.ledger, setup.limits)
        self._begin()

    # -- Lives ------------------------------------------------------------------------------------

    def _begin(self) -> None:
        setup = self._setup
        connections.WINDOW = connections.MIN_SHARE = setup.in_memory
        rates = RateLimit(setup.requests_per_second, events_per_second=setup.events_per_second)
        output = OutputInfo("hook", PROFILES["stream"], setup.ordering, setup.max_in_flight, rates)
        self.ledger.begin_life(self.waiting(), setup.ordering)
        self.source = Source(self.shard, self.ledger, self.clock, self.trouble)
        self.line: Line = self.receiver.of(PaceLedger(output))
        self.metrics = ForwarderMetrics("test")
        self.forwarder = Forwarder(
            output,
            {"production": self.line},
            list(self.infos.values()),
            [self.source],
            self.clock,
            self._chance,
            self.metrics,
            poll_ms=POLL_MS,
            faults=self.faults,
        )
        self.task = asyncio.get_running_loop().create_task(self.forwarder.run())

    def _wake(self, _: str) -> None:
        self.forwarder.wake(0)

    async def kill(self, turns: int) -> None:
        """Kill the forwarder after some turns of the loop, wherever it is, and begin anew."""
        await self.turn(turns)
        self.line.is_cut = self.source.is_cut = True
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self._begin()

    async def configure(self, setup: Setup) -> None:
        """Stop the forwarder in good order and begin one of other settings."""
        await self.stop()
        self._setup = setup
        self.receiver.limits = setup.limits
        self._begin()

    async def stop(self) -> None:
        """Stop the forwarder in good order."""
        was_in_trouble = bool(self.trouble.now)
        await self.forwarder.stop()
        await self.task
        self.line.is_cut = self.source.is_cut = True
        for error in self.ledger.broken:
            raise error
        if not was_in_trouble:
            self.check_life()

    # -- What happens -----------------------------------------------------------------------------

    async def enqueue(self, number: int, users: Sequence[int | None], events: int) -> None:
        """Have deliveries queued in one transaction."""
        if not self.infos[number].is_active:
            return  # nothing is enqueued for it (spec/connections.md, 1.3)
        made = []
        for user in users:
            self.batches += 1
            ids = [self.batches * 10 + each for each in range(events)]
            bodies = [{"event_type": "custom_event", "data": {"event_id": each}} for each in ids]
            batch = delivery(self.batches, user, connection=number, events=bodies)
            made.append(replace(batch, sequence=self._ids.next(), created_ms=self.clock.now_ms()))
        room = QUEUE_BYTES - self.shard.queues.of(number)["bytes"]
        for each in made:
            is_admitted = len(each.payload) <= room
            room -= len(each.payload) if is_admitted else 0
            self.ledger.queue(each, "queued" if is_admitted else "dead", is_replayed=False)
        self.shard.take(made, self.clock.now_ms())
        with self.store.write() as txn:
            self.shard.write(txn, self.clock.now_ms())
        self.shard.published()

    async def wait(self, seconds: float) -> None:
        """Let time pass; at most some hours of a shard's trouble, for it is asked every 10 s."""
        await asyncio.sleep(min(seconds, TROUBLE_S) if self.trouble.now else seconds)

    async def turn(self, turns: int) -> None:
        """Let others run for some turns of the loop; no time passes."""
        for _ in range(turns):
            await asyncio.sleep(0)

    async def mood(self, mood: Mood, retry_after: str | None, turns: int) -> None:
        """Change how the receiver answers."""
        self.receiver.mood, self.receiver.retry_after = mood, retry_after
        self.receiver.turns = turns

    async def mood_towards(self, user: int, mood: Mood) -> None:
        """Change how the receiver answers to one user; 200: as to others."""
        if mood == 200:
            self.receiver.moods.pop(user, None)
        else:
            self.receiver.moods[user] = mood

    async def shard_is(self, trouble: Literal["", "away", "full", "mute"]) -> None:
        """Change how the shard answers."""
        self.trouble.now = trouble

    async def activate(self, number: int, is_active: bool) -> None:
        """Activate or deactivate a connection."""
        self.infos[number] = replace(self.infos[number], is_active=is_active)
        if is_active:
            self.ledger.is_active[number] = True
        else:
            self.ledger.pause(number, self.clock.now_ms())
        self.forwarder.connect(list(self.infos.values()))

    async def resume(self, number: int) -> None:
        """Resume a connection that is faulted."""
        assert self.forwarder.resume_faulted(number) == self.ledger.is_faulted[number]
        self.ledger.resume(number)

    async def reread(self) -> None:
        """Have the forwarder read anew, as after an erasure."""
        await self.forwarder.reread()

    async def replay(self, number: int, most: int) -> None:
        """Replay some dead letters."""
        letters = self.letters(number)[:most]
        ids = [each.delivery.delivery_id for each in letters]
        last = self._ids.last
        assert self.shard.replay(number, ids) == len(ids)
        with self.store.read() as txn:
            back = outbox.decode(outbox.read_encoded(txn, number, last, 10_000, 2**30))
        assert [each.delivery_id for each in back] == ids
        for letter, each in zip(letters, back, strict=True):
            self.ledger.jobs[letter.delivery.sequence].place = "replayed"
            self.ledger.queue(each, is_replayed=True)
            self.ledger.tries.pop((each.sequence, each.delivery_id), None)

    async def discard(self, number: int, most: int) -> None:
        """Purge some dead letters."""
        letters = self.letters(number)[:most]
        self.shard.discard(number, [each.delivery.delivery_id for each in letters])
        for letter in letters:
            self.ledger.jobs[letter.delivery.sequence].place = "purged"

    async def close(self) -> None:
        """End everything."""
        self.line.is_cut = self.source.is_cut = True
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.store.close()

    # -- What holds -------------------------------------------------------------------------------

    def waiting(self) -> list[Delivery]:
        """Return all that is queued."""
        with self.store.read() as txn:
            return [
                each
                for number in CONNECTIONS
                for each in outbox.decode(outbox.read_encoded(txn, number, 0, 10_000, 2**30))
            ]

    def letters(self, number: int) -> list[DeadLetter]:
        """Return the dead letters of a connection."""
        with self.store.read() as txn:
            return outbox.dead_letters(txn, number, 0, 10_000)

    async def check(self) -> None:
        """Check what holds at any time."""
        for error in self.ledger.broken:
            raise error
        if self.task.done():
            await self.task
            raise AssertionError("the forwarder ended by itself")
        places = {sequence: job.place for sequence, job in self.ledger.jobs.items()}
        waiting = self.waiting()
        letters = [letter for number in CONNECTIONS for letter in self.letters(number)]
        assert {each.sequence for each in waiting} == {n for n in places if places[n] == "queued"}
        dead = {each.delivery.sequence for each in letters}
        assert dead == {n for n in places if places[n] == "dead"}
        for sequence, job in self.ledger.jobs.items():
            if places[sequence] == "delivered":
                assert job.events <= self.receiver.taken
        check_depths(self.shard.queues, NAMES, waiting, letters)
        for number, name in NAMES.items():
            barrier = "headwater_forwarder_order_barrier_disabled_total"
            if total(self.metrics, barrier, connection=name):
                self.ledger.is_unordered.add(number)
            status = self.forwarder.state()["connections"][name]["status"]
            is_active, is_faulted = self.infos[number].is_active, self.ledger.is_faulted[number]
            assert status == (
                "inactive" if not is_active else "faulted" if is_faulted else "active"
            )

    def check_life(self) -> None:
        """Check what a forwarder has counted and settled that was stopped in good order."""
        for job in self.ledger.jobs.values():
            if job.place == "queued":
                assert job.open, "it was answered for good, and not settled"
        check_counters(self.metrics, NAMES, self.ledger)

    async def calm(self) -> None:
        """Have everything well again, and check that all is delivered that is not dead."""
        self.trouble.now = ""
        self.receiver.moods.clear()
        await self.mood(200, None, 0)
        for number in CONNECTIONS:
            await self.activate(number, is_active=True)
            await self.resume(number)
        await self.wait(CALM_S)
        await self.check()
        assert not self.waiting()
        await self.stop()
