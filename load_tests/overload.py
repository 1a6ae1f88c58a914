"""A deployment that is sent ten times what it can take: what it still does, and afterwards.

Three phases, of which the last begins when the second stops to send: as much as it takes, so many
times as much at given times, and again as much as it takes. All that comes through one input; in
all phases another one sends a little, at given times. Whatever was acknowledged in any of them is
read back at the end.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from actors.clock import Clock, Randomness
from actors.forwarding.connections import WINDOW_BYTES
from actors.forwarding.streams import REMEMBERED_IDS
from actors.identity.knowledge import MAX_KNOWN
from actors.steps.identify import MAX_KNOWN as MAX_SETTLED
from load_tests.bench.deployment import workspace_document
from load_tests.client import Target
from load_tests.drive import DriveOptions
from load_tests.phases import Phase, Sender
from load_tests.pool import RUN_BITS, Pool, PoolOptions
from load_tests.server_process import KEY, ServerProcess
from load_tests.stages import GENERATOR, Accountant, find_server
from server.received import LONGEST_RETRY_S

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
# The other input: what it sends, as a share of what the deployment takes, in requests of so many
# batches, by so many users; how long each of its requests may take and come again.
CALM_KEY = ("us1-load-calm-key", "load-secret")
CALM_SHARE = 0.1
CALM_BATCHES_PER_REQUEST = 10
CALM_USERS = 0.1  # of those of the input that floods
CALM_CONNECTIONS = 128
CALM_DRAIN_S = 2.0 * LONGEST_RETRY_S


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


class Overload:
    """Measures one deployment, which is started for it."""

    def __init__(
        self, options: OverloadOptions, folder: Path, clock: Clock, randomness: Randomness
    ) -> None:
        self._options = options
        self._clock = clock
        self._randomness = randomness
        workspace = folder / "workspace.yaml"
        document = _document(options)
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
        pools, calm = await asyncio.to_thread(
            lambda: ([self._pool() for _ in range(4)], [self._calm_pool() for _ in range(3)])
        )
        await asyncio.to_thread(self._server.start)
        try:
            return await self._measure(pools, calm)
        finally:
            await asyncio.to_thread(self._server.stop)

    async def _measure(self, pools: list[Pool], calm_pools: list[Pool]) -> OverloadResult:
        options, seconds = self._options, self._options.seconds
        warming, *rest = pools
        warm = self._sender(KEY[1::2], self._closed(seconds / 2), warming)
        await warm.run()
        taken = warm.measured.throughput(seconds / 2)["batches_per_second"]
        lengths = (seconds, seconds, seconds + SETTLE_S)
        calm = [
            self._sender(CALM_KEY, self._calm(length, taken, pool), pool)
            for length, pool in zip(lengths, calm_pools, strict=True)
        ]
        idle = await self._memory()
        before = self._sender(KEY[1::2], self._closed(seconds), rest[0])
        memory_before = await self._during(asyncio.gather(before.run(), calm[0].run()))
        full = before.measured.throughput(seconds)
        flood = self._sender(KEY[1::2], self._flood(full["requests_per_second"]), rest[1])
        after = self._sender(KEY[1::2], self._closed(seconds + SETTLE_S), rest[2])
        flooding = asyncio.gather(flood.run(), calm[1].run())
        memory_flood = await self._during(asyncio.sleep(seconds))
        memory_after = await self._during(asyncio.gather(after.run(), calm[2].run()))
        await flooding
        memory = (memory_before, memory_flood, memory_after)
        verify = options.verify_users, options.seed
        phases = [
            await each.phase(seconds, took, await other.calm(*verify), *verify)
            for each, took, other in zip((before, flood, after), memory, calm, strict=True)
        ]
        return OverloadResult(
            idle_bytes=idle,
            bound_bytes=bounds_of(idle, options.received_bytes, self._outputs, self._connections),
            before=phases[0],
            flood=phases[1],
            after=phases[2],
            full_again_s=_full_again_s(phases[2].events, full["events_per_second"]),
        )

    def _sender(self, key: Sequence[str], drive: DriveOptions, pool: Pool) -> Sender:
        name, secret = key
        return Sender(Target.of(self._server.url), (name, secret), drive, pool, self._clock)

    def _flood(self, rate: float) -> DriveOptions:
        """Return how the flood is sent, where so many requests a second are taken."""
        options = self._options
        return DriveOptions(
            seconds=options.seconds,
            connections=options.flood_connections,
            requests_per_second=max(rate * options.times, 1.0),
            drain_s=0.0,
            seed=options.seed,
        )

    def _calm(self, seconds: float, taken: float, pool: Pool) -> DriveOptions:
        """Return how the other input sends, where so many batches a second are taken."""
        return DriveOptions(
            seconds=seconds,
            connections=CALM_CONNECTIONS,
            requests_per_second=max(taken * CALM_SHARE / pool.batches_per_request, 1.0),
            drain_s=CALM_DRAIN_S,
            seed=self._options.seed,
        )

    def _closed(self, seconds: float) -> DriveOptions:
        return DriveOptions(seconds=seconds, connections=self._options.connections)

    def _pool(self) -> Pool:
        options = self._options
        return self._made(options.seed, options.users, BATCHES_PER_REQUEST)

    def _calm_pool(self) -> Pool:
        """Make one of users whom the flood is not about."""
        options = self._options
        users = max(1, int(options.users * CALM_USERS))
        return self._made(options.seed + 1, users, CALM_BATCHES_PER_REQUEST)

    def _made(self, seed: int, users: int, batches_per_request: int) -> Pool:
        is_bulk = self._options.mode == "bulk"
        return Pool(
            PoolOptions(
                seed=seed,
                users=users,
                batches=BATCHES,
                is_bulk=is_bulk,
                batches_per_request=batches_per_request if is_bulk else 1,
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


def _document(options: OverloadOptions) -> dict[str, Any]:
    """Return the full feature set's document with another input, whose events go where all go."""
    document = workspace_document(options.attributes, options.audiences, options.seed)
    key, secret = CALM_KEY
    document["inputs"].append(
        {"id": "calm", "kind": "feed", "name": "Calm", "keys": [{"key": key, "secret": secret}]}
    )
    document["connections"] += [
        {"id": f"calm-{output['id']}", "input": "calm", "output": output["id"]}
        for output in document["outputs"]
    ]
    return document


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
