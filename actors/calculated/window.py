"""The usable rows of a range that moves, in columns (spec/calculated-attributes.md, 4 and 9).

Rows are sorted by event time, those of one time as they arrived. Columns are packed, eight bytes or
four an entry; a function has only those that it reads, so that a row of `count` takes eight bytes.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from struct import Struct as Packing
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

Column = Literal["number", "weight", "stamp", "digest", "code", "place", "arrival"]


class Kept(NamedTuple):
    """What of a row goes into a window.

    `content` is what the function takes: a number, a stamp in ms, a digest, a text.
    """

    time_ms: int
    place: int  # position in the batch and index in the event: 65,536 x position + index
    content: float | int | str | None
    weight: float


_PACKINGS: dict[Column | Literal["time"], Packing] = {
    "time": Packing("q"),
    "number": Packing("d"),
    "weight": Packing("d"),
    "stamp": Packing("q"),
    "digest": Packing("Q"),
    "code": Packing("I"),
    "place": Packing("I"),
    "arrival": Packing("I"),
}

# Texts that no row has any more are dropped once they are most of them.
_MIN_TEXTS = 16


class Window(Struct, array_like=True):
    """Rows of one calculated attribute of one user.

    Attributes:
        arrived: how many qualifying events have come so far; numbers them in order of arrival.
        had_rows: a usable row has ever come.
        times: event time of each row.
        columns: the other columns, in the order of `Layout.columns`.
        texts: what codes stand for.
        event_times, event_arrivals: of `last_events`: the newest qualifying events, also those
            without a usable row.
    """

    arrived: int = 0
    had_rows: bool = False
    times: bytes = b""
    columns: list[bytes] = []
    texts: list[str] = []
    event_times: bytes = b""
    event_arrivals: bytes = b""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Window).decode


class Layout:
    """Reads and changes windows of one definition."""

    def __init__(self, columns: Sequence[Column], last_events: int = 0) -> None:
        """Set up.

        Args:
            columns: those that the function reads.
            last_events: how many events count; 0: all that are in the range.
        """
        extra: tuple[Column, ...] = ("arrival",) if last_events and "arrival" not in columns else ()
        self.columns: tuple[Column, ...] = (*columns, *extra)
        self._places = {name: place for place, name in enumerate(self.columns)}
        self._last_events = last_events
        self._packers: list[tuple[int, Callable[..., bytes], Column]] = [
            (place, _PACKINGS[name].pack, name) for place, name in enumerate(self.columns)
        ]
        self._sizes = [_PACKINGS[name].size for name in self.columns]

    def open(self, data: bytes) -> Window:
        """Return the window that was kept; a new one for `b""`."""
        if data:
            return _decode(data)
        return Window(columns=[b""] * len(self.columns))

    def close(self, window: Window) -> bytes:
        """Return a window as it is kept."""
        return _encode(window)

    def add(self, window: Window, time_ms: int, rows: Sequence[Kept]) -> None:
        """Add the usable rows of one qualifying event, which may have none."""
        window.arrived += 1
        if self._last_events:
            self._add_event(window, time_ms)
        if not rows:
            return
        window.had_rows = True
        end = len(window.times) // 8
        if end and _PACKINGS["time"].unpack_from(window.times, (end - 1) * 8)[0] > time_ms:
            end = bisect_right(self.times(window), time_ms)
        for row in rows:
            self._insert(window, end, row)
            end += 1

    def first_time_ms(self, window: Window) -> int:
        """Return the event time of the first row; there is one."""
        time_ms: int = _PACKINGS["time"].unpack_from(window.times)[0]
        return time_ms

    def drop_before(self, window: Window, time_ms: int) -> None:
        """Let go of rows that are older."""
        if window.times and self.first_time_ms(window) < time_ms:
            self._drop(window, bisect_left(self.times(window), time_ms))

    def drop_superseded(self, window: Window) -> None:
        """Of `last_events`: let go of events that are not among the newest any more."""
        if not self._last_events:
            return
        surplus = len(window.event_times) // 8 - self._last_events
        if surplus <= 0:
            return
        window.event_times = window.event_times[surplus * 8 :]
        window.event_arrivals = window.event_arrivals[surplus * 4 :]
        oldest = (
            _PACKINGS["time"].unpack_from(window.event_times)[0],
            _PACKINGS["arrival"].unpack_from(window.event_arrivals)[0],
        )
        times, arrivals = self.times(window), self.column(window, "arrival")
        gone = bisect_left(range(len(times)), oldest, key=lambda at: (times[at], arrivals[at]))
        if gone:
            self._drop(window, gone)

    def times(self, window: Window) -> "array[int]":
        """Return the event time of each row, ascending."""
        return array("q", window.times)

    def column(self, window: Window, name: Column) -> "array[Any]":
        """Return a column that the layout has, one entry a row."""
        return array(_PACKINGS[name].format, window.columns[self._places[name]])

    def has(self, name: Column) -> bool:
        """Tell whether there is such a column."""
        return name in self._places

    def _add_event(self, window: Window, time_ms: int) -> None:
        times = array("q", window.event_times)
        at = bisect_right(times, time_ms)
        window.event_times = _inserted(window.event_times, at * 8, _PACKINGS["time"].pack(time_ms))
        window.event_arrivals = _inserted(
            window.event_arrivals, at * 4, _PACKINGS["arrival"].pack(window.arrived)
        )

    def _insert(self, window: Window, at: int, row: Kept) -> None:
        window.times = _inserted(window.times, at * 8, _PACKINGS["time"].pack(row.time_ms))
        columns = window.columns
        for place, pack, name in self._packers:
            entry: float | int | str | None
            match name:
                case "weight":
                    entry = row.weight
                case "place":
                    entry = row.place
                case "arrival":
                    entry = window.arrived
                case "code":
                    entry = self._code(window, str(row.content))
                case _:
                    entry = row.content
            columns[place] = _inserted(columns[place], at * self._sizes[place], pack(entry))

    def _code(self, window: Window, text: str) -> int:
        texts = window.texts
        try:
            return texts.index(text)
        except ValueError:
            texts.append(text)
            return len(texts) - 1

    def _drop(self, window: Window, count: int) -> None:
        window.times = window.times[count * 8 :]
        window.columns = [
            column[count * size :] for column, size in zip(window.columns, self._sizes, strict=True)
        ]
        if len(window.texts) > _MIN_TEXTS:
            self._forget_texts(window)

    def _forget_texts(self, window: Window) -> None:
        codes = self.column(window, "code")
        used = sorted(set(codes))
        if len(used) * 2 > len(window.texts):
            return
        renamed = {code: place for place, code in enumerate(used)}
        packed = b"".join(_PACKINGS["code"].pack(renamed[code]) for code in codes)
        window.texts = [window.texts[code] for code in used]
        window.columns[self._places["code"]] = packed


def _inserted(column: bytes, at: int, entry: bytes) -> bytes:
    if at == len(column):
        return column + entry
    return column[:at] + entry + column[at:]
