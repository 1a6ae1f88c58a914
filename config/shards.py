"""What a shard does for the configuration, to those in other processes."""

from typing import Protocol

from actors.shard_options import ShardOptions


class ConfiguredShard(Protocol):
    """What a shard does for the configuration; see `ShardCalls` and `ShardOutbox`."""

    async def revision(self) -> int:
        """Return the revision that the workspace's part of the shard has."""
        ...

    async def take_over(self, options: ShardOptions) -> int:
        """Go on with another revision; return it."""
        ...

    async def queue(self, connection: int) -> dict[str, int]:
        """Return how much waits for a connection."""
        ...
