"""What criteria are evaluated over: some rows at an instant, and when their truth changes next."""

import numpy as np
from msgspec import Struct

from actors.audiences.engine.arrays import FAR, Ints, Places
from actors.audiences.engine.entries import Entries


class Moment(Struct, frozen=True):
    """Rows, and the ticks of evaluation: one for all rows (shape (1,)) or one for each.

    `entries` are those of the rows, `None` where no criterion of the plan looks at events.
    """

    rows: Places
    ticks: Ints
    entries: Entries | None

    def tick_of(self, places: Ints) -> Ints:
        """Return the ticks of these places in `rows`; of one element if all are alike."""
        return self.ticks[places] if len(self.ticks) > 1 else self.ticks

    def window_column(self, places: Ints) -> Ints:
        """Return for each place its column in tables of shape (windows, ticks)."""
        return places if len(self.ticks) > 1 else np.zeros(len(places), np.int64)


class Flips:
    """Ticks before which the truth of a line for a row is sure not to change.

    What has no tick does not change by the passing of time.
    """

    def __init__(self) -> None:
        self._lines: list[Ints] = []
        self._places: list[Ints] = []
        self._ticks: list[Ints] = []

    def add(self, lines: Ints, places: Ints, ticks: Ints) -> None:
        """Add ticks, one for each line and place; those that are `FAR` say nothing."""
        coming = np.flatnonzero(ticks < FAR)
        if len(coming):
            self._lines.append(lines[coming])
            self._places.append(places[coming])
            self._ticks.append(ticks[coming])

    def by_row(self, rows: int) -> Ints:
        """Return the first tick of each row."""
        first = np.full(rows, FAR, np.int64)
        for places, ticks in zip(self._places, self._ticks, strict=True):
            np.minimum.at(first, places, ticks)
        return first

    def table(self, lines: int, places: Ints, rows: int) -> Ints:
        """Return the first tick of every line for some places, shape (lines, len(places))."""
        column = np.full(rows, -1, np.int64)
        column[places] = np.arange(len(places))
        table = np.full(lines * len(places), FAR, np.int64)
        for line, place, ticks in zip(self._lines, self._places, self._ticks, strict=True):
            wanted = np.flatnonzero(column[place] >= 0)
            at = line[wanted] * len(places) + column[place[wanted]]
            np.minimum.at(table, at, ticks[wanted])
        return table.reshape(lines, len(places))
