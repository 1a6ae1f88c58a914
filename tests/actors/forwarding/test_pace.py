"""Rate limits, pauses and breaker of an output (spec/connections.md, 3.2 and 3.5)."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.clock import ManualClock
from actors.forwarding.pace import CLOSED, HALF_OPEN, OPEN, BreakerLimits, Pace, RateLimit
from actors.metric_groups import ForwarderMetrics
from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, RequestLimits, Retry
from tests.actors.forwarding.support import (
    MemoryOutbox,
    ScriptedOutput,
    Simulation,
    connection,
    delivery,
)

NOT_LEARNT: dict[str, bool] = {"adaptive": False}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def simulation(clock: ManualClock) -> Simulation:
    return Simulation(clock)


def users(count: int, **changes: object) -> list[Delivery]:
    return [delivery(number, mpid=number, **changes) for number in range(1, count + 1)]


def times_s(output: ScriptedOutput, clock: ManualClock) -> list[float]:
    start_ms = ManualClock().now_ms()
    return [(at_ms - start_ms) / 1000 for at_ms, _ in output.requests]


async def test_requests_begin_with_a_burst_and_go_on_at_the_rate(
    clock: ManualClock, simulation: Simulation
) -> None:
    output = ScriptedOutput(clock)
    limit = RateLimit(requests_per_second=10, burst=3, **NOT_LEARNT)
    metrics = ForwarderMetrics("test")
    simulation.start(output, [MemoryOutbox(users(8))], rate_limit=limit, metrics=metrics)
    await simulation.run(10)
    assert times_s(output, clock) == [0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert all(each.attempts == 0 for _, [each] in output.requests)
    waited = metrics.registry.get_sample_value(
        "headwater_forwarder_rate_limit_wait_seconds_total", {"output": "hook"}
    )
    assert waited == pytest.approx(0.5)
    await simulation.stop()


async def test_a_burst_is_a_seconds_worth_unless_it_is_said(
    clock: ManualClock, simulation: Simulation
) -> None:
    output = ScriptedOutput(clock)
    limit = RateLimit(requests_per_second=4, **NOT_LEARNT)
    simulation.start(output, [MemoryOutbox(users(6))], rate_limit=limit)
    await simulation.run(10)
    assert times_s(output, clock) == [0, 0, 0, 0, 0.25, 0.5]
    await simulation.stop()


async def test_events_and_requests_must_both_be_allowed_over_all_connections(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox(
        [
            delivery(number, mpid=number, connection=1 + number % 2, events=[{}] * 5)
            for number in range(1, 6)
        ]
    )
    output = ScriptedOutput(clock)
    limit = RateLimit(requests_per_second=100, events_per_second=10, **NOT_LEARNT)
    simulation.start(output, [shard], [connection(1), connection(2)], rate_limit=limit)
    await simulation.run(10)
    # Ten at once; each five more are taken in advance of the half second that they need.
    assert times_s(output, clock) == [0, 0, 0.1, 0.6, 1.1]
    await simulation.stop()


async def test_a_request_of_more_events_than_a_second_allows_is_sent_all_the_same(
    clock: ManualClock, simulation: Simulation
) -> None:
    output = ScriptedOutput(clock)
    limit = RateLimit(events_per_second=10, **NOT_LEARNT)
    shard = MemoryOutbox(users(2, events=[{}] * 50))
    simulation.start(output, [shard], rate_limit=limit)
    await simulation.run(10)
    assert times_s(output, clock) == [0, 4.1]
    await simulation.stop()


def windows(pace: Pace, refused: Iterator[int], rounds: int) -> list[float]:
    """Answer 10 requests in each second, so many of them with 429; return the factors after."""
    now_ms, factors = 0, []
    for _ in range(rounds):
        count = next(refused)
        for number in range(10):
            pace.end(pace.begin(1, now_ms)[0], f"dl_{number}", False, number < count, now_ms)
        now_ms += 1000
        pace.free_ms(now_ms)
        factors.append(round(pace.factor, 4))
    return factors


@pytest.mark.parametrize(
    ("refused", "factors"),
    [
        pytest.param([1, 1, 1], [1, 1, 1], id="a tenth is tolerated"),
        pytest.param([2, 2, 2], [0.7, 0.7, 0.49], id="slower, then one window is waited"),
        pytest.param([2, 0, 0, 0, 0], [0.7, 0.7, 0.7, 0.77, 0.77], id="faster after two clean"),
        pytest.param([2, 0, 0, 1, 0, 0], [0.7, 0.7, 0.7, 0.7, 0.7, 0.77], id="clean in a row"),
        pytest.param(
            [2] + [0] * 9, [0.7] * 3 + [0.77] * 2 + [0.847] * 2 + [0.9317] * 2 + [1], id="up to 1"
        ),
    ],
)
def test_the_rate_follows_the_refusals(refused: list[int], factors: list[float]) -> None:
    pace = Pace(RateLimit(requests_per_second=1000), BreakerLimits(), 0)
    assert windows(pace, iter(refused), len(refused)) == factors


def test_a_rate_that_does_not_adapt_stays() -> None:
    pace = Pace(RateLimit(requests_per_second=1000, adaptive=False), BreakerLimits(), 0)
    assert windows(pace, iter([10] * 3), 3) == [1, 1, 1]


def test_a_long_silence_brings_the_whole_rate_back() -> None:
    pace = Pace(RateLimit(requests_per_second=1000), BreakerLimits(), 0)
    windows(pace, iter([10] * 20), 20)
    assert pace.factor < 0.1
    pace.free_ms(365 * 86_400_000)
    assert pace.factor == 1


async def test_case_18_a_pause_that_was_asked_for_holds_in_both_environments(
    clock: ManualClock, simulation: Simulation
) -> None:
    """The whole output is silent, whichever settings the receiver was reached by."""
    busy = ScriptedOutput(clock, lambda each: Retry("slow down", 429, 120))
    other = ScriptedOutput(clock)
    shard = MemoryOutbox([delivery(1)])
    forwarder = simulation.start({"production": busy, "development": other}, [shard])
    await simulation.run(1)
    shard.add(delivery(2, mpid=2, environment="development"))
    forwarder.wake(0)
    await simulation.run(118)
    assert other.requests == []
    await simulation.run(2)
    assert times_s(other, clock) == [120]
    await simulation.stop()


async def test_the_breaker_opens_after_five_failures_and_lets_one_probe_through(
    clock: ManualClock, simulation: Simulation
) -> None:
    is_dead = True
    output = ScriptedOutput(clock, lambda each: Retry("no", 503) if is_dead else Delivered(200))
    shard = MemoryOutbox(users(200))
    metrics = ForwarderMetrics("test")
    simulation.start(output, [shard], max_in_flight=5, metrics=metrics)
    await simulation.run(5 + 10 + 20 + 40 + 80 + 160 + 300 + 300 + 1)
    assert times_s(output, clock) == [0] * 5 + [5, 15, 35, 75, 155, 315, 615, 915]
    shown = metrics.registry.get_sample_value(
        "headwater_forwarder_breaker_state", {"output": "hook"}
    )
    assert shown == OPEN
    is_dead = False
    await simulation.run(299 + 900)
    assert shard.waiting == {}
    assert sorted(set(output.sequences)) == list(range(1, 201))
    await simulation.stop()


async def test_one_delivery_that_never_gets_through_does_not_open_it(
    clock: ManualClock, simulation: Simulation
) -> None:
    output = ScriptedOutput(
        clock, lambda each: Retry("no", 503) if each.mpid == 1 else Delivered(200)
    )
    shard = MemoryOutbox(users(1))
    forwarder = simulation.start(output, [shard])
    await simulation.run(3600)
    shard.add(delivery(2, mpid=2))
    forwarder.wake(0)
    await simulation.run(0.1)
    assert [each.mpid for each in output.delivered] == [2]
    await simulation.stop()


def test_what_was_under_way_when_it_opened_does_not_open_it_again() -> None:
    pace = Pace(RateLimit(), BreakerLimits(failures=2, open_ms=1000), 0)
    begun = [pace.begin(1, 0)[0] for _ in range(4)]
    opened = [pace.end(each, f"dl_{n}", True, False, 0) for n, each in enumerate(begun)]
    assert opened == [False, True, False, False]
    assert pace.breaker_state(999) == OPEN
    assert pace.free_ms(0) == 1000
    assert pace.breaker_state(1000) == HALF_OPEN
    probe, _ = pace.begin(1, 1000)
    assert pace.free_ms(1000) is None
    pace.end(begun[3], "dl_9", True, False, 1000)
    assert pace.free_ms(1000) is None
    pace.end(probe, "dl_1", False, False, 1000)
    assert pace.breaker_state(1000) == CLOSED
    assert pace.free_ms(1000) == 1000


@given(
    st.floats(0.5, 200),
    st.integers(1, 50),
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 3000)), max_size=60),
)
def test_no_stretch_of_time_has_more_than_the_rate_and_the_burst(
    rate: float, burst: int, wanted: list[tuple[int, int]]
) -> None:
    """Requests begun in any stretch: at most burst + rate times its length."""
    pace = Pace(RateLimit(rate, burst, adaptive=False), BreakerLimits(), 0)
    now_ms, begun = 0, []
    for events, pause_ms in wanted:
        now_ms += pause_ms
        free_ms = pace.free_ms(now_ms)
        assert free_ms is not None
        now_ms = free_ms
        pace.begin(events, now_ms)
        begun.append(now_ms)
    for index, first_ms in enumerate(begun):
        for later, last_ms in enumerate(begun[index:], start=1):
            assert later <= burst + rate * (last_ms - first_ms) / 1000 + 1e-6


async def test_a_request_of_several_deliveries_takes_one_token(
    clock: ManualClock, simulation: Simulation
) -> None:
    output = ScriptedOutput(clock, limits=RequestLimits(max_deliveries=4))
    limit = RateLimit(requests_per_second=1, **NOT_LEARNT)
    simulation.start(output, [MemoryOutbox(users(8))], rate_limit=limit)
    await simulation.run(5)
    assert times_s(output, clock) == [0, 1]
    await simulation.stop()
