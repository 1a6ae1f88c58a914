"""What shards know of the definitions, and what they keep batches from (spec/identity.md, 13)."""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from actors.model.batches import Batch, Event
from actors.steps.work import Work
from actors.store.environment import Transaction

READ_ONLY = "group_attribute_read_only"  # reason that a batch's write is dropped for

_KEY = b"groups"


class LiveDefinition(Struct, frozen=True, array_like=True):
    """One definition. `run`: the last finished run; `names`: its group attributes, old and new."""

    number: int
    id: str
    run: int
    names: frozenset[str]


class LiveGroups(Struct, frozen=True, array_like=True):
    """All definitions that exist; a greater `version` is newer."""

    version: int = 0
    definitions: tuple[LiveDefinition, ...] = ()


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(LiveGroups)


class KnownGroups:
    """`LiveGroups`, ready to be looked things up in.

    Attributes:
        version: of what is known.
        ids: number of a definition to its id.
        by_id: definitions by id.
        read_only: the names of all group attributes.
    """

    def __init__(self, live: LiveGroups) -> None:
        self.version = live.version
        self.ids = {each.number: each.id for each in live.definitions}
        self.by_id = {each.id: each for each in live.definitions}
        self.read_only = frozenset(name for each in live.definitions for name in each.names)


def read_live(txn: Transaction) -> LiveGroups:
    """Return what a shard was told last."""
    encoded = txn.get("meta", _KEY)
    return LiveGroups() if encoded is None else _decoder.decode(encoded)


def write_live(txn: Transaction, live: LiveGroups) -> None:
    """Keep it over a restart."""
    txn.put("meta", _KEY, _encoder.encode(live))


def keep_read_only(works: Iterable[Work], names: frozenset[str], reason: str = READ_ONLY) -> None:
    """Drop from decoded batches what would write one of these attributes, and count it."""
    for work in works:
        if work.batch is not None:
            _keep_read_only(work.batch, names, reason)


def _keep_read_only(batch: Batch, names: frozenset[str], reason: str) -> None:
    written = [name for name in batch.user_attributes if name in names]
    for name in written:
        del batch.user_attributes[name]
    deleted = [name for name in batch.deleted_user_attributes if name not in names]
    events = [event for event in batch.events if not _changes_any(event, names)]
    dropped = len(written)
    dropped += len(batch.deleted_user_attributes) - len(deleted)
    dropped += len(batch.events) - len(events)
    if dropped:
        batch.deleted_user_attributes, batch.events = deleted, events
        batch.drops += [reason] * dropped


def _changes_any(event: Event, names: frozenset[str]) -> bool:
    is_change = event.event_type == "user_attribute_change"
    return is_change and event.data["user_attribute_name"] in names
