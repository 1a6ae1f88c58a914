"""Keeps the shards at what they have to do for audiences when no batch comes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import IntEnum
from typing import Final, Protocol

from actors.errors import ShardUnavailable, StoreFull

# While batches come, between two slices most of the time is theirs; when all is done, what time
# brings about is looked for so often.
SLICE_PAUSE_S = 0.02
IDLE_PAUSE_S = 1.0


class Left(IntEnum):
    """What a step has left: nothing, or more, while batches come or while none does."""

    NOTHING = 0
    MORE = 1
    MORE_AT_REST = 2


# At rest a shard goes from one slice to the next: whatever comes meanwhile waits for one slice, and
# the step after that knows of it.
PAUSES_S: Final = {Left.NOTHING: IDLE_PAUSE_S, Left.MORE: SLICE_PAUSE_S, Left.MORE_AT_REST: 0.0}


class SteppingShard(Protocol):
    """A shard."""

    async def audience_step(self) -> Left:
        """See `AudienceWorker.audience_step`. Raises StoreFull."""
        ...


class AudienceSteps:
    """Asks every shard for one step after the other, for ever."""

    def __init__(
        self, shards: Sequence[SteppingShard], pause: Callable[[float], Awaitable[None]]
    ) -> None:
        """Args: `pause` waits for so many seconds."""
        self._shards = shards
        self._pause = pause

    async def run(self) -> None:
        """Go on until cancelled."""
        async with asyncio.TaskGroup() as group:
            for shard in self._shards:
                group.create_task(self._keep_at_it(shard))

    async def _keep_at_it(self, shard: SteppingShard) -> None:
        while True:
            try:
                left = await shard.audience_step()
            except (ShardUnavailable, StoreFull):  # it says so itself, or is being started again
                left = Left.NOTHING
            await self._pause(PAUSES_S[left])
