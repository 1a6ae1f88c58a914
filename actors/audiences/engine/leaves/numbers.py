"""Criteria on numbers and instants: intervals, which may move with now."""

from collections.abc import Hashable

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import Test
from actors.audiences.engine.arrays import FAR, Bools, Bytes, Floats, Ints, Places, pack
from actors.audiences.engine.mirror import NumberKind
from actors.audiences.engine.moment import Flips, Moment
from actors.audiences.engine.number_tests import NumberTest
from actors.audiences.engine.numbers import NumberColumn
from actors.audiences.engine.sources import Source

_NEVER = float(FAR)


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
        self._rounds: list[tuple[Places, Floats, Floats, Floats]] = []
        for at in range(max((len(test.intervals) for test in self._tests), default=0)):
            lines = [line for line, test in enumerate(self._tests) if len(test.intervals) > at]
            intervals = [self._tests[line].intervals[at] for line in lines]
            self._rounds.append(
                (
                    np.array(lines, np.intp),
                    np.array([interval[0] for interval in intervals])[:, None],
                    np.array([interval[1] for interval in intervals])[:, None],
                    np.array([float(self._tests[line].moves) for line in lines])[:, None],
                )
            )
        moving = [line for line, test in enumerate(self._tests) if test.flips]
        self._moving = np.array(moving, np.intp)
        self._flips = np.array(
            [[test.flips[0], test.flips[-1]] for test in self._tests if test.flips], np.float64
        ).reshape(-1, 2)

    def line_of(self, leaf: Hashable) -> int:
        """Return the line of a leaf."""
        return self._lines[leaf]

    def evaluate(self, moment: Moment, lines: Bytes, first_line: int, flips: Flips) -> None:
        """Compare the numbers of the rows."""
        by_column = np.stack([column.values[moment.rows] for column in self._columns])
        values = by_column[self._column_of]
        truth = np.zeros(values.shape, np.bool_)
        now = moment.ticks / 2
        for which, least, greatest, moves in self._rounds:
            shift = moves * now
            compared = values[which]
            truth[which] |= (compared >= least + shift) & (compared <= greatest + shift)
        ticks = self._next(values[self._moving], moment.ticks)
        several = self._correct(moment, truth, ticks)
        pack(truth, lines)
        line, place = np.nonzero(ticks < FAR)
        sure = ~several[place]
        flips.add(self._moving[line] + first_line, place, ticks[line, place], sure)

    def explain(self, leaf: Hashable, moment: Moment) -> object:
        """Return the number of the first row, or its texts if it has several."""
        column = self._columns[self._column_of[self._lines[leaf]]]
        row = int(moment.rows[0])
        if row in column.several:
            return list(column.several[row])
        number = float(column.values[row])
        return {} if np.isnan(number) else number

    def _next(self, values: Floats, ticks: Ints) -> Ints:
        """Return the next flips of the tests that move, shape (moving, rows)."""
        found = np.full(values.shape, _NEVER)
        for flip in self._flips.T:
            at = 2 * values + flip[:, None]
            found = np.where(at > ticks, np.minimum(found, at), found)
        return found.astype(np.int64)

    def _correct(self, moment: Moment, truth: Bools, ticks: Ints) -> Bools:
        """Set what rows say that have several values; tell which rows have."""
        several = np.zeros(len(moment.rows), np.bool_)
        for number, column in enumerate(self._columns):
            if not column.several:
                continue
            for place, row in enumerate(moment.rows.tolist()):
                texts = column.several.get(row)
                if texts is None:
                    continue
                several[place] = True
                tick = int(moment.ticks[place if len(moment.ticks) > 1 else 0])
                for line in np.flatnonzero(self._column_of == number).tolist():
                    truth[line, place], flip = self._tests[line].evaluate_several(texts, tick)
                    at = np.flatnonzero(self._moving == line)
                    ticks[at, place] = flip
        return several
