"""Micro-batches to an actor that drops them: the floor of what Ray costs.

`python -m load_tests.bench.idle_actor BYTES SECONDS` prints the microseconds of processor time of a
call with so many bytes, all processes of Ray together, two calls under way as an edge has them.
"""

import asyncio
import sys

import psutil  # type: ignore[import-untyped]
import uvloop

from actors import remote
from actors.clock import Clock, SystemClock

_WARM_UP_CALLS = 200


class Sink:
    """Takes what a shard takes, and drops it."""

    def commit(self, workspace: int, micro: bytes) -> bytes:
        """Answer nothing."""
        return b""


async def measure(size: int, seconds: float, clock: Clock) -> float:
    """Return microseconds of processor time per call."""
    handle = remote.spawn("sink", Sink)
    micro = bytes(size)
    calls = 0

    async def call_until(deadline_s: float) -> None:
        nonlocal calls
        while clock.monotonic() < deadline_s:
            await handle.commit(1, micro)
            calls += 1

    for _ in range(_WARM_UP_CALLS):
        await handle.commit(1, micro)
    begun_s = _processor_time()
    end_s = clock.monotonic() + seconds
    await asyncio.gather(call_until(end_s), call_until(end_s))
    return (_processor_time() - begun_s) / calls * 1e6


def _processor_time() -> float:
    """Return the seconds that this process and all below it have taken."""
    top = psutil.Process()
    total = 0.0
    for each in (top, *top.children(recursive=True)):
        times = each.cpu_times()
        total += times.user + times.system
    return total


def run(size: int, seconds: float) -> None:
    """Start Ray, measure, and print."""
    remote.start(None)
    try:
        print(uvloop.run(measure(size, seconds, SystemClock())), flush=True)
    finally:
        remote.stop()


if __name__ == "__main__":
    run(int(sys.argv[1]), float(sys.argv[2]))
