"""The process of one output's forwarder: made anew after a failure or another configuration.

What is to be delivered waits in the outboxes meanwhile.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import replace

from actors import forwarder
from actors.audiences.calls import AudienceShard
from actors.audiences.handles import desk_handle
from actors.clock import SystemClock, SystemRandomness
from actors.errors import ShardUnavailable
from actors.forwarding.faults import Fault, kept_faults
from actors.forwarding.follower import SubscriptionFollower
from actors.forwarding.foreign import JoinedSource
from actors.forwarding.holding import Held, kept_holds
from actors.forwarding.kept import Kept
from actors.forwarding.plan import OutputPlan
from actors.forwarding.snapshots import Snapshots
from actors.forwarding.streams import OutboxSource
from actors.hosting import Host, Process
from actors.metric_groups import ForwarderMetrics
from actors.metric_snapshots import snapshot
from actors.outputs.egress import EgressRules
from actors.outputs.environment import OutputEnvironment, OutputState
from actors.outputs.registry import open_outputs
from actors.remote_handles import (
    PrivacySource,
    RemoteConfiguration,
    RemoteCoordinator,
    ShardSource,
    remote_shards,
)
from actors.store.slots import SlotMap, Slots

logger = logging.getLogger("headwater.actors")

RESTART_PAUSE_S = 1.0
FOLLOW_S = 1.0  # a change takes effect within 5 s (spec/connections.md, 1.3)


class ForwarderOptions(Struct, frozen=True, kw_only=True):
    """How the forwarder of one output is set up.

    `sharers`: numbers of the workspaces of other accounts, which may share audiences.
    """

    plan: OutputPlan
    workspace: int
    workspace_id: str
    sharers: tuple[int, ...]
    slots: SlotMap
    spool_dir: Path
    egress_allow: tuple[str, ...]
    python_dir: Path | None = None


def _inputs(plan: OutputPlan) -> dict[int, str]:
    """Return the id of the input of each connection, by the connection's number."""
    return {each.number: each.input_id for each in plan.connections}


class Forwarder(Process):
    """The process of one output's forwarder."""

    def __init__(self, options: ForwarderOptions, host: Host) -> None:
        super().__init__(host, "forwarder", options.plan.info.id)
        self._options = options
        self._plan = options.plan
        self._slots = Slots(options.slots)
        self._inputs = _inputs(options.plan)  # what the output sees; connections come and go
        self._memory: dict[type, Any] = {}
        self._revision = 0
        self._configuration = RemoteConfiguration()
        self._metrics = ForwarderMetrics(host.version)
        self._forwarder: forwarder.Forwarder | None = None
        self._task: asyncio.Task[None] | None = None
        self._may_run = asyncio.Event()
        self._may_run.set()
        self._is_stopping = False

    async def start(self, slots: SlotMap) -> None:
        """Deliver, unless it does already, what the shards have by a map of slots."""
        if self._slots.take_over(slots) and self._may_run.is_set() and self._forwarder is not None:
            await self._forwarder.stop()  # what it has read lies elsewhere now
        self._may_run.set()
        self._begin()

    async def rest(self) -> None:
        """Finish what is under way, settle it, and deliver nothing until `start`."""
        self._may_run.clear()
        if self._forwarder is not None:
            await self._forwarder.stop()

    def _begin(self) -> None:
        if self._task is None and not self._is_stopping:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def wake(self, shard_number: int) -> None:
        """Look into a shard's outbox again."""
        self._begin()
        if self._forwarder is not None:
            self._forwarder.wake(shard_number)

    async def reread(self) -> None:
        """See `actors.forwarder.Forwarder.reread`."""
        if self._forwarder is not None:
            await self._forwarder.reread()

    async def metrics(self) -> bytes:
        """Return a snapshot of the process's metrics."""
        self._begin()
        return snapshot(self._metrics.registry)

    async def status(self) -> dict[str, Any]:
        """Describe the forwarder for a status page."""
        return {} if self._forwarder is None else self._forwarder.state()

    async def resume(self, connection: int) -> bool:
        """Let a faulted connection send again; tell whether it was faulted.

        Raises:
            ShardUnavailable: nothing is delivered just now, and nobody would keep it.
        """
        if self._forwarder is None:
            raise ShardUnavailable("forwarder")
        return self._forwarder.resume_faulted(connection)

    async def ask_outputs(self, method: str, *arguments: str) -> list[Any]:
        """See `actors.forwarding.receivers.Receivers`. Raises ShardUnavailable."""
        if self._forwarder is None:
            raise ShardUnavailable("forwarder")
        return await self._forwarder.receivers.ask_outputs(method, *arguments)

    async def stop(self) -> None:
        """Finish what is under way and settle it."""
        self._is_stopping = True
        self._may_run.set()
        if self._forwarder is not None:
            await self._forwarder.stop()

    async def _run(self) -> None:
        while not self._is_stopping:
            try:
                await self._may_run.wait()
                await self._learn()
                faults = kept_faults(self._plan.info.id, self._state)
                holds = kept_holds(self._plan.info.id, self._state)
                await faults.load()
                await holds.load()
                if not self._may_run.is_set() or self._is_stopping:
                    continue
                await self._deliver(self._make(faults, holds), (faults, holds))
            except Exception:
                # Whatever it was: what waits is in the outboxes, and nobody else would go on.
                logger.exception(
                    "a forwarder failed; it begins again",
                    extra={"event": "forwarder_failed", "output": self._plan.info.id},
                )
                await asyncio.sleep(RESTART_PAUSE_S)

    @property
    def _state(self) -> OutputState:
        return cast(OutputState, RemoteCoordinator(self._options.workspace))

    async def _deliver(self, made: forwarder.Forwarder, kept: Iterable[Kept[Any]]) -> None:
        """Run a forwarder, that of an audience output beside what follows its subscriptions."""
        self._forwarder = made
        loop = asyncio.get_running_loop()
        following = [loop.create_task(self._follow(made))]
        following += [loop.create_task(each.run()) for each in kept]
        if self._plan.is_audience:
            own = self._options.workspace
            desks = {
                number: desk_handle(RemoteCoordinator(number).call_audiences)
                for number in (own, *self._sharers)
            }
            follower = SubscriptionFollower(self._plan.info.id, own, desks, SystemClock())
            following.append(loop.create_task(follower.run(made)))
            shards = {0 if number == own else number: self._shards(number) for number in desks}
            snapshots = Snapshots(self._plan.info.id, shards, self._state, SystemClock())
            following.append(loop.create_task(snapshots.run(made)))
        try:
            await made.run()
        finally:
            self._forwarder = None  # whoever asks it for something from now on would be forgotten
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)
            for each in kept:
                await each.flush()

    async def _learn(self) -> None:
        """Take over how the output is configured by now; without an answer nothing changes."""
        try:
            revision = (await self._configuration.published()).get(self._options.workspace)
            if revision is None or revision == self._revision:
                return
            plan = await self._configuration.output_plan(
                self._options.workspace, self._plan.info.id
            )
        except ShardUnavailable:
            logger.debug("no configuration to be had", extra={"event": "newest_unknown"})
            return
        self._revision = revision
        if plan is None:  # it is gone, and this process is about to be ended
            plan = replace(self._plan, connections=())
        self._plan = plan
        self._inputs.update(_inputs(plan))

    async def _follow(self, made: forwarder.Forwarder) -> None:
        """Let a forwarder go on with other connections; for all else it ends, and is made anew."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            former = self._plan
            try:
                await self._learn()
            except Exception:
                # Whatever it was: a forwarder that follows no more would send what it must not.
                logger.exception(
                    "a configuration could not be followed; it is asked for again",
                    extra={"event": "follow_failed", "output": former.info.id},
                )
                continue
            if former == self._plan:
                continue
            if not former.differs_in_connections_alone(self._plan):
                await asyncio.shield(made.stop())
                return
            made.connect(self._plan.connections)

    def _make(self, faults: Kept[Fault], holds: Kept[Held]) -> forwarder.Forwarder:
        options, plan = self._options, self._plan
        clock = SystemClock()
        surroundings = OutputEnvironment(
            plan.info.id,
            clock,
            EgressRules(options.egress_allow),
            options.spool_dir,
            options.workspace_id,
            options.workspace,
            self._inputs,
            place=plan.place,
            state=self._state,
            count_drop=self._count_drop,
            count_load=partial(self._metrics.count_load, plan.info.id),
            python_dir=options.python_dir,
            memory=self._memory,
        )
        return forwarder.Forwarder(
            plan.info,
            open_outputs(plan.module, dict(plan.settings), surroundings),
            plan.connections,
            self._sources(),
            clock,
            SystemRandomness(),
            self._metrics,
            journal=options.spool_dir / "requests.journal",
            faults=faults,
            holds=holds,
        )

    def _count_drop(self, connection: int, reason: str, count: int) -> None:
        slug = next(
            (each.id for each in self._plan.connections if each.number == connection),
            "subscriptions",  # of audiences: labels have to stay few
        )
        self._metrics.drops.labels(slug, reason).inc(count)
        self._metrics.events.labels(slug, "dropped").inc(count)

    @property
    def _sharers(self) -> tuple[int, ...]:
        return self._options.sharers if self._plan.is_audience else ()

    def _shards(self, workspace: int) -> Sequence[AudienceShard]:
        found = remote_shards(workspace, self._slots)
        return cast(Sequence[AudienceShard], found)

    def _sources(self) -> list[OutboxSource]:
        if self._plan.place.kind == "dsr":
            return [PrivacySource(RemoteCoordinator(self._options.workspace))]
        workspaces = {0: self._options.workspace} | {each: each for each in self._sharers}
        shards = {name: remote_shards(number, self._slots) for name, number in workspaces.items()}
        return [
            JoinedSource({name: ShardSource(each[place]) for name, each in shards.items()})
            for place in range(self._slots.map.shards)
        ]
