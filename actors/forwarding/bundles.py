"""Deliveries on their way through an output that collects them into uploads.

Deliveries are grouped by (connection, source) and by what the output says. The uploads of a group
follow one another, each settled before the next begins: so at most one upload of a group can have
been made without its settlement, and the first delivery of what is read again after a crash is the
first delivery of that upload. It gets the same name and is replaced.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Any

from actors.forwarding.desk import Desk
from actors.forwarding.requests import Spawn
from actors.forwarding.streams import SOURCE_FAULTS, Stream
from actors.model import Delivery
from actors.outputs.contract import BulkOutput, Bundle, Delivered, Outcome, Retry, Split

MAX_OPEN = 64  # bundles of one stream that take deliveries; each may be an open file
MAX_QUEUED = 2  # bundles of one group that wait to be sent, before its stream is not read on
BURY_PAGE = 500
BURY_PAGE_BYTES = 8 * 1024 * 1024
BURY_AGAIN_MS = 10_000


class Pack:
    """A bundle and what was put into it: all that is left in memory of its deliveries."""

    def __init__(self, bundle: Bundle, first: Delivery, now_ms: int) -> None:
        self.bundle = bundle
        self.first = first  # carries the attempts of the whole bundle
        self.opened_ms = now_ms
        self.due_ms = first.next_attempt_ms
        self.sequences: list[int] = []
        self.ids: list[tuple[str, int | None]] = []
        self.events = 0
        self.failure: tuple[str, int, Outcome] | None = None

    def took(self, deliveries: Sequence[Delivery]) -> None:
        """Remember what the bundle took."""
        self.sequences += [delivery.sequence for delivery in deliveries]
        self.ids += [(delivery.delivery_id, delivery.mpid) for delivery in deliveries]
        self.events += sum(delivery.event_count for delivery in deliveries)


class Group:
    """The bundles of one group: one that is filled, and those that wait to be sent in turn."""

    def __init__(self) -> None:
        self.open: Pack | None = None
        self.queue: deque[Pack] = deque()
        self.is_sending = False

    def close(self) -> None:
        """Let the open bundle be sent."""
        if self.open is not None:
            self.queue.append(self.open)
            self.open = None


class BundleCourier:
    """Fills the bundles of one bulk output and sends them."""

    def __init__(self, output: BulkOutput, desk: Desk, spawn: Spawn) -> None:
        """`spawn` runs a coroutine beside the forwarder, which is told when it has ended."""
        self.output = output
        self._desk = desk
        self._spawn = spawn
        self._groups: dict[Stream, dict[str, Group]] = {}

    # -- What the forwarder calls -----------------------------------------------------------------

    async def accept(self, stream: Stream, deliveries: Sequence[Delivery]) -> None:
        """Put deliveries of one stream, in the order of their sequence, into bundles."""
        by_group: dict[str, list[Delivery]] = {}
        for delivery in deliveries:
            by_group.setdefault(self.output.group(delivery), []).append(delivery)
        for name, members in by_group.items():
            await self._add(stream, name, members)

    def is_choked(self, stream: Stream) -> bool:
        """Whether too much of a stream waits to be sent for more to be taken."""
        groups = self._groups.get(stream, {})
        return any(len(group.queue) >= MAX_QUEUED for group in groups.values())

    def dispatch(self, now_ms: int) -> None:
        """Close the bundles whose time is up, and send those that are due."""
        for stream, groups in self._groups.items():
            for name, group in list(groups.items()):
                is_over = group.open and now_ms >= group.open.opened_ms + self.output.max_wait_ms
                if is_over and not stream.is_reading:
                    group.close()
                if not group.queue or group.is_sending or now_ms < group.queue[0].due_ms:
                    continue
                if not self._desk.has_slot:
                    return
                self._desk.enter()
                group.is_sending = True
                self._spawn(self._send(stream, name, group))

    def next_due_ms(self) -> int | None:
        """Return when `dispatch` may have something to do, if nothing else happens before."""
        times: list[int] = []
        for stream, groups in self._groups.items():
            for group in groups.values():
                if group.open is not None and not stream.is_reading:
                    times.append(group.open.opened_ms + self.output.max_wait_ms)
                if group.queue and not group.is_sending and self._desk.has_slot:
                    times.append(group.queue[0].due_ms)
        return min(times, default=None)

    async def release(self, connection: int) -> None:
        """Let go of what waits for a connection; it stays in the outbox."""
        for stream, groups in list(self._groups.items()):
            if stream.connection.number == connection:
                for name, group in list(groups.items()):
                    await self._release(stream, name, group)

    async def close(self) -> None:
        """Let go of everything; nothing is under way any more."""
        for stream, groups in list(self._groups.items()):
            for name, group in list(groups.items()):
                await self._release(stream, name, group)

    def blocked(self) -> Counter[int]:
        """No user waits for another delivery of the same user."""
        return Counter()

    def oldest(self) -> dict[int, int]:
        """Return the oldest receipt time of what waits, by connection."""
        oldest: dict[int, int] = {}
        for pack in self._packs():
            delivery = pack.first
            earlier_ms = oldest.get(delivery.connection, delivery.created_ms)
            oldest[delivery.connection] = min(earlier_ms, delivery.created_ms)
        return oldest

    def status(self) -> dict[str, Any]:
        """Describe itself for a status page."""
        return {"bundles": sum(1 for _ in self._packs())}

    # -- Filling ----------------------------------------------------------------------------------

    async def _add(self, stream: Stream, name: str, members: list[Delivery]) -> None:
        groups = self._groups.setdefault(stream, {})
        group = groups.setdefault(name, Group())
        while members:
            if group.open is None:
                self._make_room(groups)
                group.open = self._begin(stream, name, members[0])
            pack = group.open
            try:
                taken = await pack.bundle.add(members)
            except Exception as error:
                # Most likely the disk is full. What was taken is still in the outbox.
                if not isinstance(error, OSError):
                    self._desk.mistake(pack.first.delivery_id, error)
                await self._give_up_open(stream, group, members)
                return
            pack.took(members[:taken])
            members = members[taken:]
            if members or pack.bundle.is_full:
                group.close()

    def _begin(self, stream: Stream, name: str, first: Delivery) -> Pack:
        bundle = self.output.open_bundle(stream.connection.input_id, name, first)
        return Pack(bundle, first, self._desk.clock.now_ms())

    def _make_room(self, groups: dict[str, Group]) -> None:
        """Close the oldest bundle of a stream where many are open."""
        filling = [group for group in groups.values() if group.open is not None]
        if len(filling) >= MAX_OPEN:
            min(filling, key=lambda group: group.open.opened_ms if group.open else 0).close()

    async def _give_up_open(self, stream: Stream, group: Group, members: list[Delivery]) -> None:
        """Discard the bundle that was being filled; all of it is read again later."""
        pack = group.open
        assert pack is not None, "only an open bundle is filled"
        group.open = None
        await pack.bundle.discard()
        stream.forget([*pack.sequences, *(delivery.sequence for delivery in members)])
        stream.back_off(self._desk.clock.now_ms())
        self._desk.no_room(stream.connection.id)

    # -- Sending ----------------------------------------------------------------------------------

    async def _send(self, stream: Stream, name: str, group: Group) -> None:
        desk = self._desk
        pack = group.queue[0]
        started_ms = desk.clock.now_ms()
        began = desk.clock.monotonic()
        try:
            if pack.failure is None:
                outcome = await self._attempt(pack)
                desk.count_attempt(stream.connection.number, outcome, pack.first.attempts)
                desk.metrics.request_duration.labels(desk.output.id).observe(
                    desk.clock.monotonic() - began
                )
                await self._settle(stream, group, pack, outcome, started_ms)
            if pack.failure is not None:
                await self._bury(stream, group, pack, *pack.failure)
        finally:
            desk.leave()
            group.is_sending = False
        if not desk.connections[stream.connection.number].is_sending:
            await self.release(stream.connection.number)
        elif group.open is None and not group.queue:
            self._forget(stream, name, group)

    async def _attempt(self, pack: Pack) -> Outcome:
        try:
            return await pack.bundle.send()
        except Exception as error:
            # A mistake in an output must cost neither the bundle nor the other connections.
            self._desk.mistake(pack.first.delivery_id, error)
            return Retry(type(error).__name__)

    async def _settle(
        self, stream: Stream, group: Group, pack: Pack, outcome: Outcome, started_ms: int
    ) -> None:
        if isinstance(outcome, Delivered):
            connection = stream.connection.number
            self._desk.delivered(connection, pack.events, pack.first.created_ms)
            self._desk.connections[connection].delivered.update(pack.ids)
            stream.settle_done(pack.sequences)
            await stream.settled()
            group.queue.popleft()
        elif isinstance(outcome, Retry):
            delayed = self._desk.delayed(pack.first, started_ms, outcome)
            if delayed is None:
                pack.failure = ("retry_exhausted", started_ms, outcome)
            else:
                pack.first = delayed
                pack.due_ms = delayed.next_attempt_ms
                stream.settle_delayed(delayed)
        else:
            reason = "payload_too_large" if isinstance(outcome, Split) else outcome.reason
            pack.failure = (reason, started_ms, outcome)

    async def _bury(
        self,
        stream: Stream,
        group: Group,
        pack: Pack,
        reason: str,
        started_ms: int,
        outcome: Outcome,
    ) -> None:
        """Make dead letters of a bundle; their payloads are read from the outbox once more."""
        wanted = set(pack.sequences)
        after = pack.sequences[0] - 1
        try:
            while wanted:
                page = await stream.source.read(
                    stream.connection.number, after, BURY_PAGE, BURY_PAGE_BYTES
                )
                if not page:
                    break
                for delivery in page:
                    if delivery.sequence in wanted:
                        letter = self._desk.letter(delivery, reason, started_ms, outcome)
                        letter.delivery.attempts = pack.first.attempts + 1
                        self._desk.buried(letter)
                        stream.settle_dead(letter)
                wanted.difference_update(delivery.sequence for delivery in page)
                after = page[-1].sequence
                await stream.settled()
        except SOURCE_FAULTS:
            pack.due_ms = self._desk.clock.now_ms() + BURY_AGAIN_MS
            return
        await pack.bundle.discard()
        group.queue.popleft()

    def _packs(self) -> Iterator[Pack]:
        for groups in self._groups.values():
            for group in groups.values():
                yield from group.queue
                if group.open is not None:
                    yield group.open

    async def _release(self, stream: Stream, name: str, group: Group) -> None:
        if group.is_sending or stream.is_reading:
            return  # whoever is at it asks again when it has done
        group.close()
        for pack in group.queue:
            await pack.bundle.discard()
            stream.forget(pack.sequences)
        self._forget(stream, name, group)

    def _forget(self, stream: Stream, name: str, group: Group) -> None:
        groups = self._groups.get(stream, {})
        if groups.get(name) is group:
            del groups[name]
            if not groups:
                del self._groups[stream]
