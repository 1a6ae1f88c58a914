"""`most_frequent`: the value with the greatest weight."""

from collections import Counter
from collections.abc import Sequence
from math import fsum
from typing import Literal

import msgspec

from actors.calculated.definition import MAX_VALUE_LENGTH, Datapoint
from actors.calculated.functions.contract import Takes
from actors.calculated.functions.unique import MAX_VALUES, by_arrival
from actors.calculated.numbers import add_exactly, alphabetical
from actors.calculated.state import Seed, Value
from actors.calculated.window import Column, Kept, Layout, Window

# Value to the weights of its rows, or to parts of their sum; values in order of arrival.
Weights = dict[str, Sequence[float]]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, list[float]]).decode
_NO_COUNTS: dict[str, int] = {}


class MostFrequent:
    """Of the first 100 values to arrive; those of a seed come before all others."""

    name = "most_frequent"
    trigger: Literal["sync", "async"] = "async"
    takes: Takes = "value"
    weighs = True
    is_zero_when_empty = False

    def columns(self, datapoint: Datapoint) -> tuple[Column, ...]:
        """See `Function`."""
        return ("code", "arrival", *(("weight",) if datapoint.uses_quantity else ()))

    def content(self, text: str, weight: float) -> str:
        """See `Function`."""
        return text[:MAX_VALUE_LENGTH]

    def add(self, data: bytes, rows: Sequence[Kept], seed: Seed | None) -> bytes:
        """See `Function`."""
        weights = _decode(data) if data else {}
        counts = _NO_COUNTS if seed is None else seed.counts
        for row in rows:
            text = str(row.content)
            parts = weights.get(text)
            if parts is not None:
                add_exactly(parts, row.weight)
            elif len(weights) < MAX_VALUES or text in counts:
                weights[text] = [row.weight]
        return _encode(weights)

    def accumulated(self, data: bytes) -> Weights:
        """See `Function`."""
        return dict(_decode(data))

    def windowed(self, layout: Layout, window: Window) -> Weights:
        """See `Function`."""
        codes = layout.column(window, "code")
        order = dict.fromkeys(window.texts[code] for code in by_arrival(layout, window))
        if not layout.has("weight"):
            counted = Counter(codes.tolist())
            times = {window.texts[code]: float(count) for code, count in counted.items()}
            return {text: (times[text],) for text in order}
        weights: dict[str, list[float]] = {text: [] for text in order}
        for code, weight in zip(codes, layout.column(window, "weight"), strict=True):
            weights[window.texts[code]].append(weight)
        return dict(weights)

    def result(self, summary: Weights | None, seed: Seed | None) -> Value:
        """See `Function`."""
        live = {} if summary is None else summary
        counts = _NO_COUNTS if seed is None else seed.counts
        tracked = dict.fromkeys(sorted(counts, key=alphabetical)[:MAX_VALUES])
        for text in live:
            if len(tracked) >= MAX_VALUES:
                break
            tracked[text] = None
        total = {text: fsum((*live.get(text, ()), counts.get(text, 0))) for text in tracked}
        greatest = max(total.values())
        return min((text for text in tracked if total[text] == greatest), key=alphabetical)
