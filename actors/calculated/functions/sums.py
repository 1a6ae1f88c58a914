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
from actors.calculated.rows import Kept
from actors.calculated.state import Seed, Value
from actors.calculated.window import Column, Window

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

    def add(self, data: bytes, rows: Sequence[Kept], seed: Seed | None) -> tuple[bytes, Terms]:
        """See `Function`."""
        parts = _decode(data) if data else []
        for _, _, number, _ in rows:
            assert isinstance(number, float), "a row of numbers"
            add_exactly(parts, number)
        return _encode(parts), parts

    def accumulated(self, data: bytes) -> Terms:
        """See `Function`."""
        return _decode(data)

    def windowed(self, window: Window, seed: Seed | None) -> Terms:
        """See `Function`."""
        return window.column("number")

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

    def add(self, data: bytes, rows: Sequence[Kept], seed: Seed | None) -> tuple[bytes, Mean]:
        """See `Function`."""
        terms, weights = _decode_pair(data) if data else ([], [])
        for _, _, number, weight in rows:
            assert isinstance(number, float), "a row of numbers"
            add_exactly(terms, number)
            add_exactly(weights, weight)
        return _encode((terms, weights)), Mean(terms, weights)

    def accumulated(self, data: bytes) -> Mean:
        """See `Function`."""
        return Mean(*_decode_pair(data))

    def windowed(self, window: Window, seed: Seed | None) -> Mean:
        """See `Function`."""
        terms = window.column("number")
        if window.has("weight"):
            return Mean(terms, window.column("weight"))
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
