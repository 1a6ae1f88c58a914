"""`first_occurrence` and `last_occurrence`, and their timestamps."""

from collections.abc import Callable, Iterable, Sequence
from struct import Struct as Packing
from typing import Literal, NamedTuple

import msgspec

from actors.calculated.definition import MAX_VALUE_LENGTH, Datapoint
from actors.calculated.functions.contract import Takes
from actors.calculated.numbers import timestamp_text
from actors.calculated.state import Seed, Value
from actors.calculated.window import Column, Kept, Layout, Window

_packed_time = Packing("q")


class Occurrence(NamedTuple):
    """A value with where its row stands: (t, position in the batch and product index)."""

    time_ms: int
    place: int
    text: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, int, str]).decode


class FirstOccurrence:
    """The value of the first row; of rows that stand at one place the one that came first."""

    name = "first_occurrence"
    trigger: Literal["sync", "async"] = "async"
    takes: Takes = "value"
    weighs = False
    is_zero_when_empty = False

    def columns(self, datapoint: Datapoint) -> tuple[Column, ...]:
        """See `Function`."""
        return ("place", "code")

    def content(self, text: str, weight: float) -> str:
        """See `Function`."""
        return text[:MAX_VALUE_LENGTH]

    def add(self, data: bytes, rows: Sequence[Kept], seed: Seed | None) -> bytes:
        """See `Function`."""
        kept = Occurrence(*_decode(data)) if data else None
        for row in rows:
            if kept is None or self._replaces(row, kept):
                kept = Occurrence(row.time_ms, row.place, str(row.content))
        return _encode(kept)

    def accumulated(self, data: bytes) -> str:
        """See `Function`."""
        return _decode(data)[2]

    def windowed(self, layout: Layout, window: Window) -> str:
        """See `Function`."""
        row = self._chosen(layout.times(window), layout.column(window, "place"))
        text: str = window.texts[layout.column(window, "code")[row]]
        return text

    def result(self, summary: str | None, seed: Seed | None) -> Value:
        """See `Function`."""
        return summary if seed is None else seed.text

    def _replaces(self, row: Kept, kept: Occurrence) -> bool:
        return (row.time_ms, row.place) < (kept.time_ms, kept.place)

    def _chosen(self, times: Sequence[int], places: Sequence[int]) -> int:
        row = 0
        for other in range(1, len(times)):
            if times[other] != times[0]:
                break
            if places[other] < places[row]:
                row = other
        return row


class LastOccurrence(FirstOccurrence):
    """The value of the last row; of rows that stand at one place the one that came last."""

    name = "last_occurrence"

    def result(self, summary: str | None, seed: Seed | None) -> Value:
        """See `Function`."""
        return seed.text if summary is None and seed is not None else summary

    def _replaces(self, row: Kept, kept: Occurrence) -> bool:
        return (row.time_ms, row.place) >= (kept.time_ms, kept.place)

    def _chosen(self, times: Sequence[int], places: Sequence[int]) -> int:
        row = end = len(times) - 1
        for other in range(end - 1, -1, -1):
            if times[other] != times[end]:
                break
            if places[other] > places[row]:
                row = other
        return row


class OccurrenceTime:
    """The least or the greatest time of a row; with a seed, that stands for the first one."""

    trigger: Literal["sync", "async"] = "async"
    takes: Takes = "time"
    weighs = False
    is_zero_when_empty = False

    def __init__(self, name: str, choose: Callable[[Iterable[int]], int], is_first: bool) -> None:
        """Args: `choose`: `min` or `max`."""
        self.name = name
        self._choose = choose
        self._is_first = is_first

    def columns(self, datapoint: Datapoint) -> tuple[Column, ...]:
        """See `Function`."""
        return ("stamp",) if datapoint.is_stamped_at_receipt else ()

    def content(self, text: str, weight: float) -> str:
        """See `Function`."""
        return text

    def add(self, data: bytes, rows: Sequence[Kept], seed: Seed | None) -> bytes:
        """See `Function`."""
        times = [row.content for row in rows if isinstance(row.content, int)]
        if data:
            times.append(self.accumulated(data))
        return _packed_time.pack(self._choose(times))

    def accumulated(self, data: bytes) -> int:
        """See `Function`."""
        time_ms: int = _packed_time.unpack(data)[0]
        return time_ms

    def windowed(self, layout: Layout, window: Window) -> int:
        """See `Function`."""
        if layout.has("stamp"):
            return self._choose(layout.column(window, "stamp"))
        times = layout.times(window)
        return times[0] if self._is_first else times[-1]

    def result(self, summary: int | None, seed: Seed | None) -> Value:
        """See `Function`."""
        if seed is not None and (self._is_first or summary is None):
            return timestamp_text(int(seed.number))
        return None if summary is None else timestamp_text(summary)
