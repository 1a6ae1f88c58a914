"""A lane, whose deliveries keep their order, and a request, which is filled from several lanes."""

from collections import deque
from collections.abc import Hashable

from actors.forwarding.entries import Entry, Waiting
from actors.outputs.contract import RequestLimits


class Lane:
    """Deliveries that keep their order. `key` is a number where there is only one.

    Attributes:
        timer_ms: when it will be looked at again, 0 if nobody has said so.
        listed: the list that it is in, if it is ready (`ready`).
    """

    __slots__ = ("connection", "entries", "key", "listed", "request", "timer_ms")

    def __init__(self, key: Hashable, connection: int) -> None:
        self.key = key
        self.connection = connection
        self.entries: list[Waiting] = []  # a deque of one takes ten times as much memory
        self.timer_ms = 0
        self.request: Request | None = None
        self.listed: deque[Lane] | None = None

    @property
    def is_blocked(self) -> bool:
        """Whether it waits for the retry of its first delivery."""
        return self.request is None and self.entries[0].attempts > 0


class Request:
    """The deliveries of one request: open while it is filled, then under way."""

    __slots__ = ("_limits", "_most", "_origins", "entries", "is_full", "lanes", "opened_ms", "size")

    def __init__(self, limits: RequestLimits) -> None:
        self._limits = limits
        self._most = limits.max_deliveries
        self.entries: list[Waiting] = []
        self._origins: list[Lane] = []  # of each delivery, while it is filled
        self.lanes: dict[Hashable, Lane] = {}
        self.size = 0
        self.opened_ms = 0
        self.is_full = False

    @property
    def ready(self) -> list[Entry]:
        """Those of its deliveries that are in memory."""
        return [each for each in self.entries if isinstance(each, Entry)]

    def add(self, lane: Lane, entry: Waiting, now_ms: int) -> bool:
        """Add a delivery if there is room for it; there always is for the first."""
        size = entry.size
        most = min(self._most, entry.most_together)
        if not self.entries:
            self.opened_ms = now_ms
        elif len(self.entries) >= most or self.size + size > self._limits.max_bytes:
            self.is_full = True
            return False
        self.entries.append(entry)
        self._origins.append(lane)
        self.lanes[lane.key] = lane
        self.size += size
        self._most = most
        self.is_full = len(self.entries) >= most
        return True

    def remove(self, connection: int) -> tuple[list[Waiting], list[Lane]]:
        """Take out the deliveries of a connection; return them and their lanes."""
        removed = [each for each in self.entries if each.connection == connection]
        if not removed:
            return [], []
        self.entries = [each for each in self.entries if each.connection != connection]
        self._origins = [each for each in self._origins if each.connection != connection]
        lanes = [each for each in self.lanes.values() if each.connection == connection]
        for lane in lanes:
            del self.lanes[lane.key]
        self.size -= sum(each.size for each in removed)
        together = (each.most_together for each in self.entries)
        self._most = min([self._limits.max_deliveries, *together])
        self.is_full = bool(self.entries) and len(self.entries) >= self._most
        return removed, lanes

    def undo(self) -> list[Lane]:
        """Put the deliveries back where they came from; return the lanes."""
        for lane, entry in zip(reversed(self._origins), reversed(self.entries), strict=True):
            lane.entries.insert(0, entry)
            lane.request = None
        return list(self.lanes.values())
