"""Time and randomness of a simulated world: nothing waits, and a seed decides everything."""

import asyncio
import random
import selectors
from collections.abc import Callable
from typing import Any

from actors.store.keys import MPID_RANDOM_BITS
from tests.actors.profiles.builders import NOW


class Stuck(Exception):
    """Nobody has anything to do, and nothing will happen any more."""


class Clockwork(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while nobody has anything to do."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.steps = 0
        self.at_step: dict[int, list[Callable[[], None]]] = {}
        super().__init__(_NoSelector(self))

    def time(self) -> float:
        return self.now_s


class _NoSelector(selectors.SelectSelector):
    """Stands where the loop would wait for the world."""

    def __init__(self, loop: Clockwork) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        loop = self._loop
        loop.steps += 1
        for action in loop.at_step.pop(loop.steps, ()):
            loop.call_soon(action)
        if timeout is None and not loop.at_step:
            raise Stuck
        if timeout is not None:
            loop.now_s += max(timeout, 0.0)
        return []


class LoopClock:
    """The time of a loop as the actors see it."""

    def __init__(self, loop: Clockwork) -> None:
        self._loop = loop

    def now_ms(self) -> int:
        return NOW + int(self._loop.now_s * 1000)

    def monotonic(self) -> float:
        return self._loop.now_s


class SeededRandomness:
    """Randomness that comes again with its seed."""

    def __init__(self, source: random.Random, mpids: int) -> None:
        self._source = source
        self._mpids = mpids

    def bits(self, count: int) -> int:
        """Draw; of an MPID, few different ones, so that they often are taken."""
        if count == MPID_RANDOM_BITS:
            return self._source.randrange(1, self._mpids)
        return self._source.getrandbits(count)
