"""Answers by a key, for a while, so that what is asked again is answered as the first time.

In the table `retries`, sealed, because answers can show secrets. Each shelf has prefixes of its own
there: `<answer><key>` to an answer; `<time><time_ms><key>` to the size of what was written then;
`<size>` to the size of all of it.
"""

from typing import NamedTuple

import msgspec
from msgspec import Struct

from actors.store.environment import Transaction

# Removed with each one that is added: more than one, so that those past their time get fewer.
REMOVED_PER_ADDED = 2


class _Remembered(Struct, array_like=True):
    time_ms: int
    sealed: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Remembered)


class AnswerShelf(NamedTuple):
    """Where answers of one kind lie.

    Attributes:
        answer, time, size: prefixes, a byte each.
        retention_ms: how long an answer is given.
        max_bytes: of all answers, as they are kept; the oldest go.
    """

    answer: bytes
    time: bytes
    size: bytes
    retention_ms: int
    max_bytes: int

    def read(self, txn: Transaction, key: bytes, now_ms: int) -> bytes | None:
        """Return the sealed answer of a key, `None` if it is past its time."""
        encoded = txn.get("retries", self.answer + key)
        if encoded is None:
            return None
        remembered = _decoder.decode(encoded)
        return remembered.sealed if self._is_fresh(remembered.time_ms, now_ms) else None

    def write(self, txn: Transaction, key: bytes, sealed: bytes, now_ms: int) -> None:
        """Remember a sealed answer, and forget some that are past their time, or too many."""
        encoded = _encoder.encode(_Remembered(now_ms, sealed))
        txn.put("retries", self.answer + key, encoded)
        txn.put("retries", self.time + now_ms.to_bytes(8, "big") + key, _encoded(len(encoded)))
        total = int.from_bytes(txn.get("retries", self.size) or b"", "big") + len(encoded)
        overdue: list[tuple[bytes, int]] = []
        for place, size in txn.scan("retries", prefix=self.time):
            is_fresh = self._is_fresh(int.from_bytes(place[1:9], "big"), now_ms)
            if total <= self.max_bytes and (is_fresh or len(overdue) == REMOVED_PER_ADDED):
                break
            total -= int.from_bytes(size, "big")
            overdue.append((place, int.from_bytes(place[1:9], "big")))
        for place, time_ms in overdue:
            txn.delete("retries", place)
            kept = txn.get("retries", self.answer + place[9:])
            is_it = kept is not None and _decoder.decode(kept).time_ms == time_ms
            if is_it:  # and was not given anew since
                txn.delete("retries", self.answer + place[9:])
        txn.put("retries", self.size, _encoded(total))

    def _is_fresh(self, time_ms: int, now_ms: int) -> bool:
        return now_ms - time_ms <= self.retention_ms


def _encoded(size: int) -> bytes:
    return size.to_bytes(8, "big")
