"""Moves everything to another number of shards, while nobody serves.

Every key belongs to a slot, and a shard owns a run of slots; so each entry has exactly one new
place. Nothing in the old stores changes: a move that is cut off is begun again from them.
"""

import heapq
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from actors.audiences.combining import combined
from actors.audiences.in_force import read_in_force, write_in_force
from actors.groups.live import read_live, write_live
from actors.model.workspaces import ENVIRONMENTS
from actors.pipeline.points import DataPoint
from actors.store import addressed, data_points, member_counts, outbox
from actors.store.environment import (
    SHARED_TABLES,
    Store,
    Table,
    Transaction,
    kept_workspaces,
)
from actors.store.groups import member_of
from actors.store.identities import Written, read_written, write_written, written_scopes
from actors.store.ids import read_last, shard_of_id, write_last
from actors.store.keys import shard_of_slot, slot_of_mpid

# Entries in one write transaction.
CHUNK = 20_000


class _LogOwner(Struct):
    mpid: int | None = None


class _DeliveryOwner(Struct, array_like=True):
    sequence: int
    connection: int
    delivery_id: str
    mpid: int | None


class _PendingOwner(Struct, array_like=True):
    number: int
    connection: int
    mpid: int


class _DeadLetterOwner(Struct, array_like=True):
    delivery: _DeliveryOwner


_log_owner = msgspec.msgpack.Decoder(tuple[_LogOwner, Any]).decode
_delivery_owner = msgspec.msgpack.Decoder(_DeliveryOwner).decode
_pending_owner = msgspec.msgpack.Decoder(_PendingOwner).decode
_dead_letter_owner = msgspec.msgpack.Decoder(_DeadLetterOwner).decode

Entry = tuple[bytes, bytes]
SlotOf = Callable[[bytes, bytes], int | None]  # key and value -> slot, None: it belongs to nobody


def reshard(old: Sequence[Path], new: Sequence[Path], map_size_bytes: int) -> None:
    """Copy the stores of `old` into those of `new`, which do not exist yet.

    Raises:
        DataFolderError: a store cannot be opened.
        StoreFull: there is no room for the copy.
    """
    workspaces = sorted(set[int]().union(*map(kept_workspaces, old)))
    with ExitStack() as stack:
        sources = [_open(folder, map_size_bytes, len(workspaces), stack) for folder in old]
        targets = [_open(folder, map_size_bytes, len(workspaces), stack) for folder in new]
        _copy(SHARED_TABLES, sources, targets)
        _copy_shard_records(sources, targets)
        for number in workspaces:
            own = [each.of(number) for each in sources], [each.of(number) for each in targets]
            _copy(SLOT_OF.keys() - SHARED_TABLES, *own)
            _copy_workspace_records(*own)


def _copy(tables: Collection[Table], sources: Sequence[Store], targets: Sequence[Store]) -> None:
    """Copy the tables whose entries have an owner."""
    with ExitStack() as stack:
        readers = [stack.enter_context(source.read()) for source in sources]
        for table, slot_of in SLOT_OF.items():
            if table in tables:
                entries = heapq.merge(*(reader.scan(table) for reader in readers))
                _distribute(table, entries, targets, slot_of)


def _copy_shard_records(sources: Sequence[Store], targets: Sequence[Store]) -> None:
    """Copy what each shard knows of itself."""
    with ExitStack() as stack:
        readers = [stack.enter_context(source.read()) for source in sources]
        last = max(read_last(reader) for reader in readers)
        scopes = set[int]().union(*map(written_scopes, readers))
        written = {
            scope: furthest([read_written(reader, scope) for reader in readers]) for scope in scopes
        }
        for target in targets:
            with target.write() as txn:
                write_last(txn, last)
                for scope, reached in written.items():
                    write_written(txn, scope, reached)


def _copy_workspace_records(sources: Sequence[Store], targets: Sequence[Store]) -> None:
    """Copy what each shard knows of a workspace; its profiles are there."""
    with ExitStack() as stack:
        readers = [stack.enter_context(source.read()) for source in sources]
        groups = heapq.merge(*(reader.scan("group_values") for reader in readers))
        _copy_to_all("group_values", groups, targets)
        live = max((read_live(reader) for reader in readers), key=lambda each: each.version)
        in_force = [read_in_force(reader) for reader in readers]
        counts = [addressed.read(reader) for reader in readers]
        names = {key: value for reader in readers for key, value in reader.scan("event_names")}
        points: dict[DataPoint, int] = {}
        starts: dict[int, int] = {}
        for reader in readers:
            for point, first_ms in data_points.read_points(reader).items():
                points[point] = min(points.get(point, first_ms), first_ms)
            for connection, started_ms in data_points.read_starts(reader).items():
                starts[connection] = min(starts.get(connection, started_ms), started_ms)
        for target in targets:
            with target.write() as txn:
                for key, value in names.items():
                    txn.put("event_names", key, value)
                for point, first_ms in points.items():
                    data_points.write_point(txn, point, first_ms)
                for connection, started_ms in starts.items():
                    data_points.write_start(txn, connection, started_ms)
                write_live(txn, live)
                write_in_force(txn, combined(in_force, txn.entries("profiles")))
        with targets[0].write() as txn:  # only their sum counts
            addressed.write(
                txn, {name: sum(each[name] for each in counts) for name in ENVIRONMENTS}
            )
            member_counts.add_up(readers, txn)


def furthest(written: Sequence[Written]) -> Written:
    """Return how far the shards are together; the numbers of their writes begin anew.

    Nobody can go on in a term of before: there was no coordinator while this was done.
    """
    last = max(written, key=lambda each: each.start)
    return Written(last.start, last.nonce, 0, max(each.intent for each in written))


def _open(folder: Path, map_size_bytes: int, workspaces: int, stack: ExitStack) -> Store:
    store = Store(folder, map_size_bytes, workspaces)
    stack.callback(store.close)
    return store


def _distribute(
    table: Table, entries: Iterator[Entry], targets: Sequence[Store], slot_of: SlotOf
) -> None:
    """Write entries, which come in the order of their keys, each to its shard."""
    count = len(targets)
    while chunk := list(itertools.islice(entries, CHUNK)):
        by_shard: dict[int, list[Entry]] = {}
        for key, value in chunk:
            slot = slot_of(key, value)
            if slot is None:  # what belongs to nobody may lie anywhere; its key ends with an id
                shard = shard_of_id(int.from_bytes(key[-8:], "big")) % count
            else:
                shard = shard_of_slot(slot, count)
            by_shard.setdefault(shard, []).append((key, value))
        for shard, members in by_shard.items():
            with targets[shard].write() as txn:
                _write(table, members, txn)


def _copy_to_all(table: Table, entries: Iterator[Entry], targets: Sequence[Store]) -> None:
    """Write entries to all shards: of a group every shard with a member has the same."""
    unique = (next(same) for _, same in itertools.groupby(entries, key=lambda entry: entry[0]))
    while chunk := list(itertools.islice(unique, CHUNK)):
        for target in targets:
            with target.write() as txn:
                _write(table, chunk, txn)


def _write(table: Table, members: Sequence[Entry], txn: Transaction) -> None:
    for key, value in members:
        if table == "dead_letters":
            outbox.bury(txn, outbox.decode_dead_letter(value))  # with the key that finds it
        else:
            txn.append(table, key, value)


def _by_slot(key: bytes, _: bytes) -> int:
    return key[0] << 8 | key[1]


def _of_owner(mpid: int | None) -> int | None:
    return None if mpid is None else slot_of_mpid(mpid)


def _of_log(_: bytes, value: bytes) -> int | None:
    return _of_owner(_log_owner(value)[0].mpid)


def _of_delivery(_: bytes, value: bytes) -> int | None:
    return _of_owner(_delivery_owner(value).mpid)


def _of_pending(_: bytes, value: bytes) -> int:
    return slot_of_mpid(_pending_owner(value).mpid)


def _of_dead_letter(_: bytes, value: bytes) -> int | None:
    return _of_owner(_dead_letter_owner(value).delivery.mpid)


def _of_group_member(key: bytes, _: bytes) -> int:
    return slot_of_mpid(member_of(key).mpid)


def _of_list(key: bytes, _: bytes) -> int:
    return key[4] << 8 | key[5]


# Candidates and partials of groups stay behind: a run that misses them begins again.
SLOT_OF: dict[Table, SlotOf] = {
    "profiles": _by_slot,
    "followed": _by_slot,
    "identities": _by_slot,
    "trail": _by_slot,
    "erased": _by_slot,
    "duplicates": _by_slot,
    "copies": _by_slot,
    "copy_progress": _by_slot,
    "log": _of_log,
    "outbox": _of_delivery,
    "dead_letters": _of_dead_letter,
    "pending_batches": _of_pending,
    "pending_parts": _of_delivery,
    "pending_due": _of_pending,
    "group_members": _of_group_member,
    "static_lists": _of_list,
    "scores": _by_slot,
}
# Those whose keys begin with the slot.
BY_SLOT: tuple[Table, ...] = tuple(
    table for table, slot_of in SLOT_OF.items() if slot_of is _by_slot
)
