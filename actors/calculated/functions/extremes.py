"""`min` and `max` of numbers."""

from collections.abc import Callable, Iterable, Sequence
from struct import Struct as Packing
from typing import Literal

from actors.audiences.values import parse_number
from actors.calculated.definition import Datapoint
from actors.calculated.functions.contract import Takes
from actors.calculated.numbers import number_text
from actors.calculated.rows import Kept
from actors.calculated.state import Seed, Value
from actors.calculated.window import Column, Window

_packed = Packing("d")


class Extreme:
    """The least or the greatest number."""

    trigger: Literal["sync", "async"] = "sync"
    takes: Takes = "value"
    weighs = False
    is_zero_when_empty = False

    def __init__(self, name: str, choose: Callable[[Iterable[float]], float]) -> None:
        """Args: `choose`: the built-in of this name."""
        self.name = name
        self._choose = choose

    def columns(self, datapoint: Datapoint) -> tuple[Column, ...]:
        """See `Function`."""
        return ("number",)

    def content(self, text: str, weight: float) -> float | None:
        """See `Function`."""
        return parse_number(text)

    def widened(self, summary: float | None, rows: Sequence[Kept], seed: Seed | None) -> float:
        """See `Function`."""
        numbers = [number for _, _, number, _ in rows if isinstance(number, float)]
        if summary is not None:
            numbers.append(summary)
        return self._choose(numbers)

    def packed(self, summary: float) -> bytes:
        """See `Function`."""
        return _packed.pack(summary)

    def unpacked(self, data: bytes) -> float:
        """See `Function`."""
        number: float = _packed.unpack(data)[0]
        return number

    def windowed(self, window: Window, seed: Seed | None) -> float:
        """See `Function`."""
        return self._choose(window.column("number"))

    def result(self, summary: float | None, seed: Seed | None) -> Value:
        """See `Function`."""
        numbers = [] if summary is None else [summary]
        if seed is not None:
            numbers.append(seed.number)
        return number_text(self._choose(numbers))
