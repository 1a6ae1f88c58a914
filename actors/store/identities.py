"""The index: which MPIDs hold an identity. One entry per identity, at the identity's owner."""

import msgspec
from msgspec import Struct

from actors.model import Environment, Lookup
from actors.store.environment import Transaction


class Holder(Struct, array_like=True):
    """An MPID that holds an identity. The holder with the greatest `link` was linked last.

    `is_known`: its record has a login ID, so that only a request with that one can be answered with
    it; told here because the record may lie on another shard.
    """

    mpid: int
    link: int
    is_known: bool = False


class IndexEntry(Struct, array_like=True):
    """One identity and its holders, in the order of their links.

    Type and value are kept and compared, because the key is only their hash.
    """

    type: str
    value: str
    holders: list[Holder]


class RecordChange(Struct, array_like=True):
    """The lookups that a profile has from now on; it is made at `created_ms` if it is missing.

    `source_mpid` is the profile's source under profile link (spec/identity.md, 7.4).
    """

    mpid: int
    lookups: list[Lookup]
    created_ms: int
    source_mpid: int | None = None


class ProfileChange(Struct, array_like=True):
    """What a call does to a profile beside its lookups (spec/identity.md, 7.7).

    Attributes:
        shown: IDSync type of a user identity to its value, trimmed, as sent.
        removed: (IDSync type, canonical value) of what the profile shows no longer.
        time_ms: when the call was received.
        is_new: an identity call has made the profile, which is readable from then on.
    """

    mpid: int
    time_ms: int
    shown: dict[str, str] = {}
    removed: list[tuple[str, str]] = []
    is_new: bool = False


class IdentityChange(Struct, array_like=True):
    """What resolutions write on one shard. Absolute values: applying it twice is harmless.

    `intent` numbers what the coordinator decided together: one that comes after its successor, from
    a coordinator that has died, is not written.
    """

    scope: int
    environment: Environment
    entries: list[IndexEntry]
    records: list[RecordChange]
    intent: int = 0
    profiles: list[ProfileChange] = []


_INTENT = b"intent"
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(IndexEntry)


def read_holders(txn: Transaction, key: bytes, identity_type: str, value: str) -> list[Holder]:
    """Return the holders of an identity, oldest link first."""
    encoded = txn.get("identities", key)
    if encoded is None:
        return []
    entry = _decoder.decode(encoded)
    if entry.type != identity_type or entry.value != value:
        return []
    return entry.holders


def read_intent(txn: Transaction) -> int:
    """Return the number of the last intent that was written here."""
    encoded = txn.get("meta", _INTENT)
    return 0 if encoded is None else int.from_bytes(encoded, "big")


def write_intent(txn: Transaction, number: int) -> None:
    """Keep the number of the last intent."""
    txn.put("meta", _INTENT, number.to_bytes(8, "big"))


def write_holders(txn: Transaction, key: bytes, entry: IndexEntry) -> None:
    """Replace the holders of an identity; an entry without holders is removed."""
    if entry.holders:
        txn.put("identities", key, _encoder.encode(entry))
    else:
        txn.delete("identities", key)
