"""How shards are called about audiences; see `actors.handles` for the conventions."""

from collections.abc import Sequence
from typing import Protocol

from actors.audiences.answers import (
    Costs,
    Counts,
    Difference,
    Evaluation,
    Explanation,
    Member,
    MemberRow,
    Query,
    Sample,
)
from actors.audiences.told import LiveAudiences, ShardProgress


class AudienceShard(Protocol):
    """A shard. Calls that change something raise StoreFull and have then changed nothing."""

    async def set_audiences(self, live: LiveAudiences) -> int:
        """Take over what holds, unless a newer version is known; return the version known now."""
        ...

    async def change_list(
        self,
        number: int,
        audience: int,
        add: Sequence[int],
        remove: Sequence[int],
        is_cleared: bool = False,
    ) -> None:
        """Apply a change to the list of a static audience, unless it was applied before.

        Args:
            number: of the change; ascending, over all audiences.
            audience: whose list it is; it may not be live yet, or any more.
            add, remove: MPIDs of this shard; users who come later are members as well.
            is_cleared: whether all are removed before.
        """
        ...

    async def audience_progress(self) -> ShardProgress:
        """Tell how far it is with what it was told last."""
        ...

    async def audience_counts(self) -> dict[int, Counts]:
        """Return the counts of all live audiences."""
        ...

    async def audience_members(self, audience: int, after: int | None, limit: int) -> list[Member]:
        """Return members with an MPID above `after`, ascending, at most `limit`."""
        ...

    async def audience_member(self, audience: int, mpid: int) -> Member | None:
        """Return one member, `None` if the user is none."""
        ...

    async def evaluate_audience(
        self, query: Query, mpids: Sequence[int], as_of_ms: int | None
    ) -> list[Evaluation]:
        """Evaluate a query for users of this shard, in their order.

        `as_of_ms` replaces now, and hides events that are later (spec/audiences.md, 14).
        """
        ...

    async def audience_population(
        self, query: Query, cursor: bytes = b""
    ) -> tuple[int, bytes | None]:
        """Count users that a query is about, as many as take some milliseconds.

        Returns:
            How many, and the cursor with which to go on; `None` at the end. So do the other calls
            with a cursor: ingestion goes on in between.
        """
        ...

    async def sample_audience(
        self, query: Query, threshold: int, cursor: bytes = b""
    ) -> tuple[Sample, bytes | None]:
        """Evaluate a query for the users whose sample number (`estimate.sample_number`) is below a
        threshold."""
        ...

    async def explain_audience(
        self, query: Query, audience: int | None, mpid: int
    ) -> Explanation | None:
        """Tell why a user is a member of an audience or not; `None` if there is no such user."""
        ...

    async def compare_audience(
        self, query: Query, audience: int, limit: int, cursor: bytes = b""
    ) -> tuple[Difference, bytes | None]:
        """Tell who would enter and leave an audience if a query replaced its definition."""
        ...

    async def export_members(
        self, audience: int, identity_types: Sequence[str], after: int | None, limit: int
    ) -> list[MemberRow]:
        """Return members as `audience_members` does, with their identities of some types."""
        ...

    async def export_subscribed(
        self, subscription: int, identity_types: Sequence[str], after: int | None, limit: int
    ) -> list[MemberRow]:
        """Return members of a subscription's audience as `export_members` does.

        Whom the subscription is not to be told of, or not of all identities, lacks these.
        """
        ...

    async def audience_costs(self) -> Costs:
        """Tell what audiences take of the shard's memory."""
        ...
