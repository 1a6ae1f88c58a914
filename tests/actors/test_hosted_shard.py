"""The process of a shard: how it begins on a full disk, and what it does while slots move."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from actors import disk_wait, hosted_shard
from actors.errors import ShardUnavailable, SlotsMoved, SlotsMoving, StoreFull
from actors.hosted_shard import MOVING, PATIENCE_S, Shard
from actors.model.micro_batches import Accepted, Result
from actors.shard_options import ShardOptions, StoreOptions
from actors.store import files, log, outbox
from actors.store.environment import Table, lock_folder
from actors.store.keys import MPID_RANDOM_BITS
from actors.store.moving import Move
from actors.store.slot_pages import Place
from actors.store.slots import SlotMap, even
from actors.waking import Waker
from tests.actors.forwarding.support import connection
from tests.actors.hosts import FakeHost
from tests.actors.profiles.builders import BACKEND, WORKSPACE
from tests.actors.shards import MAP_SIZE_BYTES, item, micro, opened
from tests.actors.store.builders import content
from tests.actors.test_known_points import CHOOSING
from tests.full_disk import Waits, file_size_limit

BEFORE = even(2)
FIRST, LAST = 100, 199
AFTER = BEFORE.moved(FIRST, LAST, 1)
MOVED, STAYS = (slot << MPID_RANDOM_BITS | 7 for slot in (150, 300))
NUMBER = WORKSPACE.number
OTHER = replace(WORKSPACE, number=NUMBER + 1, id="w2")
# A connection that chooses among new data points is to be remembered.
NEWER = ShardOptions(workspace=WORKSPACE, connections=(CHOOSING,), revision=2)
MOVE = Move(FIRST, LAST, BEFORE.epoch)

_results = msgspec.msgpack.Decoder(list[Result]).decode


class Shards:
    """Two shards' processes; one can die, and is started again with what it was started with."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch
        self.options = ShardOptions(workspace=WORKSPACE)
        self.others: Sequence[ShardOptions] = ()
        self.both = [self.start(0, is_restarted=False), self.start(1, is_restarted=False)]

    def start(self, number: int, *, is_restarted: bool, slots: SlotMap = BEFORE) -> Shard:
        """Start a process, by the configuration that `options` are of by now."""
        self._monkeypatch.setattr(hosted_shard, "is_restarted", lambda: is_restarted)
        self._monkeypatch.setattr(hosted_shard, "newest", lambda workspaces: workspaces)
        self._monkeypatch.setattr(Waker, "wake", lambda *_: None)  # there are no forwarders
        options = StoreOptions(
            number=number,
            of=2,
            folder=self._folder / str(number),
            map_size_bytes=MAP_SIZE_BYTES,
            profile_cache_bytes=1 << 20,
            workspaces=2,
            slots=slots,
        )
        return Shard(options, [self.options, *self.others], FakeHost())

    def die(self, number: int) -> None:
        """Start a process again."""
        self.both[number].close()
        self.both[number] = self.start(number, is_restarted=True)

    def end(self, slots: SlotMap) -> None:
        """Begin another run of the deployment, by a map of slots."""
        for number in (0, 1):
            self.both[number].close()
            self.both[number] = self.start(number, is_restarted=False, slots=slots)

    def move(self, dies: Any = None) -> None:
        """Copy all that moves; `dies` is called between the steps."""
        source, target = self.both
        for each in self.both:
            each.begin_move(MOVE)
        for step in ("read_page", "read_scattered"):
            if dies:
                dies()
                source, target = self.both
            page = getattr(source, step)(FIRST, LAST, Place())
            target.write_page(page)
        target.keep_records(source.read_records())


@pytest.fixture
def shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shards]:
    made = Shards(tmp_path, monkeypatch)
    yield made
    for each in made.both:
        each.close()


def encoded(mpid: int, number: int) -> bytes:
    sent = opened(mpid, source_request_id=f"r-{mpid}-{number}")
    return msgspec.msgpack.encode(micro(number, item(sent)))


def commit(
    shard: Shard, epoch: int, mpid: int, number: int, workspace: int = NUMBER
) -> list[Result]:
    return _results(shard.commit(workspace, epoch, encoded(mpid, number)))


def stored(shard: Shard, workspace: int = NUMBER) -> list[int]:
    """Return how many batches a shard has of the user who moves, and of the one who stays."""
    values = content(shard._state.store.of(workspace), "log").values()
    owners = [log.decode(value).mpid for value in values]
    return [owners.count(MOVED), owners.count(STAYS)]


def others_tables(shard: Shard) -> dict[Table, dict[bytes, bytes]]:
    """Return what a shard has of users in the other workspace's tables."""
    view = shard._state.store.of(OTHER.number)
    tables: tuple[Table, ...] = ("log", "duplicates", "outbox")
    return {table: content(view, table) for table in tables}


def fill_both(shards: Shards) -> None:
    """Serve two workspaces, and store something of both users in each."""
    shards.others = [ShardOptions(workspace=OTHER, connections=(connection(1, input=BACKEND),))]
    shards.end(BEFORE)
    for workspace in (NUMBER, OTHER.number):
        for number, mpid in enumerate((MOVED, STAYS)):
            assert commit(shards.both[0], 0, mpid, number, workspace) == [Accepted(mpid, 1)]


def test_users_are_on_the_other_shard_after_a_move(shards: Shards) -> None:
    source, target = shards.both
    for number, mpid in enumerate((MOVED, STAYS, MOVED)):
        assert commit(source, 0, mpid, number) == [Accepted(mpid, 1)]
    shards.move()
    for each in shards.both:
        assert each.ready() == "ok", "a moment is no trouble"
        each._moving_since_s -= PATIENCE_S + 1
        assert each.ready() == MOVING
        assert each.sweep() is False
        with pytest.raises(ShardUnavailable, match=MOVING):
            each.begin_move(Move(0, 9, BEFORE.epoch))
        each.go_on(AFTER)
        assert each.ready() == "ok"
    assert [stored(source), stored(target)] == [[0, 1], [2, 0]]
    # By the former map nobody is served any more; whoever is not concerned may have a later one.
    for each in shards.both:
        with pytest.raises(SlotsMoved):
            commit(each, 0, MOVED, 8)
        with pytest.raises(SlotsMoved):
            each.call(NUMBER, 0, "read_outbox_encoded", 1, 0, 1, 1)
        assert each.call(NUMBER, 5, "read_outbox_encoded", 1, 0, 1, 1) == b""
    assert commit(target, 1, MOVED, 9) == [Accepted(MOVED, 1)]
    assert commit(source, 1, STAYS, 9) == [Accepted(STAYS, 1)]
    with pytest.raises(ShardUnavailable, match="no slots are moving"):
        source.read_page(FIRST, LAST, Place())


def test_a_shard_whose_slots_are_moving_takes_nothing_but_says_what_it_took(
    shards: Shards,
) -> None:
    source, _ = shards.both
    assert commit(source, 0, MOVED, 0) == [Accepted(MOVED, 1)]
    source.begin_move(MOVE)
    with pytest.raises(SlotsMoving):
        commit(source, 0, STAYS, 1)
    with pytest.raises(SlotsMoving):
        source.call(NUMBER, 0, "read_outbox_encoded", 1, 0, 1, 1)
    assert commit(source, 0, MOVED, 0) == [Accepted(MOVED, 1)], "sent again for want of an answer"
    shards.die(0)
    source = shards.both[0]
    assert source._is_moving, "it does not know how the move ends"
    assert commit(source, 0, MOVED, 0) == [Accepted(MOVED, 1)]
    with pytest.raises(SlotsMoving):
        commit(source, 0, STAYS, 1)
    source.go_on(BEFORE)
    assert commit(source, 0, STAYS, 1) == [Accepted(STAYS, 1)]
    source.go_on(AFTER)
    assert commit(source, 0, MOVED, 2) == [Accepted(MOVED, 1)], "nothing was moving"


@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("is_committed", [False, True])
def test_a_shard_that_dies_in_a_move_goes_on_with_it(
    shards: Shards, victim: int, is_committed: bool
) -> None:
    """And after it, though it is started with the map of the beginning, it goes by the last one."""
    for number, mpid in enumerate((MOVED, STAYS, MOVED)):
        commit(shards.both[0], 0, mpid, number)
    shards.move(lambda: shards.die(victim))
    slots = AFTER if is_committed else BEFORE
    shards.die(victim)
    for each in shards.both:
        each.go_on(slots)
    shards.die(victim)
    owner = shards.both[1 if is_committed else 0]
    assert commit(owner, slots.epoch, MOVED, 5) == [Accepted(MOVED, 1)]
    assert commit(shards.both[0], slots.epoch, STAYS, 6) == [Accepted(STAYS, 1)]
    counts = [stored(each) for each in shards.both]
    assert counts == ([[0, 2], [3, 0]] if is_committed else [[3, 2], [0, 0]])
    if is_committed:
        with pytest.raises(SlotsMoved):
            commit(shards.both[victim], 0, STAYS, 7)


@pytest.mark.parametrize("is_committed", [False, True])
def test_a_move_in_which_all_ended_is_settled_at_the_nextstart(
    shards: Shards, is_committed: bool
) -> None:
    for number, mpid in enumerate((MOVED, STAYS)):
        commit(shards.both[0], 0, mpid, number)
    shards.move()
    slots = AFTER if is_committed else BEFORE
    shards.end(slots)
    assert [each.ready() for each in shards.both] == ["ok", "ok"]
    owner = shards.both[1 if is_committed else 0]
    assert commit(owner, slots.epoch, MOVED, 5) == [Accepted(MOVED, 1)]
    counts = [stored(each) for each in shards.both]
    assert counts == ([[0, 1], [2, 0]] if is_committed else [[2, 1], [0, 0]])


def test_a_workspace_that_is_left_out_of_a_start_moves_with_its_users(shards: Shards) -> None:
    fill_both(shards)
    before, served = others_tables(shards.both[0]), shards.others
    shards.others = ()
    shards.end(BEFORE)
    shards.move()
    for each in shards.both:
        each.go_on(AFTER)
    after = [others_tables(each) for each in shards.both]
    for table, entries in before.items():
        assert [len(each[table]) for each in after] == [1, 1], table
        assert after[0][table] | after[1][table] == entries
    shards.others = served
    shards.end(AFTER)
    # What was sent before is sent again, in another micro-batch.
    again = micro(9, item(opened(MOVED, source_request_id=f"r-{MOVED}-0")))
    target = shards.both[1]
    target.commit(OTHER.number, AFTER.epoch, msgspec.msgpack.encode(again))
    assert [stored(each, OTHER.number) for each in shards.both] == [[0, 1], [1, 0]]


@pytest.mark.parametrize("is_committed", [False, True])
def test_a_move_is_settled_for_a_workspace_that_the_next_start_leaves_out(
    shards: Shards, is_committed: bool
) -> None:
    fill_both(shards)
    shards.move()
    shards.others = ()
    shards.end(AFTER if is_committed else BEFORE)
    counts = [
        {table: len(entries) for table, entries in others_tables(each).items()}
        for each in shards.both
    ]
    lengths = (1, 1) if is_committed else (2, 0)
    assert counts == [dict.fromkeys(("log", "duplicates", "outbox"), each) for each in lengths]


def test_a_shard_that_died_on_a_full_disk_takes_a_newer_configuration_over_once_there_is_room(
    shards: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(shards.both[0], 0, STAYS, 0)
    shards.options = NEWER
    with ExitStack() as full:
        waits = Waits(3, full.close)
        monkeypatch.setattr(disk_wait, "Event", lambda: waits)
        full.enter_context(file_size_limit(0))
        shards.die(0)
    assert waits.count == 3
    shard = shards.both[0]
    assert (shard.call(NUMBER, 0, "revision"), shard.ready()) == (2, "ok")
    assert stored(shard) == [0, 1]


def test_a_first_start_on_a_full_disk_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who starts it is to read what is wrong."""
    shards = Shards(tmp_path, monkeypatch)
    for each in shards.both:
        each.close()
    shards.options = NEWER
    with file_size_limit(0), pytest.raises(StoreFull):
        shards.start(0, is_restarted=False)


def test_a_shard_without_room_after_a_move_serves_once_there_is_some(
    shards: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then it answers what everybody is asked now and then."""
    commit(shards.both[0], 0, STAYS, 0)
    shards.move()
    with monkeypatch.context() as full:

        def begin_sums(*_: object) -> None:
            raise StoreFull("no room")

        full.setattr(outbox, "begin_sums", begin_sums)
        with pytest.raises(StoreFull):
            shards.both[0].go_on(AFTER)
        shards.both[0].forget_micro_batches()
        assert b"headwater_" in shards.both[0].metrics()
        with pytest.raises(SlotsMoving):
            commit(shards.both[0], 1, STAYS, 1)
    for each in shards.both:
        each.go_on(AFTER)
    assert commit(shards.both[0], 1, STAYS, 1) == [Accepted(STAYS, 1)]
    assert stored(shards.both[0]) == [0, 2]


def test_a_shard_that_comes_late_waits_for_its_store_and_for_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others serve without it: a constructor that fails would end them."""
    waits: list[bool] = []

    def found_here(options: StoreOptions, clock: object, *, may_wait: bool) -> StoreOptions:
        waits.append(may_wait)
        return options

    def wait_for_disk(folder: Path, *, may_wait: bool) -> None:
        waits.append(may_wait)

    def wait_for_room(begin: Any, undo: Any, *, may_wait: bool) -> None:
        waits.append(may_wait)
        begin()

    monkeypatch.setattr(hosted_shard, "found_here", found_here)
    monkeypatch.setattr(hosted_shard, "wait_for_disk", wait_for_disk)
    monkeypatch.setattr(hosted_shard, "wait_for_room", wait_for_room)
    monkeypatch.setattr(hosted_shard, "newest", lambda workspaces: workspaces)
    options = StoreOptions(
        number=1,
        of=2,
        folder=tmp_path,
        map_size_bytes=MAP_SIZE_BYTES,
        profile_cache_bytes=1 << 20,
        is_begun=True,
        is_late=True,
    )
    Shard(options, [ShardOptions(workspace=WORKSPACE)], FakeHost()).close()
    assert waits == [True, True, True]


def test_a_shard_that_died_waits_until_its_former_process_has_let_go(
    shards: Shards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards.both[0].close()
    former = lock_folder(tmp_path / "0")
    waits = Waits(3, lambda: os.close(former))
    monkeypatch.setattr(files, "Event", lambda: waits)
    shards.both[0] = shards.start(0, is_restarted=True)
    assert waits.count == 3
