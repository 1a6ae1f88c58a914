"""Random choices that a seed decides, quick enough to make tens of thousands of batches."""

from collections.abc import Iterator, Sequence
from typing import TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

_BLOCK = 64 * 1024  # a call into numpy costs more than the number it gives


class Draws:
    """A stream of random choices; the same seed gives the same stream."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        self._block: Iterator[float] = iter(())

    def unit(self) -> float:
        """Return a number in [0, 1)."""
        for value in self._block:
            return value
        self._block = iter(self._generator.random(_BLOCK).tolist())
        return next(self._block)

    def below(self, bound: int) -> int:
        """Return an integer in [0, bound)."""
        return int(self.unit() * bound)

    def chance(self, probability: float) -> bool:
        """Return true with this probability."""
        return self.unit() < probability

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of the choices, each as likely as the others."""
        return choices[int(self.unit() * len(choices))]

    def uuid(self) -> str:
        """Return a random UUID in lower case."""
        return str(UUID(bytes=self._generator.bytes(16), version=4))


def zipf_ranks(users: int, count: int, seed: int, exponent: float = 0.9) -> NDArray[np.int64]:
    """Draw who is active: user numbers in [0, users), user k with weight 1 / (k + 1)^exponent.

    The default exponent gives the busiest of 10,000 users 6 % of the batches: enough to make one
    profile hot, and still below what one shard can take.
    """
    weights = 1.0 / np.arange(1, users + 1, dtype=np.float64) ** exponent
    limits = np.cumsum(weights)
    drawn = np.random.default_rng(seed).random(count) * limits[-1]
    ranks: NDArray[np.int64] = np.searchsorted(limits, drawn, side="right").astype(np.int64)
    return ranks
