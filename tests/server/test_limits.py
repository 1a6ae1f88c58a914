"""The arithmetic of rate limits (spec/events-api.md, 4)."""

from types import TracebackType
from typing import Self

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.limits import Admitted, Counter, Exceeded, Level, Limit, RateLimiter


class Memory:
    """Counters of one process."""

    def __init__(self) -> None:
        self._counters: dict[str, Counter] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def read(self, key: str) -> Counter | None:
        counter = self._counters.get(key)
        return None if counter is None else msgspec.structs.replace(counter)

    def write(self, key: str, counter: Counter) -> None:
        self._counters[key] = counter


def limit(rate: int, acceleration: int = 0, level: Level = "feed", key: str = "a") -> Limit:
    return Limit(level, key, rate, rate, acceleration)


@pytest.fixture
def limiter() -> RateLimiter:
    return RateLimiter(Memory())


def test_270_batches_at_once(limiter: RateLimiter) -> None:
    """spec/events-api.md, worked case 58."""
    used = [limiter.admit([limit(270)], 1, 0) for _ in range(270)]
    assert [used[0], used[99], used[269]] == [Admitted(0), Admitted(37), Admitted(100)]
    assert limiter.admit([limit(270)], 1, 0) == Exceeded("feed", 1)


def test_thirty_tokens_left(limiter: RateLimiter) -> None:
    """spec/events-api.md, worked case 59."""
    limiter.admit([limit(270)], 240, 0)
    assert limiter.admit([limit(270)], 40, 0) == Exceeded("feed", 1)
    assert limiter.admit([limit(270)], 30, 0) == Admitted(100)


def test_more_than_the_bucket_holds(limiter: RateLimiter) -> None:
    """spec/events-api.md, worked case 60."""
    assert limiter.admit([limit(10)], 40, 0) == Admitted(100)
    assert limiter.admit([limit(10)], 1, 0) == Exceeded("feed", 4)
    assert limiter.admit([limit(10)], 40, 3_999) == Exceeded("feed", 1)
    assert limiter.admit([limit(10)], 40, 4_000) == Admitted(100)


def test_a_window_admits_its_capacity_however_slowly_it_is_used(limiter: RateLimiter) -> None:
    """spec/platform-api.md, 1: a thousand calls a minute."""
    calls = Limit("account", "a", 0, 100, window_ms=60_000)
    used = [limiter.admit([calls], 1, 590 * number) for number in range(100)]
    assert [used[0], used[91], used[99]] == [Admitted(1), Admitted(92), Admitted(100)]
    assert limiter.admit([calls], 1, 59_000) == Exceeded("account", 1)
    assert limiter.check([calls], 1, 59_999) == Exceeded("account", 1)
    assert limiter.admit([calls], 1, 60_000) == Admitted(1)
    assert limiter.admit([calls], 500, 130_000) == Admitted(100)  # passes, as into a full bucket
    assert limiter.admit([calls], 1, 131_000) == Exceeded("account", 59)


def test_acceleration(limiter: RateLimiter) -> None:
    """spec/events-api.md, worked case 61."""
    steep = [limit(270, acceleration=100)]
    assert limiter.admit(steep, 100, 0) == Admitted(100)
    assert limiter.admit(steep, 1, 999) == Exceeded("acceleration", 1)
    assert limiter.admit(steep, 200, 1_000) == Admitted(100)
    assert limiter.admit(steep, 101, 3_000) == Exceeded("acceleration", 1)


def test_acceleration_without_a_limit_of_speed(limiter: RateLimiter) -> None:
    steep = [limit(0, acceleration=100)]
    assert limiter.admit(steep, 50, 0) == Admitted(50)
    assert limiter.admit(steep, 51, 0) == Exceeded("acceleration", 1)


def test_without_limits_nothing_is_counted(limiter: RateLimiter) -> None:
    """spec/events-api.md, worked case 62."""
    assert limiter.admit([], 1_000_000, 0) == Admitted(None)


def test_the_first_exceeded_level_is_named_with_the_longest_wait(limiter: RateLimiter) -> None:
    levels: list[Level] = ["app", "workspace", "account", "org", "system"]
    limits = [limit(10, 100, level, level) for level in levels]
    limiter.admit(limits[2:], 10, 0)
    limiter.admit(limits[3:4], 10, 1_000)
    limiter.admit(limits[3:4], 20, 2_000)
    assert limiter.admit(limits, 10, 2_000) == Exceeded("org", 2)
    limiter.admit(limits[2:3], 10, 2_000)
    assert limiter.admit(limits, 10, 2_000) == Exceeded("account", 2)


def test_what_one_level_refuses_uses_nothing_of_the_others(limiter: RateLimiter) -> None:
    small, large = limit(1, key="small"), limit(10, key="large")
    limiter.admit([small], 1, 0)
    assert limiter.admit([large, small], 10, 0) == Exceeded("feed", 1)
    assert limiter.admit([large], 10, 0) == Admitted(100)


def test_the_highest_use_is_reported(limiter: RateLimiter) -> None:
    assert limiter.admit([limit(100), limit(10, key="b")], 5, 0) == Admitted(50)


def test_checking_takes_nothing(limiter: RateLimiter) -> None:
    for _ in range(3):
        assert limiter.check([limit(1)], 1, 0) is None
    limiter.admit([limit(1)], 1, 0)
    assert limiter.check([limit(1)], 1, 0) == Exceeded("feed", 1)


def test_a_lower_limit_holds_at_once(limiter: RateLimiter) -> None:
    limiter.admit([limit(100)], 1, 0)
    assert limiter.admit([limit(2)], 2, 0) == Admitted(100)
    assert limiter.admit([limit(2)], 1, 0) == Exceeded("feed", 1)


def test_another_processs_earlier_clock_gives_nothing_back(limiter: RateLimiter) -> None:
    assert limiter.admit([limit(10)], 10, 1_000) == Admitted(100)
    assert limiter.admit([limit(10)], 1, 998) == Exceeded("feed", 1)


def test_counters_from_before_a_restart_of_the_machine_start_anew(limiter: RateLimiter) -> None:
    limiter.admit([limit(10)], 10, 10_000_000)
    assert limiter.admit([limit(10)], 10, 1_000) == Admitted(100)


requests = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 1500)), max_size=60)


@given(requests, st.integers(1, 20))
def test_no_second_admits_more_than_the_bucket_and_a_seconds_tokens(
    sent: list[tuple[int, int]], rate: int
) -> None:
    """In any window of one second at most capacity + rate, but for one larger request."""
    limiter, now_ms = RateLimiter(Memory()), 0
    admitted: list[tuple[int, int]] = []
    for n, pause_ms in sent:
        now_ms += pause_ms
        n = min(n, rate)
        if isinstance(limiter.admit([limit(rate)], n, now_ms), Admitted):
            admitted.append((now_ms, n))
    for start, _ in admitted:
        window = sum(n for at, n in admitted if start <= at <= start + 1000)
        assert window <= 2 * rate


@given(requests, st.integers(1, 20))
def test_who_waits_as_long_as_told_is_admitted(sent: list[tuple[int, int]], rate: int) -> None:
    limiter, now_ms = RateLimiter(Memory()), 0
    for n, pause_ms in sent:
        now_ms += pause_ms
        decision = limiter.admit([limit(rate)], n, now_ms)
        if isinstance(decision, Exceeded):
            assert decision.retry_after_s >= 1
            now_ms += decision.retry_after_s * 1000
            decision = limiter.admit([limit(rate)], n, now_ms)
        assert isinstance(decision, Admitted)
        assert decision.percentage is not None
        assert 0 <= decision.percentage <= 100


@given(requests, st.integers(100, 150))
def test_the_rate_grows_by_at_most_the_acceleration(
    sent: list[tuple[int, int]], acceleration: int
) -> None:
    limiter, now_ms = RateLimiter(Memory()), 0
    per_second: dict[int, int] = {}
    for n, pause_ms in sent:
        now_ms += pause_ms // 10
        if isinstance(limiter.admit([limit(0, acceleration)], 4 * n, now_ms), Admitted):
            second = now_ms // 1000
            per_second[second] = per_second.get(second, 0) + 4 * n
    for second, admitted in per_second.items():
        assert admitted <= per_second.get(second - 1, 0) + acceleration


SHARE = limit(2, key="own")


def test_a_share_is_there_though_others_have_taken_all(limiter: RateLimiter) -> None:
    """spec/identity.md, 4.3: what is taken of it, the others wait for."""
    for _ in range(10):
        assert isinstance(limiter.admit([limit(10)], 1, 0), Admitted)
    for _ in range(2):
        assert limiter.admit([limit(10)], 1, 0, SHARE) == Admitted(100)
    assert limiter.admit([limit(10)], 1, 0, SHARE) == Exceeded("feed", 1)
    assert isinstance(limiter.admit([limit(10)], 1, 200), Exceeded)
    assert isinstance(limiter.admit([limit(10)], 1, 300), Admitted)


def test_a_share_is_no_more_than_the_limit(limiter: RateLimiter) -> None:
    """Who has taken all has taken the share, too, and gets the next part of it like anybody."""
    for _ in range(10):
        assert isinstance(limiter.admit([limit(10)], 1, 0, SHARE), Admitted)
    assert isinstance(limiter.admit([limit(10)], 1, 0, SHARE), Exceeded)
    assert isinstance(limiter.admit([limit(10)], 1, 99, SHARE), Exceeded)
    for _ in range(5):
        assert isinstance(limiter.admit([limit(10)], 1, 500, SHARE), Admitted)
    assert isinstance(limiter.admit([limit(10)], 1, 500, SHARE), Exceeded)
    for _ in range(5):
        assert isinstance(limiter.admit([limit(10)], 1, 1000), Admitted)
    assert isinstance(limiter.admit([limit(10)], 1, 1000, SHARE), Admitted)
    assert isinstance(limiter.admit([limit(10)], 1, 1000, SHARE), Exceeded)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 50)), max_size=400))
def test_shares_do_not_raise_the_rate(asked: list[tuple[int, int]]) -> None:
    """Of a second's worth at most, once, by as much as the shares are together."""
    limiter = RateLimiter(Memory())
    now_ms = admitted = 0
    for who, pause_ms in asked:
        now_ms += pause_ms
        share = limit(3, key=f"own {who}")
        admitted += isinstance(limiter.admit([limit(10)], 1, now_ms, share), Admitted)
    assert admitted <= 10 + 9 + now_ms * 10 / 1000
