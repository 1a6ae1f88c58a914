"""What it takes to make an audience and a calculated attribute complete for what is stored.

One shard in this process is filled with users and their histories. Then an audience of events and a
calculated attribute begin: once while nothing else is asked of the shard, and once more while
batches come. Last, a day ends for an audience of those who did something in it, and a week for one
that nobody is in: many are due at once, and all of them leave, or none. Beside it stands what a
bare loop takes to read the same records, and to write them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

from actors.audiences.stepping import AudienceSteps
from actors.calculated.applying import values
from actors.calculated.definition import DAY_MS
from actors.clock import Clock
from actors.model.profiles import ProfileKey
from actors.store.keys import profile_key
from load_tests.backfill.definitions import (
    BUYERS,
    SEARCHES,
    TODAYS,
    Expected,
    attributes,
    audiences,
    expected,
)
from load_tests.backfill.floor import measure_floor
from load_tests.backfill.results import Filled, Ingested, Options, Result, Shared
from load_tests.backfill.stepped import ShiftedClock, Stepped
from load_tests.draws import Draws, zipf_ranks
from load_tests.histories import fill
from load_tests.in_process import InProcess, document
from load_tests.people import Batch, Person
from load_tests.steady import CpuClock, Sender, Template, template

Pause = Callable[[float], Awaitable[None]]
LogIds = dict[int, list[int]]  # of the batches of each user

BATCHES_PER_REQUEST = 100
EVENTS_PER_BATCH = 5
MODELS = 200  # users whose profiles and batches are copied
_WEDNESDAY, _WEEK_DAYS = 6, 7  # 1970-01-01 was a Thursday


class NotComplete(Exception):
    """Somebody is missing in an audience, or a value is wrong. Says what."""


class BackFill:
    """A deployment of one shard with users who have a history."""

    def __init__(
        self,
        deployment: InProcess,
        options: Options,
        clock: ShiftedClock,
        cpu: CpuClock,
        pause: Pause,
    ) -> None:
        self._deployment = deployment
        self._shard = deployment.shards[0]
        self._options = options
        self._clock = clock
        self._cpu = cpu
        self._pause = pause
        self._sender = Sender(deployment, cpu)
        self._stepped = Stepped(self._shard, clock, cpu)
        self._revision = 0

    async def measure(self, log_ids: LogIds) -> Result:
        """Measure everything; see the module.

        Args:
            log_ids: of the users' batches.

        Raises:
            NotSteady: a batch was refused.
            NotComplete: the back-fill has not found what a plain loop finds.
        """
        users = self._options.users
        floor = measure_floor(self._shard, log_ids, self._cpu)
        with self._shard.store.read() as txn:
            models = expected(txn, dict(islice(log_ids.items(), MODELS)))
        steps = asyncio.create_task(AudienceSteps([self._stepped], self._pause).run())
        try:
            self._begin()
            await self._stepped.is_done.wait()
            idle = self._stepped.filled(users)
            self._check(models)
            members = self._shard.audiences.engine.size(BUYERS)
            shared = await self._shared() if self._options.requests else None
            day_ends = await self._end(1)
            week_ends = await self._end(4)  # Thursday to Sunday
        finally:
            steps.cancel()
            await asyncio.gather(steps, return_exceptions=True)
        return Result(
            events=sum(map(len, log_ids.values())) * EVENTS_PER_BATCH,
            wanted=models.wanted / models.events,
            members=members,
            floor=floor,
            idle=idle,
            shared=shared,
            day_ends=day_ends,
            week_ends=week_ends,
        )

    def _begin(self) -> None:
        """Begin anew, by another revision: all of it has to be made again."""
        self._revision += 1
        self._stepped.begin()
        self._stepped.worker.set_calculated_attributes(attributes(self._revision))
        self._stepped.worker.set_audiences(audiences(self._revision))

    async def _shared(self) -> Shared:
        requests = self._requests()
        alone = await self._ingest(requests, self._options.requests)
        self._begin()
        meanwhile = await self._ingest(requests, None)
        filled = self._stepped.filled(self._options.users)
        return Shared(filled=filled, alone=alone, meanwhile=meanwhile)

    def _check(self, models: Expected) -> None:
        """Compare the copies with what a plain loop has found of their models."""
        users = range(1, self._options.users + 1)
        buyers = {mpid % MODELS for mpid in models.buyers}
        wanted = {mpid for mpid in users if mpid % MODELS in buyers}
        members = {key.mpid for key in self._shard.audiences.engine.members(BUYERS)}
        wrong = len(members.intersection(users) ^ wanted)
        if wrong:
            raise NotComplete(f"{wrong} users are not where they should be")
        searches = {mpid % MODELS: count for mpid, count in models.searches.items()}
        workspace = self._shard.options.workspace
        with self._shard.store.read() as txn:
            for mpid in users:
                key = profile_key(ProfileKey(workspace.scope, "production", mpid))
                profile = self._shard.profiles.open(txn, key)
                assert profile is not None, "it was filled in"
                section = profile.workspaces[workspace.number]
                shown = values(section, self._shard.audiences.attributes).get(SEARCHES)
                count = searches[mpid % MODELS]
                if shown != (str(count) if count else None):
                    raise NotComplete(f"user {mpid}: {shown} instead of {count} searches")

    async def _ingest(self, requests: Iterator[Sequence[Template]], count: int | None) -> Ingested:
        """Send so many requests; with `None` as many as come until the back-fill is complete."""
        sent, begun_s, taken = 0, time.monotonic(), 0.0
        while sent < count if count is not None else not self._stepped.is_done.is_set():
            stepped = self._stepped.cpu_s
            taken += await self._sender.send(next(requests)) - (self._stepped.cpu_s - stepped)
            sent += 1
            await asyncio.sleep(0)
        events = sent * BATCHES_PER_REQUEST * EVENTS_PER_BATCH
        return Ingested(
            events=events,
            events_per_second=events / (time.monotonic() - begun_s),
            cpu_us_per_event=taken / events * 1e6,
        )

    def _requests(self) -> Iterator[Sequence[Template]]:
        """Yield requests without end, of users of whom some send more."""
        options, draws = self._options, Draws(self._options.seed + 1)
        people = [Person(options.seed, number) for number in range(MODELS)]
        now_s = self._clock.now_ms() // 1000 - 1
        ranks = zipf_ranks(options.users, options.requests * BATCHES_PER_REQUEST, options.seed)
        made = [
            template(_batch(people[rank % MODELS], draws) | {"mpid": rank + 1}, now_s)
            for rank in ranks.tolist()
        ]
        starts = range(0, len(made), BATCHES_PER_REQUEST)
        return cycle([made[start : start + BATCHES_PER_REQUEST] for start in starts])

    async def _end(self, days: int) -> Filled:
        """Let so many days end; return what it took for those who are due."""
        engine = self._shard.audiences.engine
        now_ms = self._clock.now_ms()
        self._clock.ahead_ms += days * DAY_MS - now_ms % DAY_MS
        due = len(engine.due(self._clock.now_ms()))
        if not due:
            raise NotComplete("nobody is due as a day ends")
        self._stepped.begin()
        await self._stepped.is_done.wait()
        if engine.size(TODAYS):
            raise NotComplete(f"{engine.size(TODAYS)} are in the audience of a day that is over")
        return self._stepped.filled(due)


async def measure(
    folder: Path, options: Options, cpu: CpuClock, pause: Pause = asyncio.sleep
) -> Result:
    """Fill a shard on a folder, and measure.

    Raises as `BackFill.measure`. `pause`: waits between two steps, as `AudienceSteps` has it.
    """
    clock, workspace = ShiftedClock(), document(priority=["customerid"])
    clock.ahead_ms = _until_noon_of_wednesday_ms(clock.now_ms())  # no day or week ends by itself
    deployment = InProcess(folder, workspace, 1, clock)
    try:
        await _send_models(deployment, options, clock, cpu)
        log_ids = await asyncio.to_thread(fill, deployment.shards[0], range(1, options.users + 1))
    finally:
        deployment.close()
    deployment = InProcess(folder, workspace, 1, clock)
    try:
        return await BackFill(deployment, options, clock, cpu, pause).measure(log_ids)
    finally:
        deployment.close()


def _until_noon_of_wednesday_ms(now_ms: int) -> int:
    """Return the time from now to it in this week, which may be over."""
    days = now_ms // DAY_MS
    return (days - days % _WEEK_DAYS + _WEDNESDAY) * DAY_MS + DAY_MS // 2 - now_ms


async def _send_models(
    deployment: InProcess, options: Options, clock: Clock, cpu: CpuClock
) -> None:
    draws, now_s = Draws(options.seed), clock.now_ms() // 1000 - 1
    people = [Person(options.seed, number) for number in range(MODELS)]
    sender = Sender(deployment, cpu)
    for _ in range(options.events // EVENTS_PER_BATCH):
        await sender.send(
            [
                template(
                    _batch(each, draws) | {"user_identities": {"customer_id": each.customer_id}},
                    now_s,
                )
                for each in people
            ]
        )


def _batch(person: Person, draws: Draws) -> Batch:
    batch = person.next_batch(EVENTS_PER_BATCH, draws)
    batch.pop("user_identities", None)
    return batch
