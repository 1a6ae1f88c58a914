"""What the bench finds as there come to be more profiles: costs, pauses, memory."""

import asyncio
import gc
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from msgspec.structs import replace
from rich.console import Console

from actors.clock import SystemClock
from actors.store.keys import shard_of_slot, slot_of_mpid
from load_tests.bench import charts, growth, memory, pauses
from load_tests.bench.alone import alone
from load_tests.bench.floors import CpuClock
from load_tests.bench.report import BenchReport, Growth, Memory, bars_of
from load_tests.bench.tables import tables_of
from load_tests.draws import Draws
from load_tests.in_process import InProcess, document
from load_tests.people import Person
from load_tests.steady import BATCHES_PER_REQUEST, Sender, Template, template
from server.microbatch import ITEM_OVERHEAD_BYTES

OPTIONS = growth.GrowthOptions(
    batches=100, hot_users=memory.LEAST_HOT, events_per_batch=2, attributes=5, audiences=5, seed=1
)
MEMORY = Memory(
    columns_per_profile=700.0,
    hot_profiles=4000,
    per_hot_profile=324.0,
    beyond_columns=400_000_000,
    cache_bytes=512_000_000,
)
GROWN = Growth(
    profiles=1000,
    shards=1,
    events_per_second=10_000.0,
    cpu_us_per_event=80.0,
    parse_us_per_event=1.0,
    memory=MEMORY,
    disk_per_profile=3000.0,
    disk_per_event=2000.0,
    open_s=1.0,
    longest_s={"batch": 0.002, "full": 0.04, "sweep": 0.021},
    longest_wall_s={"full": 0.05},
    full_batches=500,
)


@pytest.fixture(autouse=True)
def settled() -> Iterator[None]:
    """What a measurement does to the garbage collector ends with the test."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def is_met(found: Growth, what: str) -> bool | None:
    """Tell whether a bar is met after a row that meets all; `None`: there is none."""
    bars = {bar.what: bar.is_met for bar in bars_of(None, [], None, [GROWN, found], None)}
    return bars.get(what)


def test_a_full_micro_batch_that_takes_too_long_is_a_pause() -> None:
    pause = "pause at 1,000 profiles"
    assert is_met(GROWN, pause) is True
    assert is_met(replace(GROWN, longest_s=GROWN.longest_s | {"full": 0.06}), pause) is False
    assert is_met(replace(GROWN, longest_wall_s={"full": 0.051}), pause) is False


def test_a_hot_profile_is_charged_with_its_columns_too() -> None:
    bar = "memory per hot profile, with columns"
    assert is_met(GROWN, bar) is True
    dear = replace(MEMORY, per_hot_profile=325.0)
    assert is_met(replace(GROWN, memory=dear), bar) is False


def test_the_setting_bounds_what_comes_beyond_the_columns() -> None:
    bar = "memory beyond columns, to profile_cache_bytes"
    assert is_met(GROWN, bar) is True
    assert is_met(replace(GROWN, memory=replace(MEMORY, beyond_columns=512_000_001)), bar) is False


def test_memory_that_was_too_little_to_be_told_has_no_bar() -> None:
    few = replace(MEMORY, columns_per_profile=None, beyond_columns=None)
    rows = [replace(GROWN, memory=few)] * 2
    assert "memory" not in " ".join(bar.what for bar in bars_of(None, [], None, rows, None))
    # The last that was measured counts.
    dear = replace(MEMORY, per_hot_profile=2000.0, beyond_columns=1_024_000_000)
    rows = [replace(GROWN, memory=dear), replace(GROWN, memory=few)]
    bars = [bar for bar in bars_of(None, [], None, rows, None) if "memory" in bar.what]
    assert [bar.value for bar in bars] == [2700.0, 2.0]


def test_growth_is_shown_with_all_that_was_measured() -> None:
    few = replace(MEMORY, columns_per_profile=None, per_hot_profile=None, beyond_columns=None)
    rows = [GROWN, replace(GROWN, memory=few)]
    report = BenchReport(
        scenario="bench", floors=None, capacity=[], bare=None, growth=rows, start=None, bars=[]
    )
    text = io.StringIO()
    for table in tables_of(report):
        Console(file=text, width=100).print(table)
    shown = [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in text.getvalue().splitlines()
        if line.startswith("│")
    ]
    assert "…" not in text.getvalue()
    assert shown == [
        *[["1,000", "1", "10,000", "80.0", "80.0", "3,000", "2,000", "1.0"]] * 2,
        ["1,000", "1", "700", "4,000", "324", "381", "488"],
        ["1,000", "1", "", "4,000", "", "", "488"],
        *[["1,000", "1", "2.0", "40.0 / 50.0", "21.0", "500"]] * 2,
    ]


async def test_growth_fills_the_stores_and_applies_batches_of_anybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "_SINGLES", 50)
    monkeypatch.setattr(pauses, "_FILLED", 1)
    read = iter([1_000, 3_000, 4_000, 4_000 + OPTIONS.hot_users * 2_500])
    monkeypatch.setattr(memory, "private_bytes", lambda: next(read))
    clock = SystemClock()
    disk = await growth.prepare(tmp_path, 2000, 2, OPTIONS, clock, time.process_time)
    assert disk > 500
    found = await growth.measure(tmp_path, 2000, 2, disk, OPTIONS, clock, time.process_time)
    assert (found.profiles, found.shards, found.disk_per_profile) == (2000, 2, disk)
    assert found.events_per_second > 0
    assert found.cpu_us_per_event > 0
    assert found.disk_per_event > 0
    assert found.parse_us_per_event > 0
    sizes = ["100 batches", "full"]
    assert list(found.longest_s) == ["load", "batch", "sweep", "audiences", *sizes]
    assert list(found.longest_wall_s) == sizes
    assert found.longest_s.pop("load") >= 0  # so few are loaded before a shard serves
    assert min(found.longest_s.values()) > 0
    assert found.longest_s["full"] > found.longest_s["batch"]
    # Each of the users has sent a batch, and is in memory; of columns there are too few to tell.
    assert found.memory.hot_profiles == OPTIONS.hot_users
    assert found.memory.per_hot_profile == 2_500
    assert found.memory.columns_per_profile is None
    assert found.memory.beyond_columns is None
    assert found.memory.cache_bytes == 2 * 256 * 1024 * 1024


def test_the_memory_of_a_process_grows_by_what_it_writes_to() -> None:
    before = memory.private_bytes()
    written = np.ones(64 << 20, dtype=np.uint8)
    assert memory.private_bytes() - before >= 0.9 * written.nbytes


async def test_profiles_are_in_the_stores_of_all_shards(tmp_path: Path) -> None:
    clock = SystemClock()
    await growth.prepare(tmp_path, 800, 4, OPTIONS, clock, time.process_time)
    deployment = InProcess(tmp_path, document(priority=["customerid"]), 4, clock)
    try:
        for shard in deployment.shards:
            with shard.store.read() as txn:
                assert 200 <= txn.entries("profiles") < 500
    finally:
        deployment.close()


async def test_a_sizes_run_tells_what_is_written(tmp_path: Path) -> None:
    sizes = await growth.sizes(tmp_path, OPTIONS, SystemClock(), time.process_time)
    assert min(sizes.log, sizes.profile, sizes.delivery) > 200


async def test_a_full_micro_batch_is_what_the_setting_lets_it_be(tmp_path: Path) -> None:
    """The clock of the processor moves by one whenever it is read: twice for each commit."""
    limit = 60_000
    clock = SystemClock()
    deployment = InProcess(
        tmp_path, document(strategy="default"), 2, clock, max_micro_batch_bytes=limit
    )
    sent: list[int] = []

    def draw(count: int) -> list[Template]:
        draws, now_s = Draws(1), clock.now_ms() // 1000 - 1
        made = [
            template(Person(1, number).next_batch(5, draws) | {"mpid": number + 1}, now_s)
            for number in range(count)
        ]
        sent.extend(sum(map(len, each)) + ITEM_OVERHEAD_BYTES for each in made)
        return made

    ticks = iter(range(1_000_000))
    cpu: CpuClock = lambda: float(next(ticks))  # noqa: E731
    try:
        found = await pauses.longest_commits(deployment, Sender(deployment, cpu), draw, cpu)
    finally:
        deployment.close()
    mean_bytes = sum(sent) / len(sent)
    assert found["100 batches"].batches == BATCHES_PER_REQUEST
    assert 0.6 * limit < found["full"].batches * mean_bytes <= 1.2 * limit
    assert {each.cpu_s for each in found.values()} == {1.0}
    assert min(each.wall_s for each in found.values()) > 0


async def test_reading_stops_when_twice_as_many_were_read_as_stay(tmp_path: Path) -> None:
    clock = SystemClock()
    await growth.prepare(tmp_path, 600, 1, OPTIONS, clock, time.process_time)
    workspace = document(priority=["customerid"])
    for cache_bytes, is_beyond in ((2_000_000, True), (256 * 1024 * 1024, False)):
        deployment = InProcess(tmp_path, workspace, 1, clock, profile_cache_bytes=cache_bytes)
        try:
            assert memory.read_beyond(deployment.shards) is is_beyond
            in_memory = memory.hot_profiles(deployment.shards)
            assert (in_memory < 600) is is_beyond
            assert in_memory > 0
        finally:
            deployment.close()


async def _own_pid() -> int:
    return os.getpid()


async def test_each_measurement_has_a_process_of_its_own() -> None:
    found = await asyncio.gather(alone(_own_pid), alone(_own_pid))
    assert len({*found, os.getpid()}) == 3


def test_users_are_spread_over_all_shards() -> None:
    for shards in (1, 2, 4, 8):
        counts = [0] * shards
        for number in range(10_000):
            counts[shard_of_slot(slot_of_mpid(growth.mpid_of(number)), shards)] += 1
        assert max(counts) - min(counts) <= 0.01 * 10_000


def test_no_mark_of_the_growth_chart_is_cut() -> None:
    axes = Figure().subplots()
    rows = [(10_000, 78.4), (100_000, 81.4), (1_000_000, 90.5), (10_000_000, 96.2)]
    charts._growth(
        axes, [replace(GROWN, profiles=number, cpu_us_per_event=us) for number, us in rows]
    )
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > 96.2 * 1.05
