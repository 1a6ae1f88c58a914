"""The process of one edge."""

import asyncio
from pathlib import Path
from typing import cast

from actors.audiences.handles import desk_handle
from actors.calculated.handles import calculated_handle
from actors.clock import SystemClock, SystemRandomness
from actors.groups.handles import GroupDeskHandle
from actors.handles import CoordinatorHandle
from actors.hosting import Host, Process, settle_memory
from actors.metric_groups import EdgeMetrics
from actors.metric_snapshots import snapshot
from actors.model.workspaces import WorkspaceInfo
from actors.privacy.handles import privacy_handle
from actors.privacy.signing import Signer
from actors.remote import Handle
from actors.remote_handles import (
    RemoteConfiguration,
    RemoteCoordinator,
    forwarder_name,
    remote_shards,
)
from actors.store.placement import NodeFolder
from actors.store.slots import SlotMap, Slots
from config.served import ServedDocument
from server.config_follower import ConfigFollower
from server.config_gateway import ConfigDeskHandle, ForwarderHandle
from server.edge import EdgeOptions, EdgeProcess, EdgeWorkspace
from server.edge_config import EdgeConfig
from server.limit_file import LimitFile
from server.limits import RateLimiter
from server.privacy_gateway import PrivacyGateway

QUICK_S = 3.0  # for a forwarder that somebody asks about


class Edge(Process):
    """One edge; listens from `start` on. Ray names the process after this class."""

    def __init__(
        self,
        number: int,
        options: EdgeOptions,
        slots: SlotMap,
        shard_timeout_s: float,
        limit_file: Path,
        node_folder: NodeFolder | None,
        host: Host,
    ) -> None:
        super().__init__(host, "edge", str(number))
        if node_folder is not None:  # of a cluster: edges of a node share the rates
            limit_file = node_folder.here(limit_file)
            # Whose disk it is does not matter here; the shards of the node wait for theirs.
            limit_file.parent.mkdir(0o700, parents=True, exist_ok=True)
        self._options = options
        self._slots = Slots(slots)
        signer = Signer(options.signing)
        self._edge = EdgeProcess(
            [
                _reached(options.config_of(each), each.info, self._slots, shard_timeout_s, signer)
                for each in options.workspaces
            ],
            options.queues,
            RateLimiter(LimitFile(limit_file, len(options.workspaces))),
            EdgeMetrics(host.version),
            SystemClock(),
            SystemRandomness(),
            options.tls,
            is_development=options.settings.development,
            max_received_bytes=options.settings.max_received_bytes,
        )
        self._follower = ConfigFollower(
            RemoteConfiguration(),
            {each.info.number: each.edition for each in options.workspaces},
            self._take_over,
        )
        self._following: asyncio.Task[None] | None = None
        self._port: int | None = None
        self._is_stopping = False
        settle_memory()

    async def start(self, host: str, port: int, slots: SlotMap) -> int:
        """Listen, unless it does already, with the configuration as it is now; return the port.

        Args: `slots`: as they are owned now; what waits for a shard by another map is refused.

        Raises:
            CannotListen: the port cannot be taken.
            ShardUnavailable: the coordinator does not tell the configuration.
        """
        if self._slots.take_over(slots):
            self._edge.refuse_waiting()
        if self._port is None and not self._is_stopping:
            await self._follower.step()
            self._port = await self._edge.start(host, port)
            self._following = asyncio.get_running_loop().create_task(self._follower.run())
        return self._port or 0

    async def drain(self) -> None:
        """Say at `/readyz` that no more requests should come."""
        self._edge.drain()

    async def stop(self) -> None:
        """Stop listening and answer what is in flight."""
        self._is_stopping = True
        if self._following is not None:
            self._following.cancel()
        await self._edge.stop()

    async def metrics(self) -> bytes:
        """Return a snapshot of the process's metrics."""
        self._edge.show()
        return snapshot(self._edge.metrics.registry)

    async def _take_over(self, served: ServedDocument) -> None:
        self._edge.take_over(self._options.config_of(served), served.info)


def forwarder_handle(output: str) -> ForwarderHandle:
    """Return a handle to the forwarder of an output."""
    return cast(ForwarderHandle, Handle(forwarder_name(output), timeout_s=QUICK_S))


def _reached(
    config: EdgeConfig, workspace: WorkspaceInfo, slots: Slots, timeout_s: float, signer: Signer
) -> EdgeWorkspace:
    """Return a workspace with the handles of its parts."""
    coordinator = RemoteCoordinator(workspace.number, timeout_s)
    return EdgeWorkspace(
        config,
        workspace,
        remote_shards(workspace.number, slots, timeout_s),
        cast(CoordinatorHandle, coordinator),
        cast(GroupDeskHandle, coordinator),
        desk_handle(coordinator.call_audiences),
        calculated_handle(coordinator.call_calculated),
        PrivacyGateway(privacy_handle(coordinator.call_privacy), signer),
        cast(ConfigDeskHandle, RemoteConfiguration(timeout_s)),
        forwarder_handle,
    )
