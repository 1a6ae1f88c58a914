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
        left_out: the bytes of its payload, if that is in the outbox alone (`parking`).
    """

    delivery: Delivery
    stream: Stream
    rereads: int
    chunk: str | None = None
    family: Family | None = None
    most_together: int = UNLIMITED
    left_out: int | None = None

    @property
    def is_parked(self) -> bool:
        """Whether its payload has to be fetched before it may be sent."""
        return self.left_out is not None

    @property
    def size(self) -> int:
        """How many bytes its payload has."""
        return len(self.delivery.payload) if self.left_out is None else self.left_out

    @property
    def is_stale(self) -> bool:
        """Whether it has to be read again before it may be sent again: it may be gone."""
        return self.rereads != self.stream.rereads

    @property
    def due_ms(self) -> int:
        """When it may be attempted."""
        return self.delivery.next_attempt_ms
