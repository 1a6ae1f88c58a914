"""Batches that are being collected: their parts, and when they are due (spec/connections.md, 3.6).

A part lies here as the delivery that it would have been; it counts as waiting for its connection.
"""

import itertools
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from actors.model.deliveries import Delivery
from actors.store import queue_sums
from actors.store.environment import Transaction
from actors.store.keys import pending_due_key, pending_due_parts, pending_part_key


class Pending(Struct, array_like=True):
    """What is collected of one user on one device, for one connection.

    Attributes:
        number: the sequence of its first part.
        connection, mpid: whose it is.
        due_ms: when it is to be looked at, as `pending_due` has it.
        last_ms: receipt time of its last part.
        events, size: events and bytes of payload that its parts have.
    """

    number: int
    connection: int
    mpid: int
    due_ms: int
    last_ms: int
    events: int = 0
    size: int = 0


class Removed(Struct):
    """What left: parts, and the bytes that they took."""

    count: int = 0
    size: int = 0


_encoder = msgspec.msgpack.Encoder()
_pending = msgspec.msgpack.Decoder(Pending)
_delivery = msgspec.msgpack.Decoder(Delivery)


def get(txn: Transaction, key: bytes) -> Pending | None:
    """Return a pending batch by its key (`pending_key`)."""
    encoded = txn.get("pending_batches", key)
    return None if encoded is None else _pending.decode(encoded)


def add(txn: Transaction, key: bytes, pending: Pending, part: Delivery) -> int:
    """Add a part to a pending batch, which may be new; return the bytes that it takes."""
    pending.last_ms = max(pending.last_ms, part.created_ms)
    pending.events += part.event_count
    pending.size += len(part.payload)
    if part.sequence == pending.number:
        _put_due(txn, key, pending)
    txn.put("pending_batches", key, _encoder.encode(pending))
    encoded = _encoder.encode(part)
    part_key = pending_part_key(pending.connection, pending.number, part.sequence)
    txn.put("pending_parts", part_key, encoded)
    queue_sums.change_waiting(txn, pending.connection, 1, len(encoded))
    return len(encoded)


def put_off(txn: Transaction, key: bytes, pending: Pending, due_ms: int) -> None:
    """Have a pending batch be due later."""
    txn.delete("pending_due", pending_due_key(pending.due_ms, key))
    pending.due_ms = due_ms
    _put_due(txn, key, pending)
    txn.put("pending_batches", key, _encoder.encode(pending))


def take_out(txn: Transaction, key: bytes, pending: Pending) -> tuple[list[Delivery], Removed]:
    """Remove a pending batch; return its parts in their order, at least one."""
    prefix = pending_part_key(pending.connection, pending.number)
    found = list(txn.scan("pending_parts", prefix=prefix))
    for part_key, _ in found:
        txn.delete("pending_parts", part_key)
    txn.delete("pending_batches", key)
    txn.delete("pending_due", pending_due_key(pending.due_ms, key))
    removed = Removed(len(found), sum(len(encoded) for _, encoded in found))
    queue_sums.change_waiting(txn, pending.connection, -removed.count, -removed.size)
    return [_delivery.decode(encoded) for _, encoded in found], removed


def due(txn: Transaction, now_ms: int, latest_ms: int, limit: int) -> list[bytes]:
    """Return the keys of the pending batches that are due, at most `limit`.

    `latest_ms`: what is due only after it was reckoned by a clock that was ahead, and is due too.
    """
    keys = (pending_due_parts(key) for key, _ in txn.scan("pending_due"))
    come = itertools.takewhile(lambda entry: entry[0] <= now_ms, keys)
    beyond = txn.scan("pending_due", start=pending_due_key(latest_ms + 1, b""))
    ahead = (pending_due_parts(key) for key, _ in beyond)
    return [key for _, key in itertools.islice(itertools.chain(come, ahead), limit)]


def next_due_ms(txn: Transaction) -> int | None:
    """Return when the next pending batch is due, `None` if there is none."""
    first = next(txn.scan("pending_due"), None)
    return None if first is None else pending_due_parts(first[0])[0]


def of_connection(txn: Transaction, connection: int, limit: int) -> list[bytes]:
    """Return keys of a connection's pending batches, at most `limit`."""
    found = txn.scan("pending_batches", prefix=connection.to_bytes(4, "big"))
    return [key for key, _ in itertools.islice(found, limit)]


def connections(txn: Transaction, among: Sequence[int]) -> set[int]:
    """Return those of some connections that have pending batches."""
    return {each for each in among if of_connection(txn, each, 1)}


def clear(txn: Transaction, connection: int, limit: int) -> tuple[int, int]:
    """Delete a connection's pending batches until about `limit` parts went.

    Returns:
        How many parts, and their bytes.
    """
    count = size = 0
    for key in of_connection(txn, connection, limit):
        if count >= limit:
            break
        pending = get(txn, key)
        assert pending is not None, "it was just found"
        _, removed = take_out(txn, key, pending)
        count += removed.count
        size += removed.size
    return count, size


def _put_due(txn: Transaction, key: bytes, pending: Pending) -> None:
    # The user stands beside it for a move to other shards.
    owner = _encoder.encode([pending.number, pending.connection, pending.mpid])
    txn.put("pending_due", pending_due_key(pending.due_ms, key), owner)
