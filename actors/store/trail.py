"""What decisions did to each identity record: the last hundred of ninety days, beside the profile.

For operators who ask why a user is who he is, and for undoing the last of them.
"""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from actors.model.profiles import Lookup
from actors.store.environment import Transaction

MAX_ENTRIES = 100  # of one MPID
RETENTION_MS = 90 * 24 * 60 * 60 * 1000

_encoder = msgspec.msgpack.Encoder()


class TrailEntry(Struct, frozen=True, array_like=True):
    """What one decision did to one record.

    Attributes:
        number: the same for all records of one decision; greater than that of any before it.
        kind: `identify`, `login`, `logout`, `batch`, `modify`, `undo` or `erase`.
        mpid: whom the call was about: another one than the record's where that took identities.
        attached, removed: lookups as they were linked.
        records: everybody whom the decision changed.
    """

    number: int
    time_ms: int
    kind: str
    mpid: int
    attached: list[Lookup]
    removed: list[Lookup]
    records: list[int] = []


class _Time(Struct, array_like=True):
    """The beginning of an encoded `TrailEntry`."""

    number: int
    time_ms: int


_decoder = msgspec.msgpack.Decoder(TrailEntry)
_time = msgspec.msgpack.Decoder(_Time).decode


def write(txn: Transaction, profile_key: bytes, entries: list[TrailEntry], now_ms: int) -> None:
    """Add entries of one record, which may be there already, and drop what is too old or many."""
    for entry in entries:
        key = profile_key + entry.number.to_bytes(8, "big")
        txn.put("trail", key, _encoder.encode(entry))
    kept = list(_scan(txn, profile_key))
    surplus = len(kept) - MAX_ENTRIES
    for place, (key, entry) in enumerate(kept):
        if place >= surplus and entry.time_ms >= now_ms - RETENTION_MS:
            break
        txn.delete("trail", key)


def read(txn: Transaction, profile_key: bytes, now_ms: int) -> list[TrailEntry]:
    """Return the entries of one record that are within their retention, oldest first."""
    oldest_ms = now_ms - RETENTION_MS
    return [entry for _, entry in _scan(txn, profile_key) if entry.time_ms >= oldest_ms]


def forget(txn: Transaction, profile_key: bytes) -> None:
    """Drop all entries of one record."""
    for key in [key for key, _ in _scan(txn, profile_key)]:
        txn.delete("trail", key)


def sweep(txn: Transaction, start: bytes, now_ms: int, limit: int) -> tuple[int, bytes]:
    """Look at the next entries of all records and drop those past their retention.

    Returns:
        How many were dropped, and the key to go on from, empty at the end.
    """
    oldest_ms = now_ms - RETENTION_MS
    overdue: list[bytes] = []
    following = b""
    for seen, (key, encoded) in enumerate(txn.scan("trail", start=start)):
        if seen == limit:
            following = key
            break
        if _time(encoded).time_ms < oldest_ms:
            overdue.append(key)
    for key in overdue:
        txn.delete("trail", key)
    return len(overdue), following


def _scan(txn: Transaction, profile_key: bytes) -> Iterator[tuple[bytes, TrailEntry]]:
    for key, encoded in txn.scan("trail", prefix=profile_key):
        yield key, _decoder.decode(encoded)
