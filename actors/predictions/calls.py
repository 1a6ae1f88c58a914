"""What is asked of shards about predictions; see `actors.handles` for the conventions."""

from collections.abc import Sequence
from typing import Protocol

from actors.model.profiles import Scored
from actors.model.workspaces import Environment
from actors.predictions.objects import Writing


class PredictionShard(Protocol):
    """A shard: `actors.predictions.worker.PredictionWorker`. What writes raises StoreFull."""

    async def take_scores(
        self, prediction: int, environment: Environment, rows: Sequence[tuple[int, int]]
    ) -> int:
        """Keep scores, (MPID, millionths); return how many are of users whom nobody knows."""
        ...

    async def count_scores(
        self, writing: Writing, cursor: bytes
    ) -> tuple[list[tuple[int, int]], bytes | None]:
        """Count the scores of users who may have one; return (millionths, users) and a cursor."""
        ...

    async def write_scores(self, writing: Writing, cursor: bytes) -> tuple[int, bytes | None]:
        """Give users what their scores come to; return how many got something, and a cursor."""
        ...

    async def user_score(
        self, prediction: int, environment: Environment, mpid: int
    ) -> Scored | None:
        """Return what a prediction gives a user, `None` for nothing."""
        ...
