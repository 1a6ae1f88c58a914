"""The actors of a deployment: started in order, stopped in order."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from actors import remote
from actors.hosted import Coordinator, Forwarder, ForwarderOptions, Shard
from actors.remote import Handle
from actors.remote_handles import COORDINATOR_NAME, edge_name, forwarder_name, shard_name
from actors.shard_options import ShardOptions
from actors.store.folder import DataFolder
from config.audience_catalog import audience_catalog
from config.calculated_catalog import calculated_catalog
from config.compiled import connection_infos, output_plans, queue_limits, workspace_info
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


class Cluster:
    """Starts and stops what a deployment consists of; `watched` lists it."""

    def __init__(
        self,
        settings: Settings,
        document: WorkspaceDocument,
        numbers: Numbers,
        config: EdgeConfig,
        folder: DataFolder,
        host: ServeHost,
    ) -> None:
        self.watched: list[Watched] = []
        self.port = settings.port
        self._settings = settings
        self._document = document
        self._numbers = numbers
        self._config = config
        self._folder = folder
        self._host = host
        self._workspace = workspace_info(document, numbers, settings)

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
            await shard.call("forget_micro_batches")
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
        for number in range(settings.shards):
            options = ShardOptions(
                number=number,
                of=settings.shards,
                folder=self._folder.shard(number),
                map_size_bytes=settings.map_size_bytes,
                profile_cache_bytes=settings.profile_cache_bytes,
                workspace=self._workspace,
                connections=connection_infos(self._document, self._numbers),
                queue_limits=queue_limits(self._document, self._numbers, settings.shards),
            )
            # One call at a time: the order of calls is the order of changes.
            handle = remote.spawn(shard_name(number), Shard, options, self._host, calls_at_once=1)
            self.watched.append(Watched("shard", str(number), handle))

    def _start_coordinator(self) -> None:
        handle = remote.spawn(
            COORDINATOR_NAME,
            Coordinator,
            self._folder.coordinator,
            self._settings.map_size_bytes,
            self._settings.shards,
            self._workspace,
            self._settings.group_job_interval_s,
            audience_catalog(self._document, self._numbers),
            calculated_catalog(self._document, self._numbers),
            self._host,
            calls_at_once=COORDINATOR_CALLS_AT_ONCE,
        )
        self.watched.append(Watched("coordinator", "0", handle, handle.start))

    def _start_forwarders(self) -> None:
        for plan in output_plans(self._document, self._numbers):
            name = plan.info.id
            options = ForwarderOptions(
                info=plan.info,
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
            workspaces=((self._config, self._workspace),),
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
