"""The table of how many users entered and left audiences of late (spec/audiences.md, 7).

    audience u32 | span u32    -> entered u32 | left u32

A span is `SPAN_MS` long and goes by its number since 1970.
"""

import struct
from collections.abc import Iterator

from actors.store.environment import Transaction

# A day of an audience is at most 289 spans; what is shown reaches back up to one span too far.
SPAN_MS = 5 * 60 * 1000

_KEY = struct.Struct(">II")
_VALUE = struct.Struct(">II")


def read_all(txn: Transaction) -> Iterator[tuple[int, int, int, int]]:
    """Yield (audience, span, entered, left), spans of an audience ascending."""
    for key, value in txn.scan("member_counts"):
        yield (*_KEY.unpack(key), *_VALUE.unpack(value))


def put(txn: Transaction, audience: int, span: int, entered: int, left: int) -> None:
    """Write the counts of a span."""
    txn.put("member_counts", _KEY.pack(audience, span), _VALUE.pack(entered, left))


def clear(txn: Transaction, audience: int, before: int | None = None) -> None:
    """Forget the spans of an audience, all or those before one."""
    overdue: list[bytes] = []
    for key, _ in txn.scan("member_counts", prefix=audience.to_bytes(4, "big")):
        if before is not None and _KEY.unpack(key)[1] >= before:
            break
        overdue.append(key)
    for key in overdue:
        txn.delete("member_counts", key)
