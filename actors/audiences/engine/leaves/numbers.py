"""Criteria on numbers and instants: intervals, which may move with now."""

from collections.abc import Hashable

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import Test
from actors.audiences.engine.arrays import FAR, Bytes, pack
from actors.audiences.engine.mirror import NumberKind
from actors.audiences.engine.moment import Flips, Moment
from actors.audiences.engine.numbers import NumberColumn, NumberTest, rows_of_several
from actors.audiences.engine.sources import Source


class NumberLeaf(Struct, frozen=True):
    """A test of the number that a source has."""

    source: Source
    kind: NumberKind
    test: Test


class NumberFamily:
    """The number leaves of a plan."""

    def __init__(self, leaves: dict[NumberLeaf, NumberColumn]) -> None:
        self._tests = [(NumberTest(leaf.test), column) for leaf, column in leaves.items()]
        self._lines: dict[Hashable, int] = {leaf: line for line, leaf in enumerate(leaves)}
        self.size = len(leaves)

    def line_of(self, leaf: Hashable) -> int:
        """Return the line of a leaf."""
        return self._lines[leaf]

    def evaluate(self, moment: Moment, lines: Bytes, first_line: int, flips: Flips) -> None:
        """Compare the numbers of the rows."""
        truth = np.empty((self.size, len(moment.rows)), np.bool_)
        everywhere = np.arange(len(moment.rows), dtype=np.int64)
        taken = {column: column.values[moment.rows] for _, column in self._tests}
        for line, (test, column) in enumerate(self._tests):
            values = taken[column]
            truth[line] = test.evaluate(values, moment.ticks)
            ticks = test.next_flip(values, moment.ticks)
            for place, texts in rows_of_several(column, moment.rows):
                tick = int(moment.ticks[place if len(moment.ticks) > 1 else 0])
                truth[line, place], flip = test.evaluate_several(texts, tick)
                if flip < FAR and ticks is not None:
                    ticks[place] = flip
            if ticks is not None:
                flips.add(np.full(len(ticks), first_line + line), everywhere, ticks)
        pack(truth, lines)

    def explain(self, leaf: Hashable, moment: Moment) -> object:
        """Return the number of the first row, or its texts if it has several."""
        _, column = self._tests[self._lines[leaf]]
        row = int(moment.rows[0])
        if row in column.several:
            return list(column.several[row])
        number = float(column.values[row])
        return {} if np.isnan(number) else number
