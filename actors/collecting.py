"""Collects the batches of one device into one, for connections that want it so.

Source: spec/connections.md, 3.6. What is collected lies in the store with its cause and becomes a
delivery of the outbox when it is complete, due or large enough: a forwarder never sees parts, and
neither memory nor a start depends on how many devices there are.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from actors.model.batches import StoredBatch
from actors.model.deliveries import Delivery
from actors.pipeline.connection import Collecting, ConnectionInfo
from actors.steps.merge import merge
from actors.store import pending
from actors.store.environment import Transaction
from actors.store.keys import pending_key
from actors.store.pending import Pending

# Of a connection that collects no more, as long as there is something that it has collected.
AT_ONCE = Collecting(max_wait_ms=0, max_events=0, max_bytes=0)
# Bytes after which due batches wait for the next transaction.
MOST_DUE_BYTES = 8 * 1024 * 1024
NEVER_MS = 2**62


class Part(Struct):
    """Something to be collected, or (`delivery` `None`) the end of a session alone."""

    key: bytes
    rule: Collecting
    delivery: Delivery | None
    is_end: bool


class Gathered(Struct):
    """What a transaction has made.

    Attributes:
        deliveries: that are complete, in order.
        counts, sizes: by which what waits in parts has changed, by connection.
    """

    deliveries: list[Delivery]
    counts: Counter[int]
    sizes: Counter[int]


class Collector:
    """What one shard collects of one workspace."""

    def __init__(
        self,
        txn: Transaction,
        connections: Iterable[ConnectionInfo],
        next_sequence: Callable[[], int],
    ) -> None:
        """Go on with what was being collected."""
        self._next_sequence = next_sequence
        self._by_input: dict[int, dict[int, Collecting]] = {}
        self._rules: dict[int, Collecting] = {}
        self._next_due_ms = 0
        self.take_over(txn, connections)

    @property
    def inputs(self) -> Mapping[int, Mapping[int, Collecting]]:
        """How connections collect, by input and connection; of those alone that do."""
        return self._by_input

    def take_over(self, txn: Transaction, connections: Iterable[ConnectionInfo]) -> None:
        """Go on with other connections. What one has collected that collects no more is due."""
        connections = tuple(connections)
        left = pending.connections(
            txn, [each.number for each in connections if each.collecting is None]
        )
        self._by_input = {}
        for each in connections:
            rule = AT_ONCE if each.number in left else each.collecting
            if rule is not None:
                self._by_input.setdefault(each.input, {})[each.number] = rule
        self._rules = {
            number: rule for rules in self._by_input.values() for number, rule in rules.items()
        }
        self._longest_ms = max((rule.max_wait_ms for rule in self._rules.values()), default=0)
        self._next_due_ms = 0  # to be looked up

    def parts(self, stored: StoredBatch, deliveries: Sequence[Delivery]) -> list[Part]:
        """Return what a batch of somebody brings, `deliveries` being of connections that collect.

        The end of a session completes what was collected, also where it does not go out itself.
        """
        if stored.mpid is None:
            return []
        mpid, batch = stored.mpid, stored.batch
        is_end = any(event.event_type == "session_end" for event in batch.events)
        by_connection: dict[int, list[Delivery]] = {}
        for each in deliveries:
            by_connection.setdefault(each.connection, []).append(each)
        parts: list[Part] = []
        for number, rule in self._by_input[stored.input].items():
            key = pending_key(number, batch.environment, mpid, batch.mp_deviceid)
            own = by_connection.get(number, [])
            ends = is_end and rule.is_until_session_end
            parts += [
                Part(key, rule, each, ends and index == len(own))
                for index, each in enumerate(own, 1)
            ]
            if ends and not own:
                parts.append(Part(key, rule, None, is_end=True))
        return parts

    # -- In a transaction -------------------------------------------------------------------------

    def write(self, txn: Transaction, parts: Sequence[Part], now_ms: int) -> Gathered:
        """Write parts in their order; return what has become complete. Raises StoreFull.

        `now_ms`: an edge whose clock is ahead does not make anybody wait for longer.
        """
        gathered = Gathered([], Counter(), Counter())
        for part in parts:
            self._add(txn, part, gathered, now_ms)
        return gathered

    def is_due(self, now_ms: int) -> bool:
        """Whether it is worth to look for what is due."""
        return now_ms >= self._next_due_ms

    def flush_due(self, txn: Transaction, now_ms: int, limit: int) -> Gathered:
        """Complete what is due, at most `limit` batches. Raises StoreFull."""
        gathered = Gathered([], Counter(), Counter())
        keys = [
            key
            for number, rule in self._rules.items()
            if rule is AT_ONCE
            for key in pending.of_connection(txn, number, limit)
        ]
        size, latest_ms = 0, now_ms + self._longest_ms
        for key in keys or pending.due(txn, now_ms, latest_ms, limit):
            batch = pending.get(txn, key)
            assert batch is not None, "it was just found"
            rule = self._rules.get(batch.connection, AT_ONCE)
            until_ms = batch.last_ms + rule.max_wait_ms
            if rule.is_until_session_end and batch.last_ms <= now_ms < until_ms:
                pending.put_off(txn, key, batch, until_ms)
                continue
            self._complete(txn, key, batch, gathered)
            size += batch.size
            if size >= MOST_DUE_BYTES:
                break
        if keys:
            self._next_due_ms = 0
        else:
            following_ms = pending.next_due_ms(txn)
            if following_ms is None:
                following_ms = NEVER_MS
            elif following_ms > latest_ms:  # as much as this once was allowed
                following_ms = 0
            self._next_due_ms = following_ms
        return gathered

    def abandon(self) -> None:
        """The transaction failed: what it has completed is due as before."""
        self._next_due_ms = 0

    def _add(self, txn: Transaction, part: Part, gathered: Gathered, now_ms: int) -> None:
        batch = pending.get(txn, part.key)
        delivery, rule = part.delivery, part.rule
        if delivery is not None:
            if batch is not None and not _has_room(batch, delivery, rule):
                self._complete(txn, part.key, batch, gathered)
                batch = None
            if batch is None:
                if part.is_end or _is_full(delivery.event_count, len(delivery.payload), rule):
                    # Behind what was completed just now, which has got its sequence here as well.
                    gathered.deliveries.append(merge([delivery], self._next_sequence()))
                    return
                received_ms = min(delivery.created_ms, now_ms)
                due_ms = received_ms + rule.max_wait_ms
                mpid = delivery.mpid
                assert mpid is not None, "what is nobody's is not collected"
                batch = Pending(delivery.sequence, delivery.connection, mpid, due_ms, received_ms)
                self._next_due_ms = min(self._next_due_ms, due_ms)
            size = pending.add(txn, part.key, batch, delivery)
            gathered.counts[batch.connection] += 1
            gathered.sizes[batch.connection] += size
        if batch is not None and (part.is_end or _is_full(batch.events, batch.size, rule)):
            self._complete(txn, part.key, batch, gathered)

    def _complete(self, txn: Transaction, key: bytes, batch: Pending, gathered: Gathered) -> None:
        parts, removed = pending.take_out(txn, key, batch)
        gathered.counts[batch.connection] -= removed.count
        gathered.sizes[batch.connection] -= removed.size
        gathered.deliveries.append(merge(parts, self._next_sequence()))


def _is_full(events: int, size: int, rule: Collecting) -> bool:
    return events >= rule.max_events or size >= rule.max_bytes


def _has_room(batch: Pending, delivery: Delivery, rule: Collecting) -> bool:
    return (
        batch.events + delivery.event_count <= rule.max_events
        and batch.size + len(delivery.payload) <= rule.max_bytes
    )
