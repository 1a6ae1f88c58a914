"""How much waits for each connection, and how many dead letters it has of each reason.

Kept in `meta` with every change, so that a start costs the same however much waits.
"""

import struct
from collections import Counter
from collections.abc import Mapping

from actors.store.environment import Transaction

# In `meta`. Behind it the number of a connection; behind that of `_DEAD` the reason.
_WAITING = b"queue_waiting"
_DEAD = b"queue_dead"
_KEPT = b"queue_sums_kept"
_OF_ALL = b"\x01"  # earlier versions began without parts that are collected, and wrote b""

_SUM = struct.Struct(">QQ")


def are_kept(txn: Transaction) -> bool:
    """Tell whether the sums are of all that there is: a store of before has none."""
    return txn.get("meta", _KEPT) == _OF_ALL


def begin(
    txn: Transaction,
    waiting: Mapping[int, tuple[int, int]],
    dead: Mapping[tuple[int, str], int],
) -> None:
    """Write the sums of what there is, from now on to be kept up."""
    for prefix in (_WAITING, _DEAD):
        for key in [key for key, _ in txn.scan("meta", prefix=prefix)]:
            txn.delete("meta", key)
    for connection, (count, size) in waiting.items():
        change_waiting(txn, connection, count, size)
    for (connection, reason), count in dead.items():
        change_dead(txn, connection, reason, count)
    txn.put("meta", _KEPT, _OF_ALL)


def drop(txn: Transaction) -> None:
    """Forget that the sums are kept: they are begun anew at the next start."""
    txn.delete("meta", _KEPT)


def change_waiting(txn: Transaction, connection: int, count: int, size: int) -> None:
    """Add to what waits for a connection: deliveries and bytes, negative for what left."""
    if not count and not size:
        return
    key = _WAITING + connection.to_bytes(4, "big")
    encoded = txn.get("meta", key)
    before, bytes_before = (0, 0) if encoded is None else _SUM.unpack(encoded)
    # Below 0 only before `begin`, which counts all anew.
    txn.put("meta", key, _SUM.pack(max(before + count, 0), max(bytes_before + size, 0)))


def change_dead(txn: Transaction, connection: int, reason: str, count: int) -> None:
    """Add to the dead letters of a connection and reason; negative for those that are gone."""
    key = _DEAD + connection.to_bytes(4, "big") + reason.encode()
    after = int.from_bytes(txn.get("meta", key) or b"", "big") + count
    if after > 0:
        txn.put("meta", key, after.to_bytes(8, "big"))
    else:
        txn.delete("meta", key)


def waiting(txn: Transaction) -> dict[int, tuple[int, int]]:
    """Return deliveries and bytes that wait, by connection; collected parts are of them."""
    return {
        int.from_bytes(key[len(_WAITING) :], "big"): _SUM.unpack(encoded)
        for key, encoded in txn.scan("meta", prefix=_WAITING)
        if encoded != bytes(_SUM.size)
    }


def dead(txn: Transaction) -> Counter[tuple[int, str]]:
    """Return how many dead letters there are by connection and reason."""
    found: Counter[tuple[int, str]] = Counter()
    for key, encoded in txn.scan("meta", prefix=_DEAD):
        name = key[len(_DEAD) :]
        found[int.from_bytes(name[:4], "big"), name[4:].decode()] = int.from_bytes(encoded, "big")
    return found
