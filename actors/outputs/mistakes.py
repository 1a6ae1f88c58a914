"""What an output does wrong: it is told from what others want, and what may be told of it."""

import asyncio
import traceback
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


class CallCancelled(Exception):
    """Something that was awaited ended cancelled, and nobody had cancelled who awaited it."""


async def uncancelled(call: Awaitable[T]) -> T:
    """Await what may be cancelled from within, such as by awaiting a task that was.

    Raises:
        CallCancelled: in that case; being cancelled from outside remains what it is.
    """
    try:
        return await call
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise CallCancelled().with_traceback(error.__traceback__) from None


def described(error: Exception) -> dict[str, Any]:
    """Return the type of an exception and where it was raised, for the log.

    Its text may hold what was sent, its type and place do not.
    """
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
    return {"type": type(error).__name__, "stack": places}
