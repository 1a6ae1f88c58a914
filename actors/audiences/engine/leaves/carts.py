"""Criteria on what was put into a cart and not bought (`cart_abandonment`)."""

from collections.abc import Hashable

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import Recency
from actors.audiences.engine.arrays import FAR, Bytes, Ints, pack
from actors.audiences.engine.cells import OwnSeries, Series, SeriesTable
from actors.audiences.engine.moment import FINAL, SURE, UNSURE, Flips, Moment
from actors.audiences.engine.streams import Stream


class CartLeaf(Struct, frozen=True):
    """The newest entry of `added` inside the window waits, and none of `bought` came since."""

    added: Stream
    bought: Stream
    wait_ms: int
    recency: Recency


class CartFamily:
    """The cart leaves of a plan.

    Args:
        leaves: with their series (added, bought).
        table: has all of them.
    """

    def __init__(self, leaves: dict[CartLeaf, tuple[Series, Series]], table: SeriesTable) -> None:
        self.size = len(leaves)
        self._lines: dict[Hashable, int] = {leaf: line for line, leaf in enumerate(leaves)}
        self._wait_ms = np.array([leaf.wait_ms for leaf in leaves], np.int64)
        # The number of a series is the line of its leaf.
        self._added = OwnSeries([added for added, _ in leaves.values()], table)
        self._bought = OwnSeries([bought for _, bought in leaves.values()], table)

    def line_of(self, leaf: Hashable) -> int:
        """Return the line of a leaf."""
        return self._lines[leaf]

    def evaluate(self, moment: Moment, lines: Bytes, first_line: int, flips: Flips) -> None:
        """Compare the newest of both."""
        entries, cells = moment.seen()
        rows = len(moment.rows)
        bought = self._bought.cells(cells)
        bought_ms = np.full(self.size * rows, -FAR, np.int64)
        bought_ms[bought.series * rows + bought.place] = entries.t_ms[bought.run_end - 1]
        added = self._added.cells(cells)
        line, place = added.series, added.place
        at = line * rows + place
        added_ms = np.where(added.count > 0, entries.t_ms[added.after - 1], -1)
        changes_at = np.where(added_ms >= 0, self._added.leaves_at(line, added_ms), FAR)
        comes_at = self._added.comes_at(moment.ticks, entries, added)
        if comes_at is not None:
            changes_at = np.minimum(changes_at, comes_at)
        only_leaves = self._added.only_leaves(line)
        ready = 2 * (added_ms + self._wait_ms[line])
        now = moment.tick_of(place)
        waits = (added_ms >= 0) & (bought_ms[at] < added_ms)
        holds = waits & (ready <= now)
        truth = np.zeros(self.size * rows, np.bool_)
        truth[at] = holds
        pack(truth.reshape(self.size, rows), lines)
        changes = np.where(holds | ~only_leaves, changes_at, FAR)
        comes = waits & (ready > now) & (ready < changes_at)
        ticks = np.minimum(changes, np.where(comes, ready, FAR))
        # When the newest leaves all others have left, unless one begins to count by itself.
        sure = only_leaves
        places, streams, changes = entries.changes
        if len(places):
            is_changing = np.zeros(self.size * rows, np.bool_)
            for series in (self._added, self._bought):
                which, changing = series.of_streams(streams)
                flips.add(changing + first_line, places[which], changes[which])
                is_changing[changing * rows + places[which]] = True
            sure = only_leaves & ~is_changing[at]

        def known() -> Ints:
            return np.where(sure, np.where(holds, FINAL, SURE), UNSURE)

        flips.add(line + first_line, place, ticks, known)

    def explain(self, leaf: Hashable, moment: Moment) -> object:
        """Return when something was put in and bought last by the first row."""
        line = self._lines[leaf]
        return {
            "added_ms": _newest(moment, self._added, line),
            "bought_ms": _newest(moment, self._bought, line),
        }


def _newest(moment: Moment, series: OwnSeries, line: int) -> int | None:
    entries, cells = moment.seen()
    cells = series.cells(cells)
    wanted = (cells.series == line) & (cells.place == 0) & (cells.count > 0)
    found = wanted.nonzero()[0]
    return int(entries.t_ms[cells.after[found[0]] - 1]) if len(found) else None
