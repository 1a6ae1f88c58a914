"""Who entered and left audiences of late, as one shard counts it (spec/audiences.md, 7)."""

import pickle
from contextlib import closing
from pathlib import Path

from actors.audiences.member_counts import MemberCounts
from actors.store.environment import Store
from actors.store.member_counts import SPAN_MS
from tests.oracle.audiences.fixture import DAY, NOW


def test_counts_take_no_more_memory_after_days_in_which_nobody_asks_for_them(
    tmp_path: Path,
) -> None:
    with closing(Store(tmp_path, 16 * 1024 * 1024)) as store:
        with store.read() as txn:
            counts = MemberCounts(txn)
        sizes = []
        for day in range(3):
            for at_ms in range(NOW + day * DAY, NOW + (day + 1) * DAY, 12 * SPAN_MS):
                counts.count(1, at_ms, entered=True)
                with store.write() as txn:
                    counts.write(txn, at_ms)
                counts.published()
            sizes.append(len(pickle.dumps(counts)))
        assert sizes[2] <= sizes[1]
        assert counts.last_day(1, NOW + 3 * DAY - SPAN_MS) == (24, 0)
