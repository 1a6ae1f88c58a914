"""What happens to deliveries that are not sent (spec/connections.md, 1.3).

Those of a connection that is inactive or faulted, and those of an environment that is off.
"""

from collections.abc import Collection

from actors.forwarding.desk import Desk
from actors.forwarding.streams import Stream
from actors.model.deliveries import DeadLetter
from actors.model.workspaces import Environment

HOLD_MAX_AGE_MS = 7 * 24 * 3600 * 1000
HOLD_SWEEP_MS = 3600 * 1000
PAGE = 500
PAGE_BYTES = 4 * 1024 * 1024


async def bury_overdue(
    stream: Stream, desk: Desk, enabled: Collection[Environment], now_ms: int
) -> None:
    """Make dead letters of what has been held for too long.

    Of a connection that sends, only what is of an environment that is not `enabled`.

    Raises:
        ShardUnavailable, StoreFull: the source fails.
    """
    number = stream.connection.number
    state = desk.connections[number]
    is_faulted = state.is_faulted
    reason = "connection_faulted" if is_faulted else "connection_inactive"
    after = 0
    while True:
        page = await stream.source.read(number, after, PAGE, PAGE_BYTES)
        stream.was_empty = not page and not after
        overdue = [each for each in page if each.created_ms + HOLD_MAX_AGE_MS <= now_ms]
        for delivery in overdue:
            if state.is_sending and delivery.environment in enabled:
                continue
            if stream.knows(delivery.sequence):
                continue  # it is under way, or its end has yet to be told
            letter = DeadLetter(delivery, reason, now_ms, last_attempt_ms=0)
            desk.buried(letter)
            stream.settle_dead(letter)
        if not page or len(overdue) < len(page):  # they lie in the order of their age
            return
        after = page[-1].sequence
        await stream.settled()
