"""What an event costs, and a profile takes, as there come to be more profiles.

The stores are filled with copies of what batches have made of some users, and opened anew; then
batches of users drawn at random from all of them are applied in this process.
"""

import gc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]
from msgspec import Struct

from actors.clock import Clock
from actors.hosting import settle_memory
from actors.store.environment import Table
from actors.store.keys import shard_of_slot, slot_of_mpid
from load_tests.bench import pauses
from load_tests.bench.floors import CpuClock, Sizes, parse_us
from load_tests.bench.report import Growth
from load_tests.draws import Draws
from load_tests.in_process import InProcess, document
from load_tests.ingest_cost import CostOptions, keep_current
from load_tests.journeys import TOKEN
from load_tests.many_profiles import fill
from load_tests.people import Batch, Person
from load_tests.steady import Sender, template

_MODELS = 500  # users whose profiles are copied
_MODEL_BATCHES = 4  # that each of them has sent
_SINGLES = 1000  # sent one by one
_TURNS = 20  # of batches and of the floor, as the processor is not always as fast
_PARSED = 5  # times that a turn's batches are parsed
CONNECTIONS = 3  # of the deployment whose sizes are taken


class GrowthOptions(Struct, frozen=True, kw_only=True):
    """How it is measured. `batches` are timed, and as many are sent before."""

    batches: int
    events_per_batch: int
    attributes: int
    audiences: int
    seed: int


async def measure(
    folder: Path, profiles: int, shards: int, options: GrowthOptions, clock: Clock, cpu: CpuClock
) -> Growth:
    """Fill new stores in a folder and measure."""
    workspace = document(priority=["customerid"])
    deployment = await _with_models(folder, shards, options, clock, cpu)
    try:
        empty = _disk(deployment)
        mpids = _fill(deployment, profiles)
        disk = _disk(deployment) - empty
    finally:
        deployment.close()
    del deployment
    before, begun = _private(), cpu()
    deployment = InProcess(folder, workspace, shards, clock)
    try:
        settle_memory()
        load_s = pauses.longest_load_s(deployment.shards, clock, cpu)
        open_s, memory = cpu() - begun, _private() - before
        sender = Sender(deployment, cpu)
        draws = Draws(options.seed)
        random = np.random.default_rng(options.seed)
        people = [Person(options.seed, number) for number in range(_MODELS)]
        now_s = clock.now_ms() // 1000 - 1

        def batches(count: int) -> list[Batch]:
            chosen = random.choice(mpids, count).tolist()
            return [
                _batch(people[place % _MODELS], options, draws) | {"mpid": mpid}
                for place, mpid in enumerate(chosen)
            ]

        await sender.send([template(each, now_s) for each in batches(options.batches)])
        used, taken, parsing_us, events = _disk(deployment), 0.0, 0.0, 0
        for _ in range(_TURNS):
            some = batches(options.batches // _TURNS)
            templates = [template(each, now_s) for each in some]
            taken += await sender.send(templates)
            bodies = [TOKEN.encode().join(each) for each in templates]
            count = sum(len(each["events"]) for each in some)
            parsing_us += parse_us(bodies * _PARSED, cpu) * count
            events += count
        disk_per_event = (_disk(deployment) - used) / events
        singles = [template(each, now_s) for each in batches(_SINGLES)]
        longest_s = await pauses.longest_s(sender, deployment.shards, singles, clock, cpu)
        return Growth(
            profiles=profiles,
            shards=shards,
            cpu_us_per_event=taken / events * 1e6,
            parse_us_per_event=parsing_us / events,
            memory_per_profile=memory / profiles,
            disk_per_profile=disk / profiles,
            disk_per_event=disk_per_event,
            open_s=open_s,
            longest_s={"load": load_s, **longest_s},
        )
    finally:
        deployment.close()


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


def _fill(deployment: InProcess, profiles: int) -> Sequence[int]:
    """Copy the models' profiles until there are so many more; return the MPIDs of the copies."""
    mpids = range(1, profiles + 1)
    of_shard: list[list[int]] = [[] for _ in deployment.shards]
    for mpid in mpids:
        of_shard[shard_of_slot(slot_of_mpid(mpid), len(of_shard))].append(mpid)
    fill([each.store for each in deployment.shards], of_shard)
    return mpids


def _mean_size(deployment: InProcess, table: Table) -> int:
    lengths: list[int] = []
    for shard in deployment.shards:
        with shard.store.read() as txn:
            lengths += [len(value) for _, value in txn.scan(table)]
    return round(sum(lengths) / len(lengths))


def _disk(deployment: InProcess) -> int:
    return sum(each.store.used_bytes() for each in deployment.shards)


def _private() -> int:
    gc.collect()
    memory = psutil.Process().memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))
