"""Whether a user belongs to the population at all (spec/audiences.md, 5, rule 10)."""

from collections.abc import Hashable

import numpy as np

from actors.audiences.engine.arrays import FAR, Bytes, pack
from actors.audiences.engine.moment import FINAL, Flips, Moment
from actors.audiences.engine.rows import Rows


class PopulationFamily:
    """The one leaf of its kind."""

    size = 1

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def line_of(self, leaf: Hashable) -> int:
        """Return the line of the leaf."""
        return 0

    def evaluate(self, moment: Moment, lines: Bytes, first_line: int, flips: Flips) -> None:
        """Compare with the end of each lifetime."""
        until = 2 * np.minimum(self._rows.alive_until_ms.array[moment.rows], FAR // 4)
        alive = until >= moment.ticks
        pack(alive[None], lines)
        places = np.arange(len(until), dtype=np.int64)
        ends = np.where(alive, until + 1, FAR)
        flips.add(np.full(len(until), first_line), places, ends, FINAL)

    def explain(self, leaf: Hashable, moment: Moment) -> object:
        """Return when the lifetime of the first row is over, in ms."""
        return {"alive_until_ms": int(self._rows.alive_until_ms.array[moment.rows[0]])}
