"""What identities take in memory and on disk, as there come to be more of them."""

import gc
from collections.abc import Callable
from uuid import UUID

import psutil  # type: ignore[import-untyped]
from msgspec import Struct

from actors.model.micro_batches import Unresolved
from actors.store.environment import TABLES
from load_tests.in_process import InProcess

IDENTITIES_PER_USER = 3  # a customer id, an e-mail, a device
USERS_PER_SLICE = 500
MILLION = 1_000_000


class Sample(Struct, kw_only=True):
    """State after so many identities. Bytes.

    Attributes:
        private: memory of this process that is not mapped from files.
        mapped: resident pages of the stores; the operating system takes them back when it has to.
        disk: in use in all stores.
    """

    identities: int
    private: int
    mapped: int
    disk: int


class Footprint(Struct, kw_only=True):
    """All results of a run.

    Attributes:
        samples: from before the first identity to after the last one.
        tables: bytes on disk by table, over all shards and the coordinator.
        private_per_million: growth of private memory over the second half of the run, when caches
            are as full as they get, for a million identities more.
        disk_per_million: growth on disk, over the whole run.
    """

    identities: int
    users: int
    shards: int
    profile_cache_bytes: int
    samples: list[Sample]
    tables: dict[str, int]
    private_per_million: float
    disk_per_million: float


async def fill(
    deployment: InProcess,
    identities: int,
    profile_cache_bytes: int,
    samples: int,
    on_users: Callable[[int], object] | None = None,
) -> Footprint:
    """Have users made, as batches of new users are, and see what they take.

    Args:
        deployment: new.
        identities: how many, rounded up to whole users.
        profile_cache_bytes: of each shard.
        samples: how often is looked, beside the beginning; at least 2.
        on_users: called with how many users there are by now.
    """
    users = -(-identities // IDENTITIES_PER_USER)
    taken = [_sample(deployment, 0)]
    marks = [users * (number + 1) // samples for number in range(samples)]
    for mark in marks:
        made = taken[-1].identities // IDENTITIES_PER_USER
        while made < mark:
            some = range(made, min(made + USERS_PER_SLICE, mark))
            await deployment.coordinator.resolve([_user(number) for number in some])
            made = some.stop
            if on_users is not None:
                on_users(made)
        taken.append(_sample(deployment, made * IDENTITIES_PER_USER))
    middle, last = taken[samples // 2], taken[-1]
    return Footprint(
        identities=last.identities,
        users=users,
        shards=len(deployment.shards),
        profile_cache_bytes=profile_cache_bytes,
        samples=taken,
        tables=_tables(deployment),
        private_per_million=(last.private - middle.private)
        / (last.identities - middle.identities)
        * MILLION,
        disk_per_million=(last.disk - taken[0].disk) / last.identities * MILLION,
    )


def _user(number: int) -> Unresolved:
    return Unresolved(
        "production",
        [
            ("customerid", f"customer-{number:09d}"),
            ("email", f"somebody-{number:09d}@mail.example"),
            ("device_application_stamp", str(UUID(int=number << 64 | number, version=4))),
        ],
    )


def _sample(deployment: InProcess, identities: int) -> Sample:
    gc.collect()
    memory = psutil.Process().memory_info()
    mapped = getattr(memory, "shared", 0)
    stores = [deployment.store, *(each.store for each in deployment.shards)]
    return Sample(
        identities=identities,
        private=memory.rss - mapped,
        mapped=mapped,
        disk=sum(each.used_bytes() for each in stores),
    )


def _tables(deployment: InProcess) -> dict[str, int]:
    """Return the tables that take anything worth telling, the largest first."""
    sizes: dict[str, int] = dict.fromkeys(TABLES, 0)
    for store in (deployment.store, *(each.store for each in deployment.shards)):
        with store.read() as txn:
            for table in TABLES:
                sizes[table] += txn.size_bytes(table)
    kept = {table: size for table, size in sizes.items() if size}
    return dict(sorted(kept.items(), key=lambda entry: -entry[1]))
