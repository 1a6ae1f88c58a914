"""Tests of numbers as intervals that may move with now."""

from math import inf

from actors.audiences.criteria import Test
from actors.audiences.engine.arrays import FAR
from actors.audiences.intervals import Interval, number_intervals
from actors.audiences.predicates import PRESENCE_OPERATORS, timed_predicate
from actors.audiences.values import parse_date
from actors.audiences.windows import date_window

_MOST_INTERVALS = 8
_LATER = 0.25  # less than half a ms: what is not at an instant or before is after it


def suits_numbers(test: Test) -> bool:
    """Tell whether a number column can answer a test: few intervals, fixed or moving."""
    if test.operator in PRESENCE_OPERATORS or test.value_ref is not None:
        return False
    if test.type == "date":
        return True
    return test.type == "number" and len(number_intervals(test)) <= _MOST_INTERVALS


class NumberTest:
    """One test.

    Attributes:
        intervals: the numbers that pass; in ms from now on if the test moves.
        moves: whether it does.
        flips: a value v changes sides at tick 2v + each of these.
    """

    def __init__(self, test: Test) -> None:
        self.intervals: tuple[Interval, ...]
        self.flips: tuple[int, ...] = ()
        self._holds = timed_predicate(test)
        if test.type == "number":
            self.intervals = number_intervals(test)
        else:
            self._set_window(test)
        self.moves = bool(self.flips)

    def evaluate_several(self, texts: list[str], tick: int) -> tuple[bool, int]:
        """Return the truth for a row of several values, and when it may change next."""
        if not self.moves:
            return self._holds(texts, tick >> 1), FAR
        now = tick / 2
        instants = [instant for text in texts if (instant := parse_date(text)) is not None]
        coming = (at for each in instants for flip in self.flips if (at := 2 * each + flip) > tick)
        holds = any(
            now + least <= each <= now + greatest
            for each in instants
            for least, greatest in self.intervals
        )
        return holds, min(coming, default=FAR)

    def _set_window(self, test: Test) -> None:
        window = date_window(test)
        match test.operator:
            case "within_last":
                self.intervals = ((float(window.first_ms), inf),)
                self.flips = (1 - 2 * window.first_ms,)
            case "older_than":
                duration = -window.last_ms - 1
                self.intervals = ((-inf, -duration - _LATER),)
                self.flips = (2 * duration + 1,)
            case "within_next":
                self.intervals = ((_LATER, float(window.last_ms)),)
                self.flips = (-2 * window.last_ms, 0)
            case _:
                first_ms, last_ms = window.at(0)
                self.intervals = ((float(first_ms), float(last_ms)),)
