"""`count`: how many events, or how many products."""

from collections.abc import Sequence
from math import fsum
from typing import Literal

import msgspec

from actors.calculated.definition import Datapoint
from actors.calculated.functions.contract import Takes
from actors.calculated.numbers import add_exactly, exact_parts, number_text
from actors.calculated.rows import Kept
from actors.calculated.state import Seed, Value
from actors.calculated.window import Column, Window

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[float]).decode


class Count:
    """The weights of all rows, added up."""

    name = "count"
    trigger: Literal["sync", "async"] = "sync"
    takes: Takes = "nothing"
    weighs = True
    is_zero_when_empty = True

    def columns(self, datapoint: Datapoint) -> tuple[Column, ...]:
        """See `Function`."""
        return ("weight",) if datapoint.uses_quantity else ()

    def content(self, text: str, weight: float) -> str:
        """See `Function`."""
        return text

    def widened(
        self, summary: list[float] | None, rows: Sequence[Kept], seed: Seed | None
    ) -> list[float]:
        """See `Function`."""
        parts = [] if summary is None else summary.copy()
        for row in rows:
            add_exactly(parts, row[3])
        return parts

    def packed(self, summary: list[float]) -> bytes:
        """See `Function`."""
        return _encode(summary)

    def unpacked(self, data: bytes) -> list[float]:
        """See `Function`."""
        return _decode(data)

    def windowed(self, window: Window, seed: Seed | None) -> list[float]:
        """See `Function`."""
        if window.has("weight"):
            return exact_parts(window.column("weight"))
        return [float(window.count())]

    def result(self, summary: list[float] | None, seed: Seed | None) -> Value:
        """See `Function`."""
        live = 0.0 if summary is None else fsum(summary)
        return number_text(live if seed is None else live + seed.number)
