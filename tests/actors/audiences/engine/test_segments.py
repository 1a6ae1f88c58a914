"""Segments of entries are those of a plain dictionary of lists, whatever is done to them."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.audiences.engine.arrays import Ints
from actors.audiences.engine.segments import Columns, SegmentStore

ROWS = 5

writes = st.tuples(
    st.just("write"),
    st.dictionaries(
        st.integers(0, ROWS - 1),
        st.lists(st.integers(-(2**40), 2**40), max_size=9)
        | st.integers(0, 40).map(lambda length: list(range(length))),
        min_size=1,
        max_size=3,
    ),
)
clears = st.tuples(st.just("clear"), st.integers(0, ROWS - 1))
reads = st.tuples(st.just("read"), st.lists(st.integers(0, ROWS + 3), max_size=10))


def write(store: SegmentStore, entries: dict[int, list[int]]) -> None:
    values = np.array([each for row in entries.values() for each in row], np.int64)
    columns: Columns = {"value": values, "half": (values / 2).astype(np.float32)}
    lengths = np.array([len(row) for row in entries.values()], np.int64)
    store.write(np.array(list(entries), np.int64), lengths, columns)


@given(st.lists(writes | clears | reads, min_size=20, max_size=60), st.sampled_from([16, 32, 64]))
@settings(max_examples=300, deadline=None)
def test_every_row_has_what_was_written_last(steps: list[tuple[str, object]], chunk: int) -> None:
    """Segments, some longer than a chunk, grow, move, are given up, and chunks emptied."""
    store = SegmentStore({"value": np.int64, "half": np.float32}, chunk)
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


@pytest.mark.parametrize("longest", [40, 400, 1000])
def test_room_that_was_left_behind_is_got_back(longest: int) -> None:
    """Rows that are written over and over, shorter and longer, do not fill the memory."""
    store = SegmentStore({"value": np.int64, "half": np.float32}, 256)
    for turn in range(40 * longest):
        length = 7 * turn % longest
        write(store, {turn % 40: [turn] * (length if turn % 40 < 20 else 10)})
    assert store.total > 20 * 10
    assert store.nbytes < 3.5 * 20 * (longest + 20) * store.entry_bytes + 50_000


@pytest.mark.parametrize("rows", [4, 8, 16])
def test_what_stays_in_a_chunk_moves_to_another(rows: int) -> None:
    """Also if that chunk is the open one, as it is with few rows."""
    store = SegmentStore({"value": np.int64, "half": np.float32}, 256)
    random = np.random.default_rng(rows)
    lengths, last = np.zeros((2, rows), np.int64)
    for turn in range(3000):
        row, length = random.integers([rows, 40]).tolist()
        store.clear(row)
        write(store, {row: [turn] * length})
        lengths[row], last[row] = length, turn
        _, found = store.read(np.arange(rows))
        np.testing.assert_array_equal(found["value"], last.repeat(lengths))
    assert store.total == lengths.sum()
    assert store.nbytes < 10 * 256 * store.entry_bytes + 20_000


def test_no_write_has_to_move_more_than_some_chunks() -> None:
    """However many entries there are."""
    store = SegmentStore({"value": np.int64, "half": np.float32}, 256)
    moved: list[int] = []
    random = np.random.default_rng(1)
    lengths, last = np.zeros((2, 500), np.int64)
    put = SegmentStore._put

    def noted(self: SegmentStore, rows: Ints, lengths: Ints, entries: Columns) -> None:
        moved[-1] += int(lengths.sum())
        put(self, rows, lengths, entries)

    with patch.object(SegmentStore, "_put", noted):
        for turn in range(20_000):
            row, length = random.integers([500, 700 if turn % 20 == 0 else 90]).tolist()
            if turn % 3 == 0:
                store.clear(row)
            lengths[row] = length
            moved.append(-length)
            write(store, {row: [turn] * length})
            last[row] = turn
    place, found = store.read(np.arange(500))
    np.testing.assert_array_equal(np.bincount(place, minlength=500), lengths)
    np.testing.assert_array_equal(found["value"], last.repeat(lengths))
    assert store.total > 70 * 256
    assert sum(moved) < 20_000 * 45
    assert store.nbytes < 10 * store.total * store.entry_bytes
    assert 0 < max(moved) < 3 * 256
