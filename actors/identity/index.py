"""The identity index over all shards: which shard has what."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from actors.identity.draft import Key
from actors.identity.findings import Findings, Question
from actors.identity.keys import IdentityName
from actors.identity.state import IdentityRecord, IdentityState
from actors.model import Environment
from actors.store.identities import IdentityChange, IndexEntry, RecordChange, Term
from actors.store.keys import identity_key, shard_of_slot, slot_of_hash, slot_of_mpid
from actors.store.trail import TrailEntry


class IndexShard(Protocol):
    """A shard as the coordinator sees it. Every call may raise `ShardUnavailable`."""

    async def read_identities(
        self, term: Term, questions: Sequence[Question], candidates: Sequence[int]
    ) -> Findings:
        """See `ShardIdentities.read`. Raises StaleTerm, StoreFull."""
        ...

    async def write_identities(
        self, term: Term, write: int, changes: Sequence[IdentityChange]
    ) -> None:
        """See `ShardIdentities.write`. Raises StaleTerm, StoreFull."""
        ...


class Index:
    """Where the entries and records of one scope lie."""

    def __init__(self, scope: int, shards: int) -> None:
        self.scope = scope
        self._shards = shards

    def slot_of(self, environment: Environment, name: IdentityName) -> int:
        """Return the slot that owns an identity."""
        return slot_of_hash(identity_key(self.scope, environment, name.type, name.value))

    def shard_of(self, key: Key) -> int:
        """Return the shard that owns an entry or a record."""
        environment, what = key
        slot = slot_of_mpid(what) if isinstance(what, int) else self.slot_of(environment, what)
        return shard_of_slot(slot, self._shards)

    def split(self, change: IdentityChange) -> dict[int, IdentityChange]:
        """Return the part of a change that each shard has to write."""
        parts: dict[int, IdentityChange] = {}

        def at(key: Key) -> IdentityChange:
            empty = IdentityChange(change.scope, change.environment, [], [], change.intent)
            return parts.setdefault(self.shard_of(key), empty)

        for entry in change.entries:
            name = IdentityName(entry.type, entry.value)
            at((change.environment, name)).entries.append(entry)
        for record in change.records:
            at((change.environment, record.mpid)).records.append(record)
        return parts


def keys_of(change: IdentityChange) -> list[Key]:
    """Return the entries and records that a change writes."""
    environment = change.environment
    keys: list[Key] = [
        (environment, IdentityName(each.type, each.value)) for each in change.entries
    ]
    return keys + [(environment, each.mpid) for each in change.records]


def record_of(change: RecordChange) -> IdentityRecord | None:
    """Return the record that a change makes."""
    if change.is_erased:
        return None
    return IdentityRecord(change.lookups, change.created_ms, change.source_mpid)


def change_of(
    state: IdentityState, keys: Iterable[Key], intent: int, trail: dict[int, list[TrailEntry]]
) -> IdentityChange:
    """Return what a state says of some entries and records, to be written as an intent."""
    entries: list[IndexEntry] = []
    records: list[RecordChange] = []
    for _, what in keys:
        if isinstance(what, int):
            done = trail.get(what, [])
            record = state.record(what)
            if record is None:
                records.append(RecordChange(what, [], 0, is_erased=True, trail=done))
            else:
                records.append(
                    RecordChange(
                        what, record.lookups, record.created_ms, record.source_mpid, trail=done
                    )
                )
        else:
            entries.append(IndexEntry(what.type, what.value, state.holders(what)))
    return IdentityChange(state.scope, state.environment, entries, records, intent)
