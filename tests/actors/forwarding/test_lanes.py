"""Whose turn it is: what failed before must not keep others waiting (spec/connections.md, 3.4)."""

import pytest
from msgspec.structs import replace

from actors.forwarding.entries import Entry, Waiting
from actors.forwarding.lane import Request
from actors.forwarding.lanes import Lanes
from actors.forwarding.streams import Stream
from actors.outputs.contract import RequestLimits
from tests.actors.forwarding.support import MemoryOutbox, connection, delivery

NOW_MS = 1000
SEVERAL = RequestLimits(max_deliveries=4, max_wait_ms=1000)


def lanes_of(limits: RequestLimits, *users: int, tried: int = 0) -> Lanes:
    """Return lanes with a delivery of each of some users; the first so many were tried in vain."""
    lanes = Lanes("user", limits, lambda entry: None, lambda entries: None)
    stream = Stream(MemoryOutbox(), 0, connection(), lambda: None)
    for number, user in enumerate(users, 1):
        changes = {"attempts": 1, "next_attempt_ms": 500} if number <= tried else {}
        lanes.add(Entry(delivery(number, user, **changes), stream, 0), NOW_MS)
    return lanes


def probe(lanes: Lanes, now_ms: int) -> Request:
    request = lanes.take(now_ms, is_probe=True)
    assert request is not None
    return request


def fail(lanes: Lanes, request: Request, now_ms: int) -> None:
    """Have all deliveries of a request wait for a second."""
    for entry in request.ready:
        again = {"attempts": entry.attempts + 1, "next_attempt_ms": now_ms + 1000}
        entry.delivery = replace(entry.delivery, **again)
    lanes.finish(request, request.ready, now_ms)


def sequences(entries: list[Waiting]) -> list[int]:
    return [each.sequence for each in entries]


@pytest.mark.parametrize(
    ("is_probe", "attempts"),
    [
        pytest.param(False, [0, 1, 0, 1, 0, 1, 1], id="in turn"),
        pytest.param(True, [0, 0, 0, 1, 1, 1, 1], id="what has not failed first, as a probe"),
    ],
)
def test_what_has_not_failed_does_not_wait_for_all_that_has(
    is_probe: bool, attempts: list[int]
) -> None:
    lanes = lanes_of(RequestLimits(), *range(1, 8), tried=4)
    taken = [lanes.take(NOW_MS, is_probe=is_probe) for _ in range(7)]
    assert [each.entries[0].attempts for each in taken if each is not None] == attempts
    assert lanes.take(NOW_MS) is None


def test_a_probe_that_fails_is_followed_by_one_of_what_has_not_failed() -> None:
    """Also once the first one is due again, and by all the others before it, from both ends."""
    lanes = lanes_of(RequestLimits(), *range(1, 5))
    now_ms = NOW_MS
    probed: list[int] = []
    for _ in range(5):
        request = probe(lanes, now_ms)
        probed += sequences(request.entries)
        fail(lanes, request, now_ms)
        now_ms += 5000
    assert probed == [1, 4, 2, 3, 1]


@pytest.mark.parametrize("users", [(1, 1, 2, 2), (1, 2, 1, 2)], ids=["one by one", "mixed"])
def test_what_waits_behind_a_probe_that_fails_is_no_probe(users: tuple[int, ...]) -> None:
    lanes = lanes_of(RequestLimits(), *users)
    fail(lanes, probe(lanes, NOW_MS), NOW_MS)
    later_ms = NOW_MS + 5000
    request = probe(lanes, later_ms)
    assert [each.attempts for each in request.entries] == [0]
    assert not lanes.has_fresh


def test_probes_of_several_are_taken_from_both_ends_with_each_user_in_order() -> None:
    lanes = lanes_of(SEVERAL, 1, 2, 3, 4, 5, 6, 7, 7, 8, 8)
    probed: list[list[int]] = []
    for turn in range(3):
        request = probe(lanes, NOW_MS)
        probed.append(sequences(request.entries))
        fail(lanes, request, NOW_MS + turn)
    assert probed == [[1, 2, 3, 4], [9, 10, 7, 8], [5, 6]]


def test_a_user_who_always_has_something_takes_turns_with_others() -> None:
    lanes = lanes_of(RequestLimits(), 1, 1, 1, 2)
    taken: list[int] = []
    for _ in range(4):
        request = lanes.take(NOW_MS)
        assert request is not None
        taken += sequences(request.entries)
        lanes.finish(request, [], NOW_MS)
    assert taken == [1, 4, 2, 3]


@pytest.mark.parametrize("tried", [1, 3, 5])
def test_a_probe_of_several_has_nothing_that_failed_before(tried: int) -> None:
    """It does not wait for others either: all wait for it."""
    lanes = lanes_of(SEVERAL, *range(1, 8), tried=tried)
    probed = sequences(probe(lanes, NOW_MS).entries)
    assert probed == list(range(tried + 1, 8))[:4]


def test_a_probe_of_several_has_what_failed_before_if_there_is_nothing_else() -> None:
    lanes = lanes_of(SEVERAL, *range(1, 5), tried=4)
    assert sequences(probe(lanes, NOW_MS).entries) == [1, 2, 3, 4]


def test_a_request_that_waits_for_more_is_parted_for_a_probe() -> None:
    """It was begun before the breaker opened, with what failed before, which waits on."""
    lanes = lanes_of(SEVERAL, 1, 2, 2, tried=1)
    assert lanes.take(NOW_MS) is None
    assert lanes.has_fresh
    request = probe(lanes, NOW_MS)
    assert sequences(request.entries) == [2, 3]
    lanes.finish(request, [], NOW_MS)
    assert not lanes.has_fresh
    rest = [lanes.take(now_ms) for now_ms in (NOW_MS, NOW_MS + 1000)]
    assert [each and sequences(each.entries) for each in rest] == [None, [1]]


def test_what_came_for_a_user_while_a_request_was_filled_is_no_probe_once_it_has_failed() -> None:
    lanes = lanes_of(SEVERAL, 1)
    assert lanes.take(NOW_MS) is None
    stream = Stream(MemoryOutbox(), 0, connection(), lambda: None)
    for sequence, user in ((2, 2), (3, 1), (4, 3), (5, 1), (6, 4)):
        lanes.add(Entry(delivery(sequence, user), stream, 0), NOW_MS)
    request = lanes.take(NOW_MS)
    assert request is not None
    assert sequences(request.entries) == [1, 2, 3, 5]
    fail(lanes, request, NOW_MS)
    assert sequences(probe(lanes, NOW_MS + 5000).entries) == [4, 6]
