"""Bundles on their way to an output, each with what was put into it."""

from array import array
from collections import deque
from collections.abc import Sequence

from actors.forwarding.streams import REMEMBERED_IDS
from actors.model.deliveries import Delivery
from actors.outputs.contract import Bundle, Outcome


class Pack:
    """A bundle and what was put into it: all that is left in memory of its deliveries."""

    def __init__(self, bundle: Bundle, first: Delivery, now_ms: int) -> None:
        self.bundle = bundle
        self.first = first  # carries the attempts of the whole bundle
        self.opened_ms = now_ms
        self.due_ms = first.next_attempt_ms
        self.sequences = array("Q")
        # No more of them are remembered once they are delivered.
        self.ids: deque[tuple[str, int | None]] = deque(maxlen=REMEMBERED_IDS)
        self.events = 0
        self.failure: tuple[str, int, Outcome] | None = None

    def took(self, deliveries: Sequence[Delivery]) -> None:
        """Remember what the bundle took."""
        self.sequences.extend(delivery.sequence for delivery in deliveries)
        self.ids.extend((delivery.delivery_id, delivery.mpid) for delivery in deliveries)
        self.events += sum(delivery.event_count for delivery in deliveries)


class Group:
    """The bundles of one group: one that is filled, and those that wait to be sent in turn.

    `rereads`: those of its stream when the first of it was read.
    """

    def __init__(self, rereads: int) -> None:
        self.rereads = rereads
        self.open: Pack | None = None
        self.queue: deque[Pack] = deque()
        self.is_sending = False
        self.is_leaving = False  # its bundles are being discarded
        self.is_lost = False  # the next to be sent lost what it had: all has to be read again
        self.is_careful = False  # one at a time, to find a delivery that the output cannot take

    def close(self) -> None:
        """Let the open bundle be sent."""
        if self.open is not None:
            self.queue.append(self.open)
            self.open = None
            self.is_careful = False
