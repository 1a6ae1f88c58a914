"""Where the windows of many criteria begin and end, at one instant or at one per row.

Source: spec/audiences.md, 3.3.
"""

import numpy as np

from actors.audiences.criteria import Recency
from actors.audiences.engine.arrays import FAR, Bools, Ints
from actors.audiences.values import EARLIEST_MS, LATEST_MS
from actors.audiences.windows import CalendarWindow, recency_window

_NEVER = -1  # in place of a gap: what is later than a window's end does not come into it


class WindowTable:
    """The windows of a plan, one line each.

    A window moves with now at its start, by the lookback at least, and perhaps at its end; the
    borders of a calendar period jump.

    Attributes:
        span: an entry with time t leaves with the close of t + span.
        gap: an entry comes in at t + gap, or with its close where `is_strict`; negative: never.
        calendar: line to calendar period.
    """

    def __init__(self, recencies: list[Recency], lookback_ms: int) -> None:
        size = len(recencies)
        self._first = np.full(size, EARLIEST_MS, np.int64)
        self._last = np.full(size, LATEST_MS, np.int64)
        self.span = np.full(size, lookback_ms, np.int64)
        self.gap = np.full(size, _NEVER, np.int64)
        self.is_strict: Bools = np.zeros(size, np.bool_)
        self.calendar: dict[int, CalendarWindow] = {}
        for line, recency in enumerate(recencies):
            window = recency_window(recency)
            if isinstance(window, CalendarWindow):
                self.calendar[line] = window
                continue
            if window.is_first_relative:
                self.span[line] = min(-window.first_ms, lookback_ms)
            else:
                self._first[line] = window.first_ms
            if not window.is_last_relative:
                self._last[line] = window.last_ms
            elif recency.type == "older_than":
                self.gap[line] = -window.last_ms - 1
                self.is_strict[line] = True
            else:
                self.gap[line] = -window.last_ms

    def at(self, ticks: Ints) -> tuple[Ints, Ints]:
        """Return the first and the last ms of every window.

        Args:
            ticks: shape (n,).

        Returns:
            Both of shape (windows, n); both borders are included.
        """
        closed, begun = (ticks + 1) >> 1, ticks >> 1
        first = np.maximum(self._first[:, None], closed - self.span[:, None])
        gap = self.gap[:, None]
        moving = np.where(self.is_strict[:, None], closed - gap - 1, begun - gap)
        last = np.where(gap < 0, self._last[:, None], moving)
        for line, window in self.calendar.items():
            spans = [window.at(int(now_ms)) for now_ms in begun]
            first[line] = np.maximum(first[line], [span[0] for span in spans])
            last[line] = [span[1] for span in spans]
        return first, last

    def leaves_at(self, windows: Ints, times: Ints) -> Ints:
        """Return the ticks when entries with these times leave these windows."""
        return 2 * (times + self.span[windows]) + 1

    def enters_at(self, windows: Ints, times: Ints) -> Ints:
        """Return the ticks when entries later than these windows come in; `FAR`: never."""
        gap = self.gap[windows]
        enters: Ints = np.where(gap < 0, FAR, 2 * (times + gap) + self.is_strict[windows])
        return enters

    def jumps_at(self, ticks: Ints) -> Ints:
        """Return when the borders of calendar periods are others next, shape (windows, n).

        `FAR` for every other window.
        """
        jumps = np.full((len(self.span), len(ticks)), FAR, np.int64)
        for line, window in self.calendar.items():
            jumps[line] = [2 * window.next_jump_ms(int(tick) >> 1) for tick in ticks]
        return jumps
