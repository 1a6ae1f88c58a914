"""What runs in the processes of the coordinator and of forwarders (`actors/hosted_shard.py`,
`server/hosted_edge.py`: the others), plain classes, each put together in its constructor.

Ray names a process after its class, so these are called as their role is. A constructor runs again
when its process has died; everything it needs it gets from its arguments and from disk.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

from msgspec import Struct
from msgspec.structs import replace

from actors import forwarder
from actors.audiences.calls import AudienceShard
from actors.audiences.handles import desk_handle
from actors.clock import SystemClock, SystemRandomness
from actors.desk_options import DeskOptions
from actors.desks import Desks, other_desks, readers_of_events
from actors.disk_wait import wait_for_disk
from actors.errors import ShardUnavailable, SlotsMoving
from actors.forwarding.faults import KeptFaults
from actors.forwarding.follower import SubscriptionFollower
from actors.forwarding.foreign import JoinedSource
from actors.forwarding.plan import OutputPlan
from actors.forwarding.snapshots import Snapshots
from actors.forwarding.streams import OutboxSource
from actors.hosting import Host, Process, restarting_if_damaged
from actors.identity.sequencer import Sequencer
from actors.metric_groups import CoordinatorMetrics, ForwarderMetrics
from actors.metric_snapshots import snapshot
from actors.output_states import Seal
from actors.outputs.egress import EgressRules
from actors.outputs.environment import OutputEnvironment, OutputState
from actors.outputs.registry import open_outputs
from actors.privacy.callbacks import SignedPost
from actors.privacy.handles import Surroundings
from actors.privacy.signing import Signer, SigningPair
from actors.remote import Handle, is_restarted
from actors.remote_handles import (
    PrivacySource,
    RemoteConfiguration,
    RemoteCoordinator,
    ShardSource,
    forwarder_name,
    remote_shards,
)
from actors.store.environment import Store
from actors.store.folder import scope_store, workspace_store
from actors.store.slots import SlotMap, Slots
from actors.waking import Waker

logger = logging.getLogger("headwater.actors")

RESTART_PAUSE_S = 1.0
FOLLOW_S = 1.0  # a change takes effect within 5 s (spec/connections.md, 1.3)


async def reread(output: str) -> None:
    """Have an output's forwarder let go of what it holds; one that does not answer holds nothing
    for long."""
    try:
        await Handle(forwarder_name(output)).reread()
    except ShardUnavailable:
        logger.warning(
            "a forwarder was not told of an erasure",
            extra={"event": "reread_missed", "output": output},
        )


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

    async def release(self, workspace: int, section: str, name: str) -> None:
        """Have the file of a workspace let go of an audience or a calculated attribute."""
        ...

    async def run(self) -> None:
        """Tell who was away, for ever."""
        ...


class ConfigurationOptions(Protocol):
    """How the desk of configurations is set up: `config.desk_options.ConfigDeskOptions`."""

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
        slots: Callable[[], SlotMap],
        configuration: ConfigurationOptions,
        signing: SigningPair,
        egress_allow: tuple[str, ...],
        host: Host,
    ) -> None:
        """Args: `slots` returns who owns which now; it can be pickled."""
        super().__init__(host, "coordinator", "0")
        self._metrics = CoordinatorMetrics(host.version)
        wait_for_disk(folder, is_restarted=is_restarted())
        self._folder = folder
        self._map_size_bytes = map_size_bytes
        self._read_slots = slots
        self._options = configuration
        post = SignedPost(Signer(signing), EgressRules(egress_allow))
        waker = Waker(0)  # what waits for outputs in this process is their only source
        self._surroundings = Surroundings(signing.domain, post, waker.wake, reread)
        self._calls: set[asyncio.Task[Any]] = set()
        self._following: asyncio.Task[None] | None = None
        self._is_reopening = False
        self._is_closed = False
        self._open()

    def _open(self) -> None:
        """Take up what the stores have, by the map of slots as it is now."""
        folder, map_size_bytes, configuration = self._folder, self._map_size_bytes, self._options
        clock, randomness = SystemClock(), SystemRandomness()
        self._stores: list[Store] = [configuration.open_store(folder)]
        self._configuration = configuration.open_desk(self._stores[0])
        workspaces = self._configuration.desk_options()
        self._sequencers: dict[int, Sequencer] = {}
        self._desks: dict[int, Desks] = {}
        self._slots = placed = Slots(self._read_slots())
        for options in workspaces:
            number, scope = options.workspace.number, options.workspace.scope
            handles = remote_shards(number, placed)
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
                self._surroundings,
                partial(self._configuration.release, number),
            )
        desks_of = self._desks
        for desks in desks_of.values():
            desks.audiences.begin()
        self._configuration.bind(
            {number: remote_shards(number, placed) for number in desks_of},
            lambda options: desks_of[options.workspace.number].take_over(options),
            lambda workspace: readers_of_events(workspace, desks_of),
            lambda workspace: desks_of[workspace].audiences.made_names(),
        )

    async def start(self, epoch: int) -> None:
        """Begin what runs by itself, unless it has begun, by the map of slots of an epoch.

        Where slots have moved since, all is taken up anew, as after a death of the process: what
        was decided and is being written goes by the map, and so does most of what is under way.
        """
        if self._is_closed or self._is_reopening:
            return
        if epoch > self._slots.epoch:
            await self._reopen()
        for desks in self._desks.values():
            desks.start(restarting_if_damaged)
        if self._following is None or self._following.done():
            running = self._configuration.run()
            self._following = asyncio.get_running_loop().create_task(running)

    async def _reopen(self) -> None:
        self._is_reopening = True
        try:
            for call in self._calls:
                call.cancel()
            if self._calls:
                await asyncio.wait(self._calls)
            await self._shut()
            with restarting_if_damaged():
                self._open()
        except BaseException:
            logger.critical(
                "the coordinator cannot go on after a move; the process ends, to be started again",
                extra={"event": "reopen_failed"},
                exc_info=True,
            )
            os._exit(1)
        self._is_reopening = False

    async def configure(self, method: str, *arguments: Any) -> Any:
        """Call a method of `config.desk.ConfigDesk`.

        Raises:
            SlotsMoving: as for `call`.
        """
        with self._calling():
            return await getattr(self._configuration, method)(*arguments)

    async def call(self, workspace: int, method: str, *arguments: Any) -> Any:
        """Call a method of a workspace's part of the coordinator (`Desks.call`).

        Raises:
            SlotsMoving: it is, or was, cut off by a move; it may have been done.
        """
        with self._calling():
            return await self._desks[workspace].call(method, *arguments)

    @contextmanager
    def _calling(self) -> Iterator[None]:
        """Cut a call off when all is taken up anew: whoever has called asks again."""
        if self._is_reopening:
            raise SlotsMoving("slots are being moved")
        task = asyncio.current_task()
        assert task is not None, "calls are made by tasks"
        self._calls.add(task)
        try:
            with restarting_if_damaged():
                yield
        except asyncio.CancelledError:
            if not self._is_reopening:
                raise
            task.uncancel()
            raise SlotsMoving("slots are being moved") from None
        finally:
            self._calls.discard(task)

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
        await self._shut()

    async def _shut(self) -> None:
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
        """Let a faulted connection send again; tell whether it was faulted."""
        return self._forwarder is not None and self._forwarder.resume_faulted(connection)

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
                faults = KeptFaults(self._plan.info.id, self._state)
                await faults.load()
                if not self._may_run.is_set() or self._is_stopping:
                    continue
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
