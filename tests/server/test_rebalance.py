"""What `headwater cluster rebalance` plans, and what the admin port takes."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.store.keys import SLOTS
from actors.store.slots import SlotMap, even, owners_of
from server.problems import Refused
from server.rebalance import Move, PlanRefused, evening, left, read_move, read_shown, shown

moves = st.lists(
    st.tuples(st.integers(0, SLOTS - 1), st.integers(0, SLOTS - 1), st.integers(0, 7)), max_size=5
)


def map_of(shards: int, moved: list[tuple[int, int, int]]) -> SlotMap:
    """Return a map of so many shards after some moves."""
    slots = even(shards)
    for one, other, to in moved:
        slots = slots.moved(min(one, other), max(one, other), to % shards)
    return slots


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), moves, st.sets(st.integers(0, 5), max_size=5))
def test_after_the_moves_of_a_plan_all_have_as_many(
    shards: int, moved: list[tuple[int, int, int]], empty: set[int]
) -> None:
    """But for those that are to have none; nothing moves twice, and then nothing is left to do."""
    empty = {each for each in empty if each < shards}
    if len(empty) == shards:
        empty = set()
    slots = map_of(shards, moved)
    planned = evening(slots, empty)
    touched = [slot for move in planned for slot in range(move.first, move.last + 1)]
    assert len(touched) == len(set(touched))
    for move in planned:
        assert left(slots, move) == [move], "all of it is of one other shard"
        slots = slots.moved(move.first, move.last, move.to)
    counts = shown(slots, None)["shards"]
    filled = [count for number, count in enumerate(counts) if number not in empty]
    assert max(filled) - min(filled) <= 1
    assert all(counts[number] == 0 for number in empty)
    assert evening(slots, empty) == []


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), moves)
def test_a_map_is_shown_and_read_again(shards: int, moved: list[tuple[int, int, int]]) -> None:
    slots = map_of(shards, moved)
    answer = json.loads(json.dumps(shown(slots, Move(1, 2, 0))))
    assert owners_of(read_shown(answer)) == owners_of(slots)
    assert (answer["epoch"], sum(answer["shards"])) == (len(moved), SLOTS)
    assert answer["moving"] == {"first": 1, "last": 2, "to": 0}


def test_what_is_left_of_a_move_leaves_out_what_is_there() -> None:
    slots = even(4).moved(100, 199, 2)
    assert left(slots, Move(50, 249, 2)) == [Move(50, 99, 2), Move(200, 249, 2)]
    assert left(slots, Move(120, 130, 2)) == []
    over_two = left(even(4), Move(SLOTS // 4 - 1, SLOTS // 4, 3))
    assert over_two == [Move(SLOTS // 4 - 1, SLOTS // 4 - 1, 3), Move(SLOTS // 4, SLOTS // 4, 3)]


def test_shards_that_are_not_there_cannot_be_emptied() -> None:
    with pytest.raises(PlanRefused, match="no shard 2: there are 0 to 1"):
        evening(even(2), [2])
    with pytest.raises(PlanRefused, match="has to be left"):
        evening(even(2), [0, 1])


@pytest.mark.parametrize(
    ("body", "code", "why"),
    [
        (b"{", "BAD_REQUEST", "Input data was truncated"),
        (b'{"first": 0, "last": 1}', "BAD_REQUEST", "missing required field `to`"),
        (b'{"first": 0, "last": 1, "to": 1, "x": 1}', "BAD_REQUEST", "unknown field `x`"),
        (b'{"first": 0.5, "last": 1, "to": 1}', "BAD_REQUEST", "Expected `int`"),
        (b'{"first": 2, "last": 1, "to": 1}', "BAD_REQUEST", "0 to 65535, in this order"),
        (b'{"first": -1, "last": 1, "to": 1}', "BAD_REQUEST", "0 to 65535, in this order"),
        (b'{"first": 0, "last": 65536, "to": 1}', "BAD_REQUEST", "0 to 65535"),
        (b'{"first": 0, "last": 1, "to": 2}', "BAD_REQUEST", "there are shards 0 to 1"),
        (b'{"first": 0, "last": 1, "to": -1}', "BAD_REQUEST", "there are shards 0 to 1"),
        (b'{"first": 0, "last": 1, "to": 0}', "CONFLICT", "not of one other shard, but of 0"),
        (b'{"first": 0, "last": 65535, "to": 1}', "CONFLICT", "but of 0, 1"),
    ],
)
def test_bad_moves_are_refused_with_what_is_wrong(body: bytes, code: Any, why: str) -> None:
    with pytest.raises(Refused) as refused:
        read_move(body, even(2))
    assert refused.value.code == code
    assert why in refused.value.problems[0].message


def test_a_good_move_is_read() -> None:
    assert read_move(b'{"first": 3, "last": 9, "to": 1}', even(2)) == Move(3, 9, 1)
