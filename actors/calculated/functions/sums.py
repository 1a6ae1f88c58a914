"""`sum` and `average` of numbers.

What is added up is added up exactly, and rounded once.
"""

from collections.abc import Sequence
from math import fsum
from typing import Literal, NamedTuple

import msgspec

from actors.audiences.values import parse_number
from actors.calculated.definition import Datapoint
from actors.calculated.functions.contract import Takes
from actors.calculated.numbers import SUMMABLE_END, add_exactly, number_text, ratio
from actors.calculated.state import Seed, Value
from actors.calculated.window import Column, Kept, Layout, Window

Terms = Sequence[float]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[float]).decode
_decode_pair = msgspec.msgpack.Decoder(tuple[list[float], list[float]]).decode


class Sum:
    """Of weight times value."""

    name = "sum"
    trigger: Literal["sync", "async"] = "sync"
    takes: Takes = "value"
    weighs = True
    is_zero_when_empty = True

    def columns(self, datapoint: Datapoint) -> tuple[Column, ...]:
        """See `Function`."""
        return ("number",)

    def content(self, text: str, weight: float) -> float | None:
        """See `Function`."""
        return weighted_number(text, weight)

    def add(self, data: bytes, rows: Sequence[Kept], seed: Seed | None) -> bytes:
        """See `Function`."""
        parts = _decode(data) if data else []
        for row in rows:
            add_exactly(parts, _number(row))
        return _encode(parts)

    def accumulated(self, data: bytes) -> Terms:
        """See `Function`."""
        return _decode(data)

    def windowed(self, layout: Layout, window: Window) -> Terms:
        """See `Function`."""
        return layout.column(window, "number")

    def result(self, summary: Terms | None, seed: Seed | None) -> Value:
        """See `Function`."""
        terms = () if summary is None else summary
        return number_text(fsum(terms if seed is None else (*terms, seed.number)))


class Mean(NamedTuple):
    """Sums of weight times value, and of weights, each as terms."""

    terms: Terms
    weights: Terms


class Average:
    """The sum of weight times value by the sum of weights."""

    name = "average"
    trigger: Literal["sync", "async"] = "async"
    takes: Takes = "value"
    weighs = True
    is_zero_when_empty = False

    def columns(self, datapoint: Datapoint) -> tuple[Column, ...]:
        """See `Function`."""
        return ("number", "weight") if datapoint.uses_quantity else ("number",)

    def content(self, text: str, weight: float) -> float | None:
        """See `Function`."""
        return weighted_number(text, weight)

    def add(self, data: bytes, rows: Sequence[Kept], seed: Seed | None) -> bytes:
        """See `Function`."""
        terms, weights = _decode_pair(data) if data else ([], [])
        for row in rows:
            add_exactly(terms, _number(row))
            add_exactly(weights, row.weight)
        return _encode((terms, weights))

    def accumulated(self, data: bytes) -> Mean:
        """See `Function`."""
        return Mean(*_decode_pair(data))

    def windowed(self, layout: Layout, window: Window) -> Mean:
        """See `Function`."""
        terms = layout.column(window, "number")
        if layout.has("weight"):
            return Mean(terms, layout.column(window, "weight"))
        return Mean(terms, (float(len(terms)),))

    def result(self, summary: Mean | None, seed: Seed | None) -> Value:
        """See `Function`."""
        terms, weights = Mean((), ()) if summary is None else summary
        if seed is not None:
            terms, weights = (*terms, seed.number), (*weights, float(seed.count))
        return number_text(ratio(terms, weights))


def weighted_number(text: str, weight: float) -> float | None:
    """Return weight times value; `None` if it is no number, or too great to be added up."""
    number = parse_number(text)
    if number is None:
        return None
    product = number * weight
    return product if -SUMMABLE_END < product < SUMMABLE_END else None


def _number(row: Kept) -> float:
    assert isinstance(row.content, float), "a row of numbers"
    return row.content
