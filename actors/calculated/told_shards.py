"""Tells the shards which calculated attributes are active, and how far they are with it."""

import asyncio
import logging
from collections.abc import Sequence

from msgspec.structs import replace

from actors.calculated.calls import CalculatedShard
from actors.calculated.keeper import RegistryKeeper
from actors.calculated.objects import CalculatedAttribute, Progress
from actors.clock import Clock
from actors.errors import ShardUnavailable, StoreFull

logger = logging.getLogger("headwater.calculated")

LOOK_S = 1.0  # until a shard that could not be told is told again


class CalculatedShards:
    """All of them, in order."""

    def __init__(
        self, shards: Sequence[CalculatedShard], keeper: RegistryKeeper, clock: Clock
    ) -> None:
        self._shards = shards
        self._keeper = keeper
        self._clock = clock
        self._pushed: int | None = None  # the version that this process has told all shards
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Tell shards what they could not be told, for ever."""
        while True:
            self._woken.clear()
            try:
                await self.push()
                await self._woken.wait()
            except (ShardUnavailable, StoreFull) as error:
                logger.warning(
                    "calculated attributes wait for a shard",
                    extra={"event": "calculated_waits", "kind": type(error).__name__},
                )
                await asyncio.sleep(LOOK_S)

    def wake(self) -> None:
        """Have `run` tell them what it has not."""
        self._woken.set()

    async def push(self) -> None:
        """Tell all shards what is active, unless they know. Raises ShardUnavailable, StoreFull."""
        while self._pushed != self._keeper.registry.counters.version:
            live = self._keeper.registry.live()
            self._woken.set()  # should a shard not be told, `run` goes on
            known = max(
                await asyncio.gather(
                    *(each.set_calculated_attributes(live) for each in self._shards)
                )
            )
            # A shard that knew more has it from a store of which this one is an old copy.
            if known > live.version:
                with self._keeper.changing() as changed:
                    changed.advance_beyond(known)
            else:
                self._pushed = live.version

    async def progress(self, attribute: CalculatedAttribute) -> Progress:
        """Tell how far the initialization of an active attribute is; once done, it stays so.

        Raises ShardUnavailable, StoreFull.
        """
        if attribute.calculated_revision == attribute.revision:
            return Progress(is_done=True, percent=100)
        found = await asyncio.gather(*(each.calculated_progress() for each in self._shards))
        progress = self._progress(attribute, found)
        # Shards go over all users again when anything else begins; this one is not concerned.
        if progress.is_done and self._keeper.registry.attributes.get(attribute.number) is attribute:
            with self._keeper.changing() as changed:
                changed.put(replace(attribute, calculated_revision=attribute.revision))
        return progress

    def _progress(
        self, attribute: CalculatedAttribute, found: Sequence[tuple[int, int, int, bool]]
    ) -> Progress:
        version = self._keeper.registry.counters.version
        if all(known >= version and is_done for known, _, _, is_done in found):
            return Progress(is_done=True, percent=100)
        # A shard that has not been told begins with nothing.
        walked = sum(done for known, done, _, _ in found if known >= version)
        total = sum(profiles for _, _, profiles, _ in found)
        share = walked / total if total and all(each[0] >= version for each in found) else 0.0
        estimated_ms = None
        if share and attribute.activated_ms is not None:
            now_ms = self._clock.now_ms()
            passed_ms = max(now_ms - attribute.activated_ms, 0)
            estimated_ms = now_ms + round(passed_ms * (1 - min(share, 1.0)) / share)
        return Progress(is_done=False, percent=min(int(share * 100), 99), estimated_ms=estimated_ms)
