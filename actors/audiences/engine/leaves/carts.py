"""Criteria on what was put into a cart and not bought (`cart_abandonment`)."""

from collections.abc import Hashable

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import Recency
from actors.audiences.engine.arrays import FAR, Bytes, Ints, pack
from actors.audiences.engine.cells import Cells, SeriesTable
from actors.audiences.engine.entries import Entries
from actors.audiences.engine.moment import Flips, Moment
from actors.audiences.engine.streams import Stream


class CartLeaf(Struct, frozen=True):
    """The newest entry of `added` inside the window waits, and none of `bought` came since."""

    added: Stream
    bought: Stream
    wait_ms: int
    recency: Recency


class CartFamily:
    """The cart leaves of a plan, with the numbers of their streams (added, bought)."""

    def __init__(self, leaves: dict[CartLeaf, tuple[int, int]], lookback_ms: int) -> None:
        self.size = len(leaves)
        self._lines: dict[Hashable, int] = {leaf: line for line, leaf in enumerate(leaves)}
        self._wait_ms = np.array([leaf.wait_ms for leaf in leaves], np.int64)
        added = [(numbers[0], leaf.recency) for leaf, numbers in leaves.items()]
        bought = [(numbers[1], Recency()) for numbers in leaves.values()]
        self._added = SeriesTable(added, lookback_ms)
        self._bought = SeriesTable(bought, lookback_ms)

    def line_of(self, leaf: Hashable) -> int:
        """Return the line of a leaf."""
        return self._lines[leaf]

    def evaluate(self, moment: Moment, lines: Bytes, first_line: int, flips: Flips) -> None:
        """Compare the newest of both."""
        entries = moment.entries
        assert entries is not None, "a plan with cart leaves reads entries"
        rows = len(moment.rows)
        bought = self._bought.cells(moment, entries)
        bought_ms = np.full((self.size, rows), -FAR, np.int64)
        bought_ms[bought.series, bought.place] = entries.t_ms[bought.run_end - 1]
        cells = self._added.cells(moment, entries)
        newest = np.where(cells.count > 0, cells.after - 1, -1)
        added_ms = np.where(newest >= 0, entries.t_ms[newest], FAR // 4)
        ready = 2 * (added_ms + self._wait_ms[cells.series])
        now = moment.tick_of(cells.place)
        waits = (newest >= 0) & (bought_ms[cells.series, cells.place] < added_ms)
        truth = np.zeros((self.size, rows), np.bool_)
        holds = waits & (ready <= now)
        truth[cells.series, cells.place] = holds
        pack(truth, lines)
        ticks = self._added.flips(moment, entries, cells, newest)
        ticks = np.minimum(ticks, np.where(waits & (ready > now), ready, FAR))
        # When the newest leaves all others have left.
        sure = self._added.only_leaves(cells.series) & (holds | (ticks == ready))
        flips.add(cells.series + first_line, cells.place, ticks, sure)
        self._add_changes(entries, first_line, flips)

    def explain(self, leaf: Hashable, moment: Moment) -> object:
        """Return when something was put in and bought last by the first row."""
        entries = moment.entries
        assert entries is not None, "a plan with cart leaves reads entries"
        line = self._lines[leaf]
        return {
            "added_ms": _newest(entries, self._added.cells(moment, entries), line),
            "bought_ms": _newest(entries, self._bought.cells(moment, entries), line),
        }

    def _add_changes(self, entries: Entries, first_line: int, flips: Flips) -> None:
        places, streams, ticks = entries.changes
        for table in (self._added, self._bought):
            which, series = table.of_streams(streams.astype(np.int64))
            flips.add(series + first_line, places[which], ticks[which])


def _newest(entries: Entries, cells: Cells, series: int) -> int | None:
    found: Ints = np.flatnonzero((cells.series == series) & (cells.place == 0) & (cells.count > 0))
    return int(entries.t_ms[cells.after[found[0]] - 1]) if len(found) else None
