"""Has slots of one shard copied to another's store, for about a second (`actors.store.moving`)."""

from actors.clock import Clock
from actors.remote import Handle
from actors.store.slot_pages import Page, Place

BUDGET_S = 1.0
CHUNK_S = 0.2  # what one chunk of slots is to take
FIRST_SLOTS = 16  # of the first chunk; the next ones are as large as time allows


async def transfer(source: Handle, target: Handle, first: int, last: int, clock: Clock) -> int:
    """Copy some slots, from `first` on, at least one; return the last one that was copied.

    Both shards have begun the move. One that dies meanwhile is asked again once it is back.

    Raises:
        ShardUnavailable: a shard is away.
        StoreFull: the target has no room.
    """
    deadline_s = clock.monotonic() + BUDGET_S
    size, following = FIRST_SLOTS, first
    while following <= last and clock.monotonic() < deadline_s:
        began_s = clock.monotonic()
        until = min(following + size - 1, last)
        await _copy(source, target, "read_page", following, until)
        following = until + 1
        taken_s = clock.monotonic() - began_s
        size = size * 2 if taken_s < CHUNK_S / 2 else max(size // 2, 1)
    await _copy(source, target, "read_scattered", first, following - 1)
    await target.keep_records(await source.read_records())
    return following - 1


async def _copy(source: Handle, target: Handle, read: str, first: int, last: int) -> None:
    place: Place | None = Place()
    while place is not None:
        page: Page = await getattr(source, read)(first, last, place)
        await target.write_page(page)
        place = page.following
