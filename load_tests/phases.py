"""Who sends to a deployment while it is overloaded, and what became of it in each phase."""

from collections.abc import Mapping

from msgspec import Struct

from actors.clock import Clock
from load_tests.client import Target
from load_tests.drive import DriveOptions, Driver
from load_tests.ledger import Ledger
from load_tests.measurements import Measurements
from load_tests.pool import Pool
from load_tests.server_process import own_access
from load_tests.traffic import IngestTraffic
from load_tests.verify import Counts, Verification, Verifier

_BEFORE_FIRST_EVENT_MS = 60_000


class Calm(Struct, kw_only=True):
    """What became of an input that sends little, while another one floods.

    Attributes:
        offered: requests per second that were sent, repeats left out.
        requests: that were sent; `acknowledged`: of them, sooner or later.
        statuses: of all answers, also of those after which a request came again.
        without_retry_after: answers 429 and 503 that did not say when to come again.
        connections_broken: requests without an answer.
        latency_ms: percentiles, from when a request was due to its last answer.
        counts: what reading back has shown.
    """

    offered: float
    requests: int
    acknowledged: int
    statuses: dict[str, int]
    without_retry_after: int
    connections_broken: int
    latency_ms: dict[str, float]
    counts: Counts

    @property
    def share(self) -> float:
        """How many of its requests were acknowledged in the end, 0 to 1."""
        return self.acknowledged / max(self.requests, 1)

    @property
    def share_at_once(self) -> float:
        """How many of its attempts were acknowledged, 0 to 1."""
        attempts = sum(self.statuses.values()) + self.connections_broken
        return self.statuses.get("202", 0) / max(attempts, 1)


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
        calm: what became of the other input meanwhile.
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
    calm: Calm


class Sender:
    """One input in one phase."""

    def __init__(
        self,
        target: Target,
        key: tuple[str, str],
        drive: DriveOptions,
        pool: Pool,
        clock: Clock,
    ) -> None:
        """Args: `key` of the input, and its secret."""
        self._target = target
        self._clock = clock
        self._pool = pool
        self._drive = drive
        self._ledger = Ledger(pool)
        self._since_ms = clock.now_ms() - _BEFORE_FIRST_EVENT_MS
        traffic = IngestTraffic(target, *key, pool, self._ledger)
        self._driver = Driver(target, traffic, drive, clock)

    @property
    def measured(self) -> Measurements:
        """What has become of it so far."""
        return self._driver.measured

    async def run(self) -> None:
        """Send, and wait for the answers."""
        await self._driver.run()

    async def phase(
        self, seconds: float, memory: dict[str, int], calm: Calm, verify_users: int, seed: int
    ) -> Phase:
        """Describe it once it is over.

        Args:
            seconds: of the phase, in which what is offered and acknowledged is counted.
            memory, calm: of the phase.
            verify_users: how many users are read back, drawn by `seed`.

        Raises:
            ReadBackFailed: the deployment's data cannot be read.
        """
        measured = self.measured
        return Phase(
            offered=(measured.statuses.total() + measured.retries["connection"]) / seconds,
            batches_per_second=measured.throughput(seconds)["batches_per_second"],
            events=measured.by_second(self._drive.seconds)["events"],
            statuses=_named(measured.statuses),
            without_retry_after=measured.without_retry_after,
            connections_broken=measured.retries["connection"],
            unsent=measured.unsent,
            latency_ms=measured.latency_ms(),
            memory_bytes=memory,
            counts=await self._counts(verify_users, seed),
            calm=calm,
        )

    async def calm(self, verify_users: int, seed: int) -> Calm:
        """Describe it once it is over, as of an input that sends little; see `phase`."""
        measured = self.measured
        sent = measured.requests - measured.unsent
        return Calm(
            offered=sent / self._drive.seconds,
            requests=sent,
            acknowledged=measured.acknowledged_requests,
            statuses=_named(measured.statuses),
            without_retry_after=measured.without_retry_after,
            connections_broken=measured.retries["connection"],
            latency_ms=measured.latency_ms(),
            counts=await self._counts(verify_users, seed),
        )

    async def _counts(self, verify_users: int, seed: int) -> Counts:
        verifier = Verifier(self._target, own_access(), self._pool, self._ledger, self._since_ms)
        found: Verification = await verifier.run(self._clock, verify_users, seed)
        return Counts(**{name: getattr(found, name) for name in Counts.__struct_fields__})


def _named(statuses: Mapping[int, int]) -> dict[str, int]:
    return {str(status): count for status, count in sorted(statuses.items())}
