"""What a shard does for the end of identity records (spec/profiles.md, 6)."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from actors import overdue_records
from actors.clock import ManualClock
from actors.model.micro_batches import Accepted, Unresolved
from actors.model.profiles import Lookup, ProfileKey
from actors.shard import Shard
from actors.shard_expiry import ShardExpiry
from actors.store.keys import identity_key, slot_of_hash
from actors.sweeper import Sweeper
from tests.actors.profiles.builders import DAY, NOW, WORKSPACE
from tests.actors.shards import disk, item, micro, open_shard, opened, profile_of

EVENTS = WORKSPACE.events_days * DAY


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def shard(tmp_path: Path, clock: ManualClock) -> Iterator[Shard]:
    made = open_shard(tmp_path, clock=clock)
    with closing(made.state):
        yield made


@pytest.fixture
def expiry(shard: Shard, clock: ManualClock) -> ShardExpiry:
    return ShardExpiry(shard, clock)


def send(shard: Shard, *mpids: int, number: int = 1) -> list[object]:
    """Have users come, who are named by their MPIDs."""
    items = [item(opened(mpid), unit) for unit, mpid in enumerate(mpids)]
    return list(shard.commit(micro(number, *items)))


def sweep(shard: Shard, clock: ManualClock) -> bool:
    return Sweeper(shard.state, [shard], clock).sweep()


def lives_on(shard: Shard, number: int, customer: str) -> bool:
    """Tell whether a shard owns the entry of a customer id."""
    key = identity_key(WORKSPACE.scope, "production", "customerid", customer)
    return shard.state.slots.shard_of(slot_of_hash(key)) == number


def link(shard: Shard, mpid: int, customer: str | None = None) -> None:
    """Give a profile an identity, as the coordinator does."""
    with shard.transaction() as txn:
        key = ProfileKey(WORKSPACE.scope, "production", mpid)
        profile = shard.profiles.stage(txn, key, NOW)
        profile.lookups = [Lookup("customerid", customer or f"c-{mpid}", 1, NOW)]


def test_a_sweep_hands_over_who_is_overdue_and_nobody_before(
    shard: Shard, clock: ManualClock, expiry: ShardExpiry
) -> None:
    send(shard, 1, 2, 3)
    clock.advance(EVENTS)
    assert sweep(shard, clock)  # they age out
    assert not sweep(shard, clock)
    assert expiry.overdue_records(10) == []
    clock.advance(1)
    assert sweep(shard, clock)  # the events go
    assert not sweep(shard, clock)  # whoever is handed over is nothing that a sweep removes
    assert expiry.overdue_records(2) == [("production", 1), ("production", 2)]
    assert expiry.overdue_records(2) == [("production", 3)]
    assert expiry.overdue_records(2) == []
    sweep(shard, clock)
    assert len(expiry.overdue_records(10)) == 3  # again, as long as they are there


def test_so_many_wait_at_most_and_the_others_are_met_again(
    shard: Shard, clock: ManualClock, expiry: ShardExpiry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue_records, "MAX_WAITING", 2)
    send(shard, 1, 2, 3)
    clock.advance(EVENTS + 1)
    sweep(shard, clock)
    assert [mpid for _, mpid in expiry.overdue_records(10)] == [1, 2]
    assert expiry.expire_records("production", [1, 2]) == [1, 2]
    sweep(shard, clock)
    assert len(expiry.overdue_records(10)) == 2


def test_only_those_of_the_scope_are_taken(shard: Shard, expiry: ShardExpiry) -> None:
    shard.state.overdue.add(ProfileKey(WORKSPACE.scope + 1, "production", 5))
    shard.state.overdue.add(ProfileKey(WORKSPACE.scope, "development", 6))
    assert expiry.overdue_records(10) == [("development", 6)]


def test_whoever_has_had_data_meanwhile_is_not_expired(
    shard: Shard, clock: ManualClock, expiry: ShardExpiry
) -> None:
    send(shard, 1, 2)
    clock.advance(EVENTS + 1)
    sweep(shard, clock)
    late = micro(2, item(opened(2)))
    late.contexts[0].received_ms = clock.now_ms()
    shard.commit(late)
    before = disk(shard)
    assert expiry.expire_records("production", [2, 3]) == []
    assert disk(shard) == before
    assert expiry.expire_records("production", [1, 2, 3]) == [1]
    assert expiry.expire_records("development", [1]) == []


def test_nothing_comes_any_more_to_who_is_expired(
    shard: Shard, clock: ManualClock, expiry: ShardExpiry
) -> None:
    """What is known by an identity goes to the coordinator, which has to erase the record first."""
    send(shard, 1)
    link(shard, 1)
    clock.advance(EVENTS + 1)
    sweep(shard, clock)
    assert expiry.expire_records("production", [1]) == [1]
    body = opened(user_identities={"customer_id": "c-1"})
    assert send(shard, 1, number=2) == [Accepted(None, 1)]
    [answer] = shard.commit(micro(3, item(body, mpid=1)))
    assert isinstance(answer, Unresolved)
    assert answer.expired == 1
    [answer] = shard.commit(micro(4, item(body, mpid=1, is_guess=True)))
    assert isinstance(answer, Unresolved)
    assert answer.expired == 1
    profile = profile_of(shard, 1)
    assert profile is not None
    assert profile.last_stored_timestamp_ms == NOW


def test_a_batch_by_mpid_says_who_is_to_go_before_its_identities_are_resolved_elsewhere(
    tmp_path: Path, clock: ManualClock
) -> None:
    """However often it comes: a large one is not kept as it was decoded."""
    shard = open_shard(tmp_path, 0, 2, clock=clock)
    with closing(shard.state):
        send(shard, 1)
        customer = next(name for name in map(str, range(99)) if lives_on(shard, 1, name))
        link(shard, 1, customer)
        clock.advance(EVENTS + 1)
        sweep(shard, clock)
        assert ShardExpiry(shard, clock).expire_records("production", [1]) == [1]
        body = opened(
            1, user_identities={"customer_id": customer}, user_attributes={"x": "y" * 9000}
        )
        for number in range(2, 5):
            [result] = shard.commit(micro(number, item(body, mpid=1)))
            assert isinstance(result, Unresolved)
            assert result.expired == 1


def test_who_is_expired_is_so_after_a_restart_and_however_often_it_is_asked(
    tmp_path: Path, clock: ManualClock
) -> None:
    shard = open_shard(tmp_path, clock=clock)
    with closing(shard.state):
        send(shard, 1)
        clock.advance(EVENTS + 1)
        sweep(shard, clock)
        assert ShardExpiry(shard, clock).expire_records("production", [1]) == [1]
    longer = replace(WORKSPACE, events_days=2 * WORKSPACE.events_days)
    shard = open_shard(tmp_path, clock=clock, workspace=longer)
    with closing(shard.state):
        expiry = ShardExpiry(shard, clock)
        sweep(shard, clock)
        assert expiry.overdue_records(10) == [("production", 1)]
        assert expiry.expire_records("production", [1]) == [1]
        assert expiry.expire_records("production", [1]) == [1]
