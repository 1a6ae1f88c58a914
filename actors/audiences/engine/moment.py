"""What criteria are evaluated over: some rows at an instant, and when their truth changes next."""

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from actors.audiences.engine.arrays import FAR, Ints, Places
from actors.audiences.engine.cells import Cells
from actors.audiences.engine.entries import Entries

FINAL, SURE, UNSURE = 0, 1, 2
NO_MARK = 4 * FAR


class Moment(Struct, frozen=True):
    """Rows, and the ticks of evaluation: one for all rows (shape (1,)) or one for each.

    `events` are the entries of the rows, and the cells of the plan's series in them; `None` where
    no criterion of the plan looks at events.
    """

    rows: Places
    ticks: Ints
    events: tuple[Entries, Cells] | None

    def seen(self) -> tuple[Entries, Cells]:
        """Return `events`, for criteria that look at them."""
        assert self.events is not None, "a plan with criteria on events reads entries"
        return self.events

    def tick_of(self, places: Ints) -> Ints:
        """Return the ticks of these places in `rows`; of one element if all are alike."""
        return self.ticks[places] if len(self.ticks) > 1 else self.ticks


Known = Ints | int | Callable[[], Ints]


class Flips:
    """Ticks before which the truth of a line for a row is sure not to change.

    What has no tick does not change by the passing of time. Kept are *marks*: four times the tick,
    plus what is known of it. `FINAL`: then the truth changes, and never again. `SURE`: then it
    changes. `UNSURE`: then it may change.
    """

    def __init__(self) -> None:
        self._added: list[tuple[Places, Places, Places, Ints, Known]] = []
        self._whole: list[tuple[Places, Ints]] = []

    def add(self, lines: Places, places: Places, ticks: Ints, known: Known = UNSURE) -> None:
        """Add ticks, one for each line and place; those that are `FAR` say nothing.

        `known`: of all of them, of each, or a function that finds it once somebody asks.
        """
        coming = (ticks < FAR).nonzero()[0]
        if len(coming):
            self._added.append((coming, lines, places[coming], ticks[coming], known))

    def add_whole(self, lines: Places, marks: Ints) -> None:
        """Add a mark for every row, shape (lines, rows); `NO_MARK` says nothing."""
        if len(lines):
            self._whole.append((lines, marks))

    def by_row(self, rows: int) -> Ints:
        """Return the first tick of each row."""
        first = np.full(rows, NO_MARK >> 2, np.int64)
        for _, whole in self._whole:
            np.minimum(first, whole.min(axis=0) >> 2, out=first)
        for _, _, places, ticks, _ in self._added:
            np.minimum.at(first, places, ticks)
        return first

    def table(self, lines: int, rows: int) -> Ints:
        """Return the first mark of every line for every row, shape (lines, rows)."""
        table = np.full(lines * rows, NO_MARK, np.int64)
        for coming, line, places, ticks, known in self._added:
            found = known() if callable(known) else known
            marks = 4 * ticks + (found if isinstance(found, int) else found[coming])
            np.minimum.at(table, line[coming] * rows + places, marks)
        marks_of: Ints = table.reshape(lines, rows)
        for of_lines, whole in self._whole:
            np.minimum.at(marks_of, of_lines, whole)
        return marks_of
