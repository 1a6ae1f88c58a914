"""Asks the coordinator, one call at a time: what comes meanwhile goes with the next call."""

import asyncio
from collections.abc import Sequence

from actors.handles import CoordinatorHandle
from actors.model import Unresolved

MAX_REQUESTS = 2000  # of one call


class Resolver:
    """Resolves what shards could not."""

    def __init__(self, coordinator: CoordinatorHandle) -> None:
        self._coordinator = coordinator
        self._waiting: list[tuple[Sequence[Unresolved], asyncio.Future[list[int]]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def resolve(self, requests: Sequence[Unresolved]) -> list[int]:
        """Return the MPID of each request. Raises ShardUnavailable, StoreFull."""
        future: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self._waiting.append((requests, future))
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())
        return await future

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._call(self._take())
        finally:
            self._worker = None

    def _take(self) -> list[tuple[Sequence[Unresolved], asyncio.Future[list[int]]]]:
        taken = [self._waiting.pop(0)]
        count = len(taken[0][0])
        while self._waiting and count + len(self._waiting[0][0]) <= MAX_REQUESTS:
            taken.append(self._waiting.pop(0))
            count += len(taken[-1][0])
        return taken

    async def _call(
        self, asked: list[tuple[Sequence[Unresolved], asyncio.Future[list[int]]]]
    ) -> None:
        try:
            mpids = await self._coordinator.resolve([one for some, _ in asked for one in some])
        except Exception as error:
            for _, future in asked:
                if not future.done():
                    future.set_exception(error)
            return
        start = 0
        for some, future in asked:
            end = start + len(some)
            if not future.done():
                future.set_result(mpids[start:end])
            start = end
