"""How a shard is set up."""

from pathlib import Path

from msgspec import Struct

from actors.model import WorkspaceInfo
from actors.steps.enqueue import ConnectionInfo


class ShardOptions(Struct, frozen=True, kw_only=True):
    """How one shard is set up. Sizes in bytes.

    Attributes:
        number, of: this is shard `number` (from 0) of so many.
        folder: of its store.
        queue_limits: connection to the bytes that may wait for it on this shard.
    """

    number: int
    of: int
    folder: Path
    map_size_bytes: int
    profile_cache_bytes: int
    workspace: WorkspaceInfo
    connections: tuple[ConnectionInfo, ...]
    queue_limits: dict[int, int]
