"""Gives users what their scores come to (spec/predictions.md, 2), behind the audience desk.

A little after the last post, once nothing more comes, the percentiles of all users are found anew,
and each user gets both values in one transaction with the memberships that depend on them. After a
crash that is begun again: it has the same outcome.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import cast

from msgspec.structs import replace

from actors.audiences.core import Core
from actors.audiences.objects import EVALUATED
from actors.errors import ShardUnavailable, StoreFull
from actors.predictions.calls import PredictionShard
from actors.predictions.objects import Prediction, Ranking, Writing
from actors.predictions.ranks import Census
from actors.predictions.thresholds import Thresholds

logger = logging.getLogger("headwater.predictions")

QUIET_MS = 2_000  # after the last post; `LATEST_MS` after what was applied last, if posts go on
LATEST_MS = 60_000
DAY_MS = 86_400_000  # who may have a score changes with time, too
LOOK_S = 1.0
IDLE_LOOK_S = 60.0
WRITTEN_PER_S = 2_000  # users of a shard: ingestion comes first


class Applying:
    """The work behind the predictions. `woken`: set when one, or what reads it, has changed."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._shards = cast(Sequence[PredictionShard], core.shards)
        self.woken = core.told
        self._thresholds = (-1, Thresholds(()))  # with the version that they are of

    async def census(self, prediction: Prediction) -> Census:
        """Count the scores of users who may have one. Raises ShardUnavailable."""
        census, writing = Census(), _writing(prediction, None)

        async def count(shard: PredictionShard) -> None:
            cursor: bytes | None = b""
            while cursor is not None:
                counts, cursor = await shard.count_scores(writing, cursor)
                census.add(counts)

        await asyncio.gather(*map(count, self._shards))
        return census

    async def settle_predictions(self) -> bool:
        """Do all that is due now; tell whether something is due soon.

        Raises:
            ShardUnavailable: a shard did not answer; the next call begins that prediction anew.
            StoreFull: likewise, for want of room.
        """
        is_waiting = False
        for each in sorted(self._core.state.predictions.values(), key=lambda each: each.number):
            if each.is_leaving:
                await self._write(_writing(each, None))
                with self._core.changing() as changed:
                    changed.predictions.pop(each.number, None)
                    changed.tell_shards()
                await self._core.push()
            elif self._is_due(each):
                await self._apply(each)
            else:
                is_waiting |= each.applied < each.posted
        return is_waiting

    async def run_predictions(self) -> None:
        """Do what is due, for ever."""
        while True:
            self.woken.clear()
            pause_s = LOOK_S
            try:
                if not await self.settle_predictions():
                    pause_s = IDLE_LOOK_S
            except (ShardUnavailable, StoreFull) as error:
                logger.warning(
                    "predictions wait for a shard",
                    extra={"event": "predictions_wait", "kind": type(error).__name__},
                )
            try:
                async with asyncio.timeout(pause_s):
                    await self.woken.wait()
            except TimeoutError:
                continue

    def _is_due(self, prediction: Prediction) -> bool:
        now_ms = self._core.clock.now_ms()
        if prediction.is_off or prediction.posted_ms is None:
            return False
        if prediction.applied < prediction.posted:
            is_late = now_ms - (prediction.applied_ms or 0) >= LATEST_MS
            return is_late or now_ms - prediction.posted_ms >= QUIET_MS
        if self._is_seen_elsewhere(prediction):
            return True
        return now_ms - (prediction.applied_ms or 0) >= DAY_MS

    async def _apply(self, prediction: Prediction) -> None:
        """Give all users what their scores come to."""
        await self._core.push()  # of what audiences compare with, the shards go by what they know
        seen_at = self._seen_at(prediction)
        census = await self.census(prediction)
        await self._write(_writing(prediction, census.ranking()))
        with self._core.changing() as changed:
            former = changed.predictions.get(prediction.number)
            if former is not None:
                changed.predictions[prediction.number] = replace(
                    former,
                    applied=prediction.posted,
                    applied_ms=self._core.clock.now_ms(),
                    users=census.users,
                    seen_at=None if seen_at is None else tuple(sorted(seen_at)),
                )

    def _is_seen_elsewhere(self, prediction: Prediction) -> bool:
        """Tell whether an audience may see what was too small to be written."""
        if prediction.seen_at is None:
            return False
        seen_at = self._seen_at(prediction)
        return seen_at is None or not seen_at <= set(prediction.seen_at)

    def _seen_at(self, prediction: Prediction) -> frozenset[float] | None:
        """Return what audiences compare its values with; `None` where that cannot be told."""
        state = self._core.state
        version, thresholds = self._thresholds
        if version != state.counters.version:
            live = (each for each in state.audiences.values() if each.status in EVALUATED)
            nodes = (node for each in live if (node := self._core.node_of(each)) is not None)
            thresholds = Thresholds(nodes)
            self._thresholds = (state.counters.version, thresholds)
        return thresholds.of(prediction.number, prediction.slug)

    async def _write(self, writing: Writing) -> None:
        async def write(shard: PredictionShard) -> None:
            cursor: bytes | None = b""
            while cursor is not None:
                changed, cursor = await shard.write_scores(writing, cursor)
                await asyncio.sleep(changed / WRITTEN_PER_S)

        await asyncio.gather(*map(write, self._shards))


def _writing(prediction: Prediction, ranking: Ranking | None) -> Writing:
    return Writing(
        number=prediction.number,
        slug=prediction.slug,
        environment=prediction.environment,
        active_within_days=prediction.active_within_days,
        ranking=ranking,
    )
