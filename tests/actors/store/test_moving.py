"""Slots that move to another store: everything is there once, whatever ends when."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from actors.clock import ManualClock, SystemClock
from actors.model.micro_batches import EventName
from actors.model.profiles import ProfileKey, Section
from actors.store import event_names, groups, log, moving, outbox, pending, slot_entries, slot_pages
from actors.store.environment import Store, Table, Transaction
from actors.store.folder import DataFolder
from actors.store.identities import Written, read_written, write_written
from actors.store.ids import Ids, read_last, write_last
from actors.store.keys import (
    MPID_RANDOM_BITS,
    SLOTS,
    pending_key,
    profile_key,
    slot_of_mpid,
)
from actors.store.moving import Move, read_slots
from actors.store.profiles import Profiles
from actors.store.resharding import BY_SLOT, SLOT_OF
from actors.store.slot_pages import Place
from actors.store.slots import SlotMap, Slots, even
from tests.actors.store.builders import MAP_SIZE_BYTES, NOW, dead, delivery, stored
from tests.actors.store.test_resharding import Content, cut_off_after, merged, read, taken

SCOPE = 3
WORKSPACE, OTHER = 7, 9
BEFORE = even(2)
SOURCE, TARGET = 0, 1
NEVER = 10_000
# Those with slots in their keys that no other thing of this test is in.
_PLAIN: tuple[Table, ...] = tuple(each for each in BY_SLOT if each != "profiles")


class User(Struct, frozen=True):
    """A user with batches in the log, some of them historical, and things that wait."""

    slot: int
    batches: int
    historical: int
    waiting: int


class Filling(Struct, frozen=True):
    """What a deployment has stored; `nobodys` are batches without a user."""

    users: list[User]
    nobodys: int
    names: list[tuple[int, str]]
    last: int
    intent: int


slots = st.one_of(st.integers(0, SLOTS - 1), st.sampled_from([0, 99, 100, SLOTS // 2 - 1]))
fillings = st.builds(
    Filling,
    users=st.lists(
        st.builds(User, slots, st.integers(0, 4), st.integers(0, 2), st.integers(0, 2)),
        max_size=8,
    ),
    nobodys=st.integers(0, 3),
    names=st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["Open", "Buy"])), max_size=3),
    last=st.integers(2**50, 2**62),
    intent=st.integers(0, 2**40),
)


class Owners:
    """Who owns which slots: the data folder, which says it in one step."""

    def __init__(self) -> None:
        self.now = BEFORE


def move(stores: Sequence[Store], owners: Owners, following: SlotMap, wanted: Move) -> None:
    """Do what `server.transfer` and `server.slot_moves` have the shards do."""
    source, target = stores[SOURCE], stores[TARGET]
    for store in stores:
        moving.begin(store, wanted)
    for reader in (slot_pages.read_page, slot_pages.read_scattered):
        place: Place | None = Place()
        while place is not None:
            page = reader(source, wanted.first, wanted.last, place)
            slot_pages.write_page(target, page)
            place = page.following
    moving.keep_records(target, moving.read_records(source))
    owners.now = following
    settle(stores, owners)


def settle(stores: Sequence[Store], owners: Owners) -> None:
    """Do what shards do before they serve."""
    for number, store in enumerate(stores):
        moving.settle(store, number, owners.now)


@given(
    fillings,
    fillings,
    st.tuples(slots, slots).map(lambda ends: [each % (SLOTS // 2) for each in ends]),
    st.one_of(st.just(NEVER), st.integers(0, 40)),
    st.integers(0, 12),
)
@settings(max_examples=25, deadline=None)
def test_everything_is_at_its_owner_once(
    filling: Filling, other: Filling, ends: list[int], writes: int, again: int
) -> None:
    """After so many writes all ends, and once more while what was left is settled."""
    wanted = Move(min(ends), max(ends), BEFORE.epoch)
    following = BEFORE.moved(wanted.first, wanted.last, TARGET)
    with taken(2) as path, pytest.MonkeyPatch.context() as patch:
        patch.setattr(slot_pages, "PAGE_BYTES", 600)
        patch.setattr(slot_pages, "PAGE_LOOKS", 3)
        patch.setattr(slot_entries, "LOOKS", 3)
        patch.setattr(slot_entries, "CHUNK", 3)
        with opened(path) as stores:
            fill(stores, filling, WORKSPACE)
            fill(stores, other, OTHER)
        before = {each: read(path, 1, 2, each) for each in (WORKSPACE, OTHER)}
        owners = Owners()
        with opened(path) as stores:
            written = Store.write
            steps: list[tuple[Callable[[], None], int]] = [
                (lambda: move(stores, owners, following, wanted), writes),
                (lambda: settle(stores, owners), again),
            ]
            for step, most in steps:
                patch.setattr(Store, "write", cut_off_after(most))
                with contextlib.suppress(KeyboardInterrupt):
                    step()
                patch.setattr(Store, "write", written)
            settle(stores, owners)
            assert [moving.under_way(store) for store in stores] == [None, None]
            is_moved = owners.now == following
            for store in stores:
                with store.read() as txn:
                    assert read_slots(txn) == (following if is_moved else None)
            with stores[TARGET].read() as txn:
                if is_moved:
                    assert read_last(txn) == max(filling.last, other.last)
                    intent = max(filling.intent, other.intent) + 1
                    assert read_written(txn, SCOPE) == Written(2, 2, 0, intent)
        assert is_moved or writes != NEVER
        for number, contents in before.items():
            check(contents, read(path, 1, 2, number), Slots(owners.now))
        with opened(path) as stores:
            for store, number in itertools.product(stores, before):
                check_sums(store.of(number))


@pytest.mark.parametrize("is_committed", [False, True])
def test_another_number_of_shards_finds_everything_after_a_move_that_was_cut_off(
    is_committed: bool,
) -> None:
    users = [User(slot, 2, 1, 1) for slot in (50, 150, 40_000)]
    with taken(2) as path:
        with opened(path) as stores:
            fill(stores, Filling(users, 1, [], 2**50, 0), WORKSPACE)
        before = read(path, 1, 2)
        folder = DataFolder(path, 2, MAP_SIZE_BYTES, SystemClock())
        with opened(path) as stores:
            for store in stores:
                moving.begin(store, Move(100, 199, BEFORE.epoch))
            for reader in (slot_pages.read_page, slot_pages.read_scattered):
                page = reader(stores[SOURCE], 100, 199, Place())
                assert page.following is None
                slot_pages.write_page(stores[TARGET], page)
        if is_committed:
            folder.move_slots(BEFORE.moved(100, 199, TARGET))
        folder.close()
        DataFolder(path, 3, MAP_SIZE_BYTES, SystemClock()).close()
        after = read(path, 2, 3)
        for table, slot_of in SLOT_OF.items():
            assert merged(after, table) == merged(before, table), table
            for number, content in enumerate(after):
                slots_there = {slot_of(*each) for each in content[table].items()} - {None}
                assert all(Slots(even(3)).shard_of(slot or 0) == number for slot in slots_there)


def check(before: Sequence[Content], after: Sequence[Content], slots: Slots) -> None:
    for table, slot_of in SLOT_OF.items():
        assert merged(after, table) == merged(before, table), table
        for number, content in enumerate(after):
            for key, value in content[table].items():
                slot = slot_of(key, value)
                if slot is None:
                    assert before[number][table][key] == value, "what is nobody's stays"
                else:
                    assert slots.shard_of(slot) == number, table
    for number, content in enumerate(after):
        letters = map(outbox.decode_dead_letter, content["dead_letters"].values())
        assert content["dead_ids"] == {
            each.delivery.connection.to_bytes(4, "big")
            + each.delivery.delivery_id.encode(): each.delivery.sequence.to_bytes(8, "big")
            for each in letters
        }
        for key in content["group_members"]:
            assert groups.group_of_member(key) in content["group_values"]
        assert before[number]["event_names"].items() <= content["event_names"].items()


def check_sums(view: Store) -> None:
    """See that all that waits is counted anew, also what is collected: nothing is left of it."""
    outbox.begin_sums(view)
    with view.write() as txn:
        depths = outbox.depths(txn)
        cleared = {}
        for connection in depths:
            count, size = outbox.clear(txn, connection, NEVER)
            parts, parts_size = pending.clear(txn, connection, NEVER)
            cleared[connection] = (count + parts, size + parts_size)
        assert depths == cleared
        assert outbox.depths(txn) == {}
        assert (txn.entries("outbox"), txn.entries("pending_parts")) == (0, 0)


def test_maps_count_and_keep_whole_runs() -> None:
    first = BEFORE.moved(0, 99, 1)
    assert first == SlotMap(2, ((0, 1), (100, 0), (SLOTS // 2, 1)), 1)
    assert first.moved(0, 99, 0) == SlotMap(2, BEFORE.runs, 2)
    slots = Slots(BEFORE)
    assert slots.take_over(first)
    assert [slots.shard_of(slot) for slot in (0, 99, 100, SLOTS - 1)] == [1, 1, 0, 1]
    assert not slots.take_over(BEFORE), "an old map never comes back"


# -- Filling stores -------------------------------------------------------------------------------


def fill(stores: Sequence[Store], filling: Filling, workspace: int) -> None:
    """Store things where shards would have stored them."""
    ids = [Ids(number, workspace << 40, ManualClock(0)) for number in range(len(stores))]
    for place, user in enumerate(filling.users):
        shard = Slots(BEFORE).shard_of(user.slot)
        mpid = user.slot << MPID_RANDOM_BITS | workspace << 10 | place
        with stores[shard].of(workspace).write() as txn:
            _add_user(txn, user, mpid, ids[shard], workspace)
    for _ in range(filling.nobodys):
        with stores[SOURCE].of(workspace).write() as txn:
            log.append(txn, stored(ids[SOURCE].next(), mpid=None))
            outbox.add(txn, delivery(ids[SOURCE].next(), mpid=None))
    for number, name in filling.names:
        with stores[number].of(workspace).write() as txn:
            event_names.write(txn, [EventName("custom_event", name)])
    for number, store in enumerate(stores, 1):
        with store.write() as txn:
            write_last(txn, max(read_last(txn), filling.last))
            intent = max(read_written(txn, SCOPE).intent, filling.intent + 1)
            write_written(txn, SCOPE, Written(number, number, 9, intent))


def _add_user(txn: Transaction, user: User, mpid: int, ids: Ids, workspace: int) -> None:
    section = Section(NOW, NOW)
    for _ in range(user.batches):
        previous, section.newest_log_id = section.newest_log_id, ids.next()
        log.append(txn, stored(section.newest_log_id, previous, mpid))
    for _ in range(user.historical):
        previous, section.newest_historical_id = section.newest_historical_id, ids.next()
        log.append(txn, stored(section.newest_historical_id, previous, mpid))
    for _ in range(user.waiting):
        outbox.add(txn, delivery(ids.next(), mpid=mpid))
        outbox.bury(txn, dead(delivery(ids.next(), 2, mpid=mpid)))
        part = delivery(ids.next(), 3, mpid=mpid)
        key = pending_key(3, "production", mpid, str(part.sequence))
        pending.add(txn, key, pending.Pending(part.sequence, 3, mpid, NOW, NOW), part)
        group = groups.group_key(1, 2, "production", f"group-{mpid % 3}")
        txn.put("group_members", groups.member_key(group, mpid), b"")
        txn.put("group_values", group, b"values")
    user_key = ProfileKey(SCOPE, "production", mpid)
    packed = profile_key(user_key)
    profiles = Profiles(1 << 20)
    profile = profiles.stage(txn, user_key, NOW)
    profile.workspaces[workspace] = section
    profiles.flush(txn)
    txn.put("static_lists", bytes(4) + packed, b"")
    for table in _PLAIN:
        txn.put(table, slot_of_mpid(mpid).to_bytes(2, "big") + packed, b"of " + packed)


@contextmanager
def opened(path: Path) -> Iterator[list[Store]]:
    folders = [path / "shards-1" / f"shard-{number:04d}" for number in range(2)]
    stores = [Store(folder, MAP_SIZE_BYTES, 2) for folder in folders]
    try:
        yield stores
    finally:
        for store in stores:
            store.close()
