"""Who changed what: the audit log (spec/platform-api.md, 17).

Table `audit_log`, of the store of the configuration alone: `<account><place, from the end>` to an
entry, so that a scan begins with the newest. A place is the time in ms and a number below 2^20, and
only grows: where the clock stands still or is set back, entries follow the last one.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from actors.store.environment import Transaction

RETENTION_MS = 400 * 24 * 3600 * 1000
FORGOTTEN_AT_ONCE = 100  # old entries that go with each new one

ActorType = Literal["credential", "user", "config", "system"]
# `read` is not of the list there; spec/privacy.md, 10, wants access to personal data logged too.
Action = Literal[
    "create", "update", "delete", "activate", "deactivate", "resume", "login", "export", "replay",
    "read",
]  # fmt: skip

_BITS = 20
LAST_PLACE = 2**64 - 1


class Author(Struct, frozen=True):
    """Who does something: `address` is the IP of the request, if it came as one."""

    id: str
    type: ActorType = "credential"
    address: str | None = None


class AuditEntry(Struct, frozen=True, array_like=True, kw_only=True):
    """One thing that was done.

    Attributes:
        workspace: its number.
        before, after: the object, secrets masked; `None` where there was or is none, or where what
            was done changes no object.
    """

    author: Author
    action: Action
    resource_type: str
    resource_id: str | None = None
    workspace: int
    before: Any = None
    after: Any = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AuditEntry)


def append(txn: Transaction, account: int, entries: Sequence[AuditEntry], now_ms: int) -> None:
    """Keep entries behind all others of an account; some that are too old go."""
    prefix = _prefix(account)
    newest = next(txn.scan("audit_log", prefix=prefix), None)
    last = -1 if newest is None else _place(newest[0])
    for place, entry in enumerate(entries, max(now_ms << _BITS, last + 1)):
        txn.put("audit_log", _key(account, place), _encoder.encode(entry))
    oldest = _key(account, (max(now_ms - RETENTION_MS, 0) << _BITS))
    old = txn.scan("audit_log", start=oldest, prefix=prefix)
    for key, _ in [each for each, _ in zip(old, range(FORGOTTEN_AT_ONCE), strict=False)]:
        txn.delete("audit_log", key)


def read(
    txn: Transaction, account: int, before: int | None, now_ms: int
) -> Iterator[tuple[int, AuditEntry]]:
    """Yield places and entries of an account, newest first, none that is too old.

    Args:
        txn: to read in.
        account: its number.
        before: only entries of lower places.
        now_ms: of the clock.
    """
    start = b"" if before is None else _key(account, before - 1) if before > 0 else None
    if start is None:
        return
    for key, encoded in txn.scan("audit_log", start=start, prefix=_prefix(account)):
        place = _place(key)
        if time_of(place) < now_ms - RETENTION_MS:
            return
        yield place, _decoder.decode(encoded)


def time_of(place: int) -> int:
    """Return the time of a place, ms."""
    return place >> _BITS


def place_of(time_ms: int) -> int:
    """Return the first place of a time, within what a place can be."""
    return min(max(time_ms, 0) << _BITS, LAST_PLACE)


def _prefix(account: int) -> bytes:
    return account.to_bytes(8, "big")


def _key(account: int, place: int) -> bytes:
    return _prefix(account) + (LAST_PLACE - place).to_bytes(8, "big")


def _place(key: bytes) -> int:
    return LAST_PLACE - int.from_bytes(key[8:], "big")
