"""How fast and whether at all an output is sent to: limits, pauses, breaker. No I/O, no waiting.

One of these stands between all connections of an output and its receiver (spec/connections.md, 3.2
and 3.5). Waiting for it is no attempt.
"""

import math

from msgspec import Struct

WINDOW_MS = 1000
TOLERATED_SHARE = 0.1  # of 429s in a window
SLOWER, FASTER = 0.7, 1.1
CLEAN_WINDOWS = 2
LONGEST_OPEN_MS = 300_000

CLOSED, HALF_OPEN, OPEN = 0, 1, 2  # as the metric shows them


class RateLimit(Struct, frozen=True):
    """What an output may be sent; `burst` in requests, `None`: what a second allows."""

    requests_per_second: float | None = None
    burst: int | None = None
    events_per_second: float | None = None
    adaptive: bool = True


class BreakerLimits(Struct, frozen=True):
    """After how many failures in a row nothing is sent, and for how long at first."""

    failures: int = 5
    open_ms: int = 5000


class Bucket:
    """Tokens that come back with time.

    A cost above what is there is taken in advance: what follows waits for it longer, so that one
    request of many events neither waits for ever nor raises the rate.
    """

    def __init__(self, per_second: float, size: float, now_ms: int) -> None:
        """Begin full."""
        self._per_ms = per_second / 1000
        self._size = max(size, 1.0)
        self._tokens = self._size
        self._seen_ms = now_ms

    def spend(self, cost: float, factor: float, now_ms: int) -> None:
        """Take tokens."""
        self._refill(factor, now_ms)
        self._tokens -= cost

    def free_ms(self, factor: float, now_ms: int) -> int:
        """Return when there is a token, `now_ms` if there is one now."""
        self._refill(factor, now_ms)
        missing = 1 - self._tokens
        # A token that is all but there counts: fractions of ticks must not become idle turns.
        return now_ms if missing <= 1e-9 else now_ms + math.ceil(missing / (self._per_ms * factor))

    def _refill(self, factor: float, now_ms: int) -> None:
        gained = max(now_ms - self._seen_ms, 0) * self._per_ms * factor
        self._tokens = min(self._size, self._tokens + gained)
        self._seen_ms = now_ms


class Adaption:
    """The share of the configured rate that a receiver takes, learnt from its 429s."""

    def __init__(self, now_ms: int) -> None:
        self.factor = 1.0
        self._began_ms = now_ms
        self._answers = 0
        self._refusals = 0
        self._clean = 0
        self._is_waiting = False

    def note(self, is_refusal: bool, now_ms: int) -> None:
        """Count an answer."""
        self.roll(now_ms)
        self._answers += 1
        self._refusals += is_refusal

    def roll(self, now_ms: int) -> None:
        """Judge the windows that have ended."""
        while now_ms >= self._began_ms + WINDOW_MS:
            self._judge()
            self._began_ms += WINDOW_MS
            self._answers = self._refusals = 0
            if self.factor >= 1.0 and not self._is_waiting:  # idle windows change nothing more
                behind_ms = now_ms - self._began_ms
                self._began_ms += behind_ms - behind_ms % WINDOW_MS

    def _judge(self) -> None:
        if self._is_waiting:
            self._is_waiting = False  # its answers are to what was sent too fast before
            return
        if self._refusals:
            self._clean = 0
            if self._refusals > self._answers * TOLERATED_SHARE:
                self.factor *= SLOWER
                self._is_waiting = True
            return
        self._clean += 1
        if self._clean == CLEAN_WINDOWS:
            self._clean = 0
            self.factor = min(1.0, self.factor * FASTER)


class Pace:
    """Says when the next request may begin, and learns from what became of the last ones."""

    def __init__(self, limit: RateLimit, breaker: BreakerLimits, now_ms: int) -> None:
        """Begin closed, with full buckets."""
        requests, events = limit.requests_per_second, limit.events_per_second
        self._requests = requests and Bucket(requests, limit.burst or requests, now_ms)
        self._events = events and Bucket(events, events, now_ms)
        is_limited = requests is not None or events is not None
        self._adaption = Adaption(now_ms) if is_limited and limit.adaptive else None
        self._breaker = breaker
        self._failed: set[str] = set()
        self._openings = 0  # in a row
        self._open_until_ms: int | None = None
        self._has_probe = False
        self._round = 0  # outcomes of what was sent before the breaker opened do not count
        self.paused_until_ms = 0
        self._waits_since_ms: int | None = None

    @property
    def factor(self) -> float:
        """The share of the configured rate that is used now."""
        return 1.0 if self._adaption is None else self._adaption.factor

    def breaker_state(self, now_ms: int) -> int:
        """Return `CLOSED`, `HALF_OPEN` or `OPEN`."""
        if self._open_until_ms is None:
            return CLOSED
        return OPEN if now_ms < self._open_until_ms else HALF_OPEN

    def free_ms(self, now_ms: int) -> int | None:
        """Return when a request may begin, `None` if a probe has to be answered before."""
        if self._has_probe:
            return None
        return max(now_ms, self.paused_until_ms, self._open_until_ms or 0, self._token_ms(now_ms))

    def begin(self, events: int, now_ms: int) -> tuple[int, float]:
        """Note that a request begins; return its round, and the seconds that tokens made it wait.

        `events`: how many it carries.
        """
        for bucket, cost in ((self._requests, 1), (self._events, events)):
            if bucket:
                bucket.spend(cost, self.factor, now_ms)
        self._has_probe = self._open_until_ms is not None
        since_ms, self._waits_since_ms = self._waits_since_ms, None
        return self._round, 0.0 if since_ms is None else (now_ms - since_ms) / 1000

    def held_back(self, now_ms: int) -> None:
        """Note that something is due and `free_ms` is not now; waits for tokens are timed."""
        is_token = self._token_ms(now_ms) > now_ms
        if not is_token:
            return
        if self._waits_since_ms is None:
            self._waits_since_ms = now_ms

    def pause(self, seconds: float, now_ms: int) -> None:
        """Be silent for a while, as the receiver asks for."""
        self.paused_until_ms = max(self.paused_until_ms, now_ms + round(seconds * 1000))

    def end(self, begun: int, first: str, is_failure: bool, is_refusal: bool, now_ms: int) -> bool:
        """Note how a request ended.

        A delivery that fails time after time while nothing else is sent counts once: it says
        nothing of the receiver, and must not hold up other users (spec/connections.md, 3.4).

        Args:
            begun: the round that `begin` returned.
            first: id of its first delivery.
            is_failure: it has to be tried again; `is_refusal`: since it came too fast (429).

        Returns:
            Whether the breaker has opened, having been closed.
        """
        if self._adaption is not None:
            self._adaption.note(is_refusal, now_ms)
        if not is_failure:
            self._failed.clear()
            self._openings = 0
            self._open_until_ms = None
            self._has_probe = False
            return False
        if begun != self._round:
            return False
        self._failed.add(first)
        was_closed = self._open_until_ms is None
        if was_closed and len(self._failed) < self._breaker.failures:
            return False
        for_ms = min(self._breaker.open_ms * 2 ** min(self._openings, 20), LONGEST_OPEN_MS)
        self._open_until_ms = now_ms + for_ms
        self._openings += 1
        self._has_probe = False
        self._round += 1
        return was_closed

    def _token_ms(self, now_ms: int) -> int:
        if self._adaption is not None:
            self._adaption.roll(now_ms)
        buckets = (self._requests, self._events)
        times = (each.free_ms(self.factor, now_ms) for each in buckets if each)
        return max(times, default=now_ms)
