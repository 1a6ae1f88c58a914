"""What the rows have of streams inside windows, for all criteria at once.

A *series* is a stream seen through a window. A *cell* is a series for one row that has entries of
the stream at all: since they lie in order of time, those inside the window are one range.
"""

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import Recency
from actors.audiences.engine.arrays import FAR, Bools, Ints, ranges
from actors.audiences.engine.entries import Entries
from actors.audiences.engine.moment import Moment
from actors.audiences.engine.windows import WindowTable


class Cells(Struct, frozen=True):
    """Cells, in the order (row, stream, series).

    Attributes:
        series, place: which series, and which of the rows.
        first, after: the range of entries inside the window; empty where `count` is 0.
        run_end: where the entries of the stream end.
        count: entries inside.
    """

    series: Ints
    place: Ints
    first: Ints
    after: Ints
    run_end: Ints
    count: Ints

    def only(self, which: Ints) -> "Cells":
        """Return some of the cells."""
        return Cells(
            self.series[which],
            self.place[which],
            self.first[which],
            self.after[which],
            self.run_end[which],
            self.count[which],
        )

    def inside(self) -> Ints:
        """Return the entries inside the windows, cell after cell."""
        return ranges(self.first, self.count)


class SeriesTable:
    """The series of a plan, found by stream.

    Args:
        series: stream number and recency of each.
        lookback_ms: older entries are seen by none.
    """

    def __init__(self, series: list[tuple[int, Recency]], lookback_ms: int) -> None:
        recencies = list(dict.fromkeys(recency for _, recency in series))
        self.windows = WindowTable(recencies, lookback_ms)
        self.window_of = np.array([recencies.index(each) for _, each in series], np.int64)
        self._only_leaves: Bools = self.windows.gap < 0
        self._only_leaves[list(self.windows.calendar)] = False
        streams = np.array([stream for stream, _ in series], np.int64)
        self._by_stream = np.argsort(streams, kind="stable")
        self._per_stream = np.bincount(streams, minlength=1).astype(np.int64)
        self._start = np.cumsum(self._per_stream) - self._per_stream

    def of_streams(self, streams: Ints) -> tuple[Ints, Ints]:
        """Return all series of these streams: which of the streams, and the series."""
        known = streams < len(self._per_stream)
        safe = np.where(known, streams, 0)
        per_stream = np.where(known, self._per_stream[safe], 0)
        which = np.repeat(np.arange(len(streams), dtype=np.int64), per_stream)
        return which, self._by_stream[ranges(self._start[safe], per_stream)]

    def cells(self, moment: Moment, entries: Entries) -> Cells:
        """Find the entries of the moment's rows inside the windows."""
        starts = _run_starts(entries)
        lengths = np.diff(np.append(starts, len(entries.place)))
        run, series = self.of_streams(entries.stream[starts].astype(np.int64))
        start, length = starts[run], lengths[run]
        place = entries.place[start]
        if not len(run):
            return Cells(series, place, start, start, start, start)
        window = self.window_of[series]
        first_ms, last_ms = self.windows.at(moment.ticks)
        column = moment.window_column(place)
        offsets = np.cumsum(length) - length
        t_ms = entries.t_ms[ranges(start, length)]
        is_before = t_ms < np.repeat(first_ms[window, column], length)
        is_until = t_ms <= np.repeat(last_ms[window, column], length)
        first = start + np.add.reduceat(is_before, offsets, dtype=np.int64)
        after = start + np.add.reduceat(is_until, offsets, dtype=np.int64)
        count = np.maximum(after - first, 0)
        return Cells(series, place, first, after, start + length, count)

    def only_leaves(self, series: Ints) -> Bools:
        """Tell of which series entries leave with time, but none come in."""
        return self._only_leaves[self.window_of[series]]

    def flips(self, moment: Moment, entries: Entries, cells: Cells, leaving: Ints) -> Ints:
        """Return for each cell before which tick nothing that matters changes.

        Args:
            leaving: the entry whose leaving matters, -1 where none does.
        """
        window = self.window_of[cells.series]
        flips = np.full(len(window), FAR, np.int64)
        leaves = np.flatnonzero(leaving >= 0)
        flips[leaves] = self.windows.leaves_at(window[leaves], entries.t_ms[leaving[leaves]])
        waits = np.flatnonzero((self.windows.gap[window] >= 0) & (cells.after < cells.run_end))
        if len(waits):
            # The window may be so placed that what comes next is before its start: no harm.
            enters = self.windows.enters_at(window[waits], entries.t_ms[cells.after[waits]])
            flips[waits] = np.minimum(flips[waits], enters)
        if self.windows.calendar:
            jumps = self.windows.jumps_at(moment.ticks)
            jump = jumps[window, moment.window_column(cells.place)]
            # Once the newest entry is older than the lookback, no period has any.
            newest_ms = entries.t_ms[cells.run_end - 1]
            matters = jump <= self.windows.leaves_at(window, newest_ms)
            flips = np.minimum(flips, np.where(matters, jump, FAR))
        return flips


def _run_starts(entries: Entries) -> Ints:
    """Return where the entries of another row or stream begin."""
    if not len(entries.place):
        return np.zeros(0, np.int64)
    is_start = np.empty(len(entries.place), np.bool_)
    is_start[0] = True
    np.not_equal(entries.place[1:], entries.place[:-1], out=is_start[1:])
    is_start[1:] |= entries.stream[1:] != entries.stream[:-1]
    return np.flatnonzero(is_start)
