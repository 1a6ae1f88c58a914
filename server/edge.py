"""One edge, put together: the queues to the shards, the gateway, the HTTP application."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import cast

from aiohttp import web
from msgspec import Struct

from actors.audiences.calls import AudienceShard
from actors.audiences.handles import AudienceDeskHandle
from actors.calculated.calls import CalculatedShard
from actors.calculated.desk import CalculatedDesk
from actors.clock import Clock, Randomness
from actors.groups.handles import GroupDeskHandle, GroupReader
from actors.handles import CoordinatorHandle, ShardHandle
from actors.metric_groups import EdgeMetrics
from actors.model import WorkspaceInfo
from server.app import RUNNER_OPTIONS, make_app
from server.audience_gateway import AudienceGateway
from server.calculated_gateway import CalculatedGateway
from server.edge_config import ConfigHolder, EdgeConfig
from server.gateway import Gateway
from server.group_gateway import GroupGateway
from server.health import HEALTH
from server.ingestion import Ingestion
from server.limits import RateLimiter
from server.microbatch import QueueOptions, ShardQueue
from server.routing import Router

SHUTDOWN_S = 4.0  # for requests that are in flight when the port is closed
# Between two slices of what is asked about all users: most of a shard's time is ingestion's.
AUDIENCE_PAUSE_S = 0.01


class EdgeOptions(Struct, frozen=True, kw_only=True):
    """What an edge is made of besides what it talks to."""

    config: EdgeConfig
    workspace: WorkspaceInfo
    queues: QueueOptions


class EdgeProcess:
    """The HTTP side of one process; `start` opens its port."""

    def __init__(
        self,
        options: EdgeOptions,
        shards: Sequence[ShardHandle],
        coordinator: CoordinatorHandle,
        group_desk: GroupDeskHandle,
        audience_desk: AudienceDeskHandle,
        calculated_desk: CalculatedDesk,
        limiter: RateLimiter,
        metrics: EdgeMetrics,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        """Args: `limiter` is shared with the machine's other edges; `randomness` of ids."""
        number = randomness.bits(63)  # micro-batches of a restarted edge are not its former ones
        self.metrics = metrics
        self._queues = [
            ShardQueue(number, index, shard, options.queues, clock, metrics)
            for index, shard in enumerate(shards)
        ]
        workspace, config = options.workspace, options.config
        router = Router(
            workspace.scope,
            workspace.priority,
            workspace.login_ids,
            frozenset(each.number for each in workspace.inputs.values() if each.is_debug),
        )
        gateway = Gateway(
            shards,
            self._queues,
            Ingestion(router, self._queues, coordinator),
            coordinator,
            workspace.scope,
            {number: name for name, number in config.connections.items()},
            options.queues.max_queue_bytes,
            GroupGateway(cast(Sequence[GroupReader], shards), group_desk),
            AudienceGateway(
                cast(Sequence[AudienceShard], shards),
                audience_desk,
                partial(asyncio.sleep, AUDIENCE_PAUSE_S),
            ),
            CalculatedGateway(
                cast(Sequence[CalculatedShard], shards), coordinator, calculated_desk
            ),
        )
        metrics.config_revision.labels(workspace.id).set(config.revision)
        self.app = make_app(gateway, ConfigHolder(config), clock, limiter, metrics, randomness)
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, beside other edges on the same port; return the port.

        Raises:
            OSError: the port cannot be taken.
        """
        runner = web.AppRunner(
            self.app, handle_signals=False, shutdown_timeout=SHUTDOWN_S, **RUNNER_OPTIONS
        )
        await runner.setup()
        site = web.TCPSite(runner, host, port, reuse_port=True)
        await site.start()
        self._runner = runner
        bound: int = runner.addresses[0][1]
        return bound

    def drain(self) -> None:
        """Turn `/readyz` to 503; requests are still served."""
        self.app[HEALTH].is_draining = True

    async def stop(self) -> None:
        """Stop listening, and return once what is in flight has been answered."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def show(self) -> None:
        """Bring the gauges up to date."""
        for queue in self._queues:
            queue.show()
