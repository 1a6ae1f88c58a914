"""How fast a module answers: a warning where it holds its messages up (spec/connections.md, 4)."""

import logging
from collections import deque

from actors.clock import Clock

logger = logging.getLogger("headwater.forwarder")

WARNED_S = 1.0
SAMPLES = 1000
LOOK_EVERY = 100
PAUSE_MS = 10 * 60 * 1000


class Latency:
    """The times of the last requests of one output. The histogram of all is the forwarder's."""

    def __init__(self, output: str, clock: Clock) -> None:
        self._output = output
        self._clock = clock
        self._times: deque[float] = deque(maxlen=SAMPLES)
        self._until_look = LOOK_EVERY
        self._quiet_until_ms = 0

    def took(self, seconds: float) -> None:
        """Take the time of one request; warn of a 99th percentile over a second, not too often."""
        self._times.append(seconds)
        self._until_look -= 1
        if self._until_look:
            return
        self._until_look = LOOK_EVERY
        p99_s = sorted(self._times)[len(self._times) * 99 // 100]
        now_ms = self._clock.now_ms()
        if p99_s > WARNED_S and now_ms >= self._quiet_until_ms:
            self._quiet_until_ms = now_ms + PAUSE_MS
            logger.warning(
                "A module answers slowly",
                extra={
                    "event": "module_slow",
                    "output": self._output,
                    "p99_s": round(p99_s, 3),
                },
            )
