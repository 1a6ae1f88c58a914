"""The actors of a deployment: started in order, stopped in order."""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from pydantic import SecretStr

from actors import remote
from actors.clock import Clock
from actors.errors import ActorFailed, ShardUnavailable
from actors.forwarding.plan import OutputPlan
from actors.hosted_coordinator import Coordinator
from actors.hosted_forwarder import Forwarder, ForwarderOptions
from actors.hosted_shard import Shard
from actors.model.workspaces import WorkspaceInfo
from actors.privacy.signing import SigningPair
from actors.remote import Handle
from actors.remote_handles import COORDINATOR_NAME, edge_name, forwarder_name, shard_name
from actors.shard_options import StoreOptions
from actors.store.folder import DataFolder, read_slots
from actors.store.slots import SlotMap
from config.compiled_outputs import output_plans
from config.compiled_workspaces import shard_options
from config.desk_options import ConfigDeskOptions
from config.served import ServedDocument
from config.settings import Settings
from server.edge import EdgeOptions
from server.host import ServeHost
from server.hosted_edge import Edge
from server.microbatch import QueueOptions
from server.slot_moves import SlotMoves
from server.supervisor import Watched
from server.tls import tls_of

logger = logging.getLogger("headwater.serve")

START_TIMEOUT_S = 120.0  # a store of many gigabytes takes a while to be opened
FORMER_S = 20.0  # in which a cluster ends the actors of a run that was killed
FORMER_PAUSE_S = 0.1
STOP_TIMEOUT_S = 5.0  # with all that comes before and after, an end within 10 s
LOOK_S = 5.0  # after which it is looked again whether an actor's node is there
# Calls that an asynchronous actor works on at once; HTTP requests are not among them.
CALLS_AT_ONCE = 100
# A call that waits for a shard that is away takes its place for five seconds; the others must not
# run out of places meanwhile (spec/identity.md, V15).
COORDINATOR_CALLS_AT_ONCE = 1000


class Cluster:
    """Starts and stops what a deployment consists of; `watched` lists it."""

    def __init__(
        self,
        settings: Settings,
        workspaces: Sequence[ServedDocument],
        configuration: ConfigDeskOptions,
        server_key: SecretStr,
        signing: SigningPair,
        folder: DataFolder,
        host: ServeHost,
        clock: Clock,
    ) -> None:
        """Set up.

        Args:
            workspaces: as the configuration has them now.
            server_key: signs tokens; `signing`: what is said of data subject requests.
        """
        self.watched: list[Watched] = []
        self.port = settings.port
        self._outputs: dict[int, set[str]] = {}  # number of a workspace to those with a forwarder
        self._settings = settings
        self._workspaces = workspaces
        self._configuration = configuration
        self._server_key = server_key
        self._signing = signing
        self._folder = folder
        self._host = host
        self._clock = clock
        self._changing = asyncio.Lock()
        self.moves = SlotMoves(self.watched, folder, self._changing, clock)

    async def start(self) -> None:
        """Start shards, coordinator, forwarders and edges; return once all of them work.

        Raises:
            ActorFailed: an actor cannot be started, such as one whose store cannot be opened.
            ShardUnavailable: an actor did not start in time.
        """
        await self._await_end_of_former()
        self._start_shards()
        self._start_coordinator()
        self._start_forwarders()
        self._start_edges()
        for each in self.watched:
            each.pid = await self._await_process(each)
        there = [each for each in self.watched if each.pid is not None]
        for each in there:
            if each.role == "shard":  # before an edge of this run can send any
                await each.handle.within(START_TIMEOUT_S).forget_micro_batches()
        for each in there:
            patient = each.handle.within(START_TIMEOUT_S)
            if each.role == "edge":
                self.port = await patient.start(self._settings.host, self.port, self._slots)
            elif each.role == "shard":  # one that has died since may have much to settle
                await patient.go_on(self._slots)
            elif each.start is not None:
                await each.start()
        self._folder.begun()

    @property
    def _slots(self) -> SlotMap:
        return self._folder.slots

    async def drain(self) -> None:
        """Turn the edges' `/readyz` to 503."""
        await self._tell("edge", "drain")

    async def stop(self) -> None:
        """Stop listening, answer what is in flight, settle what was delivered, close the stores."""
        await self.moves.close()
        # At once: what the last requests bring waits in the outboxes for the next start.
        await asyncio.gather(self._tell("edge", "stop"), self._tell("forwarder", "stop"))
        await asyncio.gather(self._tell("coordinator", "close"), self._tell("shard", "close"))
        for each in self.watched:
            remote.end(each.handle)

    def kill(self) -> None:
        """End all actors at once: for when Ray, which would end them, has ended itself.

        What was acknowledged is on disk.
        """
        remote.kill_all(each.pid for each in self.watched if each.pid is not None)
        self.watched.clear()

    async def _await_end_of_former(self) -> None:
        """Wait until a cluster has no actors of a run that was killed. Raises ActorFailed."""
        deadline_s = self._clock.monotonic() + FORMER_S
        while names := remote.running():
            if self._clock.monotonic() > deadline_s:
                raise ActorFailed(f"the cluster serves another deployment: it has {names[0]}")
            await asyncio.sleep(FORMER_PAUSE_S)

    async def _await_process(self, watched: Watched) -> int | None:
        """Return the process of an actor once it works; `None` if its node is not there.

        What such a node has comes with it.

        Raises:
            ActorFailed: it cannot be started; or stores of a node that is not there were never
                made.
            ShardUnavailable: it did not start in time.
        """
        deadline_s = self._clock.monotonic() + START_TIMEOUT_S
        while True:
            if watched.node is not None and watched.node not in remote.nodes():
                if self._folder.made < self._settings.shards:
                    raise ActorFailed(f"the cluster has no node with the resource {watched.node}")
                logger.error(
                    "a node is not there; its shards and edges come with it",
                    extra={
                        "event": "node_absent",
                        "node": watched.node,
                        "actor": watched.handle.name,
                    },
                )
                return None
            try:
                pid: int = await watched.handle.within(LOOK_S).pid()
            except ActorFailed:  # for good, whatever is waited for
                raise
            except ShardUnavailable:
                if self._clock.monotonic() > deadline_s:
                    raise
            else:
                return pid

    # -- Starting ---------------------------------------------------------------------------------

    def _start_shards(self) -> None:
        settings = self._settings
        parts = [shard_options(each, settings.shards) for each in self._workspaces]
        for number in range(settings.shards):
            options = StoreOptions(
                number=number,
                of=settings.shards,
                folder=self._folder.shard(number),
                map_size_bytes=settings.map_size_bytes,
                profile_cache_bytes=settings.profile_cache_bytes,
                workspaces=len(parts),
                scopes=frozenset(each.info.scope for each in self._workspaces),
                node_folder=self._folder.node_folder,
                is_begun=number < self._folder.made,
                slots=self._slots,
            )
            node = self._folder.nodes[number] if self._folder.nodes else None
            # One call at a time: the order of calls is the order of changes.
            handle = remote.spawn(
                shard_name(number), Shard, options, parts, self._host, calls_at_once=1, node=node
            )
            going_on = self._with_slots(handle.go_on)
            self.watched.append(Watched("shard", str(number), handle, going_on, node))

    def _start_coordinator(self) -> None:
        handle = remote.spawn(
            COORDINATOR_NAME,
            Coordinator,
            self._folder.coordinator,
            self._settings.map_size_bytes,
            partial(read_slots, self._folder.path),
            self._configuration,
            self._signing,
            self._settings.egress_allow,
            self._host,
            calls_at_once=COORDINATOR_CALLS_AT_ONCE,
        )

        async def start() -> None:
            await handle.start(self._slots.epoch)

        self.watched.append(Watched("coordinator", "0", handle, start))

    def _start_forwarders(self) -> None:
        for each in self._workspaces:
            plans = output_plans(each.document, each.numbers)
            self._outputs[each.info.number] = {plan.info.id for plan in plans}
            for plan in plans:
                self._start_forwarder(each.info, plan)

    def _start_forwarder(self, workspace: WorkspaceInfo, plan: OutputPlan) -> Watched:
        name = plan.info.id
        others = (each.info for each in self._workspaces)
        options = ForwarderOptions(
            plan=plan,
            workspace=workspace.number,
            workspace_id=workspace.id,
            sharers=tuple(each.number for each in others if each.account != workspace.account),
            slots=self._slots,
            spool_dir=self._folder.spool(name),
            egress_allow=self._settings.egress_allow,
            python_dir=self._settings.python_outputs,
        )
        handle = remote.spawn(
            forwarder_name(name), Forwarder, options, self._host, calls_at_once=CALLS_AT_ONCE
        )
        watched = Watched("forwarder", name, handle, self._with_slots(handle.start))
        self.watched.append(watched)
        return watched

    # -- Changing ---------------------------------------------------------------------------------

    async def take_over(self, served: ServedDocument) -> None:
        """Start forwarders of new outputs of a workspace, and end those of outputs that are gone.

        Raises:
            ShardUnavailable: a new one did not start in time; it is watched all the same.
        """
        async with self._changing:
            await self._take_over(served)

    async def _take_over(self, served: ServedDocument) -> None:
        number = served.info.number
        plans = {each.info.id: each for each in output_plans(served.document, served.numbers)}
        for name in self._outputs[number] - plans.keys():
            await self._end_forwarder(name)
            self._outputs[number].discard(name)
        for name, plan in plans.items():
            if name not in self._outputs[number]:
                self._outputs[number].add(name)
                watched = self._start_forwarder(served.info, plan)
                await watched.handle.within(START_TIMEOUT_S).start(self._slots)

    async def _end_forwarder(self, name: str) -> None:
        """Let a forwarder settle what is under way, and end it with its unfinished files."""
        [gone] = [
            each for each in self.watched if each.role == "forwarder" and each.instance == name
        ]
        self.watched.remove(gone)
        try:
            await gone.handle.within(STOP_TIMEOUT_S).stop()
        except (ActorFailed, ShardUnavailable, RuntimeError):
            logger.warning(
                "a forwarder did not stop in order",
                extra={"event": "stop_failed", "actor": gone.handle.name},
            )
        remote.end(gone.handle)
        await asyncio.to_thread(shutil.rmtree, self._folder.spool(name), ignore_errors=True)

    def _start_edges(self) -> None:
        settings = self._settings
        options = EdgeOptions(
            workspaces=tuple(self._workspaces),
            settings=settings,
            server_key=self._server_key,
            signing=self._signing,
            queues=QueueOptions(
                calls_in_flight=settings.calls_in_flight,
                max_micro_batch_bytes=settings.max_micro_batch_bytes,
                max_queue_bytes=settings.max_queue_bytes,
                max_queue_s=settings.max_queue_s,
            ),
            tls=tls_of(settings),
        )
        places = [place for place in settings.nodes or (None,) for _ in range(settings.edges)]
        for number, node in enumerate(places):
            handle = remote.spawn(
                edge_name(number),
                Edge,
                number,
                options,
                self._slots,
                settings.shard_timeout_s,
                self._folder.path / "limits",
                self._folder.node_folder,
                self._host,
                calls_at_once=CALLS_AT_ONCE,
                node=node,
            )
            listening = self._listening(handle)
            self.watched.append(Watched("edge", str(number), handle, listening, node))

    def _listening(self, edge: Handle) -> Callable[[], Coroutine[Any, Any, None]]:
        async def start() -> None:
            await edge.start(self._settings.host, self.port, self._slots)

        return start

    def _with_slots(
        self, start: Callable[[SlotMap], Awaitable[Any]]
    ) -> Callable[[], Awaitable[None]]:
        """Return what starts an actor by the map of slots as it is then."""

        async def start_now() -> None:
            await start(self._slots)

        return start_now

    # -- Stopping ---------------------------------------------------------------------------------

    async def _tell(self, role: str, method: str) -> None:
        """Have all actors of a role do something; one that does not answer is left behind."""
        handles = [each.handle.within(STOP_TIMEOUT_S) for each in self.watched if each.role == role]
        outcomes = await asyncio.gather(
            *(getattr(handle, method)() for handle in handles), return_exceptions=True
        )
        for handle, outcome in zip(handles, outcomes, strict=True):
            if isinstance(outcome, Exception):
                logger.error(
                    "an actor did not stop in order",
                    extra={
                        "event": "stop_failed",
                        "actor": handle.name,
                        "kind": type(outcome).__name__,
                    },
                )
