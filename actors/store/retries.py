"""Answers of logouts by their retry key, for an hour (spec/identity.md, 7.5)."""

import msgspec
from msgspec import Struct

from actors.identity.calls import IdentityAnswer
from actors.model.workspaces import Environment
from actors.store.environment import Transaction

RETENTION_MS = 60 * 60 * 1000
# Removed with each one that is added: more than one, so that those past their time get fewer.
REMOVED_PER_ADDED = 2

_ANSWER = b"a"
_TIME = b"t"


class _Remembered(Struct, array_like=True):
    time_ms: int
    answer: IdentityAnswer


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Remembered)


def read(
    txn: Transaction, environment: Environment, retry_key: bytes, now_ms: int
) -> IdentityAnswer | None:
    """Return the answer of the first call with a retry key, `None` after an hour."""
    encoded = txn.get("retries", _ANSWER + _place(environment, retry_key))
    if encoded is None:
        return None
    remembered = _decoder.decode(encoded)
    return remembered.answer if _is_fresh(remembered.time_ms, now_ms) else None


def write(
    txn: Transaction,
    environment: Environment,
    retry_key: bytes,
    answer: IdentityAnswer,
    now_ms: int,
) -> None:
    """Remember an answer, and forget some that are past their time."""
    place = _place(environment, retry_key)
    txn.put("retries", _ANSWER + place, _encoder.encode(_Remembered(now_ms, answer)))
    txn.put("retries", _TIME + now_ms.to_bytes(8, "big") + place, b"")
    overdue: list[bytes] = []
    for key, _ in txn.scan("retries", prefix=_TIME):
        is_fresh = _is_fresh(int.from_bytes(key[1:9], "big"), now_ms)
        if len(overdue) == REMOVED_PER_ADDED or is_fresh:
            break
        overdue.append(key)
    for key in overdue:
        txn.delete("retries", key)
        encoded = txn.get("retries", _ANSWER + key[9:])
        if encoded is not None and not _is_fresh(_decoder.decode(encoded).time_ms, now_ms):
            txn.delete("retries", _ANSWER + key[9:])


def _is_fresh(time_ms: int, now_ms: int) -> bool:
    return now_ms - time_ms <= RETENTION_MS


def _place(environment: Environment, retry_key: bytes) -> bytes:
    return environment[:1].encode() + retry_key
