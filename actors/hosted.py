"""What runs in the actors' processes: plain classes, each put together in its constructor.

Ray names a process after its class, so these are called as their role is. A constructor runs again
when its process has died; everything it needs it gets from its arguments and from disk.
"""

import asyncio
import gc
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import msgspec
from msgspec import Struct, structs

from actors import coordinator, forwarder, shard
from actors.alias_runner import AliasRunner
from actors.audience_views import AudienceViews
from actors.audience_worker import AudienceWorker
from actors.audiences.calls import AudienceShard
from actors.audiences.catalog import Catalog
from actors.audiences.desk import AudienceDesk
from actors.audiences.handles import desk_handle
from actors.audiences.stepping import AudienceSteps, SteppingShard
from actors.calculated.calls import CalculatedShard
from actors.calculated.desk import CalculatedDesk
from actors.calculated.objects import CalculatedCatalog
from actors.calculated.worker import CalculatedWorker
from actors.clock import SystemClock, SystemRandomness
from actors.errors import ShardUnavailable, StoreDamaged, StoreFull
from actors.forwarding.follower import SubscriptionFollower
from actors.groups.desk import GroupDesk
from actors.groups.handles import GroupShard
from actors.groups.views import GroupViews
from actors.groups.worker import GroupWorker
from actors.metric_groups import CoordinatorMetrics, ForwarderMetrics, ShardMetrics
from actors.metric_snapshots import snapshot
from actors.model import MicroBatch, Result, WorkspaceInfo
from actors.outputs.contract import OutputEnvironment, OutputSettings
from actors.outputs.egress import EgressRules
from actors.outputs.registry import open_outputs
from actors.outputs.subscription_settings import subscription_problems
from actors.remote import Handle
from actors.remote_handles import COORDINATOR_NAME, ShardSource, forwarder_name, remote_shards
from actors.shard_aliases import ShardAliases
from actors.shard_options import ShardOptions
from actors.shard_views import ShardViews
from actors.steps.enqueue import ConnectionInfo
from actors.store.environment import Store
from actors.sweeper import Sweeper

logger = logging.getLogger("headwater.actors")

RESTART_PAUSE_S = 1.0
# Between two slices of the group job on a shard: most of the time is ingestion's.
SLICE_PAUSE_S = 0.02
# Batches and profiles hold no cycles: counting references frees them. So young objects are looked
# at seldom, and old ones, half a million of them in a full cache, practically never.
GC_THRESHOLDS = (50_000, 20, 1_000_000)


class Host(Protocol):
    """What a process is handed by whoever starts it."""

    version: str

    def enter(self, role: str, instance: str) -> None:
        """Set up the process: where its log lines go, and who they are from."""
        ...

    def set_log_level(self, logger: str, level: str | None) -> None:
        """Set the level of a logger in this process; `None` is the configured one."""
        ...


def settle_memory() -> None:
    """Spare the garbage collector what it could never free; to be called when all is set up."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


@contextmanager
def restarting_if_damaged(end: Callable[[int], object] = os._exit) -> Iterator[None]:
    """End the process when its store is damaged: Ray starts it again, and the store is opened anew.

    Whoever has called is answered as after any other death of the process.
    """
    try:
        yield
    except StoreDamaged:
        logger.critical(
            "the store does not work; the process ends, to be started again",
            extra={"event": "store_damaged"},
            exc_info=True,
        )
        end(1)
        raise


class Process:
    """What every actor's process can be asked."""

    def __init__(self, host: Host, role: str, instance: str) -> None:
        """Set up the process; comes before anything else."""
        host.enter(role, instance)
        self._host = host

    def set_log_level(self, logger: str, level: str | None) -> None:
        """Set the level of a logger of ours; `None` is the configured one."""
        self._host.set_log_level(logger, level)

    def pid(self) -> int:
        """Return the process that answers."""
        return os.getpid()


class Shard(Process):
    """The process of one shard; its calls run one after the other, in the order received."""

    def __init__(self, options: ShardOptions, host: Host) -> None:
        super().__init__(host, "shard", str(options.number))
        clock = SystemClock()
        self._metrics = ShardMetrics(host.version)
        self._shard = shard.Shard(options, clock, self._metrics, Waker(options.number).wake)
        views = ShardViews(self._shard, clock)
        # What answers calls, and what is asked first.
        self._parts = (
            views,
            ShardAliases(self._shard, clock),
            GroupViews(self._shard, views),
            GroupWorker(self._shard),
            AudienceWorker(self._shard, clock),
            CalculatedWorker(self._shard),
            AudienceViews(self._shard, clock),
            self._shard.outbox,
            self._shard,
        )
        self._sweeper = Sweeper(self._shard, clock)
        self._decode = msgspec.msgpack.Decoder(MicroBatch).decode
        self._encode = msgspec.msgpack.Encoder().encode
        settle_memory()
        logger.info("a shard has started", extra={"event": "shard_started"})

    @restarting_if_damaged()
    def commit(self, micro: bytes) -> bytes:
        """Apply an encoded micro-batch (`Shard.commit`)."""
        results: list[Result] = self._shard.commit(self._decode(micro))
        return self._encode(results)

    @restarting_if_damaged()
    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of a part of the shard: views, aliases, groups, `actors.shard.Shard`."""
        target = next(part for part in self._parts if hasattr(part, method))
        return getattr(target, method)(*arguments)

    @restarting_if_damaged()
    def ready(self) -> str:
        """Say whether something can be stored: `ok`, or why not."""
        try:
            self._shard.probe()
        except StoreFull as error:
            return str(error)
        return "ok"

    @restarting_if_damaged()
    def sweep(self) -> bool:
        """Remove some of what is past its retention (`Sweeper.sweep`)."""
        return self._sweeper.sweep()

    @restarting_if_damaged()
    def metrics(self) -> bytes:
        """Return a snapshot of the process's metrics."""
        self._shard.show()
        return snapshot(self._metrics.registry)

    @restarting_if_damaged()
    def status(self) -> dict[str, Any]:
        """Describe the shard for a status page."""
        return self._shard.status()

    def close(self) -> None:
        """Let go of the store; nothing can be called afterwards."""
        self._shard.close()


class Waker:
    """Wakes the forwarders of outputs for which a shard has something."""

    def __init__(self, shard_number: int) -> None:
        self._shard = shard_number
        self._forwarders: dict[str, Handle] = {}

    def wake(self, output: str) -> None:
        """Tell an output's forwarder; one that is not there looks by itself when it is."""
        handle = self._forwarders.setdefault(output, Handle(forwarder_name(output)))
        try:
            handle.tell("wake", self._shard)
        except ShardUnavailable:
            logger.debug("a forwarder is not there yet", extra={"event": "wake_missed"})


class Coordinator(Process):
    """The process of the coordinator."""

    def __init__(
        self,
        folder: Path,
        map_size_bytes: int,
        shards: int,
        workspace: WorkspaceInfo,
        group_job_interval_s: float,
        catalog: Catalog,
        calculated: CalculatedCatalog,
        host: Host,
    ) -> None:
        super().__init__(host, "coordinator", "0")
        store, handles, clock = Store(folder, map_size_bytes), remote_shards(shards), SystemClock()
        self._metrics = CoordinatorMetrics(host.version)
        self._coordinator = coordinator.Coordinator(
            store,
            handles,
            workspace.scope,
            shard.identity_rules(workspace),
            workspace.limits.unique_event_names,
            clock,
            SystemRandomness(),
            self._metrics,
        )
        self._aliases = AliasRunner(store, handles, workspace.alias_delay_ms, clock, self._metrics)
        self._groups = GroupDesk(
            store,
            cast(Sequence[GroupShard], handles),
            group_job_interval_s,
            clock,
            SystemRandomness(),
            partial(asyncio.sleep, SLICE_PAUSE_S),
        )
        self._calculated = CalculatedDesk(
            store,
            calculated,
            cast(Sequence[CalculatedShard], handles),
            lambda: self._audiences.calculated_uses(),
            clock,
        )
        self._audiences = AudienceDesk(
            store,
            structs.replace(catalog, calculated=self._calculated.active),
            subscription_problems,
            cast(Sequence[AudienceShard], handles),
            folder / "downloads",
            clock,
            SystemRandomness(),
        )
        self._steps = AudienceSteps(cast(Sequence[SteppingShard], handles), asyncio.sleep)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._is_closed = False

    async def start(self) -> None:
        """Begin what runs by itself, unless it has begun."""
        works = {
            "aliases": self._aliases.run,
            "groups": self._groups.run,
            "calculated": self._calculated.run,
            "audiences": self._audiences.run,
            "audience_steps": self._steps.run,
        }
        for name, work in works.items():
            task = self._tasks.get(name)
            if not self._is_closed and (task is None or task.done()):
                running = self._run(name, work)
                self._tasks[name] = asyncio.get_running_loop().create_task(running)

    async def _run(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            with restarting_if_damaged():
                await work()
        except Exception:
            logger.exception(
                "background work failed; it begins again",
                extra={"event": "background_failed", "work": name},
            )

    async def call(self, call: Any) -> Any:
        """See `actors.coordinator.Coordinator`."""
        with restarting_if_damaged():
            return await self._coordinator.call(call)

    async def modify(self, call: Any) -> Any:
        """See `actors.coordinator.Coordinator`."""
        with restarting_if_damaged():
            return await self._coordinator.modify(call)

    async def resolve(self, requests: Any) -> Any:
        """See `actors.coordinator.Coordinator`."""
        with restarting_if_damaged():
            return await self._coordinator.resolve(requests)

    async def erase(self, environment: Any, mpid: int) -> Any:
        """See `actors.coordinator.Coordinator`."""
        with restarting_if_damaged():
            return await self._coordinator.erase(environment, mpid)

    async def explain(self, call: Any) -> Any:
        """See `actors.coordinator.Coordinator`."""
        with restarting_if_damaged():
            return await self._coordinator.explain(call)

    async def lookup(self, environment: Any, identity_type: str, value: str) -> Any:
        """See `actors.coordinator.Coordinator`."""
        with restarting_if_damaged():
            return await self._coordinator.lookup(environment, identity_type, value)

    async def record(self, environment: Any, mpid: int) -> Any:
        """See `actors.coordinator.Coordinator`."""
        with restarting_if_damaged():
            return await self._coordinator.record(environment, mpid)

    async def history(self, environment: Any, mpid: int) -> Any:
        """See `actors.coordinator.Coordinator`."""
        with restarting_if_damaged():
            return await self._coordinator.history(environment, mpid)

    async def undo(self, environment: Any, mpid: int) -> Any:
        """See `actors.coordinator.Coordinator`."""
        with restarting_if_damaged():
            return await self._coordinator.undo(environment, mpid)

    async def admit_event_names(self, names: Any) -> Any:
        """See `actors.coordinator.Coordinator`."""
        with restarting_if_damaged():
            return await self._coordinator.admit_event_names(names)

    async def alias(self, request: Any) -> Any:
        """See `actors.alias_runner.AliasRunner`."""
        with restarting_if_damaged():
            return await self._aliases.alias(request)

    async def aliases(self, mpid: int) -> Any:
        """See `actors.alias_runner.AliasRunner`."""
        with restarting_if_damaged():
            return await self._aliases.aliases(mpid)

    async def group_definitions(self) -> Any:
        """See `actors.groups.desk.GroupDesk`."""
        return await self._groups.group_definitions()

    async def create_group(self, definition: Any) -> Any:
        """See `actors.groups.desk.GroupDesk`."""
        with restarting_if_damaged():
            return await self._groups.create_group(definition)

    async def replace_group(self, definition: Any) -> Any:
        """See `actors.groups.desk.GroupDesk`."""
        with restarting_if_damaged():
            return await self._groups.replace_group(definition)

    async def delete_group(self, definition_id: str) -> bool:
        """See `actors.groups.desk.GroupDesk`."""
        with restarting_if_damaged():
            return await self._groups.delete_group(definition_id)

    async def run_group(self, definition_id: str) -> str | None:
        """See `actors.groups.desk.GroupDesk`."""
        with restarting_if_damaged():
            return await self._groups.run_group(definition_id)

    async def call_audiences(self, method: str, *arguments: Any) -> Any:
        """See `actors.audiences.desk.AudienceDesk.call`."""
        with restarting_if_damaged():
            return await self._audiences.call(method, *arguments)

    async def call_calculated(self, method: str, *arguments: Any) -> Any:
        """Call a method of `actors.calculated.desk.CalculatedDesk`."""
        with restarting_if_damaged():
            return await getattr(self._calculated, method)(*arguments)

    def pid(self) -> int:
        """Return the process that answers; asked for at once after a start."""
        self._coordinator.start()
        return super().pid()

    async def metrics(self) -> bytes:
        """Return a snapshot of the process's metrics."""
        return snapshot(self._metrics.registry)

    async def close(self) -> None:
        """End what runs by itself, and let go of the store."""
        self._is_closed = True
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._coordinator.close()


class ForwarderOptions(Struct, frozen=True, kw_only=True):
    """How the forwarder of one output is set up; see `config.compiled.OutputPlan`."""

    info: forwarder.OutputInfo
    module: str
    settings: dict[Any, OutputSettings]
    is_audience: bool
    connections: tuple[ConnectionInfo, ...]
    shards: int
    spool_dir: Path
    egress_allow: tuple[str, ...]


class Forwarder(Process):
    """The process of one output's forwarder."""

    def __init__(self, options: ForwarderOptions, host: Host) -> None:
        super().__init__(host, "forwarder", options.info.id)
        self._options = options
        self._metrics = ForwarderMetrics(host.version)
        self._forwarder: forwarder.Forwarder | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False

    async def start(self) -> None:
        """Begin to deliver, unless it has begun."""
        if self._task is None and not self._is_stopping:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def wake(self, shard_number: int) -> None:
        """Look into a shard's outbox again."""
        await self.start()
        if self._forwarder is not None:
            self._forwarder.wake(shard_number)

    async def metrics(self) -> bytes:
        """Return a snapshot of the process's metrics."""
        await self.start()
        return snapshot(self._metrics.registry)

    async def status(self) -> dict[str, Any]:
        """Describe the forwarder for a status page."""
        return {} if self._forwarder is None else self._forwarder.state()

    async def stop(self) -> None:
        """Finish what is under way and settle it."""
        self._is_stopping = True
        if self._forwarder is not None:
            await self._forwarder.stop()

    async def _run(self) -> None:
        while not self._is_stopping:
            try:
                await self._deliver(self._make())
            except Exception:
                logger.exception(
                    "a forwarder failed; it begins again",
                    extra={"event": "forwarder_failed", "output": self._options.info.id},
                )
                await asyncio.sleep(RESTART_PAUSE_S)

    async def _deliver(self, made: forwarder.Forwarder) -> None:
        """Run a forwarder, that of an audience output beside what follows its subscriptions."""
        self._forwarder = made
        following: asyncio.Task[None] | None = None
        if self._options.is_audience:
            desk = desk_handle(Handle(COORDINATOR_NAME).call_audiences)
            follower = SubscriptionFollower(self._options.info.id, desk, SystemClock())
            following = asyncio.get_running_loop().create_task(follower.run(made))
        try:
            await made.run()
        finally:
            if following is not None:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)

    def _make(self) -> forwarder.Forwarder:
        options = self._options
        clock = SystemClock()
        surroundings = OutputEnvironment(
            options.info.id, clock, EgressRules(options.egress_allow), options.spool_dir
        )
        return forwarder.Forwarder(
            options.info,
            open_outputs(options.module, options.settings, surroundings),
            options.connections,
            [ShardSource(each) for each in remote_shards(options.shards)],
            clock,
            SystemRandomness(),
            self._metrics,
        )
