"""One connection's outbox on one source: what was read from it, and what has to be told it."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from actors.errors import ShardUnavailable, StoreFull
from actors.model.deliveries import DeadLetter, Delivery, Settlement
from actors.pipeline.connection import ConnectionInfo

FIRST_BACK_OFF_MS = 100
LAST_BACK_OFF_MS = 10_000
SOURCE_FAULTS = (ShardUnavailable, StoreFull)
# spec/connections.md, 3.1
REMEMBERED_IDS = 100_000


class OutboxSource(Protocol):
    """A shard's outbox, as a forwarder sees it.

    Both calls raise `ShardUnavailable` when the shard does not answer, and `StoreFull` when it has
    no room; a settlement may then have been applied and is sent again.
    """

    async def read(
        self, connection: int, after_sequence: int, limit: int, max_bytes: int
    ) -> list[Delivery]:
        """Return the next deliveries in the order of their sequence, delayed ones included."""
        ...

    async def settle(self, settlement: Settlement) -> None:
        """Apply a settlement in one transaction; what is gone already is passed over."""
        ...


class RecentIds:
    """The deliveries of one connection that were delivered last.

    Known by id and user: two users' batches may have been given the same `batch_id` by a sender.
    Dead letters are not among them: a replay sends them under the same id.
    """

    def __init__(self, capacity: int = REMEMBERED_IDS) -> None:
        self._capacity = capacity
        self._ids: dict[tuple[str, int | None], None] = {}

    def among(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Return those of some deliveries that were delivered; seldom any."""
        keys = [(each.delivery_id, each.mpid) for each in deliveries]
        if self._ids.keys().isdisjoint(keys):
            return []
        return [each for each, key in zip(deliveries, keys, strict=True) if key in self._ids]

    def update(self, ids: Iterable[tuple[str, int | None]]) -> None:
        """Remember (delivery id, MPID), and forget as many of the oldest as are too many."""
        self._ids.update(dict.fromkeys(ids))
        while len(self._ids) > self._capacity:
            del self._ids[next(iter(self._ids))]


class Stream:
    """One connection on one source.

    A sequence is *known* from being read until its settlement was applied; reading it again in the
    meantime gives nothing.
    """

    def __init__(
        self,
        source: OutboxSource,
        source_index: int,
        connection: ConnectionInfo,
        notify: Callable[[], None],
    ) -> None:
        """Begin at the start of the outbox. `notify` is called when there is something to do."""
        self.source = source
        self.source_index = source_index
        self.connection = connection
        self.may_have_more = True
        self.is_near_end = False  # of what was read last, less than half of what was asked for came
        self.is_reading = False
        self.is_settling = False
        self.was_empty = False  # nothing at all was there when what is overdue was last looked for
        self.has_failed_to_settle = False  # and nothing has been settled since
        self.waiting = 0  # deliveries in memory, dead ones too, and the bytes of their payloads
        self.waiting_bytes = 0
        self.parked = 0  # deliveries of which little is in memory (`parking`), not among those
        self.not_before_ms = 0
        self.next_read_ms = 0
        self.rereads = 0  # how often all that had been read was to be read again
        self._failures = 0
        self._cursor = 0
        self._rewinds = 0
        self._known: set[int] = set()
        self._settled: set[int] = set()  # since a read began that has not ended
        self._done: list[int] = []
        self._dead: list[DeadLetter] = []
        self._delayed: dict[int, Delivery] = {}
        self._being_delayed: dict[int, Delivery] = {}  # in the settlement that is under way
        self._newer: dict[int, Delivery] = {}  # than what a read may find that has not ended
        self._unsettled: list[asyncio.Future[None]] = []
        self._notify = notify

    # -- Reading ----------------------------------------------------------------------------------

    async def read(self, limit: int, max_bytes: int) -> list[Delivery]:
        """Return what follows what was read, without what is known."""
        rewinds = self._rewinds
        self.may_have_more = False  # before the call: being woken during it counts
        self._settled.clear()
        self._newer = self._being_delayed | self._delayed
        deliveries = await self.source.read(self.connection.number, self._cursor, limit, max_bytes)
        if rewinds != self._rewinds:
            return []  # what comes before these has to be read again, or they may be gone
        if deliveries:
            self.may_have_more = True
            self._cursor = deliveries[-1].sequence
        size = sum(len(each.payload) for each in deliveries)
        self.is_near_end = len(deliveries) * 2 < limit and size * 2 < max_bytes
        sequences = {each.sequence for each in deliveries}
        passed_by = sequences & (self._known | self._settled)
        if passed_by:
            deliveries = [each for each in deliveries if each.sequence not in passed_by]
        self._known |= sequences - self._settled
        newer, self._newer = self._newer, {}
        return [newer.get(each.sequence, each) for each in deliveries] if newer else deliveries

    def hold(self, delivery: Delivery) -> None:
        """Count a delivery whose payload stays in memory."""
        self.waiting += 1
        self.waiting_bytes += len(delivery.payload)

    def release(self, delivery: Delivery) -> None:
        """Undo `hold`."""
        self.waiting -= 1
        self.waiting_bytes -= len(delivery.payload)

    def knows(self, sequence: int) -> bool:
        """Whether a delivery was read, and its settlement has not been applied."""
        return sequence in self._known

    @property
    def is_idle(self) -> bool:
        """Whether nothing of it is in memory or under way."""
        is_busy = self.is_reading or self.is_settling or bool(self._unsettled)
        return not (is_busy or self._known or self.waiting or self.has_unsettled)

    def forget(self, sequences: Iterable[int]) -> None:
        """Drop deliveries from memory that are to be read again."""
        self._known.difference_update(sequences)
        self._rewind()

    def pass_by(self, sequences: Iterable[int]) -> None:
        """Leave deliveries where they are that nobody takes."""
        self._known.difference_update(sequences)

    def reread(self) -> None:
        """Have what was read before count no more: some of it may be gone from the outbox."""
        self.rereads += 1
        self._rewind()

    def _rewind(self) -> None:
        self._cursor = 0
        self._rewinds += 1
        self.may_have_more = True

    # -- Settling ---------------------------------------------------------------------------------

    @property
    def has_unsettled(self) -> bool:
        """Whether the source has to be told something."""
        return bool(self._done or self._dead or self._delayed)

    def settle_done(self, sequences: Iterable[int]) -> None:
        """Have deliveries deleted."""
        sequences = list(sequences)
        self._done += sequences
        if self._delayed:
            for sequence in sequences:
                self._delayed.pop(sequence, None)
        self._notify()

    def settle_dead(self, letter: DeadLetter) -> None:
        """Have a delivery moved to the dead letters; it stays in memory until it is."""
        self._dead.append(letter)
        self.hold(letter.delivery)
        self._known.add(letter.delivery.sequence)  # not only those that were read to be sent die
        self._delayed.pop(letter.delivery.sequence, None)
        self._notify()

    def settle_delayed(self, delivery: Delivery) -> None:
        """Have a delivery written back with its attempts."""
        self._delayed[delivery.sequence] = delivery
        if self.is_reading:
            self._newer[delivery.sequence] = delivery
        self._notify()

    def unwritten(self, sequence: int) -> Delivery | None:
        """Return a delivery that is to be written back, unless the source is known to have it."""
        return self._delayed.get(sequence) or self._being_delayed.get(sequence)

    def settled(self) -> asyncio.Future[None]:
        """Return what is done once all that is unsettled now has been applied."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.has_unsettled:
            self._unsettled.append(future)
        else:
            future.set_result(None)
        return future

    @property
    def waiters(self) -> int:
        """How many wait for a settlement that has not been begun."""
        return len(self._unsettled)

    async def settle(self) -> None:
        """Tell the source all that is unsettled; after an error it stays so."""
        done, self._done = self._done, []
        dead, self._dead = self._dead, []
        delayed, self._delayed = self._delayed, {}
        self._being_delayed = delayed
        futures, self._unsettled = self._unsettled, []
        settlement = Settlement(self.connection.number, done, dead, list(delayed.values()))
        try:
            await self.source.settle(settlement)
        except BaseException:
            self._done = done + self._done
            self._dead = dead + self._dead
            final = {*self._done, *(letter.delivery.sequence for letter in self._dead)}
            older = {key: value for key, value in delayed.items() if key not in final}
            self._delayed = older | self._delayed
            self._unsettled = futures + self._unsettled
            self.has_failed_to_settle = True
            raise
        finally:
            self._being_delayed = {}
        self.has_failed_to_settle = False
        for letter in dead:
            self.release(letter.delivery)
        settled = {*done, *(letter.delivery.sequence for letter in dead)}
        self._known -= settled
        if self.is_reading:
            self._settled |= settled
        for future in futures:
            if not future.done():  # its waiter may have been cancelled
                future.set_result(None)

    # -- Faults of the source ---------------------------------------------------------------------

    def back_off(self, now_ms: int) -> None:
        """Leave the source alone for a while, longer each time."""
        delay_ms = min(LAST_BACK_OFF_MS, FIRST_BACK_OFF_MS * 2 ** min(self._failures, 16))
        self._failures += 1
        self.not_before_ms = now_ms + delay_ms

    def recover(self) -> None:
        """Note that the source answered; it may have no room for a settlement all the same."""
        if not self.has_failed_to_settle:
            self._failures = 0
