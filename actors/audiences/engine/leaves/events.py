"""Criteria on how many events there were, or on a number made of them (`event`)."""

from collections.abc import Hashable, Iterator

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import Recency
from actors.audiences.engine.arrays import FAR, Bools, Bytes, Floats, Ints, pack, ranges
from actors.audiences.engine.cells import Cells, SeriesTable
from actors.audiences.engine.leaves.reductions import COUNTS, Reduction, reduce_cells
from actors.audiences.engine.moment import Flips, Moment
from actors.audiences.engine.streams import Stream
from actors.audiences.intervals import Interval, is_within


class EventLeaf(Struct, frozen=True):
    """A number made of the events of a stream inside a window is in one of the intervals."""

    stream: Stream
    recency: Recency
    reduction: Reduction
    intervals: tuple[Interval, ...]


class EventFamily:
    """The event leaves of a plan; those on the same stream, window and reduction share the work.

    Args:
        leaves: with the numbers of their streams.
    """

    def __init__(self, leaves: dict[EventLeaf, int], lookback_ms: int) -> None:
        self.size = len(leaves)
        self._lines: dict[Hashable, int] = {leaf: line for line, leaf in enumerate(leaves)}
        seen = [(number, leaf.recency, leaf.reduction) for leaf, number in leaves.items()]
        series = list(dict.fromkeys(seen))
        self._table = SeriesTable([each[:2] for each in series], lookback_ms)
        self._kinds = list(dict.fromkeys(reduction for *_, reduction in series))
        self._kind_of = np.array([self._kinds.index(each[2]) for each in series], np.int64)
        index = {each: at for at, each in enumerate(series)}
        of_leaf = np.array([index[each] for each in seen], np.int64)
        self._series_of = of_leaf
        self._by_series = np.argsort(of_leaf, kind="stable")
        self._per_series = np.bincount(of_leaf, minlength=len(series)).astype(np.int64)
        self._start = np.cumsum(self._per_series) - self._per_series
        self._of_none = np.array(
            [leaf.reduction in COUNTS and is_within(0.0, leaf.intervals) for leaf in leaves]
        )
        self._is_count = np.array([leaf.reduction == "count" for leaf in leaves])
        self._is_one = np.array([len(leaf.intervals) == 1 for leaf in leaves])
        self._is_below = np.array(
            [len(leaf.intervals) == 1 and leaf.intervals[0][0] <= 0 for leaf in leaves]
        )
        most = max(len(leaf.intervals) for leaf in leaves)
        self._intervals = np.array([len(leaf.intervals) for leaf in leaves], np.int64)
        self._least = np.zeros((most, self.size))
        self._greatest = np.zeros((most, self.size))
        for line, leaf in enumerate(leaves):
            for at, (least, greatest) in enumerate(leaf.intervals):
                self._least[at, line], self._greatest[at, line] = least, greatest

    def line_of(self, leaf: Hashable) -> int:
        """Return the line of a leaf."""
        return self._lines[leaf]

    def evaluate(self, moment: Moment, lines: Bytes, first_line: int, flips: Flips) -> None:
        """Reduce what lies inside the windows; whoever has no entries gets the answer for none."""
        entries = moment.entries
        assert entries is not None, "a plan with event leaves reads entries"
        rows = len(moment.rows)
        truth = np.repeat(self._of_none[:, None], rows, axis=1)
        cells = self._table.cells(moment, entries)
        values = reduce_cells(self._kinds, self._kind_of, entries, cells)
        cell, leaf = self._leaves_of(cells.series)
        value, place = values[cell], cells.place[cell]
        holds = self._is_inside(leaf, value)
        truth[leaf, place] = holds
        pack(truth, lines)
        leaving = self._leaving(cells, cell, leaf, value)
        ticks = self._table.flips(moment, entries, cells.only(cell), leaving)
        # The last to leave leaves nothing. A count that has one border below and none beyond it
        # cannot pass that without changing sides, however many leave at once.
        is_last = (cells.count[cell] == 1) & (holds != self._of_none[leaf])
        is_border = self._is_count[leaf] & self._is_one[leaf] & (holds | self._is_below[leaf])
        sure = (is_last | is_border) & self._table.only_leaves(cells.series[cell])
        flips.add(leaf + first_line, place, ticks, sure)
        places, streams, changes = entries.changes
        if len(places):
            which, series = self._table.of_streams(streams.astype(np.int64))
            each, leaf = self._leaves_of(series)
            flips.add(leaf + first_line, places[which][each], changes[which][each])

    def explain(self, leaf: Hashable, moment: Moment) -> object:
        """Return the number for the first row; nothing if there is none."""
        entries = moment.entries
        assert entries is not None, "a plan with event leaves reads entries"
        cells = self._table.cells(moment, entries)
        series = self._series_of[self._lines[leaf]]
        values = reduce_cells(self._kinds, self._kind_of, entries, cells)
        found = values[(cells.series == series) & (cells.place == 0)]
        if not len(found):
            return 0.0 if self._kinds[self._kind_of[series]] in COUNTS else {}
        return {} if np.isnan(found[0]) else float(found[0])

    def _leaves_of(self, series: Ints) -> tuple[Ints, Ints]:
        """Return all leaves of these series: which of the series, and the leaf."""
        per_series = self._per_series[series]
        which = np.repeat(np.arange(len(series), dtype=np.int64), per_series)
        return which, self._by_series[ranges(self._start[series], per_series)]

    def _is_inside(self, leaf: Ints, value: Floats) -> Bools:
        inside = np.zeros(len(leaf), np.bool_)
        for which, least, greatest in self._intervals_of(leaf):
            inside[which] |= (value[which] >= least) & (value[which] <= greatest)
        return inside

    def _intervals_of(self, leaf: Ints) -> Iterator[tuple[Ints, Floats, Floats]]:
        """Yield the first interval of each leaf, then the second of those that have one, ..."""
        intervals = self._intervals[leaf]
        for at, (least, greatest) in enumerate(zip(self._least, self._greatest, strict=True)):
            which = np.flatnonzero(intervals > at)
            yield which, least[leaf[which]], greatest[leaf[which]]

    def _leaving(self, cells: Cells, cell: Ints, leaf: Ints, value: Floats) -> Ints:
        """Return the entry whose leaving is the first that can change each leaf; -1: none.

        Of a count it is known: there is a border below it, and until so many are left that it is
        crossed nothing changes. Of anything else it is the oldest.
        """
        count = cells.count[cell]
        border = np.full(len(leaf), -np.inf)
        for which, least, greatest in self._intervals_of(leaf):
            for below in (np.ceil(least), np.floor(greatest) + 1):
                passed = np.where(value[which] >= below, below, -np.inf)
                border[which] = np.maximum(border[which], passed)
        is_count = self._is_count[leaf]
        newest = np.where(is_count & (border > 0), np.minimum(border, FAR), 0).astype(np.int64)
        of_count = np.where(newest > 0, cells.after[cell] - newest, -1)
        of_others = np.where(count > 0, cells.first[cell], -1)
        leaving: Ints = np.where(is_count, of_count, of_others)
        return leaving
