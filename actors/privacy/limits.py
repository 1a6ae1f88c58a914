"""How many requests may be made (spec/privacy.md, 3.6)."""

from bisect import bisect_right, insort
from collections.abc import Sequence

HOUR_MS = 3600 * 1000
LONGEST_MS = 24 * HOUR_MS
# Within so many ms so many requests.
WINDOWS = ((8 * HOUR_MS, 26_666), (LONGEST_MS, 80_000))


class Received:
    """When requests were received, of the last 24 hours."""

    def __init__(self, times_ms: Sequence[int]) -> None:
        self._times_ms = sorted(times_ms)

    def wait_ms(self, now_ms: int) -> int:
        """Return for how long another request has to wait; 0: it need not."""
        times = self._times_ms
        del times[: bisect_right(times, now_ms - LONGEST_MS)]
        waits = [0]
        for span_ms, most in WINDOWS:
            inside = len(times) - bisect_right(times, now_ms - span_ms)
            if inside >= most:
                waits.append(times[len(times) - most] + span_ms - now_ms)
        return max(waits)

    def add(self, now_ms: int) -> None:
        """Count a request."""
        insort(self._times_ms, now_ms)
