"""What waits for a connection in an outbox, what became a dead letter, and what was settled."""

from msgspec import Struct, field

from actors.model.workspaces import Environment


class Delivery(Struct, array_like=True):
    """One thing to be sent to one output: a job of spec/connections.md, 3.1.

    Attributes:
        sequence: place in the shard's outbox; order within a connection and shard.
        connection: number of the connection.
        delivery_id: `dl_...`, the same however often it is made, sent or replayed.
        mpid: whose it is, `None` if nobody's: order is kept per (connection, mpid).
        payload: what to send: the JSON of one outgoing batch.
        created_ms: receipt time of its cause.
        first_event_ms: time of its first event, 0 if it has none.
        event_count: events inside.
        attempts: failed attempts so far; `first_attempt_ms` when the first was made, 0 if none.
        next_attempt_ms: not before this; `delayed_ms` when that was reckoned, 0 if never.
    """

    sequence: int
    connection: int
    delivery_id: str
    mpid: int | None
    payload: bytes
    created_ms: int
    first_event_ms: int = 0
    event_count: int = 0
    environment: Environment = "production"
    attempts: int = 0
    first_attempt_ms: int = 0
    next_attempt_ms: int = 0
    delayed_ms: int = 0


class DeadLetter(Struct, array_like=True):
    """A delivery that failed for good (spec/connections.md, 3.7)."""

    delivery: Delivery
    reason: str
    dead_ms: int
    last_attempt_ms: int
    http_status: int | None = None
    response_excerpt: str | None = None


class Settlement(Struct, array_like=True):
    """What became of deliveries of one connection on one shard; applied in one transaction.

    `done`: sequences to delete; `dead`: to move to the dead letters; `delayed`: to write back with
    their attempts and next attempt.
    """

    connection: int
    done: list[int] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    delayed: list[Delivery] = field(default_factory=list)
