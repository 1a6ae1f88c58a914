"""What slots have, page by page: read in one shard's store, written in another's."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from actors.errors import StoreFull
from actors.store import groups, outbox
from actors.store.environment import SHARED_TABLES, Store, Table, Transaction
from actors.store.keys import log_key
from actors.store.resharding import BY_SLOT, SLOT_OF, Entry
from actors.store.slot_entries import SCATTERED, chains, of_slots, own_tables, view_of

PAGE_BYTES = 4 * 1024 * 1024
PAGE_LOOKS = 50_000  # entries that are looked at for a page: others' take time too
MOST_USED = 0.95  # of its map, in a store that gets slots


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


def read_page(store: Store, first: int, last: int, place: Place) -> Page:
    """Return some of what slots have: of tables in the order of slots, and the users' logs.

    Args:
        store: all workspaces that it has tables of go with the slots, served or not.
        first, last: the slots.
        place: `following` of the page before.
    """
    sources: list[tuple[int, Table]] = [
        *((0, table) for table in BY_SLOT if table in SHARED_TABLES),
        *(
            (number, table)
            for number in store.workspaces
            for table in (*own_tables(BY_SLOT), "log")
        ),
    ]
    page = Page({}, None)
    size = 0
    for source in range(place.source, len(sources)):
        workspace, table = sources[source]
        view = view_of(store, workspace)
        start = place if source == place.source else Place(source)
        with view.read() as txn:
            if table == "log":
                found = _read_logs(txn, workspace, first, last, start)
            else:
                found = (
                    (Place(source, key), key, value)
                    for key, value in of_slots(txn, table, first, last, start.key)
                )
            for at, key, value in found:
                if size >= PAGE_BYTES:
                    page.following = at
                    return page
                _add(page, workspace, table, key, value)
                size += len(key) + len(value)
    return page


def read_scattered(store: Store, first: int, last: int, place: Place) -> Page:
    """Return some of what slots have in tables that are in other orders; see `read_page`.

    With it goes what the shards of an event, or of a group's member, have in common.
    """
    sources: list[tuple[int, Table]] = [
        (number, table) for number in store.workspaces for table in (*SCATTERED, "event_names")
    ]
    page = Page({}, None)
    size = looked = 0
    for source in range(place.source, len(sources)):
        workspace, table = sources[source]
        slot_of = SLOT_OF.get(table)
        with view_of(store, workspace).read() as txn:
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
    views = {number: view_of(store, number) for number in page.entries}  # each may make tables
    if not views:
        return
    with store.write() as txn:
        for number, tables in page.entries.items():
            own = views[number].within(txn)
            for table, entries in tables.items():
                _write(own, table, entries)


def _read_logs(
    txn: Transaction, workspace: int, first: int, last: int, start: Place
) -> Iterator[tuple[Place, bytes, bytes]]:
    """Yield where an entry of a user's log is, its key and value; of each user newest first."""
    for packed, encoded in of_slots(txn, "profiles", first, last, start.key):
        skipped = start.log_id if packed == start.key else 0
        for log_id, value in chains(txn, workspace, encoded):
            if skipped and log_id != skipped:
                continue
            skipped = 0
            yield Place(start.source, packed, log_id), log_key(log_id), value


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
