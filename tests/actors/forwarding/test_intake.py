"""What is read, when, and how much of it (spec/connections.md, 1.3, 3.1 and 3.2)."""

import asyncio

import pytest
from msgspec.structs import replace

from actors.clock import ManualClock
from actors.forwarding.connections import WINDOW_BYTES
from actors.outputs.contract import Delivered, Fatal, Outcome
from tests.actors.forwarding.support import (
    STREAM,
    MemoryOutbox,
    ScriptedOutput,
    Simulation,
    delivery,
    until,
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def simulation(clock: ManualClock) -> Simulation:
    return Simulation(clock)


def backlog(count: int, size: int) -> MemoryOutbox:
    payload = b"x" * size
    return MemoryOutbox([delivery(n, mpid=n, payload=payload) for n in range(1, count + 1)])


@pytest.mark.parametrize(
    "outcome",
    [
        pytest.param(Fatal("fatal_response", "no", 400), id="refuses everything"),
        pytest.param(Delivered(200), id="takes everything"),
    ],
)
async def test_a_full_shard_is_not_read_on_until_it_takes_what_has_become_of_what_was_read(
    clock: ManualClock, simulation: Simulation, outcome: Outcome
) -> None:
    shard = backlog(2000, 100_000)
    shard.is_full = True
    output = ScriptedOutput(clock, lambda each: outcome)
    simulation.start(output, [shard])
    await simulation.run(60)
    tried = len(output.requests)
    assert 0 < tried * 100_000 < 2 * WINDOW_BYTES
    assert shard.refused < 20  # it is left alone for longer each time
    await simulation.run(3600)
    assert len(output.requests) == tried
    shard.is_full = False
    await simulation.run(60)
    assert output.sequences == list(range(1, 2001))
    assert shard.waiting == {}
    await simulation.stop()


async def test_dead_letters_count_as_memory_until_they_are_settled(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = backlog(2000, 100_000)
    gate, whole = asyncio.Event(), shard.settle

    async def settle_late(settlement: object) -> None:
        await gate.wait()
        await whole(settlement)  # type: ignore[arg-type]

    shard.settle = settle_late  # type: ignore[method-assign]
    output = ScriptedOutput(clock, lambda each: Fatal("fatal_response", "no", 400))
    forwarder = simulation.start(output, [shard])
    await until(lambda: output.requests)
    for _ in range(5000):
        await asyncio.sleep(0)
    state = forwarder.state()["connections"]["c1"]
    assert WINDOW_BYTES // 2 < state["in_memory_bytes"] < 1.1 * WINDOW_BYTES
    gate.set()
    await simulation.run(60)
    assert len(shard.dead) == 2000
    assert forwarder.state()["connections"]["c1"]["in_memory_bytes"] == 0
    await simulation.stop()


@pytest.mark.parametrize(
    ("cap_s", "waited_s"),
    [
        pytest.param(900, 3600, id="an hour"),
        pytest.param(7200, 7200, id="what the schedule has"),
    ],
)
@pytest.mark.parametrize(
    ("delayed_s", "left_s"),
    [
        pytest.param(-600, -600, id="since it was reckoned"),
        pytest.param(None, 0, id="since it was read"),
    ],
)
async def test_what_was_put_off_for_years_comes_after_the_longest_wait_there_is(
    clock: ManualClock,
    simulation: Simulation,
    cap_s: float,
    waited_s: int,
    delayed_s: int | None,
    left_s: int,
) -> None:
    """Outboxes may hold what a receiver asked for when that was not bounded."""
    start_ms = clock.now_ms()
    put_off = {
        "attempts": 1,
        "first_attempt_ms": start_ms - 600_000,
        "delayed_ms": 0 if delayed_s is None else start_ms + delayed_s * 1000,
        "next_attempt_ms": start_ms + 10**12,
    }
    shard = MemoryOutbox([delivery(1, **put_off)])
    output = ScriptedOutput(clock)
    simulation.start(output, [shard], schedule=replace(STREAM, cap_s=cap_s))
    await simulation.run(3 * 3600)
    times_s = [(time_ms - start_ms) / 1000 for time_ms, _ in output.requests]
    assert times_s == [waited_s + left_s]
    assert shard.waiting == {}
    await simulation.stop()
