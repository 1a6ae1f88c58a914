"""What is asked of shards about audiences; see `actors.handles` for the conventions.

All messages are plain structs and can be pickled. Audiences and calculated attributes go by number,
MPIDs are of one environment each.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

from actors.audiences.announce import Subscription
from actors.audiences.criteria import Node
from actors.audiences.objects import AbTest
from actors.model import Environment


class Span(Struct, frozen=True):
    """Event times of a standard audience in ms: `start_ms` <= t < `end_ms`; `None` is open."""

    start_ms: int | None = None
    end_ms: int | None = None


class LiveAudience(Struct, frozen=True, kw_only=True):
    """An audience whose members shards keep.

    Attributes:
        revision: a shard that has evaluated another one for a user evaluates the user anew. Of a
            standard audience it counts the calculations: each is evaluated once per user, and never
            again by itself.
        name: shown in the Profile API; `external_name`: sent to outputs.
        node: what is evaluated; `None` for a static audience, whose list the shard has.
        span: of a standard audience, `None` for all others.
        workspaces: numbers of those whose users it is about.
    """

    number: int
    revision: int
    type: Literal["real_time", "standard", "static"]
    name: str
    external_name: str
    environment: Environment
    node: Node | None
    test: AbTest | None = None
    span: Span | None = None
    workspaces: tuple[int, ...] = ()

    @property
    def is_joint(self) -> bool:
        """Whether it is over several workspaces."""
        return len(self.workspaces) > 1


class LiveSubscription(Struct, frozen=True, kw_only=True):
    """An active connection of an audience, live or not; its changes become deliveries.

    Attributes:
        subscription: what is announced to whom.
        variation: of the audience's A/B test, whose users are announced; `None` for all.
        is_faulted: what changes is held, the last change of a user only.
        resumed: a greater number than the one known means that the held net changes are sent.
        sends: `None` where changes are sent as they come. Of a standard audience nothing is sent
            but all its members, once for each time that this number grows. It never does where the
            output is given lists of members.
    """

    subscription: Subscription
    variation: str | None
    is_faulted: bool
    resumed: int
    sends: int | None = None


class LiveAudiences(Struct, frozen=True, kw_only=True):
    """All that shards have to know; a greater `version` is newer.

    Members of an audience that is not in it any more lose their membership. Nothing is sent of
    that, except `delete` for members of those in `leaving`. The user attributes in
    `owned_attributes` are written by predictions alone.
    """

    version: int = 0
    audiences: tuple[LiveAudience, ...] = ()
    subscriptions: tuple[LiveSubscription, ...] = ()
    leaving: frozenset[int] = frozenset()
    owned_attributes: frozenset[str] = frozenset()


class Progress(Struct, frozen=True):
    """How far a shard is with one audience: profiles that were walked, of how many there are."""

    revision: int
    walked: int
    total: int
    is_done: bool


class ShardProgress(Struct, frozen=True):
    """How far a shard is.

    Attributes:
        version: of the `LiveAudiences` that it works by.
        audiences: number to progress, of every live audience.
        leaving: audiences of `LiveAudiences.leaving` that still have members here.
        list_change: number of the last `ListChange` that is applied.
        loaded: numbers, as of `Subscription`, of the active subscriptions that were told of all
            members that there were when they began.
    """

    version: int
    audiences: dict[int, Progress]
    leaving: frozenset[int]
    list_change: int
    loaded: frozenset[int] = frozenset()


class Counts(Struct, frozen=True):
    """Members of one audience on a shard, and who entered and left within the last 24 hours."""

    size: int
    added: int = 0
    dropped: int = 0


class Member(Struct, frozen=True):
    """A member, and since when."""

    mpid: int
    since_ms: int


class MemberRow(Struct, frozen=True):
    """A member with identities, for a download; `identities`: (type, value), any order."""

    mpid: int
    scanned_ms: int
    identities: tuple[tuple[str, str], ...]


class Query(Struct, frozen=True, kw_only=True):
    """A definition that is only asked about; nothing is kept of it.

    `span`: if it is of a standard audience; `workspaces`: numbers of those that it is over, one or
    none: the one that is asked.
    """

    node: Node
    environment: Environment
    span: Span | None = None
    workspaces: tuple[int, ...] = ()

    @property
    def is_joint(self) -> bool:
        """Whether it is over several workspaces."""
        return len(self.workspaces) > 1


class Evaluation(Struct, frozen=True):
    """What a query gives for one user.

    Attributes:
        result: `None` if there is no such user; the other members are then empty.
        criteria: of each criterion, in the order of the definition.
        expiration_ms: when it becomes false without new data, `None` if never.
    """

    mpid: int
    result: bool | None
    criteria: tuple[bool, ...] = ()
    expiration_ms: int | None = None


class Sample(Struct, frozen=True):
    """Who of a sample matches: users in the sample, hits, and hits of each criterion in order."""

    size: int
    hits: int
    criteria: tuple[int, ...]


class Reason(Struct, frozen=True):
    """What one criterion gives for a user.

    `values`: those that decided, as a person reads them; `missing`: there was none.
    """

    result: bool
    values: tuple[str, ...]
    is_missing: bool = False


class Explanation(Struct, frozen=True):
    """Why a user is a member or not.

    `result` is what the definition gives now; `since_ms` since when the user is a member, `None` if
    not; `is_counted`: belongs to the population, which an opted-out user does not.
    """

    result: bool
    since_ms: int | None
    is_counted: bool
    criteria: tuple[Reason, ...]
    expiration_ms: int | None = None


class Difference(Struct, frozen=True):
    """Who would enter, leave and stay if a definition replaced that of an audience.

    `entering_mpids`, `leaving_mpids`: the least of them, as many as were asked for.
    """

    entering: int
    leaving: int
    staying: int
    entering_mpids: tuple[int, ...] = ()
    leaving_mpids: tuple[int, ...] = ()


class SourceBytes(Struct, frozen=True):
    """What one source that criteria read takes: bytes of its columns, distinct values, theirs."""

    source: str
    array_bytes: int
    distinct: int
    value_bytes: int = 0


class Costs(Struct, frozen=True, kw_only=True):
    """What audiences take of a shard's memory (bytes of arrays and indexes).

    Attributes:
        rows: profiles that have a row; `row_bytes` of what every row has.
        membership_bytes: one bit for each row and audience.
        sources: columns that criteria on users read.
        entries: of the streams that criteria on events read; `entry_bytes` of them, room included.
        bytes_per_entry: of one plain entry.
        audiences, criteria, streams: how many are evaluated, different ones.
    """

    rows: int
    row_bytes: int
    membership_bytes: int
    sources: tuple[SourceBytes, ...]
    entries: int
    entry_bytes: int
    bytes_per_entry: int
    audiences: int
    criteria: int
    streams: int


class AudienceShard(Protocol):
    """A shard. Calls that change something raise StoreFull and have then changed nothing."""

    async def set_audiences(self, live: LiveAudiences) -> int:
        """Take over what holds, unless a newer version is known; return the version known now."""
        ...

    async def change_list(
        self, number: int, audience: int, add: Sequence[int], remove: Sequence[int]
    ) -> None:
        """Apply a change to the list of a static audience, unless it was applied before.

        Args:
            number: of the change; ascending, over all audiences.
            audience: whose list it is; it may not be live yet, or any more.
            add, remove: MPIDs of this shard; users who come later are members as well.
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
