"""A deployment that is sent ten times what it can take: what it still does, and afterwards.

Three phases, of which the last begins when the second stops to send: as much as it takes, so many
times as much at given times, and again as much as it takes. Whatever was acknowledged in any of
them is read back at the end.
"""

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import msgspec
from msgspec import Struct

from actors.clock import Clock, Randomness
from actors.forwarding.connections import WINDOW_BYTES
from actors.forwarding.streams import REMEMBERED_IDS
from actors.identity.knowledge import MAX_KNOWN
from actors.steps.identify import MAX_KNOWN as MAX_SETTLED
from load_tests.bench.deployment import workspace_document
from load_tests.client import Target
from load_tests.drive import DriveOptions, Driver
from load_tests.ledger import Ledger
from load_tests.pool import RUN_BITS, Pool, PoolOptions
from load_tests.server_process import KEY, ServerProcess, own_access
from load_tests.stages import GENERATOR, Accountant, find_server
from load_tests.traffic import IngestTraffic
from load_tests.verify import Counts, Verifier

MIB = 1024 * 1024
BATCHES = 4_000  # of a pool
BATCHES_PER_REQUEST = 100
EVENTS_PER_BATCH = 5
ENOUGH = 0.8  # of what was taken before
LOOK_S = 0.25
SETTLE_S = 5.0  # after the flood
# Of a process: what its allocator holds, and what goes to and from others.
SLACK_BYTES = 96 * MIB
# A body under way is there as it came, as batches, and as the micro-batch that they are put into.
# A delivery is there as it was queued, as it is sent, and as the output has it.
COPIES = 3
# Settings of the deployment: as small as holds its users to the end. Where a cache comes to its
# bound in the midst of a run, the last phase is slower than the first without any flood.
CACHE_BYTES, SHARDS = 64 * MIB, 2
# "What memory is bounded by" in the README gives these.
SETTLED_BYTES = KNOWN_BYTES = 1000  # of a request with a login, of what a coordinator knows
ID_BYTES = 150  # of a delivery that was made
_BEFORE_FIRST_EVENT_MS = 60_000


class OverloadOptions(Struct, frozen=True, kw_only=True):
    """How to run.

    Attributes:
        mode: `bulk` or `single`.
        seconds: of each phase.
        times: what is offered in the second phase, in multiples of what was taken in the first.
        connections: of the first and the last phase; `flood_connections`: of the second.
        received_bytes: setting `max_received_bytes` of the deployment.
        verify_users: a random sample, for each phase.
    """

    mode: str
    seconds: float
    times: float
    connections: int
    flood_connections: int
    received_bytes: int
    attributes: int
    audiences: int
    users: int
    verify_users: int
    seed: int


class Phase(Struct, kw_only=True):
    """What became of one phase.

    Attributes:
        offered: requests per second that arrived, repeats included.
        batches_per_second: acknowledged, while it lasted; `events`: in each second.
        statuses: of all answers; those that are neither 202 nor 429 nor 503 are wrong.
        without_retry_after: answers 429 and 503 that did not say when to come again.
        connections_broken: requests without an answer.
        unsent: requests that waited for a connection until the end.
        latency_ms: percentiles of the answers that were final.
        memory_bytes: the most that the processes of each role took.
        counts: what reading back has shown.
    """

    offered: float
    batches_per_second: float
    events: list[int]
    statuses: dict[str, int]
    without_retry_after: int
    connections_broken: int
    unsent: int
    latency_ms: dict[str, float]
    memory_bytes: dict[str, int]
    counts: Counts


class OverloadResult(Struct, kw_only=True):
    """All phases.

    Attributes:
        idle_bytes: memory of each role before the first; mapped files do not count.
        bound_bytes: the most that each role may take, by the deployment's settings.
        full_again_s: from the end of the flood until a second at 80 % of the first phase's rate;
            `None`: never.
    """

    idle_bytes: dict[str, int]
    bound_bytes: dict[str, int]
    before: Phase
    flood: Phase
    after: Phase
    full_again_s: float | None

    @property
    def goodput(self) -> float:
        """The flood's acknowledged rate, as a share of the first phase's."""
        return self.flood.batches_per_second / max(self.before.batches_per_second, 1e-9)


class _Sender:
    """One phase under way."""

    def __init__(
        self,
        target: Target,
        options: OverloadOptions,
        drive: DriveOptions,
        pool: Pool,
        clock: Clock,
    ) -> None:
        self._target = target
        self._options = options
        self._clock = clock
        self._pool = pool
        self._seconds = drive.seconds
        self._ledger = Ledger(pool)
        self._since_ms = clock.now_ms() - _BEFORE_FIRST_EVENT_MS
        traffic = IngestTraffic(target, KEY[1], KEY[3], pool, self._ledger)
        self.driver = Driver(target, traffic, drive, clock)

    async def run(self) -> None:
        """Send, and wait for the answers."""
        await self.driver.run()

    async def phase(self, memory: dict[str, int]) -> Phase:
        """Describe it once it is over. Raises ReadBackFailed."""
        verifier = Verifier(self._target, own_access(), self._pool, self._ledger, self._since_ms)
        options, measured = self._options, self.driver.measured
        found = await verifier.run(self._clock, options.verify_users, options.seed)
        return Phase(
            offered=(measured.statuses.total() + measured.retries["connection"]) / options.seconds,
            batches_per_second=measured.throughput(options.seconds)["batches_per_second"],
            events=measured.by_second(self._seconds)["events"],
            statuses={str(status): count for status, count in sorted(measured.statuses.items())},
            without_retry_after=measured.without_retry_after,
            connections_broken=measured.retries["connection"],
            unsent=measured.unsent,
            latency_ms=measured.latency_ms(),
            memory_bytes=memory,
            counts=Counts(**{name: getattr(found, name) for name in Counts.__struct_fields__}),
        )


class Overload:
    """Measures one deployment, which is started for it."""

    def __init__(
        self, options: OverloadOptions, folder: Path, clock: Clock, randomness: Randomness
    ) -> None:
        self._options = options
        self._clock = clock
        self._randomness = randomness
        workspace = folder / "workspace.yaml"
        document = workspace_document(options.attributes, options.audiences, options.seed)
        self._outputs, self._connections = len(document["outputs"]), len(document["connections"])
        workspace.write_bytes(msgspec.json.encode(document))
        self._server = ServerProcess(
            folder / "data",
            clock,
            *("--workspace", str(workspace)),
            environ={
                "HEADWATER_LOG_LEVEL": "warning",
                "HEADWATER_MAX_RECEIVED_BYTES": str(options.received_bytes),
                "HEADWATER_PROFILE_CACHE_BYTES": str(CACHE_BYTES),
                "HEADWATER_SHARDS": str(SHARDS),
            },
        )

    async def run(self) -> OverloadResult:
        """Measure.

        Raises:
            RuntimeError: the deployment did not start.
            ReadBackFailed: its data cannot be read.
        """
        pools = await asyncio.to_thread(lambda: [self._pool() for _ in range(4)])
        await asyncio.to_thread(self._server.start)
        try:
            return await self._measure(pools)
        finally:
            await asyncio.to_thread(self._server.stop)

    async def _measure(self, pools: list[Pool]) -> OverloadResult:
        options, target = self._options, Target.of(self._server.url)
        warming, *rest = pools
        await _Sender(
            target, options, self._closed(options.seconds / 2), warming, self._clock
        ).run()
        idle = await self._memory()
        before = _Sender(target, options, self._closed(options.seconds), rest[0], self._clock)
        memory_before = await self._during(before.run())
        rate = before.driver.measured.throughput(options.seconds)["requests_per_second"]
        flood = _Sender(
            target,
            options,
            DriveOptions(
                seconds=options.seconds,
                connections=options.flood_connections,
                requests_per_second=max(rate * options.times, 1.0),
                drain_s=0.0,
                seed=options.seed,
            ),
            rest[1],
            self._clock,
        )
        closed = self._closed(options.seconds + SETTLE_S)
        after = _Sender(target, options, closed, rest[2], self._clock)
        flooding = asyncio.create_task(flood.run())
        memory_flood = await self._during(asyncio.sleep(options.seconds))
        memory_after = await self._during(after.run())
        await flooding
        full = before.driver.measured.throughput(options.seconds)["events_per_second"]
        last = await after.phase(memory_after)
        return OverloadResult(
            idle_bytes=idle,
            bound_bytes=bounds_of(idle, options.received_bytes, self._outputs, self._connections),
            before=await before.phase(memory_before),
            flood=await flood.phase(memory_flood),
            after=last,
            full_again_s=_full_again_s(last.events, full),
        )

    def _closed(self, seconds: float) -> DriveOptions:
        return DriveOptions(seconds=seconds, connections=self._options.connections)

    def _pool(self) -> Pool:
        options = self._options
        is_bulk = options.mode == "bulk"
        return Pool(
            PoolOptions(
                seed=options.seed,
                users=options.users,
                batches=BATCHES,
                is_bulk=is_bulk,
                batches_per_request=BATCHES_PER_REQUEST if is_bulk else 1,
                events_per_batch=EVENTS_PER_BATCH,
            ),
            self._randomness.bits(RUN_BITS),
        )

    async def _during(self, work: Awaitable[object]) -> dict[str, int]:
        """Return the most memory of each role until something is over."""
        task = asyncio.ensure_future(work)
        most: dict[str, int] = {}
        while not task.done():
            for role, size in (await self._memory()).items():
                most[role] = max(most.get(role, 0), size)
            await asyncio.wait((task,), timeout=LOOK_S)
        await task
        return most

    async def _memory(self) -> dict[str, int]:
        accountant = Accountant(find_server(Target.of(self._server.url), self._server.pid))
        await asyncio.to_thread(accountant.sample)
        usage = accountant.usage(0)
        return {role: each.peak_own_bytes for role, each in usage.items() if role != GENERATOR}


def bounds_of(
    idle: dict[str, int], received_bytes: int, outputs: int, connections: int
) -> dict[str, int]:
    """Return the most memory that the processes of each role may take together.

    Args:
        idle: what they take without load.
        received_bytes: setting `max_received_bytes`.
        outputs, connections: how many there are; each output has a forwarder.

    Source: README, "What memory is bounded by".
    """
    more = {
        "edge": COPIES * received_bytes + SLACK_BYTES,
        "shard": SHARDS * (CACHE_BYTES + MAX_SETTLED * SETTLED_BYTES + SLACK_BYTES),
        "coordinator": MAX_KNOWN * KNOWN_BYTES + SLACK_BYTES,
        "forwarder": outputs * (COPIES * WINDOW_BYTES + SLACK_BYTES)
        + connections * REMEMBERED_IDS * ID_BYTES,
    }
    return {role: idle[role] + size for role, size in more.items()}


def _full_again_s(events: list[int], full: float) -> float | None:
    """Return when a second began in which enough was acknowledged."""
    enough = (second for second, count in enumerate(events) if count >= full * ENOUGH)
    found = next(enough, None)
    return None if found is None else float(found)
