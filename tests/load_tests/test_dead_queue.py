"""The command that queues deliveries for a dead output."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from actors.clock import SystemClock
from load_tests.dead_queue import (
    CHUNK,
    MEGABYTE,
    DeadQueueOptions,
    DeadQueueResult,
    Sample,
    fill,
)
from load_tests.scenarios.dead_queue import MAY_GROW_BYTES, report_of

OPTIONS = DeadQueueOptions(deliveries=4 * CHUNK, payload_bytes=200)
RESULT = DeadQueueResult(
    samples=[Sample(queued=1, private=100), Sample(queued=2, private=100 + MAY_GROW_BYTES)],
    start_empty_s=0.1,
    start_full_s=0.2,
    disk_bytes=MEGABYTE,
)


async def test_all_are_queued_and_there_after_a_start(tmp_path: Path) -> None:
    """It raises if one is missing after the restart; nothing may have been settled either."""
    counts: list[int] = []
    result = await fill(OPTIONS, tmp_path, SystemClock(), on_queued=counts.append)
    assert counts == [CHUNK * n for n in (1, 2, 3, 4)]
    assert [each.queued for each in result.samples] == counts
    assert result.disk_bytes > OPTIONS.deliveries * OPTIONS.payload_bytes
    assert result.start_full_s > 0


@pytest.mark.parametrize(
    ("grown", "start_full_s", "is_within"), [(0, 0.2, True), (1, 0.2, False), (0, 0.7, False)]
)
def test_neither_memory_nor_the_start_may_follow_the_queue(
    grown: int, start_full_s: float, is_within: bool
) -> None:
    last = replace(RESULT.samples[-1], private=RESULT.samples[-1].private + grown)
    result = replace(RESULT, samples=[RESULT.samples[0], last], start_full_s=start_full_s)
    assert report_of(OPTIONS, result).is_within == is_within
