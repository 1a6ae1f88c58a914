"""Another number of shards finds everything again, each thing once and at its owner."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from actors.clock import ManualClock, SystemClock
from actors.groups.live import LiveDefinition, LiveGroups, read_live, write_live
from actors.model.deliveries import DeadLetter, Delivery
from actors.model.micro_batches import EventName
from actors.model.profiles import ProfileKey
from actors.store import event_names, groups, log, outbox, resharding
from actors.store.environment import TABLES, Store, Table, Transaction
from actors.store.folder import DataFolder
from actors.store.identities import Written, read_written, write_written
from actors.store.ids import Ids, read_last, write_last
from actors.store.keys import (
    copy_key,
    copy_progress_key,
    profile_key,
    shard_of_slot,
    slot_of_mpid,
)
from tests.actors.store.builders import MAP_SIZE_BYTES, NOW, dead, delivery, stored

SCOPE = 3
WORKSPACE, OTHER = 7, 9

SLOT_TABLES: tuple[Table, ...] = (
    "profiles",
    "identities",
    "trail",
    "erased",
    "duplicates",
    "copies",
    "copy_progress",
)
OWNED_TABLES: tuple[Table, ...] = ("log", "outbox", "dead_letters")
# Not moved: a run of edges has ended, so what is remembered of their micro-batches is of no use;
# and a run of the group job begins again.
LEFT_BEHIND: tuple[Table, ...] = ("micro_batches", "group_candidates", "group_partials")

Content = dict[Table, dict[bytes, bytes]]

mpids = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 7).map(lambda part: part << 50),  # at the borders of shards
    st.sampled_from([4411, -1]),  # more than one thing of one user
)


class Thing(Struct, frozen=True):
    """Something of a user, or of nobody; `place` is the shard that drew its number."""

    table: Table
    mpid: int | None
    place: int
    connection: int = 1


class Filling(Struct, frozen=True):
    """What a deployment has stored."""

    profiles: list[ProfileKey]
    hashes: list[tuple[Table, bytes]]
    things: list[Thing]
    names: list[tuple[int, str]]  # (a shard that knows it, name)
    lasts: list[int]
    intents: list[int]


fillings = st.builds(
    Filling,
    profiles=st.lists(
        st.builds(
            ProfileKey, st.integers(1, 2), st.sampled_from(["production", "development"]), mpids
        ),
        max_size=12,
    ),
    hashes=st.lists(
        st.one_of(
            st.tuples(st.just("identities"), st.binary(min_size=16, max_size=16)),
            st.tuples(st.just("duplicates"), st.binary(min_size=18, max_size=18)),
        ),
        max_size=12,
    ),
    things=st.lists(
        st.builds(
            Thing,
            st.sampled_from(OWNED_TABLES),
            st.one_of(st.none(), mpids),
            st.integers(0, 7),
            st.sampled_from([1, 2]),
        ),
        max_size=25,
    ),
    names=st.lists(st.tuples(st.integers(0, 7), st.sampled_from(["Open", "Buy", "Go"]))),
    lasts=st.lists(st.integers(0, 2**62), min_size=4, max_size=4),
    intents=st.lists(st.integers(0, 2**40), min_size=4, max_size=4),
)
counts = st.integers(1, 4)


@given(fillings, fillings, counts, counts)
@settings(max_examples=40, deadline=None)
def test_everything_is_at_its_new_owner_once(
    filling: Filling, other: Filling, old: int, new: int
) -> None:
    """Also of another workspace, which has its own things under the same keys."""
    with taken(old) as path:
        fill(path, old, other, OTHER)
        fill(path, old, filling)
        before, others_before = read(path, 1, old), read(path, 1, old, OTHER)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(resharding, "CHUNK", 3)
            take(path, new)
        generation = 1 if new == old else 2
        after = read(path, generation, new)
        assert [each.name for each in path.glob("shards-*")] == [f"shards-{generation}"]
        check(before, after)
        check(others_before, read(path, generation, new, OTHER))
        with opened(path, generation, new) as stores:
            for store in stores:
                check_numbers(store, filling, old, is_moved=new != old)


@given(fillings, counts, counts, st.integers(0, 12))
@settings(max_examples=25, deadline=None)
def test_a_move_that_was_cut_off_is_begun_again(
    filling: Filling, old: int, new: int, writes: int
) -> None:
    """Whether with the same number of shards or back with the old one."""
    with taken(old) as path:
        fill(path, old, filling)
        before = read(path, 1, old)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(resharding, "CHUNK", 3)
            patch.setattr(Store, "write", cut_off_after(writes))
            try:
                take(path, new)
            except KeyboardInterrupt:
                pass
            else:
                return  # it was done before
        take(path, old)
        assert read(path, 1, old) == before
        take(path, new)
        check(before, read(path, 2, new))


def check(before: Sequence[Content], after: Sequence[Content]) -> None:
    """Compare shards with those that they were made of."""
    for table in (*SLOT_TABLES, *OWNED_TABLES):
        assert merged(after, table) == merged(before, table)
    for number, content in enumerate(after):
        for table in SLOT_TABLES:
            for key in content[table]:
                assert shard_of_slot(int.from_bytes(key[:2], "big"), len(after)) == number
        for table in OWNED_TABLES:
            for encoded in content[table].values():
                mpid = owner(table, encoded)
                if mpid is not None:
                    assert shard_of_slot(slot_of_mpid(mpid), len(after)) == number
        assert content["dead_ids"] == {
            each.delivery.connection.to_bytes(4, "big")
            + each.delivery.delivery_id.encode(): each.delivery.sequence.to_bytes(8, "big")
            for each in map(outbox.decode_dead_letter, content["dead_letters"].values())
        }
        known = {key: value for each in before for key, value in each["event_names"].items()}
        if len(before) != len(after):
            assert content["event_names"] == known
            assert all(content[table] == {} for table in LEFT_BEHIND)


def check_numbers(store: Store, filling: Filling, old: int, *, is_moved: bool) -> None:
    with store.read() as txn:
        if is_moved:
            assert read_last(txn) == max(filling.lasts[:old])
            intent = max(filling.intents[:old])
            assert read_written(txn, SCOPE) == Written(old, old, 0, intent), "the last of all terms"
        sizes: dict[int, int] = {}
        for key, encoded in txn.scan("dead_letters"):
            connection = int.from_bytes(key[:4], "big")
            sizes[connection] = sizes.get(connection, 0) + len(encoded)
        assert outbox.dead_bytes(txn) == sizes


def test_members_go_with_their_profiles_and_groups_to_all_shards(tmp_path: Path) -> None:
    mpids = [number << 50 for number in range(8)] + [-1]
    group = groups.group_key(1, 2, "production", "elm")
    live = LiveGroups(5, (LiveDefinition(1, "g", 2, frozenset({"g:a"})),))
    take(tmp_path, 3)
    with opened(tmp_path, 1, 3) as stores:
        for mpid in mpids:
            number = shard_of_slot(slot_of_mpid(mpid), 3)
            put(stores[number], "group_members", groups.member_key(group, mpid))
            put(stores[number], "group_values", group)
        with stores[0].write() as txn:
            write_live(txn, live)
    take(tmp_path, 2)
    after = read(tmp_path, 2, 2)
    for number, content in enumerate(after):
        moved = [groups.member_of(key).mpid for key in content["group_members"]]
        assert moved == sorted(
            each for each in mpids if shard_of_slot(slot_of_mpid(each), 2) == number
        )
        assert list(content["group_values"]) == [group]
    with opened(tmp_path, 2, 2) as stores:
        for store in stores:
            with store.read() as txn:
                assert read_live(txn) == live


def test_a_users_log_is_read_in_the_order_of_its_commits(tmp_path: Path) -> None:
    """The chain of a user's batches goes on after a move, with greater ids."""
    take(tmp_path, 3)
    owner_before = shard_of_slot(slot_of_mpid(-1), 3)
    ids = Ids(owner_before, 0, ManualClock(NOW))
    drawn = [0, *(ids.next() for _ in range(5))]
    with opened(tmp_path, 1, 3) as stores, stores[owner_before].write() as txn:
        for previous, log_id in pairwise(drawn):
            log.append(txn, stored(log_id, previous, mpid=-1))
        write_last(txn, ids.last)
    take(tmp_path, 2)
    number = shard_of_slot(slot_of_mpid(-1), 2)
    with opened(tmp_path, 2, 2) as stores, stores[number].write() as txn:
        following = Ids(number, read_last(txn), ManualClock(0)).next()
        log.append(txn, stored(following, drawn[-1], mpid=-1))
        chain = [each.log_id for each in log.chain(txn, following)]
    assert chain == [following, *drawn[:0:-1]]


# -- Filling and reading stores -------------------------------------------------------------------


def fill(path: Path, shards: int, filling: Filling, workspace: int = WORKSPACE) -> None:
    """Store things where shards would have stored them."""
    clock = ManualClock(NOW)
    ids = [Ids(number, 0, clock) for number in range(shards)]
    with opened(path, 1, shards, workspace) as stores:
        for place, key in enumerate(filling.profiles):
            number = shard_of_slot(slot_of_mpid(key.mpid), shards)
            put(stores[number], "profiles", profile_key(key))
            put(stores[number], "copies", copy_key(key, NOW, place))
            put(stores[number], "copy_progress", copy_progress_key(key.mpid, place))
        for table, digest in filling.hashes:
            put(stores[shard_of_slot(digest[0] << 8 | digest[1], shards)], table, digest)
        for thing in filling.things:
            number = thing.place % shards
            if thing.mpid is not None:
                number = shard_of_slot(slot_of_mpid(thing.mpid), shards)
            with stores[number].write() as txn:
                add(txn, thing, ids[number].next())
        for number, name in filling.names:
            with stores[number % shards].write() as txn:
                event_names.write(txn, [EventName("custom_event", name)])
        numbers = zip(filling.lasts, filling.intents, strict=True)
        for start, (store, (last, intent)) in enumerate(zip(stores, numbers, strict=False), 1):
            for table in LEFT_BEHIND:
                put(store, table, bytes(9))
            with store.write() as txn:
                write_last(txn, last)
                write_written(txn, SCOPE, Written(start, start, 9, intent))


def put(store: Store, table: Table, key: bytes) -> None:
    with store.write() as txn:
        txn.put(table, key, b"value of " + key)


def add(txn: Transaction, thing: Thing, drawn: int) -> None:
    if thing.table == "log":
        log.append(txn, stored(drawn, mpid=thing.mpid))
    elif thing.table == "outbox":
        outbox.add(txn, delivery(drawn, thing.connection, mpid=thing.mpid))
    else:
        outbox.bury(txn, dead(delivery(drawn, thing.connection, mpid=thing.mpid)))


def owner(table: Table, encoded: bytes) -> int | None:
    if table == "log":
        return log.decode(encoded).mpid
    if table == "outbox":
        return msgspec.msgpack.decode(encoded, type=Delivery).mpid
    return msgspec.msgpack.decode(encoded, type=DeadLetter).delivery.mpid


def read(path: Path, generation: int, shards: int, workspace: int = WORKSPACE) -> list[Content]:
    """Return all that each shard has but its numbers, in the order of the keys."""
    contents: list[Content] = []
    with opened(path, generation, shards, workspace) as stores:
        for store in stores:
            with store.read() as txn:
                contents.append({table: dict(txn.scan(table)) for table in TABLES})
    return contents


def merged(contents: Sequence[Content], table: Table) -> dict[bytes, bytes]:
    """Return what all shards have of a table; nothing is at two of them."""
    together = {key: value for content in contents for key, value in content[table].items()}
    assert len(together) == sum(len(content[table]) for content in contents)
    return together


@contextmanager
def opened(
    path: Path, generation: int, shards: int, workspace: int = WORKSPACE
) -> Iterator[list[Store]]:
    folders = [path / f"shards-{generation}" / f"shard-{number:04d}" for number in range(shards)]
    stores = [Store(folder, MAP_SIZE_BYTES, 2).of(workspace) for folder in folders]
    try:
        yield stores
    finally:
        for store in stores:
            store.close()


@contextmanager
def taken(shards: int) -> Iterator[Path]:
    """Make a data folder for one example of a property."""
    with tempfile.TemporaryDirectory() as folder:
        take(Path(folder), shards)
        yield Path(folder)


def take(path: Path, shards: int) -> None:
    DataFolder(path, shards, MAP_SIZE_BYTES, SystemClock()).close()


def cut_off_after(writes: int) -> Any:
    """Return `Store.write` for a process that is ended at some point."""
    whole = Store.write
    left = [writes]

    def write(store: Store) -> Any:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return whole(store)

    return write
