"""The rows of a range that moves, packed (spec/calculated-attributes.md, 4 and 9).

Rows are sorted by event time, those of one time as they arrived. Each is a record of eight-byte
and four-byte fields, only those that its function reads: a row of `count` takes eight bytes. All
records have one length, so a column is every n-th field, and adding a row is one concatenation.

What is kept begins with eight bytes, used by functions for which the order of arrival counts: how
many events have come so far, and whether a usable row was ever among them. For all others that
something is kept says that there was a usable row.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import itemgetter
from struct import Struct as Packing
from typing import Any, Literal

from actors.calculated.rows import Kept

Column = Literal["number", "weight", "stamp", "digest", "code", "place", "arrival", "usable"]

_TYPES: dict[Column, str] = {
    "number": "d",
    "weight": "d",
    "stamp": "q",
    "digest": "Q",
    "code": "I",
    "place": "I",
    "arrival": "I",
    "usable": "I",
}
_header = Packing("II")
_time = Packing("q")
_short = Packing("I")
_read_time = _time.unpack_from
_HEADER_SIZE = _header.size
_NO_ROWS = bytes(_HEADER_SIZE)

_MOST_STEPS = 16  # back from the end, before the place of a row is looked up

# Texts that no row has any more are dropped once they are most of them.
MIN_TEXTS = 16


class Layout:
    """Reads and changes the kept rows of one definition."""

    def __init__(self, columns: Sequence[Column], last_events: int = 0) -> None:
        """Set up.

        Args:
            columns: those that the function reads.
            last_events: how many events count; 0: all that are in the range.
        """
        used = list(columns)
        if last_events:
            used += [name for name in _OF_EVENTS if name not in used]
        used.sort(key=lambda name: _TYPES[name] == "I")  # eight-byte fields are aligned
        self.columns = tuple(used)
        narrow = sum(_TYPES[name] == "I" for name in used)
        pattern = "q" + "".join(_TYPES[name] for name in used) + "4x" * (narrow % 2)
        self._record = Packing("=" + pattern)
        self.size = self._record.size
        self._places = {name: self._place(name) for name in used}
        self._has_arrivals, self._has_codes = "arrival" in used, "code" in used
        self._fields_of = itemgetter(0, *(_FIELDS[name] for name in used))  # 0: the time
        self._is_of_content = self.columns in (("number",), ("digest",), ("stamp",))
        self._last_events = last_events

    def add(self, data: bytes, texts: list[str], time_ms: int, rows: Sequence[Kept]) -> bytes:
        """Return what is kept with the usable rows of one qualifying event, which may have none.

        `texts` is what codes stand for; new ones are appended.
        """
        if not self.columns:
            records = _time.pack(time_ms) * len(rows)
        elif self._is_of_content:
            pack = self._record.pack
            records = pack(time_ms, rows[0][2])
            for row in rows[1:]:
                records += pack(time_ms, row[2])
        else:
            arrived = 0
            if self._has_arrivals:
                arrived, had_rows = _header.unpack_from(data) if data else (0, 0)
                arrived += 1
                data = _header.pack(arrived, had_rows or bool(rows)) + data[_HEADER_SIZE:]
            records = b"".join([self._packed(texts, arrived, row) for row in rows])
            if not rows:
                records = self._packed(texts, arrived, (time_ms, 0, 0, 0.0), usable=0)
        size = self.size
        at = len(data)
        # Nearly all come in order, and others are late by a few.
        while at > _HEADER_SIZE and _read_time(data, at - size)[0] > time_ms:
            at -= size
            if len(data) - at >= _MOST_STEPS * size:
                at = _HEADER_SIZE + bisect_right(self.times(data), time_ms) * size
                break
        if at == len(data):
            return (data or _NO_ROWS) + records
        return data[:at] + records + data[at:]

    def note_row(self, data: bytes) -> bytes:
        """Return what is kept after a usable row that came when it was out of the range already."""
        return _header.pack(_header.unpack_from(data or _NO_ROWS)[0], 1) + data[_HEADER_SIZE:]

    def drop_before(self, data: bytes, time_ms: int) -> bytes:
        """Return what is kept without the rows that are older."""
        if len(data) <= _HEADER_SIZE or _read_time(data, _HEADER_SIZE)[0] >= time_ms:
            return data
        gone = bisect_left(self.times(data), time_ms)
        return data[:_HEADER_SIZE] + data[_HEADER_SIZE + gone * self.size :]

    def drop_superseded(self, data: bytes) -> bytes:
        """Return what is kept with the newest events only, of those that arrived last if equal."""
        ordered = self.column(data, "arrival")
        events = list(dict.fromkeys(ordered))
        surplus = len(events) - self._last_events
        if surplus <= 0:
            return data
        gone = ordered.index(events[surplus])  # rows of one event stand together
        return data[:_HEADER_SIZE] + data[_HEADER_SIZE + gone * self.size :]

    def usable(self, data: bytes) -> bytes:
        """Return what is kept without the events that have no usable row."""
        if "usable" not in self._places:
            return data
        return data[:_HEADER_SIZE] + b"".join(
            data[_HEADER_SIZE + row * self.size : _HEADER_SIZE + (row + 1) * self.size]
            for row, is_usable in enumerate(self.column(data, "usable"))
            if is_usable
        )

    def forget_texts(self, data: bytes, texts: list[str]) -> tuple[bytes, list[str]]:
        """Return what is kept, and its texts, without texts that no row has, if they are many."""
        used = sorted(set(self.column(data, "code")))
        if len(used) * 2 > len(texts):
            return data, texts
        renamed = {code: place for place, code in enumerate(used)}
        offset, stride = self._places["code"]
        fields = array("I", data)
        for field in range(offset, len(fields), stride):
            fields[field] = renamed[fields[field]]
        return fields.tobytes(), [texts[code] for code in used]

    def had_rows(self, data: bytes) -> bool:
        """Tell whether a usable row has ever come."""
        return bool(data) and (not self._has_arrivals or bool(_header.unpack_from(data)[1]))

    def count(self, data: bytes) -> int:
        """Return how many rows are kept."""
        return (len(data) - _HEADER_SIZE) // self.size if data else 0

    def first_ms(self, data: bytes) -> int | None:
        """Return the earliest event time, `None` if no rows are kept."""
        first_ms: int | None = None
        if len(data) > _HEADER_SIZE:
            (first_ms,) = _read_time(data, _HEADER_SIZE)
        return first_ms

    def time_ms(self, data: bytes, row: int) -> int:
        """Return the event time of one row, counted from 0."""
        time_ms: int = _read_time(data, _HEADER_SIZE + row * self.size)[0]
        return time_ms

    def field(self, data: bytes, name: Column, row: int) -> int:
        """Return the entry of one row of a column of four-byte integers."""
        offset, stride = self._places[name]
        entry: int = _short.unpack_from(data, (offset + row * stride) * 4)[0]
        return entry

    def times(self, data: bytes) -> "array[int]":
        """Return the event time of each row, ascending."""
        return array("q", data)[1 :: self.size // 8]

    def column(self, data: bytes, name: Column) -> "array[Any]":
        """Return a column that the layout has, one entry a row."""
        offset, stride = self._places[name]
        return array(_TYPES[name], data)[offset::stride]

    def has(self, name: Column) -> bool:
        """Tell whether there is such a column."""
        return name in self._places

    def _place(self, name: Column) -> tuple[int, int]:
        """Return where a column begins and how far apart its entries are, in its own fields."""
        before = self.columns[: self.columns.index(name)]
        offset = _HEADER_SIZE + 8 + sum(array(_TYPES[each]).itemsize for each in before)
        width = array(_TYPES[name]).itemsize
        return offset // width, self.size // width

    def _packed(self, texts: list[str], arrived: int, row: Kept, usable: int = 1) -> bytes:
        code = _code(texts, row[2]) if self._has_codes and usable else 0
        return self._record.pack(*self._fields_of((*row, code, arrived, usable)))


# Where a field is found: in a row as it is kept, with code, arrival and usability behind it.
_FIELDS: dict[Column, int] = {
    "place": 1,
    "number": 2,
    "stamp": 2,
    "digest": 2,
    "weight": 3,
    "code": 4,
    "arrival": 5,
    "usable": 6,
}


_OF_EVENTS: tuple[Column, ...] = ("arrival", "usable")


def _code(texts: list[str], content: object) -> int:
    text = str(content)
    try:
        return texts.index(text)
    except ValueError:
        texts.append(text)
        return len(texts) - 1


class Window:
    """The usable rows of a range, to be read by a function."""

    __slots__ = ("_data", "_layout", "texts")

    def __init__(self, layout: Layout, data: bytes, texts: list[str]) -> None:
        """Args: `data`: without events that have no usable row; `texts`: what codes stand for."""
        self._layout = layout
        self._data = data
        self.texts = texts

    def has(self, name: Column) -> bool:
        """Tell whether there is such a column."""
        return self._layout.has(name)

    def column(self, name: Column) -> "array[Any]":
        """Return a column that the function has asked for, one entry a row."""
        return self._layout.column(self._data, name)

    def times(self) -> "array[int]":
        """Return the event time of each row, ascending."""
        return self._layout.times(self._data)

    def count(self) -> int:
        """Return how many rows there are."""
        return self._layout.count(self._data)

    def time_ms(self, row: int) -> int:
        """Return the event time of one row, counted from 0."""
        return self._layout.time_ms(self._data, row)

    def field(self, name: Column, row: int) -> int:
        """Return the entry of one row of a column of four-byte integers."""
        return self._layout.field(self._data, name, row)
