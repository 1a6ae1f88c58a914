"""Sending: open and closed loop, latency accounting, retries."""

import asyncio
import json

import numpy as np
import pytest

from actors.clock import SystemClock
from load_tests.client import Target
from load_tests.drive import DriveOptions, Driver, arrival_times
from load_tests.ledger import ACKNOWLEDGED, REFUSED, UNKNOWN, UNSENT, Ledger
from load_tests.pool import Pool
from load_tests.traffic import IngestTraffic
from tests.load_tests.conftest import MakePool
from tests.load_tests.fake_server import FakeServer


def _driver(target: Target, pool: Pool, ledger: Ledger, **options: float | str) -> Driver:
    traffic = IngestTraffic(target, "k1", "s1", pool, ledger)
    chosen = {"seconds": 0.5, "connections": 2} | options
    return Driver(target, traffic, DriveOptions(**chosen), SystemClock())  # type: ignore[arg-type]


def _request_ids(body: bytes) -> list[str]:
    return [batch["source_request_id"] for batch in json.loads(body)]


async def test_a_rate_is_kept(server: FakeServer, target: Target, make_pool: MakePool) -> None:
    """100 requests per second for half a second are 50 requests, all acknowledged."""
    pool = make_pool()
    ledger = Ledger(pool)
    driver = _driver(target, pool, ledger, requests_per_second=100, arrivals="fixed")
    measured = await driver.run()
    sent = 50 - measured.unsent  # a machine that stalls at the end leaves some unsent
    assert sent > 0
    assert len(server.bodies) == sent
    assert measured.statuses == {202: sent}
    assert measured.acknowledged_batches == 10 * sent
    assert measured.acknowledged_events == int(ledger.events().sum())
    assert set(ledger.states().tolist()) == {ACKNOWLEDGED}


async def test_a_stalled_server_shows_in_all_requests_that_were_due_meanwhile(
    server: FakeServer, target: Target, make_pool: MakePool
) -> None:
    """One connection, 200 requests per second, the 20th answer takes 0.4 s: the 80 requests due
    in that time waited too, so half the sample is slow although one answer was."""
    server.stall_s = {20: 0.4}
    pool = make_pool(batches_per_request=1)
    driver = _driver(
        target,
        pool,
        Ledger(pool),
        requests_per_second=200,
        arrivals="fixed",
        connections=1,
        seconds=0.8,
    )
    latency = (await driver.run()).latency_ms()
    assert latency["max"] >= 400
    assert latency["p99"] >= 300
    assert latency["p90"] >= 200


async def test_requests_that_were_never_sent_count_with_the_time_they_waited(
    server: FakeServer, target: Target, make_pool: MakePool
) -> None:
    """The first answer takes longer than the run: 49 requests were due and found no connection."""
    server.stall_s = {0: 0.7}
    pool = make_pool()
    ledger = Ledger(pool)
    driver = _driver(target, pool, ledger, requests_per_second=100, arrivals="fixed", connections=1)
    measured = await driver.run()
    assert measured.unsent == 49
    assert len(server.bodies) == 1
    assert measured.latency_ms()["p50"] >= 200
    assert ledger.states().tolist() == [ACKNOWLEDGED] * 10 + [UNSENT] * 490


async def test_a_closed_loop_keeps_every_connection_busy_and_counts_from_sending(
    server: FakeServer, target: Target, make_pool: MakePool
) -> None:
    """Each answer takes 50 ms: two connections make at most 20 requests in half a second."""
    server.stall_s = dict.fromkeys(range(100), 0.05)
    pool = make_pool()
    measured = await _driver(target, pool, Ledger(pool)).run()
    assert 10 <= len(server.bodies) <= 22
    assert 50 <= measured.latency_ms()["p50"] < 150
    assert measured.throughput(0.5)["batches_per_second"] <= 400


@pytest.mark.parametrize("rate", [None, 20.0])
@pytest.mark.parametrize("status", [429, 503])
async def test_a_server_that_asks_for_patience_gets_the_same_bytes_later(
    server: FakeServer, target: Target, make_pool: MakePool, status: int, rate: float | None
) -> None:
    """Retry-After is honoured and counted, in both kinds of loop."""
    loop = asyncio.get_running_loop()
    times: list[float] = []

    def refuse(number: int) -> tuple[int, dict[str, str]] | None:
        times.append(loop.time())
        return (status, {"Retry-After": "1"}) if number == 0 else None

    server.refuse = refuse
    pool = make_pool()
    ledger = Ledger(pool)
    driver = _driver(target, pool, ledger, requests_per_second=rate, arrivals="fixed", seconds=1.4)  # type: ignore[arg-type]
    measured = await driver.run()
    again = server.bodies.index(server.bodies[0], 1)
    assert times[again] - times[0] >= 1
    assert measured.retries == {str(status): 1}
    assert measured.statuses[status] == 1
    assert measured.latency_ms()["max"] >= 1000
    unsent = 10 * measured.unsent  # a busy machine may not get round to the last ones
    states = ledger.states().tolist()
    assert states[:10] == [ACKNOWLEDGED] * 10
    assert states.count(UNSENT) == unsent
    assert states.count(ACKNOWLEDGED) == len(states) - unsent


async def test_a_broken_connection_is_retried_with_the_same_request_ids(
    server: FakeServer, target: Target, make_pool: MakePool
) -> None:
    """The server stored the first request, the answer was lost: dedup makes the repeat harmless."""
    server.drop = {0}
    pool = make_pool()
    ledger = Ledger(pool)
    measured = await _driver(target, pool, ledger, connections=1).run()
    assert measured.retries == {"connection": 1}
    assert server.bodies[1] == server.bodies[0]
    assert _request_ids(server.bodies[2]) != _request_ids(server.bodies[0])
    assert set(ledger.states().tolist()) == {ACKNOWLEDGED}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        pytest.param(400, REFUSED, id="refused"),
        pytest.param(403, REFUSED, id="wrong key"),
        pytest.param(500, UNKNOWN, id="defect"),
        pytest.param(429, REFUSED, id="never admitted"),
    ],
)
async def test_what_is_not_acknowledged_is_not_counted_as_such(
    server: FakeServer, target: Target, make_pool: MakePool, status: int, state: int
) -> None:
    """No throughput, and the ledger says what may be stored."""
    server.refuse = lambda number: (status, {})
    pool = make_pool()
    ledger = Ledger(pool)
    measured = await _driver(target, pool, ledger, seconds=0.2).run()
    assert measured.acknowledged_events == 0
    assert measured.throughput(0.2)["events_per_second"] == 0
    assert set(ledger.states().tolist()) == {state}


class _SlowClock(SystemClock):
    """Says that less time has passed than the event loop's own clock does."""

    def monotonic(self) -> float:
        return super().monotonic() * 0.8


@pytest.mark.parametrize("rate", [None, 100.0])
async def test_nothing_is_begun_after_the_end(
    server: FakeServer, target: Target, make_pool: MakePool, rate: float | None
) -> None:
    """The end is one moment for all parts, whatever a clock says; nobody waits for the drain."""
    pool = make_pool()
    traffic = IngestTraffic(target, "k1", "s1", pool, Ledger(pool))
    options = DriveOptions(seconds=0.3, connections=2, requests_per_second=rate, arrivals="fixed")
    async with asyncio.timeout(5.0):
        measured = await Driver(target, traffic, options, _SlowClock()).run()
    assert measured.acknowledged_batches > 0
    if rate is not None:
        assert len(server.bodies) + measured.unsent <= rate * options.seconds


class _Broken(IngestTraffic):
    """Fails when it is asked for a request."""

    def request(self, number: int, now_ms: int) -> bytes:
        raise ZeroDivisionError


async def test_an_error_in_the_traffic_ends_the_run(target: Target, make_pool: MakePool) -> None:
    """It is not taken for a failure of the server."""
    pool = make_pool()
    traffic = _Broken(target, "k1", "s1", pool, Ledger(pool))
    options = DriveOptions(seconds=30, connections=2)
    with pytest.raises(ExceptionGroup) as caught:
        await Driver(target, traffic, options, SystemClock()).run()
    assert caught.group_contains(ZeroDivisionError)


def test_poisson_arrivals_have_the_rate_and_the_spread_of_their_kind() -> None:
    """Gaps of mean 1/rate and of a deviation as large as the mean; the seed decides them."""
    options = DriveOptions(seconds=200, connections=1, seed=5)
    gaps = np.diff(list(arrival_times(100, options)))
    assert gaps.mean() == pytest.approx(0.01, rel=0.05)
    assert gaps.std() == pytest.approx(0.01, rel=0.05)
    assert list(arrival_times(100, options)) == list(arrival_times(100, options))


@pytest.mark.parametrize(("rate", "seconds", "count"), [(5, 8, 40), (0.1, 1, 1), (2000, 5, 10_000)])
def test_as_many_arrive_at_random_as_the_rate_says(rate: float, seconds: float, count: int) -> None:
    """However few they are, whatever the seed; in order, and none after the end."""
    for seed in range(3):
        options = DriveOptions(seconds=seconds, connections=1, seed=seed)
        offsets = list(arrival_times(rate, options))
        assert len(offsets) == count
        assert offsets == sorted(offsets)
        assert 0 <= offsets[0] <= offsets[-1] < seconds


def test_fixed_arrivals_are_evenly_spaced_and_end_with_the_run() -> None:
    """The last is due before the end."""
    options = DriveOptions(seconds=0.4, connections=1, arrivals="fixed")
    assert list(arrival_times(10, options)) == pytest.approx([0, 0.1, 0.2, 0.3])
