"""Moves slots from one shard's store to another's, while neither serves.

    1. `begin` in both: they are marked, on disk, and change nothing from now on but for the move.
    2. `actors.store.slot_pages` reads in the one and writes in the other: page by page what lies in
       the order of slots, and the users' logs; at the end, for all that moves, what lies in other
       orders. What the shard knows of itself goes by `read_records` and `keep_records`.
    3. Who owns which slots is changed in one step, elsewhere: that is the commit.
    4. `settle` in both, as the owners are then: a store removes what it does not own, and one that
       got slots combines what both shards knew, as `actors.store.resharding` does.

What ends before 3 leaves copies in the store that should have got them, what ends after it leaves
them in the one that had them: `settle` removes either. Every step may be done again. None looks at
the slots that stay, but for queues and lists.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Struct

from actors.audiences.combining import combined
from actors.audiences.in_force import read_in_force, write_in_force
from actors.groups.live import read_live, write_live
from actors.groups.runs import Progress
from actors.store import data_points, groups, queue_sums
from actors.store.environment import Store, Table, Transaction, kept_workspaces
from actors.store.identities import read_written, write_written, written_scopes
from actors.store.ids import read_last, write_last
from actors.store.resharding import Entry, furthest
from actors.store.slot_entries import remove_slots, view_of
from actors.store.slots import SlotMap, Slots

_MARK = b"moving"
_SLOTS = b"slots"
_RECORDS = b"moved_records"
# What a shard knows of itself; only what `settle` reads of it is used.
_OF_SHARD: tuple[Table, ...] = ("shard",)
_OF_WORKSPACE: tuple[Table, ...] = ("meta", "data_points")

Records = dict[int, dict[Table, list[Entry]]]  # by workspace, 0: what all share


class Move(Struct, frozen=True, array_like=True):
    """What is under way, as both stores are marked with it: at most slots `first` to `last`.

    `epoch` is that of the map of slots by which it began.
    """

    first: int
    last: int
    epoch: int


_encode = msgspec.msgpack.Encoder().encode
_decode_records = msgspec.msgpack.Decoder(Records).decode
_decode_move = msgspec.msgpack.Decoder(Move).decode
_decode_slots = msgspec.msgpack.Decoder(SlotMap).decode


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


# -- What a shard knows of itself ----------------------------------------------------------------


def read_records(store: Store) -> bytes:
    """Return what a shard knows of itself, for `keep_records` of the other."""
    found: Records = {}
    for number in (0, *store.workspaces):
        with view_of(store, number).read() as txn:
            kept = _OF_WORKSPACE if number else _OF_SHARD
            found[number] = {table: list(txn.scan(table)) for table in kept}
    found[0]["shard"] = [each for each in found[0]["shard"] if each[0] != _RECORDS]
    return _encode(found)


def keep_records(store: Store, records: bytes) -> None:
    """Keep what the other shard knows of itself, until `settle`. Raises StoreFull."""
    for number in _decode_records(records):
        view_of(store, number)  # makes tables: `settle` looks for whose there are
    with store.write() as txn:
        txn.put("shard", _RECORDS, records)


# -- Settling -------------------------------------------------------------------------------------


def settle(store: Store, shard: int, slots: SlotMap) -> None:
    """Bring a store to who owns which slots now; nothing is marked any more after it.

    Args:
        store: of shard `shard`, which does not serve yet. It is settled for all workspaces that
            it has tables of: one that is left out of a start may be back.
        slots: as they are owned.

    Raises:
        StoreFull: it is to be done again.
    """
    move = under_way(store)
    if move is None:
        return
    views = {number: store.of(number) for number in store.workspaces}
    for first, last in _not_owned(slots, shard, move):
        remove_slots(store, views, first, last)
    with store.write() as txn:
        kept = txn.get("shard", _RECORDS)
        is_done = slots.epoch > move.epoch
        if kept is not None and is_done:
            records = _decode_records(kept)
            _combine_shared(txn, _kept(records[0]))
        for number, view in views.items():
            own = view.within(txn)
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
        settle(store, shard, slots)
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
