"""How a forwarder waits; tests replace it to simulate time."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

Wait = Callable[[asyncio.Event, float | None], Awaitable[None]]


async def wait_for_change(event: asyncio.Event, timeout_s: float | None) -> None:
    """Wait until an event is set or the time is up; `None`: as long as it takes."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
