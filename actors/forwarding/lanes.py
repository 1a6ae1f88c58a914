"""In which order deliveries may be attempted (spec/connections.md, 3.4). No I/O, no waiting.

Deliveries that have to keep their order share a lane: those of one (connection, MPID), of one
connection, or none at all. A lane has at most one request under way. A lane whose first delivery is
being retried is blocked; when too much waits behind it, its order is given up for a while.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, MutableSequence
from itertools import count
from operator import attrgetter
from typing import Literal

from actors.forwarding.entries import Entry, Parked, Waiting
from actors.forwarding.lane import Lane, Request
from actors.forwarding.ready import Ready
from actors.forwarding.streams import Stream
from actors.outputs.contract import RequestLimits

Ordering = Literal["user", "none", "strict"]

MAX_BLOCKED = 200
BARRIER_OFF_MS = 20 * 60 * 1000
BARRIER_CYCLE_MS = BARRIER_OFF_MS + 10 * 60 * 1000  # the last part of it half open
LONG_WAIT_MS = 1000  # to read something again costs about a ms
NEVER_MS = 2**63

_created_ms = attrgetter("created_ms")


class Lanes:
    """All deliveries that wait for one output, and what may be attempted next."""

    def __init__(
        self,
        ordering: Ordering,
        limits: RequestLimits,
        on_barrier_off: Callable[[Waiting], None],
        on_long_wait: Callable[[MutableSequence[Waiting]], None],
    ) -> None:
        """Begin empty.

        Args:
            ordering: what shares a lane.
            limits: of a request.
            on_barrier_off: told the first delivery of a lane that is given up.
            on_long_wait: told what waits for something that is not due for long; may park it.
        """
        self._ordering = ordering
        self._limits = limits
        self._on_barrier_off = on_barrier_off
        self._on_long_wait = on_long_wait
        self._lanes: dict[Hashable, Lane] = {}
        self._ready = Ready()
        # When to look again at a lane, or at a parked delivery that has none of its own.
        self._timers: list[tuple[int, int, Lane | Parked]] = []
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

    @property
    def has_fresh(self) -> bool:
        """Whether something may go, as far as is known, that has not failed before."""
        return self._ready.has_fresh or any(not each.attempts for each in self._open.entries)

    def take(self, now_ms: int, *, is_probe: bool = False) -> Request | None:
        """Return the next request to be sent, `None` if nothing is due.

        `is_probe`: it decides whether more is sent at all. So nothing of it has failed before, if
        there is such, and it does not wait for more.
        """
        while self._timers and self._timers[0][0] <= now_ms:
            due_ms, _, waiting = heapq.heappop(self._timers)
            if isinstance(waiting, Parked):
                self._add_alone(waiting, now_ms)
                continue
            if waiting.timer_ms == due_ms:
                waiting.timer_ms = 0
            self._arrange(waiting, now_ms)
        if is_probe and self.has_fresh:
            self._put_back_tried(now_ms)
            self._fill(now_ms, is_fresh_alone=True)
        is_ready = is_probe and self.has_fresh
        if not is_ready:
            self._fill(now_ms, is_fresh_alone=False)
        request = self._open
        if not request.entries:
            return None
        is_over = now_ms >= request.opened_ms + self._limits.max_wait_ms
        if not (is_ready or request.is_full or is_over):
            return None
        if is_ready:
            self._ready.change_ends()
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
            lane.entries[:0] = returned.get(key, [])
            self._arrange(lane, now_ms)

    def next_due_ms(self) -> int | None:
        """Return when `take` may have something, if nothing is added or finished before."""
        if self._ready:
            return 0
        times = [self._timers[0][0]] if self._timers else []
        if self._open.entries:
            times.append(self._open.opened_ms + self._limits.max_wait_ms)
        return min(times, default=None)

    def remove(self, connection: int) -> list[Waiting]:
        """Take out all that waits for a connection and is not under way."""
        removed, begun = self._open.remove(connection)
        for lane in begun:
            lane.request = None
        for lane in list(self._lanes.values()):
            if lane.connection == connection:
                removed += lane.entries
                lane.entries.clear()
                self._drop_if_empty(lane)
        alone = [each for each in self._alone() if each.connection == connection]
        if alone:
            gone = set(map(id, alone))
            self._timers = [each for each in self._timers if id(each[2]) not in gone]
            heapq.heapify(self._timers)
        return removed + alone

    def blocked(self) -> Counter[int]:
        """Count blocked lanes by connection. Costs one pass over all lanes."""
        lanes = (each for each in self._lanes.values() if each.entries and each.is_blocked)
        counts = Counter(each.connection for each in lanes)
        for stream, parked in Counter(each.stream for each in self._alone()).items():
            counts[stream.connection.number] += parked
        return counts

    def oldest(self) -> dict[int, int]:
        """Return the oldest receipt time of what waits, by connection. Costs one pass."""
        oldest: dict[int, int] = {}

        def note(connection: int, created_ms: int) -> None:
            oldest[connection] = min(oldest.get(connection, created_ms), created_ms)

        for lane in self._lanes.values():
            if lane.entries:
                note(lane.connection, min(map(_created_ms, lane.entries)))
        requests = dict.fromkeys(lane.request for lane in self._lanes.values() if lane.request)
        for entry in (entry for each in requests for entry in each.entries):
            note(entry.connection, entry.created_ms)
        by_stream: dict[Stream, int] = {}
        for parked in self._alone():
            stream, created_ms = parked.stream, parked.created_ms
            if created_ms < by_stream.get(stream, NEVER_MS):
                by_stream[stream] = created_ms
        for stream, created_ms in by_stream.items():
            note(stream.connection.number, created_ms)
        return oldest

    # -- Inside -----------------------------------------------------------------------------------

    def _alone(self) -> Iterator[Parked]:
        """Yield what is parked without a lane."""
        return (each[2] for each in self._timers if isinstance(each[2], Parked))

    def _key(self, entry: Entry) -> Hashable:
        delivery = entry.delivery
        if self._ordering == "strict":
            return (delivery.connection,)
        if self._ordering == "none" or delivery.mpid is None:
            return next(self._numbers)
        return (delivery.connection, delivery.mpid)

    def _fill(self, now_ms: int, *, is_fresh_alone: bool) -> None:
        """Move deliveries that are due into the open request, lane by lane.

        `is_fresh_alone`: only those that have not failed before.
        """
        request, ready = self._open, self._ready
        while not request.is_full:
            lane = ready.first(is_fresh_alone=is_fresh_alone)
            if lane is None:
                return
            if not self._is_due(lane, now_ms) or ready.is_misplaced(lane):
                ready.drop(lane)
                self._arrange(lane, now_ms)
            elif request.add(lane, lane.entries[0], now_ms):
                del lane.entries[0]
                lane.request = request
                ready.took(lane)
        ready.drop_taken(request)

    def _put_back_tried(self, now_ms: int) -> None:
        """Empty the open request if something of it has failed before."""
        request = self._open
        if any(each.attempts for each in request.entries):
            self._open = Request(self._limits)
            for lane in request.undo():
                self._arrange(lane, now_ms)

    def _is_due(self, lane: Lane, now_ms: int) -> bool:
        is_free = lane.request is None or lane.request is self._open
        return is_free and bool(lane.entries) and lane.entries[0].due_ms <= now_ms

    def _arrange(self, lane: Lane, now_ms: int) -> None:
        """Put a lane where it will be found when its first delivery may go."""
        if lane.listed is not None or self._drop_if_empty(lane):
            return
        if self._is_due(lane, now_ms):
            self._ready.add(lane)
        elif lane.request is None:
            if self._is_hopeless(lane):
                self._give_up_order(lane, now_ms)
            else:
                self._await_retry(lane, now_ms)

    def _await_retry(self, lane: Lane, now_ms: int) -> None:
        """Have a lane be looked at when its first delivery is due, and have little of it kept."""
        due_ms = lane.entries[0].due_ms
        # In a strict order nothing else could be sent meanwhile.
        if due_ms >= now_ms + LONG_WAIT_MS and self._ordering != "strict":
            self._on_long_wait(lane.entries)
            first = lane.entries[0]
            if isinstance(first, Parked) and isinstance(lane.key, int):
                lane.entries.clear()
                self._drop_if_empty(lane)
                heapq.heappush(self._timers, (due_ms, next(self._numbers), first))
                return
        if lane.timer_ms != due_ms:
            lane.timer_ms = due_ms
            heapq.heappush(self._timers, (due_ms, next(self._numbers), lane))

    def _drop_if_empty(self, lane: Lane) -> bool:
        if lane.entries:
            return False
        # A timer may still know a lane whose key has got another one since.
        if lane.request is None and self._lanes.get(lane.key) is lane:
            del self._lanes[lane.key]
        return True

    def _add_alone(self, entry: Waiting, now_ms: int) -> None:
        lane = Lane(next(self._numbers), entry.connection)
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
