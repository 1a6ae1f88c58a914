"""What shards are asked about audiences, and what they answer.

All of it is plain structs and can be pickled. MPIDs are of one environment each.
"""

from msgspec import Struct

from actors.audiences.criteria import Node
from actors.audiences.told import Span
from actors.model.workspaces import Environment


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
        bytes_per_entry: of one plain entry without a value.
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
