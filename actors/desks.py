"""What the coordinator does for one workspace: everything that has one place in the deployment."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, cast

from msgspec import structs

from actors.alias_runner import AliasRunner
from actors.audiences.calls import AudienceShard
from actors.audiences.catalog import Catalog
from actors.audiences.desk import AudienceDesk
from actors.audiences.objects import Audience
from actors.audiences.stepping import AudienceSteps, SteppingShard
from actors.calculated.attributes import CalculatedAttributes
from actors.calculated.calls import CalculatedShard
from actors.calculated.desk import CalculatedDesk
from actors.clock import Clock, Randomness
from actors.coordinator import Coordinator
from actors.deletions.deleting import DeletingShard, SectionDeleter
from actors.deletions.desk import DeletionDesk
from actors.deletions.expiry import ExpiringShard, RecordExpiry
from actors.desk_options import DeskOptions
from actors.errors import HeldByFile, StoreFull
from actors.groups.desk import GroupDesk
from actors.groups.handles import GroupShard
from actors.handles import ShardHandle
from actors.identity.sequencer import Sequencer
from actors.identity.state import identity_rules
from actors.metric_groups import CoordinatorMetrics
from actors.once import Once
from actors.output_states import OutputStateDesk, Seal
from actors.outputs.subscription_settings import subscription_problems
from actors.points_exchange import PointsExchange, PointShard
from actors.privacy.handles import Surroundings
from actors.privacy.making import privacy_desk
from actors.repeats import RepeatDesk
from actors.store.environment import Store

logger = logging.getLogger("headwater.actors")


# Has the configuration file let go of an object, by its section and id, and tells its desk.
Release = Callable[[str, str], Awaitable[None]]


def other_desks(number: int, all_desks: Mapping[int, "Desks"]) -> Mapping[int, "Desks"]:
    """Return the parts of all workspaces but one, by number."""
    return {each: desks for each, desks in all_desks.items() if each != number}


def readers_of_events(
    workspace: int, all_desks: Mapping[int, "Desks"]
) -> Iterator[tuple[str, str]]:
    """Yield (name of an event's data point, who reads it) of all that an event of a workspace
    must not be hidden from by its tier (spec/rules.md, 8)."""
    yield from all_desks[workspace].calculated.readers_of_events()
    for desks in all_desks.values():
        yield from desks.audiences.readers_of_events(workspace)


def calculated_in_use(workspace: int, all_desks: Mapping[int, "Desks"]) -> Mapping[int, int]:
    """Return number to an audience that refers to it, of the active calculated attributes of a
    workspace that audiences refer to which no document manages."""
    desks = all_desks[workspace]
    active = set(desks.calculated.active.values())
    return {
        number: audience.number
        for audience, number in desks.users_of_calculated(workspace)
        if audience.document_id is None and number in active
    }


class Desks:
    """Answers calls for one workspace, and does its work in the background.

    Attributes:
        coordinator, aliases, groups, calculated, audiences, privacy, deletions, points: its parts.
        deleter: of its sections. expiry: of the identity records of its scope, run by those of the
            workspace alone that has the least number (`expires_records`).
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        sequencer: Sequencer,
        shards: Sequence[ShardHandle],
        options: DeskOptions,
        clock: Clock,
        randomness: Randomness,
        metrics: CoordinatorMetrics,
        others: Callable[[], Mapping[int, "Desks"]],
        seal: Seal,
        surroundings: Surroundings,
        release: Release,
    ) -> None:
        """Set up.

        Args:
            folder: of files beside the store.
            store: of the workspace alone.
            sequencer: of its identity scope.
            shards: handles to the workspace's part of all shards, in order.
            options: of the workspace.
            clock: of the times that are kept.
            randomness: of ids.
            metrics: of the process.
            others: returns the parts of the deployment's other workspaces, by number, as far as
                they are set up.
            seal: of what outputs keep, and of what is kept of data subjects.
            surroundings: of the desk of data subject requests.
            release: of what the API changes though a configuration file has it.
        """
        workspace = options.workspace
        self._others = others
        self._release = release
        self.coordinator = Coordinator(
            sequencer,
            shards,
            workspace.number,
            identity_rules(workspace),
            store,
            workspace.limits.unique_event_names,
            clock,
        )
        self.aliases = AliasRunner(store, shards, workspace.alias_delay_ms, clock, metrics)
        self.groups = GroupDesk(
            store,
            cast(Sequence[GroupShard], shards),
            options.group_job_interval_s,
            clock,
            randomness,
            partial(asyncio.sleep, options.slice_pause_s),
        )
        self.calculated = CalculatedAttributes(
            store,
            options.calculated,
            cast(Sequence[CalculatedShard], shards),
            clock,
            lambda: [each.calculated for each in others().values()],
            lambda: self.audiences.predicted,
        )
        self._calculated_desk = CalculatedDesk(
            self.calculated,
            lambda: Counter(number for _, number in self.users_of_calculated(workspace.number)),
            clock,
        )
        self.audiences = AudienceDesk(
            store,
            self._with_calculated(options.catalog),
            subscription_problems,
            cast(Sequence[AudienceShard], shards),
            folder / "downloads",
            clock,
            randomness,
            lambda: {number: each.audiences.contents for number, each in others().items()},
        )
        self.privacy = privacy_desk(
            folder,
            store,
            self.coordinator,
            self.aliases.applying,
            shards,
            workspace,
            options.privacy,
            surroundings,
            self.audiences.receiving,
            lambda: self._expire_downloads(workspace.number),
            seal,
            clock,
            randomness,
            metrics,
        )
        self.deleter = SectionDeleter(
            store,
            self.coordinator,
            self.aliases.applying,
            cast(Sequence[DeletingShard], shards),
            lambda: self._expire_downloads(workspace.number),
        )
        self.deletions = DeletionDesk(store, self.deleter, clock)
        self.expiry = RecordExpiry(
            self.coordinator,
            cast(Sequence[ExpiringShard], shards),
            lambda: [self.deleter, *(others()[each].deleter for each in workspace.neighbours)],
            asyncio.sleep,
        )
        self.expires_records = workspace.number < min(workspace.neighbours, default=math.inf)
        self._steps = AudienceSteps(cast(Sequence[SteppingShard], shards), asyncio.sleep)
        self.points = PointsExchange(cast(Sequence[PointShard], shards))
        self._once = Once(store, seal, clock)
        # What answers calls, and what is asked first.
        self._parts = (
            self.coordinator,
            self.aliases,
            RepeatDesk(store, seal, clock),
            OutputStateDesk(store, seal),
            self.groups,
            self.deletions,
            self,
        )
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def take_over(self, options: DeskOptions) -> None:
        """Go on with another configuration of the workspace.

        Raises:
            StoreFull: some of it was not taken over; to be called again, for all workspaces.
        """
        self.coordinator.allow_event_names(options.workspace.limits.unique_event_names)
        before = dict(self.calculated.active)
        self.privacy.take_over(options.privacy)
        self.calculated.take_over(options.calculated)
        catalog = self._with_calculated(options.catalog)
        self.audiences.take_over(catalog, is_other=before != self.calculated.active)
        if self.audiences.catch_up():
            others = [each.audiences for each in self._others().values()]
            for each in others:
                each.follow()
            for each in others:
                each.catch_up()

    def _with_calculated(self, catalog: Catalog) -> Catalog:
        """Return what audiences may refer to, with the calculated attributes that there are."""
        attributes = self.calculated
        return structs.replace(catalog, calculated=attributes.active, drafts=attributes.drafts)

    def _expire_downloads(self, workspace: int) -> int:
        """Remove the files that a workspace's users may be in; return how many there were."""
        all_desks = (self, *self._others().values())
        return sum(each.audiences.expire_downloads(workspace) for each in all_desks)

    def users_of_calculated(self, workspace: int) -> Iterator[tuple[Audience, int]]:
        """Yield (audience, number of a calculated attribute that it refers to); also of those that
        lie in another workspace and are about this one too."""
        yield from self.audiences.calculated_uses()
        for each in self._others().values():
            for audience, name in each.audiences.calculated_names(workspace):
                number = self.calculated.named(name)
                if number is not None:
                    yield audience, number

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call the method of that name of whichever part has it."""
        target = next(part for part in self._parts if hasattr(part, method))
        return await getattr(target, method)(*arguments)

    async def once(self, call_id: bytes, method: str, *arguments: Any) -> Any:
        """Call a method that changes something, or tell what a call of this id was answered."""
        return await self._once.call(call_id, partial(self.call, method, *arguments), self._push)

    async def call_audiences(self, method: str, *arguments: Any) -> Any:
        """See `actors.audiences.desk.AudienceDesk.call`."""
        return await self._released(partial(self.audiences.call, method, *arguments))

    async def call_calculated(self, method: str, *arguments: Any) -> Any:
        """Call a method of `actors.calculated.desk.CalculatedDesk`."""
        return await self._released(partial(getattr(self._calculated_desk, method), *arguments))

    async def call_privacy(self, method: str, *arguments: Any) -> Any:
        """Call a method of `actors.privacy.desk.PrivacyDesk`."""
        return await getattr(self.privacy, method)(*arguments)

    def start(self, guarded: Callable[[], AbstractContextManager[None]]) -> None:
        """Begin what runs by itself, unless it has begun; each begins within a `guarded()`."""
        works = {
            "aliases": self.aliases.run,
            "data_subject_requests": self.privacy.run,
            "dsr_callbacks": self.privacy.run_callbacks,
            "bulk_deletions": self.deletions.run,
            "groups": self.groups.run,
            "calculated": self.calculated.run,
            "audiences": self.audiences.run,
            "predictions": self.audiences.run_predictions,
            "audience_steps": self._steps.run,
            "data_points": self.points.run,
        }
        if self.expires_records:
            works["record_expiry"] = self.expiry.run
        for name, work in works.items():
            task = self._tasks.get(name)
            if task is None or task.done():
                running = self._run(name, work, guarded)
                self._tasks[name] = asyncio.get_running_loop().create_task(running)

    async def close(self) -> None:
        """End what runs by itself."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _push(self) -> None:
        """Tell the shards what a call that was cut off may not have told them."""
        for part in (self.groups, self.calculated, self.audiences):
            await part.push()

    async def _released(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Call a desk; what a file has and the workspace lets the API change is released first.

        A call that meets such an object has changed nothing yet. Raises StoreFull.
        """
        released: set[tuple[str, str]] = set()
        while True:
            try:
                return await call()
            except HeldByFile as held:
                name = (held.section, held.name)
                if name in released:  # the desk had no room to hear of it
                    raise StoreFull from held
                await self._release(*name)
                released.add(name)

    async def _run(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        guarded: Callable[[], AbstractContextManager[None]],
    ) -> None:
        try:
            with guarded():
                await work()
        except Exception:
            # Whatever it was: the other works go on, and `start` begins this one again.
            logger.exception(
                "background work failed; it begins again",
                extra={"event": "background_failed", "work": name},
            )
