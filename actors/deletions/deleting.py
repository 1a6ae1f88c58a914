"""Deletes the sections that a workspace has of users (spec/profiles.md, 10).

All of it may be done again: what was cut off goes on with what is left, and deletes nothing that
has come since.
"""

import asyncio
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Protocol

from actors.model.workspaces import Environment
from actors.privacy.erasing import TOGETHER, RecordEraser
from actors.store import aliases
from actors.store.environment import Store
from actors.store.keys import slot_of_mpid
from actors.store.slots import slots_of


class DeletingShard(Protocol):
    """What is asked of a shard: `actors.shard_deletion.ShardDeletion`."""

    async def mark_sections(self, environment: Environment, mpids: Sequence[int]) -> list[int]:
        """Mark sections as those to be deleted; return the users whom there is one of."""
        ...

    async def release_records(self, environment: Environment, mpids: Sequence[int]) -> list[int]:
        """Decide whose identity record goes with the marked sections; return those users."""
        ...

    async def delete_sections(
        self, environment: Environment, mpids: Sequence[int], recordless: Collection[int]
    ) -> list[int]:
        """Delete marked sections; return the users who are to be given to another call.

        Args:
            recordless: those whose identity record is erased.
        """
        ...


class SectionDeleter:
    """Deletes sections of one workspace. Calls raise HotIdentity, ShardUnavailable, StoreFull."""

    def __init__(
        self,
        store: Store,
        identities: RecordEraser,
        applying: asyncio.Lock,
        shards: Sequence[DeletingShard],
        expire_downloads: Callable[[], int],
    ) -> None:
        """Set up.

        Args:
            store: of the workspace, in the coordinator.
            identities: of its identity scope; `shards`: all of them, in order.
            applying: `actors.alias_runner.AliasRunner.applying` of the workspace.
            expire_downloads: removes the files of audiences' members; returns how many there were.
        """
        self._store = store
        self._identities = identities
        self._applying = applying
        self._shards = shards
        self._expire_downloads = expire_downloads

    async def mark(self, environment: Environment, mpids: Iterable[int]) -> list[int]:
        """Mark the sections of some users for `delete`; return those whom there is one of."""
        found = await asyncio.gather(
            *(self._mark_on(shard, environment, own) for shard, own in self._by_owner(mpids))
        )
        return list(itertools.chain.from_iterable(found))

    async def delete(
        self,
        environment: Environment,
        mpids: Sequence[int],
        keep_deleted: Callable[[Sequence[int]], None],
    ) -> None:
        """Delete marked sections of users, and identity records of those who have no other.

        No alias is applied meanwhile. Files of members come last: none that is made from then on
        has the users.

        Args:
            environment, mpids: of the users.
            keep_deleted: told of users as soon as their sections are gone; may raise StoreFull.
        """
        async with self._applying:
            with self._store.write() as txn:
                for mpid in mpids:
                    aliases.forget(txn, environment, mpid)
            ended = await asyncio.gather(
                *(
                    self._delete_on(shard, environment, own, keep_deleted)
                    for shard, own in self._by_owner(mpids)
                ),
                return_exceptions=True,  # or the others would go on without the lock
            )
        for each in ended:
            if each is not None:
                raise each
        self._expire_downloads()

    async def delete_expired(self, environment: Environment, mpids: Sequence[int]) -> None:
        """Delete what is left of users whose identity records are erased, as `delete` does."""
        async with self._applying:
            with self._store.write() as txn:
                for mpid in mpids:
                    aliases.forget(txn, environment, mpid)
            for shard, own in self._by_owner(mpids):
                left = own
                while left:
                    left = await shard.delete_sections(environment, left, left)

    def awaits_alias(self, environment: Environment, mpid: int) -> bool:
        """Tell whether an alias is still to be applied that names a user."""
        with self._store.read() as txn:
            return aliases.is_waiting(txn, environment, mpid)

    async def _mark_on(
        self, shard: DeletingShard, environment: Environment, mpids: Sequence[int]
    ) -> list[int]:
        found: list[int] = []
        for some in _some_at_once(mpids):
            found += await shard.mark_sections(environment, some)
        return found

    async def _delete_on(
        self,
        shard: DeletingShard,
        environment: Environment,
        mpids: Sequence[int],
        keep_deleted: Callable[[Sequence[int]], None],
    ) -> None:
        for some in _some_at_once(mpids):
            left = some
            while left:
                recordless = await self._erase_records(shard, environment, left)
                left = await shard.delete_sections(environment, left, recordless)
            keep_deleted(some)

    async def _erase_records(
        self, shard: DeletingShard, environment: Environment, mpids: Sequence[int]
    ) -> list[int]:
        """Erase the identity records of those who have no other section; return whose.

        They go before the sections, so that nothing new can come to a profile any more.
        """
        alone = await shard.release_records(environment, mpids)
        await asyncio.gather(*(self._identities.erase(environment, mpid) for mpid in alone))
        return alone

    def _by_owner(self, mpids: Iterable[int]) -> Iterator[tuple[DeletingShard, list[int]]]:
        slots = slots_of(self._shards)
        by_shard: dict[int, list[int]] = {}
        for mpid in mpids:
            by_shard.setdefault(slots.shard_of(slot_of_mpid(mpid)), []).append(mpid)
        for number, own in by_shard.items():
            yield self._shards[number], own


def _some_at_once(mpids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(mpids), TOGETHER):
        yield mpids[start : start + TOGETHER]
