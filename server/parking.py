"""Requests that wait a moment for room, before their bodies are read.

The newest goes first, of those for which there is room.

A flood's requests give way to one another soon, and who comes when it is over is not told to come
again much later, as those of a flood have to be.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import NamedTuple

PATIENCE_S = 2.0
# That wait in a line. What is read of a body meanwhile is no more than a connection takes anyway.
MOST_PARKED = 32


class _Parked(NamedTuple):
    """A request that waits; told is True if there may be room, False if it is another's."""

    told: asyncio.Future[bool]
    has_room: Callable[[], bool]


class Parking:
    """Lines of requests that wait, each short; who is in one for longest gives way to a new one."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, list[_Parked]] = {}

    async def wait(self, line: Hashable, has_room: Callable[[], bool]) -> bool:
        """Wait until there may be room; return False if another one is to have it.

        `has_room`: tells whether there is room for this one.
        """
        waiting = self._lines.setdefault(line, [])
        if len(waiting) >= MOST_PARKED:
            _tell(waiting.pop(0), is_next=False)
        parked = _Parked(asyncio.get_running_loop().create_future(), has_room)
        waiting.append(parked)
        try:
            return await parked.told
        except asyncio.CancelledError:
            if not parked.told.cancelled():  # told, and gives up in the same moment
                self.wake()
            raise
        finally:
            if parked in waiting:  # nobody waits for it any more
                waiting.remove(parked)
            if not waiting and self._lines.get(line) is waiting:
                del self._lines[line]

    def wake(self) -> None:
        """Tell the newest of each line for which there is room."""
        for waiting in self._lines.values():
            for parked in reversed(waiting):
                if not parked.told.done() and parked.has_room():
                    waiting.remove(parked)
                    _tell(parked, is_next=True)
                    break


def _tell(parked: _Parked, *, is_next: bool) -> None:
    """Tell who waits, unless it was given up, which is about to be noticed."""
    if not parked.told.done():
        parked.told.set_result(is_next)
