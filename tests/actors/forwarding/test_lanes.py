"""Whose turn it is: what failed before must not keep others waiting (spec/connections.md, 3.4)."""

import pytest

from actors.forwarding.entries import Entry
from actors.forwarding.lanes import Lanes
from actors.forwarding.streams import Stream
from actors.outputs.contract import RequestLimits
from tests.actors.forwarding.support import MemoryOutbox, connection, delivery

NOW_MS = 1000


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
    lanes = Lanes("user", RequestLimits(), lambda entry: None, lambda entries: None)
    stream = Stream(MemoryOutbox(), 0, connection(), lambda: None)
    for number in range(1, 8):
        tried = {"attempts": 1, "next_attempt_ms": 500} if number <= 4 else {}
        lanes.add(Entry(delivery(number, number, **tried), stream, 0), NOW_MS)
    taken = [lanes.take(NOW_MS, is_probe=is_probe) for _ in range(7)]
    assert [each.entries[0].attempts for each in taken if each is not None] == attempts
    assert lanes.take(NOW_MS) is None
