"""Batches that aliases have copied to a user (spec/identity.md, 10.2), apart from the event log.

They have a table of their own because the log is in the order of its commits and its chains may
lose their ends only, while copies lie between older and newer ones and go when their originals go.
So what reads the log for outputs, exports or analytics meets every event once. A copy's key is made
of destination and original: however often one is written, there is one of it.
"""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from actors.model.batches import StoredBatch
from actors.model.profiles import ProfileKey
from actors.store.environment import Transaction
from actors.store.keys import copy_key, copy_key_parts, copy_progress_key, profile_key


class Copy(Struct, array_like=True):
    """A batch with the events that were copied, which keep their ids; `log_id` is the original's.

    `source_mpid`: whose it was.
    """

    source_mpid: int
    stored: StoredBatch


class EncodedCopy(Struct, frozen=True, array_like=True):
    """A copy on its way to its owner. `newest_ms`, `log_id`: as in `copy_key`."""

    newest_ms: int
    log_id: int
    encoded: bytes


class Places(Struct, frozen=True, array_like=True):
    """Log ids at which to go on in the source's chains; 0: that chain is done."""

    live: int
    historical: int


END = Places(0, 0)


class Progress(Struct, frozen=True, array_like=True):
    """How far an alias has come. `begun_ms` tells it from another one of the same number."""

    begun_ms: int
    places: Places


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Copy)
_progress_decoder = msgspec.msgpack.Decoder(Progress)


def encode(source_mpid: int, stored: StoredBatch) -> EncodedCopy:
    """Make a copy of a batch that has the events to be copied, at least one."""
    newest_ms = max(event.timestamp_ms for event in stored.batch.events)
    return EncodedCopy(newest_ms, stored.log_id, _encoder.encode(Copy(source_mpid, stored)))


def decode(encoded: bytes) -> Copy:
    """Read a copy."""
    return _decoder.decode(encoded)


def write(txn: Transaction, key: ProfileKey, copy: EncodedCopy) -> None:
    """Give a user a copy; one that is there already is replaced by itself."""
    txn.put("copies", copy_key(key, copy.newest_ms, copy.log_id), copy.encoded)


def read(txn: Transaction, key: ProfileKey) -> Iterator[EncodedCopy]:
    """Yield a user's copies in the order of their newest events, the oldest first."""
    for found, encoded in txn.scan("copies", prefix=profile_key(key)):
        yield EncodedCopy(*copy_key_parts(found), encoded)


def read_progress(
    txn: Transaction, destination_mpid: int, number: int, begun_ms: int
) -> Places | None:
    """Return where an alias has to go on, `None` if nothing of it was copied yet."""
    encoded = txn.get("copy_progress", copy_progress_key(destination_mpid, number))
    if encoded is None:
        return None
    progress = _progress_decoder.decode(encoded)
    return progress.places if progress.begun_ms == begun_ms else None


def write_progress(
    txn: Transaction, destination_mpid: int, number: int, progress: Progress
) -> None:
    """Keep where an alias has to go on."""
    key = copy_progress_key(destination_mpid, number)
    txn.put("copy_progress", key, _encoder.encode(progress))


def forget_progress(txn: Transaction, destination_mpid: int, number: int) -> None:
    """Forget where an alias had to go on."""
    txn.delete("copy_progress", copy_progress_key(destination_mpid, number))
