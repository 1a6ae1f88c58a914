"""Answers to requests that carried an `Idempotency-Key`, for a day (spec/platform-api.md, 1).

Beside the answers of logouts, in the coordinator's store.
"""

import msgspec
from msgspec import Struct

from actors.store.environment import Transaction

RETENTION_MS = 24 * 60 * 60 * 1000
# Removed with each one that is added: more than one, so that those past their time get fewer.
REMOVED_PER_ADDED = 2

_ANSWER = b"k"
_TIME = b"l"


class KeptAnswer(Struct, frozen=True, array_like=True):
    """An answer as it was sent. `content`: digest of what had been asked."""

    content: bytes
    status: int
    content_type: str
    body: bytes


class _Remembered(Struct, array_like=True):
    time_ms: int
    answer: KeptAnswer


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Remembered)


def read(txn: Transaction, key: bytes, now_ms: int) -> KeptAnswer | None:
    """Return the answer to the first request with a key, `None` after a day."""
    encoded = txn.get("retries", _ANSWER + key)
    if encoded is None:
        return None
    remembered = _decoder.decode(encoded)
    return remembered.answer if _is_fresh(remembered.time_ms, now_ms) else None


def write(txn: Transaction, key: bytes, answer: KeptAnswer, now_ms: int) -> None:
    """Remember an answer, and forget some that are past their time."""
    txn.put("retries", _ANSWER + key, _encoder.encode(_Remembered(now_ms, answer)))
    txn.put("retries", _TIME + now_ms.to_bytes(8, "big") + key, b"")
    overdue: list[bytes] = []
    for place, _ in txn.scan("retries", prefix=_TIME):
        if len(overdue) == REMOVED_PER_ADDED or _is_fresh(
            int.from_bytes(place[1:9], "big"), now_ms
        ):
            break
        overdue.append(place)
    for place in overdue:
        txn.delete("retries", place)
        if read(txn, place[9:], now_ms) is None:
            txn.delete("retries", _ANSWER + place[9:])


def _is_fresh(time_ms: int, now_ms: int) -> bool:
    return now_ms - time_ms <= RETENTION_MS
