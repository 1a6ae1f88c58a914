"""The index over several shards: what lies where."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.identity.draft import Key
from actors.identity.index import Index, change_of, keys_of, losses_of
from actors.identity.keys import IdentityName
from actors.identity.state import IdentityRecord, IdentityState
from actors.model.profiles import Lookup
from actors.store.identities import (
    Holder,
    IdentityChange,
    IndexEntry,
    ProfileChange,
    RecordChange,
)
from actors.store.keys import MPID_RANDOM_BITS, SLOTS
from actors.store.slots import Slots, even
from actors.store.trail import TrailEntry

SCOPE = 7
NAMES = [IdentityName("email", f"{number}@example.com") for number in range(30)]
MPIDS = [number * SLOTS // 30 << MPID_RANDOM_BITS | 9 for number in range(30)]


@given(
    st.lists(st.integers(0, 29), unique=True),
    st.lists(st.integers(0, 29), unique=True),
    st.lists(st.integers(0, 29), unique=True),
    st.integers(1, 5),
)
@settings(deadline=None)
def test_changes_go_to_their_owners_and_nowhere_else(
    entries: list[int], records: list[int], profiles: list[int], shards: int
) -> None:
    index = Index(SCOPE, Slots(even(shards)))
    change = IdentityChange(
        SCOPE,
        "development",
        [IndexEntry(NAMES[each].type, NAMES[each].value, []) for each in entries],
        [RecordChange(MPIDS[each], [], 5) for each in records],
        9,
        [ProfileChange(MPIDS[each], 5) for each in profiles],
    )
    parts = index.split(change)
    for number, part in parts.items():
        keys = keys_of(part)
        assert keys, "nobody is told nothing"
        assert {index.shard_of(key) for key in keys} == {number}
        assert (part.scope, part.environment, part.intent) == (SCOPE, "development", 9)
    keys = [key for part in parts.values() for key in keys_of(part)]
    assert Counter(keys) == Counter(keys_of(change))


def test_losses_are_what_records_had_and_have_no_longer() -> None:
    """One who gets something else at the same time does not get it yet; gains alone are none."""
    kept, lost, got = (Lookup("email", f"{number}@example.com", number) for number in range(3))

    def changed(
        mpid: int, lookups: list[Lookup], attached: list[Lookup], removed: list[Lookup]
    ) -> RecordChange:
        entry = TrailEntry(1, 5, "modify", mpid, attached, removed)
        return RecordChange(mpid, lookups, 5, source_mpid=3, trail=[entry])

    erased = RecordChange(MPIDS[2], [], 0, is_erased=True)
    change = IdentityChange(
        SCOPE,
        "production",
        [IndexEntry("email", "1@example.com", [])],
        [
            changed(MPIDS[0], [kept, got], [got], [lost]),
            changed(MPIDS[1], [kept, got], [got], []),
            erased,
        ],
        9,
        [ProfileChange(MPIDS[0], 5)],
    )
    left = RecordChange(MPIDS[0], [kept], 5, source_mpid=3)
    assert losses_of(change) == IdentityChange(SCOPE, "production", [], [left, erased], 9)


def test_an_identity_and_a_record_of_its_slot_lie_together() -> None:
    for shards in range(1, 6):
        index = Index(SCOPE, Slots(even(shards)))
        for name in NAMES:
            near = index.slot_of("production", name) << MPID_RANDOM_BITS | 5
            keys: list[Key] = [("production", name), ("production", near)]
            assert len(set(map(index.shard_of, keys))) == 1


def test_a_state_writes_what_it_has_changed() -> None:
    state = IdentityState(SCOPE, "production")
    for name in NAMES[:3]:
        state.learn_holders(name, [])
    state.learn_record(5, IdentityRecord([Lookup("email", "old", 1)], 55))
    state.learn_record(7, IdentityRecord([], 77))
    fork = state.fork()
    fork.create(6, 66, 5)
    fork.link(6, NAMES[1])
    fork.link(5, NAMES[0])
    fork.erase(7)
    fork.show(8, "email", "A@b.c", 88)
    state.merge(fork)
    keys: list[Key] = [("production", name) for name in NAMES[:2]]
    keys += [("production", mpid) for mpid in (5, 6, 7, 8)]
    assert change_of(state, keys, 5, {}) == IdentityChange(
        SCOPE,
        "production",
        [
            IndexEntry("email", NAMES[0].value, [Holder(5, 1)]),
            IndexEntry("email", NAMES[1].value, [Holder(6, 1)]),
        ],
        [
            RecordChange(5, [Lookup("email", "old", 1), Lookup("email", NAMES[0].value, 1)], 55),
            RecordChange(6, [Lookup("email", NAMES[1].value, 1)], 66, 5),
            RecordChange(7, [], 0, is_erased=True),
        ],
        5,
        [ProfileChange(8, 88, {"email": "A@b.c"})],
    )
