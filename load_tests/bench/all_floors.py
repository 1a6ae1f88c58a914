"""All floors of a run, in the sizes that its deployments had."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from actors.clock import Clock
from load_tests.bench import growth
from load_tests.bench.deployment import CONNECTIONS
from load_tests.bench.floors import (
    CpuClock,
    Sizes,
    http_floor,
    median_parse_us,
    median_store_us,
    ray_us,
)
from load_tests.bench.growth import GrowthOptions
from load_tests.bench.report import Capacity, Floors, ModeFloors
from load_tests.pool import Pool, PoolOptions

_BATCHES = 4_000
_GROUP = 50  # batches, where no deployment was measured
_SHARE = 0.5  # of a deployment's highest rate, at which the latency of its edge alone is measured


class FloorOptions(Struct, frozen=True, kw_only=True):
    """How they are measured. `seconds`: of each measurement of HTTP and Ray."""

    seconds: float
    users: int
    seed: int
    growth: GrowthOptions


class Parsing:
    """The floor of parsing, of the same batches whenever it is measured."""

    def __init__(self, users: int, seed: int, clock: Clock, cpu: CpuClock) -> None:
        pool = Pool(
            PoolOptions(
                seed=seed,
                users=users,
                batches=_BATCHES,
                is_bulk=False,
                batches_per_request=1,
                events_per_batch=5,
            ),
            run=1,
        )
        self.bodies = [pool.body(number, clock.now_ms()) for number in range(pool.size)]
        self.events_per_batch = float(pool.events.mean())
        self._cpu = cpu

    def us_per_event(self) -> float:
        """Return microseconds of processor time to parse an event, at the processor's speed now."""
        return median_parse_us(self.bodies, self._cpu)


async def measure(
    folder: Path,
    options: FloorOptions,
    parsing: Parsing,
    capacity: Sequence[Capacity],
    modes: Sequence[str],
    clock: Clock,
    cpu: CpuClock,
) -> Floors:
    """Measure the floors of each mode, in groups as large as a deployment's were, if there was one.

    Raises:
        LoadFailed: one of them could not be measured.
    """
    sizes = await growth.sizes(folder / "sizes", options.growth, clock, cpu)
    deployments = {each.mode: each for each in capacity}
    return Floors(
        parse_per_event=parsing.us_per_event(),
        modes={
            mode: await _of_mode(folder, options, parsing, sizes, mode, deployments.get(mode), cpu)
            for mode in modes
        },
    )


async def _of_mode(
    folder: Path,
    options: FloorOptions,
    parsing: Parsing,
    sizes: Sizes,
    mode: str,
    deployment: Capacity | None,
    cpu: CpuClock,
) -> ModeFloors:
    group, rate = _GROUP, None
    if deployment is not None:
        events = deployment.events_per_micro_batch
        group = max(round(events / parsing.events_per_batch), 1)
        rate = deployment.batches_per_second * _SHARE
    stored_us = median_store_us(folder / f"store-{mode}", sizes, _BATCHES, group, cpu)
    micro_batch_bytes = group * sum(map(len, parsing.bodies)) // len(parsing.bodies)
    return ModeFloors(
        store_per_event=stored_us / parsing.events_per_batch,
        http=await http_floor(
            folder, mode, CONNECTIONS[mode], options.users, options.seconds, rate
        ),
        ray_per_call=await ray_us(micro_batch_bytes, options.seconds),
        micro_batch_bytes=micro_batch_bytes,
        batches_per_group=group,
    )
