"""What a forwarder's process looks at again and again beside delivering."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Never

from actors.errors import ShardUnavailable, StoreFull
from actors.outputs.mistakes import uncancelled

logger = logging.getLogger("headwater.forwarder")

LOOK_S = 1.0  # a change takes effect within 5 s (spec/connections.md, 1.3)


class Trouble(NamedTuple):
    """How something that went wrong is logged."""

    event: str
    message: str


async def look_for_ever(
    step: Callable[[], Awaitable[None]], output: str, *, delayed: Trouble, failed: Trouble
) -> Never:
    """Do a step every second.

    Args:
        step: what is done; what goes wrong in it is logged, and it is done again.
        output: id of the output that it is done for.
        delayed: that a shard or the coordinator did not answer, or had no room.
        failed: that anything else went wrong.
    """
    while True:
        try:
            await uncancelled(step())
        except (ShardUnavailable, StoreFull) as error:
            logger.warning(
                delayed.message,
                extra={"event": delayed.event, "output": output, "kind": type(error).__name__},
            )
        except Exception:
            # Whatever it was: without this loop nobody would look again until the next start.
            logger.exception(failed.message, extra={"event": failed.event, "output": output})
        await asyncio.sleep(LOOK_S)
