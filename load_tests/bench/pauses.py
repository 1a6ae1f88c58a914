"""How long a shard's other work has to wait for one call, when there are many profiles.

A shard does one thing after the other. Measured is the processor time of each call, so that what
others do on the machine does not count: batches one by one, micro-batches as many clients fill
them, rounds of the sweeper, the work that audiences do by themselves, and the loading of their
columns after a start, while their arrays grow. Of micro-batches also the time by the clock, as a
commit waits for the disk and the shard with it.
"""

from collections.abc import Callable, Sequence

from actors.audience_worker import LOAD_SLICE_S, AudienceWorker
from actors.clock import Clock
from actors.shard import Shard
from actors.sweeper import Sweeper
from load_tests.bench.floors import CpuClock
from load_tests.in_process import Commit, InProcess
from load_tests.steady import BATCHES_PER_REQUEST, Sender, Template
from server.microbatch import ITEM_OVERHEAD_BYTES

_ROUNDS = 50  # of the sweeper, for each shard
_FILLED = 5  # micro-batches of each size
_GROUP = 10  # batches of a request, of which micro-batches are filled up to the brim

Draw = Callable[[int], Sequence[Template]]  # so many batches for users of the first shard


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


async def longest_commits(
    deployment: InProcess, sender: Sender, draw: Draw, cpu: CpuClock
) -> dict[str, Commit]:
    """Have the first shard apply micro-batches of a full request, and of what it takes at most.

    The latter take as many batches as `max_micro_batch_bytes` lets them, which is what a shard gets
    when it is behind.

    Returns:
        Of each size the most batches that there were in one, and the longest times.
    """
    requests = [[draw(BATCHES_PER_REQUEST)] for _ in range(_FILLED)]
    found = {f"{BATCHES_PER_REQUEST} batches": await _commits(deployment, sender, requests, cpu)}
    turns = [_groups(deployment, draw) for _ in range(_FILLED)]
    found["full"] = await _commits(deployment, sender, turns, cpu)
    return found


def _groups(deployment: InProcess, draw: Draw) -> list[Sequence[Template]]:
    """Return requests that make a full micro-batch, when they are sent at once.

    The first ones go as soon as they come; what comes meanwhile is to be enough.
    """
    limit = deployment.settings.max_micro_batch_bytes
    groups: list[Sequence[Template]] = []
    size = 0
    while size < 2 * limit:
        groups.append(draw(_GROUP))
        size += sum(sum(map(len, each)) + ITEM_OVERHEAD_BYTES for each in groups[-1])
    return groups


async def _commits(
    deployment: InProcess,
    sender: Sender,
    turns: Sequence[Sequence[Sequence[Template]]],
    cpu: CpuClock,
) -> Commit:
    with deployment.timed(cpu) as commits:
        for requests in turns:
            await sender.send_together(requests)
    return Commit(
        max(each.batches for each in commits),
        max(each.cpu_s for each in commits),
        max(each.wall_s for each in commits),
    )


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
