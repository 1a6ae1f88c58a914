"""Erases profiles from all stores (spec/privacy.md, 5.2 and 5.3).

One stage after the other, each for all requests of a run together; a stage that was cut off is done
again, which changes nothing where it was done already.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Literal, Protocol

from actors.clock import Clock
from actors.model.workspaces import Environment
from actors.privacy.requests import Identities, Stage, Subject, SubjectRequest
from actors.privacy.results import Results
from actors.store import aliases
from actors.store.environment import Store
from actors.store.keys import slot_of_mpid
from actors.store.slots import slots_of

# Where a walk over tables goes on: number of the table, and a key in it.
Cursor = tuple[int, bytes]
Walk = Literal["deliveries", "groups", "answers"]
# What has to be erased before the rest of a profile can go.
Left = Literal["events", "record"]
START: Cursor = (0, b"")
TOGETHER = 50  # identity records that are erased at once: they share commits
# Called when a stage is done: by id of each request.
NoteStages = Callable[[Mapping[str, Stage]], None]


# Erases something of whom requests are about, and tells how much: by id of each request.
_Work = Callable[[Sequence[SubjectRequest]], Awaitable[Mapping[str, int]]]
# Erases something of users, and tells how much of each.
_UserWork = Callable[[Sequence[Subject]], Awaitable[Mapping[Subject, int]]]


class ErasingShard(Protocol):
    """What is asked of a shard: `actors.shard_erasure.ShardErasure`."""

    async def is_shared(self, environment: Environment, mpid: int) -> bool:
        """Tell whether another workspace has data of a user."""
        ...

    async def erase_walking(
        self,
        walk: Walk,
        users: Sequence[Subject],
        strangers: Sequence[Identities],
        cursor: Cursor,
    ) -> tuple[dict[int, int], Cursor | None]:
        """Delete some of the entries about users in tables that have to be walked.

        Args:
            strangers: of deliveries that are nobody's those go that have one of the identities.

        Returns:
            Place of a user, or behind them of identities, to how much, and where to go on, `None`
            at the end.
        """
        ...

    async def leave_audiences(self, environment: Environment, mpid: int) -> int:
        """End a user's memberships; return how many there were."""
        ...

    async def erase_events(self, environment: Environment, mpid: int) -> tuple[int, bool]:
        """Delete some of a user's events; return how many batches, and whether there are more."""
        ...

    async def erase_profile(
        self, environment: Environment, mpid: int, has_record: bool
    ) -> tuple[int, Left | None]:
        """Delete the rest of a user's data; return how much, and what has to be erased first.

        Args:
            has_record: whether the identity record may be there still.
        """
        ...


class RecordEraser(Protocol):
    """What erases identity records: `actors.coordinator.Coordinator`."""

    async def erase(self, environment: Environment, mpid: int) -> bool:
        """Remove an identity record; tell whether there was one."""
        ...

    async def forget_erased(self) -> None:
        """Let go of what is still kept of erasures."""
        ...


class Eraser:
    """Does the stages. Calls raise ShardUnavailable and StoreFull; they can be repeated."""

    def __init__(
        self,
        store: Store,
        identities: RecordEraser,
        applying: asyncio.Lock,
        shards: Sequence[ErasingShard],
        results: Results,
        reread: Callable[[str], Awaitable[None]],
        receiving: Callable[[], Collection[str]],
        expire_downloads: Callable[[], int],
        clock: Clock,
    ) -> None:
        """Set up.

        Args:
            store: of the workspace, in the coordinator.
            identities: of its identity scope; `shards`: all of them, in order.
            applying: `actors.alias_runner.AliasRunner.applying` of the workspace.
            results: what people asked for.
            reread: has the forwarder of an output (its id) let go of what it holds in memory.
            receiving: returns the outputs that audiences are connected to.
            expire_downloads: removes the files of audiences' members; returns how many there were.
            clock: of the times that are kept.
        """
        self._store = store
        self._identities = identities
        self._applying = applying
        self._shards = shards
        self._reread = reread
        self._receiving = receiving
        self._expire_downloads = expire_downloads
        self._forwarders: Sequence[str] = ()
        self._clock = clock
        # In their order: what waits goes before the memberships end, which outputs are told of;
        # and with the identity record nothing new can come to a profile any more. Files of members
        # come last: none that is made from then on has them.
        self._stages: dict[str, _Work] = {
            "results": _of_users(results.forget_about),
            "identities": _of_users(self._erase_identities),
            "deliveries": self._erase_deliveries,
            "audiences": _of_users(self._leave_audiences),
            "groups": _of_users(partial(self._erase_walking, "groups")),
            "answers": _of_users(partial(self._erase_walking, "answers")),
            "events": _of_users(self._erase_events),
            "profiles": _of_users(self._erase_profiles),
            "downloads": self._erase_downloads,
        }

    def take_over(self, forwarders: Sequence[str]) -> None:
        """Take over which outputs (their ids) have a forwarder."""
        self._forwarders = forwarders

    async def erase(self, requests: Sequence[SubjectRequest], note: NoteStages) -> None:
        """Do all stages of requests that are not noted yet; no alias is applied meanwhile."""
        async with self._applying:
            for name, work in self._stages.items():
                left = [
                    each
                    for each in requests
                    if each.status == "in_progress"
                    and name not in [stage.store for stage in each.stages]
                ]
                if not left:
                    continue
                removed = await work(left)
                now_ms = self._clock.now_ms()
                note({each.id: Stage(name, removed.get(each.id, 0), now_ms) for each in left})

    def _forget_aliases(self, users: Sequence[Subject]) -> dict[Subject, int]:
        with self._store.write() as txn:
            return {user: aliases.forget(txn, *user) for user in users}

    async def _erase_identities(self, users: Sequence[Subject]) -> dict[Subject, int]:
        removed = self._forget_aliases(users)
        for start in range(0, len(users), TOGETHER):
            some = users[start : start + TOGETHER]
            erased = await asyncio.gather(*(self._erase_identity(*user) for user in some))
            for user, is_erased in zip(some, erased, strict=True):
                removed[user] += is_erased
        return removed

    async def _erase_identity(self, environment: Environment, mpid: int) -> bool:
        """Erase a record; what another workspace still has of it stays for that one alone."""
        if await self._owner(mpid).is_shared(environment, mpid):
            return False
        return await self._identities.erase(environment, mpid)

    async def _erase_deliveries(self, requests: Sequence[SubjectRequest]) -> dict[str, int]:
        """Erase also what is nobody's, such as in quarantine, by the identities of the requests."""
        users = _subjects(requests)
        strangers = [each.sent.identities for each in requests]
        removed = await self._walk("deliveries", users, strangers)
        of_users = {user: removed[place] for place, user in enumerate(users)}
        # Those of other accounts hold what audiences have for them.
        for output in dict.fromkeys((*self._forwarders, *sorted(self._receiving()))):
            await self._reread(output)
        return {
            each.id: removed[place] + sum(of_users[user] for user in each.subjects or ())
            for place, each in enumerate(requests, len(users))
        }

    async def _erase_walking(self, walk: Walk, users: Sequence[Subject]) -> dict[Subject, int]:
        removed = await self._walk(walk, users, ())
        return {user: removed[place] for place, user in enumerate(users)}

    async def _walk(
        self, walk: Walk, users: Sequence[Subject], strangers: Sequence[Identities]
    ) -> Counter[int]:
        removed: Counter[int] = Counter()

        async def erase(shard: ErasingShard) -> None:
            cursor: Cursor | None = START
            while cursor is not None:
                counts, cursor = await shard.erase_walking(walk, users, strangers, cursor)
                removed.update(counts)

        await asyncio.gather(*map(erase, self._shards))
        return removed

    async def _leave_audiences(self, users: Sequence[Subject]) -> dict[Subject, int]:
        return {user: await self._owner(user[1]).leave_audiences(*user) for user in users}

    async def _erase_events(self, users: Sequence[Subject]) -> dict[Subject, int]:
        removed: Counter[Subject] = Counter()
        for user in users:
            has_more = True
            while has_more:
                count, has_more = await self._owner(user[1]).erase_events(*user)
                removed[user] += count
        return removed

    async def _erase_profiles(self, users: Sequence[Subject]) -> Mapping[Subject, int]:
        removed = {user: await self._erase_profile(*user) for user in users}
        for user, count in self._forget_aliases(users).items():  # accepted meanwhile
            removed[user] += count
        await self._identities.forget_erased()
        return removed

    async def _erase_profile(self, environment: Environment, mpid: int) -> int:
        owner, has_record = self._owner(mpid), True
        removed, left = await owner.erase_profile(environment, mpid, has_record)
        while left is not None:
            # Those who had data of the user when the record was to go have none any more, unless
            # new ones have come this moment.
            if left == "record" and not await owner.is_shared(environment, mpid):
                removed += await self._identities.erase(environment, mpid)
                has_record = False
            more, left = await owner.erase_profile(environment, mpid, has_record)
            removed += more
        return removed

    async def _erase_downloads(self, requests: Sequence[SubjectRequest]) -> dict[str, int]:
        """Remove all files, for who is in which is not kept."""
        about = [each.id for each in requests if each.subjects]
        return dict.fromkeys(about, self._expire_downloads()) if about else {}

    def _owner(self, mpid: int) -> ErasingShard:
        return self._shards[slots_of(self._shards).shard_of(slot_of_mpid(mpid))]


def _subjects(requests: Sequence[SubjectRequest]) -> list[Subject]:
    return list(dict.fromkeys(user for each in requests for user in each.subjects or ()))


def _of_users(erase: _UserWork) -> _Work:
    """Return what erases something of the users that requests are about."""

    async def work(requests: Sequence[SubjectRequest]) -> dict[str, int]:
        users = _subjects(requests)
        removed = await erase(users) if users else {}
        return {
            each.id: sum(removed.get(user, 0) for user in each.subjects or ()) for each in requests
        }

    return work
