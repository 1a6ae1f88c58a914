"""One edge, put together: queues to the shards, a gateway per workspace, the application."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, cast

from aiohttp import web
from msgspec import Struct
from pydantic import SecretStr

from actors.audiences.calls import AudienceShard
from actors.audiences.handles import AudienceDeskHandle
from actors.calculated.calls import CalculatedShard
from actors.calculated.desk import CalculatedDesk
from actors.clock import Clock, Randomness
from actors.groups.handles import GroupDeskHandle, GroupReader
from actors.handles import CoordinatorHandle, ShardHandle
from actors.metric_groups import EdgeMetrics
from actors.model.workspaces import WorkspaceInfo
from actors.outputs.environment import OutputState
from actors.privacy.signing import SigningPair
from actors.store.slots import Placed, slots_of
from config.served import ServedDocument
from config.settings import Settings
from server.app import RUNNER_OPTIONS, make_app
from server.audience_gateway import AudienceGateway
from server.calculated_gateway import CalculatedGateway
from server.config_gateway import (
    ConfigDeskHandle,
    ConfigGateway,
    ForwarderHandle,
    QueueShard,
)
from server.edge_config import ConfigHolder, EdgeConfig, edge_config
from server.gateway import Gateway
from server.group_gateway import GroupGateway
from server.health import HEALTH
from server.ingestion import Ingestion
from server.limits import RateLimiter
from server.microbatch import QueueOptions, ShardQueue
from server.ports import cannot_listen
from server.privacy_gateway import PrivacyGateway
from server.routing import Router
from server.tls import ServedCertificate, Tls

SHUTDOWN_S = 4.0  # for requests that are in flight when the port is closed
# Between two slices of what is asked about all users: most of a shard's time is ingestion's.
AUDIENCE_PAUSE_S = 0.01


class EdgeOptions(Struct, frozen=True, kw_only=True):
    """What an edge is made of besides what it talks to.

    Attributes:
        workspaces: in their order, as the configuration had them when the deployment was started.
        settings: of the process; `server_key` signs tokens, `signing` what is said of data subject
            requests.
    """

    workspaces: tuple[ServedDocument, ...]
    settings: Settings
    server_key: SecretStr
    signing: SigningPair
    queues: QueueOptions
    tls: Tls | None = None

    def config_of(self, served: ServedDocument) -> EdgeConfig:
        """Return what the edge looks up of a workspace."""
        key = self.server_key.get_secret_value()
        return edge_config(
            served.document,
            served.numbers,
            self.settings,
            key,
            served.revision,
            served.roles,
            served.stamps,
        )


class EdgeWorkspace(NamedTuple):
    """One of the workspaces that an edge serves, and what it talks to for it.

    The handles are bound to the workspace; `shards` are in their order, which is the same for all
    workspaces.
    """

    config: EdgeConfig
    workspace: WorkspaceInfo
    shards: Sequence[ShardHandle]
    coordinator: CoordinatorHandle
    group_desk: GroupDeskHandle
    audience_desk: AudienceDeskHandle
    calculated_desk: CalculatedDesk
    privacy: PrivacyGateway
    config_desk: ConfigDeskHandle
    forwarder_of: Callable[[str], ForwarderHandle]


class EdgeProcess:
    """The HTTP side of one process; `start` opens its port."""

    def __init__(
        self,
        workspaces: Sequence[EdgeWorkspace],
        queues: QueueOptions,
        limiter: RateLimiter,
        metrics: EdgeMetrics,
        clock: Clock,
        randomness: Randomness,
        tls: Tls | None = None,
        *,
        is_development: bool = False,
        max_received_bytes: int = 128 * 1024 * 1024,
    ) -> None:
        """Put an edge together.

        Args:
            workspaces: that it serves, at least one.
            queues: options of each workspace's queue to a shard.
            limiter: shared with the machine's other edges.
            metrics: of this process.
            clock: of everything here.
            randomness: of ids.
            tls: how HTTPS is served beside HTTP.
            is_development: whether the demo shop is served too.
            max_received_bytes: of bodies of requests under way.
        """
        self._tls = tls
        self.metrics = metrics
        self._queues: list[list[ShardQueue]] = []
        self._served: dict[int, tuple[Gateway, ConfigHolder]] = {}
        for each in workspaces:
            # Micro-batches of a restarted edge are not its former ones, nor another workspace's.
            number = randomness.bits(63)
            waiting = (ShardQueue(number, shard, queues, clock) for shard in each.shards)
            own = Placed(waiting, slots_of(each.shards))
            self._queues.append(own)
            gateway = _gateway(each, own, queues.max_queue_bytes)
            self._served[each.workspace.number] = gateway, ConfigHolder(each.config)
            metrics.config_revision.labels(each.workspace.id).set(each.config.revision)
        served = list(self._served.values())
        self.app = make_app(
            served,
            clock,
            limiter,
            metrics,
            randomness,
            is_development=is_development,
            max_received_bytes=max_received_bytes,
        )
        self._runner: web.AppRunner | None = None
        self._renewing: asyncio.Task[None] | None = None

    def refuse_waiting(self) -> None:
        """Refuse what waits for shards: slots have moved, and it may be for another one now."""
        for queue in itertools.chain.from_iterable(self._queues):
            queue.refuse_waiting()

    async def start(self, host: str, port: int) -> int:
        """Listen, beside other edges on the same ports; return that of HTTP.

        Raises:
            CannotListen: a port cannot be taken, or the certificate not be used.
        """
        runner = web.AppRunner(
            self.app, handle_signals=False, shutdown_timeout=SHUTDOWN_S, **RUNNER_OPTIONS
        )
        await runner.setup()
        asked = port
        try:
            await web.TCPSite(runner, host, port, reuse_port=True).start()
            if self._tls is not None:
                asked = self._tls.port
                served = await asyncio.to_thread(ServedCertificate, self._tls)
                site = web.TCPSite(runner, host, asked, reuse_port=True, ssl_context=served.context)
                await site.start()
                self._renewing = asyncio.get_running_loop().create_task(served.run())
        except OSError as error:
            await runner.cleanup()
            raise cannot_listen(host, asked, error) from error
        self._runner = runner
        bound: int = runner.addresses[0][1]
        return bound

    def take_over(self, config: EdgeConfig, workspace: WorkspaceInfo) -> None:
        """Go on with another configuration of a workspace, between two requests."""
        gateway, holder = self._served[workspace.number]
        gateway.take_over(_router(workspace), _connection_ids(config))
        holder.current = config
        self.metrics.config_revision.labels(workspace.id).set(config.revision)

    def config_of(self, workspace: int) -> EdgeConfig:
        """Return what is looked up of a workspace just now."""
        return self._served[workspace][1].current

    def drain(self) -> None:
        """Turn `/readyz` to 503; requests are still served."""
        self.app[HEALTH].is_draining = True

    async def stop(self) -> None:
        """Stop listening, and return once what is in flight has been answered."""
        if self._renewing is not None:
            self._renewing.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def show(self) -> None:
        """Bring the gauges up to date: of each shard, over all workspaces."""
        metrics = self.metrics
        for number, queues in enumerate(zip(*self._queues, strict=True)):
            shard = str(number)
            metrics.ingest_queue_depth.labels(shard).set(sum(q.waiting_batches for q in queues))
            metrics.ingest_queue_bytes.labels(shard).set(sum(q.waiting_bytes for q in queues))
            metrics.ingest_lag.labels(shard).set(max(q.lag_s for q in queues))


def _router(workspace: WorkspaceInfo) -> Router:
    return Router(
        workspace.scope,
        workspace.priority,
        workspace.login_ids,
        workspace.unique_ids,
        frozenset(each.number for each in workspace.inputs.values() if each.is_debug),
    )


def _connection_ids(config: EdgeConfig) -> dict[int, str]:
    return {number: name for name, number in config.connections.items()}


def _gateway(served: EdgeWorkspace, queues: Sequence[ShardQueue], max_queue_bytes: int) -> Gateway:
    workspace, shards, coordinator = served.workspace, served.shards, served.coordinator
    return Gateway(
        shards,
        queues,
        Ingestion(_router(workspace), queues, coordinator),
        coordinator,
        workspace.scope,
        _connection_ids(served.config),
        max_queue_bytes,
        GroupGateway(cast(Sequence[GroupReader], shards), served.group_desk),
        AudienceGateway(
            cast(Sequence[AudienceShard], shards),
            served.audience_desk,
            partial(asyncio.sleep, AUDIENCE_PAUSE_S),
        ),
        CalculatedGateway(
            cast(Sequence[CalculatedShard], shards), coordinator, served.calculated_desk
        ),
        served.privacy,
        ConfigGateway(
            workspace.number,
            served.config_desk,
            cast(Sequence[QueueShard], shards),
            served.forwarder_of,
            cast(OutputState, coordinator),
        ),
    )
