"""What a forwarder's loop waits for: changes, the end of what is under way, and time to pass."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from actors.outputs.mistakes import CallCancelled

Wait = Callable[[asyncio.Event, float | None], Awaitable[None]]


async def wait_for_change(event: asyncio.Event, timeout_s: float | None) -> None:
    """Wait until an event is set or the time is up; `None`: as long as it takes."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()


class Tasks:
    """Runs work beside the loop, which fails with the first of it that does.

    Attributes:
        changed: to be set when the loop may have something to do.
    """

    def __init__(self, wait: Wait) -> None:
        """Args: `wait`: how to wait; tests simulate time with it."""
        self.changed = asyncio.Event()
        self._wait = wait
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._is_cancelled = False

    def __len__(self) -> int:
        """Return how many are under way."""
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin something; called in a running loop."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def pause(self, timeout_s: float) -> None:
        """Wait for a change, or for the time to pass. Raises what work under way has raised."""
        await self._wait(self.changed, timeout_s)
        if self._failure is not None:
            raise self._failure

    async def cancel(self) -> None:
        """Cancel all that is under way, and wait for its end."""
        self._is_cancelled = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._failure = self._failure or task.exception()
        elif not self._is_cancelled:  # what it was at would stay as it is for good
            self._failure = self._failure or CallCancelled()
        self.changed.set()
