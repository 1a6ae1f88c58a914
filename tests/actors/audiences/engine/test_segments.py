"""Segments of entries are those of a plain dictionary of lists, whatever is done to them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.audiences.engine.segments import Columns, SegmentStore

ROWS = 12

writes = st.tuples(
    st.just("write"),
    st.dictionaries(
        st.integers(0, ROWS - 1), st.lists(st.integers(-(2**40), 2**40), max_size=40), min_size=1
    ),
)
clears = st.tuples(st.just("clear"), st.integers(0, ROWS - 1))
reads = st.tuples(st.just("read"), st.lists(st.integers(0, ROWS + 3), max_size=10))


@given(st.lists(writes | clears | reads, max_size=40))
@settings(max_examples=200, deadline=None)
def test_every_row_has_what_was_written_last(steps: list[tuple[str, object]]) -> None:
    """Segments grow, move, are given up and compacted; nobody sees it."""
    store = SegmentStore({"value": np.int64, "half": np.float32})
    plain: dict[int, list[int]] = {}
    for step in steps:
        match step:
            case ("write", dict(entries)):
                values = np.array([each for row in entries.values() for each in row], np.int64)
                columns: Columns = {"value": values, "half": (values / 2).astype(np.float32)}
                lengths = np.array([len(row) for row in entries.values()], np.int64)
                store.write(np.array(list(entries), np.int64), lengths, columns)
                plain.update(entries)
            case ("clear", int(row)):
                store.clear(row)
                plain[row] = []
            case ("read", list(rows)):
                place, found = store.read(np.array(rows, np.int64))
                expected = [
                    (at, value) for at, row in enumerate(rows) for value in plain.get(row, [])
                ]
                assert list(zip(place.tolist(), found["value"].tolist(), strict=True)) == expected
                halves = (np.array([value for _, value in expected]) / 2).astype(np.float32)
                assert found["half"].tolist() == halves.tolist()
    assert store.total == sum(len(row) for row in plain.values())


def test_room_that_was_left_behind_is_got_back() -> None:
    """A row that is written over and over, longer each time, does not fill the memory."""
    store = SegmentStore({"value": np.int64})
    for length in range(1, 2000):
        values = np.arange(length, dtype=np.int64)
        store.write(np.array([3]), np.array([length]), {"value": values})
    _, found = store.read(np.array([3]))
    assert found["value"].tolist() == list(range(1999))
    assert store.nbytes < 8 * 1999 * 8
