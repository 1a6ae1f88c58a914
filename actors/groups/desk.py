"""Where group definitions are managed and runs are asked for (spec/identity.md, 13).

Part of the coordinator's process. Every change is on disk, and known to all shards, when it is
answered; a shard that could not be told is told before anything else is done.
"""

import asyncio
import logging
from collections.abc import Sequence
from uuid import UUID

from actors.clock import Clock, Randomness
from actors.errors import GroupExists, ShardUnavailable, StoreFull
from actors.groups.definitions import GroupDefinition, KeptDefinition, check_against
from actors.groups.handles import GroupShard
from actors.groups.runner import GroupRunner, Pause
from actors.groups.state import GroupKeeper, QueuedRun
from actors.groups.worker import SLICE
from actors.once import answer_with
from actors.store.environment import Store

logger = logging.getLogger("headwater.groups")

LOOK_S = 1.0  # how often it is seen whether the daily job is due


class GroupDesk:
    """Keeps the definitions, and has their groups recomputed when they are due."""

    def __init__(
        self,
        store: Store,
        shards: Sequence[GroupShard],
        interval_s: float,
        clock: Clock,
        randomness: Randomness,
        pause: Pause,
        slice_size: int = SLICE,
    ) -> None:
        """Set up; nothing runs before `work` or `run`.

        Args:
            store: of the coordinator.
            shards: all of them, in order.
            interval_s: seconds between two daily jobs.
            clock: of the definitions' times and of when the job is due.
            randomness: of run ids.
            pause, slice_size: see `GroupRunner`.
        """
        self._shards = shards
        self._keeper = GroupKeeper(store)
        self._interval_ms = interval_s * 1000
        self._clock = clock
        self._randomness = randomness
        self._runner = GroupRunner(shards, self._keeper, clock, self._push, pause, slice_size)
        self._pushed: int | None = None  # the version that all shards have
        self._woken = asyncio.Event()
        self._working = asyncio.Lock()

    # -- Definitions ------------------------------------------------------------------------------

    async def group_definitions(self) -> list[KeptDefinition]:
        """Return all definitions, by id."""
        return sorted(self._keeper.state.definitions, key=lambda each: each.definition.id)

    async def create_group(self, definition: GroupDefinition) -> KeptDefinition:
        """Add a definition; its groups exist after its first run.

        Raises:
            GroupExists: there is one of this id.
            GroupInvalid: it cannot stand beside the others.
            ShardUnavailable: a shard was not told; the definition may have been added.
            StoreFull: likewise.
        """
        with self._keeper.changing() as changed:
            if changed.by_id(definition.id) is not None:
                raise GroupExists(definition.id)
            check_against(definition, [each.definition for each in changed.definitions])
            now_ms = self._clock.now_ms()
            made = KeptDefinition(
                number=changed.next_definition, definition=definition, created_ms=now_ms
            )
            changed.next_definition += 1
            changed.version += 1
            changed.definitions.append(made)
            if changed.job_ms is None:
                changed.job_ms = now_ms
            answer_with(made)
        await self._push()
        return made

    async def replace_group(self, definition: GroupDefinition) -> KeptDefinition | None:
        """Replace the definition of the same id from the next run on; `None` if there is none.

        Raises:
            GroupInvalid, ShardUnavailable, StoreFull: as in `create_group`.
        """
        if self._keeper.state.by_id(definition.id) is None:
            return None
        with self._keeper.changing() as changed:
            others = [
                each.definition
                for each in changed.definitions
                if each.definition.id != definition.id
            ]
            check_against(definition, others)
            changed.version += 1
            kept = changed.by_id(definition.id)
            assert kept is not None, "it was there a moment ago"
            kept.definition = definition
            answer_with(kept)
        await self._push()
        return kept

    async def delete_group(self, definition_id: str) -> bool:
        """Delete a definition; nobody sees its attributes any more. Tell whether there was one.

        What is kept of it on the profiles is deleted by a run.

        Raises:
            ShardUnavailable, StoreFull: as in `create_group`.
        """
        kept = self._keeper.state.by_id(definition_id)
        if kept is None:
            return False
        with self._keeper.changing() as changed:
            changed.version += 1
            changed.forget(kept.number, self._new_run_id())
            answer_with(True)
        await self._push()
        self._woken.set()
        return True

    async def run_group(self, definition_id: str) -> str | None:
        """Have the groups of a definition recomputed soon; return the run's id.

        A run that was asked for and has not begun serves everybody who asks. `None` if there is no
        such definition. Raises StoreFull.
        """
        kept = self._keeper.state.by_id(definition_id)
        if kept is None:
            return None
        for queued in self._keeper.state.queue:
            if kept.number in queued.definitions:
                return queued.run_id
        run_id = self._new_run_id()
        with self._keeper.changing() as changed:
            changed.queue.append(QueuedRun(run_id, [kept.number]))
            answer_with(run_id)
        self._woken.set()
        return run_id

    # -- Runs -------------------------------------------------------------------------------------

    async def work(self) -> None:
        """Do all that is due now.

        Raises:
            ShardUnavailable: a shard did not answer; the next call goes on.
            StoreFull: likewise, for want of room.
        """
        async with self._working:
            await self.push()
            self._queue_job()
            await self._runner.work()

    async def push(self) -> None:
        """Tell all shards what holds, unless they know. Raises ShardUnavailable, StoreFull."""
        if self._pushed != self._keeper.state.version:
            await self._push()

    async def run(self) -> None:
        """Do what is due, for ever."""
        while True:
            self._woken.clear()
            try:
                await self.work()
            except (ShardUnavailable, StoreFull) as error:
                logger.warning(
                    "the group job waits for a shard",
                    extra={"event": "group_run_waits", "kind": type(error).__name__},
                )
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._woken.wait()
            except TimeoutError:
                continue

    def _queue_job(self) -> None:
        """Queue all definitions when the daily job is due."""
        state = self._keeper.state
        now_ms = self._clock.now_ms()
        if not state.definitions or state.job_ms is None:
            return
        if now_ms - state.job_ms < self._interval_ms:
            return
        with self._keeper.changing() as changed:
            changed.job_ms = now_ms
            queued = {number for each in changed.queue for number in each.definitions}
            numbers = [e.number for e in changed.definitions if e.number not in queued]
            if numbers:
                changed.queue.append(QueuedRun(self._new_run_id(), numbers))

    def _new_run_id(self) -> str:
        return str(UUID(int=self._randomness.bits(128), version=4))

    async def _push(self) -> None:
        """Tell all shards which definitions and runs hold."""
        while True:
            live = self._keeper.state.live()
            known = await asyncio.gather(*(shard.set_groups(live) for shard in self._shards))
            newest = max(version for version, _ in known)
            if newest == live.version:
                self._pushed = newest
            if newest <= self._keeper.state.version:
                return
            # A shard has been told more than this store knows: it is an old copy. Go on from there.
            with self._keeper.changing() as changed:
                changed.version = newest + 1
                changed.next_run = max(changed.next_run, *(run + 1 for _, run in known))
                if changed.current is not None:
                    changed.put_back(changed.current)
