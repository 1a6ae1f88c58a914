"""The forwarder of one output: pulls deliveries from the shards' outboxes and sees them through.

Delivery is at least once (spec/connections.md, 3): what was read stays in its outbox until the
outcome is settled there. A plain class; `actors.hosted_forwarder` makes an actor of it.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from actors.clock import Clock, Randomness
from actors.forwarding.bundles import BundleCourier
from actors.forwarding.connections import Change, Connections
from actors.forwarding.desk import Desk, OutputInfo
from actors.forwarding.faults import Fault, FaultMemory
from actors.forwarding.holding import HOLD_SWEEP_MS, Holding, HoldMemory
from actors.forwarding.intake import Courier, Intake
from actors.forwarding.journal import Journal
from actors.forwarding.kept import NothingKept
from actors.forwarding.parking import Parking
from actors.forwarding.receivers import Receivers
from actors.forwarding.requests import RequestCourier
from actors.forwarding.streams import FIRST_BACK_OFF_MS, OutboxSource, Stream
from actors.forwarding.subscriptions import Followed
from actors.forwarding.waiting import Tasks, Wait, wait_for_change
from actors.metric_groups import ForwarderMetrics
from actors.model.workspaces import Environment
from actors.outputs.contract import BulkOutput, StreamOutput
from actors.pipeline.connection import ConnectionInfo

# Only for the case that a shard's wake-up was lost.
POLL_MS = 10_000
DRAIN_MS = 30_000


class Forwarder:
    """Delivers everything of one output's connections, until it is stopped."""

    def __init__(
        self,
        output: OutputInfo,
        outputs: Mapping[Environment, StreamOutput | BulkOutput],
        connections: Sequence[ConnectionInfo],
        sources: Sequence[OutboxSource],
        clock: Clock,
        randomness: Randomness,
        metrics: ForwarderMetrics,
        wait: Wait = wait_for_change,
        poll_ms: int = POLL_MS,
        journal: Path | None = None,
        faults: FaultMemory | None = None,
        holds: HoldMemory | None = None,
    ) -> None:
        """Set up; `run` does the work.

        Args:
            output: the output.
            outputs: opened from the settings of each enabled environment; the same object where
                the settings are the same.
            connections: those of the output, inactive ones too.
            sources: the shards' outboxes.
            wait: how to wait for an event or a time-out in seconds; tests simulate time with it.
            poll_ms: how often to look for deliveries that nobody announced.
            journal: file of the requests that a crash must not part; `None`: it may.
            faults: where faults of connections of inputs are kept over restarts.
            holds: where it is kept since when what waits is held.
        """
        self._clock = clock
        self._metrics = metrics
        self._poll_ms = poll_ms
        self._tasks = Tasks(wait)
        self._changed = self._tasks.changed
        faults = faults or NothingKept()
        self._connections = Connections(connections, sources, faults.read(), self._changed.set)
        states = self._connections.states
        self._desk = Desk(output, states, clock, randomness, metrics, faults)
        self._journal = Journal(journal)
        self._holding = Holding(states, outputs, holds or NothingKept(), clock.now_ms)
        self.receivers = Receivers(
            outputs, self._connections, self._desk, self._release, self._changed.set
        )
        couriers = {id(each): self._courier(each) for each in self.receivers.outputs}
        self._couriers = list(couriers.values())
        self._intake = Intake(
            {environment: couriers[id(each)] for environment, each in outputs.items()},
            self._connections,
            self._desk,
            self._journal,
            self._holding,
            clock.now_ms,
        )
        self._is_stopping = False
        self._stopped = asyncio.Event()
        self._next_poll_ms = 0
        self._next_sweep_ms = 0
        self.followed: Sequence[Followed] | None = None  # subscriptions; nobody has told of any

    def _courier(self, output: StreamOutput | BulkOutput) -> Courier:
        if isinstance(output, BulkOutput):
            return BundleCourier(output, self._desk, self._tasks.spawn)
        parking = Parking(self._desk, self._connections)
        return RequestCourier(output, self._desk, self._tasks.spawn, self._journal, parking)

    # -- What the actor offers --------------------------------------------------------------------

    async def run(self) -> None:
        """Deliver until `stop` is called.

        Raises:
            Exception: a mistake of the program; the outboxes still have all that is not settled.
        """
        try:
            for output in self.receivers.outputs:
                await output.start()
            self.receivers.is_open = not self._is_stopping
            while not self._is_stopping:
                self._changed.clear()
                now_ms = self._clock.now_ms()
                self._work(now_ms)
                await self._tasks.pause(self._timeout_s(now_ms))
            await self._drain()
        finally:
            try:
                await self._let_go()
            finally:
                self._stopped.set()

    async def _let_go(self) -> None:
        await self._tasks.cancel()
        for courier in self._couriers:
            await courier.close()
        for output in self.receivers.outputs:
            try:
                await output.stop()
            except Exception as error:  # the others have connections and files as well
                self._desk.notices.not_stopped(error)
        self._journal.close()

    async def stop(self) -> None:
        """Finish what is under way, settle it, and return; what waits stays in the outboxes."""
        self._is_stopping = True
        self.receivers.is_open = False
        self._changed.set()
        await self._stopped.wait()

    def wake(self, source_index: int) -> None:
        """Note that a source which had nothing more has something again."""
        for stream in self._connections.streams:
            if stream.source_index == source_index:
                stream.may_have_more = True
        self._changed.set()

    async def reread(self) -> None:
        """Let go of what was read, and read it again: some of it may be gone for good.

        What is under way ends as it may; none of it is sent once more without having been read.
        """
        for stream in self._connections.streams:
            stream.reread()
        for number in list(self._connections.states):
            for courier in self._couriers:
                await courier.release(number)
        self._changed.set()

    def resume(self, connection: int) -> None:
        """Let a faulted connection send again (spec/connections.md, 1.3)."""
        state = self._connections.resume(connection)
        if not state.info.is_subscription:
            self._desk.keep_faults()
        self._apply(Change(state, is_held=False))

    def resume_faulted(self, connection: int) -> bool:
        """Let a connection send again if it is faulted; tell whether it was."""
        state = self._connections.states.get(connection)
        if state is None or not state.is_faulted:
            return False
        self.resume(connection)
        return True

    def connect(self, connections: Sequence[ConnectionInfo]) -> None:
        """Take over which connections there are, beside the subscriptions of audiences."""
        for change in self._connections.connect(connections):
            self._apply(change)

    def follow(self, subscriptions: Sequence[Followed]) -> None:
        """Take over which subscriptions of audiences there are, beside the connections."""
        self.followed = subscriptions
        for change in self._connections.follow(subscriptions, self.receivers.has_a_say):
            self._apply(change)

    def _apply(self, change: Change) -> None:
        """Act on it that a connection is not what it was."""
        self._desk.show(change.state)
        self._holding.note()
        if change.is_held:
            self._release(change.state.info.number)
        self._changed.set()

    def _release(self, connection: int) -> None:
        for courier in self._couriers:
            self._tasks.spawn(courier.release(connection))

    def fault(self, connection: int) -> Fault | None:
        """Return why a connection does not send, `None` if it does or if that is not known here."""
        state = self._connections.states.get(connection)
        return None if state is None else state.fault

    def last_sent_ms(self, connection: int) -> int | None:
        """Return when something of a connection was last delivered by this process."""
        state = self._connections.states.get(connection)
        return None if state is None else state.last_sent_ms

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way that does not wait for time to pass."""
        return len(self._tasks) > sum(stream.waiters for stream in self._connections.streams)

    def state(self) -> dict[str, Any]:
        """Describe the forwarder for a status page; no payloads, no identities."""
        blocked = self._blocked()
        connections = {}
        for number, state in self._connections.states.items():
            streams = [
                each for each in self._connections.streams if each.connection.number == number
            ]
            connections[state.info.id] = {
                "status": state.status,
                "fault": None if state.fault is None else msgspec.to_builtins(state.fault),
                "in_memory": sum(stream.waiting for stream in streams),
                "in_memory_bytes": sum(stream.waiting_bytes for stream in streams),
                "blocked_users": blocked[number],
                "in_flight": self._desk.sending[number],
            }
        return {
            "output": self._desk.output.id,
            "in_flight": self._desk.in_flight,
            "free_ms": self._desk.pace.free_ms(self._clock.now_ms()),
            "couriers": [courier.status() for courier in self._couriers],
            "connections": connections,
        }

    # -- The loop ---------------------------------------------------------------------------------

    def _work(self, now_ms: int) -> None:
        """Start everything that can be started now."""
        if now_ms >= self._next_poll_ms:
            self._next_poll_ms = now_ms + self._poll_ms
            self._poll()
        if now_ms >= self._next_sweep_ms:
            self._next_sweep_ms = now_ms + HOLD_SWEEP_MS
            for state in self._connections.drop_ended():
                self._desk.hide_status(state)
                self._holding.forget(state.info.number)
            self._holding.note()  # a connection may have faulted since
            for stream in self._connections.streams:
                if self._intake.may_hold(stream) and not stream.is_reading:
                    stream.is_reading = True
                    self._tasks.spawn(self._intake.bury_overdue(stream))
        for courier in self._couriers:
            courier.dispatch(now_ms)
        for stream in self._connections.streams:
            if now_ms < stream.not_before_ms:
                continue
            self._start_settling(stream)
            if now_ms >= stream.next_read_ms and self._intake.wants_more(stream):
                stream.is_reading = True
                self._tasks.spawn(self._intake.read(stream))

    def _poll(self) -> None:
        """Read everything once more, and show how long what waits has waited."""
        for stream in self._connections.streams:
            stream.may_have_more = True
        now_ms = self._clock.now_ms()
        self._desk.show_pace()
        blocked = self._blocked()
        oldest = [courier.oldest() for courier in self._couriers]
        for number, state in self._connections.states.items():
            since_ms = min((each[number] for each in oldest if number in each), default=now_ms)
            self._metrics.queue_oldest.labels(state.info.id).set((now_ms - since_ms) / 1000)
            self._metrics.blocked_users.labels(state.info.id).set(blocked[number])

    def _blocked(self) -> Counter[int]:
        return sum((courier.blocked() for courier in self._couriers), start=Counter())

    def _timeout_s(self, now_ms: int) -> float:
        """Return how long nothing has to be done if nothing happens."""
        times = [self._next_poll_ms, self._next_sweep_ms]
        for stream in self._connections.streams:
            times += [at for at in (stream.not_before_ms, stream.next_read_ms) if at > now_ms]
        for courier in self._couriers:
            due_ms = courier.next_due_ms()
            if due_ms is not None:
                times.append(due_ms)
        return max(min(times) - now_ms, 0) / 1000

    async def _drain(self) -> None:
        """Let what is under way end and settle it, within bounds: a shard may be gone."""
        deadline_ms = self._clock.now_ms() + DRAIN_MS
        while self._clock.now_ms() < deadline_ms:
            self._changed.clear()
            now_ms = self._clock.now_ms()
            for stream in self._connections.streams:
                if now_ms >= stream.not_before_ms:
                    self._start_settling(stream)
            if not self._tasks and not any(
                each.has_unsettled for each in self._connections.streams
            ):
                return
            await self._tasks.pause(FIRST_BACK_OFF_MS / 1000)

    def _start_settling(self, stream: Stream) -> None:
        if stream.has_unsettled and not stream.is_settling:
            stream.is_settling = True
            self._tasks.spawn(self._intake.settle(stream))
