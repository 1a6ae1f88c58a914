"""What is past its retention goes, a little at a time, and nothing else does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors import sweeper
from actors.clock import ManualClock
from actors.errors import StoreFull
from actors.model.deliveries import DeadLetter
from actors.model.micro_batches import Accepted, Duplicate
from actors.model.profiles import Lookup, ProfileKey
from actors.shard import Shard
from actors.store import outbox, trail
from actors.store.environment import Table
from actors.store.keys import profile_key
from actors.store.trail import RETENTION_MS, TrailEntry
from actors.sweeper import Sweeper
from tests.actors.forwarding.support import connection, delivery
from tests.actors.profiles.builders import DAY, NOW, WORKSPACE
from tests.actors.shards import attributes_of, disk, item, micro, open_shard, opened, profile_of
from tests.actors.store.dead_index import dead_letter_ids

IDLE = WORKSPACE.profile_idle_days * DAY
EVENTS = WORKSPACE.events_days * DAY
DEDUP = WORKSPACE.dedup_days * DAY


class Swept:
    """A shard, its sweeper and the clock of both."""

    def __init__(self, folder: Path, of: int = 1) -> None:
        self.clock = ManualClock(NOW)
        self.shard: Shard = open_shard(folder, of=of, clock=self.clock, connections=(connection(),))
        self.sweeper = Sweeper(self.shard.state, [self.shard], self.clock)
        self._number = 0

    def send(self, mpid: int, request_id: str | None = None) -> object:
        """Apply a batch of a user that is received now."""
        self._number += 1
        body = opened(mpid, user_attributes={"n": self._number}, source_request_id=request_id)
        sent = micro(self._number, item(body))
        sent.contexts[0].received_ms = self.clock.now_ms()
        [result] = self.shard.commit(sent)
        return result

    def size(self, table: Table) -> int:
        return len(disk(self.shard)[table])

    def is_aged_out(self, mpid: int) -> bool:
        profile = profile_of(self.shard, mpid)
        assert profile is not None
        return profile.workspaces[WORKSPACE.number].is_aged_out


@pytest.fixture
def swept(tmp_path: Path) -> Iterator[Swept]:
    made = Swept(tmp_path)
    yield made
    made.shard.state.close()


@pytest.mark.parametrize(("age_ms", "is_gone"), [(IDLE, False), (IDLE + 1, True)])
def test_a_profile_ages_out_after_its_lifetime(swept: Swept, age_ms: int, is_gone: bool) -> None:
    """spec/profiles.md, 6."""
    swept.send(1)
    swept.clock.advance(age_ms)
    assert swept.sweeper.sweep() == is_gone
    assert swept.is_aged_out(1) == is_gone
    assert attributes_of(swept.shard, 1) == ({} if is_gone else {"n": "1"})


def test_who_aged_out_is_left_alone_from_then_on(swept: Swept) -> None:
    swept.send(1)
    swept.clock.advance(IDLE + 1)
    swept.sweeper.sweep()
    before = disk(swept.shard)
    swept.clock.advance(DAY)
    swept.sweeper.sweep()
    assert disk(swept.shard) == before
    swept.send(1)
    swept.sweeper.sweep()
    assert attributes_of(swept.shard, 1) == {"n": "2"}


@pytest.mark.parametrize(("age_ms", "left"), [(EVENTS, 2), (EVENTS + 1, 1)])
def test_events_go_after_the_data_retention(swept: Swept, age_ms: int, left: int) -> None:
    """spec/profiles.md, 6."""
    swept.send(1)
    swept.clock.advance(2 * DAY)
    swept.send(2)
    swept.clock.advance(age_ms - 2 * DAY)
    swept.sweeper.sweep()
    assert swept.size("log") == left


@pytest.mark.parametrize(("age_ms", "left"), [(DEDUP, 1), (DEDUP + 1, 0)])
def test_uploads_are_forgotten_after_the_window(swept: Swept, age_ms: int, left: int) -> None:
    """spec/events-api.md, 5.4: a sweep never makes an upload new that is within the window."""
    swept.send(1, "r-1")
    swept.clock.advance(age_ms)
    swept.sweeper.sweep()
    assert swept.size("duplicates") == left
    result = swept.send(1, "r-1")
    assert result == (Duplicate("duplicate_request_id") if left else Accepted(1, 1))


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_histories_of_identities_go_after_ninety_days(swept: Swept, limit: int) -> None:
    """Also of those to whom nothing happens any more; what is not older stays."""
    lookup = Lookup("email", "a@b.example", 1)
    users = [profile_key(ProfileKey(WORKSPACE.scope, "production", mpid)) for mpid in (1, 2, 3)]
    for number, (user, age_ms) in enumerate(
        zip(users, (RETENTION_MS + 1, RETENTION_MS, RETENTION_MS + DAY), strict=True)
    ):
        entry = TrailEntry(number, NOW - age_ms, "login", 1, [lookup], [])
        with swept.shard.store.write() as txn:
            trail.write(txn, user, [entry], entry.time_ms)
    for _ in range(4):
        swept.sweeper.step(limit)
    with swept.shard.store.read() as txn:
        assert [len(trail.read(txn, user, NOW)) for user in users] == [0, 1, 0]
        assert txn.entries("trail") == 1


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_small_steps_get_round_to_everybody(swept: Swept, limit: int) -> None:
    for mpid in range(1, 21):
        swept.send(mpid, f"r-{mpid}")
        if mpid == 10:
            swept.clock.advance(IDLE // 2)
    swept.clock.advance(IDLE // 2 + 1)
    steps = 20 // limit + 1
    for _ in range(steps):
        swept.sweeper.step(limit)
    aged = [mpid for mpid in range(1, 21) if swept.is_aged_out(mpid)]
    assert aged == list(range(1, 11))
    swept.clock.advance(IDLE)
    for _ in range(2 * steps):  # from wherever it is, once round is enough
        swept.sweeper.step(limit)
    assert all(swept.is_aged_out(mpid) for mpid in range(1, 21))


def test_a_step_is_bounded_in_every_table(swept: Swept) -> None:
    """Ingestion waits for a step, so its size is what counts, not that of what is due."""
    for mpid in range(1, 11):
        swept.send(mpid, f"r-{mpid}")
    swept.clock.advance(EVENTS + 1)
    assert swept.sweeper.step(4) == 12
    assert [swept.size("log"), swept.size("duplicates")] == [6, 6]
    assert sum(swept.is_aged_out(mpid) for mpid in range(1, 11)) == 4
    for _ in range(6):
        swept.sweeper.step(4)
    assert [swept.size("log"), swept.size("duplicates")] == [0, 0]
    assert all(swept.is_aged_out(mpid) for mpid in range(1, 11))


class SlowClock(ManualClock):
    """A clock on which every look at it takes a while."""

    def monotonic(self) -> float:
        """Return seconds, 8 ms more each time."""
        self.advance(8)
        return super().monotonic()


@pytest.mark.parametrize(
    ("count", "steps", "left"),
    [
        pytest.param(4, 20, 0, id="until nothing is left to remove"),
        pytest.param(10, 20, 4, id="until the time is up"),
        pytest.param(10, 2, 6, id="until there were enough"),
    ],
)
def test_a_sweep_does_some_steps(
    swept: Swept, monkeypatch: pytest.MonkeyPatch, count: int, steps: int, left: int
) -> None:
    """Whoever asks is told that it removed something, and may ask again at once."""
    monkeypatch.setattr(sweeper, "STEP", 2)
    monkeypatch.setattr(sweeper, "STEPS", steps)
    for mpid in range(1, count + 1):
        swept.send(mpid, f"r-{mpid}")
    swept.clock.advance(EVENTS + 1)
    slow = SlowClock(swept.clock.now_ms())  # time for three steps
    assert Sweeper(swept.shard.state, [swept.shard], slow).sweep()
    assert [swept.size("log"), swept.size("duplicates")] == [left, left]


def test_a_sweep_goes_on_where_the_last_one_ended(
    swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "STEP", 2)
    monkeypatch.setattr(sweeper, "STEPS", 2)
    for mpid in range(1, 11):
        swept.send(mpid)
    assert not swept.sweeper.sweep()
    swept.clock.advance(IDLE + 1)
    assert swept.sweeper.sweep()
    assert [mpid for mpid in range(1, 11) if swept.is_aged_out(mpid)] == [5, 6, 7, 8]
    assert swept.sweeper.sweep()  # the end, and the beginning again
    assert [mpid for mpid in range(1, 11) if not swept.is_aged_out(mpid)] == [3, 4]


def letter(
    swept: Swept, sequence: int, reason: str = "queue_full", payload: bytes = b"{}"
) -> DeadLetter:
    """Make a delivery of the swept shard's connection that dies now."""
    died = delivery(sequence, payload=payload)
    return DeadLetter(died, reason, dead_ms=swept.clock.now_ms(), last_attempt_ms=0)


def bury(swept: Swept, *letters: DeadLetter) -> None:
    with swept.shard.store.write() as txn:
        for each in letters:
            outbox.bury(txn, each)
    swept.shard.outbox.queues.died(letters)


def kept(swept: Swept) -> list[int]:
    with swept.shard.store.read() as txn:
        found = outbox.dead_letters(txn, 1, 0, 1000)
        assert set(dead_letter_ids(txn, 1)) == {each.delivery.delivery_id for each in found}
    return [each.delivery.sequence for each in found]


@pytest.mark.parametrize(
    ("age_ms", "left"), [(30 * DAY, [2, 3, 5]), (30 * DAY + 1, [3]), (31 * DAY + 1, [])]
)
def test_dead_letters_go_30_days_after_they_died(
    swept: Swept, age_ms: int, left: list[int]
) -> None:
    """spec/connections.md, 3.7. A delivery may die before an older one that is still retried."""
    bury(swept, letter(swept, 2), letter(swept, 5, "fatal_response"))
    swept.clock.advance(DAY)
    bury(swept, letter(swept, 3))
    swept.clock.advance(age_ms - DAY)
    swept.sweeper.sweep()
    assert kept(swept) == left
    assert swept.shard.outbox.queues.depths()["c1"]["dead_letters"] == len(left)


@pytest.mark.parametrize("shards", [1, 2])
def test_a_shard_keeps_its_part_of_the_bytes_of_a_connections_dead_letters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    """spec/connections.md, 3.7: the oldest are removed first."""
    monkeypatch.setattr(sweeper, "DEAD_LETTER_BYTES", 40_000)
    swept = Swept(tmp_path, of=shards)
    try:
        bury(swept, *(letter(swept, number, payload=b"x" * 9_800) for number in range(1, 11)))
        swept.sweeper.sweep()
        assert kept(swept) == ([7, 8, 9, 10] if shards == 1 else [9, 10])
        assert swept.shard.outbox.queues.depths()["c1"]["dead_letters"] == 4 // shards
    finally:
        swept.shard.state.close()


def test_a_user_who_arrives_behind_the_sweep_comes_next_time(swept: Swept) -> None:
    for mpid in range(10, 20):
        swept.send(mpid)
    swept.clock.advance(IDLE + 1)
    swept.sweeper.step(5)
    swept.send(1)  # before those that were swept
    swept.send(19)
    for _ in range(3):
        swept.sweeper.step(5)
    assert [swept.is_aged_out(1), swept.is_aged_out(19)] == [False, False]
    assert all(swept.is_aged_out(mpid) for mpid in range(10, 19))


def test_a_sweep_without_room_changes_nothing(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    shard = open_shard(tmp_path, clock=clock, map_size_bytes=512 * 1024)
    try:
        _fill(shard)
        clock.advance(IDLE + 1)
        before = disk(shard)
        sweeper = Sweeper(shard.state, [shard], clock)
        try:
            sweeper.sweep()
        except StoreFull:
            assert disk(shard) == before
            assert attributes_of(shard, 1) != {}
        else:
            assert attributes_of(shard, 1) == {}
    finally:
        shard.state.close()


def _fill(shard: Shard) -> None:
    for number in range(1, 1000):
        body = opened(number, user_attributes={"long": "x" * 4000})
        try:
            shard.commit(micro(number, item(body)))
        except StoreFull:
            return
    raise AssertionError("the store was never full")
