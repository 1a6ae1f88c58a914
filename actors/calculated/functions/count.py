"""`count`: how many events, or how many products."""

from collections.abc import Sequence
from math import fsum
from typing import Literal

import msgspec

from actors.calculated.definition import Datapoint
from actors.calculated.functions.contract import Takes
from actors.calculated.numbers import add_exactly, number_text
from actors.calculated.state import Seed, Value
from actors.calculated.window import Column, Kept, Layout, Window

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

    def add(self, data: bytes, rows: Sequence[Kept], seed: Seed | None) -> bytes:
        """See `Function`."""
        parts = _decode(data) if data else []
        for row in rows:
            add_exactly(parts, row.weight)
        return _encode(parts)

    def accumulated(self, data: bytes) -> Sequence[float]:
        """See `Function`."""
        return _decode(data)

    def windowed(self, layout: Layout, window: Window) -> Sequence[float]:
        """See `Function`."""
        if layout.has("weight"):
            return layout.column(window, "weight")
        return (float(len(layout.times(window))),)

    def result(self, summary: Sequence[float] | None, seed: Seed | None) -> Value:
        """See `Function`."""
        live = 0.0 if summary is None else fsum(summary)
        return number_text(live if seed is None else live + seed.number)
