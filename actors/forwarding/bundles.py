"""Deliveries on their way through an output that collects them into uploads.

Deliveries are grouped by (connection, source) and by what the output says. The uploads of a group
follow one another, each settled before the next begins: so at most one upload of a group can have
been made without its settlement, and the first delivery of what is read again after a crash is the
first delivery of that upload. It gets the same name and is replaced. For the same reason a bundle
that lost what it had is let go of with all that waits behind it, and not alone. One that could not
be filled, though the disk has room, is an attempt: what comes for its group waits until it is due,
and other groups go on until a page of their stream waits so. It is read again at each attempt.
"""

import errno
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

from actors.forwarding.desk import Desk, anew
from actors.forwarding.packs import Group, Pack
from actors.forwarding.requests import Spawn
from actors.forwarding.streams import SOURCE_FAULTS, Stream
from actors.model.deliveries import Delivery
from actors.outputs.contract import BulkOutput, Delivered, Failed, Outcome, Retry, Split
from actors.outputs.mistakes import uncancelled

MAX_OPEN = 64  # bundles of one stream that take deliveries; each may be an open file
MAX_QUEUED = 2  # bundles of one group that wait to be sent, before its stream is not read on
GIVE_UP_AGAIN_MS = 10_000
MAX_UNFILLED = 1000  # deliveries of a stream that wait for bundles which could not be filled
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


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
        rereads = stream.rereads
        by_group: dict[str, list[Delivery]] = {}
        for delivery in deliveries:
            try:
                name = self.output.group(delivery)
            except Exception as error:
                stream.settle_dead(self._desk.unbuildable(delivery, error))
            else:
                by_group.setdefault(name, []).append(delivery)
        for name, members in by_group.items():
            await self._add(stream, name, members, rereads)

    def is_choked(self, stream: Stream) -> bool:
        """Whether too much of a stream waits to be sent for more to be taken."""
        groups = self._groups.get(stream, {})
        unfilled = (each.unfilled for each in groups.values())
        if sum(len(pack.sequences) for pack in unfilled if pack) >= MAX_UNFILLED:
            return True
        return any(
            len(group.queue) >= MAX_QUEUED
            or group.is_leaving
            or group.is_lost
            or group.rereads != stream.rereads
            for group in groups.values()
        )

    def dispatch(self, now_ms: int) -> None:
        """Close the bundles whose time is up, and send those that are due, the oldest first."""
        due: list[tuple[int, Stream, str, Group]] = []
        for stream, groups in self._groups.items():
            for name, group in groups.items():
                is_stale = group.is_lost or group.rereads != stream.rereads
                if is_stale and self._may_leave(stream, group):
                    self._spawn(self._release(stream, name, group))
                is_over = group.open and now_ms >= group.open.opened_ms + self.output.max_wait_ms
                if is_over and not stream.is_reading:
                    group.close()
                if not self._may_send(stream, group) or now_ms < group.queue[0].due_ms:
                    continue
                if not group.queue[0].is_waiting:
                    due.append((group.queue[0].opened_ms, stream, name, group))
                elif not stream.is_reading:
                    self._spawn(self._release(stream, name, group))
        for _, stream, name, group in sorted(due, key=itemgetter(0)):
            if group.queue[0].failure is not None:  # nothing is sent
                group.is_sending = True
                self._spawn(self._end(stream, name, group))
                continue
            free_ms = self._desk.free_ms(now_ms)
            if free_ms is not None and free_ms <= now_ms:
                begun = self._desk.enter(group.queue[0].events, _carried(stream, group.queue[0]))
                group.is_sending = True
                self._spawn(self._send(stream, name, group, begun))
            elif free_ms is not None:
                self._desk.pace.held_back(now_ms)

    def next_due_ms(self) -> int | None:
        """Return when `dispatch` may have something to do, if nothing else happens before."""
        times: list[int] = []
        free_ms = self._desk.free_ms(self._desk.clock.now_ms())
        for stream, groups in self._groups.items():
            for group in groups.values():
                if group.open is not None and not stream.is_reading:
                    times.append(group.open.opened_ms + self.output.max_wait_ms)
                if not self._may_send(stream, group):
                    continue
                if group.queue[0].failure is not None:
                    times.append(group.queue[0].due_ms)
                elif group.queue[0].is_waiting:
                    times += [] if stream.is_reading else [group.queue[0].due_ms]
                elif free_ms is not None:
                    times.append(max(group.queue[0].due_ms, free_ms))
        return min(times, default=None)

    def _may_send(self, stream: Stream, group: Group) -> bool:
        """Whether the next bundle of a group may be sent, once it is due."""
        is_busy = group.is_sending or group.is_leaving or group.is_lost
        if not group.queue or is_busy or group.rereads != stream.rereads:
            return False
        return self._desk.connections[stream.connection.number].is_sending

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

    async def _add(self, stream: Stream, name: str, members: list[Delivery], rereads: int) -> None:
        groups = self._groups.setdefault(stream, {})
        group = groups.setdefault(name, Group(rereads))
        while members:
            if rereads != stream.rereads:
                stream.forget([each.sequence for each in members])
                break
            if group.unfilled is not None:
                group.unfilled.breaks(members)
                break
            offered = members[:1] if group.is_careful else members
            started_ms = self._desk.clock.now_ms()
            try:
                if group.open is None:
                    self._make_room(groups)
                    group.open = self._begin(stream, name, members[0])
                pack = group.open
                taken = await uncancelled(pack.bundle.add(offered))
                is_full = taken < len(offered) or pack.bundle.is_full
            except Exception as error:
                if isinstance(error, OSError) and error.errno in NO_ROOM:
                    # What was taken is still in the outbox.
                    await self._give_up_open(stream, group, members)
                    stream.back_off(self._desk.clock.now_ms())
                    self._desk.notices.no_room(stream.connection.id)
                    return
                if isinstance(error, OSError) and group.open is not None:
                    await self._break(stream, group, members, started_ms, error)
                    return
                # A mistake in an output must cost one delivery, and not the others.
                if await self._refuse(stream, group, members, error):
                    continue
                return
            pack.took(offered[:taken])
            members = members[taken:]
            if is_full:
                group.close()
        if group.open is None and not group.queue:  # all were refused
            self._forget(stream, name, group)

    def _begin(self, stream: Stream, name: str, first: Delivery) -> Pack:
        bundle = self.output.open_bundle(stream.connection.input_id, name, first)
        return Pack(bundle, first, self._desk.clock.now_ms())

    def _make_room(self, groups: dict[str, Group]) -> None:
        """Close the oldest bundle of a stream where many are open."""
        filling = [group for group in groups.values() if group.open is not None]
        if len(filling) >= MAX_OPEN:
            min(filling, key=lambda group: group.open.opened_ms if group.open else 0).close()

    async def _give_up_open(self, stream: Stream, group: Group, members: list[Delivery]) -> None:
        """Discard the bundle that was being filled; all of it is read again, in order."""
        sequences = [delivery.sequence for delivery in members]
        if group.open is not None:
            sequences += group.open.sequences
            await self._discard(group.open)
            group.open = None
        stream.forget(sequences)

    async def _break(
        self,
        stream: Stream,
        group: Group,
        members: list[Delivery],
        started_ms: int,
        error: OSError,
    ) -> None:
        """Count it as an attempt that a bundle could not be filled, and have it wait."""
        pack = group.open
        assert pack is not None, "it was being filled"
        first = pack.first
        outcome = Retry(f"{type(error).__name__}: {error}")
        await self._discard(pack)
        pack.breaks(members)
        group.close()
        self._desk.count_attempt(stream.connection.number, outcome, first.attempts)
        self._retry(stream, pack, outcome, started_ms)

    async def _refuse(
        self, stream: Stream, group: Group, members: list[Delivery], error: Exception
    ) -> bool:
        """Make a dead letter of the one of `members` that an output could not take.

        Which one of several it was will show as they are added one by one. What the bundle holds
        now is not known, so all that was put into it is read again, and the rest after it.

        Returns:
            Whether nothing was in it, so that `members`, now without the one, can be added.
        """
        if group.open is None or group.is_careful or len(members) == 1:
            stream.settle_dead(self._desk.unbuildable(members.pop(0), error))
        group.is_careful = True
        was_empty = group.open is None or not group.open.sequences
        await self._give_up_open(stream, group, [] if was_empty else members)
        return was_empty

    async def _discard(self, pack: Pack) -> None:
        if pack.is_broken:
            return
        try:
            await uncancelled(pack.bundle.discard())
        except Exception as error:
            self._desk.notices.mistake(pack.first.delivery_id, error)

    # -- Sending ----------------------------------------------------------------------------------

    async def _send(self, stream: Stream, name: str, group: Group, begun: int) -> None:
        desk = self._desk
        pack = group.queue[0]
        started_ms = desk.clock.now_ms()
        began = desk.clock.monotonic()
        try:
            outcome = await self._attempt(pack)
        finally:
            desk.leave(_carried(stream, pack))  # a shard that does not answer takes nobody's turn
        desk.ended(begun, pack.first.delivery_id, [outcome])
        desk.count_attempt(stream.connection.number, outcome, pack.first.attempts)
        desk.answered([pack.first], [outcome])
        desk.metrics.request_duration.labels(desk.output.id).observe(desk.clock.monotonic() - began)
        await self._settle(stream, group, pack, outcome, started_ms)
        await self._end(stream, name, group)

    async def _end(self, stream: Stream, name: str, group: Group) -> None:
        """Let the next bundle of a group follow, or let go of the group."""
        pack = group.queue[0] if group.queue else None
        if pack is not None and pack.failure is not None:
            await self._give_up(stream, group, pack, *pack.failure)
        group.is_sending = False
        if not self._desk.connections[stream.connection.number].is_sending:
            await self.release(stream.connection.number)
        elif group.rereads != stream.rereads:
            await self._release(stream, name, group)
        elif group.open is None and not group.queue:
            self._forget(stream, name, group)

    async def _attempt(self, pack: Pack) -> Outcome:
        try:
            return await uncancelled(pack.bundle.send())
        except Exception as error:
            # A mistake in an output must cost neither the bundle nor the other connections.
            self._desk.notices.mistake(pack.first.delivery_id, error)
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
            group.is_lost = self._retry(stream, pack, outcome, started_ms) and outcome.is_lost
        else:
            reason = "payload_too_large" if isinstance(outcome, Split) else outcome.reason
            pack.failure = (reason, started_ms, outcome)

    def _retry(self, stream: Stream, pack: Pack, outcome: Retry, started_ms: int) -> bool:
        """Have a bundle wait for its next attempt; tell whether there is one."""
        delayed = self._desk.delayed(pack.first, started_ms, outcome)
        if delayed is None:
            pack.failure = ("retry_exhausted", started_ms, outcome)
            return False
        pack.first = delayed
        pack.due_ms = delayed.next_attempt_ms
        stream.settle_delayed(delayed)
        return True

    async def _give_up(
        self,
        stream: Stream,
        group: Group,
        pack: Pack,
        reason: str,
        started_ms: int,
        outcome: Failed,
    ) -> None:
        """Have a bundle buried, or its subscription faulted: then all that waits is let go of."""
        is_held = self._desk.is_held(pack.first, reason)
        try:
            if not is_held:
                await self._bury(stream, pack, reason, started_ms, outcome)
            elif isinstance(outcome, Retry):
                # Before the fault: what is let go of must be known to have been tried.
                await self._mark_tried(stream, pack, outcome)
        except SOURCE_FAULTS:
            pack.due_ms = self._desk.clock.now_ms() + GIVE_UP_AGAIN_MS
            return
        if is_held:
            stream.settle_delayed(self._desk.held(pack.first, reason, outcome))
        else:
            await self._discard(pack)
            group.queue.popleft()

    async def _bury(
        self, stream: Stream, pack: Pack, reason: str, started_ms: int, outcome: Failed
    ) -> None:
        async for delivery in pack.read_again(stream):
            letter = self._desk.letter(delivery, reason, started_ms, outcome)
            letter.delivery.attempts = pack.first.attempts + 1
            self._desk.buried(letter)
            stream.settle_dead(letter)

    async def _mark_tried(self, stream: Stream, pack: Pack, outcome: Failed) -> None:
        async for delivery in pack.read_again(stream):
            stream.settle_delayed(anew(delivery, outcome))

    def _packs(self) -> Iterator[Pack]:
        for groups in self._groups.values():
            for group in groups.values():
                yield from group.queue
                if group.open is not None:
                    yield group.open

    def _may_leave(self, stream: Stream, group: Group) -> bool:
        """Whether nobody is at the bundles of a group."""
        return not (group.is_sending or stream.is_reading or group.is_leaving)

    async def _release(self, stream: Stream, name: str, group: Group) -> None:
        if not self._may_leave(stream, group):
            return  # whoever is at it asks again when it has done
        group.is_leaving = True
        group.close()
        for pack in group.queue:
            await self._discard(pack)
        stream.forget([sequence for pack in group.queue for sequence in pack.sequences])
        self._forget(stream, name, group)

    def _forget(self, stream: Stream, name: str, group: Group) -> None:
        groups = self._groups.get(stream, {})
        if groups.get(name) is group:
            del groups[name]
            if not groups:
                del self._groups[stream]


def _carried(stream: Stream, pack: Pack) -> dict[int, int]:
    return {stream.connection.number: len(pack.sequences)}
