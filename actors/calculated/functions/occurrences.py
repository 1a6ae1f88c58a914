"""`first_occurrence` and `last_occurrence`, and their timestamps."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from struct import Struct as Packing
from typing import Literal

import msgspec

from actors.calculated.definition import MAX_VALUE_LENGTH, Datapoint
from actors.calculated.functions.contract import Takes
from actors.calculated.numbers import timestamp_text
from actors.calculated.rows import Kept
from actors.calculated.state import Seed, Value
from actors.calculated.window import Column, Window

_packed_time = Packing("q")


# A value after where its row stands: event time and place.
Occurrence = tuple[int, int, str]

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

    def widened(
        self, summary: Occurrence | None, rows: Sequence[Kept], seed: Seed | None
    ) -> Occurrence:
        """See `Function`."""
        kept = summary
        for time_ms, place, content, _ in rows:
            if kept is None or self._replaces((time_ms, place), kept[:2]):
                kept = (time_ms, place, str(content))
        assert kept is not None, "there is a row"
        return kept

    def packed(self, summary: Occurrence) -> bytes:
        """See `Function`."""
        return _encode(summary)

    def unpacked(self, data: bytes) -> Occurrence:
        """See `Function`."""
        return _decode(data)

    def windowed(self, window: Window, seed: Seed | None) -> Occurrence:
        """See `Function`."""
        row = self._chosen(window)
        text = window.texts[window.field("code", row)]
        return window.time_ms(row), window.field("place", row), text

    def result(self, summary: Occurrence | None, seed: Seed | None) -> Value:
        """See `Function`."""
        if seed is not None:
            return seed.text
        return None if summary is None else summary[2]

    def _replaces(self, at: tuple[int, int], kept: tuple[int, int]) -> bool:
        return at < kept

    def _chosen(self, window: Window) -> int:
        if window.count() == 1 or window.time_ms(0) < window.time_ms(1):
            return 0
        times, places = window.times(), window.column("place")
        return min(range(bisect_right(times, times[0])), key=places.__getitem__)


class LastOccurrence(FirstOccurrence):
    """The value of the last row; of rows that stand at one place the one that came last."""

    name = "last_occurrence"

    def result(self, summary: Occurrence | None, seed: Seed | None) -> Value:
        """See `Function`."""
        if summary is not None:
            return summary[2]
        return None if seed is None else seed.text

    def _replaces(self, at: tuple[int, int], kept: tuple[int, int]) -> bool:
        return at >= kept

    def _chosen(self, window: Window) -> int:
        last = window.count() - 1
        if last == 0 or window.time_ms(last - 1) < window.time_ms(last):
            return last
        times, places = window.times(), window.column("place")
        return max(range(last, bisect_left(times, times[-1]) - 1, -1), key=places.__getitem__)


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

    def widened(self, summary: int | None, rows: Sequence[Kept], seed: Seed | None) -> int:
        """See `Function`."""
        times = [time_ms for _, _, time_ms, _ in rows if isinstance(time_ms, int)]
        if summary is not None:
            times.append(summary)
        return self._choose(times)

    def packed(self, summary: int) -> bytes:
        """See `Function`."""
        return _packed_time.pack(summary)

    def unpacked(self, data: bytes) -> int:
        """See `Function`."""
        time_ms: int = _packed_time.unpack(data)[0]
        return time_ms

    def windowed(self, window: Window, seed: Seed | None) -> int:
        """See `Function`."""
        if window.has("stamp"):
            return self._choose(window.column("stamp"))
        return window.time_ms(0 if self._is_first else window.count() - 1)

    def result(self, summary: int | None, seed: Seed | None) -> Value:
        """See `Function`."""
        if seed is not None and (self._is_first or summary is None):
            return timestamp_text(int(seed.number))
        return None if summary is None else timestamp_text(summary)
