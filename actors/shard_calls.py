"""What other processes may ask of a workspace's part of a shard, by name."""

from typing import Any

from actors.audience_changes import AudienceChanges
from actors.audience_members import MemberViews
from actors.audience_questions import QuestionViews
from actors.audience_worker import AudienceWorker
from actors.calculated.worker import CalculatedWorker
from actors.clock import Clock
from actors.groups.views import GroupViews
from actors.groups.worker import GroupWorker
from actors.predictions.worker import PredictionWorker
from actors.preview import ShardPreviews
from actors.shard import Shard
from actors.shard_aliases import ShardAliases
from actors.shard_deletion import ShardDeletion
from actors.shard_erasure import ShardErasure
from actors.shard_expiry import ShardExpiry
from actors.shard_exports import ShardExports
from actors.shard_options import ShardOptions
from actors.shard_views import ShardViews


class ShardCalls:
    """Calls methods of views, workers, the parts of the shard and the shard itself."""

    def __init__(self, shard: Shard, clock: Clock) -> None:
        self._shard = shard
        self._clock = clock
        self._put_together()

    def _put_together(self) -> None:
        """Make the parts, which keep nothing between two calls."""
        shard, clock = self._shard, self._clock
        views = ShardViews(shard, clock)
        changes = AudienceChanges(shard, clock)
        # What answers calls, and what is asked first.
        self._parts = (
            views,
            ShardAliases(shard, clock),
            GroupViews(shard, views),
            GroupWorker(shard),
            AudienceWorker(shard, clock),
            PredictionWorker(shard, changes, clock),
            CalculatedWorker(shard, clock),
            MemberViews(shard, clock),
            QuestionViews(shard, clock),
            ShardErasure(shard, changes),
            ShardDeletion(shard, changes),
            ShardExpiry(shard, clock),
            ShardExports(shard),
            ShardPreviews(shard, clock),
            shard.identities,
            shard.points,
            shard.outbox,
            shard,
        )

    def take_over(self, options: ShardOptions) -> int:
        """Go on with another revision of the workspace's configuration; return its number.

        Raises as `Shard.take_over`.
        """
        if options.revision != self._shard.options.revision:
            self._shard.take_over(options)
            self._put_together()
        return self._shard.options.revision

    def revision(self) -> int:
        """Return the revision of the configuration that is in use."""
        return self._shard.options.revision

    def call(self, method: str, *arguments: Any) -> Any:
        """Call the method of that name of whichever part has it."""
        if hasattr(self, method):
            return getattr(self, method)(*arguments)
        target = next(part for part in self._parts if hasattr(part, method))
        return getattr(target, method)(*arguments)
