"""What a shard's process keeps in memory for profiles: columns, and copies of those that are hot.

Only what is private to the process counts: pages of the stores are the operating system's, which
takes them back when it has to. What a process has freed it may keep for itself and use again, so
this is to be measured in one that has done nothing else before.
"""

import gc
from collections.abc import Sequence

import psutil  # type: ignore[import-untyped]

from actors.shard import Shard
from actors.store.keys import profile_key_parts

# With fewer, what a process takes by itself is more than what is measured.
LEAST_PROFILES = 100_000  # in columns, of some hundred bytes each
LEAST_HOT = 400  # of some ten thousand bytes each


def private_bytes() -> int:
    """Return the memory of this process that is not mapped from files."""
    gc.collect()
    memory = psutil.Process().memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))


def hot_profiles(shards: Sequence[Shard]) -> int:
    """Return how many profiles have a copy in memory."""
    return sum(each.profiles.in_memory for each in shards)


def read_beyond(shards: Sequence[Shard]) -> bool:
    """Read profiles, each once, until they are twice as many as their shard keeps in memory.

    Returns:
        Whether there were so many in each shard.
    """
    return all(_read_beyond(each) for each in shards)


def _read_beyond(shard: Shard) -> bool:
    with shard.store.read() as txn:
        for count, (packed, _) in enumerate(txn.scan("profiles"), 1):
            shard.profiles.get(txn, profile_key_parts(packed))
            if count >= 2 * shard.profiles.in_memory:
                return True
    return False
