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
from actors.calculated.numbers import (
    SUMMABLE_END,
    add_exactly,
    exact_parts,
    number_text,
    ratio,
)
from actors.calculated.rows import Kept
from actors.calculated.state import Seed, Value
from actors.calculated.window import Column, Window

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

    def widened(
        self, summary: list[float] | None, rows: Sequence[Kept], seed: Seed | None
    ) -> list[float]:
        """See `Function`."""
        parts = [] if summary is None else summary.copy()
        for _, _, number, _ in rows:
            assert isinstance(number, float), "a row of numbers"
            add_exactly(parts, number)
        return parts

    def packed(self, summary: list[float]) -> bytes:
        """See `Function`."""
        return _encode(summary)

    def unpacked(self, data: bytes) -> list[float]:
        """See `Function`."""
        return _decode(data)

    def windowed(self, window: Window, seed: Seed | None) -> list[float]:
        """See `Function`."""
        return exact_parts(window.column("number"))

    def result(self, summary: list[float] | None, seed: Seed | None) -> Value:
        """See `Function`."""
        terms = () if summary is None else summary
        return number_text(fsum(terms if seed is None else (*terms, seed.number)))


class Mean(NamedTuple):
    """Exact sums of weight times value, and of weights, each as its parts (`add_exactly`)."""

    terms: list[float]
    weights: list[float]


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

    def widened(self, summary: Mean | None, rows: Sequence[Kept], seed: Seed | None) -> Mean:
        """See `Function`."""
        terms, weights = ([], []) if summary is None else map(list.copy, summary)
        for _, _, number, weight in rows:
            assert isinstance(number, float), "a row of numbers"
            add_exactly(terms, number)
            add_exactly(weights, weight)
        return Mean(terms, weights)

    def packed(self, summary: Mean) -> bytes:
        """See `Function`."""
        return _encode(summary)

    def unpacked(self, data: bytes) -> Mean:
        """See `Function`."""
        return Mean(*_decode_pair(data))

    def windowed(self, window: Window, seed: Seed | None) -> Mean:
        """See `Function`."""
        terms = window.column("number")
        if window.has("weight"):
            return Mean(exact_parts(terms), exact_parts(window.column("weight")))
        return Mean(exact_parts(terms), [float(len(terms))])

    def result(self, summary: Mean | None, seed: Seed | None) -> Value:
        """See `Function`."""
        terms, weights = Mean([], []) if summary is None else summary
        if seed is not None:
            terms, weights = [*terms, seed.number], [*weights, float(seed.count)]
        return number_text(ratio(terms, weights))


def weighted_number(text: str, weight: float) -> float | None:
    """Return weight times value; `None` if it is no number, or too great to be added up."""
    number = parse_number(text)
    if number is None:
        return None
    product = number * weight
    return product if -SUMMABLE_END < product < SUMMABLE_END else None
