"""What happens to deliveries of a connection that does not send (spec/connections.md, 1.3)."""

from actors.forwarding.desk import Desk
from actors.forwarding.streams import SOURCE_FAULTS, Stream
from actors.model.deliveries import DeadLetter

HOLD_MAX_AGE_MS = 7 * 24 * 3600 * 1000
HOLD_SWEEP_MS = 3600 * 1000
PAGE = 500
PAGE_BYTES = 4 * 1024 * 1024


async def bury_overdue(stream: Stream, desk: Desk, now_ms: int) -> None:
    """Make dead letters of what has been held for too long, unless the source fails."""
    stream.is_reading = True
    try:
        await _bury_pages(stream, desk, now_ms)
    except SOURCE_FAULTS as error:
        desk.source_failed(stream, error)
    finally:
        stream.is_reading = False


async def _bury_pages(stream: Stream, desk: Desk, now_ms: int) -> None:
    number = stream.connection.number
    is_faulted = desk.connections[number].is_faulted
    reason = "connection_faulted" if is_faulted else "connection_inactive"
    after = 0
    while True:
        page = await stream.source.read(number, after, PAGE, PAGE_BYTES)
        stream.was_empty = not page and not after
        overdue = [each for each in page if each.created_ms + HOLD_MAX_AGE_MS <= now_ms]
        for delivery in overdue:
            if stream.knows(delivery.sequence):
                continue  # it is under way, or its end has yet to be told
            letter = DeadLetter(delivery, reason, now_ms, last_attempt_ms=0)
            desk.buried(letter)
            stream.settle_dead(letter)
        if not page or len(overdue) < len(page):  # they lie in the order of their age
            return
        after = page[-1].sequence
        await stream.settled()
