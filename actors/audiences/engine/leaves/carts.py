"""Criteria on what was put into a cart and not bought (`cart_abandonment`)."""

from collections.abc import Hashable

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import Recency
from actors.audiences.engine.arrays import FAR, Bytes, pack
from actors.audiences.engine.cells import SharedSeries
from actors.audiences.engine.entries import Entries
from actors.audiences.engine.moment import FINAL, SURE, UNSURE, Flips, Moment
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
        self._added = SharedSeries(added, lookback_ms)
        self._bought = SharedSeries(bought, lookback_ms)

    def line_of(self, leaf: Hashable) -> int:
        """Return the line of a leaf."""
        return self._lines[leaf]

    def evaluate(self, moment: Moment, lines: Bytes, first_line: int, flips: Flips) -> None:
        """Compare the newest of both."""
        entries = moment.entries
        assert entries is not None, "a plan with cart leaves reads entries"
        rows = len(moment.rows)
        bought = self._bought.table.cells(moment, entries)
        bought_ms = np.full((self._bought.size, rows), -FAR, np.int64)
        bought_ms[bought.series, bought.place] = entries.t_ms[bought.run_end - 1]
        table = self._added.table
        cells = table.cells(moment, entries)
        added_ms = np.where(cells.count > 0, entries.t_ms[cells.after - 1], -1)
        leaves_at = np.where(added_ms >= 0, table.leaves_at(cells.series, added_ms), FAR)
        comes_at = table.comes_at(moment, entries, cells)
        changes_at = leaves_at if comes_at is None else np.minimum(leaves_at, comes_at)
        only_leaves = table.only_leaves(cells.series)
        cell, line = self._added.users(cells.series)
        place, added_ms = cells.place[cell], added_ms[cell]
        ready = 2 * (added_ms + self._wait_ms[line])
        now = moment.tick_of(place)
        waits = (added_ms >= 0) & (bought_ms[self._bought.of_user[line], place] < added_ms)
        holds = waits & (ready <= now)
        truth = np.zeros((self.size, rows), np.bool_)
        truth[line, place] = holds
        pack(truth, lines)
        changes = np.where(holds | ~only_leaves[cell], changes_at[cell], FAR)
        comes = waits & (ready > now) & (ready < changes_at[cell])
        ticks = np.minimum(changes, np.where(comes, ready, FAR))
        # When the newest leaves all others have left.
        known = np.where(only_leaves[cell], np.where(holds, FINAL, SURE), UNSURE)
        flips.add(line + first_line, place, ticks, known)
        places, streams, changes = entries.changes
        for series in (self._added, self._bought):
            which, found = series.table.of_streams(streams)
            each, line = series.users(found)
            flips.add(line + first_line, places[which][each], changes[which][each])

    def explain(self, leaf: Hashable, moment: Moment) -> object:
        """Return when something was put in and bought last by the first row."""
        entries = moment.entries
        assert entries is not None, "a plan with cart leaves reads entries"
        line = self._lines[leaf]
        return {
            "added_ms": _newest(moment, entries, self._added, line),
            "bought_ms": _newest(moment, entries, self._bought, line),
        }


def _newest(moment: Moment, entries: Entries, series: SharedSeries, line: int) -> int | None:
    cells = series.table.cells(moment, entries)
    wanted = (cells.series == series.of_user[line]) & (cells.place == 0) & (cells.count > 0)
    found = np.flatnonzero(wanted)
    return int(entries.t_ms[cells.after[found[0]] - 1]) if len(found) else None
