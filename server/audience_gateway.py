"""Audiences as an edge sees them: what they are from the coordinator, members from the shards."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from actors.audiences.answers import Costs, Counts, Difference, Evaluation, Explanation, Member
from actors.audiences.calls import AudienceShard
from actors.audiences.estimate import Estimate, added, estimated, threshold
from actors.audiences.handles import AudienceDeskHandle
from actors.audiences.queries import Asked
from actors.store.keys import slot_of_mpid
from actors.store.slots import slots_of

REMEMBERED_ESTIMATES = 100
_PartT = TypeVar("_PartT")


class AudienceGateway:
    """Asks the desk and the shards.

    Every method, and all of `desk`, raises `actors.errors.ShardUnavailable`, `StoreFull` and, where
    a rule is broken, `AudienceRefused`.
    """

    def __init__(
        self,
        shards: Sequence[AudienceShard],
        desk: AudienceDeskHandle,
        pause: Callable[[], Awaitable[None]],
    ) -> None:
        """See the class.

        Args:
            shards: all of them.
            desk: of the audiences.
            pause: waited for between two slices of a shard.
        """
        self.desk = desk
        self._shards = shards
        self._pause = pause
        self._first_estimates: OrderedDict[tuple[int, int], asyncio.Task[Estimate]] = OrderedDict()

    async def counts(self) -> dict[int, Counts]:
        """Return the counts of all audiences that have members or could have some."""
        total: dict[int, Counts] = {}
        for found in await asyncio.gather(*(each.audience_counts() for each in self._shards)):
            for number, part in found.items():
                so_far = total.get(number, Counts(0))
                total[number] = Counts(
                    so_far.size + part.size,
                    so_far.added + part.added,
                    so_far.dropped + part.dropped,
                )
        return total

    async def members(self, audience: int, after: int | None, limit: int) -> list[Member]:
        """Return members with an MPID above `after`, ascending, at most `limit`."""
        pages = await asyncio.gather(
            *(each.audience_members(audience, after, limit) for each in self._shards)
        )
        return sorted((each for page in pages for each in page), key=lambda each: each.mpid)[:limit]

    async def member(self, audience: int, mpid: int) -> Member | None:
        """Return one member, `None` if the user is none."""
        return await self._owner(mpid).audience_member(audience, mpid)

    async def evaluate(
        self, asked: Asked, mpids: Sequence[int], as_of_ms: int | None
    ) -> list[Evaluation]:
        """Evaluate a query for some users, in their order."""
        by_shard: dict[int, list[int]] = {}
        for mpid in dict.fromkeys(mpids):
            by_shard.setdefault(self._place(mpid), []).append(mpid)
        answers = await asyncio.gather(
            *(
                self._shards[place].evaluate_audience(asked.query, some, as_of_ms)
                for place, some in by_shard.items()
            )
        )
        found = {each.mpid: each for answer in answers for each in answer}
        return [found[mpid] for mpid in mpids]

    async def estimate(self, asked: Asked) -> tuple[Estimate, tuple[Estimate, ...]]:
        """Estimate how many users match a query, and how many each of its criteria."""
        query = asked.query
        counts = await self._all_slices(
            lambda shard, cursor: shard.audience_population(query, cursor)
        )
        below = threshold(sum(counts))
        sample = added(
            await self._all_slices(
                lambda shard, cursor: shard.sample_audience(query, below, cursor)
            )
        )
        return (
            estimated(sample.hits, sample.size, below),
            tuple(estimated(hits, sample.size, below) for hits in sample.criteria),
        )

    async def first_estimate(self, audience: int, revision: int, asked: Asked) -> Estimate:
        """Estimate the size of an audience that is being activated, once for each revision.

        Whoever asks meanwhile or later gets the same, until so many others were asked for.
        """
        key = (audience, revision)
        task = self._first_estimates.get(key)
        if task is None:
            task = asyncio.create_task(self._whole(asked))
            self._first_estimates[key] = task
            task.add_done_callback(partial(self._estimated, key))
            if len(self._first_estimates) > REMEMBERED_ESTIMATES:
                self._first_estimates.popitem(last=False)
        return await asyncio.shield(task)  # one who leaves takes nothing from the others

    async def _whole(self, asked: Asked) -> Estimate:
        whole, _ = await self.estimate(asked)
        return whole

    def _estimated(self, key: tuple[int, int], task: asyncio.Task[Estimate]) -> None:
        """Forget what failed; it is tried again."""
        is_failed = task.cancelled() or task.exception() is not None
        if is_failed and self._first_estimates.get(key) is task:
            del self._first_estimates[key]

    async def explain(self, asked: Asked, audience: int | None, mpid: int) -> Explanation | None:
        """Tell why a user is a member or not; `None` if there is no such user."""
        return await self._owner(mpid).explain_audience(asked.query, audience, mpid)

    async def compare(self, asked: Asked, audience: int, limit: int) -> Difference:
        """Tell who would enter and leave an audience, with `limit` of them by name."""
        parts = await self._all_slices(
            lambda shard, cursor: shard.compare_audience(asked.query, audience, limit, cursor)
        )
        entering = sorted(mpid for each in parts for mpid in each.entering_mpids)
        leaving = sorted(mpid for each in parts for mpid in each.leaving_mpids)
        return Difference(
            entering=sum(each.entering for each in parts),
            leaving=sum(each.leaving for each in parts),
            staying=sum(each.staying for each in parts),
            entering_mpids=tuple(entering[:limit]),
            leaving_mpids=tuple(leaving[:limit]),
        )

    async def costs(self) -> list[Costs]:
        """Return what audiences take of each shard's memory."""
        return await asyncio.gather(*(each.audience_costs() for each in self._shards))

    async def _all_slices(
        self, call: Callable[[AudienceShard, bytes], Awaitable[tuple[_PartT, bytes | None]]]
    ) -> list[_PartT]:
        """Return what all slices of all shards give; see `AudienceShard` for the cursor."""

        async def of_one(shard: AudienceShard) -> list[_PartT]:
            part, cursor = await call(shard, b"")
            parts = [part]
            while cursor is not None:
                await self._pause()
                part, cursor = await call(shard, cursor)
                parts.append(part)
            return parts

        found = await asyncio.gather(*(of_one(each) for each in self._shards))
        return [part for parts in found for part in parts]

    def _owner(self, mpid: int) -> AudienceShard:
        return self._shards[self._place(mpid)]

    def _place(self, mpid: int) -> int:
        return slots_of(self._shards).shard_of(slot_of_mpid(mpid))
