"""Bundles on their way to an output, each with what was put into it."""

from array import array
from collections import deque
from collections.abc import AsyncIterator, Sequence

from actors.forwarding.streams import REMEMBERED_IDS, Stream
from actors.model.deliveries import Delivery
from actors.outputs.contract import Bundle, Failed

PAGE = 500
PAGE_BYTES = 8 * 1024 * 1024


class Pack:
    """A bundle and what was put into it: all that is left in memory of its deliveries.

    Attributes:
        failure: reason, begin and outcome of what failed for good, to be buried.
        is_broken: there is no bundle any more; see `breaks`.
    """

    def __init__(self, bundle: Bundle, first: Delivery, now_ms: int) -> None:
        self.bundle = bundle
        self.first = first  # carries the attempts of the whole bundle
        self.opened_ms = now_ms
        self.due_ms = first.next_attempt_ms
        self.sequences = array("Q")
        # No more of them are remembered once they are delivered.
        self.ids: deque[tuple[str, int | None]] = deque(maxlen=REMEMBERED_IDS)
        self.events = 0
        self.failure: tuple[str, int, Failed] | None = None
        self.is_broken = False

    @property
    def is_waiting(self) -> bool:
        """Whether it could not be filled, and is to be filled anew when it is due."""
        return self.is_broken and self.failure is None

    def breaks(self, waiting: Sequence[Delivery]) -> None:
        """Note that it could not be filled: what it has, and what waits behind it, is read again.

        Until it is due that waits here, without being in the bundle, which was discarded.
        """
        self.is_broken = True
        self.sequences.extend(delivery.sequence for delivery in waiting)

    def took(self, deliveries: Sequence[Delivery]) -> None:
        """Remember what the bundle took."""
        self.sequences.extend(delivery.sequence for delivery in deliveries)
        self.ids.extend((delivery.delivery_id, delivery.mpid) for delivery in deliveries)
        self.events += sum(delivery.event_count for delivery in deliveries)

    async def read_again(self, stream: Stream) -> AsyncIterator[Delivery]:
        """Yield what was put in, from the outbox; what was erased is not there any more.

        What is said of the deliveries of a page is settled before the next page is read.

        Raises:
            ShardUnavailable, StoreFull: the rest cannot be read now.
        """
        wanted = set(self.sequences)
        after, last = min(wanted) - 1, max(wanted)
        while wanted and after < last:
            page = await stream.source.read(stream.connection.number, after, PAGE, PAGE_BYTES)
            if not page:
                break
            for delivery in page:
                if delivery.sequence in wanted:
                    yield delivery
            wanted.difference_update(delivery.sequence for delivery in page)
            after = page[-1].sequence
            await stream.settled()


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

    @property
    def unfilled(self) -> Pack | None:
        """The bundle that could not be filled and waits, with all that comes for the group."""
        return self.queue[-1] if self.queue and self.queue[-1].is_waiting else None

    def close(self) -> None:
        """Let the open bundle be sent."""
        if self.open is not None:
            self.queue.append(self.open)
            self.open = None
            self.is_careful = False
