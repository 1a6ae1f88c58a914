"""Pages of a user's timeline, read from the event log (spec/profiles.md, 8).

Live batches are shown in the order of their receipt, newest first; historical ones and those that
an alias has copied between them, at the time of their newest event. Live ones form a chain that is
walked only as far as a page needs; the others come in any order and are sorted, for the few users
who have any.
"""

from collections.abc import Iterator
from typing import Any

from actors.errors import CursorInvalid
from actors.model.batches import StoredBatch
from actors.model.profiles import ProfileKey, Section
from actors.model.workspaces import WorkspaceInfo
from actors.profiles.timeline import TimelineQuery, timeline_item
from actors.store import copies, log
from actors.store.environment import Transaction

Place = tuple[int, int]  # (time in ms, log id): pages go from the greatest to the least
Apart = tuple[Place, StoredBatch | bytes]  # not of the live chain; bytes are an encoded copy

# Batches that one page looks at: the shard does nothing else while it decodes them.
MOST_LOOKED_AT = 2_000


def read_page(
    txn: Transaction,
    key: ProfileKey,
    section: Section,
    workspace: WorkspaceInfo,
    query: TimelineQuery,
) -> dict[str, Any]:
    """Return `{"items", "next_cursor", "last_updated_ms"}`.

    Where few batches match, a page ends after `MOST_LOOKED_AT` of them with what was found, which
    may be nothing; it goes on from its cursor like any other.

    Args:
        key: of the user.
        section: of the user, in `workspace`.

    Raises:
        CursorInvalid: `query.cursor` was not given out by a page of this user.
    """
    live_id, before = section.newest_log_id, None
    if query.cursor is not None:
        live_id, before = _parse(query.cursor, key.mpid)
        stored = log.read(txn, live_id)
        if stored is not None and (stored.mpid, stored.batch.environment) != (
            key.mpid,
            key.environment,
        ):
            raise CursorInvalid(query.cursor)
    items: list[dict[str, Any]] = []
    following: str | None = None
    merged = _merged(txn, key, section, live_id, before, query.start_ms)
    for looked_at, (stored, copied_from, place, next_live_id) in enumerate(merged):
        if looked_at == MOST_LOOKED_AT:
            break
        item = timeline_item(stored, workspace, query, copied_from)
        if item is not None:
            if len(items) == query.limit:
                break
            items.append(item)
        following = f"{key.mpid}.{next_live_id}.{place[0]}.{place[1]}"
    else:
        following = None
    return {
        "items": items,
        "next_cursor": following,
        "last_updated_ms": section.last_seen_ms,
    }


def _merged(
    txn: Transaction,
    key: ProfileKey,
    section: Section,
    live_id: int,
    before: Place | None,
    start_ms: int | None,
) -> Iterator[tuple[StoredBatch, int | None, Place, int]]:
    """Yield batches newest first, each with the MPID that it was copied from (`None`: it was not),
    its place, and the live batch that is next after it.

    Edges have clocks of their own, so a batch may have been received later than one that was
    committed after it; places go down all the same. Of a live batch that tells nothing about its
    events, which may be of any time after its receipt too, so `start_ms` does not end the chain.
    """
    apart = _apart(txn, key, section, before, start_ms)
    place = before
    for stored in log.chain(txn, live_id):
        received = (stored.received_ms, stored.log_id)
        place = received if place is None else min(place, received)
        while apart and apart[-1][0] > place:
            yield *_opened(apart.pop()), stored.log_id
        yield stored, None, place, stored.previous_log_id
    while apart:
        yield *_opened(apart.pop()), 0


def _apart(
    txn: Transaction,
    key: ProfileKey,
    section: Section,
    before: Place | None,
    start_ms: int | None,
) -> list[Apart]:
    """Return the historical batches and the copies below a place, the newest last.

    Those that end before `start_ms` are left out.
    """
    found: list[Apart] = [
        (_place(stored), stored) for stored in log.chain(txn, section.newest_historical_id)
    ]
    found += (((copy.newest_ms, copy.log_id), copy.encoded) for copy in copies.read(txn, key))
    if before is not None:
        found = [each for each in found if each[0] < before]
    if start_ms is not None:
        found = [each for each in found if each[0][0] >= start_ms]
    return sorted(found, key=lambda each: each[0])


def _opened(apart: Apart) -> tuple[StoredBatch, int | None, Place]:
    place, entry = apart
    if isinstance(entry, StoredBatch):
        return entry, None, place
    copy = copies.decode(entry)
    return copy.stored, copy.source_mpid, place


def _place(stored: StoredBatch) -> Place:
    """Return the place of a historical batch: the time of its newest event."""
    newest_ms = max((event.timestamp_ms for event in stored.batch.events), default=0)
    return newest_ms, stored.log_id


def _parse(cursor: str, mpid: int) -> tuple[int, Place]:
    """Read a cursor: whose it is, the next live batch, and the place of the last one shown."""
    try:
        owner, live_id, ms, log_id = (int(part) for part in cursor.split("."))
    except ValueError:
        raise CursorInvalid(cursor) from None
    if owner != mpid or not 0 <= live_id < 2**64:
        raise CursorInvalid(cursor)
    return live_id, (ms, log_id)
