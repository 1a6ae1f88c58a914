"""Lines of inputs: turns by bytes, bounded, in the order of arrival within each."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from server.fair_queue import FairQueue

ROOM = 100


class Thing(Struct):
    """Something that waits. `number`: of its input."""

    line: int
    number: int
    size: int


def test_an_input_gets_its_share_by_bytes_not_by_requests() -> None:
    queue: FairQueue[Thing] = FairQueue(10_000)
    for number in range(10):
        queue.add(1, Thing(1, number, 100))
    for number in range(100):
        queue.add(2, Thing(2, number, 10))
    taken = [queue.take() for _ in range(55)]
    of_first = sum(each.size for each in taken if each.line == 1)
    of_second = sum(each.size for each in taken if each.line == 2)
    assert abs(of_first - of_second) <= 100


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 60)), max_size=60))
def test_nobody_has_room_beyond_the_part_of_their_input(wanted: list[tuple[int, int]]) -> None:
    """Who has nothing waiting has room, and so has everybody where there is some."""
    queue: FairQueue[Thing] = FairQueue(ROOM)
    waiting: defaultdict[int, int] = defaultdict(int)
    for number, (line, size) in enumerate(wanted):
        is_free, before = sum(waiting.values()) < ROOM, waiting[line]
        if not queue.has_room(line, size):
            assert not is_free
            assert before > 0
            continue
        queue.add(line, Thing(line, number, size))
        waiting[line] += size
        inputs = sum(1 for each in waiting.values() if each)
        assert is_free or before == 0 or waiting[line] * inputs <= ROOM
        assert queue.size == sum(waiting.values())


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 60), st.booleans()), max_size=40))
def test_what_was_removed_leaves_all_as_if_it_had_never_come(
    wanted: list[tuple[int, int, bool]],
) -> None:
    queue: FairQueue[Thing] = FairQueue(ROOM)
    without: FairQueue[Thing] = FairQueue(ROOM)
    removed = []
    for number, (line, size, is_removed) in enumerate(wanted):
        one = Thing(line, number, size)
        queue.add(line, one)
        if is_removed:
            removed.append(one)
        else:
            without.add(line, one)
    for one in [*removed, *removed]:  # the second time it is not there any more
        queue.remove(one.line, one)
    assert queue.size == without.size
    taken = [[each.take().number for _ in range(len(each))] for each in (queue, without)]
    assert sorted(taken[0]) == sorted(taken[1])
    for line in (1, 2, 3):
        of_line = [[n for n in each if wanted[n][0] == line] for each in taken]
        assert of_line[0] == of_line[1]


def test_who_was_away_has_saved_nothing() -> None:
    queue: FairQueue[Thing] = FairQueue(10_000)
    for number in range(100):
        queue.add(1, Thing(1, number, 10))
    for _ in range(50):
        queue.take()
    for number in range(50):
        queue.add(2, Thing(2, number, 10))
    lines = [queue.take().line for _ in range(20)]
    assert abs(lines.count(1) - lines.count(2)) <= 1


def test_who_waits_is_not_passed_by_those_who_come_again_and_again() -> None:
    """Each of them is away for a moment after every turn; that must not be forgotten to them."""
    queue: FairQueue[Thing] = FairQueue(10_000)
    for number in range(10):
        queue.add(1, Thing(1, number, 100))
    others = (2, 3, 4)
    for other in others:
        queue.add(other, Thing(other, 0, 100))
    lines = []
    for number in range(1, 29):
        lines.append(queue.take().line)
        if lines[-1] in others:
            queue.add(lines[-1], Thing(lines[-1], number, 100))
    assert [lines.count(line) for line in (1, *others)] == [7, 7, 7, 7]


def test_something_larger_than_all_the_room_has_some_when_little_waits() -> None:
    """Or else it would be refused for ever."""
    queue: FairQueue[Thing] = FairQueue(ROOM)
    queue.add(1, Thing(1, 0, ROOM - 1))
    assert queue.has_room(1, ROOM + 1)
    queue.add(1, Thing(1, 1, ROOM + 1))
    assert not queue.has_room(1, 1)
    assert queue.has_room(2, ROOM + 1)  # nothing of it waits
    queue.add(2, Thing(2, 2, ROOM + 1))
    assert not queue.has_room(2, 1)


def test_what_waits_stays_however_little_room_there_comes_to_be() -> None:
    queue: FairQueue[Thing] = FairQueue(ROOM)
    for number in range(5):
        queue.add(1, Thing(1, number, 20))
    queue.max_size = 10
    assert not queue.has_room(1, 1)
    queue.add(2, Thing(2, 5, 1))
    assert not queue.has_room(2, 5)
    assert queue.has_room(2, 4)
    assert {queue.take().number for _ in range(6)} == set(range(6))


def test_what_goes_ahead_waits_before_the_others_of_its_input() -> None:
    queue: FairQueue[Thing] = FairQueue(ROOM)
    queue.add(1, Thing(1, 0, ROOM))
    queue.add_ahead(1, Thing(1, 1, ROOM))
    queue.add_ahead(1, Thing(1, 2, 1))
    queue.add_ahead(2, Thing(2, 3, ROOM))
    queue.add(3, Thing(3, 4, 1))
    assert {each.number for each in queue.heads} >= {1, 3}
    taken = [queue.take() for _ in range(len(queue))]
    of_first = [each.number for each in taken if each.line == 1]
    assert of_first[:2] == [1, 2]
    assert 3 in {each.number for each in taken}
    assert queue.size == 0


@given(
    st.lists(st.one_of(st.none(), st.tuples(st.integers(1, 4), st.integers(1, ROOM))), max_size=200)
)
def test_it_loses_nothing_and_keeps_the_order_of_each_input(
    steps: list[tuple[int, int] | None],
) -> None:
    """A step adds something to a line, or takes."""
    queue: FairQueue[Thing] = FairQueue(ROOM)
    lines: defaultdict[int, list[Thing]] = defaultdict(list)
    for number, step in enumerate(steps):
        if step is None:
            if queue:
                following = queue.next()
                taken = queue.take()
                assert taken is following
                assert taken is lines[taken.line].pop(0)
        else:
            line, size = step
            added = Thing(line, number, size)
            lines[line].append(added)
            queue.add(line, added)
        waiting = [each for line in lines.values() for each in line]
        assert sorted(each.number for each in queue) == sorted(each.number for each in waiting)
        assert queue.size == sum(each.size for each in waiting)
        assert {each.number for each in queue.heads} == {
            each[0].number for each in lines.values() if each
        }
