"""The index: which MPIDs hold an identity. One entry per identity, at the identity's owner."""

import msgspec
from msgspec import Struct

from actors.model.profiles import Lookup
from actors.model.workspaces import Environment
from actors.store.environment import Transaction
from actors.store.trail import TrailEntry


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

    Attributes:
        source_mpid: the profile's source under profile link (spec/identity.md, 7.4).
        is_erased: the record is gone for good, and its MPID is not given to anybody else.
        trail: what the decisions behind it did.
    """

    mpid: int
    lookups: list[Lookup]
    created_ms: int
    source_mpid: int | None = None
    is_erased: bool = False
    trail: list[TrailEntry] = []


class ProfileChange(Struct, array_like=True):
    """What a call does to a profile beside its lookups (spec/identity.md, 7.7).

    Attributes:
        shown: IDSync type of a user identity to its value, trimmed, as sent.
        removed: (IDSync type, canonical value) of what the profile shows no longer.
        time_ms: when the call was received.
        new_in: number of the workspace whose identity call has made the profile, which is readable
            there from then on; 0 if no call has made it.
    """

    mpid: int
    time_ms: int
    shown: dict[str, str] = {}
    removed: list[tuple[str, str]] = []
    new_in: int = 0


class IdentityChange(Struct, array_like=True):
    """What belongs together of what the coordinator has decided; on one shard, its part.

    Absolute values: applying it twice is harmless. `intent` numbers it.
    """

    scope: int
    environment: Environment
    entries: list[IndexEntry]
    records: list[RecordChange]
    intent: int = 0
    profiles: list[ProfileChange] = []


class Term(Struct, frozen=True, array_like=True):
    """One run of the coordinator, as it introduces itself to the shards.

    Attributes:
        start: counts them; a shard that knows of a later one listens to no earlier one.
        nonce: tells two apart whose stores count the same, one being a copy.
        intent: number of the last intent that it knew at its start. A shard that has a later one
            does not listen: the coordinator's store is an old copy.
    """

    start: int
    nonce: int
    intent: int


class Written(Struct, frozen=True, array_like=True):
    """How far a shard is: the last term, the last of its writes, the last intent of any term."""

    start: int = 0
    nonce: int = 0
    write: int = 0
    intent: int = 0


_WRITTEN = b"written "
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(IndexEntry)
_written_decoder = msgspec.msgpack.Decoder(Written)


def decode_entry(encoded: bytes) -> IndexEntry:
    """Decode an entry as the table has it."""
    return _decoder.decode(encoded)


def read_holders(txn: Transaction, key: bytes, identity_type: str, value: str) -> list[Holder]:
    """Return the holders of an identity, oldest link first."""
    encoded = txn.get("identities", key)
    if encoded is None:
        return []
    entry = _decoder.decode(encoded)
    if entry.type != identity_type or entry.value != value:
        return []
    return entry.holders


def write_holders(txn: Transaction, key: bytes, entry: IndexEntry) -> None:
    """Replace the holders of an identity; an entry without holders is removed."""
    if entry.holders:
        txn.put("identities", key, _encoder.encode(entry))
    else:
        txn.delete("identities", key)


def read_written(txn: Transaction, scope: int) -> Written:
    """Return how far a shard is in an identity scope."""
    encoded = txn.get("shard", _written_key(scope))
    return Written() if encoded is None else _written_decoder.decode(encoded)


def write_written(txn: Transaction, scope: int, written: Written) -> None:
    """Keep how far a shard is in an identity scope."""
    txn.put("shard", _written_key(scope), _encoder.encode(written))


def written_scopes(txn: Transaction) -> list[int]:
    """Return the identity scopes that something was ever written of."""
    found = txn.scan("shard", prefix=_WRITTEN)
    return [int.from_bytes(key.removeprefix(_WRITTEN), "big") for key, _ in found]


def _written_key(scope: int) -> bytes:
    return _WRITTEN + scope.to_bytes(2, "big")
