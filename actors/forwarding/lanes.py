"""In which order deliveries may be attempted (spec/connections.md, 3.4). No I/O, no waiting.

Deliveries that have to keep their order share a lane: those of one (connection, MPID), of one
connection, or none at all. A lane has at most one request under way. A lane whose first delivery is
being retried is blocked; when too much waits behind it, its order is given up for a while.
"""

import heapq
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import count
from typing import Literal

from actors.forwarding.entries import Entry
from actors.outputs.contract import RequestLimits

Ordering = Literal["user", "none", "strict"]

MAX_BLOCKED = 200
BARRIER_OFF_MS = 20 * 60 * 1000
BARRIER_CYCLE_MS = BARRIER_OFF_MS + 10 * 60 * 1000  # the last part of it half open
LONG_WAIT_MS = 1000  # to read something again costs about a ms


class Lane:
    """Deliveries that keep their order. `key` is a number where there is only one."""

    __slots__ = ("connection", "entries", "is_listed", "key", "request")

    def __init__(self, key: Hashable, connection: int) -> None:
        self.key = key
        self.connection = connection
        self.entries: deque[Entry] = deque()
        self.request: Request | None = None
        self.is_listed = False

    @property
    def is_blocked(self) -> bool:
        """Whether it waits for the retry of its first delivery."""
        return self.request is None and self.entries[0].delivery.attempts > 0


class Request:
    """The deliveries of one request: open while it is filled, then under way."""

    __slots__ = ("_limits", "_most", "entries", "is_full", "lanes", "opened_ms", "size")

    def __init__(self, limits: RequestLimits) -> None:
        self._limits = limits
        self._most = limits.max_deliveries
        self.entries: list[Entry] = []
        self.lanes: dict[Hashable, Lane] = {}
        self.size = 0
        self.opened_ms = 0
        self.is_full = False

    def add(self, lane: Lane, entry: Entry, now_ms: int) -> bool:
        """Add a delivery if there is room for it; there always is for the first."""
        size = entry.size
        most = min(self._most, entry.most_together)
        if not self.entries:
            self.opened_ms = now_ms
        elif len(self.entries) >= most or self.size + size > self._limits.max_bytes:
            self.is_full = True
            return False
        self.entries.append(entry)
        self.lanes[lane.key] = lane
        self.size += size
        self._most = most
        self.is_full = len(self.entries) >= most
        return True

    def remove(self, connection: int) -> tuple[list[Entry], list[Lane]]:
        """Take out the deliveries of a connection; return them and their lanes."""
        removed = [each for each in self.entries if each.delivery.connection == connection]
        if not removed:
            return [], []
        self.entries = [each for each in self.entries if each.delivery.connection != connection]
        lanes = [each for each in self.lanes.values() if each.connection == connection]
        for lane in lanes:
            del self.lanes[lane.key]
        self.size -= sum(each.size for each in removed)
        together = (each.most_together for each in self.entries)
        self._most = min([self._limits.max_deliveries, *together])
        self.is_full = bool(self.entries) and len(self.entries) >= self._most
        return removed, lanes


class Lanes:
    """All deliveries that wait for one output, and what may be attempted next."""

    def __init__(
        self,
        ordering: Ordering,
        limits: RequestLimits,
        on_barrier_off: Callable[[Entry], None],
        on_long_wait: Callable[[Sequence[Entry]], None],
    ) -> None:
        """Begin empty.

        Args:
            ordering: what shares a lane.
            limits: of a request.
            on_barrier_off: told the first delivery of a lane that is given up.
            on_long_wait: told what waits for something that is not due for long.
        """
        self._ordering = ordering
        self._limits = limits
        self._on_barrier_off = on_barrier_off
        self._on_long_wait = on_long_wait
        self._lanes: dict[Hashable, Lane] = {}
        self._ready: deque[Lane] = deque()
        self._timers: list[tuple[int, int, Lane]] = []
        self._numbers = count()
        self._open = Request(limits)
        self._barriers_off: dict[Hashable, int] = {}  # key of the lane -> since when

    def limit(self, limits: RequestLimits) -> None:
        """Let requests carry as much; one that is being filled keeps what it began with."""
        if limits != self._limits:
            self._limits = limits
            if not self._open.entries:
                self._open = Request(limits)

    def add(self, entry: Entry, now_ms: int) -> None:
        """Add a delivery behind those of its lane."""
        key = self._key(entry)
        if self._barrier(key, now_ms) == "off":
            key = next(self._numbers)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key, entry.delivery.connection)
        lane.entries.append(entry)
        self._arrange(lane, now_ms)

    def take(self, now_ms: int) -> Request | None:
        """Return the next request to be sent, `None` if nothing is due."""
        while self._timers and self._timers[0][0] <= now_ms:
            self._arrange(heapq.heappop(self._timers)[2], now_ms)
        self._fill(now_ms)
        request = self._open
        if not request.entries:
            return None
        if not request.is_full and now_ms < request.opened_ms + self._limits.max_wait_ms:
            return None
        self._open = Request(self._limits)
        return request

    def finish(self, request: Request, back: list[Entry], now_ms: int) -> None:
        """End a request; `back` are its deliveries, or parts of them, that are to be sent again."""
        returned: dict[Hashable, list[Entry]] = {}
        for entry in back:
            key = self._key(entry)
            if key not in request.lanes or self._barrier(key, now_ms) != "on":
                self._add_alone(entry, now_ms)
            else:
                returned.setdefault(key, []).append(entry)
        for key, lane in request.lanes.items():
            lane.request = None
            lane.entries.extendleft(reversed(returned.get(key, [])))
            self._arrange(lane, now_ms)

    def next_due_ms(self) -> int | None:
        """Return when `take` may have something, if nothing is added or finished before."""
        if self._ready:
            return 0
        times = [self._timers[0][0]] if self._timers else []
        if self._open.entries:
            times.append(self._open.opened_ms + self._limits.max_wait_ms)
        return min(times, default=None)

    def remove(self, connection: int) -> list[Entry]:
        """Take out all that waits for a connection and is not under way."""
        removed, begun = self._open.remove(connection)
        for lane in begun:
            lane.request = None
        for lane in list(self._lanes.values()):
            if lane.connection == connection:
                removed += lane.entries
                lane.entries.clear()
                self._drop_if_empty(lane)
        return removed

    def blocked(self) -> Counter[int]:
        """Count blocked lanes by connection. Costs one pass over all lanes."""
        heads = (
            lane.entries[0] for lane in self._lanes.values() if lane.entries and lane.is_blocked
        )
        return Counter(head.delivery.connection for head in heads)

    def oldest(self) -> dict[int, int]:
        """Return the oldest receipt time of what waits, by connection. Costs one pass."""
        oldest: dict[int, int] = {}
        requests = dict.fromkeys(lane.request for lane in self._lanes.values() if lane.request)
        waiting: list[Iterable[Entry]] = [each.entries for each in requests]
        waiting += (each.entries for each in self._lanes.values())
        for delivery in (entry.delivery for entries in waiting for entry in entries):
            earlier_ms = oldest.get(delivery.connection, delivery.created_ms)
            oldest[delivery.connection] = min(earlier_ms, delivery.created_ms)
        return oldest

    # -- Inside -----------------------------------------------------------------------------------

    def _key(self, entry: Entry) -> Hashable:
        delivery = entry.delivery
        if self._ordering == "strict":
            return (delivery.connection,)
        if self._ordering == "none" or delivery.mpid is None:
            return next(self._numbers)
        return (delivery.connection, delivery.mpid)

    def _fill(self, now_ms: int) -> None:
        """Move deliveries that are due into the open request, lane by lane."""
        request = self._open
        while self._ready and not request.is_full:
            lane = self._ready[0]
            if self._is_due(lane, now_ms):
                if not request.add(lane, lane.entries[0], now_ms):
                    return
                lane.entries.popleft()
                lane.request = request
            else:
                self._ready.popleft()
                lane.is_listed = False
                self._arrange(lane, now_ms)

    def _is_due(self, lane: Lane, now_ms: int) -> bool:
        is_free = lane.request is None or lane.request is self._open
        return is_free and bool(lane.entries) and lane.entries[0].due_ms <= now_ms

    def _arrange(self, lane: Lane, now_ms: int) -> None:
        """Put a lane where it will be found when its first delivery may go."""
        if lane.is_listed or self._drop_if_empty(lane):
            return
        if self._is_due(lane, now_ms):
            lane.is_listed = True
            self._ready.append(lane)
        elif lane.request is None:
            if self._is_hopeless(lane):
                self._give_up_order(lane, now_ms)
            else:
                due_ms = lane.entries[0].due_ms
                heapq.heappush(self._timers, (due_ms, next(self._numbers), lane))
                # In a strict order nothing else could be sent meanwhile.
                if due_ms >= now_ms + LONG_WAIT_MS and self._ordering != "strict":
                    self._on_long_wait(lane.entries)

    def _drop_if_empty(self, lane: Lane) -> bool:
        if lane.entries:
            return False
        # A timer may still know a lane whose key has got another one since.
        if lane.request is None and self._lanes.get(lane.key) is lane:
            del self._lanes[lane.key]
        return True

    def _add_alone(self, entry: Entry, now_ms: int) -> None:
        lane = Lane(next(self._numbers), entry.delivery.connection)
        self._lanes[lane.key] = lane
        lane.entries.append(entry)
        self._arrange(lane, now_ms)

    # -- The barrier ------------------------------------------------------------------------------

    def _barrier(self, key: Hashable, now_ms: int) -> Literal["on", "half", "off"]:
        """Say how a lane keeps its order: fully, one at a time past what is retried, or not."""
        since_ms = self._barriers_off.get(key)
        if since_ms is None:
            return "on"
        if now_ms < since_ms + BARRIER_OFF_MS:
            return "off"
        return "half" if now_ms < since_ms + BARRIER_CYCLE_MS else "on"

    def _is_hopeless(self, lane: Lane) -> bool:
        too_many = len(lane.entries) - 1 > MAX_BLOCKED
        return too_many and lane.is_blocked and self._ordering == "user"

    def _give_up_order(self, lane: Lane, now_ms: int) -> None:
        self._on_barrier_off(lane.entries[0])
        self._barriers_off = {
            key: since_ms
            for key, since_ms in self._barriers_off.items()
            if now_ms < since_ms + BARRIER_CYCLE_MS
        }
        self._barriers_off[lane.key] = now_ms
        entries = list(lane.entries)
        lane.entries.clear()
        self._drop_if_empty(lane)
        for entry in entries:
            self._add_alone(entry, now_ms)
