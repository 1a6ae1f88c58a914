"""How long a deployment does without a process that was killed (`-9`), and whom that concerns.

One shard has as many profiles as are asked for, another one a few. Probes are single batches: to
users of the one, to users of the other, and over several connections to all edges. What counts is
the time from the kill to the first answer 202 that was still missing.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from msgspec import Struct

from actors.clock import Clock
from load_tests.client import Channel, Target, request_bytes
from load_tests.draws import Draws
from load_tests.filled import (
    AUTHORIZATION,
    EDGES,
    MODELS,
    SHARDS,
    Filled,
    NotServed,
    anonymous_batch,
)
from load_tests.people import Person
from load_tests.reader import Reader, fetch_token
from load_tests.server_process import own_access
from load_tests.steady import template

PROBES = 2000  # bodies of one
CHANNELS = 8  # of probes of edges
LOOK_S = 0.05  # looking costs some milliseconds of the processors that are measured
CALM_S = 2.0  # of probes before a kill
PATIENCE_S = 120.0
LOADING_S = 600.0


class RecoveryOptions(Struct, frozen=True, kw_only=True):
    """How to run.

    Attributes:
        profiles: of the shard that is killed.
        kills: of the shard, and of an edge.
        pause_s: of each client between two batches, and before it tries again.
    """

    profiles: int
    kills: int
    attributes: int
    audiences: int
    seed: int
    pause_s: float = 0.02


class Kill(Struct, kw_only=True):
    """One process that was killed.

    Attributes:
        back_s: until its successor answered: a batch of its users, or for an edge until it listens.
        cpu_s: processor time that the successor had taken by then.
        unserved_s: until each client that had to do with it was served again.
        others_refused: answers to others than 202, and connections of theirs that broke.
        others_s: the longest time that a batch of theirs took meanwhile; `before_s`: and before.
    """

    back_s: float
    cpu_s: float
    unserved_s: float
    others_refused: int
    others_s: float
    before_s: float


class RecoveryResult(Struct, kw_only=True):
    """All kills.

    Attributes:
        start_s: until the deployment served, with all profiles.
        loaded_s: from then until the columns of audiences were loaded.
    """

    start_s: float
    loaded_s: float
    shards: list[Kill]
    edges: list[Kill]


class _Probe:
    """One client that sends single batches one after the other, each until it is acknowledged.

    Attributes:
        refused: answers other than 202, and broken connections.
        slowest_s: the longest time from the first attempt to the 202, since `reset`.
        answered: acknowledged since `reset`, and begun since.
    """

    def __init__(
        self, target: Target, bodies: Sequence[bytes], pause_s: float, clock: Clock
    ) -> None:
        self._target = target
        self._bodies = bodies
        self._pause_s = pause_s
        self._clock = clock
        self._sent = 0
        self.reset()

    def reset(self) -> None:
        self.refused = 0
        self.slowest_s = 0.0
        self.answered = 0
        self._since_s = self._clock.monotonic()

    async def run(self) -> None:
        """Go on until cancelled."""
        channel = Channel(self._target)
        try:
            while True:
                began_s = self._clock.monotonic()
                body = self._bodies[self._sent % len(self._bodies)]
                self._sent += 1
                request = request_bytes(self._target, "POST", "/v2/events", AUTHORIZATION, body)
                while not await self._attempt(channel, request):
                    self.refused += 1
                    await asyncio.sleep(self._pause_s)
                self.slowest_s = max(self.slowest_s, self._clock.monotonic() - began_s)
                self.answered += began_s >= self._since_s
                await asyncio.sleep(self._pause_s)
        finally:
            channel.close()

    @staticmethod
    async def _attempt(channel: Channel, request: bytes) -> bool:
        try:
            return (await channel.exchange(request)).status == 202
        except OSError:
            return False


class Recovery:
    """Fills a deployment, kills its processes and measures."""

    def __init__(self, options: RecoveryOptions, folder: Path, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._probes = 0
        self._filled = Filled(
            folder,
            options.profiles,
            options.attributes,
            options.audiences,
            options.seed,
            clock,
        )
        self._server = self._filled.server

    async def run(self) -> RecoveryResult:
        """Measure.

        Raises:
            RuntimeError: the deployment did not start.
            NotServed: it did not serve, or did not recover.
        """
        await self._filled.fill()
        began_s = self._clock.monotonic()
        async with self._filled.serving() as target:
            start_s = self._clock.monotonic() - began_s
            loaded_s = await self._loaded(target)
            # Edges first: a shard that was killed loads its columns for minutes after it is back.
            edges = [await self._kill_edge(target) for _ in range(self._options.kills)]
            shards = [await self._kill_shard(target) for _ in range(self._options.kills)]
        return RecoveryResult(start_s=start_s, loaded_s=loaded_s, shards=shards, edges=edges)

    async def _loaded(self, target: Target) -> float:
        """Wait until the sizes of audiences are known, which they are once columns are loaded."""
        access = own_access()
        reader = Reader(target, access, await fetch_token(target, access))
        began_s = self._clock.monotonic()
        try:
            while None in (await reader.audience_sizes()).values():
                if self._clock.monotonic() - began_s > LOADING_S:
                    raise NotServed(f"no sizes of audiences within {LOADING_S:g} s")
                await asyncio.sleep(1.0)
        finally:
            reader.close()
        return self._clock.monotonic() - began_s

    async def _kill_shard(self, target: Target) -> Kill:
        probes = [self._probe(target, 0), self._probe(target, 1)]
        async with self._probing(probes) as before_s:
            [victim] = self._of_first_shard()
            _kill(victim, probes)
            concerned, other = probes
            back_s = await self._until(lambda: concerned.answered > 0)
            [successor] = self._of_first_shard()
            return Kill(
                back_s=back_s,
                cpu_s=_cpu_s(successor),
                unserved_s=back_s,
                others_refused=other.refused,
                others_s=other.slowest_s,
                before_s=before_s,
            )

    async def _kill_edge(self, target: Target) -> Kill:
        probes = [self._probe(target, each % SHARDS) for each in range(CHANNELS)]
        async with self._probing(probes) as before_s:
            victim = next(each for each in self._server.actors("Edge") if _listens(each, target))
            concerned = _clients(victim, target)
            _kill(victim, probes)
            until_served = asyncio.create_task(
                self._until(lambda: all(each.answered > 0 for each in probes))
            )
            back_s = await self._until(lambda: len(self._listening(target)) == EDGES)
            successor = max(self._listening(target), key=lambda each: float(each.create_time()))
            cpu_s, unserved_s = _cpu_s(successor), await until_served
            others = [each for each in probes if not each.refused]
            return Kill(
                back_s=back_s,
                cpu_s=cpu_s,
                unserved_s=unserved_s,
                others_refused=max(CHANNELS - concerned - len(others), 0),
                others_s=max((each.slowest_s for each in others), default=0.0),
                before_s=before_s,
            )

    def _probe(self, target: Target, shard: int) -> _Probe:
        draws, now_s = Draws(self._options.seed), self._clock.now_ms() // 1000 - 1
        people = [Person(self._options.seed, number) for number in range(MODELS)]
        mpids = self._filled.mpids(shard)
        chosen = random.Random(self._options.seed)  # to be repeated, not to be secret
        self._probes += 1
        bodies = [
            f"{self._probes:06x}{place:06x}".encode().join(
                template(anonymous_batch(each, draws) | {"mpid": chosen.choice(mpids)}, now_s)
            )
            for place, each in enumerate(people * (PROBES // MODELS))
        ]
        return _Probe(target, bodies, self._options.pause_s, self._clock)

    @contextlib.asynccontextmanager
    async def _probing(self, probes: Sequence[_Probe]) -> AsyncIterator[float]:
        """Send probes; return how long the slowest took while all was calm."""
        tasks = [asyncio.create_task(each.run()) for each in probes]
        try:
            await asyncio.sleep(CALM_S)
            before_s = max(each.slowest_s for each in probes)
            yield before_s
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _until(self, is_so: Callable[[], bool]) -> float:
        """Return how long it took. Raises NotServed."""
        began_s = self._clock.monotonic()
        while not is_so():
            if self._clock.monotonic() - began_s > PATIENCE_S:
                raise NotServed(f"nothing came back within {PATIENCE_S:g} s")
            await asyncio.sleep(LOOK_S)
        return self._clock.monotonic() - began_s

    def _of_first_shard(self) -> list[psutil.Process]:
        place = "/shard-0000/"
        return [each for each in self._server.actors("Shard") if _has_open(each, place)]

    def _listening(self, target: Target) -> list[psutil.Process]:
        return [each for each in self._server.actors("Edge") if _listens(each, target)]


def _kill(victim: psutil.Process, probes: Sequence[_Probe]) -> None:
    victim.kill()
    victim.wait(PATIENCE_S)
    for each in probes:
        each.reset()


def _has_open(process: psutil.Process, words: str) -> bool:
    with contextlib.suppress(psutil.Error):
        return any(words in file.path for file in process.open_files())
    return False


def _sockets(process: psutil.Process, target: Target, status: str) -> int:
    with contextlib.suppress(psutil.Error):
        found = process.net_connections("tcp")
        return sum(each.laddr.port == target.port and each.status == status for each in found)
    return 0


def _listens(process: psutil.Process, target: Target) -> bool:
    return _sockets(process, target, psutil.CONN_LISTEN) > 0


def _clients(process: psutil.Process, target: Target) -> int:
    return _sockets(process, target, psutil.CONN_ESTABLISHED)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
