"""Where in a store lies what slots have: how it is found, and how it is removed."""

import itertools
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Raw, Struct

from actors.store import outbox
from actors.store.environment import SHARED_TABLES, Store, Table, Transaction
from actors.store.keys import log_key
from actors.store.profiles import decode_profile
from actors.store.resharding import BY_SLOT, SLOT_OF, Entry

CHUNK = 5_000  # entries that one transaction removes
LOOKS = 50_000  # entries that are looked at for one

SCATTERED = tuple(table for table in SLOT_OF if table not in BY_SLOT and table != "log")


class _Link(Struct):
    """What of a stored batch says where the user's one before it is."""

    previous_log_id: int = 0


_link = msgspec.msgpack.Decoder(tuple[_Link, Raw]).decode


def view_of(store: Store, workspace: int) -> Store:
    """Return a workspace's view of a store; 0: of the tables that all share."""
    return store.of(workspace) if workspace else store


def own_tables(tables: Iterable[Table]) -> tuple[Table, ...]:
    """Return those of some tables that each workspace has for itself."""
    return tuple(table for table in tables if table not in SHARED_TABLES)


def of_slots(
    txn: Transaction, table: Table, first: int, last: int, start: bytes = b""
) -> Iterator[Entry]:
    """Yield what slots have in a table that is in their order."""
    for key, value in txn.scan(table, start=max(start, first.to_bytes(2, "big"))):
        if key[0] << 8 | key[1] > last:
            return
        yield key, value


def chains(txn: Transaction, workspace: int, profile: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield log id and value of what a user's chains have, newest first."""
    section = decode_profile(profile).workspaces.get(workspace)
    if section is None:
        return
    for newest in (section.newest_log_id, section.newest_historical_id):
        log_id = newest
        while log_id and (value := txn.get("log", log_key(log_id))) is not None:
            yield log_id, value
            log_id = _link(value)[0].previous_log_id


def remove_slots(store: Store, views: Mapping[int, Store], first: int, last: int) -> None:
    """Remove all that slots have; what is cut off is done again.

    Args:
        store: of the shard.
        views: of its workspaces, by number.
        first, last: the slots.

    Raises:
        StoreFull: some of it may be gone.
    """
    for number, view in views.items():
        _remove_logs(view, number, first, last)
        for table in own_tables(BY_SLOT):
            _remove(view, table, first, last)
        _remove_scattered(view, first, last)
    for table in BY_SLOT:
        if table in SHARED_TABLES:  # the profiles, which name the logs, after these
            _remove(store, table, first, last)


def _remove(store: Store, table: Table, first: int, last: int) -> None:
    while True:
        with store.write() as txn:
            found = itertools.islice(of_slots(txn, table, first, last), CHUNK)
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
            for packed, encoded in of_slots(txn, "profiles", first, last, start):
                if len(log_ids) >= CHUNK:
                    following = packed
                    break
                log_ids += reversed([log_id for log_id, _ in chains(txn, workspace, encoded)])
        for some in (log_ids[at : at + CHUNK] for at in range(0, len(log_ids), CHUNK)):
            with store.write() as txn:
                for log_id in some:
                    txn.delete("log", log_key(log_id))


def _remove_scattered(store: Store, first: int, last: int) -> None:
    for table in SCATTERED:
        slot_of = SLOT_OF[table]
        start: bytes | None = b""
        while start is not None:
            with store.read() as txn:
                looked = list(itertools.islice(txn.scan(table, start=start), LOOKS))
                gone = [
                    key
                    for key, value in looked
                    if (slot := slot_of(key, value)) is not None and first <= slot <= last
                ]
            start = looked[-1][0] + b"\0" if len(looked) == LOOKS else None
            if gone:
                with store.write() as txn:
                    for key in gone:
                        if table == "dead_letters":
                            outbox.unbury(txn, key)
                        else:
                            txn.delete(table, key)
