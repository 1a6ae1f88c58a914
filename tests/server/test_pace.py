"""How fast a shard works."""

import pytest

from actors.clock import ManualClock
from server.pace import Pace


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def work(pace: Pace, clock: ManualClock, size: int, ms: int, *, is_busy: bool = True) -> None:
    """Let the shard do something in so much time."""
    clock.advance(ms)
    pace.served(size, is_busy=is_busy)


def test_nothing_is_known_until_it_was_busy_for_a_while(clock: ManualClock) -> None:
    pace = Pace(clock)
    for _ in range(10):
        work(pace, clock, 1000, 100, is_busy=False)
    assert pace.bytes_per_s is None
    for _ in range(5):
        work(pace, clock, 1000, 100)
    assert pace.bytes_per_s is None  # the first began it
    work(pace, clock, 1000, 100)
    assert pace.bytes_per_s == pytest.approx(10_000)


def test_it_follows_a_shard_that_becomes_slower(clock: ManualClock) -> None:
    pace = Pace(clock)
    for _ in range(6):
        work(pace, clock, 1000, 100)
    for _ in range(60):
        work(pace, clock, 100, 100)
    assert pace.bytes_per_s == pytest.approx(1000, rel=0.1)


def test_idle_time_and_an_absence_are_not_slowness(clock: ManualClock) -> None:
    pace = Pace(clock)
    for _ in range(6):
        work(pace, clock, 1000, 100)
    work(pace, clock, 10, 60_000, is_busy=False)
    pace.failed()
    clock.advance(60_000)
    work(pace, clock, 1000, 100)
    work(pace, clock, 1000, 100)
    assert pace.bytes_per_s is not None
    assert pace.bytes_per_s > 5000
