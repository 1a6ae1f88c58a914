"""Members of all shards in one order, page by page."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from actors.audiences.answers import MemberRow

PAGE = 1000  # members of a shard at once

# Returns a shard's members with an MPID above the first argument, ascending, at most the second.
Export = Callable[[int | None, int], Awaitable[list[MemberRow]]]


async def pages_in_order(exports: Sequence[Export], limit: int) -> AsyncIterator[list[MemberRow]]:
    """Yield the members of all shards in the order of their MPIDs; `limit`: of a shard at once.

    Raises what the exports raise.
    """
    after: int | None = None
    while True:
        pages = await asyncio.gather(*(export(after, limit) for export in exports))
        # Of a shard whose page is full, nothing is known beyond its last member.
        after = min((page[-1].mpid for page in pages if len(page) == limit), default=None)
        found = [row for page in pages for row in page if after is None or row.mpid <= after]
        yield sorted(found, key=lambda each: each.mpid)
        if after is None:
            return
