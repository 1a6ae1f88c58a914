"""Criteria on numbers and instants: intervals, which may move with now."""

from collections.abc import Hashable, Iterator
from math import inf

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import Test
from actors.audiences.engine.arrays import Bools, Bytes, Floats, Places, pack
from actors.audiences.engine.mirror import NumberKind
from actors.audiences.engine.moment import FINAL, NO_MARK, UNSURE, Flips, Moment
from actors.audiences.engine.number_tests import NumberTest
from actors.audiences.engine.numbers import NumberColumn
from actors.audiences.engine.sources import Source

_SIDES: tuple[tuple[int, np.ufunc], ...] = ((0, np.greater_equal), (1, np.less_equal))


class NumberLeaf(Struct, frozen=True):
    """A test of the number that a source has."""

    source: Source
    kind: NumberKind
    test: Test


class NumberFamily:
    """The number leaves of a plan, compared all at once."""

    def __init__(self, leaves: dict[NumberLeaf, NumberColumn]) -> None:
        self.size = len(leaves)
        self._lines: dict[Hashable, int] = {leaf: line for line, leaf in enumerate(leaves)}
        self._tests = [NumberTest(leaf.test) for leaf in leaves]
        self._columns = list(dict.fromkeys(leaves.values()))
        self._column_of = np.array([self._columns.index(each) for each in leaves.values()])
        self._sides = [_Side(self._tests, self._column_of, *side) for side in _SIDES]
        self._both = [
            (line, at)
            for line, test in enumerate(self._tests)
            for at, (least, greatest) in enumerate(test.intervals)
            if -inf < least and greatest < inf
        ]
        moving = [(line, flip) for line, test in enumerate(self._tests) for flip in test.flips]
        self._moving = np.array([line for line, _ in moving], np.int64)
        self._flips = np.array([flip for _, flip in moving], np.float64)[:, None]
        is_once = [len(self._tests[line].flips) == 1 for line, _ in moving]
        self._known = np.where(is_once, FINAL, UNSURE)[:, None]

    def line_of(self, leaf: Hashable) -> int:
        """Return the line of a leaf."""
        return self._lines[leaf]

    def evaluate(self, moment: Moment, lines: Bytes, first_line: int, flips: Flips) -> None:
        """Compare the numbers of the rows."""
        values = np.stack([column.values[moment.rows] for column in self._columns])
        truth = np.zeros((self.size, len(moment.rows)), np.bool_)
        now = moment.ticks / 2
        for side in self._sides:
            side.evaluate(values, now, truth)
        for line, at in self._both:
            test = self._tests[line]
            (least, greatest), shift = test.intervals[at], now if test.moves else 0.0
            number = values[self._column_of[line]]
            truth[line] |= (number >= least + shift) & (number <= greatest + shift)
        ticks = 2 * values[self._column_of[self._moving]] + self._flips
        several = self._correct(moment, truth)
        pack(truth, lines)
        says = (ticks > moment.ticks) & ~several
        marks = np.where(says, 4 * ticks + self._known, NO_MARK).astype(np.int64)
        flips.add_whole(self._moving + first_line, marks)
        if several.any():
            self._add_several(moment, first_line, flips)

    def explain(self, leaf: Hashable, moment: Moment) -> object:
        """Return the number of the first row, or its texts if it has several."""
        column = self._columns[self._column_of[self._lines[leaf]]]
        row = int(moment.rows[0])
        if row in column.several:
            return list(column.several[row])
        number = float(column.values[row])
        return {} if np.isnan(number) else number

    def _correct(self, moment: Moment, truth: Bools) -> Bools:
        """Set what rows say that have several values; tell which rows have."""
        several = np.zeros(len(moment.rows), np.bool_)
        for line, place, holds, _ in self._several(moment):
            truth[line, place] = holds
            several[place] = True
        return several

    def _add_several(self, moment: Moment, first_line: int, flips: Flips) -> None:
        """Add when tests of rows may change that have several values in any column."""
        found = [(line, place, tick) for line, place, _, tick in self._several(moment)]
        lines, places, ticks = (np.array(each, np.int64) for each in zip(*found, strict=True))
        flips.add(lines + first_line, places, ticks)
        # The other columns of these rows, too, were left out.
        having = np.unique(places)
        values = np.stack([column.values[moment.rows[having]] for column in self._columns])
        at = 2 * values[self._column_of[self._moving]] + self._flips
        flip, place = np.nonzero(at > moment.tick_of(having))
        coming = at[flip, place].astype(np.int64)
        flips.add(self._moving[flip] + first_line, having[place], coming)

    def _several(self, moment: Moment) -> Iterator[tuple[int, int, bool, int]]:
        """Yield (line, place, truth, next tick) of all that have several values."""
        for number, column in enumerate(self._columns):
            if not column.several:
                continue
            for place, row in enumerate(moment.rows.tolist()):
                texts = column.several.get(row)
                if texts is None:
                    continue
                tick = int(moment.ticks[place if len(moment.ticks) > 1 else 0])
                for line in (self._column_of == number).nonzero()[0].tolist():
                    yield line, place, *self._tests[line].evaluate_several(texts, tick)


class _Side:
    """The intervals that have a border on one side only.

    Args:
        tests: with the index of their columns.
        border: 0 for those with a least number, 1 for those with a greatest.
        compare: of a number with the border.
    """

    def __init__(
        self, tests: list[NumberTest], column_of: Places, border: int, compare: np.ufunc
    ) -> None:
        found = [
            (line, interval[border], test.moves)
            for line, test in enumerate(tests)
            for interval in test.intervals
            if -inf < interval[border] < inf and abs(interval[1 - border]) == inf
        ]
        self._lines = [line for line, *_ in found]
        self._columns = column_of[self._lines] if found else np.zeros(0, np.intp)
        self._borders = np.array([[border] for _, border, _ in found])
        self._moves = np.array([[float(moves)] for *_, moves in found])
        self._compare = compare
        self._is_once = len(set(self._lines)) == len(self._lines)

    def evaluate(self, values: Floats, now: Floats, truth: Bools) -> None:
        """Set the lines of those that pass."""
        if not self._lines:
            return
        holds = self._compare(values[self._columns], self._borders + self._moves * now)
        if self._is_once:
            truth[self._lines] |= holds
        else:
            np.logical_or.at(truth, self._lines, holds)
