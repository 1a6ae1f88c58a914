"""`unique_list` and `unique_values_count`: which values there are, and how many."""

from array import array
from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal

import msgspec

from actors.calculated.definition import MAX_VALUE_LENGTH, Datapoint
from actors.calculated.functions.contract import Takes
from actors.calculated.numbers import alphabetical, number_text
from actors.calculated.rows import Kept
from actors.calculated.state import Seed, Value
from actors.calculated.window import Column, Window

MAX_VALUES = 100
MAX_COUNT = 10_000

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[str]).decode


class UniqueList:
    """The first 100 values to arrive; those of a seed come before all others."""

    name = "unique_list"
    trigger: Literal["sync", "async"] = "sync"
    takes: Takes = "value"
    weighs = False
    is_zero_when_empty = False

    def columns(self, datapoint: Datapoint) -> tuple[Column, ...]:
        """See `Function`."""
        return ("code", "arrival")

    def content(self, text: str, weight: float) -> str:
        """See `Function`."""
        return text[:MAX_VALUE_LENGTH]

    def widened(
        self, summary: list[str] | None, rows: Sequence[Kept], seed: Seed | None
    ) -> list[str]:
        """See `Function`."""
        texts = [] if summary is None else summary
        new = [str(row[2]) for row in rows if row[2] not in texts]
        if not new or len(texts) >= MAX_VALUES:
            return texts
        return list(dict.fromkeys((*texts, *new)))[:MAX_VALUES]

    def packed(self, summary: list[str]) -> bytes:
        """See `Function`."""
        return _encode(summary)

    def unpacked(self, data: bytes) -> list[str]:
        """See `Function`."""
        return _decode(data)

    def windowed(self, window: Window, seed: Seed | None) -> list[str]:
        """See `Function`."""
        return [window.texts[code] for code in dict.fromkeys(by_arrival(window))]

    def result(self, summary: list[str] | None, seed: Seed | None) -> Value:
        """See `Function`."""
        live = [] if summary is None else summary
        texts = dict.fromkeys(live if seed is None else (*seed.texts, *live))
        return sorted(list(texts)[:MAX_VALUES], key=alphabetical)


class UniqueValuesCount:
    """How many values, up to 10,000. Values are told apart by 64 bits of their hash."""

    name = "unique_values_count"
    trigger: Literal["sync", "async"] = "async"
    takes: Takes = "value"
    weighs = False
    is_zero_when_empty = True

    def columns(self, datapoint: Datapoint) -> tuple[Column, ...]:
        """See `Function`."""
        return ("digest",)

    def content(self, text: str, weight: float) -> int:
        """See `Function`."""
        return _digest(text)

    def widened(
        self, summary: set[int] | None, rows: Sequence[Kept], seed: Seed | None
    ) -> set[int]:
        """See `Function`."""
        digests = set() if summary is None else summary
        new = {digest for _, _, digest, _ in rows if isinstance(digest, int)} - digests
        return digests | new if new and len(digests) < MAX_COUNT else digests

    def packed(self, summary: set[int]) -> bytes:
        """See `Function`."""
        return array("Q", summary).tobytes()

    def unpacked(self, data: bytes) -> set[int]:
        """See `Function`."""
        return set(array("Q", data))

    def windowed(self, window: Window, seed: Seed | None) -> set[int]:
        """See `Function`."""
        return set(window.column("digest"))

    def result(self, summary: set[int] | None, seed: Seed | None) -> Value:
        """See `Function`."""
        digests = set() if summary is None else summary
        if seed is not None:
            digests = digests | {_digest(text) for text in seed.texts}
        return number_text(float(min(len(digests), MAX_COUNT)))


def by_arrival(window: Window) -> list[int]:
    """Return the codes of a window's rows in order of arrival."""
    codes: list[int] = window.column("code").tolist()
    arrivals = window.column("arrival").tolist()
    if arrivals == sorted(arrivals):
        return codes
    # Rows of one event stand in their order, and sorting leaves them in it.
    return [codes[row] for row in sorted(range(len(codes)), key=arrivals.__getitem__)]


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text[:MAX_VALUE_LENGTH].encode(), digest_size=8).digest())
