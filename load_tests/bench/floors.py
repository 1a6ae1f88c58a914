"""What the parts of the way cost alone: parsing, storing, HTTP, Ray.

Each floor is measured in single processes, with the same bytes and sizes as the deployment has
them. No way of ingesting events durably costs less than parsing and storing them.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from actors.store.environment import Store
from load_tests.generator import Generator, LoadFailed

CpuClock = Callable[[], float]  # seconds of processor time that this process has taken
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


def store_us(folder: Path, sizes: Sizes, batches: int, group: int, cpu: CpuClock) -> float:
    """Return microseconds to append and put what one batch makes, and to sync each group.

    Profiles are those of random users, again and again; the rest is appended.
    """
    store = Store(folder, _MAP_SIZE_BYTES)
    users = np.random.default_rng(1).integers(0, 10_000, batches).tolist()
    log, profile, delivery = (bytes(size) for size in (sizes.log, sizes.profile, sizes.delivery))
    try:
        sent = 0.0
        begun = cpu()
        for start in range(0, batches, group):
            with store.write() as txn:
                for number in range(start, min(start + group, batches)):
                    txn.append("log", number.to_bytes(12, "big"), log)
                    txn.put("profiles", users[number].to_bytes(12, "big"), profile)
                    sent += sizes.deliveries
                    while sent >= 1:
                        sent -= 1
                        key = number.to_bytes(8, "big") + int(sent).to_bytes(4, "big", signed=True)
                        txn.put("outbox", key, delivery)
        return (cpu() - begun) / batches * 1e6
    finally:
        store.close()


async def http_us(folder: Path, mode: str, users: int, seconds: float) -> float:
    """Return microseconds of an edge's processor time for a request that makes no work.

    Raises:
        LoadFailed: it could not be measured.
    """
    async with _child("idle_edge", str(folder)) as child:
        assert child.stdout is not None
        url = (await child.stdout.readline()).decode().strip()
        load = Generator(url, child.pid, folder, mode=mode, users=users)
        report = await load.run(None, seconds)
        events: int = report["acknowledged"]["events"]
        requests: int = sum(report["statuses"].values())
        per_event: float = report["roles"]["other"]["cpu_us_per_event"]
        return per_event * events / requests


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
