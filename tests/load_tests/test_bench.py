"""The command that measures everything side by side."""

import asyncio
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, patch

import pytest
from msgspec.structs import replace
from rich.console import Console

from actors.clock import SystemClock
from config.load import load_workspaces
from config.numbers import KeptNumbers, assign_all
from load_tests.bench import deployment, growth, reads
from load_tests.bench.charts import write_charts
from load_tests.bench.floors import Sizes, http_us, parse_us, ray_us, store_us
from load_tests.bench.reads import Reads
from load_tests.bench.report import BenchReport, Capacity, Floors, Growth, Point, Start, bars_of
from load_tests.bench.tables import tables_of
from load_tests.people import Person
from load_tests.pool import Pool, PoolOptions
from load_tests.reader import ReadBackFailed
from load_tests.server_process import ServerProcess

FLOORS = Floors(
    parse_per_event=1.0,
    store_per_event=4.0,
    http_per_request={"bulk": 300.0, "single": 80.0},
    ray_per_call=1000.0,
    micro_batch_bytes=100_000,
    batches_per_group=50,
)
BULK = Capacity(
    mode="bulk",
    events_per_second=50_000.0,
    batches_per_second=10_000.0,
    requests_per_second=100.0,
    events_per_batch=5.0,
    events_per_micro_batch=250.0,
    latency_ms={"p50": 20.0, "p99": 90.0},
    cpu_us_per_event={"edge": 5.0, "shard": 10.0},
    memory_bytes={"edge": 1, "shard": 1},
    stages_us_per_event={"decode": 4.0, "commit": 6.0},
    points=[Point(share=0.5, batches_per_second=5000.0, latency_ms={"p50": 10.0, "p99": 51.0})],
    reads_ms={"p50": 2.0, "p99": 25.0},
)
BARE = replace(BULK, cpu_us_per_event={"edge": 4.0, "shard": 5.0, "forwarder": 9.0}, points=[])
# 80 for HTTP, a tenth of a call of Ray and five events of floors: 205 µs a request.
SINGLE = replace(
    BULK,
    mode="single",
    requests_per_second=3_999.0,
    events_per_micro_batch=50.0,
    cpu_us_per_event={"shard": 102.6},
    reads_ms={"p50": 2.0, "p99": 26.0},
)
GROWTH = [
    Growth(
        profiles=profiles,
        shards=shards,
        cpu_us_per_event=taken,
        parse_us_per_event=parsing,
        memory_per_profile=900.0,
        disk_per_profile=3000.0,
        disk_per_event=2000.0,
        open_s=1.0,
        longest_s={"batch": 0.002, "sweep": 0.051},
    )
    for profiles, shards, taken, parsing in (
        (1000, 2, 40.0, 2.0),
        (100_000, 2, 78.0, 3.0),  # when the processor was slower
        (1000, 1, 400.0, 2.0),
    )
]
START = Start(profiles=1_000_000, ready_s=5.1)


def test_every_figure_is_held_against_its_bar() -> None:
    bars = {bar.what: bar for bar in bars_of(FLOORS, [BULK, SINGLE], BARE, GROWTH, START)}
    assert {what: bar.is_met for what, bar in bars.items()} == {
        "bulk, events": True,
        "bulk, p50 at half": True,
        "bulk, p99 at half": False,
        "bulk, p99 of reads": True,
        "bulk, CPU to parse + store": True,
        "CPU of ingestion with attributes and audiences, to without": False,
        "single, requests": False,
        "single, p50 at half": True,
        "single, p99 at half": False,
        "single, p99 of reads": False,
        "single, CPU to HTTP + Ray + parse + store": False,
        "CPU at 100,000 profiles, to 1,000": True,
        "memory per profile": True,
        "pause at 100,000 profiles": False,
        "start with 1,000,000 profiles": False,
    }
    with_and_without = bars["CPU of ingestion with attributes and audiences, to without"]
    assert with_and_without.value == pytest.approx(15 / 9)  # forwarders are not asked
    assert bars["pause at 100,000 profiles"].value == 51.0
    assert bars["bulk, CPU to parse + store"].value == 3.0
    assert bars["single, CPU to HTTP + Ray + parse + store"].value == pytest.approx(2.5024, 1e-4)
    assert bars["CPU at 100,000 profiles, to 1,000"].value == 1.3


def test_pauses_are_held_against_their_bar_up_to_a_million_profiles() -> None:
    many = replace(GROWTH[1], profiles=10_000_000, longest_s={"audiences": 0.3})
    bars = [bar.what for bar in bars_of(None, [], None, [*GROWTH[:2], many], None)]
    assert bars == [
        "CPU at 10,000,000 profiles, to 1,000",
        "memory per profile",
        "pause at 100,000 profiles",
    ]
    assert "pause" not in " ".join(bar.what for bar in bars_of(None, [], None, [many] * 2, None))


def test_what_was_not_measured_has_no_bar() -> None:
    assert bars_of(FLOORS, [], None, [], None) == []
    some = replace(BULK, points=[], reads_ms={})
    assert [bar.what for bar in bars_of(None, [some], None, GROWTH[:1], None)] == ["bulk, events"]


def test_a_report_is_shown_and_drawn(tmp_path: Path) -> None:
    report = BenchReport(
        scenario="bench",
        floors=FLOORS,
        capacity=[BULK, SINGLE],
        bare=BARE,
        growth=GROWTH,
        start=START,
        bars=bars_of(FLOORS, [BULK, SINGLE], BARE, GROWTH, START),
    )
    text = io.StringIO()
    for table in tables_of(report):
        Console(file=text, width=120).print(table)
    assert "50,000" in text.getvalue()
    assert "NOT MET" in text.getvalue()
    written = write_charts(report, tmp_path)
    assert [each.name for each in written] == [
        "bench-cpu.png",
        "bench-latency.png",
        "bench-growth.png",
    ]
    assert all(each.read_bytes().startswith(b"\x89PNG") for each in written)


def test_the_deployment_has_the_full_feature_set(tmp_path: Path) -> None:
    options = _load_options()
    path = deployment.write_workspace(tmp_path, options)
    [document] = load_workspaces([path], {"HEADWATER_DATA_DIR": str(tmp_path)})
    assign_all([document], KeptNumbers())
    assert len(document.connections) == growth.CONNECTIONS
    assert len(document.calculated_attributes) == 20
    assert len(document.audiences) == 100


async def test_the_time_of_each_stage_is_that_of_the_measured_run_alone(tmp_path: Path) -> None:
    pages = iter([_metrics(decode=1.0, commit=2.0, count=10), _metrics(3.0, 6.0, count=30)])

    @contextmanager
    def answer(url: str, timeout: float) -> Iterator[io.BytesIO]:
        assert url == "http://admin/metrics"
        yield io.BytesIO(next(pages))

    rates: list[float | None] = []

    class Load:
        def __init__(self, *_: object, **flags: object) -> None:
            assert flags == {"mode": "bulk", "connections": 32, "users": 100, "seed": 1}

        async def run(self, rate: float | None, seconds: float) -> dict[str, Any]:
            rates.append(rate)
            return _ingest_report()

    class NoReads(Reads):
        async def __aenter__(self) -> Reads:
            return self

        async def __aexit__(self, *_: object) -> None:
            assert rates == [None, None]

    server = ServerProcess(tmp_path, SystemClock())
    server.url = "http://127.0.0.1:1"
    server.admin_url = "http://admin"
    with (
        patch.object(deployment, "urlopen", answer),
        patch.object(deployment, "Generator", Load),
        patch.object(deployment, "Reads", NoReads),
        patch.object(ServerProcess, "pid", 7),
    ):
        found = await deployment.measure(server, tmp_path, _load_options(), SystemClock())
    assert rates == [None, None, 40.0, 60.0]
    assert found.stages_us_per_event == {"decode": 2000.0, "commit": 4000.0}
    assert found.events_per_micro_batch == 50.0
    assert found.cpu_us_per_event == {"shard": 30.0}
    assert [point.share for point in found.points] == [0.5, 0.75]


async def test_profiles_are_read_until_the_load_ends() -> None:
    asked: list[int] = []
    enough = asyncio.Event()

    class Users:
        def __init__(self, *_: object) -> None:
            """Know everybody."""

        async def find(self, identity: str) -> list[int]:
            return [1, 2] if identity == Person(1, 0).customer_id else []

        async def profile(self, mpid: int, fields: str) -> dict[str, Any]:
            asked.append(mpid)
            if len(asked) == 5:
                enough.set()
            return {}

        def close(self) -> None:
            asked.append(0)

    with (
        patch.object(reads, "Reader", Users),
        patch.object(reads, "fetch_token", AsyncMock(return_value="token")),
        patch.object(reads, "_PAUSE_S", 0.0),
    ):
        async with Reads("http://127.0.0.1:1", 1, SystemClock()) as reading:
            await enough.wait()
        assert asked[:5] == [1, 2, 1, 2, 1]
        assert asked[-1] == 0
        assert 0 <= reading.latency_ms()["p99"] < 1000
        with (
            patch.object(Users, "profile", AsyncMock(side_effect=ReadBackFailed("404"))),
            pytest.raises(ReadBackFailed, match="404"),
        ):
            async with Reads("http://127.0.0.1:1", 1, SystemClock()) as failing:
                await asyncio.wait((failing._reading,))


def test_floors_are_those_of_the_given_bytes(tmp_path: Path) -> None:
    pool = Pool(
        PoolOptions(
            seed=1, users=10, batches=20, is_bulk=False, batches_per_request=1, events_per_batch=5
        ),
        run=1,
    )
    ticks = iter([10.0, 12.0, 20.0, 21.0])
    bodies = [pool.body(number, 1_700_000_000_000) for number in range(20)]
    assert parse_us(bodies, lambda: next(ticks)) == pytest.approx(2e6 / int(pool.events.sum()))
    sizes = Sizes(log=100, profile=200, delivery=50, deliveries=1.5)
    assert store_us(tmp_path, sizes, 100, 30, lambda: next(ticks)) == pytest.approx(1e6 / 100)


async def test_http_and_ray_are_measured_in_processes_of_their_own(tmp_path: Path) -> None:
    assert 0 < await http_us(tmp_path, "single", 10, 0.5) < 1e6
    assert 0 < await ray_us(1000, 0.2) < 1e6


async def test_growth_fills_the_stores_and_applies_batches_of_anybody(tmp_path: Path) -> None:
    options = growth.GrowthOptions(
        batches=100, events_per_batch=2, attributes=5, audiences=5, seed=1
    )
    clock = SystemClock()
    found = await growth.measure(tmp_path / "a", 2000, 2, options, clock, time.process_time)
    assert (found.profiles, found.shards) == (2000, 2)
    assert found.cpu_us_per_event > 0
    assert found.disk_per_profile > 500
    assert found.disk_per_event > 0
    assert 0 < found.longest_s["batch"] < 1
    assert found.parse_us_per_event > 0
    assert found.longest_s.keys() == {"load", "batch", "sweep", "audiences"}
    sizes = await growth.sizes(tmp_path / "b", options, clock, time.process_time)
    assert min(sizes.log, sizes.profile, sizes.delivery) > 200


def _load_options() -> deployment.LoadOptions:
    return deployment.LoadOptions(
        mode="bulk",
        seconds=1.0,
        shares=(0.5, 0.75),
        attributes=20,
        audiences=100,
        users=100,
        seed=1,
    )


def _ingest_report() -> dict[str, Any]:
    return {
        "throughput": {
            "requests_per_second": 2.0,
            "batches_per_second": 80.0,
            "events_per_second": 400.0,
        },
        "latency_ms": {"p50": 1.0, "p99": 2.0},
        "acknowledged": {"batches": 200, "events": 1000},
        "roles": {
            "shard": {"cpu_us_per_event": 30.0, "peak_rss_bytes": 5},
            "generator": {"cpu_us_per_event": 10.0, "peak_rss_bytes": 5},
        },
    }


def _metrics(decode: float, commit: float, count: int) -> bytes:
    name = "headwater_shard_batch_duration_seconds"
    lines = [f"# TYPE {name} histogram"]
    for stage, seconds in (("decode", decode), ("commit", commit)):
        lines += [
            f'{name}_bucket{{shard="0",stage="{stage}",le="+Inf"}} {count}',
            f'{name}_count{{shard="0",stage="{stage}"}} {count}',
            f'{name}_sum{{shard="0",stage="{stage}"}} {seconds}',
        ]
    return ("\n".join(lines) + "\n").encode()
