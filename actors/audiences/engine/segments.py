"""Entries of many rows in a few large arrays: every row has one segment of them.

A segment has some room to grow; one that is full moves. The arrays consist of chunks, of which one
is open: segments that move go to its end. Once more than a third of all chunks was left behind,
those of which most was are emptied, one by one, and used again; so no call has to move more than a
few chunks, however many entries there are.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.audiences.engine.arrays import Bools, Ints, grown, ranges
from actors.audiences.engine.growing import Growing, next_capacity

Columns = dict[str, NDArray[Any]]
Types = Mapping[str, type[np.generic]]

CHUNK = 1 << 13  # entries
_UNIT = 4  # entries: rooms are multiples of it
_LEAST_ROOM = 1024  # entries that the arrays have room for


class SegmentStore:
    """Columns of entries, found by row. Cost of all calls: proportional to the entries touched.

    Args:
        columns: their types.
        chunk: how many entries are got back at a time; a multiple of 4.
    """

    def __init__(self, columns: Types, chunk: int = CHUNK) -> None:
        self._columns = {name: Growing(dtype) for name, dtype in columns.items()}
        self._owners = Growing(np.int32)  # the row whose segment begins there, by unit
        self._start = Growing(np.int64)
        self._length = Growing(np.int32)
        self._room = Growing(np.int32)
        self._chunk = chunk
        self._left: Ints = np.zeros(0, np.int64)  # entries left behind, by chunk
        self._all_left = 0
        self._is_free: Bools = np.zeros(0, np.bool_)  # by chunk
        self._end = self._border = 0  # of what is used of the open chunk, and of the chunk
        self.total = 0

    @property
    def nbytes(self) -> int:
        """The bytes of all arrays."""
        arrays: tuple[Growing[Any], ...] = (self._start, self._length, self._room, self._owners)
        return sum(each.nbytes for each in (*arrays, *self._columns.values()))

    @property
    def entry_bytes(self) -> int:
        """The bytes of one entry."""
        return sum(column.array.itemsize for column in self._columns.values())

    def lengths(self, rows: Ints) -> Ints:
        """Return how many entries each row has."""
        known = rows < len(self._length)
        lengths = np.zeros(len(rows), np.int64)
        lengths[known] = self._length.array[rows[known]]
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
            return place, self._at(place)
        start = self._start.array
        starts = np.where(lengths > 0, start[np.minimum(rows, len(start) - 1)], 0)
        return place, self._at(ranges(starts, lengths))

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
        self.total += int(lengths.sum()) - int(self._length.array[rows].sum())
        self._length.array[rows] = lengths
        outgrown = lengths > self._room.array[rows]
        if outgrown.any():
            self._move(rows[outgrown], lengths[outgrown])
        self._put(rows, lengths, entries)
        while self._all_left * 3 > np.count_nonzero(~self._is_free) * self._chunk:
            self._empty(int(self._left.argmax()))

    def clear(self, row: int) -> None:
        """Drop all entries of a row and its room."""
        if row < len(self._room) and self._room.array[row]:
            self.total -= int(self._length.array[row])
            self._leave(np.array([row]))
            self._length.array[row] = self._room.array[row] = 0

    def _at(self, places: Ints) -> Columns:
        return {name: column.array[places] for name, column in self._columns.items()}

    def _put(self, rows: Ints, lengths: Ints, entries: Columns) -> None:
        at = ranges(self._start.array[rows], lengths)
        for name, column in self._columns.items():
            column.array[at] = entries[name]

    def _know(self, rows: int) -> None:
        if rows > len(self._room):  # the last to grow, if there is memory for all
            capacity = max(rows, next_capacity(len(self._room)))
            for each in (self._start, self._length, self._room):
                each.grow(capacity)

    def _move(self, rows: Ints, lengths: Ints) -> None:
        """Give rows new segments with room to grow; what was in the old ones is not copied."""
        self._leave(rows)
        room = _up(lengths + lengths // 4 + (lengths == 0), _UNIT)
        room = np.where(room > self._chunk, _up(room, self._chunk), room)
        ends = room.cumsum()
        done = placed = 0  # rows, and their entries
        while done < len(rows):
            fit = int(ends.searchsorted(placed + self._border - self._end, side="right"))
            if fit == done:
                self._open(int(room[done]))
                continue
            starts = self._end - placed + ends[done:fit] - room[done:fit]
            self._start.array[rows[done:fit]] = starts
            self._end += int(ends[fit - 1]) - placed
            self._reserve()
            self._owners.array[starts // _UNIT] = rows[done:fit]
            done, placed = fit, int(ends[fit - 1])
        self._room.array[rows] = room

    def _leave(self, rows: Ints) -> None:
        """Count the segments of rows as left behind. Those of several chunks fill them."""
        room = self._room.array[rows].astype(np.int64)
        chunks = -(-room // self._chunk)
        touched = ranges(self._start.array[rows] // self._chunk, chunks)
        np.add.at(self._left, touched, np.minimum(room, self._chunk).repeat(chunks))
        self._all_left += int(room.sum())

    def _open(self, room: int) -> None:
        """Open a chunk, or as many as a segment needs: free ones, or else new ones at the end."""
        count = -(-room // self._chunk)
        free = np.append(0, self._is_free.cumsum())
        runs = np.flatnonzero(free[count:] - free[:-count] == count)
        if len(runs):
            first = int(runs[0])
            self._is_free[first : first + count] = False
        else:
            first = len(self._left)
            self._left = grown(self._left, first + count, 0)
            self._is_free = grown(self._is_free, first + count, fill=False)
        self._end = first * self._chunk
        self._border = self._end + count * self._chunk

    def _reserve(self) -> None:
        """Have room for what is used of the open chunk."""
        if self._end > len(self._owners) * _UNIT:
            size = _up(max(self._end + self._end // 8, _LEAST_ROOM), _UNIT)
            for column in self._columns.values():
                column.grow(size)
            self._owners.grow(size // _UNIT)

    def _empty(self, chunk: int) -> None:
        """Move all segments out of a chunk."""
        start = chunk * self._chunk
        if start < self._border <= start + self._chunk:
            self._end = self._border  # nothing is to move to where it is
        owners = self._owners.array[start // _UNIT : (start + self._chunk) // _UNIT].copy()
        starts = start + _UNIT * np.arange(len(owners))
        stays = (self._start.array[owners] == starts) & (self._room.array[owners] > 0)
        rows = owners[stays].astype(np.int64)
        lengths = self._length.array[rows].astype(np.int64)
        entries = self._at(ranges(starts[stays], lengths))
        self._move(rows, lengths)
        self._put(rows, lengths, entries)
        self._all_left -= int(self._left[chunk])
        self._left[chunk] = 0
        self._is_free[chunk] = True


def _up(numbers: Any, unit: int) -> Any:
    """Return the next multiples of a unit."""
    return -(-numbers // unit) * unit
