"""Segments of entries are those of a plain dictionary of lists, whatever is done to them."""

from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.audiences.engine.segments import Columns, SegmentStore

ROWS = 12
CHUNK = 16

writes = st.tuples(
    st.just("write"),
    st.dictionaries(
        st.integers(0, ROWS - 1), st.lists(st.integers(-(2**40), 2**40), max_size=40), min_size=1
    ),
)
clears = st.tuples(st.just("clear"), st.integers(0, ROWS - 1))
reads = st.tuples(st.just("read"), st.lists(st.integers(0, ROWS + 3), max_size=10))


def write(store: SegmentStore, entries: dict[int, list[int]]) -> None:
    values = np.array([each for row in entries.values() for each in row], np.int64)
    columns: Columns = {"value": values, "half": (values / 2).astype(np.float32)}
    lengths = np.array([len(row) for row in entries.values()], np.int64)
    store.write(np.array(list(entries), np.int64), lengths, columns)


@given(st.lists(writes | clears | reads, max_size=60))
@settings(max_examples=300, deadline=None)
def test_every_row_has_what_was_written_last(steps: list[tuple[str, object]]) -> None:
    """Segments grow, move, are given up, and chunks emptied; nobody sees it.

    Some segments are longer than a chunk.
    """
    store = SegmentStore({"value": np.int64, "half": np.float32}, CHUNK)
    plain: dict[int, list[int]] = {}
    for step in [*steps, ("read", list(range(ROWS)))]:
        match step:
            case ("write", dict(entries)):
                write(store, entries)
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
    """Rows that are written over and over, longer each time, do not fill the memory."""
    store = SegmentStore({"value": np.int64, "half": np.float32}, 256)
    for length in range(1, 2000):
        write(store, {length % 5: list(range(length % 400)), 7: list(range(length))})
    _, found = store.read(np.array([7]))
    assert found["value"].tolist() == list(range(1999))
    assert store.nbytes < 5 * (1999 + 5 * 400) * store.entry_bytes


def test_no_write_has_to_move_more_than_some_chunks() -> None:
    """However many entries there are."""
    store = SegmentStore({"value": np.int64, "half": np.float32}, 256)
    moved: list[int] = []
    put = SegmentStore._put

    def noted(self: SegmentStore, rows: object, lengths: np.ndarray, entries: Columns) -> None:
        moved[-1] += int(lengths.sum())
        put(self, rows, lengths, entries)  # type: ignore[arg-type]

    with patch.object(SegmentStore, "_put", noted):
        for turn in range(40):
            for row in range(500):
                moved.append(0)
                write(store, {row * 7 % 500: [turn] * (turn + row % 3)})
    assert store.total > 70 * 256
    assert sum(moved) < 4 * sum(turn + row % 3 for turn in range(40) for row in range(500))
    assert max(moved) < 3 * 256
