"""What a forwarder knows of a delivery between its being read and its outcome.

A delivery may be sent in parts, may wait without its payload, and may be gone from the outbox by
the time that it is due; in which order deliveries go is not known here (`lanes`).
"""

from msgspec import Struct

from actors.forwarding.streams import Stream
from actors.model.deliveries import DeadLetter, Delivery

UNLIMITED = 2**62  # deliveries of a request


class Family(Struct):
    """The parts of one delivery that had to be split: settled together, as the delivery.

    Attributes:
        open: parts that have no outcome yet.
        failed: chunk id to dead letter.
        is_given_back: a part was let go of; the delivery stays in the outbox.
    """

    parent: Delivery
    open: int
    failed: dict[str, DeadLetter]
    is_given_back: bool = False


class Entry(Struct):
    """One delivery that waits or is under way.

    Attributes:
        rereads: those of its stream when it was read.
        chunk: its chunk id, where it was split off.
        most_together: how many may share a request with it.
    """

    delivery: Delivery
    stream: Stream
    rereads: int
    chunk: str | None = None
    family: Family | None = None
    most_together: int = UNLIMITED

    @property
    def sequence(self) -> int:
        """Its place in its outbox."""
        return self.delivery.sequence

    @property
    def connection(self) -> int:
        """The number of its connection."""
        return self.delivery.connection

    @property
    def delivery_id(self) -> str:
        """By what its receiver knows it."""
        return self.delivery.delivery_id

    @property
    def attempts(self) -> int:
        """How often it was tried in vain."""
        return self.delivery.attempts

    @property
    def created_ms(self) -> int:
        """When its cause was received."""
        return self.delivery.created_ms

    @property
    def size(self) -> int:
        """How many bytes its payload has."""
        return len(self.delivery.payload)

    @property
    def due_ms(self) -> int:
        """When it may be attempted."""
        return self.delivery.next_attempt_ms

    @property
    def is_stale(self) -> bool:
        """Whether it has to be read again before it may be sent again: it may be gone."""
        return self.rereads != self.stream.rereads


class Parked(Struct, gc=False):
    """What stays in memory of a delivery that waits for long (`parking`): as little as may be.

    All else is in its outbox. The members that `Entry` has as well mean the same; `delivery_id` is
    empty where it was not tried.
    """

    stream: Stream
    sequence: int
    size: int
    due_ms: int
    attempts: int
    created_ms: int
    rereads: int
    most_together: int
    delivery_id: str

    @property
    def connection(self) -> int:
        """The number of its connection."""
        return self.stream.connection.number


Waiting = Entry | Parked
