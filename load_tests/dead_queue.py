"""What deliveries cost that wait for a dead output: memory, and time to start again.

One process has the store of a shard and the forwarder of a webhook that refuses every connection.
"""

import asyncio
import gc
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped]
from msgspec import Struct

from actors.clock import Clock, SystemRandomness
from actors.forwarder import Forwarder
from actors.forwarding.desk import OutputInfo
from actors.metric_groups import ForwarderMetrics
from actors.model.deliveries import Delivery, Settlement
from actors.outputs.connection_settings import ConnectionSettings, payload_settings
from actors.outputs.egress import EgressRules
from actors.outputs.environment import OutputEnvironment
from actors.outputs.retry import PROFILES
from actors.outputs.webhook import WebhookOutput
from actors.outputs.webhook_settings import WebhookSettings
from actors.pipeline.connection import ConnectionInfo
from actors.queues import Queues
from actors.steps.enqueue import delivery_id
from actors.store import outbox
from actors.store.environment import Store

CONNECTION = 1
CHUNK = 500  # deliveries of one transaction
USERS = 10_000
MAP_BYTES_PER_DELIVERY = 4 * 1024
SETTLE_S = 1.0  # for what is read and attempted to come to rest, before memory is looked at
PATIENCE_S = 60.0
MEGABYTE = 1024 * 1024


class DeadQueueOptions(Struct, frozen=True, kw_only=True):
    """How to run: how many deliveries, of so many bytes of payload."""

    deliveries: int
    payload_bytes: int


class Sample(Struct, kw_only=True):
    """Memory that is not mapped from files, in bytes, with so many deliveries queued."""

    queued: int
    private: int


class DeadQueueResult(Struct, kw_only=True):
    """What was measured.

    Attributes:
        samples: while the queue grew; the first once the forwarder holds as many as it may.
        start_empty_s, start_full_s: from opening the store until the forwarder has read what comes
            first, or that there is nothing.
        disk_bytes: of the store at the end.
    """

    samples: list[Sample]
    start_empty_s: float
    start_full_s: float
    disk_bytes: int

    @property
    def growth_bytes(self) -> int:
        """By how much memory grew from the first sample to the last."""
        return self.samples[-1].private - self.samples[0].private


class _Source:
    """The outbox of a store, which tells when it was read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.was_read = asyncio.Event()

    async def read(
        self, connection: int, after_sequence: int, limit: int, max_bytes: int
    ) -> list[Delivery]:
        with self._store.read() as txn:
            found = outbox.read_encoded(txn, connection, after_sequence, limit, max_bytes)
        self.was_read.set()
        return outbox.decode(found)

    async def settle(self, settlement: Settlement) -> None:
        with self._store.write() as txn:
            outbox.settle(txn, settlement)


class _Running:
    """A shard's store and a forwarder that have been started."""

    def __init__(self, folder: Path, map_size_bytes: int, port: int, clock: Clock) -> None:
        self.store = Store(folder / "store", map_size_bytes)
        outbox.begin_sums(self.store)
        with self.store.read() as txn:
            self.queues = Queues(txn, {CONNECTION: 1 << 62}, {CONNECTION: "dead"})
        self.source = _Source(self.store)
        surroundings = OutputEnvironment(
            "dead", clock, EgressRules(["127.0.0.1"]), folder / "spool"
        )
        output = WebhookOutput(WebhookSettings(url=f"http://127.0.0.1:{port}/in"), surroundings)
        self.forwarder = Forwarder(
            OutputInfo("dead", PROFILES["stream"]),
            {"production": output},
            [_CONNECTION],
            [self.source],
            clock,
            SystemRandomness(),
            ForwarderMetrics("load"),
        )
        self._task = asyncio.create_task(self.forwarder.run())

    async def stop(self) -> None:
        await self.forwarder.stop()
        await self._task
        self.store.close()


_CONNECTION = ConnectionInfo(
    number=CONNECTION,
    id="dead",
    input=1,
    input_id="backend",
    output="dead",
    module="webhook",
    is_active=True,
    environments=frozenset({"production"}),
    send_as_batch=True,
    settings=payload_settings(ConnectionSettings()),
)


async def fill(
    options: DeadQueueOptions,
    folder: Path,
    clock: Clock,
    samples: int = 4,
    on_queued: Callable[[int], object] | None = None,
) -> DeadQueueResult:
    """Queue deliveries and measure.

    Args:
        folder: for the store; needs about twice the bytes of all payloads.
        samples: how often memory is looked at while the queue grows.
        on_queued: called with how many there are by now.

    Raises:
        StoreFull: the disk has no room.
        TimeoutError: the outbox was not read again after the start.
    """
    map_size_bytes = 64 * MEGABYTE + options.deliveries * (
        MAP_BYTES_PER_DELIVERY + 2 * options.payload_bytes
    )
    with socket.socket() as bound:  # nobody listens there as long as it is held
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]

        def start() -> _Running:
            return _Running(folder, map_size_bytes, port, clock)

        running, start_empty_s = await _timed(start, clock)
        taken: list[Sample] = []
        marks = {options.deliveries * (number + 1) // samples for number in range(samples)}
        queued = 0
        while queued < options.deliveries:
            upper = min(mark for mark in marks if mark > queued)
            some = range(queued, min(queued + CHUNK, upper))
            with running.store.write() as txn:
                outbox.add_all(txn, [_delivery(n, options, clock) for n in some])
            queued = some.stop
            running.forwarder.wake(0)
            await asyncio.sleep(0)
            if on_queued is not None:
                on_queued(queued)
            if queued in marks:
                await asyncio.sleep(SETTLE_S)
                gc.collect()
                taken.append(Sample(queued=queued, private=_private()))
        await running.stop()
        del running
        running, start_full_s = await _timed(start, clock)
        waiting = running.queues.of(CONNECTION)["depth"]
        disk_bytes = running.store.used_bytes()
        await running.stop()
    if waiting != options.deliveries:
        raise RuntimeError(f"{waiting} deliveries of {options.deliveries} are there")
    return DeadQueueResult(
        samples=taken,
        start_empty_s=start_empty_s,
        start_full_s=start_full_s,
        disk_bytes=disk_bytes,
    )


async def _timed(start: Callable[[], _Running], clock: Clock) -> tuple[_Running, float]:
    began = clock.monotonic()
    running = start()
    async with asyncio.timeout(PATIENCE_S):
        await running.source.was_read.wait()
    return running, clock.monotonic() - began


def _delivery(number: int, options: DeadQueueOptions, clock: Clock) -> Delivery:
    mpid = number % USERS + 1
    payload = {
        "mpid": mpid,
        "batch_id": number,
        "events": [{}],
        "filler": "x" * options.payload_bytes,
    }
    return Delivery(
        sequence=number + 1,
        connection=CONNECTION,
        delivery_id=delivery_id("dead", number, 0),
        mpid=mpid,
        payload=msgspec.json.encode(payload),
        created_ms=clock.now_ms(),
        event_count=1,
    )


def _private() -> int:
    memory = psutil.Process().memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))
