"""Deliveries that wait for a retry, of which little is kept: their outbox has the rest.

Users whose deliveries fail for hours must not fill what a connection may have in memory: all the
others would not be read any more (spec/connections.md, 3.4).
"""

from collections import deque
from collections.abc import MutableSequence

from actors.forwarding.connections import Connections
from actors.forwarding.desk import Desk
from actors.forwarding.entries import Entry, Parked, Waiting
from actors.forwarding.lane import Request
from actors.forwarding.streams import SOURCE_FAULTS, Stream


class Parking:
    """Lets go of deliveries while there are too many, and fetches them when they are due.

    Attributes:
        fetched: requests that have their payloads again, to be sent before others.
    """

    def __init__(self, desk: Desk, connections: Connections) -> None:
        """`connections` know which stream has too much in memory, and not too much parked."""
        self.fetched: deque[Request] = deque()
        self._desk = desk
        self._connections = connections
        self._fetching = 0

    @property
    def is_full(self) -> bool:
        """Whether as many requests are being fetched as may be under way: each has payloads."""
        return self._fetching >= self._desk.output.max_in_flight

    def park(self, entries: MutableSequence[Waiting]) -> None:
        """Park, in their places, those that wait at the end and then at the beginning.

        As long as there is need. Those in between were parked before.
        """
        for places in (reversed(range(len(entries))), range(len(entries))):
            for place in places:
                entry = entries[place]
                if isinstance(entry, Parked):
                    break
                if not self._connections.may_park(entry.stream):
                    return
                if entry.family is None:  # the outbox does not know parts
                    entries[place] = self._park(entry)

    def _park(self, entry: Entry) -> Parked:
        entry.stream.release(entry.delivery)
        self._connections.park(entry.stream)
        return Parked(
            entry.stream,
            entry.sequence,
            entry.size,
            entry.due_ms,
            entry.attempts,
            entry.created_ms,
            entry.rereads,
            entry.most_together,
            entry.delivery_id if entry.attempts else "",
        )

    def begin(self) -> None:
        """Count a request that `fetch` is about to be called with."""
        self._fetching += 1

    async def fetch(self, request: Request) -> list[Waiting]:
        """Have a request get its payloads, and list it among the fetched unless nothing is left.

        What is not in its outbox any more was erased, and leaves the request.

        Returns:
            What has left the request since its source fails: to be read again, in order.
        """
        kept: list[Waiting] = []
        lost: list[Waiting] = []
        failed: set[Stream] = set()
        try:
            for entry in request.entries:
                try:
                    if entry.stream in failed:
                        lost.append(entry)
                    elif isinstance(entry, Entry):
                        kept.append(entry)
                    elif (fetched := await self._fetch(entry)) is not None:
                        kept.append(fetched)
                except SOURCE_FAULTS as error:
                    self._desk.source_failed(entry.stream, error)
                    failed.add(entry.stream)
                    lost.append(entry)
        finally:
            self._fetching -= 1
        request.entries = kept
        if kept:
            self.fetched.append(request)
        return lost

    async def _fetch(self, parked: Parked) -> Entry | None:
        """Read a delivery again; `None` if it is gone."""
        stream, sequence = parked.stream, parked.sequence
        written = stream.unwritten(sequence)  # what is read may be from before it
        found = await stream.source.read(stream.connection.number, sequence - 1, 1, 1)
        if not found or found[0].sequence != sequence:
            self.let_go(parked)
            stream.pass_by([sequence])
            return None
        self._connections.unpark(stream)
        delivery = stream.unwritten(sequence) or written or found[0]
        stream.hold(delivery)
        return Entry(delivery, stream, parked.rereads, most_together=parked.most_together)

    def let_go(self, entry: Waiting) -> None:
        """Have an entry count no more as one that is in memory."""
        if isinstance(entry, Parked):
            self._connections.unpark(entry.stream)
        else:
            entry.stream.release(entry.delivery)
