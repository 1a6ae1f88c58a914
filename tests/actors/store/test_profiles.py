"""Profiles with hot copies: memory follows disk, and is bounded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.calculated.state import CalculatedState
from actors.errors import StoreFull
from actors.model.profiles import IdentityValue, Lookup, Profile, ProfileKey, Section
from actors.store.environment import Store, Transaction
from actors.store.keys import profile_key
from actors.store.profiles import NOBODY, Profiles
from tests.actors.store.builders import NOW, temporary_store

ROOMY = 1024 * 1024
ANN = ProfileKey(7, "production", 5)
BOB = ProfileKey(7, "production", -6)

Ending = Literal["commit", "abort before flush", "abort after flush"]
endings = st.sampled_from(get_args(Ending))
changes = st.lists(st.integers(min_value=-3, max_value=3))


@contextmanager
def transaction(
    store: Store, profiles: Profiles, ending: Ending = "commit"
) -> Iterator[Transaction]:
    """Run a transaction as a shard does, and let it end in one of the ways it can."""
    try:
        with store.write() as txn:
            yield txn
            if ending == "abort before flush":
                raise KeyboardInterrupt
            profiles.flush(txn)
            if ending == "abort after flush":
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        profiles.abandon()
    except BaseException:
        profiles.abandon()
        raise
    else:
        profiles.published()


def seen(store: Store, profiles: Profiles, key: ProfileKey) -> Profile | None:
    """Return what a reader sees."""
    with store.read() as txn:
        return profiles.get(txn, key)


def test_a_profile_is_read_as_it_was_written(store: Store) -> None:
    """From memory, and from disk by an owner that was started anew."""
    profiles = Profiles(ROOMY)
    with transaction(store, profiles) as txn:
        profile = profiles.stage(txn, ANN, NOW)
        profile.lookups.append(Lookup("email", "ann@example.com", 3))
        profile.user_identities["email"] = IdentityValue("Ann@Example.com", NOW, NOW)
        profile.workspaces[11] = Section(NOW, NOW, open_sessions={4: NOW})
    assert seen(store, profiles, ANN) == seen(store, Profiles(ROOMY), ANN) == profile
    assert profile.created_timestamp_ms == NOW
    assert seen(store, profiles, BOB) is None


def test_a_profile_is_made_once(store: Store) -> None:
    """Later transactions go on with the one that exists."""
    profiles = Profiles(ROOMY)
    for created_ms in (NOW, NOW + 1):
        with transaction(store, profiles) as txn:
            assert profiles.stage(txn, ANN, created_ms).created_timestamp_ms == NOW


def test_a_transaction_sees_what_it_has_staged(store: Store) -> None:
    """A new profile too, though it is not written yet."""
    profiles = Profiles(0)
    with transaction(store, profiles) as txn:
        staged = profiles.stage(txn, ANN, NOW)
        assert profiles.get(txn, ANN) is profiles.stage(txn, ANN, NOW + 1) is staged


@pytest.mark.parametrize("ending", ["abort before flush", "abort after flush"])
def test_a_failed_transaction_leaves_memory_as_it_leaves_disk(store: Store, ending: Ending) -> None:
    """A change in place is undone, and a new profile is not there."""
    profiles = Profiles(ROOMY)
    with transaction(store, profiles) as txn:
        profiles.stage(txn, ANN, NOW)
    with transaction(store, profiles, ending) as txn:
        profiles.stage(txn, ANN, NOW).is_opted_out = True
        profiles.stage(txn, BOB, NOW)
    assert seen(store, profiles, ANN) == Profile(NOW)
    assert seen(store, profiles, BOB) is None


def test_a_profile_that_does_not_fit_leaves_all_as_they_were(tmp_path: Path) -> None:
    """`flush` has written some by then; they are undone with the rest."""
    store = Store(tmp_path, 256 * 1024)
    profiles = Profiles(ROOMY)
    with transaction(store, profiles) as txn:
        profiles.stage(txn, ANN, NOW)

    def overfill() -> None:
        with transaction(store, profiles) as txn:
            profiles.stage(txn, ANN, NOW).is_opted_out = True
            profiles.stage(txn, BOB, NOW).partner_identities["Ad_id"] = "x" * 300_000

    with pytest.raises(StoreFull):
        overfill()
    assert seen(store, profiles, ANN) == Profile(NOW)
    assert seen(store, profiles, BOB) is None
    store.close()


def test_memory_is_bounded_and_the_profiles_used_last_stay(store: Store) -> None:
    """A new profile takes some 800 bytes. What is gone from disk is found only in memory."""
    profiles = Profiles(10 * 1024)
    keys = [ProfileKey(7, "production", mpid) for mpid in range(1, 101)]
    for key in keys:
        with transaction(store, profiles) as txn:
            profiles.get(txn, keys[0])
            profiles.stage(txn, key, key.mpid)
        with store.write() as txn:
            txn.delete("profiles", profile_key(key))
    assert 5 < profiles.in_memory < 20
    found = [key.mpid for key in keys if seen(store, profiles, key)]
    assert found == [1, *range(102 - profiles.in_memory, 101)]


def test_a_profile_that_changes_often_takes_its_room_once(store: Store) -> None:
    """Others are not pushed out by it."""
    profiles = Profiles(10 * 1024)
    for key in [ANN] + [BOB] * 100:
        with transaction(store, profiles) as txn:
            profiles.stage(txn, key, NOW).last_stored_timestamp_ms += 1
    assert profiles.in_memory == 2


def test_what_a_profile_has_as_bytes_takes_no_more_room_than_on_disk(store: Store) -> None:
    """Of two of the same size on disk the one with bytes stays."""
    profiles = Profiles(10 * 1024)
    with transaction(store, profiles) as txn:
        section = profiles.stage(txn, ANN, NOW).workspaces[11] = Section(NOW, NOW)
        section.entries = bytes(3000)
        section.calculated[1] = CalculatedState(data=bytes(2000))
    assert profiles.in_memory == 1


def test_a_profile_too_large_for_memory_is_served_from_disk(store: Store) -> None:
    """It does not stay, whatever else is in memory."""
    profiles = Profiles(10 * 1024)
    with transaction(store, profiles) as txn:
        profiles.stage(txn, ANN, NOW).partner_identities["Ad_id"] = "x" * 5000
    assert profiles.in_memory == 0
    assert seen(store, profiles, ANN) == seen(store, Profiles(ROOMY), ANN)


@settings(max_examples=25, deadline=None)
@given(
    cache_bytes=st.sampled_from([0, 2000, ROOMY]),
    transactions=st.lists(st.tuples(changes, changes, endings), max_size=15),
)
def test_readers_see_what_was_committed_whatever_fails_and_whatever_fits(
    cache_bytes: int, transactions: list[tuple[list[int], list[int], Ending]]
) -> None:
    """Against a dict, with changes, reads and failures at random, and a restart at the end."""
    committed: dict[ProfileKey, int] = {}
    with temporary_store() as store:
        profiles = Profiles(cache_bytes)
        for changed, read, ending in transactions:
            expected = dict(committed)
            with transaction(store, profiles, ending) as txn:
                for mpid in changed:
                    key = ProfileKey(7, "production", mpid)
                    expected[key] = expected.get(key, 0) + 1
                    profiles.stage(txn, key, NOW).last_stored_timestamp_ms += 1
                for mpid in read:
                    key = ProfileKey(7, "production", mpid)
                    profile = profiles.get(txn, key)
                    assert (profile and profile.last_stored_timestamp_ms) == expected.get(key)
            if ending == "commit":
                committed = expected
        for reader in (profiles, Profiles(ROOMY)):
            for mpid in range(-3, 4):
                key = ProfileKey(7, "production", mpid)
                profile = seen(store, reader, key)
                assert (profile and profile.last_stored_timestamp_ms) == committed.get(key)


# -- Following ------------------------------------------------------------------------------------


def of_workspaces(store: Store, profiles: Profiles, key: ProfileKey, *numbers: int) -> bytes:
    """Make a profile with sections; return its key on disk."""
    with transaction(store, profiles) as txn:
        profile = profiles.stage(txn, key, NOW)
        profile.workspaces = {number: Section(NOW, NOW) for number in numbers}
    return profile_key(key)


@pytest.mark.parametrize("is_hot", [True, False])
def test_a_workspace_hears_of_what_may_concern_it(store: Store, *, is_hot: bool) -> None:
    """What another one has changed of its own section is not among it, nor are users of others."""
    profiles = Profiles(ROOMY if is_hot else 0)
    ann, bob = (
        of_workspaces(store, profiles, ANN, 1, 2),
        of_workspaces(store, profiles, BOB, 2),
    )
    followed = {number: profiles.follow(number) for number in (1, 2)}

    def heard(change: Callable[[Profile], None], by: int) -> list[set[bytes]]:
        for each in followed.values():
            each.clear()
        with store.write() as txn:
            for packed in (ann, bob):
                profiles.edit(txn, packed, change, by)
            profiles.flush(txn, by)
        profiles.published()
        return [set(each) for each in followed.values()]

    def touch(profile: Profile) -> None:
        profile.workspaces[2].last_seen_ms += 1
        profile.last_stored_timestamp_ms += 1

    def opt_out(profile: Profile) -> None:
        profile.is_opted_out = not profile.is_opted_out

    def rename(profile: Profile) -> None:
        profile.user_identities["email"] = IdentityValue("a@example.com", NOW, NOW)

    def age(profile: Profile) -> None:
        profile.workspaces[2].is_aged_out = True

    assert heard(touch, 2) == [set(), {ann, bob}]
    for change in (opt_out, rename, age):
        assert heard(change, 2) == [{ann}, {ann, bob}]
        assert heard(touch, 2) == [set(), {ann, bob}]
    assert heard(touch, NOBODY) == [{ann}, {ann, bob}]
    profiles.follow_no_more(2)
    assert heard(opt_out, 2) == [set(), set()]
    assert heard(opt_out, 1) == [{ann}, set()]


def test_what_a_workspace_has_to_look_at_outlives_the_process(store: Store) -> None:
    profiles = Profiles(ROOMY)
    ann, bob = (
        of_workspaces(store, profiles, ANN, 1, 2),
        of_workspaces(store, profiles, BOB, 1, 2),
    )

    def opt_out(profile: Profile) -> None:
        profile.is_opted_out = not profile.is_opted_out

    def edited(profiles: Profiles, by: int, *seen: bytes) -> None:
        with store.write() as txn:
            for packed in (ann, bob):
                profiles.edit(txn, packed, opt_out, by)
            profiles.flush(txn, by, seen)
        profiles.published()

    def restarted() -> Profiles:
        profiles = Profiles(ROOMY)
        with store.read() as txn:
            profiles.recover(txn)
        return profiles

    for number in (1, 2):
        profiles.follow(number)
    edited(profiles, 1, ann)
    profiles = restarted()
    assert [profiles.follow(number) for number in (1, 2)] == [{bob}, {ann, bob}]
    assert profiles.follow(2) is profiles.follow(2)
    with store.write() as txn:
        profiles.looked_at(txn, 1, bob)
        profiles.flush(txn, 2, [ann])
    assert [restarted().follow(number) for number in (1, 2)] == [set(), {bob}]
    with transaction(store, profiles) as txn:
        profiles.remove(txn, bob)
    assert restarted().follow(2) == set()
    with store.read() as txn:
        assert not list(txn.scan("followed"))


def test_who_only_looks_changes_nothing(store: Store) -> None:
    """A profile that was opened and not given back is neither written nor told of."""
    profiles = Profiles(ROOMY)
    packed = of_workspaces(store, profiles, ANN, 1)
    followed = profiles.follow(1)
    with transaction(store, profiles) as txn:
        assert profiles.open(txn, packed) is not None
        txn.delete("profiles", packed)
    with store.read() as txn:
        assert txn.get("profiles", packed) is None
    assert followed == set()


@pytest.mark.parametrize("ending", ["abort before flush", "abort after flush"])
def test_what_was_changed_and_not_given_back_is_undone_too(store: Store, ending: Ending) -> None:
    profiles = Profiles(ROOMY)
    packed = of_workspaces(store, profiles, ANN, 1)
    with transaction(store, profiles, ending) as txn:
        profile = profiles.open(txn, packed)
        assert profile is not None
        profile.is_opted_out = True
    found = seen(store, profiles, ANN)
    assert found is not None
    assert not found.is_opted_out


@pytest.mark.parametrize("ending", ["abort before flush", "abort after flush"])
def test_who_follows_hears_of_nothing_that_failed(store: Store, ending: Ending) -> None:
    """And goes on to look at what it had to look at."""
    profiles = Profiles(ROOMY)
    ann, bob = of_workspaces(store, profiles, ANN, 1), of_workspaces(store, profiles, BOB, 1)
    followed = profiles.follow(1)

    def opt_out(profile: Profile) -> None:
        profile.is_opted_out = True

    with transaction(store, profiles) as txn:
        profiles.edit(txn, bob, opt_out)
    assert followed == {bob}
    with transaction(store, profiles, ending) as txn:
        profiles.edit(txn, ann, opt_out)
        profiles.remove(txn, bob)
    assert followed == {bob}
    with transaction(store, profiles) as txn:
        profiles.edit(txn, ann, opt_out)
        profiles.remove(txn, bob)
    assert followed == {ann}
