"""The only reader of the time of day and of randomness; everything else is handed one of these."""

import secrets
import time
from typing import Protocol


class Clock(Protocol):
    """Where the current time comes from."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes backwards."""
        ...


class Randomness(Protocol):
    """Where random bits come from."""

    def bits(self, count: int) -> int:
        """Return an integer of `count` random bits."""
        ...


class SystemClock:
    """The machine's clock, without its steps back.

    When the machine's goes back, after it was ahead for a while, what was put off until an instant
    meanwhile would have to wait for as long as the step is. So this one goes on at half the speed
    until the machine's has come up with it. All of a process are one.
    """

    _last_ns = 0
    _last_s = 0.0

    def now_ms(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        now_ns, now_s = time.time_ns(), time.monotonic()
        known = SystemClock
        least_ns = known._last_ns + int((now_s - known._last_s) * 500_000_000)
        if known._last_ns and now_ns < least_ns:
            now_ns = least_ns
        known._last_ns, known._last_s = now_ns, now_s
        return now_ns // 1_000_000

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes backwards."""
        return time.monotonic()


class SystemRandomness:
    """The operating system's randomness."""

    def bits(self, count: int) -> int:
        """Return an integer of `count` random bits."""
        return secrets.randbits(count)


class ManualClock:
    """A clock that stands still until it is moved: for tests and simulations."""

    def __init__(self, now_ms: int = 1_767_225_600_000) -> None:
        self._now_ms = now_ms
        self._start_ms = now_ms

    def now_ms(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        return self._now_ms

    def monotonic(self) -> float:
        """Return seconds since this clock was made."""
        return (self._now_ms - self._start_ms) / 1000

    def advance(self, milliseconds: int) -> None:
        """Move this clock forward."""
        self._now_ms += milliseconds
