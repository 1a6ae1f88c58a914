"""Answers to requests that carried an `Idempotency-Key`, for a day (spec/platform-api.md, 1).

Beside the answers of logouts, in the coordinator's store. Keys of the table `retries`:
`r<key>` to an answer, sealed, because answers can show secrets; `s<time><key>` to the size of what
was written then; `t` to the size of all of it.
"""

import msgspec
from msgspec import Struct

from actors.store.environment import Transaction

RETENTION_MS = 24 * 60 * 60 * 1000
# Removed with each one that is added: more than one, so that those past their time get fewer.
REMOVED_PER_ADDED = 2
MAX_BYTES = 64 * 1024 * 1024  # of all answers, as they are kept; the oldest go

_ANSWER = b"r"
_TIME = b"s"
_SIZE = b"t"


class KeptAnswer(Struct, frozen=True, array_like=True):
    """An answer as it was sent. `content`: digest of what had been asked; `etag`: may be empty."""

    content: bytes
    status: int
    content_type: str
    body: bytes
    etag: str = ""


class _Remembered(Struct, array_like=True):
    time_ms: int
    sealed: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Remembered)


def read(txn: Transaction, key: bytes, now_ms: int) -> bytes | None:
    """Return the sealed answer to the first request with a key, `None` after a day."""
    encoded = txn.get("retries", _ANSWER + key)
    if encoded is None:
        return None
    remembered = _decoder.decode(encoded)
    return remembered.sealed if _is_fresh(remembered.time_ms, now_ms) else None


def write(
    txn: Transaction, key: bytes, sealed: bytes, now_ms: int, max_bytes: int = MAX_BYTES
) -> None:
    """Remember a sealed answer, and forget some that are past their time, or too many."""
    encoded = _encoder.encode(_Remembered(now_ms, sealed))
    txn.put("retries", _ANSWER + key, encoded)
    txn.put("retries", _TIME + now_ms.to_bytes(8, "big") + key, _size(len(encoded)))
    total = int.from_bytes(txn.get("retries", _SIZE) or b"", "big") + len(encoded)
    overdue: list[tuple[bytes, int]] = []
    for place, size in txn.scan("retries", prefix=_TIME):
        is_fresh = _is_fresh(int.from_bytes(place[1:9], "big"), now_ms)
        if total <= max_bytes and (is_fresh or len(overdue) == REMOVED_PER_ADDED):
            break
        total -= int.from_bytes(size, "big")
        overdue.append((place, int.from_bytes(place[1:9], "big")))
    for place, time_ms in overdue:
        txn.delete("retries", place)
        kept = txn.get("retries", _ANSWER + place[9:])
        if kept is not None and _decoder.decode(kept).time_ms == time_ms:  # not given anew since
            txn.delete("retries", _ANSWER + place[9:])
    txn.put("retries", _SIZE, _size(total))


def _size(of: int) -> bytes:
    return of.to_bytes(8, "big")


def _is_fresh(time_ms: int, now_ms: int) -> bool:
    return now_ms - time_ms <= RETENTION_MS
