"""Criteria that compare two attributes of the same user (`value_ref`)."""

from collections.abc import Hashable

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import Test
from actors.audiences.engine.arrays import Bytes, pack
from actors.audiences.engine.dictionary import CodedColumn
from actors.audiences.engine.leaves.coded import shown
from actors.audiences.engine.moment import Flips, Moment
from actors.audiences.engine.sources import Source
from actors.audiences.predicates import pair_predicate


class ReferenceLeaf(Struct, frozen=True):
    """A test of a source, with the value of another one as operand."""

    source: Source
    other: Source
    test: Test


class ReferenceFamily:
    """The references of a plan; each pair of values that occurs is tested once per evaluation."""

    def __init__(self, leaves: dict[ReferenceLeaf, tuple[CodedColumn, CodedColumn]]) -> None:
        self._pairs = [(pair_predicate(leaf.test), *columns) for leaf, columns in leaves.items()]
        self._lines: dict[Hashable, int] = {leaf: line for line, leaf in enumerate(leaves)}
        self.size = len(leaves)

    def line_of(self, leaf: Hashable) -> int:
        """Return the line of a leaf."""
        return self._lines[leaf]

    def evaluate(self, moment: Moment, lines: Bytes, first_line: int, flips: Flips) -> None:
        """Test the pairs; nothing changes by time."""
        truth = np.empty((self.size, len(moment.rows)), np.bool_)
        for line, (holds, column, other) in enumerate(self._pairs):
            codes = column.codes[moment.rows].astype(np.int64) * other.codes_end
            pairs, which = np.unique(codes + other.codes[moment.rows], return_inverse=True)
            found = [
                holds(column.value(code), other.value(other_code))
                for code, other_code in (divmod(pair, other.codes_end) for pair in pairs.tolist())
            ]
            truth[line] = np.array(found, np.bool_)[which]
        pack(truth, lines)

    def explain(self, leaf: Hashable, moment: Moment) -> object:
        """Return both values of the first row."""
        _, column, other = self._pairs[self._lines[leaf]]
        row = moment.rows[0]
        return {
            "value": shown(column.value(int(column.codes[row]))),
            "other": shown(other.value(int(other.codes[row]))),
        }
