"""What the rows have of streams inside windows, for all criteria at once.

A *series* is a stream seen through a window. A *cell* is a series for one row that has entries of
the stream at all: since they lie in order of time, those inside the window are one range.
"""

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import Recency
from actors.audiences.engine.arrays import FAR, Bools, Codes, Ints, ranges
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
        self._per_stream = np.append(np.bincount(streams), 0).astype(np.int64)
        self._start = np.cumsum(self._per_stream) - self._per_stream

    def of_streams(self, streams: Codes) -> tuple[Ints, Ints]:
        """Return all series of these streams: which of the streams, and the series."""
        # The last number stands for all streams that are not known here.
        known = np.minimum(streams, len(self._per_stream) - 1)
        count = self._per_stream[known]
        some = np.flatnonzero(count)
        count = count[some]
        return np.repeat(some, count), self._by_stream[ranges(self._start[known[some]], count)]

    def cells(self, moment: Moment, entries: Entries, wanted: Bools | None = None) -> Cells:
        """Find the entries of the moment's rows inside the windows.

        Cells without any are left out where nothing can come in by time.

        Args:
            moment: rows and instant.
            entries: of the rows.
            wanted: which cells are, shape (series, rows); `None`: all.
        """
        starts = entries.run_start
        lengths = np.diff(np.append(starts, len(entries.place)))
        run, series = self.of_streams(entries.stream[starts])
        place = entries.place[starts[run]]
        if wanted is not None:
            some = np.flatnonzero(wanted[series, place])
            run, series, place = run[some], series[some], place[some]
        start, length = starts[run], lengths[run]
        if not len(run):
            return Cells(series, place, start, start, start, start)
        window = self.window_of[series]
        first_ms, last_ms = self.windows.at(moment.ticks)
        column = moment.window_column(place)
        end = start + length
        first = self._passed(entries.t_ms, start, length, first_ms[window, column], np.less)
        if last_ms.min() >= entries.t_ms.max():
            after = end
        else:
            last = last_ms[window, column]
            after = self._passed(entries.t_ms, start, length, last, np.less_equal)
        count = np.maximum(after - first, 0)
        cells = Cells(series, place, first, after, end, count)
        matter = np.flatnonzero((count > 0) | ~self._only_leaves[window])
        return cells if len(matter) == len(count) else cells.only(matter)

    @staticmethod
    def _passed(t_ms: Ints, start: Ints, length: Ints, border_ms: Ints, is_in: np.ufunc) -> Ints:
        """Return the first entry of each range that is not `is_in` its border, or the end."""
        passed: Ints = start + is_in(t_ms[start], border_ms)
        longer = np.flatnonzero(length > 1)  # most have one entry, and are done
        if len(longer):
            start, length = start[longer], length[longer]
            holds = is_in(t_ms[ranges(start, length)], np.repeat(border_ms[longer], length))
            offsets = np.cumsum(length) - length
            passed[longer] = start + np.add.reduceat(holds, offsets, dtype=np.int64)
        return passed

    def only_leaves(self, series: Ints) -> Bools:
        """Tell of which series entries leave with time, but none come in."""
        return self._only_leaves[self.window_of[series]]

    def leaves_at(self, series: Ints, times: Ints) -> Ints:
        """Return the ticks when entries with these times leave the windows of these series."""
        return self.windows.leaves_at(self.window_of[series], times)

    def comes_at(self, moment: Moment, entries: Entries, cells: Cells) -> Ints | None:
        """Return for each cell before which tick nothing comes in; `None` if nothing ever does."""
        if self._only_leaves.all():
            return None
        window = self.window_of[cells.series]
        comes = np.full(len(window), FAR, np.int64)
        waits = np.flatnonzero((self.windows.gap[window] >= 0) & (cells.after < cells.run_end))
        if len(waits):
            # The window may be so placed that what comes next is before its start: no harm.
            next_ms = entries.t_ms[cells.after[waits]]
            comes[waits] = self.windows.enters_at(window[waits], next_ms)
        if self.windows.calendar:
            jumps = self.windows.jumps_at(moment.ticks)
            jump = jumps[window, moment.window_column(cells.place)]
            # Once the newest entry is older than the lookback, no period has any.
            newest_ms = entries.t_ms[cells.run_end - 1]
            matters = jump <= self.windows.leaves_at(window, newest_ms)
            comes = np.minimum(comes, np.where(matters, jump, FAR))
        return comes

    def flips(self, moment: Moment, entries: Entries, cells: Cells, leaving: Ints) -> Ints:
        """Return for each cell before which tick nothing that matters changes.

        Args:
            moment, entries, cells: as found.
            leaving: the entry whose leaving matters, -1 where none does.
        """
        flips = np.where(leaving >= 0, self.leaves_at(cells.series, entries.t_ms[leaving]), FAR)
        comes = self.comes_at(moment, entries, cells)
        return flips if comes is None else np.minimum(flips, comes)


class SharedSeries:
    """Series that several users have in common.

    Attributes:
        table: of the series, each once.
        size: how many there are.
        of_user: the series of each user.
    """

    def __init__(self, wanted: list[tuple[int, Recency]], lookback_ms: int) -> None:
        series = list(dict.fromkeys(wanted))
        index = {each: at for at, each in enumerate(series)}
        self.table = SeriesTable(series, lookback_ms)
        self.size = len(series)
        self.of_user = np.array([index[each] for each in wanted], np.int64)
        self._by_series = np.argsort(self.of_user, kind="stable")
        self._users = np.bincount(self.of_user, minlength=len(series)).astype(np.int64)
        self._start = np.cumsum(self._users) - self._users

    def users(self, series: Ints) -> tuple[Ints, Ints]:
        """Return all users of these series: which of the series, and the user."""
        count = self._users[series]
        which = np.repeat(np.arange(len(series), dtype=np.int64), count)
        return which, self._by_series[ranges(self._start[series], count)]
