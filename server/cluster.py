"""The actors of a deployment: started in order, stopped in order."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

from actors import remote
from actors.desks import DeskOptions
from actors.hosted import Coordinator, Forwarder, ForwarderOptions, Shard
from actors.model import WorkspaceInfo
from actors.remote import Handle
from actors.remote_handles import COORDINATOR_NAME, edge_name, forwarder_name, shard_name
from actors.shard_options import ShardOptions, StoreOptions
from actors.store.folder import DataFolder
from config.audience_catalog import audience_catalog
from config.calculated_catalog import calculated_catalog
from config.compiled import OutputPlan, connection_infos, output_plans, queue_limits
from config.numbers import Numbers
from config.settings import Settings
from config.workspace import WorkspaceDocument
from server.edge import EdgeOptions
from server.edge_config import EdgeConfig
from server.host import ServeHost
from server.hosted_edge import Edge
from server.microbatch import QueueOptions
from server.supervisor import Watched

logger = logging.getLogger("headwater.serve")

START_TIMEOUT_S = 120.0  # a store of many gigabytes takes a while to be opened
STOP_TIMEOUT_S = 5.0  # with all that comes before and after, an end within 10 s
# Calls that an asynchronous actor works on at once; HTTP requests are not among them.
CALLS_AT_ONCE = 100
# A call that waits for a shard that is away takes its place for five seconds; the others must not
# run out of places meanwhile (spec/identity.md, V15).
COORDINATOR_CALLS_AT_ONCE = 1000


class ServedWorkspace(NamedTuple):
    """A workspace, as its document says and as actors and edges look it up."""

    document: WorkspaceDocument
    numbers: Numbers
    info: WorkspaceInfo
    config: EdgeConfig


class Cluster:
    """Starts and stops what a deployment consists of; `watched` lists it."""

    def __init__(
        self,
        settings: Settings,
        workspaces: Sequence[ServedWorkspace],
        folder: DataFolder,
        host: ServeHost,
    ) -> None:
        self.watched: list[Watched] = []
        self.port = settings.port
        self._settings = settings
        self._workspaces = workspaces
        self._folder = folder
        self._host = host

    async def start(self) -> None:
        """Start shards, coordinator, forwarders and edges; return once all of them work.

        Raises:
            ActorFailed: an actor cannot be started, such as one whose store cannot be opened.
            ShardUnavailable: an actor did not start in time.
        """
        self._start_shards()
        self._start_coordinator()
        self._start_forwarders()
        self._start_edges()
        for number in range(self._settings.shards):  # before an edge of this run can send any
            shard = self.watched[number].handle.within(START_TIMEOUT_S)
            await shard.forget_micro_batches()
        for each in self.watched:
            patient = each.handle.within(START_TIMEOUT_S)
            each.pid = await patient.pid()
            if each.role == "edge":
                self.port = await patient.start(self._settings.host, self.port)
            elif each.start is not None:
                await each.start()

    async def drain(self) -> None:
        """Turn the edges' `/readyz` to 503."""
        await self._tell("edge", "drain")

    async def stop(self) -> None:
        """Stop listening, answer what is in flight, settle what was delivered, close the stores."""
        # At once: what the last requests bring waits in the outboxes for the next start.
        await asyncio.gather(self._tell("edge", "stop"), self._tell("forwarder", "stop"))
        await asyncio.gather(self._tell("coordinator", "close"), self._tell("shard", "close"))
        for each in self.watched:
            remote.end(each.handle)

    # -- Starting ---------------------------------------------------------------------------------

    def _start_shards(self) -> None:
        settings = self._settings
        parts = [
            ShardOptions(
                workspace=each.info,
                connections=connection_infos(each.document, each.numbers),
                queue_limits=queue_limits(each.document, each.numbers, settings.shards),
            )
            for each in self._workspaces
        ]
        for number in range(settings.shards):
            options = StoreOptions(
                number=number,
                of=settings.shards,
                folder=self._folder.shard(number),
                map_size_bytes=settings.map_size_bytes,
                profile_cache_bytes=settings.profile_cache_bytes,
                workspaces=len(parts),
                scopes=frozenset(each.info.scope for each in self._workspaces),
            )
            # One call at a time: the order of calls is the order of changes.
            handle = remote.spawn(
                shard_name(number), Shard, options, parts, self._host, calls_at_once=1
            )
            self.watched.append(Watched("shard", str(number), handle))

    def _start_coordinator(self) -> None:
        parts = [
            DeskOptions(
                workspace=each.info,
                catalog=audience_catalog(each.document, each.numbers),
                calculated=calculated_catalog(each.document, each.numbers),
                group_job_interval_s=self._settings.group_job_interval_s,
            )
            for each in self._workspaces
        ]
        handle = remote.spawn(
            COORDINATOR_NAME,
            Coordinator,
            self._folder.coordinator,
            self._settings.map_size_bytes,
            self._settings.shards,
            parts,
            self._host,
            calls_at_once=COORDINATOR_CALLS_AT_ONCE,
        )
        self.watched.append(Watched("coordinator", "0", handle, handle.start))

    def _start_forwarders(self) -> None:
        for each in self._workspaces:
            for plan in output_plans(each.document, each.numbers):
                self._start_forwarder(each.info, plan)

    def _start_forwarder(self, workspace: WorkspaceInfo, plan: OutputPlan) -> None:
        name = plan.info.id
        others = (each.info for each in self._workspaces)
        options = ForwarderOptions(
            info=plan.info,
            workspace=workspace.number,
            sharers=tuple(each.number for each in others if each.account != workspace.account),
            module=plan.module,
            settings=dict(plan.settings),
            is_audience=plan.is_audience,
            connections=plan.connections,
            shards=self._settings.shards,
            spool_dir=self._folder.spool(name),
            egress_allow=self._settings.egress_allow,
        )
        handle = remote.spawn(
            forwarder_name(name), Forwarder, options, self._host, calls_at_once=CALLS_AT_ONCE
        )
        self.watched.append(Watched("forwarder", name, handle, handle.start))

    def _start_edges(self) -> None:
        settings = self._settings
        options = EdgeOptions(
            workspaces=tuple((each.config, each.info) for each in self._workspaces),
            queues=QueueOptions(
                calls_in_flight=settings.calls_in_flight,
                max_micro_batch_bytes=settings.max_micro_batch_bytes,
                max_queue_bytes=settings.max_queue_bytes,
            ),
        )
        for number in range(settings.edges):
            handle = remote.spawn(
                edge_name(number),
                Edge,
                number,
                options,
                settings.shards,
                settings.shard_timeout_s,
                self._folder.path / "limits",
                self._host,
                calls_at_once=CALLS_AT_ONCE,
            )
            self.watched.append(Watched("edge", str(number), handle, self._listening(handle)))

    def _listening(self, edge: Handle) -> Callable[[], Coroutine[Any, Any, None]]:
        async def start() -> None:
            await edge.start(self._settings.host, self.port)

        return start

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
