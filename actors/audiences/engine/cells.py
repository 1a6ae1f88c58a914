"""What the rows have of streams inside windows, for all criteria at once.

A *series* is a stream seen through a window. A *cell* is a series for one row that has entries of
the stream at all: since they lie in order of time, those inside the window are one range. The cells
of all series of a plan are found together (`SeriesTable`); each family then takes its own of them
(`OwnSeries`).
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import Recency
from actors.audiences.engine.arrays import FAR, Bools, Codes, Ints, ranges
from actors.audiences.engine.entries import Entries
from actors.audiences.engine.windows import WindowTable

Series = tuple[int, Recency]  # the number of the stream, and the window


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

    def only(self, which: Ints, series: Ints | None = None) -> "Cells":
        """Return some of the cells, or some several times; `series`: as others number them."""
        return Cells(
            self.series[which] if series is None else series,
            self.place[which],
            self.first[which],
            self.after[which],
            self.run_end[which],
            self.count[which],
        )

    def inside(self) -> Ints:
        """Return the entries inside the windows, cell after cell."""
        return ranges(self.first, self.count)


class _Index:
    """Finds all places of a number in a list."""

    def __init__(self, numbers: Ints) -> None:
        self._places = numbers.argsort(kind="stable")
        self._counts = np.append(np.bincount(numbers), 0).astype(np.int64)
        self._starts = self._counts.cumsum() - self._counts
        self._is_there: Bools = self._counts > 0
        self._is_unique = bool(self._counts.max() <= 1)

    def find(self, numbers: Ints | Codes) -> tuple[Ints, Ints]:
        """Return which of these numbers are in the list, each as often as it is, and where."""
        # The last count stands for all numbers that are greater than any in the list.
        known = np.minimum(numbers, len(self._counts) - 1)
        which = self._is_there[known].nonzero()[0]  # often few
        known = known[which]
        if self._is_unique:
            return which, self._places[self._starts[known]]
        count = self._counts[known]
        return which.repeat(count), self._places[ranges(self._starts[known], count)]


class SeriesTable:
    """All series of a plan.

    Args:
        series: each once.
        lookback_ms: older entries are seen by none.
    """

    def __init__(self, series: Sequence[Series], lookback_ms: int) -> None:
        self.number_of = {each: number for number, each in enumerate(series)}
        recencies = list(dict.fromkeys(recency for _, recency in series))
        self.windows = WindowTable(recencies, lookback_ms)
        number_of = {each: number for number, each in enumerate(recencies)}
        self.window_of = np.array([number_of[each] for _, each in series], np.int64)
        self.only_leaves: Bools = self.windows.gap < 0  # entries, as time goes on, by window
        self.only_leaves[list(self.windows.calendar)] = False
        self._nothing_comes = bool(self.only_leaves.all())
        self._by_stream = _Index(np.array([stream for stream, _ in series], np.int64))

    def of_streams(self, streams: Codes) -> tuple[Ints, Ints]:
        """Return all series of these streams: which of the streams, and the series."""
        return self._by_stream.find(streams)

    def cells(self, ticks: Ints, entries: Entries) -> Cells:
        """Find the entries of rows inside the windows.

        Cells without any are left out where nothing can come in by time.

        Args:
            ticks: of evaluation, one for all rows or one for each.
            entries: of the rows.
        """
        starts = entries.run_start
        ends = np.append(starts[1:], len(entries.place))
        run, series = self.of_streams(entries.stream[starts])
        start, end = starts[run], ends[run]
        place = entries.place[start]
        if not len(run):
            return Cells(series, place, start, start, start, start)
        window, length = self.window_of[series], end - start
        first_ms, last_ms = self.windows.at(ticks)
        border_ms = _of_rows(first_ms, window, place)
        first = _passed(entries.t_ms, start, length, border_ms, np.less)
        if last_ms.min() >= entries.t_ms.max():
            after = end
        else:
            border_ms = _of_rows(last_ms, window, place)
            after = _passed(entries.t_ms, start, length, border_ms, np.less_equal)
        count = np.maximum(after - first, 0)
        cells = Cells(series, place, first, after, end, count)
        matters = count > 0
        if not self._nothing_comes:
            matters |= ~self.only_leaves[window]
        matter = matters.nonzero()[0]
        return cells if len(matter) == len(count) else cells.only(matter)


class OwnSeries:
    """Those series of a table that somebody reads, by own numbers.

    Args:
        series: by own number; one may be there several times.
        table: has all of them.
    """

    def __init__(self, series: Sequence[Series], table: SeriesTable) -> None:
        numbers = np.array([table.number_of[each] for each in series], np.int64)
        self._table = table
        self._is_table = np.array_equal(numbers, np.arange(len(table.number_of)))
        self._index = _Index(numbers)
        self._window_of = table.window_of[numbers]
        self._nothing_comes = bool(table.only_leaves[self._window_of].all())

    def cells(self, cells: Cells, wanted: Bools | None = None) -> Cells:
        """Return the own ones of the table's cells.

        Args:
            cells: of the table.
            wanted: by own number and row which are asked for; `None`: all.
        """
        if self._is_table and wanted is None:
            return cells
        which, series = self._index.find(cells.series)
        if wanted is not None:
            some = wanted[series, cells.place[which]].nonzero()[0]
            which, series = which[some], series[some]
        return cells.only(which, series)

    def of_streams(self, streams: Codes) -> tuple[Ints, Ints]:
        """Return all own series of these streams: which of the streams, and the series."""
        which, series = self._table.of_streams(streams)
        if self._is_table:
            return which, series
        again, own = self._index.find(series)
        return which[again], own

    def only_leaves(self, series: Ints) -> Bools:
        """Tell of which series entries leave with time, but none come in."""
        if self._nothing_comes:
            return np.ones(len(series), np.bool_)
        return self._table.only_leaves[self._window_of[series]]

    def leaves_at(self, series: Ints, times: Ints) -> Ints:
        """Return the ticks when entries with these times leave the windows of these series."""
        return self._table.windows.leaves_at(self._window_of[series], times)

    def comes_at(self, ticks: Ints, entries: Entries, cells: Cells) -> Ints | None:
        """Return for each cell before which tick nothing comes in; `None` if nothing ever does.

        Args:
            ticks, entries: see `SeriesTable.cells`.
            cells: own ones.
        """
        if self._nothing_comes:
            return None
        window, windows = self._window_of[cells.series], self._table.windows
        comes = np.full(len(window), FAR, np.int64)
        waits = ((windows.gap[window] >= 0) & (cells.after < cells.run_end)).nonzero()[0]
        if len(waits):
            # The window may be so placed that what comes next is before its start: no harm.
            next_ms = entries.t_ms[cells.after[waits]]
            comes[waits] = windows.enters_at(window[waits], next_ms)
        if windows.calendar:
            jump = _of_rows(windows.jumps_at(ticks), window, cells.place)
            # Once the newest entry is older than the lookback, no period has any.
            newest_ms = entries.t_ms[cells.run_end - 1]
            matters = jump <= windows.leaves_at(window, newest_ms)
            comes = np.minimum(comes, np.where(matters, jump, FAR))
        return comes

    def flips(self, ticks: Ints, entries: Entries, cells: Cells, leaving: Ints) -> Ints:
        """Return for each cell before which tick nothing that matters changes.

        Args:
            ticks, entries, cells: see `comes_at`.
            leaving: the entry whose leaving matters, -1 where none does.
        """
        flips = np.where(leaving >= 0, self.leaves_at(cells.series, entries.t_ms[leaving]), FAR)
        comes = self.comes_at(ticks, entries, cells)
        return flips if comes is None else np.minimum(flips, comes)


def _of_rows(table: Ints, windows: Ints, places: Ints) -> Ints:
    """Return what a table of shape (windows, ticks) has for each window and row."""
    found: Ints = table[windows, places] if table.shape[1] > 1 else table[:, 0][windows]
    return found


def _passed(t_ms: Ints, start: Ints, length: Ints, border_ms: Ints, is_in: np.ufunc) -> Ints:
    """Return the first entry of each range that is not `is_in` its border, or the end."""
    passed: Ints = start + is_in(t_ms[start], border_ms)
    longer = (length > 1).nonzero()[0]  # most have one entry, and are done
    if len(longer):
        start, length = start[longer], length[longer]
        holds = is_in(t_ms[ranges(start, length)], border_ms[longer].repeat(length))
        offsets = length.cumsum() - length
        passed[longer] = start + np.add.reduceat(holds, offsets, dtype=np.int64)
    return passed
