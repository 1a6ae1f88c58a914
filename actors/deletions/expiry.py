"""Removes identity records whose retention is over, in the coordinator (spec/profiles.md, 6).

The sweep of a shard hands users over, a few at a time. The shard decides whether data have come
meanwhile and lets nothing come from then on; then record and lookups go as in an erasure, and the
rest of the profile as in a deletion. The profile is the last to go: by it a sweep finds again
whoever was left halfway.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from actors.deletions.deleting import SectionDeleter
from actors.errors import HotIdentity, ShardUnavailable, StoreFull
from actors.model.workspaces import Environment
from actors.privacy.erasing import TOGETHER, RecordEraser

PAUSE_S = 5.0  # between two looks at what sweeps have met

logger = logging.getLogger("headwater.actors")


class ExpiringShard(Protocol):
    """What is asked of a shard: `actors.shard_expiry.ShardExpiry`."""

    async def overdue_records(self, limit: int) -> list[tuple[Environment, int]]:
        """Return some users whom sweeps have met; each is returned once."""
        ...

    async def expire_records(self, environment: Environment, mpids: Sequence[int]) -> list[int]:
        """Decide whose identity record goes; return those users. Raises StoreFull."""
        ...


class RecordExpiry:
    """Removes the identity records of one scope."""

    def __init__(
        self,
        identities: RecordEraser,
        shards: Sequence[ExpiringShard],
        deleters: Callable[[], Sequence[SectionDeleter]],
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        """Set up.

        Args:
            identities: of the scope; `shards`: all of them, in order.
            deleters: returns those of all workspaces of the scope.
            pause: waits for so many seconds.
        """
        self._identities = identities
        self._shards = shards
        self._deleters = deleters
        self._pause = pause
        self._left: dict[int, list[tuple[Environment, int]]] = {}  # by shard: who is under way

    async def run(self) -> None:
        """Remove what is handed over, for ever."""
        while True:
            for number in range(len(self._shards)):
                try:
                    await self._work_on(number)
                except (HotIdentity, ShardUnavailable, StoreFull) as error:
                    logger.warning(
                        "identity records whose retention is over wait",
                        extra={"event": "record_expiry_waits", "kind": type(error).__name__},
                    )
            await self._pause(PAUSE_S)

    async def work(self) -> None:
        """Remove all that is handed over. Raises HotIdentity, ShardUnavailable, StoreFull."""
        for number in range(len(self._shards)):
            await self._work_on(number)

    async def _work_on(self, number: int) -> None:
        shard = self._shards[number]
        while users := self._left.get(number) or await shard.overdue_records(TOGETHER):
            self._left[number] = users
            by_environment: dict[Environment, list[int]] = {}
            for environment, mpid in users:
                by_environment.setdefault(environment, []).append(mpid)
            for environment, mpids in by_environment.items():
                await self._remove(shard, environment, mpids)
            del self._left[number]

    async def _remove(
        self, shard: ExpiringShard, environment: Environment, mpids: Sequence[int]
    ) -> None:
        """Remove those to whom nothing has come, and to whom no alias is to be applied."""
        deleters = self._deleters()
        asked = [
            mpid
            for mpid in mpids
            if not any(each.awaits_alias(environment, mpid) for each in deleters)
        ]
        expired = await shard.expire_records(environment, asked)
        if not expired:
            return
        await asyncio.gather(*(self._identities.erase(environment, mpid) for mpid in expired))
        for each in deleters:
            await each.delete_expired(environment, expired)
        await self._identities.forget_erased()
