"""Columns of numbers.

Dates are ms since 1970: a double holds all of them exactly.
"""

from collections.abc import Callable

import numpy as np

from actors.audiences.engine.arrays import Floats
from actors.audiences.engine.growing import Growing
from actors.audiences.values import StoredValue, parse_date, parse_number

_NONE = np.nan

Parser = Callable[[str], float | None]


def number_of(text: str) -> float | None:
    """Return the number that a text stands for, `None` if it is none."""
    return parse_number(text)


def instant_of(text: str) -> float | None:
    """Return the ms that a text stands for, `None` if it is no date."""
    instant = parse_date(text)
    return None if instant is None else float(instant)


class NumberColumn:
    """One number per row, NaN for none.

    Rows that have several (a list, several devices) are few; they are kept apart, as texts.
    """

    def __init__(self, rows: int, parse: Parser) -> None:
        self._values = Growing(np.float64, _NONE)
        self.several: dict[int, list[str]] = {}
        self._parse = parse
        self.know(rows)

    @property
    def values(self) -> Floats:
        """The number of each row."""
        return self._values.array

    @property
    def nbytes(self) -> int:
        """The bytes of the array."""
        return self._values.nbytes

    def know(self, rows: int) -> None:
        """Make room for rows; new ones have no number."""
        self._values.grow(rows)

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
