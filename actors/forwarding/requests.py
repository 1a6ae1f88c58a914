"""Deliveries on their way through an output that sends requests."""

from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from msgspec.structs import replace

from actors.forwarding.changes import ChangeRequest, Changes
from actors.forwarding.desk import Desk
from actors.forwarding.entries import Entry, Parked, Waiting
from actors.forwarding.journal import Journal
from actors.forwarding.lane import Request
from actors.forwarding.lanes import Lanes
from actors.forwarding.pace import HALF_OPEN
from actors.forwarding.parking import Parking
from actors.forwarding.splitting import halves, joined
from actors.forwarding.streams import Stream
from actors.model.deliveries import DeadLetter, Delivery
from actors.outputs.contract import (
    Delivered,
    Failed,
    Fatal,
    Outcome,
    Refused,
    Retry,
    Split,
    StreamOutput,
)
from actors.outputs.mistakes import uncancelled

Spawn = Callable[[Coroutine[Any, Any, None]], None]


class RequestCourier:
    """Keeps the deliveries of one stream output in memory, in order, until they are settled."""

    def __init__(
        self,
        output: StreamOutput,
        desk: Desk,
        spawn: Spawn,
        journal: Journal,
        parking: Parking,
    ) -> None:
        """Set up.

        Args:
            output: sends.
            desk: of the forwarder.
            spawn: runs a coroutine beside the forwarder, which is told when it has ended.
            journal: of requests that bring changes of membership together.
            parking: of what waits for long.
        """
        self.output = output
        self._desk = desk
        self._spawn = spawn
        self._journal = journal
        self._parking = parking
        self._lanes = Lanes(desk.output.ordering, output.limits, desk.barrier_off, parking.park)
        self._changes = Changes(output.limits, journal)

    # -- What the forwarder calls -----------------------------------------------------------------

    async def accept(self, stream: Stream, deliveries: Sequence[Delivery]) -> None:
        """Take deliveries, in the order of their sequence."""
        now_ms = self._desk.clock.now_ms()
        is_together = stream.connection.is_subscription and self.output.limits.max_changes
        for delivery in deliveries:
            stream.hold(delivery)
            if is_together:
                self._drop(stream, self._changes.add(stream, delivery, now_ms))
            else:
                self._lanes.add(Entry(delivery, stream, stream.rereads), now_ms)

    def _drop(self, stream: Stream, overtaken: Sequence[Delivery]) -> None:
        for delivery in overtaken:
            stream.release(delivery)
        if overtaken:
            stream.settle_done([each.sequence for each in overtaken])

    def is_choked(self, stream: Stream) -> bool:
        """Whether it cannot take more of a stream; what is in memory is bounded elsewhere."""
        return False

    def dispatch(self, now_ms: int) -> None:
        """Send all requests that may be sent now."""
        self._lanes.limit(self.output.limits)  # a module may have registered others
        while (free_ms := self._free_ms(now_ms)) is not None:
            if free_ms > now_ms:
                if self._is_due(now_ms):
                    self._desk.pace.held_back(now_ms)
                return
            request = self._next(now_ms)
            if request is None:
                return
            entries = request.entries if isinstance(request, ChangeRequest) else request.ready
            if isinstance(request, Request) and len(entries) < len(request.entries):
                self._parking.begin()
                self._spawn(self._fetch(request))
                continue
            events = sum(entry.delivery.event_count for entry in entries)
            carried = Counter(entry.connection for entry in entries)
            begun = self._desk.enter(events, carried)
            self._spawn(self._send(request, entries, begun, carried))

    def _next(self, now_ms: int) -> Request | ChangeRequest | None:
        """Return the next request.

        While the breaker lets a single one pass, that is none of what has failed before, if there
        is another: users whose deliveries always fail would have it open again and again.
        """
        is_probe = self._desk.pace.breaker_state(now_ms) == HALF_OPEN
        if is_probe and self._lanes.has_fresh:
            request = self._lanes.take(now_ms, is_probe=True)
            if request is not None:
                return request
        return self._fetched() or self._changes.take(now_ms) or self._lanes.take(now_ms)

    def next_due_ms(self) -> int | None:
        """Return when `dispatch` may have something to do, if nothing else happens before."""
        due_ms = self._due_ms()
        free_ms = self._free_ms(self._desk.clock.now_ms())
        return None if due_ms is None or free_ms is None else max(due_ms, free_ms)

    def _free_ms(self, now_ms: int) -> int | None:
        return None if self._parking.is_full else self._desk.free_ms(now_ms)

    def _is_due(self, now_ms: int) -> bool:
        due_ms = self._due_ms()
        return due_ms is not None and due_ms <= now_ms

    def _due_ms(self) -> int | None:
        if self._parking.fetched:
            return 0
        times = [self._lanes.next_due_ms(), self._changes.next_due_ms()]
        return min((each for each in times if each is not None), default=None)

    async def release(self, connection: int) -> None:
        """Let go of what waits for a connection; it stays in the outbox."""
        for entry in [*self._lanes.remove(connection), *self._changes.remove(connection)]:
            self._give_back(entry)

    async def close(self) -> None:
        """Let go of everything; nothing is under way any more."""

    def blocked(self) -> Counter[int]:
        """Count users by connection whose deliveries wait for one that is being retried."""
        return self._lanes.blocked() + self._changes.blocked()

    def oldest(self) -> dict[int, int]:
        """Return the oldest receipt time of what waits, by connection."""
        return self._lanes.oldest() | self._changes.oldest()

    def status(self) -> dict[str, Any]:
        """Describe itself for a status page."""
        return {"paused_until_ms": self._desk.pace.paused_until_ms}

    # -- What was parked --------------------------------------------------------------------------

    async def _fetch(self, request: Request) -> None:
        lost = await self._parking.fetch(request)
        for entry in lost:
            self._give_back(entry)
        if not request.entries:
            self._lanes.finish(request, [], self._desk.clock.now_ms())
        for connection in {entry.connection for entry in lost}:
            await self.release(connection)  # what is behind it must not come before it

    def _fetched(self) -> Request | None:
        """Return a request that has been fetched, without what may not be sent any more."""
        while self._parking.fetched:
            request = self._parking.fetched.popleft()
            kept = self._still_wanted(request.ready)
            request.entries = list(kept)
            if request.entries:
                return request
            self._lanes.finish(request, [], self._desk.clock.now_ms())
        return None

    # -- One request ------------------------------------------------------------------------------

    async def _send(
        self,
        request: Request | ChangeRequest,
        entries: Sequence[Entry],
        begun: int,
        carried: Counter[int],
    ) -> None:
        desk = self._desk
        started_ms = desk.clock.now_ms()
        began = desk.clock.monotonic()
        deliveries = [entry.delivery for entry in entries]
        if isinstance(request, ChangeRequest):
            self._journal.begin(request.stream, request.parts)
        try:
            outcomes = await uncancelled(self.output.send(deliveries))
            if len(outcomes) != len(deliveries):
                raise ValueError(f"{len(outcomes)} outcomes of {len(deliveries)} deliveries")
        except Exception as error:
            # A mistake in an output must cost neither the delivery nor the other connections.
            desk.notices.mistake(deliveries[0].delivery_id, error)
            outcomes = [Retry(type(error).__name__)] * len(deliveries)
        finally:
            desk.leave(carried)
        desk.ended(begun, deliveries[0].delivery_id, outcomes)
        desk.metrics.request_duration.labels(desk.output.id).observe(desk.clock.monotonic() - began)
        for connection, (outcome, attempts) in {
            delivery.connection: (outcome, delivery.attempts)
            for delivery, outcome in zip(deliveries, outcomes, strict=True)
        }.items():
            desk.count_attempt(connection, outcome, attempts)
        desk.answered(deliveries, outcomes)
        if isinstance(request, ChangeRequest):
            back = self._settle_together(request, outcomes, started_ms)
            kept = self._still_wanted(back)
            if len(kept) < len(back) == len(deliveries):
                self._journal.recall(request.stream, request.parts)
            self._changes.finish(request, kept, desk.clock.now_ms())
        else:
            back = []
            for entry, outcome in zip(entries, outcomes, strict=True):
                back += self._settle(entry, outcome, started_ms, len(deliveries))
            kept = self._still_wanted(back)
            self._lanes.finish(request, kept, desk.clock.now_ms())
        are_some_left = len(kept) < len(back)  # they must not come after what waits behind them
        for connection in {delivery.connection for delivery in deliveries}:
            if are_some_left or not desk.connections[connection].is_sending:
                await self.release(connection)

    def _settle_together(
        self, request: ChangeRequest, outcomes: Sequence[Outcome], started_ms: int
    ) -> list[Entry]:
        """Do what the outcomes of a request ask for, which most often are one.

        A repeat of it is one as well; what has to be parted is noted as parted.
        """
        entries, stream, outcome = request.entries, request.stream, outcomes[0]
        is_one = all(each == outcome for each in outcomes)
        if is_one and isinstance(outcome, Delivered) and not outcome.is_suspension:
            deliveries = [entry.delivery for entry in entries]
            self._desk.delivered(
                stream.connection.number,
                sum(each.event_count for each in deliveries),
                min(each.created_ms for each in deliveries),
            )
            self._finish(stream, *deliveries)
            return []
        parts = [entry.delivery.sequence for entry in entries]
        back = self._settle(entries[0], outcome, started_ms, len(entries))
        first = entries[0].delivery
        if is_one and isinstance(outcome, Retry) and first.next_attempt_ms and back:
            for entry in entries[1:]:  # all at the same time, or they would be parted
                entry.delivery = replace(
                    entry.delivery,
                    attempts=first.attempts,
                    first_attempt_ms=first.first_attempt_ms,
                    next_attempt_ms=first.next_attempt_ms,
                    delayed_ms=first.delayed_ms,
                )
                stream.settle_delayed(entry.delivery)
            return entries
        self._journal.dissolve(stream, parts)
        for entry, each in zip(entries[1:], outcomes[1:], strict=True):
            back += self._settle(entry, each, started_ms, len(entries))
        return back

    def _settle(
        self, entry: Entry, outcome: Outcome, started_ms: int, together: int
    ) -> list[Entry]:
        """Do what an outcome asks for; return what has to be sent again."""
        if isinstance(outcome, Delivered):
            self._deliver(entry)
            if outcome.is_suspension:
                fault = Fatal("suspend_subscription", outcome.excerpt)
                self._desk.suspended(entry.delivery, fault)
            return []
        if isinstance(outcome, Refused):
            fault = Fatal(outcome.reason, outcome.excerpt, outcome.http_status)
            self._desk.suspended(entry.delivery, fault)
            return [entry]
        if isinstance(outcome, Retry):
            return self._delay(entry, outcome, started_ms)
        if isinstance(outcome, Split):
            parts = self._split(entry, together)
            if parts is not None:
                return parts
            reason = "payload_too_large" if outcome.http_status is None else "fatal_response"
        else:
            reason = outcome.reason
            if self._desk.is_held(entry.delivery, reason):
                return self._hold(entry, reason, outcome)
        self._bury(entry, self._desk.letter(entry.delivery, reason, started_ms, outcome))
        return []

    def _deliver(self, entry: Entry) -> None:
        delivery = entry.delivery
        self._desk.delivered(delivery.connection, delivery.event_count, delivery.created_ms)
        if entry.family is not None:
            self._close_part(entry)
        else:
            self._finish(entry.stream, delivery)

    def _delay(self, entry: Entry, outcome: Retry, started_ms: int) -> list[Entry]:
        delayed = self._desk.delayed(entry.delivery, started_ms, outcome)
        if delayed is None:
            if self._desk.is_held(entry.delivery, "retry_exhausted"):
                return self._hold(entry, "retry_exhausted", outcome)
            letter = self._desk.letter(entry.delivery, "retry_exhausted", started_ms, outcome)
            self._bury(entry, letter)
            return []
        entry.delivery = delayed
        if entry.family is None:  # the outbox does not know parts
            entry.stream.settle_delayed(delayed)
        return [entry]

    def _hold(self, entry: Entry, reason: str, outcome: Failed) -> list[Entry]:
        """Have a delivery wait in its outbox for its connection to be resumed."""
        entry.delivery = self._desk.held(entry.delivery, reason, outcome)
        entry.stream.settle_delayed(entry.delivery)
        return [entry]

    def _split(self, entry: Entry, together: int) -> list[Entry] | None:
        """Return what to send instead of an entry that was too large in its request."""
        if together > 1:
            entry.most_together = together // 2
            return [entry]
        return halves(entry)

    def _bury(self, entry: Entry, letter: DeadLetter) -> None:
        if entry.family is not None:
            entry.family.failed[entry.chunk or ""] = letter
            self._close_part(entry)
        else:
            self._settle_dead(entry.stream, entry.delivery, letter)

    def _settle_dead(self, stream: Stream, delivery: Delivery, letter: DeadLetter) -> None:
        self._desk.buried(letter)
        stream.settle_dead(letter)
        stream.release(delivery)

    def _close_part(self, entry: Entry) -> None:
        """End one part of a split delivery, and with the last one the delivery."""
        family = entry.family
        assert family is not None, "only parts have a family"
        family.open -= 1
        if family.open:
            return
        if family.is_given_back:
            entry.stream.release(family.parent)
        elif family.failed:
            self._settle_dead(entry.stream, family.parent, joined(family))
        else:
            self._finish(entry.stream, family.parent)

    def _finish(self, stream: Stream, *deliveries: Delivery) -> None:
        delivered = self._desk.connections[stream.connection.number].delivered
        delivered.update((each.delivery_id, each.mpid) for each in deliveries)
        stream.settle_done([each.sequence for each in deliveries])
        for each in deliveries:
            stream.release(each)

    def _still_wanted(self, back: list[Entry]) -> list[Entry]:
        """Return the entries to be sent again; the others stay in the outbox, if they are there.

        Those are of connections that do not send any more, or of what was erased, perhaps.
        """
        kept = []
        for entry in back:
            is_sending = self._desk.connections[entry.delivery.connection].is_sending
            if is_sending and not entry.is_stale:
                kept.append(entry)
            else:
                self._give_back(entry)
        return kept

    def _give_back(self, entry: Waiting) -> None:
        """Take an entry out of memory; it will be read again, whole."""
        entry.stream.forget([entry.sequence])
        if isinstance(entry, Parked) or entry.family is None:
            self._parking.let_go(entry)
        else:
            entry.family.is_given_back = True
            self._close_part(entry)
