"""What an event costs, and a profile takes, as there come to be more profiles.

The stores are filled with copies of what batches have made of some users, and opened anew, best by
another process (`load_tests.bench.alone`); then batches of users drawn at random from all of them
are applied in it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from actors.clock import Clock
from actors.hosting import settle_memory
from actors.store.environment import Table
from actors.store.keys import MPID_RANDOM_BITS, shard_of_slot, slot_of_mpid
from load_tests.bench import memory, pauses
from load_tests.bench.floors import CpuClock, Sizes, parse_us
from load_tests.bench.report import Growth, Memory
from load_tests.draws import Draws
from load_tests.in_process import InProcess, document
from load_tests.ingest_cost import CostOptions, keep_current
from load_tests.journeys import TOKEN
from load_tests.many_profiles import fill
from load_tests.people import Batch, Person
from load_tests.steady import Sender, Template, template

_MODELS = 500  # users whose profiles are copied
_MODEL_BATCHES = 4  # that each of them has sent
_SINGLES = 1000  # sent one by one
_TURNS = 20  # of batches and of the floor, as the processor is not always as fast
_PARSED = 5  # times that a turn's batches are parsed
_SLOT_STEP = 40503  # odd: users one after the other are in slots far apart, in all of them in turn
CONNECTIONS = 3  # of the deployment whose sizes are taken


class GrowthOptions(Struct, frozen=True, kw_only=True):
    """How it is measured.

    Attributes:
        batches: are timed, and as many are sent before.
        hot_users: who had sent nothing before; of each of them one batch is sent to see what they
            take in memory.
    """

    batches: int
    hot_users: int
    events_per_batch: int
    attributes: int
    audiences: int
    seed: int


async def prepare(
    folder: Path, profiles: int, shards: int, options: GrowthOptions, clock: Clock, cpu: CpuClock
) -> float:
    """Fill new stores in a folder; return the bytes that a profile takes on disk."""
    deployment = await _with_models(folder, shards, options, clock, cpu)
    try:
        empty = _disk(deployment)
        of_shard: list[list[int]] = [[] for _ in deployment.shards]
        for number in range(profiles):
            mpid = mpid_of(number)
            of_shard[_shard_of(mpid, shards)].append(mpid)
        fill([each.store for each in deployment.shards], of_shard)
        return (_disk(deployment) - empty) / profiles
    finally:
        deployment.close()


async def measure(
    folder: Path,
    profiles: int,
    shards: int,
    disk_per_profile: float,
    options: GrowthOptions,
    clock: Clock,
    cpu: CpuClock,
) -> Growth:
    """Measure stores that were filled; their folder can be used for nothing else then."""
    before, begun = memory.private_bytes(), cpu()
    deployment = InProcess(folder, document(priority=["customerid"]), shards, clock)
    try:
        settle_memory()
        load_s = pauses.longest_load_s(deployment.shards, clock, cpu)
        open_s = cpu() - begun
        loaded = memory.private_bytes()
        sender = Sender(deployment, cpu)
        users = _Users(profiles, shards, options, clock)
        await sender.send(users.templates(users.anybody(options.batches)))
        used, taken, taken_wall, parsing_us, events = _disk(deployment), 0.0, 0.0, 0.0, 0
        for _ in range(_TURNS):
            templates = users.templates(users.anybody(options.batches // _TURNS))
            begun = clock.monotonic()
            taken += await sender.send(templates)
            taken_wall += clock.monotonic() - begun
            bodies = [TOKEN.encode().join(each) for each in templates]
            count = len(templates) * options.events_per_batch
            parsing_us += parse_us(bodies * _PARSED, cpu) * count
            events += count
        disk_per_event = (_disk(deployment) - used) / events
        hot, per_hot = await _hot(deployment, sender, users, options.hot_users)
        commits = await pauses.longest_commits(deployment, sender, users.of_first_shard, cpu)
        singles = users.templates(users.anybody(_SINGLES))
        longest_s = await pauses.longest_s(sender, deployment.shards, singles, clock, cpu)
        is_beyond = memory.read_beyond(deployment.shards)
        return Growth(
            profiles=profiles,
            shards=shards,
            events_per_second=events / taken_wall,
            cpu_us_per_event=taken / events * 1e6,
            parse_us_per_event=parsing_us / events,
            memory=Memory(
                columns_per_profile=(
                    (loaded - before) / profiles if profiles >= memory.LEAST_PROFILES else None
                ),
                hot_profiles=hot,
                per_hot_profile=per_hot,
                beyond_columns=memory.private_bytes() - loaded if is_beyond else None,
                cache_bytes=deployment.settings.profile_cache_bytes * shards,
            ),
            disk_per_profile=disk_per_profile,
            disk_per_event=disk_per_event,
            open_s=open_s,
            longest_s={
                "load": load_s,
                **longest_s,
                **{name: each.cpu_s for name, each in commits.items()},
            },
            longest_wall_s={name: each.wall_s for name, each in commits.items()},
            full_batches=commits["full"].batches,
        )
    finally:
        deployment.close()


async def _hot(
    deployment: InProcess, sender: Sender, users: "_Users", wanted: int
) -> tuple[int, float | None]:
    """Let users send a batch who had sent none.

    Returns:
        How many profiles more are in memory then, and the bytes that each of them has taken, if
        they are enough to tell and all of them are.
    """
    templates = users.templates(users.newcomers(wanted))
    were_hot = memory.hot_profiles(deployment.shards)
    before = memory.private_bytes()
    await sender.send(templates)
    more = memory.private_bytes() - before
    hot = memory.hot_profiles(deployment.shards) - were_hot
    is_told = hot == len(templates) >= memory.LEAST_HOT
    return hot, more / hot if is_told else None


class _Users:
    """Users drawn from all that there are, and their batches."""

    def __init__(self, profiles: int, shards: int, options: GrowthOptions, clock: Clock) -> None:
        self._profiles = profiles
        self._shards = shards
        self._options = options
        self._now_s = clock.now_ms() // 1000 - 1
        self._draws = Draws(options.seed)
        self._random = np.random.default_rng(options.seed)
        self._people = [Person(options.seed, number) for number in range(_MODELS)]
        self._drawn: set[int] = set()

    def anybody(self, count: int) -> list[int]:
        """Return so many MPIDs, among them the same several times."""
        numbers: list[int] = self._random.integers(0, self._profiles, count).tolist()
        self._drawn.update(numbers)
        return [mpid_of(number) for number in numbers]

    def newcomers(self, count: int) -> list[int]:
        """Return so many MPIDs that were not drawn before, or all of those, none twice."""
        count = min(count, self._profiles - len(self._drawn))
        found: list[int] = []
        while len(found) < count:
            number = int(self._random.integers(0, self._profiles))
            if number not in self._drawn:
                self._drawn.add(number)
                found.append(mpid_of(number))
        return found

    def of_first_shard(self, count: int) -> list[Template]:
        """Return batches of so many users of the first shard."""
        found: list[int] = []
        while len(found) < count:
            some = self.anybody(count)
            found += [mpid for mpid in some if _shard_of(mpid, self._shards) == 0]
        return self.templates(found[:count])

    def templates(self, mpids: Sequence[int]) -> list[Template]:
        """Return a batch of each."""
        return [
            template(
                _batch(self._people[place % _MODELS], self._options, self._draws) | {"mpid": mpid},
                self._now_s,
            )
            for place, mpid in enumerate(mpids)
        ]


async def sizes(folder: Path, options: GrowthOptions, clock: Clock, cpu: CpuClock) -> Sizes:
    """Return what a deployment writes for a batch of a user who has sent some."""
    deployment = await _with_models(folder, 1, options, clock, cpu)
    try:
        return Sizes(
            log=_mean_size(deployment, "log"),
            profile=_mean_size(deployment, "profiles"),
            delivery=_mean_size(deployment, "outbox"),
            deliveries=CONNECTIONS,
        )
    finally:
        deployment.close()


async def _with_models(
    folder: Path, shards: int, options: GrowthOptions, clock: Clock, cpu: CpuClock
) -> InProcess:
    """Return a deployment on a new folder to which the models have sent what makes them."""
    deployment = InProcess(folder, document(priority=["customerid"]), shards, clock)
    cost = CostOptions(
        users=_MODELS,
        rounds=1,
        batches=_MODELS,
        events_per_batch=options.events_per_batch,
        attributes=options.attributes,
        audiences=options.audiences,
        seed=options.seed,
    )
    keep_current(deployment, cost, clock)
    draws, now_s = Draws(options.seed), clock.now_ms() // 1000 - 1
    people = [Person(options.seed, number) for number in range(_MODELS)]
    sender = Sender(deployment, cpu)
    for _ in range(_MODEL_BATCHES):
        await sender.send(
            [
                template(
                    _batch(each, options, draws)
                    | {"user_identities": {"customer_id": each.customer_id}},
                    now_s,
                )
                for each in people
            ]
        )
    return deployment


def _batch(person: Person, options: GrowthOptions, draws: Draws) -> Batch:
    batch = person.next_batch(options.events_per_batch, draws)
    batch.pop("user_identities", None)
    return batch


def mpid_of(number: int) -> int:
    """Return the MPID of a copied profile: in other slots than those of its neighbours."""
    return (number * _SLOT_STEP & 0xFFFF) << MPID_RANDOM_BITS | number + 1


def _shard_of(mpid: int, shards: int) -> int:
    return shard_of_slot(slot_of_mpid(mpid), shards)


def _mean_size(deployment: InProcess, table: Table) -> int:
    lengths: list[int] = []
    for shard in deployment.shards:
        with shard.store.read() as txn:
            lengths += [len(value) for _, value in txn.scan(table)]
    return round(sum(lengths) / len(lengths))


def _disk(deployment: InProcess) -> int:
    return sum(each.store.used_bytes() for each in deployment.shards)
