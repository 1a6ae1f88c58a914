"""A shard that is kept at its audiences, and what its steps take."""

import asyncio
import time

from actors.audience_worker import AudienceWorker
from actors.audiences.stepping import Left
from actors.clock import Clock, SystemClock
from actors.shard import Shard
from load_tests.backfill.results import Filled
from load_tests.steady import CpuClock


class ShiftedClock:
    """The machine's clock, some time ahead."""

    def __init__(self) -> None:
        self._system = SystemClock()
        self.ahead_ms = 0

    def now_ms(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        return self._system.now_ms() + self.ahead_ms

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes backwards."""
        return self._system.monotonic()


class Stepped:
    """Does what `SteppingShard` says, and measures it until nothing is left to do.

    Attributes:
        worker: of the shard.
        is_done: nothing was left, since `begin`.
        cpu_s, longest_s: processor time of all steps since then, and of the longest.
    """

    def __init__(self, shard: Shard, clock: Clock, cpu: CpuClock) -> None:
        self.worker = AudienceWorker(shard, clock)
        self._cpu = cpu
        self.begin()

    def begin(self) -> None:
        """Count from here on."""
        self.is_done = asyncio.Event()
        self.cpu_s = self.longest_s = 0.0
        self._begun_s = time.monotonic()

    async def audience_step(self) -> Left:
        """Do one step."""
        begun = self._cpu()
        left = self.worker.audience_step()
        taken = self._cpu() - begun
        self.cpu_s += taken
        self.longest_s = max(self.longest_s, taken)
        if not left:
            self.is_done.set()
        return left

    def filled(self, users: int) -> Filled:
        """Return what it has taken since `begin`."""
        return Filled(
            users=users,
            cpu_us_per_user=self.cpu_s / users * 1e6,
            seconds=time.monotonic() - self._begun_s,
            longest_s=self.longest_s,
        )
