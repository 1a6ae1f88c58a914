"""Entries of many rows in a few large arrays: every row has one segment of them.

A segment has some room to grow; one that is full moves to the end. What it leaves behind is got
back by compaction, when it is half of everything.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from actors.audiences.engine.arrays import Ints, grown, ranges

Columns = dict[str, NDArray[Any]]

_LEAST_ROOM = 4


class SegmentStore:
    """Columns of entries, found by row. Cost of all calls: proportional to the entries touched."""

    def __init__(self, columns: Mapping[str, DTypeLike]) -> None:
        self._columns: Columns = {name: np.empty(0, dtype) for name, dtype in columns.items()}
        self._start = np.zeros(0, np.int64)
        self._length = np.zeros(0, np.int64)
        self._room = np.zeros(0, np.int64)
        self._end = 0  # of what is in use or abandoned
        self._abandoned = 0
        self.total = 0

    @property
    def nbytes(self) -> int:
        """The bytes of all arrays."""
        per_row = self._start.nbytes + self._length.nbytes + self._room.nbytes
        return per_row + sum(column.nbytes for column in self._columns.values())

    @property
    def entry_bytes(self) -> int:
        """The bytes of one entry."""
        return sum(column.itemsize for column in self._columns.values())

    def lengths(self, rows: Ints) -> Ints:
        """Return how many entries each row has."""
        known = rows < len(self._length)
        lengths = np.zeros(len(rows), np.int64)
        lengths[known] = self._length[rows[known]]
        return lengths

    def read(self, rows: Ints) -> tuple[Ints, Columns]:
        """Return the entries of rows, one row after the other.

        Args:
            rows: any rows, also some several times.

        Returns:
            For each entry the place of its row in `rows`, and the columns.
        """
        lengths = self.lengths(rows)
        place = np.arange(len(rows), dtype=np.int64).repeat(lengths)
        if not len(place):
            return place, {name: column[:0] for name, column in self._columns.items()}
        starts = np.where(lengths > 0, self._start[np.minimum(rows, len(self._start) - 1)], 0)
        at = ranges(starts, lengths)
        return place, {name: column[at] for name, column in self._columns.items()}

    def write(self, rows: Ints, lengths: Ints, entries: Columns) -> None:
        """Replace the segments of rows.

        Args:
            rows: each once.
            lengths: how many entries each of them has from now on.
            entries: the columns of all of them, one row after the other.
        """
        if not len(rows):
            return
        self._know(int(rows.max()) + 1)
        self.total += int(lengths.sum()) - int(self._length[rows].sum())
        self._length[rows] = lengths
        outgrown = lengths > self._room[rows]
        if outgrown.any():
            self._move(rows[outgrown], lengths[outgrown])
        at = ranges(self._start[rows], lengths)
        for name, column in self._columns.items():
            column[at] = entries[name]
        if self._abandoned * 2 > self._end:
            self._compact()

    def clear(self, row: int) -> None:
        """Drop all entries of a row and its room."""
        if row < len(self._length):
            self.total -= int(self._length[row])
            self._abandoned += int(self._room[row])
            self._length[row] = self._room[row] = 0

    def _know(self, rows: int) -> None:
        if rows > len(self._start):
            size = max(rows, 2 * len(self._start), 64)
            self._start = grown(self._start, size, 0)
            self._length = grown(self._length, size, 0)
            self._room = grown(self._room, size, 0)

    def _move(self, rows: Ints, lengths: Ints) -> None:
        """Give rows new segments with room to grow; what was in the old ones is not copied."""
        self._abandoned += int(self._room[rows].sum())
        room = np.maximum(lengths + lengths // 4, _LEAST_ROOM)
        ends = self._end + room.cumsum()
        self._start[rows] = ends - room
        self._room[rows] = room
        self._end = int(ends[-1])
        self._reserve(self._end)

    def _reserve(self, size: int) -> None:
        for name, column in self._columns.items():
            if size > len(column):
                larger = np.empty(max(size, len(column) + len(column) // 2, 1024), column.dtype)
                larger[: len(column)] = column
                self._columns[name] = larger

    def _compact(self) -> None:
        rows = self._room.nonzero()[0]
        rows = rows[self._start[rows].argsort()]
        lengths = self._length[rows]
        at = ranges(self._start[rows], lengths)
        room = np.maximum(lengths + lengths // 4, _LEAST_ROOM)
        ends = room.cumsum()
        starts = ends - room
        self._end = int(ends[-1]) if len(ends) else 0
        to = ranges(starts, lengths)
        for name, column in self._columns.items():
            packed = np.empty(self._end + self._end // 4 + 1024, column.dtype)
            packed[to] = column[at]
            self._columns[name] = packed
        self._start[rows] = starts
        self._room[rows] = room
        self._abandoned = 0
