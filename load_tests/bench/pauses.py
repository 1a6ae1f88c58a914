"""How long a shard's other work has to wait for one call, when there are many profiles.

A shard does one thing after the other. Measured is the processor time of each call, so that what
others do on the machine does not count: batches one by one, rounds of the sweeper, the work that
audiences do by themselves, and the loading of their columns after a start, while their arrays grow.
"""

from collections.abc import Callable, Sequence

from actors.audience_worker import LOAD_SLICE_S, AudienceWorker
from actors.clock import Clock
from actors.shard import Shard
from actors.sweeper import Sweeper
from load_tests.bench.floors import CpuClock
from load_tests.steady import Sender, Template

_ROUNDS = 50  # of the sweeper, for each shard


def longest_load_s(shards: Sequence[Shard], clock: Clock, cpu: CpuClock) -> float:
    """Load the columns of audiences as a deployment does after a start, while it serves.

    Returns the seconds of processor time of the longest call.
    """
    longest_s = 0.0
    for shard in shards:
        for part in shard.audiences.parts:
            while part.columns.is_loading:
                begun_s = cpu()
                part.columns.load_some(clock.monotonic() + LOAD_SLICE_S)
                longest_s = max(longest_s, cpu() - begun_s)
    return longest_s


async def longest_s(
    sender: Sender,
    shards: Sequence[Shard],
    singles: Sequence[Template],
    clock: Clock,
    cpu: CpuClock,
) -> dict[str, float]:
    """Return the seconds of processor time of the longest call of each kind.

    Args:
        singles: batches, sent one by one, all that an edge does for them included.
    """
    found = {"batch": 0.0}
    for single in singles:
        found["batch"] = max(found["batch"], await sender.send([single]))
    sweepers = [Sweeper(shard.state, (shard,), clock) for shard in shards]
    workers = [AudienceWorker(shard, clock) for shard in shards]
    found["sweep"] = max(_longest(each.sweep, cpu) for each in sweepers)
    found["audiences"] = max(_longest(each.audience_step, cpu) for each in workers)
    return found


def _longest(call: Callable[[], object], cpu: CpuClock) -> float:
    longest_s = 0.0
    for _ in range(_ROUNDS):
        begun_s = cpu()
        call()
        longest_s = max(longest_s, cpu() - begun_s)
    return longest_s
