"""Carries out runs of the group job, one at a time (spec/identity.md, 13; `actors.groups.runs`).

What has been reached is kept at every step, so that after a crash the run goes on where it was. A
shard that has lost its part, as all have when their number was changed, makes it begin again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from actors.clock import Clock
from actors.errors import StaleGroupRun
from actors.groups.handles import GroupShard
from actors.groups.merging import merged, values_of
from actors.groups.runs import PHASES, GroupRun, Phase, RunDefinition
from actors.groups.state import CurrentRun, GroupKeeper
from actors.groups.worker import SLICE
from actors.store.groups import Partial, decode_partial, definition_of, encode_values

logger = logging.getLogger("headwater.groups")

MERGE_PAGE = 200  # groups of a shard at once: the coordinator has others waiting

Push = Callable[[], Awaitable[None]]
Pause = Callable[[], Awaitable[None]]


class GroupRunner:
    """Does what is queued."""

    def __init__(
        self,
        shards: Sequence[GroupShard],
        keeper: GroupKeeper,
        clock: Clock,
        push: Push,
        pause: Pause,
        slice_size: int = SLICE,
    ) -> None:
        """Args.

        shards: all of them, in order.
        keeper: of the state, shared with the desk.
        push: tells the shards which definitions and runs hold.
        pause: waits between two slices of a shard, which is what ingestion has for itself.
        slice_size: profiles or keys per slice.
        """
        self._shards = shards
        self._keeper = keeper
        self._clock = clock
        self._push = push
        self._pause = pause
        self._slice_size = slice_size

    async def work(self) -> None:
        """Finish the run that is under way, and then all that are queued.

        Raises:
            ShardUnavailable: a shard did not answer; the next call goes on.
            StoreFull: likewise, for want of room.
        """
        while (current := self._current()) is not None:
            try:
                await self._advance(current)
            except StaleGroupRun as error:
                self._begin_again(current, error.last)

    # -- Between phases ---------------------------------------------------------------------------

    def _current(self) -> CurrentRun | None:
        """Return the run under way, or begin the next one; `None` if there is nothing to do."""
        state = self._keeper.state
        if state.current is None and state.queue:
            with self._keeper.changing() as changed:
                queued = changed.queue.pop(0)
                definitions = tuple(
                    RunDefinition(each.number, each.definition)
                    for each in changed.definitions
                    if each.number in queued.definitions
                )
                run = GroupRun(
                    changed.next_run, self._clock.now_ms(), definitions, tuple(queued.dropped)
                )
                changed.next_run += 1
                changed.current = CurrentRun(queued.run_id, run, run.first_phase)
            self._log("a run of the group job has begun", "group_run_started", run)
        return self._keeper.state.current

    async def _advance(self, current: CurrentRun) -> None:
        """Do the phase that the run is in."""
        if current.phase == "merge":
            for each in current.run.definitions:
                await self._merge(current.run, each)
        else:
            if current.phase == "clear":  # no shard may still show what is going to be deleted
                await self._push()
            outcomes = await asyncio.gather(
                *(self._slices(shard, current.run, current.phase) for shard in self._shards),
                return_exceptions=True,
            )
            for outcome in outcomes:
                if outcome is not None:
                    raise outcome
        self._go_on(current)

    def _go_on(self, current: CurrentRun) -> None:
        """Keep that a phase is done."""
        with self._keeper.changing() as changed:
            if current.phase == "clear":
                changed.current = None
            else:
                following = PHASES[PHASES.index(current.phase) + 1]
                changed.current = CurrentRun(current.run_id, current.run, following)
            if current.phase == "leave":
                changed.version += 1
                done = {each.number: each.definition for each in current.run.definitions}
                for kept in changed.definitions:
                    if kept.number in done:
                        kept.run = current.run.number
                        kept.last_run_ms = self._clock.now_ms()
                        kept.names_of_run = done[kept.number].names
        if self._keeper.state.current is None:
            self._log("a run of the group job has ended", "group_run_finished", current.run)

    def _begin_again(self, current: CurrentRun, last: int) -> None:
        """Begin a run anew, under a number that no shard has seen."""
        with self._keeper.changing() as changed:
            changed.next_run = max(changed.next_run, last + 1)
            changed.put_back(current)
        self._log("a run of the group job begins again", "group_run_restarted", current.run)

    # -- Phases -----------------------------------------------------------------------------------

    async def _slices(self, shard: GroupShard, run: GroupRun, phase: Phase) -> None:
        while not await shard.group_slice(run, phase, self._slice_size):
            await self._pause()

    async def _merge(self, run: GroupRun, each: RunDefinition) -> None:
        """Merge the shards' partials of one definition, in the order of their keys."""
        current = self._keeper.state.current
        after = b"" if current is None else current.merged
        if after and definition_of(after) > each.number:
            return
        if after and definition_of(after) < each.number:
            after = b""
        while True:
            pages = await asyncio.gather(
                *(
                    shard.group_partials(run.number, each.number, after, MERGE_PAGE)
                    for shard in self._shards
                )
            )
            ends = [page[-1][0] for page in pages if page]
            if not ends:
                return
            after = min(ends)  # of every shard, all keys up to here are at hand
            await self._write_values(run, each, pages, after)
            with self._keeper.changing() as changed:
                if changed.current is not None:
                    changed.current.merged = after
            await self._pause()

    async def _write_values(
        self,
        run: GroupRun,
        each: RunDefinition,
        pages: Sequence[list[tuple[bytes, bytes]]],
        last: bytes,
    ) -> None:
        """Write the values of the groups up to a key on all shards that have members of them."""
        attributes = each.definition.attributes
        partials: dict[bytes, Partial] = {}
        places: dict[bytes, list[int]] = {}
        for place, page in enumerate(pages):
            for key, encoded in page:
                if key > last:
                    break
                partial = decode_partial(encoded)
                known = partials.get(key)
                partials[key] = partial if known is None else merged(known, partial, attributes)
                places.setdefault(key, []).append(place)
        values: list[list[tuple[bytes, bytes]]] = [[] for _ in self._shards]
        for key, partial in partials.items():
            inherited = values_of(partial, attributes)
            if inherited is not None:
                entry = (key, encode_values(inherited))
                for place in places[key]:
                    values[place].append(entry)
        await asyncio.gather(
            *(
                shard.write_group_values(run.number, entries)
                for shard, entries in zip(self._shards, values, strict=True)
                if entries
            )
        )

    def _log(self, message: str, event: str, run: GroupRun) -> None:
        logger.info(
            message,
            extra={
                "event": event,
                "run": run.number,
                "definitions": len(run.definitions),
                "dropped": len(run.dropped),
            },
        )
