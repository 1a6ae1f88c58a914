"""Lets every shard know of the data points of the others, and since when.

A data point is the workspace's: one that was received before a connection was first active is no
new one to it, on whichever shard its first event arrived.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from actors.errors import ShardUnavailable, StoreFull
from actors.pipeline.points import DataPoint

PAUSE_S = 2.0

logger = logging.getLogger("headwater.actors")


class PointShard(Protocol):
    """What is asked of a shard (`actors.known_points.KnownPoints`)."""

    async def point_count(self) -> int:
        """Return how many points the shard knows; 0 if nobody needs them."""
        ...

    async def data_points(self) -> dict[DataPoint, int]:
        """Return them, with the times of their first receipt."""
        ...

    async def learn_points(self, points: dict[DataPoint, int]) -> None:
        """Let it know of points of other shards. Raises StoreFull."""
        ...


class PointsExchange:
    """Tells shards of each other's points, whenever one of them knows more."""

    def __init__(self, shards: Sequence[PointShard]) -> None:
        self._shards = shards
        self._counts: list[int] = []

    async def run(self) -> None:
        """Work now and then, for ever."""
        while True:
            await asyncio.sleep(PAUSE_S)
            try:
                await self.work()
            except (ShardUnavailable, StoreFull) as error:  # the next time may be a better one
                logger.info(
                    "shards do not know each other's data points yet",
                    extra={"event": "points_wait", "kind": type(error).__name__},
                )

    async def work(self) -> None:
        """Do it once. Raises ShardUnavailable, StoreFull."""
        counts = [await each.point_count() for each in self._shards]
        if counts == self._counts or not any(counts):
            return
        known = [await each.data_points() for each in self._shards]
        first_ms: dict[DataPoint, int] = {}
        for points in known:
            for point, seen_ms in points.items():
                first_ms[point] = min(first_ms.get(point, seen_ms), seen_ms)
        for shard, points in zip(self._shards, known, strict=True):
            news = {point: each for point, each in first_ms.items() if points.get(point) != each}
            if news:
                await shard.learn_points(news)
        # Not what they know by now: what they have seen meanwhile is told the next time.
        self._counts = [len(first_ms)] * len(self._shards)
