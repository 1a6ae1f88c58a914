"""An event loop on simulated time: it passes when there is nothing else to do.

Everything that waits by the loop's time does so in no time, the forwarder's own waiting included.
"""

import asyncio
import math
import selectors

from actors.clock import ManualClock

PATIENCE_TURNS = 200_000  # that a loop may make while its time stands still


class _Jump(selectors.SelectSelector):
    """Waits for time alone, by moving the clock."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Move the clock to when the next timer is due."""
        if timeout is None:
            raise AssertionError("everybody waits for somebody else")
        if timeout > 0:
            # A little less than the ms that rounding may add.
            self._clock.advance(max(1, math.ceil(timeout * 1000 - 1e-3)))
            self._turns = 0
        self._turns += 1
        if self._turns > PATIENCE_TURNS:
            raise AssertionError("there is always something to do, and time stands still")
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop whose time is that of a clock."""

    def __init__(self, clock: ManualClock) -> None:
        self._simulated = clock
        super().__init__(_Jump(clock))

    def time(self) -> float:
        """Return seconds since the clock was made."""
        return self._simulated.monotonic()
