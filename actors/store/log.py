"""The event log: every stored batch, appended in the order of its commit.

The batches of one user form a chain: the profile's section names the newest, each batch the one
before it. So the log is only ever appended to, and a user's timeline is read newest first.
"""

from collections.abc import Iterator

import msgspec
import orjson

from actors.model.batches import Event, StoredBatch
from actors.store.environment import Transaction
from actors.store.keys import log_key

# A batch without its events, then each event: type, time, id, and its data as JSON, which is at
# hand when a batch is stored (`Event.to_json`).
_Record = tuple[StoredBatch, list[tuple[str, int, int, bytes]]]
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Record)


def append(txn: Transaction, stored: StoredBatch) -> int:
    """Append a batch; its log id must be greater than all before. Return its bytes."""
    batch = stored.batch
    events = [
        (event.event_type, event.timestamp_ms, event.event_id, event.json or event.to_json())
        for event in batch.events
    ]
    apart, batch.events = batch.events, []
    try:
        encoded = _encoder.encode((stored, events))
    finally:
        batch.events = apart
    txn.append("log", log_key(stored.log_id), encoded)
    return len(encoded)


def read(txn: Transaction, log_id: int) -> StoredBatch | None:
    """Return one stored batch; `None` if it is past its retention."""
    encoded = txn.get("log", log_key(log_id))
    return None if encoded is None else decode(encoded)


def decode(encoded: bytes) -> StoredBatch:
    """Return a batch as the table holds it."""
    stored: StoredBatch
    stored, events = _decoder.decode(encoded)
    stored.batch.events = [
        Event(event_type, timestamp_ms, orjson.loads(data), event_id, data)
        for event_type, timestamp_ms, event_id, data in events
    ]
    return stored


def chain(txn: Transaction, newest_log_id: int) -> Iterator[StoredBatch]:
    """Yield a user's stored batches, newest first."""
    log_id = newest_log_id
    while log_id:
        stored = read(txn, log_id)
        if stored is None:
            return
        yield stored
        log_id = stored.previous_log_id
