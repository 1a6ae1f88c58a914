"""How a shard is set up."""

from pathlib import Path

from msgspec import Struct

from actors.model.workspaces import WorkspaceInfo
from actors.pipeline.connection import ConnectionInfo
from actors.plans.versions import PlanInfo
from actors.store.placement import NodeFolder
from actors.store.slots import SlotMap


class StoreOptions(Struct, frozen=True, kw_only=True):
    """How what the workspaces share on one shard is set up. Sizes in bytes.

    Attributes:
        number: of the shard, from 0; `of` so many.
        folder: of its store.
        workspaces: how many there have ever been: slots bring what is kept of those that are left
            out now. `scopes`: all identity scopes of those that are served.
        node_folder: on a cluster, what `folder` is in, on the node that runs the shard.
        is_begun: the store was made before this run: where it is missing, it is not made anew.
        is_late: its node was away as the run began, which serves without it.
        slots: who owns which; `None`: all as many.
    """

    number: int
    of: int
    folder: Path
    map_size_bytes: int
    profile_cache_bytes: int
    workspaces: int = 1
    scopes: frozenset[int] = frozenset()
    node_folder: NodeFolder | None = None
    is_begun: bool = False
    is_late: bool = False
    slots: SlotMap | None = None


class ShardOptions(Struct, frozen=True, kw_only=True):
    """How a workspace's part of one shard is set up. Sizes in bytes.

    Attributes:
        plans: the data plans.
        queue_limits: connection to the bytes that may wait for it on this shard.
        dropped: connections that were deleted with all that waits for them.
        revision: of the workspace's configuration.
    """

    workspace: WorkspaceInfo
    connections: tuple[ConnectionInfo, ...] = ()
    plans: tuple[PlanInfo, ...] = ()
    queue_limits: dict[int, int] = {}
    dropped: frozenset[int] = frozenset()
    revision: int = 1

    @property
    def all_connections(self) -> tuple[ConnectionInfo, ...]:
        """The connections of inputs, and those of data plans to their quarantine outputs."""
        quarantines = (
            version.quarantine
            for plan in self.plans
            for version in plan.versions
            if version.quarantine is not None
        )
        return (*self.connections, *quarantines)
