"""Columns of numbers, and the tests of them: intervals that may move with now.

Dates are ms since 1970: a double holds all of them exactly.
"""

from collections.abc import Callable, Iterable

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import Test
from actors.audiences.engine.arrays import FAR, Bools, Floats, Ints, Places, grown
from actors.audiences.intervals import Interval, number_intervals
from actors.audiences.predicates import PRESENCE_OPERATORS, TimedPredicate, timed_predicate
from actors.audiences.values import StoredValue, parse_date, parse_number
from actors.audiences.windows import date_window

_MOST_INTERVALS = 8
_NONE = np.nan
_LATER = 0.25  # less than half a ms: what is not at an instant or before is after it

Parser = Callable[[str], float | None]


def number_of(text: str) -> float | None:
    """Return the number that a text stands for, `None` if it is none."""
    return parse_number(text)


def instant_of(text: str) -> float | None:
    """Return the ms that a text stands for, `None` if it is no date."""
    instant = parse_date(text)
    return None if instant is None else float(instant)


def suits_numbers(test: Test) -> bool:
    """Tell whether a number column can answer a test: few intervals, fixed or moving."""
    if test.operator in PRESENCE_OPERATORS or test.value_ref is not None:
        return False
    if test.type == "date":
        return True
    return test.type == "number" and len(number_intervals(test)) <= _MOST_INTERVALS


class NumberColumn:
    """One number per row, NaN for none.

    Rows that have several (a list, several devices) are few; they are kept apart, as texts.
    """

    def __init__(self, rows: int, parse: Parser) -> None:
        self.values: Floats = np.full(rows, _NONE)
        self.several: dict[int, list[str]] = {}
        self._parse = parse

    @property
    def nbytes(self) -> int:
        """The bytes of the array."""
        return self.values.nbytes

    def know(self, rows: int) -> None:
        """Make room for rows; new ones have no number."""
        self.values = grown(self.values, rows, _NONE)

    def put(self, row: int, value: StoredValue) -> None:
        """Set the value of a row, of a text or of a list of texts."""
        self.several.pop(row, None)
        number: float | None = None
        if type(value) is list:
            if len(value) > 1:
                self.several[row] = value
            elif value:
                number = self._parse(value[0])
        elif isinstance(value, str):
            number = self._parse(value)
        self.values[row] = _NONE if number is None else number


class Shift(Struct, frozen=True):
    """A test whose interval moves: `least` and `greatest` from now on, in ms, and when it flips.

    A value v flips at tick 2v + each of `flips`.
    """

    least: float
    greatest: float
    flips: tuple[int, ...]


class NumberTest:
    """One test of one number column."""

    def __init__(self, test: Test) -> None:
        self.shift = _shift(test)
        self.intervals = () if self.shift is not None else _fixed(test)
        self.holds: TimedPredicate = timed_predicate(test)

    def evaluate(self, values: Floats, ticks: Ints) -> Bools:
        """Return the truth for numbers, shape (n,); `ticks` has one for all or one for each."""
        if self.shift is None:
            return _within(values, self.intervals)
        now = ticks / 2
        truth: Bools = (values >= now + self.shift.least) & (values <= now + self.shift.greatest)
        return truth

    def next_flip(self, values: Floats, ticks: Ints) -> Ints | None:
        """Return the tick of the next change for each number, `FAR` for none."""
        if self.shift is None:
            return None
        doubled = np.where(np.isnan(values), float(FAR), 2 * values)
        found = np.full(len(values), FAR, np.int64)
        for flip in self.shift.flips:
            at = np.where(doubled < FAR // 2, doubled + flip, FAR).astype(np.int64)
            np.minimum(found, np.where(at > ticks, at, FAR), out=found)
        return found

    def evaluate_several(self, texts: list[str], tick: int) -> tuple[bool, int]:
        """Return the truth for a row of several values, and when it may change next."""
        instants = [instant for text in texts if (instant := parse_date(text)) is not None]
        flips = () if self.shift is None else self.shift.flips
        later = (at for each in instants for flip in flips if (at := 2 * each + flip) > tick)
        if self.shift is None:
            return self.holds(texts, tick >> 1), FAR
        now = tick / 2
        is_any = any(
            now + self.shift.least <= each <= now + self.shift.greatest for each in instants
        )
        return is_any, min(later, default=FAR)


def rows_of_several(column: NumberColumn, rows: Places) -> Iterable[tuple[int, list[str]]]:
    """Return those places in `rows` whose row has several values, with the values."""
    if not column.several:
        return
    for place, row in enumerate(rows.tolist()):
        texts = column.several.get(row)
        if texts is not None:
            yield place, texts


def _within(values: Floats, intervals: tuple[Interval, ...]) -> Bools:
    truth: Bools = np.zeros(len(values), np.bool_)
    for least, greatest in intervals:
        if least == -np.inf:
            truth |= values <= greatest
        elif greatest == np.inf:
            truth |= values >= least
        else:
            truth |= (values >= least) & (values <= greatest)
    return truth


def _fixed(test: Test) -> tuple[Interval, ...]:
    if test.type == "number":
        return number_intervals(test)
    first_ms, last_ms = date_window(test).at(0)
    return ((float(first_ms), float(last_ms)),)


def _shift(test: Test) -> Shift | None:
    if test.type != "date":
        return None
    window = date_window(test)
    match test.operator:
        case "within_last":
            return Shift(float(window.first_ms), np.inf, (1 - 2 * window.first_ms,))
        case "older_than":
            duration = -window.last_ms - 1
            return Shift(-np.inf, -duration - _LATER, (2 * duration + 1,))
        case "within_next":
            return Shift(_LATER, float(window.last_ms), (-2 * window.last_ms, 0))
    return None
