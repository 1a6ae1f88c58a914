"""What is still to be delivered, and what could not be (spec/connections.md, 3.1 and 3.7).

Deliveries lie in the order of their sequence, by connection; a user's deliveries are all on one
shard, so their order is the order of processing. A dead letter keeps the sequence it had.
"""

import itertools
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from actors.model.deliveries import DeadLetter, Delivery, Settlement
from actors.store import dead_ids, queue_sums
from actors.store.environment import Store, Transaction
from actors.store.keys import outbox_key

# In `meta`, with the number of a connection behind it.
_DEAD_BYTES = b"dead_bytes"

# Of a MessagePack array of up to 2**32 - 1 elements, which follow it as they are.
_ARRAY_HEAD = struct.Struct(">BI")
_ARRAY_32 = 0xDD

_encoder = msgspec.msgpack.Encoder()
_deliveries = msgspec.msgpack.Decoder(list[Delivery])
_dead_letters = msgspec.msgpack.Decoder(DeadLetter)


def add(txn: Transaction, delivery: Delivery) -> int:
    """Add a delivery; return the bytes that it takes."""
    [(_, size)] = add_all(txn, [delivery]).values()
    return size


def add_all(txn: Transaction, deliveries: Iterable[Delivery]) -> dict[int, tuple[int, int]]:
    """Add deliveries; return how many, and the bytes that they take, by connection."""
    added: dict[int, tuple[int, int]] = {}
    for delivery in deliveries:
        encoded = _encoder.encode(delivery)
        txn.put("outbox", outbox_key(delivery.connection, delivery.sequence), encoded)
        count, size = added.get(delivery.connection, (0, 0))
        added[delivery.connection] = (count + 1, size + len(encoded))
    for connection, (count, size) in added.items():
        queue_sums.change_waiting(txn, connection, count, size)
    return added


def read_encoded(
    txn: Transaction, connection: int, after_sequence: int, limit: int, max_bytes: int
) -> bytes:
    """Return the next deliveries of a connection, at most `limit` and about `max_bytes`.

    In one piece, for `decode` in another process: each as it lies in the store. Empty if there are
    none.
    """
    found: list[bytes] = []
    size = 0
    start = outbox_key(connection, after_sequence + 1)
    for _, encoded in txn.scan("outbox", start=start, prefix=connection.to_bytes(4, "big")):
        found.append(encoded)
        size += len(encoded)
        if len(found) >= limit or size >= max_bytes:
            break
    return b"".join((_ARRAY_HEAD.pack(_ARRAY_32, len(found)), *found)) if found else b""


def decode(encoded: bytes) -> list[Delivery]:
    """Decode what `read_encoded` returned."""
    return _deliveries.decode(encoded) if encoded else []


class Settled(NamedTuple):
    """What a settlement has changed.

    Attributes:
        left: how many deliveries left the outbox.
        freed_bytes: by which it shrank: those they took there, less what the delayed ones have
            grown by.
        dead: the dead letters that were made.
    """

    left: int
    freed_bytes: int
    dead: list[DeadLetter]


def settle(txn: Transaction, settlement: Settlement) -> Settled:
    """Write what became of deliveries. A sequence that is gone is passed over: it was settled."""
    connection = settlement.connection
    buried: list[DeadLetter] = []
    keys = (outbox_key(connection, sequence) for sequence in settlement.done)
    gone = [len(encoded) for encoded in txn.pop_each("outbox", keys)]
    for dead in settlement.dead:
        encoded = txn.pop("outbox", outbox_key(connection, dead.delivery.sequence))
        if encoded is not None:
            gone.append(len(encoded))
            bury(txn, dead)
            buried.append(dead)
    size = sum(gone)
    for delivery in settlement.delayed:
        key = outbox_key(connection, delivery.sequence)
        former = txn.get("outbox", key)
        if former is not None:
            encoded = _encoder.encode(delivery)
            txn.put("outbox", key, encoded)
            size += len(former) - len(encoded)
    queue_sums.change_waiting(txn, connection, -len(gone), -size)
    return Settled(len(gone), size, buried)


def dead_letters(
    txn: Transaction, connection: int, after_sequence: int, limit: int
) -> list[DeadLetter]:
    """Return dead letters of a connection, in the order of their sequence."""
    found: list[DeadLetter] = []
    start = outbox_key(connection, after_sequence + 1)
    for _, encoded in txn.scan("dead_letters", start=start, prefix=connection.to_bytes(4, "big")):
        found.append(_dead_letters.decode(encoded))
        if len(found) >= limit:
            break
    return found


def dead_letter(txn: Transaction, connection: int, delivery_id: str) -> DeadLetter | None:
    """Return a dead letter by its id: the oldest, where several users have one of this id."""
    for key in dead_ids.letter_keys(txn, connection, delivery_id):
        encoded = txn.get("dead_letters", key)
        if encoded is not None:
            return _dead_letters.decode(encoded)
    return None


def replay(
    txn: Transaction,
    connection: int,
    delivery_ids: Sequence[str],
    next_sequence: Callable[[], int],
) -> tuple[list[str], int]:
    """Put all dead letters of some ids back into the outbox with their ids and no attempts.

    Each takes the next sequence: a replayed delivery is not ordered against live ones
    (spec/connections.md, 3.4), and a forwarder reads only what follows what it has read.

    Returns:
        The reason that each had died of, and the bytes that they take in the outbox.
    """
    reasons: list[str] = []
    size = 0
    for dead in _unbury_all(txn, connection, delivery_ids):
        delivery = msgspec.structs.replace(
            dead.delivery,
            sequence=next_sequence(),
            attempts=0,
            first_attempt_ms=0,
            next_attempt_ms=0,
            delayed_ms=0,
        )
        size += add(txn, delivery)
        reasons.append(dead.reason)
    return reasons, size


def discard(txn: Transaction, connection: int, delivery_ids: Sequence[str]) -> list[str]:
    """Delete all dead letters of some ids for good; return the reason that each had died of."""
    return [dead.reason for dead in _unbury_all(txn, connection, delivery_ids)]


def _unbury_all(
    txn: Transaction, connection: int, delivery_ids: Iterable[str]
) -> Iterator[DeadLetter]:
    for delivery_id in delivery_ids:
        for key in dead_ids.letter_keys(txn, connection, delivery_id):
            dead = unbury(txn, key)
            if dead is not None:
                yield dead


def clear(txn: Transaction, connection: int, limit: int) -> tuple[int, int]:
    """Delete the next deliveries of a connection; return how many, and their bytes."""
    prefix = connection.to_bytes(4, "big")
    found = list(itertools.islice(txn.scan("outbox", prefix=prefix), limit))
    for key, _ in found:
        txn.delete("outbox", key)
    size = sum(len(encoded) for _, encoded in found)
    queue_sums.change_waiting(txn, connection, -len(found), -size)
    return len(found), size


def begin_sums(store: Store) -> None:
    """Have `depths` and `dead_counts` cost nothing, in a store that keeps no sums yet."""
    with store.read() as txn:
        if queue_sums.are_kept(txn):
            return
        waiting, dead = depths(txn), dead_counts(txn)
    with store.write() as txn:
        queue_sums.begin(txn, waiting, dead)


def complete_ids(store: Store) -> None:
    """Have each dead letter be found: earlier versions kept the last one of an id only."""
    with store.read() as txn:
        if txn.entries("dead_ids") == txn.entries("dead_letters"):
            return
    with store.write() as txn:
        for letter in all_dead_letters(txn):
            dead_ids.add(txn, letter.delivery)


def dead_counts(txn: Transaction) -> Counter[tuple[int, str]]:
    """Return how many dead letters there are by connection and reason."""
    if queue_sums.are_kept(txn):
        return queue_sums.dead(txn)
    return Counter((each.delivery.connection, each.reason) for each in all_dead_letters(txn))


def depths(txn: Transaction) -> dict[int, tuple[int, int]]:
    """Return deliveries and bytes that wait, by connection: of the outbox, and parts of batches."""
    if queue_sums.are_kept(txn):
        return queue_sums.waiting(txn)
    counts: dict[int, tuple[int, int]] = {}
    for key, encoded in itertools.chain(txn.scan("outbox"), txn.scan("pending_parts")):
        connection = int.from_bytes(key[:4], "big")  # the first thing in either
        count, size = counts.get(connection, (0, 0))
        counts[connection] = (count + 1, size + len(encoded))
    return counts


def all_dead_letters(txn: Transaction) -> Iterator[DeadLetter]:
    """Yield the dead letters of all connections."""
    for _, encoded in txn.scan("dead_letters"):
        yield _dead_letters.decode(encoded)


def decode_dead_letter(encoded: bytes) -> DeadLetter:
    """Decode a dead letter as the table holds it."""
    return _dead_letters.decode(encoded)


def bury(txn: Transaction, dead: DeadLetter) -> None:
    """Keep a dead letter."""
    delivery = dead.delivery
    encoded = _encoder.encode(dead)
    txn.put("dead_letters", outbox_key(delivery.connection, delivery.sequence), encoded)
    dead_ids.add(txn, delivery)
    _add_dead_bytes(txn, delivery.connection, len(encoded))
    queue_sums.change_dead(txn, delivery.connection, dead.reason, 1)


def unbury(txn: Transaction, key: bytes) -> DeadLetter | None:
    """Take a dead letter away by its key in the table; return it, `None` if it was gone."""
    encoded = txn.pop("dead_letters", key)
    if encoded is None:
        return None
    dead = _dead_letters.decode(encoded)
    connection = dead.delivery.connection
    dead_ids.remove(txn, dead.delivery)
    _add_dead_bytes(txn, connection, -len(encoded))
    queue_sums.change_dead(txn, connection, dead.reason, -1)
    return dead


def dead_bytes(txn: Transaction) -> dict[int, int]:
    """Return the bytes that the dead letters of each connection take."""
    return {
        int.from_bytes(key[len(_DEAD_BYTES) :], "big"): int.from_bytes(size, "big")
        for key, size in txn.scan("meta", prefix=_DEAD_BYTES)
    }


def _add_dead_bytes(txn: Transaction, connection: int, size: int) -> None:
    """Keep the sum on disk: to find it out would be to read all dead letters."""
    key = _DEAD_BYTES + connection.to_bytes(4, "big")
    before = int.from_bytes(txn.get("meta", key) or b"", "big")
    after = max(before + size, 0)  # below 0 by what a version buried that kept no sum
    txn.put("meta", key, after.to_bytes(8, "big"))
