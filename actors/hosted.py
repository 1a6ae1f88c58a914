"""What runs in the actors' processes: plain classes, each put together in its constructor.

Ray names a process after its class, so these are called as their role is. A constructor runs again
when its process has died; everything it needs it gets from its arguments and from disk.
"""

import asyncio
import gc
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors import forwarder, shard
from actors.audiences.calls import AudienceShard
from actors.audiences.handles import desk_handle
from actors.clock import SystemClock, SystemRandomness
from actors.desks import DeskOptions, Desks, other_desks, readers_of_events
from actors.errors import ActorFailed, ShardUnavailable, StoreDamaged, StoreFull
from actors.forwarding.faults import KeptFaults
from actors.forwarding.follower import SubscriptionFollower
from actors.forwarding.foreign import JoinedSource
from actors.forwarding.plan import OutputPlan
from actors.forwarding.snapshots import Snapshots
from actors.identity.sequencer import Sequencer
from actors.metric_groups import CoordinatorMetrics, ForwarderMetrics, ShardMetrics
from actors.metric_snapshots import snapshot
from actors.model import MicroBatch, Result
from actors.node_store import found_here
from actors.output_states import Seal
from actors.outputs.contract import OutputEnvironment, OutputState
from actors.outputs.egress import EgressRules
from actors.outputs.registry import open_outputs
from actors.remote import Handle, is_restarted
from actors.remote_handles import (
    RemoteConfiguration,
    RemoteCoordinator,
    ShardSource,
    forwarder_name,
    remote_shards,
)
from actors.shard_calls import ShardCalls
from actors.shard_options import ShardOptions, StoreOptions
from actors.shard_state import ShardState
from actors.store.environment import Store
from actors.store.folder import scope_store, workspace_store
from actors.sweeper import Sweeper

logger = logging.getLogger("headwater.actors")

RESTART_PAUSE_S = 1.0
NEWEST_PATIENCE_S = 30.0  # a coordinator that has died as well is back before
FOLLOW_S = 1.0  # a change takes effect within 5 s (spec/connections.md, 1.3)
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


def newest(workspaces: Sequence[ShardOptions]) -> Sequence[ShardOptions]:
    """Return how the parts of a shard are set up by now: it may be started again after a long time.

    Without the coordinator what was given holds, until the coordinator is back and tells.
    """
    try:
        answered: Sequence[ShardOptions] = RemoteConfiguration(NEWEST_PATIENCE_S).ask(
            "shard_options"
        )
    except (ActorFailed, ShardUnavailable, RuntimeError):
        logger.info("a shard begins with what it was given", extra={"event": "newest_unknown"})
        return workspaces
    return answered


class Shard(Process):
    """The process of one shard; its calls run one after the other, in the order received."""

    def __init__(
        self, options: StoreOptions, workspaces: Sequence[ShardOptions], host: Host
    ) -> None:
        super().__init__(host, "shard", str(options.number))
        clock = SystemClock()
        self._metrics = ShardMetrics(host.version)
        options = found_here(options, clock, is_restarted=is_restarted())
        self._state = ShardState(options, clock)
        workspaces = newest(workspaces)
        wake = Waker(options.number).wake
        self._shards = {
            each.workspace.number: shard.Shard(self._state, each, clock, self._metrics, wake)
            for each in workspaces
        }
        self._calls = {number: ShardCalls(each, clock) for number, each in self._shards.items()}
        self._sweeper = Sweeper(self._state, tuple(self._shards.values()), clock)
        self._decode = msgspec.msgpack.Decoder(MicroBatch).decode
        self._encode = msgspec.msgpack.Encoder().encode
        settle_memory()
        logger.info("a shard has started", extra={"event": "shard_started"})

    @restarting_if_damaged()
    def commit(self, workspace: int, micro: bytes) -> bytes:
        """Apply an encoded micro-batch (`Shard.commit`)."""
        results: list[Result] = self._shards[workspace].commit(self._decode(micro))
        return self._encode(results)

    @restarting_if_damaged()
    def call(self, workspace: int, method: str, *arguments: Any) -> Any:
        """Call a method of a workspace's part of the shard (`ShardCalls.call`)."""
        return self._calls[workspace].call(method, *arguments)

    @restarting_if_damaged()
    def forget_micro_batches(self) -> None:
        """See `Shard.forget_micro_batches`."""
        for each in self._shards.values():
            each.forget_micro_batches()

    @restarting_if_damaged()
    def ready(self) -> str:
        """Say whether something can be stored: `ok`, or why not."""
        try:
            self._state.probe()
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
        self._state.show(self._metrics)
        for each in self._shards.values():
            each.show()
        return snapshot(self._metrics.registry)

    @restarting_if_damaged()
    def status(self) -> dict[str, Any]:
        """Describe the shard for a status page."""
        connections: dict[str, Any] = {}
        for each in self._shards.values():
            connections |= each.outbox.queues.depths()
        return self._state.status() | {"connections": connections}

    def close(self) -> None:
        """Let go of the store; nothing can be called afterwards."""
        self._state.close()


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


class Configuration(Protocol):
    """Where configurations are applied: `config.desk.ConfigDesk`."""

    def desk_options(self) -> Sequence[DeskOptions]:
        """Return how the workspaces' parts of the coordinator are set up."""
        ...

    def bind(
        self,
        shards: Mapping[int, Sequence[Any]],
        take_over: Callable[[DeskOptions], None],
        readers_of_events: Callable[[int], Iterable[tuple[str, str]]],
        made_audiences: Callable[[int], Mapping[str, int]],
    ) -> None:
        """Say whom to tell, who reads which events of a workspace, and which names its account's
        audiences have that no document manages."""
        ...

    async def run(self) -> None:
        """Tell who was away, for ever."""
        ...


class ConfigurationOptions(Protocol):
    """How the desk of configurations is set up: `config.desk.ConfigDeskOptions`."""

    def open_store(self, coordinator: Path) -> Store:
        """Open the store of the configuration."""
        ...

    def open_desk(self, store: Store) -> Configuration:
        """Open the desk over it."""
        ...

    def open_seal(self) -> Seal:
        """Return what encrypts all that is kept of secrets."""
        ...


class Coordinator(Process):
    """The process of the coordinator."""

    def __init__(
        self,
        folder: Path,
        map_size_bytes: int,
        shards: int,
        configuration: ConfigurationOptions,
        host: Host,
    ) -> None:
        super().__init__(host, "coordinator", "0")
        clock, randomness = SystemClock(), SystemRandomness()
        self._metrics = CoordinatorMetrics(host.version)
        self._stores: list[Store] = [configuration.open_store(folder)]
        self._configuration = configuration.open_desk(self._stores[0])
        workspaces = self._configuration.desk_options()
        self._sequencers: dict[int, Sequencer] = {}
        self._desks: dict[int, Desks] = {}
        for options in workspaces:
            number, scope = options.workspace.number, options.workspace.scope
            handles = remote_shards(number, shards)
            if scope not in self._sequencers:
                self._stores.append(Store(scope_store(folder, scope), map_size_bytes))
                self._sequencers[scope] = Sequencer(
                    self._stores[-1], handles, scope, clock, randomness, self._metrics
                )
            own = workspace_store(folder, number)
            self._stores.append(Store(own, map_size_bytes))
            self._desks[number] = Desks(
                own,
                self._stores[-1],
                self._sequencers[scope],
                handles,
                options,
                clock,
                randomness,
                self._metrics,
                partial(other_desks, number, self._desks),
                configuration.open_seal(),
            )
        for desks in self._desks.values():
            desks.audiences.begin()
        self._configuration.bind(
            {number: remote_shards(number, shards) for number in self._desks},
            lambda options: self._desks[options.workspace.number].take_over(options),
            lambda workspace: readers_of_events(workspace, self._desks),
            lambda workspace: self._desks[workspace].audiences.made_names(),
        )
        self._following: asyncio.Task[None] | None = None
        self._is_closed = False

    async def start(self) -> None:
        """Begin what runs by itself, unless it has begun."""
        if self._is_closed:
            return
        for desks in self._desks.values():
            desks.start(restarting_if_damaged)
        if self._following is None or self._following.done():
            running = self._configuration.run()
            self._following = asyncio.get_running_loop().create_task(running)

    async def configure(self, method: str, *arguments: Any) -> Any:
        """Call a method of `config.desk.ConfigDesk`."""
        with restarting_if_damaged():
            return await getattr(self._configuration, method)(*arguments)

    async def call(self, workspace: int, method: str, *arguments: Any) -> Any:
        """Call a method of a workspace's part of the coordinator (`Desks.call`)."""
        with restarting_if_damaged():
            return await self._desks[workspace].call(method, *arguments)

    def pid(self) -> int:
        """Return the process that answers; asked for at once after a start."""
        for sequencer in self._sequencers.values():
            sequencer.start()
        return super().pid()

    async def metrics(self) -> bytes:
        """Return a snapshot of the process's metrics."""
        return snapshot(self._metrics.registry)

    async def close(self) -> None:
        """End what runs by itself, and let go of the stores."""
        self._is_closed = True
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        for desks in self._desks.values():
            await desks.close()
        for sequencer in self._sequencers.values():
            sequencer.close()
        for store in self._stores:
            store.close()


class ForwarderOptions(Struct, frozen=True, kw_only=True):
    """How the forwarder of one output is set up.

    `sharers`: numbers of the workspaces of other accounts, which may share audiences.
    """

    plan: OutputPlan
    workspace: int
    workspace_id: str
    sharers: tuple[int, ...]
    shards: int
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
        self._inputs = _inputs(options.plan)  # what the output sees; connections come and go
        self._revision = 0
        self._configuration = RemoteConfiguration()
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

    async def resume(self, connection: int) -> bool:
        """Let a faulted connection send again; tell whether it was faulted."""
        return self._forwarder is not None and self._forwarder.resume_faulted(connection)

    async def ask_outputs(self, method: str, *arguments: str) -> list[Any]:
        """See `actors.forwarder.Forwarder.ask_outputs`. Raises ShardUnavailable."""
        if self._forwarder is None:
            raise ShardUnavailable("forwarder")
        return await self._forwarder.ask_outputs(method, *arguments)

    async def stop(self) -> None:
        """Finish what is under way and settle it."""
        self._is_stopping = True
        if self._forwarder is not None:
            await self._forwarder.stop()

    async def _run(self) -> None:
        while not self._is_stopping:
            try:
                await self._learn()
                faults = KeptFaults(self._plan.info.id, self._state)
                await faults.load()
                await self._deliver(self._make(faults), faults)
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

    async def _deliver(self, made: forwarder.Forwarder, faults: KeptFaults) -> None:
        """Run a forwarder, that of an audience output beside what follows its subscriptions."""
        self._forwarder = made
        loop = asyncio.get_running_loop()
        following = [loop.create_task(self._follow(made)), loop.create_task(faults.run())]
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
            for each in following:
                each.cancel()
            await asyncio.gather(*following, return_exceptions=True)
            await faults.flush()

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

    def _make(self, faults: KeptFaults) -> forwarder.Forwarder:
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
            python_dir=options.python_dir,
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
        )

    def _count_drop(self, connection: int, reason: str, count: int) -> None:
        slug = next(
            (each.id for each in self._plan.connections if each.number == connection),
            "subscriptions",  # of audiences: labels have to stay few
        )
        self._metrics.drops.labels(slug, reason).inc(count)

    @property
    def _sharers(self) -> tuple[int, ...]:
        return self._options.sharers if self._plan.is_audience else ()

    def _shards(self, workspace: int) -> Sequence[AudienceShard]:
        found = remote_shards(workspace, self._options.shards)
        return cast(Sequence[AudienceShard], found)

    def _sources(self) -> list[JoinedSource]:
        workspaces = {0: self._options.workspace} | {each: each for each in self._sharers}
        shards = {
            name: remote_shards(number, self._options.shards) for name, number in workspaces.items()
        }
        return [
            JoinedSource({name: ShardSource(each[place]) for name, each in shards.items()})
            for place in range(self._options.shards)
        ]
