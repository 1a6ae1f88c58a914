"""How fast a shard works when there is always something to do, and so how much may wait for it."""

from actors.clock import Clock

WINDOW_S = 0.5
_SHARE_OF_NEWEST = 0.5


class Pace:
    """Measures bytes per second over windows in which something waited all the time.

    In others nobody knows what the shard could have done. While it is away nothing is measured, so
    what waits for its return may be as much as before.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_s: float | None = None
        self._done = 0
        self.bytes_per_s: float | None = None  # until something is known

    def served(self, size: int, *, is_busy: bool) -> None:
        """Note that the shard has done so many bytes; `is_busy`: more wait than go with a call."""
        now_s = self._clock.monotonic()
        if self._began_s is None:
            self._begin(now_s if is_busy else None)
            return
        self._done += size
        spent_s = now_s - self._began_s
        if spent_s >= WINDOW_S:
            newest = self._done / spent_s
            known = newest if self.bytes_per_s is None else self.bytes_per_s
            self.bytes_per_s = known + (newest - known) * _SHARE_OF_NEWEST
            self._begin(now_s if is_busy else None)
        elif not is_busy:
            self._begin(None)

    def failed(self) -> None:
        """Note that a call was not answered: nothing can be said of the time it took."""
        self._begin(None)

    def _begin(self, now_s: float | None) -> None:
        self._began_s, self._done = now_s, 0
