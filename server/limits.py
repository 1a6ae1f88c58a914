"""Rate limits: speed and acceleration (spec/events-api.md, 4).

Pure arithmetic on counters, in whole thousandths of a token and whole milliseconds, so that it is
exact; `server.limit_file` shares the counters between the edges of a machine.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Literal, Protocol, Self

from msgspec import Struct

Level = Literal["app", "feed", "workspace", "account", "org", "system", "acceleration"]

MILLI = 1000
MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
MAX_CLOCK_LEAD_MS = 60_000


class Limit(Struct, frozen=True):
    """One limit that applies to a request.

    Attributes:
        level: as named to the client.
        key: names the counter: all requests with this key share it.
        rate: tokens per second, 0 for no limit of speed.
        capacity: tokens that a rested counter holds.
        acceleration: by how much the tokens admitted in one second may exceed those of the second
            before; 0 for no limit.
        window_ms: if there is one, `capacity` tokens are admitted within that time from the first
            of them, whatever the rate.
    """

    level: Level
    key: str
    rate: int
    capacity: int
    acceleration: int = 0
    window_ms: int = 0


class Counter(Struct):
    """What was admitted under one key.

    Attributes:
        tokens_milli: thousandths of tokens left; below 0 after a request larger than the limit.
        updated_ms: when `tokens_milli` was true; of a limit with a window, when that began.
        second: number of the current one-second window; `admitted` in it, `before` in the one
            before it.
    """

    tokens_milli: int
    updated_ms: int
    second: int = 0
    admitted: int = 0
    before: int = 0


class Admitted(Struct, frozen=True):
    """The request may go on. `percentage`: highest use of any limit, `None` if there is none."""

    percentage: int | None


class Exceeded(Struct, frozen=True):
    """The request is refused with 429; nothing was taken."""

    level: Level
    retry_after_s: int


class Counters(Protocol):
    """Where counters are kept. Entered as a context for as long as one decision takes."""

    def __enter__(self) -> Self:
        """Keep everybody else out."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let others in."""
        ...

    def read(self, key: str) -> Counter | None:
        """Return a copy of a counter, `None` if nothing was counted yet."""
        ...

    def write(self, key: str, counter: Counter) -> None:
        """Keep a counter."""
        ...


class RateLimiter:
    """Admits requests or refuses them, whole."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def admit(
        self, limits: Sequence[Limit], n: int, now_ms: int, share: Limit | None = None
    ) -> Admitted | Exceeded:
        """Take `n` tokens under every limit, or none under any.

        Args:
            limits: those that apply, in the order in which an exceeded one is reported.
            n: tokens needed.
            now_ms: a clock that the processes sharing the counters agree on.
            share: how much of the limits whoever asks has in any case. It is admitted within it
                though others have taken all; what it takes then, they wait for.
        """
        if not limits:
            return Admitted(None)
        with self._counters:
            counted = [(limit, self._current(limit, now_ms)) for limit in limits]
            own = None if share is None else self._current(share, now_ms)
            refusal = _refusal(counted, n, now_ms)
            if refusal is not None and (
                share is None or own is None or wait_s(own, share, n, now_ms)
            ):
                return refusal
            if share is not None and own is not None:
                # Who has had more than a share gets the next one as soon as everybody.
                own.tokens_milli = max(own.tokens_milli - n * MILLI, 0)
                self._counters.write(share.key, own)
            used = 0
            for limit, counter in counted:
                counter.tokens_milli -= n * MILLI
                counter.admitted += n
                self._counters.write(limit.key, counter)
                used = max(used, percentage_used(counter, limit))
        return Admitted(used)

    def check(self, limits: Sequence[Limit], n: int, now_ms: int) -> Exceeded | None:
        """Tell whether `n` tokens would be refused, without taking any."""
        with self._counters:
            counted = [(limit, self._current(limit, now_ms)) for limit in limits]
            return _refusal(counted, n, now_ms)

    def _current(self, limit: Limit, now_ms: int) -> Counter:
        return refreshed(self._counters.read(limit.key), limit, now_ms)


def refreshed(counter: Counter | None, limit: Limit, now_ms: int) -> Counter:
    """Bring a counter up to `now_ms`; a new one starts full.

    Another process may have read its clock later and come first: time then stands still. A counter
    from far ahead is left over from before the machine was restarted: it starts anew.
    """
    full = limit.capacity * MILLI
    if counter is None or counter.updated_ms > now_ms + MAX_CLOCK_LEAD_MS:
        return Counter(full, now_ms, now_ms // 1000)
    now_ms = max(now_ms, counter.updated_ms)
    if limit.window_ms:
        is_over = now_ms - counter.updated_ms >= limit.window_ms
        return Counter(full, now_ms, now_ms // 1000) if is_over else counter
    second = now_ms // 1000
    earned = (now_ms - counter.updated_ms) * limit.rate
    counter.tokens_milli = min(full, counter.tokens_milli + earned)
    counter.updated_ms = now_ms
    if counter.second != second:
        counter.before = counter.admitted if counter.second == second - 1 else 0
        counter.admitted = 0
        counter.second = second
    return counter


def wait_s(counter: Counter, limit: Limit, n: int, now_ms: int) -> int:
    """Return the whole seconds until the speed limit admits `n`; 0 if it does now.

    More than the counter can hold passes when it is full.
    """
    missing = min(n, limit.capacity) * MILLI - counter.tokens_milli
    if limit.window_ms:
        left_ms = counter.updated_ms + limit.window_ms - now_ms
        return max(1, -(-left_ms // 1000)) if missing > 0 else 0
    if not limit.rate:
        return 0
    return max(0, -(-missing // (limit.rate * MILLI)))


def is_too_steep(counter: Counter, limit: Limit, n: int) -> bool:
    """Tell whether `n` more would exceed the acceleration limit in this second."""
    return limit.acceleration > 0 and counter.admitted + n > counter.before + limit.acceleration


def percentage_used(counter: Counter, limit: Limit) -> int:
    """Return the use of a limit, 0 to 100, rounded down."""
    used = 0
    if limit.rate or limit.window_ms:
        full = limit.capacity * MILLI
        used = 100 * (full - counter.tokens_milli) // full
    if limit.acceleration:
        used = max(used, 100 * counter.admitted // (counter.before + limit.acceleration))
    return min(100, used)


def _refusal(counted: Sequence[tuple[Limit, Counter]], n: int, now_ms: int) -> Exceeded | None:
    waits = [(limit.level, wait_s(counter, limit, n, now_ms)) for limit, counter in counted]
    exceeded = [(level, wait) for level, wait in waits if wait]
    if exceeded:
        return Exceeded(exceeded[0][0], max(wait for _, wait in exceeded))
    if any(is_too_steep(counter, limit, n) for limit, counter in counted):
        return Exceeded("acceleration", 1)
    return None
