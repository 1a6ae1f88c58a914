"""What other processes may ask of a workspace's part of a shard, by name."""

from typing import Any

from actors.audience_views import AudienceViews
from actors.audience_worker import AudienceWorker
from actors.calculated.worker import CalculatedWorker
from actors.clock import Clock
from actors.groups.views import GroupViews
from actors.groups.worker import GroupWorker
from actors.preview import ShardPreviews
from actors.shard import Shard
from actors.shard_aliases import ShardAliases
from actors.shard_views import ShardViews


class ShardCalls:
    """Calls methods of views, workers, the outbox and the shard itself."""

    def __init__(self, shard: Shard, clock: Clock) -> None:
        views = ShardViews(shard, clock)
        # What answers calls, and what is asked first.
        self._parts = (
            views,
            ShardAliases(shard, clock),
            GroupViews(shard, views),
            GroupWorker(shard),
            AudienceWorker(shard, clock),
            CalculatedWorker(shard),
            AudienceViews(shard, clock),
            ShardPreviews(shard, clock),
            shard.outbox,
            shard,
        )

    def call(self, method: str, *arguments: Any) -> Any:
        """Call the method of that name of whichever part has it."""
        target = next(part for part in self._parts if hasattr(part, method))
        return getattr(target, method)(*arguments)
