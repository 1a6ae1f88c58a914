"""The identity index as a whole: which shard has what, asked with one call per shard."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from actors.identity.keys import IdentityName
from actors.identity.state import IdentityRecord, IdentityState
from actors.model import Environment
from actors.store.identities import Holder, IdentityChange, IndexEntry, RecordChange
from actors.store.keys import identity_key, shard_of_slot, slot_of_hash, slot_of_mpid

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


class IndexShard(Protocol):
    """A shard as the coordinator sees it. Every call may raise `ShardUnavailable`."""

    async def holders(
        self, environment: Environment, names: Sequence[IdentityName]
    ) -> list[list[Holder]]:
        """Return the holders of each identity."""
        ...

    async def records(
        self, environment: Environment, mpids: Sequence[int]
    ) -> list[IdentityRecord | None]:
        """Return the identity record of each MPID, `None` where there is none."""
        ...

    async def taken(self, mpids: Sequence[int]) -> list[bool]:
        """Tell of each MPID whether it is in use."""
        ...

    async def write_identities(self, changes: Sequence[IdentityChange]) -> None:
        """Write changes, on disk when this returns. Raises StoreFull."""
        ...


class Index:
    """Reads the index and the identity records of one scope, wherever they lie."""

    def __init__(self, shards: Sequence[IndexShard], scope: int) -> None:
        self._shards = shards
        self._scope = scope

    def slot_of(self, environment: Environment, name: IdentityName) -> int:
        """Return the slot that owns an identity."""
        return slot_of_hash(identity_key(self._scope, environment, name.type, name.value))

    async def learn(
        self, state: IdentityState, names: Iterable[IdentityName], mpids: Iterable[int]
    ) -> None:
        """Read entries and records into a state; what it knows already stays."""
        environment = state.environment
        holders, records = await asyncio.gather(
            self._ask(
                names,
                lambda name: self.slot_of(environment, name),
                lambda shard, some: shard.holders(environment, some),
            ),
            self._ask(mpids, slot_of_mpid, lambda shard, some: shard.records(environment, some)),
        )
        for name, found in holders.items():
            state.learn_holders(name, found)
        for mpid, record in records.items():
            state.learn_record(mpid, record)

    async def taken(self, mpids: Iterable[int]) -> set[int]:
        """Return those MPIDs that are in use."""
        answers = await self._ask(mpids, slot_of_mpid, lambda shard, some: shard.taken(some))
        return {mpid for mpid, is_taken in answers.items() if is_taken}

    async def write(self, changes: Iterable[IdentityChange]) -> None:
        """Write changes to the shards that they concern, all at once."""
        by_shard: dict[int, list[IdentityChange]] = {}
        for change in changes:
            for shard, part in self._split(change).items():
                by_shard.setdefault(shard, []).append(part)
        await asyncio.gather(
            *(self._shards[shard].write_identities(parts) for shard, parts in by_shard.items())
        )

    def _split(self, change: IdentityChange) -> dict[int, IdentityChange]:
        parts: dict[int, IdentityChange] = {}

        def at(slot: int) -> IdentityChange:
            empty = IdentityChange(change.scope, change.environment, [], [], change.intent, [])
            return parts.setdefault(shard_of_slot(slot, len(self._shards)), empty)

        for entry in change.entries:
            name = IdentityName(entry.type, entry.value)
            at(self.slot_of(change.environment, name)).entries.append(entry)
        for record in change.records:
            at(slot_of_mpid(record.mpid)).records.append(record)
        for profile in change.profiles:
            at(slot_of_mpid(profile.mpid)).profiles.append(profile)
        return parts

    async def _ask(
        self,
        keys: Iterable[KeyT],
        slot_of: Callable[[KeyT], int],
        ask: Callable[[IndexShard, list[KeyT]], Awaitable[list[ValueT]]],
    ) -> dict[KeyT, ValueT]:
        """Ask each shard for its keys, all shards at once."""
        by_shard: dict[int, list[KeyT]] = {}
        for key in keys:
            by_shard.setdefault(shard_of_slot(slot_of(key), len(self._shards)), []).append(key)
        answers = await asyncio.gather(
            *(ask(self._shards[shard], some) for shard, some in by_shard.items())
        )
        found: dict[KeyT, ValueT] = {}
        for some, values in zip(by_shard.values(), answers, strict=True):
            found.update(zip(some, values, strict=True))
        return found


def changes_of(state: IdentityState, intent: int, now_ms: int) -> IdentityChange | None:
    """Return what a state has changed, `None` if nothing; `intent` is the change's number."""
    if not state.changed_names and not state.changed_mpids and not state.profile_changes:
        return None
    entries = [
        IndexEntry(name.type, name.value, state.holders(name))
        for name in sorted(state.changed_names)
    ]
    records = []
    for mpid in sorted(state.changed_mpids):
        record = state.existing(mpid)
        created_ms = record.created_ms or now_ms
        records.append(RecordChange(mpid, record.lookups, created_ms, record.source_mpid))
    profiles = [state.profile_changes[mpid] for mpid in sorted(state.profile_changes)]
    return IdentityChange(state.scope, state.environment, entries, records, intent, profiles)
