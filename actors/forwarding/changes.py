"""Changes of membership on their way into requests, several of one audience to each. No I/O.

For outputs whose limits have `max_changes`: what waits of one subscription (on one shard) when a
request can be sent goes together, nothing waits for more, and a user is in it at most once
(spec/connections.md, 4.4). While a request is under way what comes is gathered for the next one.
Users whose change is under way or is being retried wait; the others pass them.

A request that has to be repeated keeps its parts, and so its id, which outputs make of them. After
a crash its parts are known from `actors.forwarding.journal`: they are brought together again.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence

from msgspec import Struct

from actors.forwarding.entries import Entry
from actors.forwarding.journal import Journal
from actors.forwarding.streams import Stream
from actors.forwarding.subscriptions import inheriting, superfluous
from actors.model.deliveries import Delivery
from actors.outputs.contract import RequestLimits

GATHER_MS = 1000  # how long a request from before a crash waits for parts that may be gone


class ChangeRequest(Struct, eq=False):
    """The changes of one request; `due_ms`: when it may be sent."""

    stream: Stream
    entries: list[Entry]
    due_ms: int = 0

    @property
    def parts(self) -> list[int]:
        """The sequences of its changes, in their order."""
        return [each.delivery.sequence for each in self.entries]

    @property
    def users(self) -> set[int | None]:
        """Whose changes it brings."""
        return {each.delivery.mpid for each in self.entries}

    @property
    def first(self) -> int:
        """The lowest sequence in it: requests that share users are sent in this order."""
        return min(each.delivery.sequence for each in self.entries)


class _Queue:
    """What there is of one stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.waiting: deque[Entry] = deque()
        self.by_user: dict[int | None, list[Entry]] = {}  # of `waiting`
        self.busy: set[int | None] = set()  # users of requests under way, postponed or gathered
        self.under_way: list[ChangeRequest] = []
        self.postponed: list[ChangeRequest] = []
        self.gathered: dict[tuple[int, ...], ChangeRequest] = {}
        # Nothing that waits can go: the next may at `later_ms`, if nothing happens before.
        self.is_settled = False
        self.later_ms: int | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.waiting or self.under_way or self.postponed or self.gathered)

    def has_enough(self, most: int) -> bool:
        """Whether what waits is not left for the request after the one that is under way."""
        return bool(self.waiting) and (not self.under_way or len(self.waiting) >= most)

    def entries(self) -> Iterable[Entry]:
        for request in (*self.under_way, *self.postponed, *self.gathered.values()):
            yield from request.entries
        yield from self.waiting

    def put(self, entry: Entry) -> None:
        self.is_settled = False
        self.waiting.append(entry)
        self.by_user.setdefault(entry.delivery.mpid, []).append(entry)

    def put_back(self, entries: Sequence[Entry]) -> None:
        self.is_settled = False
        self.waiting.extendleft(reversed(entries))
        for entry in reversed(entries):
            self.by_user.setdefault(entry.delivery.mpid, []).insert(0, entry)

    def take_out(self, entries: Sequence[Entry]) -> None:
        gone = {id(each) for each in entries}
        self.waiting = deque(each for each in self.waiting if id(each) not in gone)
        for entry in entries:
            self._forget(entry)

    def gather(self, entry: Entry, parts: tuple[int, ...], now_ms: int) -> None:
        """Keep a part of a request from before a crash until all are there, or time is up."""
        request = self.gathered.get(parts)
        if request is None:
            request = self.gathered[parts] = ChangeRequest(self.stream, [], now_ms + GATHER_MS)
        request.entries.append(entry)
        self.busy.add(entry.delivery.mpid)
        if len(request.entries) == len(parts):
            self._regroup(parts)

    def _regroup(self, parts: tuple[int, ...]) -> None:
        request = self.gathered.pop(parts)
        request.entries.sort(key=lambda each: parts.index(each.delivery.sequence))
        request.due_ms = max(each.due_ms for each in request.entries)
        self.postponed.append(request)

    def unhindered(self) -> Iterable[ChangeRequest]:
        """Yield the postponed requests that no other one has to come before.

        Those from before a crash may share users.
        """
        taken: set[int | None] = set()
        for request in self.under_way:
            taken |= request.users
        waiting = [*self.postponed, *self.gathered.values()]
        for request in sorted(waiting, key=lambda each: each.first):
            users = request.users
            if taken.isdisjoint(users) and request in self.postponed:
                yield request
            taken |= users

    def free(self, users: set[int | None]) -> None:
        """Let users go on, but those whose changes are in a request still."""
        for request in (*self.under_way, *self.postponed, *self.gathered.values()):
            users = users - request.users
        self.busy -= users

    def take(self, limits: RequestLimits, most: int, now_ms: int) -> ChangeRequest | None:
        """Return what may be sent now."""
        for parts, gathered in list(self.gathered.items()):
            if gathered.due_ms <= now_ms:
                self._regroup(parts)
        request = None
        if any(each.due_ms <= now_ms for each in self.postponed):
            due = (each for each in self.unhindered() if each.due_ms <= now_ms)
            request = next(iter(due), None)
        if self.is_settled and self.later_ms is not None and self.later_ms <= now_ms:
            self.is_settled = False
        if request is not None:
            self.postponed.remove(request)
        elif not self.is_settled and self.has_enough(most):
            request = self._fill(limits, most, now_ms)
        if request is not None:
            self.under_way.append(request)
        return request

    def _fill(self, limits: RequestLimits, most: int, now_ms: int) -> ChangeRequest | None:
        chosen: list[Entry] = []
        passed: list[Entry] = []
        users: set[int | None] = set()  # that come too late for this request
        size = 0
        self.later_ms = None
        while self.waiting and len(chosen) < most:
            entry = self.waiting.popleft()
            delivery = entry.delivery
            is_free = delivery.mpid not in self.busy and delivery.mpid not in users
            if is_free and entry.due_ms > now_ms:
                self.later_ms = min(entry.due_ms, self.later_ms or entry.due_ms)
            if not is_free or entry.due_ms > now_ms:
                passed.append(entry)
                users.add(delivery.mpid)
                continue
            together = min(most, entry.most_together)
            fits = len(chosen) < together and size + len(delivery.payload) <= limits.max_bytes
            if chosen and not fits:
                passed.append(entry)
                break
            chosen.append(entry)
            users.add(delivery.mpid)
            size += len(delivery.payload)
            most = together
        self.waiting.extendleft(reversed(passed))
        self.is_settled = not chosen
        for entry in chosen:
            self._forget(entry)
            self.busy.add(entry.delivery.mpid)
        return ChangeRequest(self.stream, chosen) if chosen else None

    def _forget(self, entry: Entry) -> None:
        mpid = entry.delivery.mpid
        rest = [each for each in self.by_user[mpid] if each is not entry]
        if rest:
            self.by_user[mpid] = rest
        else:
            del self.by_user[mpid]


class Changes:
    """All changes that wait for one output, and what may be sent next."""

    def __init__(self, limits: RequestLimits, journal: Journal) -> None:
        """`journal` knows of requests from before a crash."""
        self._limits = limits
        self._most = limits.max_changes or 1
        self._journal = journal
        self._queues: dict[Stream, _Queue] = {}

    def add(self, stream: Stream, delivery: Delivery, now_ms: int) -> list[Delivery]:
        """Add a change behind those of its user; return which ones come to nothing thereby."""
        queue = self._queues.get(stream)
        if queue is None:
            queue = self._queues[stream] = _Queue(stream)
        added = Entry(delivery, stream, stream.rereads)
        parts = self._journal.parts(stream, delivery.sequence)
        if parts is not None:
            queue.gather(added, parts, now_ms)
            return []
        before = queue.by_user.get(delivery.mpid, ())
        if not before:
            queue.put(added)
            return []
        together = [*(each.delivery for each in before), delivery]
        dropped = superfluous(together)
        for each in inheriting(together, dropped):
            stream.settle_delayed(each)
        sequences = {each.sequence for each in dropped}
        queue.take_out([entry for entry in before if entry.delivery.sequence in sequences])
        if delivery.sequence not in sequences:
            queue.put(added)
        self._drop_if_empty(queue)
        return dropped

    def take(self, now_ms: int) -> ChangeRequest | None:
        """Return the next request to be sent, `None` if nothing is due."""
        for stream, queue in self._queues.items():
            request = queue.take(self._limits, self._most, now_ms)
            if request is not None:
                # The others come first next time.
                del self._queues[stream]
                self._queues[stream] = queue
                return request
        return None

    def finish(self, request: ChangeRequest, back: list[Entry], now_ms: int) -> None:
        """End a request; `back` are those of its changes that are to be sent again."""
        queue = self._queues[request.stream]
        queue.under_way.remove(request)
        if back and len(back) == len(request.entries) and back[0].due_ms > now_ms:
            request.entries = back
            request.due_ms = max(each.due_ms for each in back)
            queue.postponed.append(request)
            return
        queue.free(request.users)
        queue.put_back(back)
        self._drop_if_empty(queue)

    def next_due_ms(self) -> int | None:
        """Return when `take` may have something, if nothing is added or finished before."""
        times: list[int] = []
        for queue in self._queues.values():
            times += [each.due_ms for each in (*queue.unhindered(), *queue.gathered.values())]
            if not queue.has_enough(self._most):
                continue
            if not queue.is_settled:
                times.append(0)
            elif queue.later_ms is not None:
                times.append(queue.later_ms)
        return min(times, default=None)

    def remove(self, connection: int) -> list[Entry]:
        """Take out all that waits for a connection and is not under way."""
        removed: list[Entry] = []
        for queue in list(self._queues.values()):
            if queue.stream.connection.number != connection:
                continue
            for request in queue.postponed:
                self._journal.recall(queue.stream, request.parts)
            requests = [*queue.postponed, *queue.gathered.values()]
            held = [each for request in requests for each in request.entries]
            removed += [*held, *queue.waiting]
            queue.waiting.clear()
            queue.by_user.clear()
            queue.postponed.clear()
            queue.gathered.clear()
            queue.free({each.delivery.mpid for each in held})
            self._drop_if_empty(queue)
        return removed

    def blocked(self) -> Counter[int]:
        """Count by connection the users of whom something waits for a retry."""
        found: Counter[int] = Counter()
        for queue in self._queues.values():
            users = {each.delivery.mpid for request in queue.postponed for each in request.entries}
            found[queue.stream.connection.number] += len(users & queue.by_user.keys())
        return +found

    def oldest(self) -> dict[int, int]:
        """Return the oldest receipt time of what waits, by connection. Costs one pass."""
        oldest: dict[int, int] = {}
        for queue in self._queues.values():
            number = queue.stream.connection.number
            earliest_ms = min(each.delivery.created_ms for each in queue.entries())
            oldest[number] = min(earliest_ms, oldest.get(number, earliest_ms))
        return oldest

    def _drop_if_empty(self, queue: _Queue) -> None:
        if queue.is_empty:
            del self._queues[queue.stream]
