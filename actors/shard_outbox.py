"""The outbox of one shard: what is to be delivered, from its cause to its settlement."""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence

from actors.audiences.announce import FIRST_NUMBER, Subscription
from actors.collecting import Collector, Gathered, Part
from actors.metric_groups import ShardMetrics
from actors.model.batches import StoredBatch
from actors.model.deliveries import DeadLetter, Delivery, Settlement
from actors.queues import Queues
from actors.shard_options import ShardOptions
from actors.steps.enqueue import admit_to_queue
from actors.store import outbox, pending
from actors.store.environment import Store, Transaction
from actors.store.ids import Ids, write_last
from actors.store.keys import outbox_key

# Collected batches that a transaction completes besides what it is for.
DUE_PER_TRANSACTION = 64
# Deliveries, and about how many bytes of them, that tell how old a queue is.
LOOKED_AT = 100
LOOKED_AT_BYTES = 1024 * 1024

logger = logging.getLogger("headwater.outbox")


class ShardOutbox:
    """Deliveries are taken while a transaction runs, written in it, and known once it is on disk.

    Attributes:
        queues: how much waits for each connection.
        collector: of what becomes a delivery later.
    """

    def __init__(
        self,
        store: Store,
        txn: Transaction,
        options: ShardOptions,
        ids: Ids,
        wake: Callable[[str], None],
        metrics: ShardMetrics,
    ) -> None:
        """Args: `wake` is called with the id of an output for which there is something."""
        self._store = store
        self._ids = ids
        self._wake = wake
        self._metrics = metrics
        connections = {each.number: each.id for each in options.all_connections}
        self.queues = Queues(txn, options.queue_limits, connections)
        self.collector = Collector(txn, options.connections, ids.next)
        self._outputs = {each.number: each.output for each in options.all_connections}
        self._dropped = options.dropped
        # Connections whose outbox their output has read to the end: it waits to be woken.
        self._caught_up: set[int] = set(self._outputs)
        self._room: dict[int, int] | None = None
        self._taken: list[Delivery] = []
        self._parts: list[Part] = []
        self._dead: list[DeadLetter] = []
        self._added: dict[int, tuple[int, int]] = {}  # deliveries and bytes
        self._gathered: list[Gathered] = []

    def take_over(self, options: ShardOptions) -> None:
        """Go on with other connections; what waits for one that is not there any more stays."""
        outputs = {each.number: each.output for each in options.all_connections}
        for number in [each for each in self._outputs if each < FIRST_NUMBER]:
            if number not in outputs:
                self.queues.forget(number)
                del self._outputs[number]
                self._caught_up.discard(number)
        for each in options.all_connections:
            self.queues.know(each.number, each.id, options.queue_limits[each.number])
            if self._outputs.get(each.number) != each.output:  # its forwarder has read nothing yet
                self._outputs[each.number] = each.output
                self._caught_up.add(each.number)
        self._dropped = options.dropped
        with self._store.read() as txn:
            self.collector.take_over(txn, options.connections)

    def clear_dropped(self, limit: int) -> int:
        """Delete some of what waits for connections that were dropped, and of their dead letters.

        Returns:
            How much was deleted, at most `limit`. Raises StoreFull.
        """
        waiting = [each for each in self.queues.waiting(1) if each in self._dropped]
        if waiting:
            with self._store.write() as txn:
                count, size = _clear(txn, waiting[0], limit)
            self.queues.left(waiting[0], count, size)
            return count
        for number in self.queues.dead() & self._dropped:
            with self._store.write() as txn:
                letters = outbox.dead_letters(txn, number, 0, limit)
                for each in letters:
                    outbox.unbury(txn, outbox_key(number, each.delivery.sequence))
            self.queues.forgotten([(number, each.reason) for each in letters])
            return len(letters)
        return 0

    def queue(self, connection: int) -> dict[str, int]:
        """Return how much waits for a connection on this shard (`Queues.of`).

        If something does, also `oldest_ms`, the receipt time of the first of it, and
        `next_attempt_ms`, when one of the first `LOOKED_AT` may be attempted.
        """
        found = self.queues.of(connection)
        with self._store.read() as txn:
            first = outbox.decode(
                outbox.read_encoded(txn, connection, 0, LOOKED_AT, LOOKED_AT_BYTES)
            )
        if first:
            found["oldest_ms"] = min(each.created_ms for each in first)
            found["next_attempt_ms"] = min(each.next_attempt_ms for each in first)
        return found

    def purge(self, connection: int, limit: int) -> int:
        """Delete some of what waits for a connection; return how much. Raises StoreFull."""
        with self._store.write() as txn:
            count, size = _clear(txn, connection, limit)
        self.queues.left(connection, count, size)
        return count

    def subscribe(self, subscriptions: Iterable[Subscription], max_bytes: int) -> None:
        """Take over which subscriptions of audiences there are, beside the connections.

        Args:
            subscriptions: all of them.
            max_bytes: that may wait for each of them on this shard.
        """
        for each in subscriptions:
            if each.number not in self._outputs:
                self._outputs[each.number] = each.output
                self._caught_up.add(each.number)
            self.queues.know(each.number, each.id, max_bytes)

    def clear_ended(self, subscriptions: Collection[int], limit: int) -> bool:
        """Delete some of what waits for subscriptions that are not there any more.

        Args:
            subscriptions: connection numbers of those that are.
            limit: deliveries to be deleted at most.

        Returns:
            Whether there is more. Raises StoreFull.
        """
        ended = [each for each in self.queues.waiting(FIRST_NUMBER) if each not in subscriptions]
        if not ended:
            self._forget_ended(subscriptions)
            return False
        with self._store.write() as txn:
            count, size = outbox.clear(txn, ended[0], limit)
        self.queues.left(ended[0], count, size)
        return count == limit or len(ended) > 1

    def _forget_ended(self, subscriptions: Collection[int]) -> None:
        """Let go of subscriptions that are not there any more and for which nothing waits."""
        gone = [each for each in self._outputs if each >= FIRST_NUMBER]
        for number in gone:
            if number not in subscriptions:
                self.queues.forget(number)
                del self._outputs[number]
                self._caught_up.discard(number)

    # -- In a transaction -------------------------------------------------------------------------

    def take(self, deliveries: Sequence[Delivery], now_ms: int) -> None:
        """Take new deliveries in order; what a full queue has no room for becomes dead letters."""
        if deliveries:
            self._taken += self._admit(deliveries, now_ms)

    def collect(self, stored: StoredBatch, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Take of a batch's deliveries what is collected; return the others.

        The batch came through an input that the collector knows.
        """
        if stored.mpid is None:
            return list(deliveries)
        collecting = self.collector.inputs[stored.input]
        own = [each for each in deliveries if each.connection in collecting]
        admitted = self._admit(own, stored.received_ms)
        self._parts += self.collector.parts(stored, admitted)
        return [each for each in deliveries if each.connection not in collecting]

    def _admit(self, deliveries: Sequence[Delivery], now_ms: int) -> list[Delivery]:
        if self._room is None:
            self._room = self.queues.room()
        admitted, dead = admit_to_queue(deliveries, self._room, now_ms)
        self._dead += dead
        return admitted

    def write(self, txn: Transaction, now_ms: int) -> None:
        """Write what was taken, and complete some of what is due. Raises StoreFull."""
        if self._parts:
            self._gather(self.collector.write(txn, self._parts, now_ms))
        if self.collector.is_due(now_ms):
            self._gather(self.collector.flush_due(txn, now_ms, DUE_PER_TRANSACTION))
        self._added = outbox.add_all(txn, self._taken)
        for letter in self._dead:
            outbox.bury(txn, letter)

    def _gather(self, gathered: Gathered) -> None:
        self._taken += gathered.deliveries
        self._gathered.append(gathered)

    def published(self) -> None:
        """The transaction is on disk."""
        for connection, (count, size) in self._added.items():
            self.queues.added(connection, count, size)
        for gathered in self._gathered:
            for connection, count in gathered.counts.items():
                self.queues.left(connection, -count, -gathered.sizes[connection])
        self.queues.died(self._dead)
        if self._dead:
            self._count_dead()
            self._report_full()
        added = list(self._added)
        self._forget_taken()
        self._wake_for(added)

    def abandon(self) -> None:
        """The transaction failed: nothing was taken."""
        self._forget_taken()
        self.collector.abandon()

    def _forget_taken(self) -> None:
        self._room = None
        self._taken, self._dead, self._added = [], [], {}
        self._parts, self._gathered = [], []

    def flush_due(self, now_ms: int, limit: int) -> int:
        """Complete some of what was collected and is due; return how many. Raises StoreFull."""
        if not self.collector.is_due(now_ms):
            return 0
        try:
            with self._store.write() as txn:
                self._gather(self.collector.flush_due(txn, now_ms, limit))
                self._added = outbox.add_all(txn, self._taken)
                write_last(txn, self._ids.last)
        except BaseException:
            self.abandon()
            raise
        count = len(self._taken)
        self.published()
        return count

    def _count_dead(self) -> None:
        """Count what no forwarder will see."""
        for letter in self._dead:
            name = self.queues.name_of(letter.delivery.connection)
            self._metrics.forwarder_events.labels(name, "failed").inc(letter.delivery.event_count)
            self._metrics.dead.labels(name, letter.reason).inc()

    def _report_full(self) -> None:
        """Say once that a queue is full, and again only when it has been below its limit."""
        for connection in {each.delivery.connection for each in self._dead}:
            if self.queues.turned_full(connection):
                logger.error(
                    "The queue of a connection is full; what comes is kept as dead letters",
                    extra={
                        "event": "queue_full",
                        "connection": self.queues.name_of(connection),
                        "alert": "Queue Full",
                    },
                )

    # -- Delivery ---------------------------------------------------------------------------------

    def read_outbox(
        self, connection: int, after_sequence: int, limit: int, max_bytes: int
    ) -> list[Delivery]:
        """Return the next deliveries of a connection; having seen the end, it will be woken."""
        return outbox.decode(self.read_outbox_encoded(connection, after_sequence, limit, max_bytes))

    def read_outbox_encoded(
        self, connection: int, after_sequence: int, limit: int, max_bytes: int
    ) -> bytes:
        """Return what `read_outbox` does, for `outbox.decode`: cheap to send elsewhere."""
        with self._store.read() as txn:
            found = outbox.read_encoded(txn, connection, after_sequence, limit, max_bytes)
        if not found and connection in self._outputs:  # else there is nobody to be woken
            self._caught_up.add(connection)
        return found

    def settle(self, settlement: Settlement) -> None:
        """Write what became of deliveries. Raises StoreFull."""
        with self._store.write() as txn:
            settled = outbox.settle(txn, settlement)
        self.queues.left(settlement.connection, settled.left, settled.freed_bytes)
        self.queues.died(settled.dead)

    def replay(self, connection: int, delivery_ids: Sequence[str]) -> int:
        """Put all dead letters of some ids back into the outbox; return how many were there.

        Raises:
            StoreFull: nothing was changed.
        """
        with self._store.write() as txn:
            reasons, size = outbox.replay(txn, connection, delivery_ids, self._ids.next)
            write_last(txn, self._ids.last)
        self.queues.revived((connection, reason) for reason in reasons)
        self.queues.added(connection, len(reasons), size)
        if reasons:
            self._wake_for([connection])
        return len(reasons)

    def discard(self, connection: int, delivery_ids: Sequence[str]) -> int:
        """Delete dead letters for good; return how many were there. Raises StoreFull."""
        with self._store.write() as txn:
            reasons = outbox.discard(txn, connection, delivery_ids)
        self.queues.forgotten((connection, reason) for reason in reasons)
        return len(reasons)

    def _wake_for(self, connections: Iterable[int]) -> None:
        """Wake the outputs of connections whose outbox they had read to the end."""
        outputs: set[str] = set()
        for connection in connections:
            if connection in self._caught_up:
                self._caught_up.discard(connection)
                outputs.add(self._outputs[connection])
        for output in outputs:
            self._wake(output)


def _clear(txn: Transaction, connection: int, limit: int) -> tuple[int, int]:
    """Delete what waits for a connection, and then what is collected for it."""
    count, size = outbox.clear(txn, connection, limit)
    if count < limit:
        parts, parts_size = pending.clear(txn, connection, limit - count)
        count, size = count + parts, size + parts_size
    return count, size
