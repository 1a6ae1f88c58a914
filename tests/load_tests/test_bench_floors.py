"""What the parts of the way cost alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, patch

import pytest
from msgspec.structs import replace

from actors.clock import SystemClock
from load_tests.bench import all_floors, growth
from load_tests.bench.floors import (
    Sizes,
    http_floor,
    median_parse_us,
    median_store_us,
    parse_us,
    ray_us,
)
from load_tests.bench.growth import GrowthOptions
from load_tests.bench.report import HttpFloor
from load_tests.scenarios.identity import processor_time
from tests.load_tests.test_bench import BULK, SINGLE

SIZES = Sizes(log=100, profile=200, delivery=50, deliveries=1.5)
OPTIONS = all_floors.FloorOptions(
    seconds=0.5,
    users=10,
    seed=1,
    growth=GrowthOptions(
        batches=100, events_per_batch=5, attributes=0, audiences=1, hot_users=10, seed=1
    ),
)


def _parsing() -> all_floors.Parsing:
    return all_floors.Parsing(10, 1, SystemClock(), processor_time)


def _cpu(taken_s: list[float]) -> Callable[[], float]:
    """Return a clock by which what is measured takes so long, one after the other."""
    seconds, readings = 0.0, []
    for each in taken_s:
        readings += [seconds, seconds + each]
        seconds += each
    left = iter(readings)
    return lambda: next(left)


def test_floors_are_those_of_the_given_bytes_and_the_median_of_many_turns(tmp_path: Path) -> None:
    parsing = _parsing()
    bodies = parsing.bodies[:100]
    events = sum(body.count(b'"event_type"') for body in bodies)
    assert parse_us(bodies, _cpu([2.0])) == pytest.approx(2e6 / events)
    turns_s = [100.0] * 9 + [2.0] * 2 + [0.5] * 9  # of which none is told by a single one
    assert median_parse_us(bodies, _cpu(turns_s)) == pytest.approx(2e6 / events)
    stored_us = median_store_us(tmp_path, SIZES, 100, 30, _cpu(turns_s))
    assert stored_us == pytest.approx(2e6 / 100)


async def test_each_mode_has_floors_in_its_own_sizes(tmp_path: Path) -> None:
    """Groups, bytes of a micro-batch, connections, and the rate of the edge alone."""
    http = AsyncMock(return_value=HttpFloor(us_per_request=1, requests_per_second=1, latency_ms={}))
    ray = AsyncMock(return_value=7.0)
    groups: list[int] = []

    def store(folder: Path, sizes: Sizes, batches: int, group: int, cpu: object) -> float:
        groups.append(group)
        return 5.0

    parsing = _parsing()
    single = replace(SINGLE, batches_per_second=4_000.0)
    with (
        patch.object(all_floors, "http_floor", http),
        patch.object(all_floors, "ray_us", ray),
        patch.object(all_floors, "median_store_us", store),
        patch.object(growth, "sizes", AsyncMock(return_value=SIZES)),
    ):

        async def measured(*capacity: Any) -> Any:
            clock = SystemClock()
            modes = ("bulk", "single")
            return await all_floors.measure(
                tmp_path, OPTIONS, parsing, capacity, modes, clock, processor_time
            )

        found = await measured(BULK, single)
        await measured()
    assert groups == [
        round(250 / parsing.events_per_batch),
        round(50 / parsing.events_per_batch),
        *(50, 50),  # without deployments
    ]
    assert [each.args[2:] for each in http.await_args_list] == [
        (32, 10, 0.5, 5_000.0),
        (256, 10, 0.5, 2_000.0),
        (32, 10, 0.5, None),
        (256, 10, 0.5, None),
    ]
    sent = [each.args[0] for each in ray.await_args_list[:2]]
    assert sent == [each.micro_batch_bytes for each in found.modes.values()]
    assert sent[0] / sent[1] == pytest.approx(groups[0] / groups[1], rel=1e-3)
    assert found.parse_per_event > 0
    assert found.modes["single"].store_per_event == 5.0 / parsing.events_per_batch


async def test_http_and_ray_are_measured_in_processes_of_their_own(tmp_path: Path) -> None:
    found = await http_floor(tmp_path, "single", 4, 10, 0.5, 50.0)
    assert 0 < found.us_per_request < 1e6
    assert found.requests_per_second > 1
    assert 0 < found.latency_ms["p50"] <= found.latency_ms["p99"]
    assert 0 < await ray_us(1000, 0.2) < 1e6
