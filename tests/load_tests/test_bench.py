"""The command that measures everything side by side."""

import io
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.console import Console

from load_tests.bench.charts import write_charts
from load_tests.bench.report import (
    Answers,
    BenchReport,
    Capacity,
    Floors,
    Growth,
    HttpFloor,
    Memory,
    ModeFloors,
    Point,
    Start,
    bars_of,
)
from load_tests.bench.tables import tables_of

FLOORS = Floors(
    parse_per_event=1.0,
    modes={
        "bulk": ModeFloors(
            store_per_event=4.0,
            http=HttpFloor(us_per_request=300.0, requests_per_second=200.0, latency_ms={}),
            ray_per_call=1000.0,
            micro_batch_bytes=100_000,
            batches_per_group=50,
        ),
        "single": ModeFloors(
            store_per_event=9.0,
            http=HttpFloor(
                us_per_request=80.0,
                requests_per_second=8_000.0,
                latency_ms={"p50": 0.7, "p99": 3.3},
            ),
            ray_per_call=800.0,
            micro_batch_bytes=20_000,
            batches_per_group=10,
        ),
    },
)
ANSWERS = Answers(statuses={"202": 795, "503": 12}, retries={"503": 11}, unsent=3)
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
    parse_us_per_event=1.0,
    points=[
        Point(
            share=0.5,
            offered_per_second=5001.0,
            achieved_per_second=4321.0,
            requests=404,
            latency_ms={"p50": 10.0, "p99": 51.0},
            answers=ANSWERS,
        )
    ],
    reads=303,
    reads_ms={"p50": 2.0, "p99": 25.0},
    answers=Answers(statuses={"202": 1_000}, retries={}, unsent=0),
)
BARE = replace(
    BULK,
    cpu_us_per_event={"edge": 4.0, "shard": 10.0, "forwarder": 9.0},
    parse_us_per_event=1.5,  # the processor was slower
    points=[],
)
# 16 for HTTP, a fiftieth of a call of Ray, 1 to parse and 9 to store: 42 µs an event.
SINGLE = replace(
    BULK,
    mode="single",
    events_per_second=19_995.0,
    requests_per_second=3_999.0,
    events_per_micro_batch=50.0,
    cpu_us_per_event={"shard": 105.1},
    reads_ms={"p50": 2.0, "p99": 26.0},
)
GROWTH = [
    Growth(
        profiles=profiles,
        shards=shards,
        events_per_second=9000.0,
        cpu_us_per_event=taken,
        parse_us_per_event=parsing,
        memory=Memory(
            columns_per_profile=700.0,
            hot_profiles=4000,
            per_hot_profile=13_000.0,
            beyond_columns=400_000_000,
            cache_bytes=512_000_000,
        ),
        disk_per_profile=3000.0,
        disk_per_event=2000.0,
        open_s=1.0,
        longest_s={"batch": 0.002, "sweep": 0.051},
        longest_wall_s={"full": 0.02},
        full_batches=560,
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
        "memory per hot profile, with columns": False,
        "memory beyond columns, to profile_cache_bytes": True,
        "pause at 100,000 profiles": False,
        "start with 1,000,000 profiles": False,
    }
    with_and_without = bars["CPU of ingestion with attributes and audiences, to without"]
    assert with_and_without.value == pytest.approx(15 / (14 / 1.5))  # forwarders are not asked
    assert bars["pause at 100,000 profiles"].value == 51.0
    assert bars["bulk, CPU to parse + store"].value == 3.0
    assert bars["single, CPU to HTTP + Ray + parse + store"].value == pytest.approx(105.1 / 42)
    assert bars["CPU at 100,000 profiles, to 1,000"].value == 1.3


def test_pauses_are_held_against_their_bar_up_to_a_million_profiles() -> None:
    many = replace(GROWTH[1], profiles=10_000_000, longest_s={"audiences": 0.3})
    bars = [bar.what for bar in bars_of(None, [], None, [*GROWTH[:2], many], None)]
    assert bars == [
        "CPU at 10,000,000 profiles, to 1,000",
        "memory per hot profile, with columns",
        "memory beyond columns, to profile_cache_bytes",
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
    shown = " ".join(text.getvalue().split())
    for figure in ("50,000", "NOT MET", "303", "0.250 ×", "0.500 ×", "0.7 ms", "wall time, decode"):
        assert figure in shown
    for what in ("5,001 │ 4,321 │ 404", "12 × 503", "11 again after 503", "3 never sent"):
        assert what in shown
    written = write_charts(report, tmp_path)
    assert [each.name for each in written] == [
        "bench-cpu.png",
        "bench-latency.png",
        "bench-growth.png",
    ]
    assert all(each.read_bytes().startswith(b"\x89PNG") for each in written)
