"""Criteria that one whole value decides, whatever the time: a look-up by code."""

from collections.abc import Hashable

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import Test
from actors.audiences.engine.arrays import Bytes, Places, transpose_squares
from actors.audiences.engine.dictionary import CodedColumn, Predicate
from actors.audiences.engine.moment import Flips, Moment
from actors.audiences.engine.sources import Source
from actors.audiences.predicates import predicate
from actors.audiences.values import MISSING, StoredValue, fold


class Tested(Struct, frozen=True):
    """The value passes a test."""

    test: Test

    def predicate(self) -> Predicate:
        """Return the question as a function."""
        return predicate(self.test)


class Exists(Struct, frozen=True):
    """There is a value."""

    def predicate(self) -> Predicate:
        """Return the question as a function."""
        return lambda value: value is not MISSING


class IsText(Struct, frozen=True):
    """The value is exactly this text."""

    text: str

    def predicate(self) -> Predicate:
        """Return the question as a function."""
        return lambda value: value == self.text


class IsOneOf(Struct, frozen=True):
    """The value is one of these texts, in any case."""

    texts: tuple[str, ...]

    def predicate(self) -> Predicate:
        """Return the question as a function."""
        folded = frozenset(fold(text) for text in self.texts)
        return lambda value: isinstance(value, str) and fold(value) in folded


Question = Tested | Exists | IsText | IsOneOf


class CodedLeaf(Struct, frozen=True):
    """A question about the value of a source."""

    source: Source
    question: Question


class CodedFamily:
    """The coded leaves of a plan: eight of a column are looked up at a time."""

    def __init__(self, leaves: dict[CodedLeaf, tuple[CodedColumn, int]]) -> None:
        by_column: dict[CodedColumn, list[tuple[CodedLeaf, int]]] = {}
        for leaf, (column, slot) in leaves.items():
            by_column.setdefault(column, []).append((leaf, slot))
        self._columns: list[tuple[CodedColumn, Places, int]] = []  # words wanted, first word here
        self._lines: dict[Hashable, int] = {}
        self._column_of: dict[Hashable, CodedColumn] = {}
        words = 0
        for column, asked in by_column.items():
            wanted = sorted({slot // 8 for _, slot in asked})
            self._columns.append((column, np.array(wanted, np.intp), words))
            for leaf, slot in asked:
                self._lines[leaf] = 8 * (words + wanted.index(slot // 8)) + slot % 8
                self._column_of[leaf] = column
            words += len(wanted)
        self._words = words
        self.size = 8 * words

    def line_of(self, leaf: Hashable) -> int:
        """Return the line of a leaf."""
        return self._lines[leaf]

    def evaluate(self, moment: Moment, lines: Bytes, first_line: int, flips: Flips) -> None:
        """Look up the codes of the rows; nothing changes by time."""
        rows = len(moment.rows)
        answers = np.zeros((self._words, 8 * lines.shape[1]), np.uint8)
        for column, words, first in self._columns:
            every = None if len(words) == len(column.table) else words
            column.look_up(moment.rows, every, answers[first : first + len(words), :rows])
        squares = transpose_squares(answers.view(np.uint64))  # a byte of eight rows for each slot
        lines[:] = squares.transpose(0, 2, 1).reshape(lines.shape)

    def explain(self, leaf: Hashable, moment: Moment) -> object:
        """Return the value of the first row."""
        column = self._column_of[leaf]
        return shown(column.value(int(column.codes[moment.rows[0]])))


def shown(value: StoredValue) -> object:
    """Return a stored value as JSON values, a missing one as an empty object."""
    return {} if value is MISSING else value
