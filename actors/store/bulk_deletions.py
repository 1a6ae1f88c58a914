"""Bulk profile deletions of a workspace, in the coordinator's store (spec/profiles.md, 10).

    "r" id            the request
    "w" ms u64, id    by receipt, of one that is not completed
    "e" ms u64, id    by its end, of one that is

An id is a UUID in its 36 characters.
"""

from collections.abc import Iterator

import msgspec

from actors.deletions.requests import BulkDeletion
from actors.store.environment import Transaction

KEPT_MS = 7 * 24 * 3600 * 1000  # after the end
# With those that wait. What is kept of one that has ended takes some hundred bytes.
MAX_KEPT = 10_000
_KEYS_OF_ONE = 2
_ID_BYTES = 36

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(BulkDeletion)


def write(txn: Transaction, request: BulkDeletion) -> None:
    """Write a request in the place of what it was before."""
    former = read(txn, request.id)
    if former is not None:
        txn.delete("bulk_deletions", _place(former))
    txn.put("bulk_deletions", b"r" + request.id.encode(), _encoder.encode(request))
    txn.put("bulk_deletions", _place(request), b"")


def read(txn: Transaction, request_id: str) -> BulkDeletion | None:
    """Return a request, `None` if there is none of that id."""
    own = request_id.encode("utf-8", "replace")
    if len(own) != _ID_BYTES:  # whatever was asked for
        return None
    encoded = txn.get("bulk_deletions", b"r" + own)
    return None if encoded is None else _decoder.decode(encoded)


def waiting(txn: Transaction) -> Iterator[str]:
    """Yield the ids of those that are not completed, in the order of their receipt."""
    for key, _ in txn.scan("bulk_deletions", prefix=b"w"):
        yield key[-_ID_BYTES:].decode()


def forget(txn: Transaction, now_ms: int) -> None:
    """Delete those that ended long ago, and the oldest of those that are too many."""
    surplus = txn.entries("bulk_deletions") // _KEYS_OF_ONE - MAX_KEPT
    overdue: list[bytes] = []
    for key, _ in txn.scan("bulk_deletions", prefix=b"e"):
        ended_ms = int.from_bytes(key[1:9], "big")
        if len(overdue) >= surplus and now_ms - ended_ms <= KEPT_MS:
            break
        overdue.append(key)
    for key in overdue:
        txn.delete("bulk_deletions", key)
        txn.delete("bulk_deletions", b"r" + key[-_ID_BYTES:])


def _place(request: BulkDeletion) -> bytes:
    is_over = request.status == "completed"
    moment_ms = request.ended_ms if is_over else request.received_ms
    prefix = b"e" if is_over else b"w"
    return prefix + moment_ms.to_bytes(8, "big") + request.id.encode()
