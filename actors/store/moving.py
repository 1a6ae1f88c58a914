"""Moves slots from one shard's store to another's, while neither serves.

    1. `begin` in both: they are marked, on disk, and change nothing from now on but for the move.
    2. `read_page` of the one and `write_page` in the other: page by page what lies in the order of
       slots, and the users' logs; at the end, for all that moves, what lies in other orders, and
       what the shard knows of itself.
    3. Who owns which slots is changed in one step, elsewhere: that is the commit.
    4. `settle` in both, as the owners are then: a store removes what it does not own, and one that
       got slots combines what both shards knew, as `actors.store.resharding` does.

What ends before 3 leaves copies in the store that should have got them, what ends after it leaves
them in the one that had them: `settle` removes either. Every step may be done again. None looks at
the slots that stay, but for queues and lists.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from actors.audiences.in_force import combined, read_in_force, write_in_force
from actors.errors import StoreFull
from actors.groups.live import read_live, write_live
from actors.groups.runs import Progress
from actors.store import data_points, groups, outbox, queue_sums
from actors.store.environment import SHARED_TABLES, Store, Table, Transaction, kept_workspaces
from actors.store.identities import read_written, write_written, written_scopes
from actors.store.ids import read_last, write_last
from actors.store.keys import log_key
from actors.store.profiles import decode_profile
from actors.store.resharding import BY_SLOT, SLOT_OF, Entry, furthest
from actors.store.slots import SlotMap, Slots

PAGE_BYTES = 4 * 1024 * 1024
PAGE_LOOKS = 50_000  # entries that are looked at for a page: others' take time too
MOST_USED = 0.95  # of its map, in a store that gets slots
CHUNK = 5_000  # entries that one transaction removes

_MARK = b"moving"
_SLOTS = b"slots"
_RECORDS = b"moved_records"
# What a shard knows of itself; only what `settle` reads of it is used.
_OF_SHARD: tuple[Table, ...] = ("shard",)
_OF_WORKSPACE: tuple[Table, ...] = ("meta", "data_points")
_SCATTERED = tuple(table for table in SLOT_OF if table not in BY_SLOT and table != "log")

Records = dict[int, dict[Table, list[Entry]]]  # by workspace, 0: what all share


class Move(Struct, frozen=True, array_like=True):
    """What is under way, as both stores are marked with it: at most slots `first` to `last`.

    `epoch` is that of the map of slots by which it began.
    """

    first: int
    last: int
    epoch: int


class Place(Struct, frozen=True, array_like=True):
    """Where reading goes on: the number of a source among all, a key in it, a log id of a user."""

    source: int = 0
    key: bytes = b""
    log_id: int = 0


class Page(Struct, array_like=True):
    """Some entries, by workspace (0: of tables that all share) and table.

    `following` is where to go on, `None` at the end.
    """

    entries: dict[int, dict[Table, list[Entry]]]
    following: Place | None


class _Link(Struct):
    """What of a stored batch says where the user's one before it is."""

    previous_log_id: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode_records = msgspec.msgpack.Decoder(Records).decode
_decode_move = msgspec.msgpack.Decoder(Move).decode
_decode_slots = msgspec.msgpack.Decoder(SlotMap).decode
_link = msgspec.msgpack.Decoder(tuple[_Link, Raw]).decode


def under_way(store: Store) -> Move | None:
    """Return the move that was begun and has not been settled."""
    with store.read() as txn:
        encoded = txn.get("shard", _MARK)
    return None if encoded is None else _decode_move(encoded)


def read_slots(txn: Transaction) -> SlotMap | None:
    """Return the map by which a shard got or gave slots last, `None` if it never did."""
    encoded = txn.get("shard", _SLOTS)
    return None if encoded is None else _decode_slots(encoded)


def begin(store: Store, move: Move) -> None:
    """Mark a store, on disk when this returns. Raises StoreFull."""
    with store.write() as txn:
        txn.put("shard", _MARK, _encode(move))


# -- Copying --------------------------------------------------------------------------------------


def read_page(store: Store, workspaces: Sequence[int], first: int, last: int, place: Place) -> Page:
    """Return some of what slots have: of tables in the order of slots, and the users' logs.

    Args:
        workspaces: numbers of those that the deployment serves.
        first, last: the slots.
        place: `following` of the page before.
    """
    sources: list[tuple[int, Table]] = [
        *((0, table) for table in BY_SLOT if table in SHARED_TABLES),
        *((number, table) for number in workspaces for table in (*_own(BY_SLOT), "log")),
    ]
    page = Page({}, None)
    size = 0
    for source in range(place.source, len(sources)):
        workspace, table = sources[source]
        view = _view(store, workspace)
        start = place if source == place.source else Place(source)
        with view.read() as txn:
            if table == "log":
                found = _read_logs(txn, workspace, first, last, start)
            else:
                found = (
                    (Place(source, key), key, value)
                    for key, value in _of_slots(txn, table, first, last, start.key)
                )
            for at, key, value in found:
                if size >= PAGE_BYTES:
                    page.following = at
                    return page
                _add(page, workspace, table, key, value)
                size += len(key) + len(value)
    return page


def read_scattered(
    store: Store, workspaces: Sequence[int], first: int, last: int, place: Place
) -> Page:
    """Return some of what slots have in tables that are in other orders; see `read_page`.

    With it goes what the shards of an event, or of a group's member, have in common.
    """
    sources: list[tuple[int, Table]] = [
        (number, table) for number in workspaces for table in (*_SCATTERED, "event_names")
    ]
    page = Page({}, None)
    size = looked = 0
    for source in range(place.source, len(sources)):
        workspace, table = sources[source]
        slot_of = SLOT_OF.get(table)
        with _view(store, workspace).read() as txn:
            start = place.key if source == place.source else b""
            for key, value in txn.scan(table, start=start):
                if size >= PAGE_BYTES or looked >= PAGE_LOOKS:
                    page.following = Place(source, key)
                    return page
                looked += 1
                slot = first if slot_of is None else slot_of(key, value)
                if slot is None or not first <= slot <= last:
                    continue
                _add(page, workspace, table, key, value)
                size += len(key) + len(value)
                if table == "group_members":
                    size += _add_group(page, workspace, txn, groups.group_of_member(key))
    return page


def write_page(store: Store, page: Page) -> None:
    """Write what a page has; on disk when this returns.

    Raises:
        StoreFull: there is no room; a little is left, so that what was written can be removed.
    """
    if store.used_bytes() > MOST_USED * store.map_size_bytes():
        raise StoreFull("the store of the shard that is to get slots is nearly full")
    views = {number: _view(store, number) for number in page.entries}  # each may make tables
    if not views:
        return
    with store.write() as txn:
        for number, tables in page.entries.items():
            own = views[number].within(txn)
            for table, entries in tables.items():
                _write(own, table, entries)


def read_records(store: Store, workspaces: Sequence[int]) -> bytes:
    """Return what a shard knows of itself, for `keep_records` of the other."""
    found: Records = {}
    for number in (0, *workspaces):
        with _view(store, number).read() as txn:
            kept = _OF_WORKSPACE if number else _OF_SHARD
            found[number] = {table: list(txn.scan(table)) for table in kept}
    found[0]["shard"] = [each for each in found[0]["shard"] if each[0] != _RECORDS]
    return _encode(found)


def keep_records(store: Store, records: bytes) -> None:
    """Keep what the other shard knows of itself, until `settle`. Raises StoreFull."""
    with store.write() as txn:
        txn.put("shard", _RECORDS, records)


def _read_logs(
    txn: Transaction, workspace: int, first: int, last: int, start: Place
) -> Iterator[tuple[Place, bytes, bytes]]:
    """Yield where an entry of a user's log is, its key and value; of each user newest first."""
    for packed, encoded in _of_slots(txn, "profiles", first, last, start.key):
        skipped = start.log_id if packed == start.key else 0
        for log_id, value in _chains(txn, workspace, encoded):
            if skipped and log_id != skipped:
                continue
            skipped = 0
            yield Place(start.source, packed, log_id), log_key(log_id), value


def _chains(txn: Transaction, workspace: int, profile: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield log id and value of what a user's chains have, newest first."""
    section = decode_profile(profile).workspaces.get(workspace)
    if section is None:
        return
    for newest in (section.newest_log_id, section.newest_historical_id):
        log_id = newest
        while log_id and (value := txn.get("log", log_key(log_id))) is not None:
            yield log_id, value
            log_id = _link(value)[0].previous_log_id


def _add(page: Page, workspace: int, table: Table, key: bytes, value: bytes) -> None:
    page.entries.setdefault(workspace, {}).setdefault(table, []).append((key, value))


def _add_group(page: Page, workspace: int, txn: Transaction, key: bytes) -> int:
    """Add the values of a member's group, unless they are there; return the bytes they take."""
    value = txn.get("group_values", key)
    known = page.entries[workspace].get("group_values")
    if value is None or (known and known[-1][0] == key):  # members of a group follow one another
        return 0
    _add(page, workspace, "group_values", key, value)
    return len(key) + len(value)


def _write(txn: Transaction, table: Table, entries: Iterable[Entry]) -> None:
    for key, value in entries:
        if table == "dead_letters":
            outbox.unbury(txn, key)  # of a page that was written before
            outbox.bury(txn, outbox.decode_dead_letter(value))  # with the key that finds it
        else:
            txn.put(table, key, value)


# -- Settling -------------------------------------------------------------------------------------


def settle(store: Store, shard: int, slots: SlotMap, workspaces: Sequence[int]) -> None:
    """Bring a store to who owns which slots now; nothing is marked any more after it.

    Args:
        store: of shard `shard`, which does not serve yet.
        slots: as they are owned.
        workspaces: numbers of those that the deployment serves.

    Raises:
        StoreFull: it is to be done again.
    """
    move = under_way(store)
    if move is None:
        return
    views = {number: store.of(number) for number in workspaces}  # each may make tables
    for first, last in _not_owned(slots, shard, move):
        for number, view in views.items():
            _remove_logs(view, number, first, last)
            for table in _own(BY_SLOT):
                _remove(view, table, first, last)
            _remove_scattered(view, first, last)
        for table in BY_SLOT:
            if table in SHARED_TABLES:  # the profiles, which name the logs, after these
                _remove(store, table, first, last)
    with store.write() as txn:
        kept = txn.get("shard", _RECORDS)
        is_done = slots.epoch > move.epoch
        if kept is not None and is_done:
            records = _decode_records(kept)
            _combine_shared(txn, _kept(records[0]))
        for number in workspaces:
            own = views[number].within(txn)
            if kept is not None and is_done:
                _combine(own, _kept(records.get(number, {})), txn.entries("profiles"))
            if is_done:
                _end_group_run(own)
            queue_sums.drop(own)  # the shard counts anew
        if is_done:
            txn.put("shard", _SLOTS, _encode(slots))
        txn.delete("shard", _RECORDS)
        txn.delete("shard", _MARK)


def settle_folder(folder: Path, map_size_bytes: int, shard: int, slots: SlotMap) -> None:
    """Settle a store that nobody holds, if a move was cut off in it.

    Raises:
        DataFolderError, StoreFull: it cannot be opened, or written.
    """
    workspaces = kept_workspaces(folder) if folder.exists() else []
    store = Store(folder, map_size_bytes, len(workspaces))
    try:
        settle(store, shard, slots, workspaces)
    finally:
        store.close()


def _not_owned(slots: SlotMap, shard: int, move: Move) -> Iterator[tuple[int, int]]:
    """Yield first and last of the runs of a move's slots that are not of a shard."""
    owners = Slots(slots)
    moved = range(move.first, move.last + 1)
    for is_own, run in itertools.groupby(moved, lambda slot: owners.shard_of(slot) == shard):
        if not is_own:
            found = list(run)
            yield found[0], found[-1]


def _remove(store: Store, table: Table, first: int, last: int) -> None:
    while True:
        with store.write() as txn:
            found = itertools.islice(_of_slots(txn, table, first, last), CHUNK)
            keys = [key for key, _ in found]
            for key in keys:
                txn.delete(table, key)
        if len(keys) < CHUNK:
            return


def _remove_logs(store: Store, workspace: int, first: int, last: int) -> None:
    """Remove the users' logs: of each the oldest first, so that what is left can be found."""
    following: bytes | None = b""
    while following is not None:
        with store.read() as txn:
            start, following, log_ids = following, None, list[int]()
            for packed, encoded in _of_slots(txn, "profiles", first, last, start):
                if len(log_ids) >= CHUNK:
                    following = packed
                    break
                log_ids += reversed([log_id for log_id, _ in _chains(txn, workspace, encoded)])
        for some in (log_ids[at : at + CHUNK] for at in range(0, len(log_ids), CHUNK)):
            with store.write() as txn:
                for log_id in some:
                    txn.delete("log", log_key(log_id))


def _remove_scattered(store: Store, first: int, last: int) -> None:
    for table in _SCATTERED:
        slot_of = SLOT_OF[table]
        start: bytes | None = b""
        while start is not None:
            with store.read() as txn:
                looked = list(itertools.islice(txn.scan(table, start=start), PAGE_LOOKS))
                gone = [
                    key
                    for key, value in looked
                    if (slot := slot_of(key, value)) is not None and first <= slot <= last
                ]
            start = looked[-1][0] + b"\0" if len(looked) == PAGE_LOOKS else None
            if gone:
                with store.write() as txn:
                    for key in gone:
                        if table == "dead_letters":
                            outbox.unbury(txn, key)
                        else:
                            txn.delete(table, key)


def _combine_shared(txn: Transaction, other: Transaction) -> None:
    write_last(txn, max(read_last(txn), read_last(other)))
    for scope in written_scopes(other):
        parts = [read_written(txn, scope), read_written(other, scope)]
        write_written(txn, scope, furthest(parts))


def _combine(txn: Transaction, other: Transaction, profiles: int) -> None:
    """Combine what two shards know of a workspace, in that which has got slots of the other."""
    live = max((read_live(txn), read_live(other)), key=lambda each: each.version)
    write_live(txn, live)
    write_in_force(txn, combined([read_in_force(txn), read_in_force(other)], profiles))
    points = data_points.read_points(txn)
    for point, first_ms in data_points.read_points(other).items():
        data_points.write_point(txn, point, min(points.get(point, first_ms), first_ms))
    starts = data_points.read_starts(txn)
    for connection, started_ms in data_points.read_starts(other).items():
        earliest = min(starts.get(connection, started_ms), started_ms)
        data_points.write_start(txn, connection, earliest)


def _end_group_run(txn: Transaction) -> None:
    """Forget a run of the group job that is under way: it begins again, with who is here now."""
    for table in cast(tuple[Table, ...], ("group_candidates", "group_partials")):
        for key in [key for key, _ in txn.scan(table)]:
            txn.delete(table, key)
    groups.write_progress(txn, Progress())


# -- What both use --------------------------------------------------------------------------------


def _view(store: Store, workspace: int) -> Store:
    return store.of(workspace) if workspace else store


def _own(tables: Iterable[Table]) -> tuple[Table, ...]:
    return tuple(table for table in tables if table not in SHARED_TABLES)


def _of_slots(
    txn: Transaction, table: Table, first: int, last: int, start: bytes = b""
) -> Iterator[Entry]:
    """Yield what slots have in a table that is in their order."""
    for key, value in txn.scan(table, start=max(start, first.to_bytes(2, "big"))):
        if key[0] << 8 | key[1] > last:
            return
        yield key, value


class _Records:
    """Reads kept entries as a transaction reads tables."""

    def __init__(self, entries: Mapping[Table, Sequence[Entry]]) -> None:
        self._tables = {table: dict(some) for table, some in entries.items()}

    def get(self, table: Table, key: bytes) -> bytes | None:
        return self._tables.get(table, {}).get(key)

    def scan(self, table: Table, start: bytes = b"", prefix: bytes = b"") -> Any:
        for key, value in sorted(self._tables.get(table, {}).items()):
            if key >= start and key.startswith(prefix):
                yield key, value


def _kept(entries: Mapping[Table, Sequence[Entry]]) -> Transaction:
    return cast(Transaction, _Records(entries))
