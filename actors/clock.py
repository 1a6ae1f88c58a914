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
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        return time.time_ns() // 1_000_000

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
