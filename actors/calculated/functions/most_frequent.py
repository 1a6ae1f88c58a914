"""`most_frequent`: the value with the greatest weight."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from math import fsum
from typing import Literal

import msgspec

from actors.calculated.definition import MAX_VALUE_LENGTH, Datapoint
from actors.calculated.functions.contract import Takes
from actors.calculated.functions.unique import MAX_VALUES, by_arrival
from actors.calculated.numbers import add_exactly, alphabetical, exact_parts
from actors.calculated.rows import Kept
from actors.calculated.state import Seed, Value
from actors.calculated.window import Column, Window

# Value to the parts of the exact sum of its weights (`add_exactly`). Values stand in order of
# arrival where the cap may leave some of them out.
Weights = dict[str, list[float]]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, list[float]]).decode
_NO_COUNTS: dict[str, int] = {}
_MANY = 64  # rows from which on numpy is quicker


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

    def widened(self, summary: Weights | None, rows: Sequence[Kept], seed: Seed | None) -> Weights:
        """See `Function`."""
        weights = {} if summary is None else summary.copy()
        counts = _NO_COUNTS if seed is None else seed.counts
        for _, _, content, weight in rows:
            text = str(content)
            parts = weights.get(text)
            if parts is not None:
                weights[text] = parts = parts.copy()
                add_exactly(parts, weight)
            elif len(weights) < MAX_VALUES or text in counts:
                weights[text] = [weight]
        return weights

    def packed(self, summary: Weights) -> bytes:
        """See `Function`."""
        return _encode(summary)

    def unpacked(self, data: bytes) -> Weights:
        """See `Function`."""
        return _decode(data)

    def windowed(self, window: Window, seed: Seed | None) -> Weights:
        """See `Function`."""
        codes, texts = window.column("code"), window.texts
        seeded = 0 if seed is None else len(seed.counts)
        is_capped = len(texts) + seeded > MAX_VALUES
        order = by_arrival(window) if is_capped else codes
        if not window.has("weight"):
            counted = Counter(order)
            return {texts[code]: [float(count)] for code, count in counted.items()}
        totals = _whole_sums(codes, window.column("weight")) if len(codes) >= _MANY else None
        if totals is not None:
            return {texts[code]: [totals[code]] for code in dict.fromkeys(order)}
        weights: dict[int, list[float]] = {code: [] for code in order}
        for code, weight in zip(codes, window.column("weight"), strict=True):
            weights[code].append(weight)
        return {texts[code]: exact_parts(parts) for code, parts in weights.items()}

    def result(self, summary: Weights | None, seed: Seed | None) -> Value:
        """See `Function`."""
        live = {} if summary is None else summary
        counts = _NO_COUNTS if seed is None else seed.counts
        if not counts:
            totals = [
                parts[0] if len(parts) == 1 else fsum(parts)
                for parts in islice(live.values(), MAX_VALUES)
            ]
            return _greatest(live, totals)
        tracked = dict.fromkeys(sorted(counts, key=alphabetical)[:MAX_VALUES])
        for text in live:
            if len(tracked) >= MAX_VALUES:
                break
            tracked[text] = None
        totals = [fsum((*live.get(text, ()), counts.get(text, 0))) for text in tracked]
        return _greatest(tracked, totals)


def _whole_sums(codes: Sequence[int], weights: Sequence[float]) -> list[float] | None:
    """Return the sum of weights by code; `None` if not all are whole, as only then it is exact."""
    import numpy as np  # an edge reads definitions alone, and is back sooner without it

    column = np.asarray(weights)
    if (column % 1).any():
        return None
    sums: list[float] = np.bincount(codes, column).tolist()
    return sums


def _greatest(texts: Iterable[str], totals: Sequence[float]) -> str:
    """Return the text with the greatest total, one for each; of several the first by alphabet."""
    greatest = max(totals)
    found = [text for text, total in zip(texts, totals, strict=False) if total == greatest]
    return found[0] if len(found) == 1 else min(found, key=alphabetical)
