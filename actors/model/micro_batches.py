"""What an edge sends a shard at once, and what it is told of each batch in it."""

from msgspec import Struct

from actors.errors import Problem
from actors.model.batches import BatchContext
from actors.model.workspaces import Environment


class Item(Struct, array_like=True):
    """One batch of a micro-batch: its bytes as sent, and what the edge knows.

    `unit` numbers the batches of one request that share an identity: after the first of a unit
    that cannot be applied here, the rest of the unit comes back `Deferred`, so that their order
    holds. `mpid` is the answer of the coordinator, or a guess of the edge where `is_guess`. If
    `is_question`, it is only to be told whose the batch is.
    """

    raw: bytes
    context: int  # index into MicroBatch.contexts
    unit: int = 0
    mpid: int | None = None
    is_guess: bool = False
    is_question: bool = False


class EventName(Struct, frozen=True, array_like=True, order=True):
    """What the limit on distinct event names counts (spec/events-api.md, 14)."""

    event_type: str
    name: str


class EventNames(Struct, array_like=True):
    """Names that the coordinator has admitted; if it takes no more, all that it ever did."""

    admitted: list[EventName]
    is_full: bool


class MicroBatch(Struct, array_like=True):
    """Many batches for one shard, committed together.

    An edge numbers its micro-batches for each shard, so (edge, number) names one of them.
    `event_names` is what the edge has learnt from the coordinator since its last one.
    """

    edge: int
    number: int
    contexts: list[BatchContext]
    items: list[Item]
    event_names: EventNames | None = None


class Accepted(Struct, array_like=True, tag=1):
    """Applied and on disk. `mpid` is `None` for an unattributed batch."""

    mpid: int | None
    events: int


class Duplicate(Struct, array_like=True, tag=2):
    """Applied before; nothing was done. `reason` is the drop reason that is counted."""

    reason: str


class Rejected(Struct, array_like=True, tag=3):
    """Not applied, for the sender to mend."""

    problems: list[Problem]


class Moved(Struct, array_like=True, tag=4):
    """Not applied here: the profile lives in another slot.

    `is_settled`: it is the one for certain; else its own shard has to see whether it is.
    """

    mpid: int
    is_settled: bool = False


class Newcomer(Struct, array_like=True):
    """What a shard saw of somebody it could not resolve, so that it need not be asked again.

    Attributes:
        start, nonce, write: of the coordinator's last write that it had (`store.identities`).
        types: IDSync types of the identities sent that lie there, and that nobody had.
        mpid: one near the first of all identities sent that nobody had; 0 if it is not there.
    """

    start: int
    nonce: int
    write: int
    types: list[str]
    mpid: int


class Unresolved(Struct, array_like=True, tag=5):
    """Not applied: its identities are not all attached to one profile; ask the coordinator.

    `identities`: (IDSync type, value as sent, trimmed), in priority order; `newcomer`: if nobody
    has the first of them. `expired`: an MPID whose identity record is still to be erased, because
    its retention is over.
    """

    environment: Environment
    identities: list[tuple[str, str]]
    newcomer: Newcomer | None = None
    expired: int | None = None


class Deferred(Struct, array_like=True, tag=6):
    """Not applied, because a batch of its unit before it was not; send it again after that."""


class Unregistered(Struct, array_like=True, tag=7):
    """Not applied: it has event names that this shard does not know; ask the coordinator."""

    names: list[EventName]


class Elsewhere(Struct, array_like=True, tag=8):
    """Not applied here: with what is blocked of it, it is nobody's, and those lie in their slot."""

    slot: int


class Whose(Struct, array_like=True, tag=9):
    """Not applied: it was only asked whose it is. `mpid` is `None` if that is nobody."""

    mpid: int | None


Result = (
    Accepted
    | Duplicate
    | Rejected
    | Moved
    | Unresolved
    | Deferred
    | Unregistered
    | Elsewhere
    | Whose
)
