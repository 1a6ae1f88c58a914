"""What the parts of the way cost alone: parsing, storing, HTTP, Ray.

Each floor is measured in single processes, with the same bytes and sizes as the deployment has
them. No way of ingesting events durably costs less than parsing and storing them.
"""

import asyncio
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from actors.store.environment import Store
from load_tests.bench.report import HttpFloor
from load_tests.generator import Generator, LoadFailed

CpuClock = Callable[[], float]  # seconds of processor time that this process has taken
_TURNS = 20  # of which the median counts, as the processor is not always as fast
_MAP_SIZE_BYTES = 64 * 1024**3  # address space; the file takes what it uses


class _Event(Struct):
    event_type: str
    data: dict[str, Any]


class _Batch(Struct):
    environment: str
    events: list[_Event]
    source_request_id: str | None = None
    mp_deviceid: str | None = None
    device_info: dict[str, Any] | None = None
    user_identities: dict[str, str] | None = None
    user_attributes: dict[str, Any] | None = None
    consent_state: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Batch).decode


class Sizes(Struct, frozen=True, kw_only=True):
    """What the deployment writes for a batch. Bytes.

    Attributes:
        log, profile, delivery: of one record.
        deliveries: how many of them a batch makes.
    """

    log: int
    profile: int
    delivery: int
    deliveries: float


def parse_us(bodies: Sequence[bytes], cpu: CpuClock) -> float:
    """Return microseconds to decode one event of these batches with msgspec, typed."""
    events = sum(len(_decode(body).events) for body in bodies)
    begun = cpu()
    for body in bodies:
        _decode(body)
    return (cpu() - begun) / events * 1e6


def median_parse_us(bodies: Sequence[bytes], cpu: CpuClock) -> float:
    """Return the median of `parse_us` over some turns."""
    return statistics.median(parse_us(bodies, cpu) for _ in range(_TURNS))


def median_store_us(folder: Path, sizes: Sizes, batches: int, group: int, cpu: CpuClock) -> float:
    """Return microseconds to append and put what one batch makes, and to sync each group.

    That is the median over some turns of so many batches, one after the other in one store.
    Profiles are those of random users, again and again; the rest is appended.
    """
    store = Store(folder, _MAP_SIZE_BYTES)
    try:
        return statistics.median(
            _store_us(store, sizes, range(turn * batches, (turn + 1) * batches), group, cpu)
            for turn in range(_TURNS)
        )
    finally:
        store.close()


def _store_us(store: Store, sizes: Sizes, batches: range, group: int, cpu: CpuClock) -> float:
    users = np.random.default_rng(batches.start).integers(0, 10_000, len(batches)).tolist()
    log, profile, delivery = (bytes(size) for size in (sizes.log, sizes.profile, sizes.delivery))
    sent = 0.0
    begun = cpu()
    for start in range(0, len(batches), group):
        with store.write() as txn:
            for place in range(start, min(start + group, len(batches))):
                number = batches[place]
                txn.append("log", number.to_bytes(12, "big"), log)
                txn.put("profiles", users[place].to_bytes(12, "big"), profile)
                sent += sizes.deliveries
                while sent >= 1:
                    sent -= 1
                    key = number.to_bytes(8, "big") + int(sent).to_bytes(4, "big", signed=True)
                    txn.put("outbox", key, delivery)
    return (cpu() - begun) / len(batches) * 1e6


async def http_floor(
    folder: Path, mode: str, connections: int, users: int, seconds: float, rate: float | None
) -> HttpFloor:
    """Measure an edge that makes no work of requests.

    Args: `rate`: batches per second at which latency is measured, if at all.

    Raises:
        LoadFailed: it could not be measured.
    """
    async with _child("idle_edge", str(folder)) as child:
        assert child.stdout is not None
        url = (await child.stdout.readline()).decode().strip()
        load = Generator(url, child.pid, folder, mode=mode, connections=connections, users=users)
        full = await load.run(None, seconds)
        events: int = full["acknowledged"]["events"]
        requests: int = sum(full["statuses"].values())
        per_event: float = full["roles"]["other"]["cpu_us_per_event"]
        return HttpFloor(
            us_per_request=per_event * events / requests,
            requests_per_second=full["throughput"]["requests_per_second"],
            latency_ms={} if rate is None else (await load.run(rate, seconds))["latency_ms"],
        )


async def ray_us(size: int, seconds: float) -> float:
    """Return microseconds of processor time of a call to an actor, with so many bytes.

    Raises:
        LoadFailed: it could not be measured.
    """
    async with _child("idle_actor", str(size), str(seconds)) as child:
        printed, _ = await child.communicate()
        if child.returncode:
            raise LoadFailed("the idle actor has failed")
        return float(printed)


@asynccontextmanager
async def _child(module: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a module of this package until the end of the block."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"load_tests.bench.{module}", *arguments),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.terminate()
            await child.wait()
