"""Requests that wait a moment for room, before their bodies are read: the newest goes first.

A flood's requests give way to one another soon, and who comes when it is over is not told to come
again much later, as those of a flood have to be.
"""

import asyncio
from collections.abc import Hashable

PATIENCE_S = 2.0
# That wait in a line. What is read of a body meanwhile is no more than a connection takes anyway.
MOST_PARKED = 32


class Parking:
    """Lines of requests that wait, each short; who is in one for longest gives way to a new one."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, list[asyncio.Future[bool]]] = {}

    async def wait(self, line: Hashable) -> bool:
        """Wait until there may be room; return False if another one is to have it."""
        waiting = self._lines.setdefault(line, [])
        if len(waiting) >= MOST_PARKED:
            _tell(waiting.pop(0), is_next=False)
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        waiting.append(future)
        try:
            return await future
        finally:
            if future in waiting:  # nobody waits for it any more
                waiting.remove(future)
            if not waiting and self._lines.get(line) is waiting:
                del self._lines[line]

    def wake(self) -> None:
        """Let the newest of each line see whether there is room."""
        for waiting in self._lines.values():
            while waiting and not _tell(waiting.pop(), is_next=True):
                pass


def _tell(future: asyncio.Future[bool], *, is_next: bool) -> bool:
    """Tell who waits; return False if it was given up, and that is about to be noticed."""
    if future.done():
        return False
    future.set_result(is_next)
    return True
