"""The identity index over all shards: which shard has what."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Protocol

from msgspec.structs import replace

from actors.identity.draft import Key
from actors.identity.findings import Findings, Question
from actors.identity.keys import IdentityName
from actors.identity.state import IdentityRecord, IdentityState
from actors.model.workspaces import Environment
from actors.store.identities import IdentityChange, IndexEntry, RecordChange, Term
from actors.store.keys import identity_key, slot_of_hash, slot_of_mpid
from actors.store.slots import Slots
from actors.store.trail import TrailEntry

_REMEMBERED = 1 << 14  # places: more than are under way at a time


class IndexShard(Protocol):
    """A shard as the coordinator sees it. Every call may raise `ShardUnavailable`."""

    async def read_identities(
        self, term: Term, questions: Sequence[Question], candidates: Sequence[int]
    ) -> Findings:
        """See `ShardIdentities.read_identities`. Raises StaleTerm."""
        ...

    async def write_identities(
        self, term: Term, write: int, changes: Sequence[IdentityChange]
    ) -> None:
        """See `ShardIdentities.write_identities`. Raises StaleTerm, StoreFull."""
        ...

    async def trail(self, environment: Environment, mpid: int) -> list[TrailEntry]:
        """See `ShardViews.trail`."""
        ...


class Index:
    """Where the entries and records of one scope lie."""

    def __init__(self, scope: int, slots: Slots) -> None:
        self.scope = scope
        self._slots = slots
        # Which shard owns an entry or a record. A decision asks for the same ones again and again,
        # and hashing is dear.
        self.shard_of: Callable[[Key], int] = lru_cache(_REMEMBERED)(self._shard_of)

    def slot_of(self, environment: Environment, name: IdentityName) -> int:
        """Return the slot that owns an identity."""
        return slot_of_hash(identity_key(self.scope, environment, name.type, name.value))

    def _shard_of(self, key: Key) -> int:
        environment, what = key
        slot = slot_of_mpid(what) if isinstance(what, int) else self.slot_of(environment, what)
        return self._slots.shard_of(slot)

    def split(self, change: IdentityChange) -> dict[int, IdentityChange]:
        """Return the part of a change that each shard has to write."""
        environment = change.environment
        parts: dict[int, IdentityChange] = {}

        def on(shard: int) -> IdentityChange:
            part = parts.get(shard)
            if part is None:
                part = parts[shard] = IdentityChange(
                    change.scope, environment, [], [], change.intent, []
                )
            return part

        for entry in change.entries:
            key = (environment, IdentityName(entry.type, entry.value))
            on(self.shard_of(key)).entries.append(entry)
        for record in change.records:
            on(self.shard_of((environment, record.mpid))).records.append(record)
        for profile in change.profiles:
            on(self.shard_of((environment, profile.mpid))).profiles.append(profile)
        return parts


def keys_of(change: IdentityChange) -> list[Key]:
    """Return the entries and records that a change writes."""
    environment = change.environment
    keys: list[Key] = [
        (environment, IdentityName(each.type, each.value)) for each in change.entries
    ]
    keys += [(environment, record.mpid) for record in change.records]
    return keys + [(environment, profile.mpid) for profile in change.profiles]


def losses_of(change: IdentityChange) -> IdentityChange:
    """Return what a change takes from records, without what it gives to them or to others."""
    losses = IdentityChange(change.scope, change.environment, [], [], change.intent)
    for record in change.records:
        if record.is_erased:
            losses.records.append(record)
        elif any(each.removed for each in record.trail):
            attached = [lookup for each in record.trail for lookup in each.attached]
            left = [lookup for lookup in record.lookups if lookup not in attached]
            losses.records.append(replace(record, lookups=left, trail=[]))
    return losses


def record_of(change: RecordChange) -> IdentityRecord | None:
    """Return the record that a change makes."""
    if change.is_erased:
        return None
    return IdentityRecord(change.lookups, change.created_ms, change.source_mpid)


def change_of(
    state: IdentityState, keys: Iterable[Key], intent: int, trail: dict[int, list[TrailEntry]]
) -> IdentityChange:
    """Return what a state has changed of some entries and records, to be written as an intent."""
    change = IdentityChange(state.scope, state.environment, [], [], intent, [])
    for _, what in keys:
        if not isinstance(what, int):
            change.entries.append(IndexEntry(what.type, what.value, state.holders(what)))
            continue
        if what in state.changed_mpids:
            done = trail.get(what, [])
            record = state.record(what)
            if record is None:
                written = RecordChange(what, [], 0, is_erased=True, trail=done)
            else:
                written = RecordChange(
                    what, record.lookups, record.created_ms, record.source_mpid, trail=done
                )
            change.records.append(written)
        if what in state.profile_changes:
            change.profiles.append(state.profile_changes[what])
    return change
