"""Deliveries that wait for a retry without their payloads, which their outbox has as well.

A user whose deliveries fail for hours must not fill what a connection may have in memory: all the
others would not be read any more (spec/connections.md, 3.4).
"""

from collections import deque
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from actors.forwarding.desk import Desk
from actors.forwarding.entries import Entry
from actors.forwarding.lanes import Request
from actors.forwarding.streams import SOURCE_FAULTS, Stream


class Parking:
    """Lets go of payloads while there are too many, and fetches them when they are due.

    Attributes:
        fetched: requests that have their payloads again, to be sent before others.
    """

    def __init__(self, desk: Desk, may_park: Callable[[Stream], bool]) -> None:
        """`may_park` tells whether a stream has too much in memory, and not too much parked."""
        self.fetched: deque[Request] = deque()
        self._desk = desk
        self._may_park = may_park
        self._fetching = 0

    @property
    def is_full(self) -> bool:
        """Whether as many requests are being fetched as may be under way: each has payloads."""
        return self._fetching >= self._desk.output.max_in_flight

    def park(self, entries: Sequence[Entry]) -> None:
        """Let go of the payloads of what waits, the last first, as long as there is need."""
        for entry in reversed(entries):
            if not self._may_park(entry.stream):
                return
            if entry.family is None and not entry.is_parked:  # the outbox does not know parts
                _park(entry)

    def begin(self) -> None:
        """Count a request that `fetch` is about to be called with."""
        self._fetching += 1

    async def fetch(self, request: Request) -> list[Entry]:
        """Have a request get its payloads, and list it among the fetched unless nothing is left.

        What is not in its outbox any more was erased, and leaves the request.

        Returns:
            What has left the request since its source fails: to be read again, in order.
        """
        kept: list[Entry] = []
        lost: list[Entry] = []
        failed: set[Stream] = set()
        try:
            for entry in request.entries:
                try:
                    if entry.stream in failed:
                        lost.append(entry)
                    elif not entry.is_parked or await _fetch(entry):
                        kept.append(entry)
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


def _park(entry: Entry) -> None:
    entry.stream.release(entry.delivery)
    entry.stream.parked += 1
    entry.left_out = len(entry.delivery.payload)
    entry.delivery = replace(entry.delivery, payload=b"")


async def _fetch(entry: Entry) -> bool:
    """Read a payload again; tell whether it was there."""
    stream, sequence = entry.stream, entry.delivery.sequence
    found = await stream.source.read(stream.connection.number, sequence - 1, 1, 1)
    if not found or found[0].sequence != sequence:
        let_go(entry)
        stream.pass_by([sequence])
        return False
    stream.parked -= 1
    entry.left_out = None
    entry.delivery = replace(entry.delivery, payload=found[0].payload)
    stream.hold(entry.delivery)
    return True


def let_go(entry: Entry) -> None:
    """Have an entry count no more as one that is in memory."""
    if entry.is_parked:
        entry.stream.parked -= 1
    else:
        entry.stream.release(entry.delivery)
