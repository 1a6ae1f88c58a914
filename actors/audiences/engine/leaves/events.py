"""Criteria on how many events there were, or on a number made of them (`event`)."""

from collections.abc import Hashable, Iterator
from functools import partial

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import Recency
from actors.audiences.engine.arrays import FAR, Bools, Bytes, Floats, Ints, pack, ranges
from actors.audiences.engine.cells import Cells, OwnSeries, Series, SeriesTable
from actors.audiences.engine.entries import Entries
from actors.audiences.engine.leaves.reductions import COUNTS, Reduction, reduce_cells
from actors.audiences.engine.moment import FINAL, UNSURE, Flips, Moment
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
        leaves: with their series.
        table: has all of them.
    """

    def __init__(self, leaves: dict[EventLeaf, Series], table: SeriesTable) -> None:
        self.size = len(leaves)
        self._lines: dict[Hashable, int] = {leaf: line for line, leaf in enumerate(leaves)}
        seen = [(series, leaf.reduction) for leaf, series in leaves.items()]
        reduced = list(dict.fromkeys(seen))  # the family's own series
        self._series = OwnSeries([each for each, _ in reduced], table)
        self._kinds = list(dict.fromkeys(reduction for _, reduction in reduced))
        self._kind_of = np.array([self._kinds.index(each) for _, each in reduced], np.int64)
        index = {each: at for at, each in enumerate(reduced)}
        of_leaf = np.array([index[each] for each in seen], np.int64)
        self._series_of = of_leaf
        self._by_series = of_leaf.argsort(kind="stable")
        self._per_series = np.bincount(of_leaf, minlength=len(reduced)).astype(np.int64)
        self._start = self._per_series.cumsum() - self._per_series
        self._is_single = len(reduced) == self.size
        self._of_none = np.array(
            [leaf.reduction in COUNTS and is_within(0.0, leaf.intervals) for leaf in leaves]
        )
        self._is_count = np.array([leaf.reduction == "count" for leaf in leaves])
        self._is_bordered = np.array(
            [leaf.reduction == "count" and len(leaf.intervals) == 1 for leaf in leaves]
        )
        self._is_below = np.array(
            [len(leaf.intervals) == 1 and leaf.intervals[0][0] <= 0 for leaf in leaves]
        )
        most = max(len(leaf.intervals) for leaf in leaves)
        self._intervals = np.array([len(leaf.intervals) for leaf in leaves], np.int64)
        self._least = np.full((max(most, 1), self.size), np.inf)
        self._greatest = np.full((max(most, 1), self.size), -np.inf)
        for line, leaf in enumerate(leaves):
            for at, (least, greatest) in enumerate(leaf.intervals):
                self._least[at, line], self._greatest[at, line] = least, greatest
        # Borders of counts: the least count inside, and the first one past the end.
        self._from = np.clip(np.ceil(self._least), 0, FAR).astype(np.int64)
        self._past = np.clip(np.floor(self._greatest) + 1, 0, FAR).astype(np.int64)

    def line_of(self, leaf: Hashable) -> int:
        """Return the line of a leaf."""
        return self._lines[leaf]

    def evaluate(self, moment: Moment, lines: Bytes, first_line: int, flips: Flips) -> None:
        """Reduce what lies inside the windows; whoever has no entries gets the answer for none."""
        entries, cells = moment.seen()
        rows, cells = len(moment.rows), self._series.cells(cells)
        values = reduce_cells(self._kinds, self._kind_of, entries, cells)
        cell, leaf = self._leaves_of(cells.series)
        place = cells.place[cell]
        holds = self._is_inside(leaf, values[cell])
        truth = np.zeros(self.size * rows, np.bool_)
        truth[leaf * rows + place] = holds != self._of_none[leaf]
        pack(truth.reshape(self.size, rows), lines)
        lines[self._of_none] ^= 0xFF
        comes = self._series.comes_at(moment.ticks, entries, cells)
        matter, leaving = self._leaving(cells, cell, leaf)
        ticks = self._series.leaves_at(cells.series[cell[matter]], entries.t_ms[leaving])
        if comes is not None:
            leaves, ticks = ticks, comes[cell]
            ticks[matter] = np.minimum(ticks[matter], leaves)
            matter = np.arange(len(leaf))
        if len(entries.changes[0]):
            changing, at, changes = self._changing(entries)
            flips.add(changing + first_line, at, changes)
        cell, leaf, place, holds = cell[matter], leaf[matter], place[matter], holds[matter]
        known = partial(self._known, moment, cells, cell, leaf, holds)
        flips.add(leaf + first_line, place, ticks, known)

    def explain(self, leaf: Hashable, moment: Moment) -> object:
        """Return the number for the first row; nothing if there is none."""
        entries, cells = moment.seen()
        cells = self._series.cells(cells)
        series = self._series_of[self._lines[leaf]]
        values = reduce_cells(self._kinds, self._kind_of, entries, cells)
        found = values[(cells.series == series) & (cells.place == 0)]
        if not len(found):
            return 0.0 if self._kinds[self._kind_of[series]] in COUNTS else {}
        return {} if np.isnan(found[0]) else float(found[0])

    def _leaves_of(self, series: Ints) -> tuple[Ints, Ints]:
        """Return all leaves of these series: which of the series, and the leaf."""
        if self._is_single:
            return np.arange(len(series), dtype=np.int64), self._by_series[series]
        per_series = self._per_series[series]
        which = np.arange(len(series), dtype=np.int64).repeat(per_series)
        return which, self._by_series[ranges(self._start[series], per_series)]

    def _is_inside(self, leaf: Ints, value: Floats) -> Bools:
        inside: Bools = (value >= self._least[0][leaf]) & (value <= self._greatest[0][leaf])
        for at, which in self._others(leaf):
            least, greatest = self._least[at][leaf[which]], self._greatest[at][leaf[which]]
            inside[which] |= (value[which] >= least) & (value[which] <= greatest)
        return inside

    def _others(self, leaf: Ints) -> Iterator[tuple[int, Ints]]:
        """Yield the number of a second, third, ... interval, and which of the leaves have it."""
        for at in range(1, len(self._least)):
            yield at, (self._intervals[leaf] > at).nonzero()[0]

    def _leaving(self, cells: Cells, cell: Ints, leaf: Ints) -> tuple[Ints, Ints]:
        """Return which leaves change as entries leave, and the first whose leaving can do it.

        Of a count it is known: there is a border below it, and until so many are left that it is
        crossed nothing changes. Of anything else it is the oldest.
        """
        count = cells.count[cell]
        border = _passed(count, self._from[0][leaf], self._past[0][leaf])
        for at, which in self._others(leaf):
            other = _passed(count[which], self._from[at][leaf[which]], self._past[at][leaf[which]])
            border[which] = np.maximum(border[which], other)
        others = (~self._is_count[leaf]).nonzero()[0]
        border[others] = count[others]
        matter = (border > 0).nonzero()[0]
        return matter, cells.after[cell[matter]] - border[matter]

    def _changing(self, entries: Entries) -> tuple[Ints, Ints, Ints]:
        """Return (leaf, place, tick) of entries that begin or cease to count by themselves."""
        places, streams, changes = entries.changes
        which, series = self._series.of_streams(streams)
        each, leaf = self._leaves_of(series)
        which = which[each]
        return leaf, places[which], changes[which]

    def _known(self, moment: Moment, cells: Cells, cell: Ints, leaf: Ints, holds: Bools) -> Ints:
        """Return what is known of the first change of each leaf by a cell.

        The last to leave leaves nothing. A count that has one border below and none beyond it
        cannot pass that without changing sides, however many leave at once. Nothing comes back,
        unless an entry begins to count by itself.
        """
        entries, _ = moment.seen()
        is_last = (cells.count[cell] == 1) & (holds != self._of_none[leaf])
        is_border = self._is_bordered[leaf] & (holds | self._is_below[leaf])
        sure = (is_last | is_border) & self._series.only_leaves(cells.series[cell])
        if len(entries.changes[0]):
            changing, places, _ = self._changing(entries)
            rows = len(moment.rows)
            is_changing = np.zeros(self.size * rows, np.bool_)
            is_changing[changing * rows + places] = True
            sure &= ~is_changing[leaf * rows + cells.place[cell]]
        return np.where(sure, FINAL, UNSURE)


def _passed(count: Ints, from_: Ints, past: Ints) -> Ints:
    """Return the border of an interval that counts have passed last; 0: none."""
    passed: Ints = np.maximum((count >= past) * past, (count >= from_) * from_)
    return passed
