"""Ids increase, whatever the clock does, and say where they come from."""

from hypothesis import given
from hypothesis import strategies as st

from actors.clock import ManualClock
from actors.store.environment import Store
from actors.store.ids import (
    MAX_SHARDS,
    Ids,
    read_last,
    shard_of_id,
    time_of_id,
    write_last,
)
from tests.actors.store.builders import NOW

shards = st.integers(min_value=0, max_value=MAX_SHARDS - 1)
jumps_ms = st.lists(st.integers(min_value=-5, max_value=5) | st.integers(-(10**9), 10**9))


@given(shard=shards, jumps=jumps_ms, restarts=st.sets(st.integers(0, 20)))
def test_ids_increase_under_any_clock_and_over_restarts(
    shard: int, jumps: list[int], restarts: set[int]
) -> None:
    """A clock that was put back, or a new owner, gives nothing a second time."""
    clock = ManualClock(NOW)
    ids = Ids(shard, 0, clock)
    drawn = [ids.next()]
    for number, jump in enumerate(jumps):
        clock.advance(jump)
        if number in restarts:
            ids = Ids(shard, drawn[-1], clock)
        drawn.append(ids.next())
        assert ids.last == drawn[-1] > drawn[-2]
        assert shard_of_id(drawn[-1]) == shard
        assert time_of_id(drawn[-1]) >= clock.now_ms()


@given(shards, shards)
def test_two_shards_never_draw_the_same_id(one: int, other: int) -> None:
    """Not even in the same millisecond, or when one goes on after an id of the other."""
    clock = ManualClock(NOW)
    ours, theirs = Ids(one, 0, clock), Ids(other, 0, clock)
    drawn = {ours.next() for _ in range(5)}
    after = Ids(other, ours.last, clock).next()
    assert after > ours.last
    if one != other:
        assert drawn.isdisjoint({theirs.next() for _ in range(5)} | {after})


def test_2048_ids_fit_into_a_millisecond_and_one_more_runs_ahead_of_the_clock() -> None:
    """Time and shard of each can be read off it."""
    clock = ManualClock(NOW)
    ids = Ids(3, 0, clock)
    times = [time_of_id(ids.next()) for _ in range(2049)]
    assert set(times[:2048]) == {NOW}
    assert times[2048] == NOW + 1


def test_ids_fit_into_63_bits_until_the_year_2100() -> None:
    """They are stored as unsigned and shown as signed integers."""
    ids = Ids(MAX_SHARDS - 1, 0, ManualClock(4_102_444_800_000))
    assert ids.next() < 1 << 63


def test_an_empty_store_has_no_last_id(store: Store) -> None:
    """The first owner begins at the clock's time."""
    with store.read() as txn:
        assert read_last(txn) == 0


def test_the_last_id_is_kept_with_what_it_was_drawn_for(store: Store) -> None:
    """A new owner goes on after it, also where the clock was set back meanwhile."""
    ids = Ids(3, 0, ManualClock(2_000_000))
    drawn = [ids.next() for _ in range(5)]
    with store.write() as txn:
        write_last(txn, ids.last)
    with store.read() as txn:
        successor = Ids(3, read_last(txn), ManualClock(1_000_000))
    assert successor.next() > max(drawn)
