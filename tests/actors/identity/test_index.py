"""The index over several shards: each is asked once, for what it owns."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.identity.index import Index, changes_of
from actors.identity.keys import IdentityName
from actors.identity.state import IdentityRecord, IdentityState
from actors.model import Environment, Lookup
from actors.store.identities import (
    Holder,
    IdentityChange,
    IndexEntry,
    ProfileChange,
    RecordChange,
)
from actors.store.keys import MPID_RANDOM_BITS, SLOTS, shard_of_slot, slot_of_mpid

SCOPE = 7
NAMES = [IdentityName("email", f"{number}@example.com") for number in range(30)]
MPIDS = [number * SLOTS // 30 << MPID_RANDOM_BITS | 9 for number in range(30)]


class Keeper:
    """A shard that answers with what tells the questions apart, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Sequence[object]]] = []
        self.written: list[IdentityChange] = []

    async def holders(
        self, environment: Environment, names: Sequence[IdentityName]
    ) -> list[list[Holder]]:
        self.asked.append((f"holders {environment}", names))
        return [[Holder(NAMES.index(name), 1)] for name in names]

    async def records(
        self, environment: Environment, mpids: Sequence[int]
    ) -> list[IdentityRecord | None]:
        self.asked.append((f"records {environment}", mpids))
        return [record_of(mpid) if mpid % 2 else None for mpid in mpids]

    async def taken(self, mpids: Sequence[int]) -> list[bool]:
        self.asked.append(("taken", mpids))
        return [mpid in MPIDS[:15] for mpid in mpids]

    async def write_identities(self, changes: Sequence[IdentityChange]) -> None:
        self.asked.append(("write", changes))
        self.written += changes


def record_of(mpid: int) -> IdentityRecord:
    return IdentityRecord([Lookup("email", str(mpid), 1)])


async def test_each_shard_is_asked_once_for_what_it_owns() -> None:
    keepers = [Keeper() for _ in range(4)]
    index = Index(keepers, SCOPE)
    state = IdentityState(SCOPE, "development")
    await index.learn(state, NAMES, MPIDS)
    for place, name in enumerate(NAMES):
        assert state.holders(name) == [Holder(place, 1)]
    for mpid in MPIDS:
        assert state.record(mpid) == record_of(mpid)
    for number, keeper in enumerate(keepers):
        (first, names), (second, mpids) = sorted(keeper.asked, key=lambda call: call[0])
        assert [first, second] == ["holders development", "records development"]
        for each in names:
            assert isinstance(each, IdentityName)
            assert shard_of_slot(index.slot_of("development", each), 4) == number
        assert set(mpids) == {
            each for each in MPIDS if shard_of_slot(slot_of_mpid(each), 4) == number
        }


async def test_nobody_is_asked_for_nothing() -> None:
    keepers = [Keeper(), Keeper()]
    index = Index(keepers, SCOPE)
    await index.learn(IdentityState(SCOPE, "production"), (), ())
    assert await index.taken(()) == set()
    await index.write(())
    assert [keeper.asked for keeper in keepers] == [[], []]


async def test_what_is_known_stays() -> None:
    """It may have been changed since it was read."""
    state = IdentityState(SCOPE, "production")
    state.learn_holders(NAMES[0], [])
    state.learn_record(MPIDS[0], None)
    await Index([Keeper()], SCOPE).learn(state, NAMES[:2], MPIDS[:2])
    assert state.holders(NAMES[0]) == []
    assert state.record(MPIDS[0]) is None
    assert state.holders(NAMES[1]) == [Holder(1, 1)]


async def test_a_record_that_does_not_exist_is_known_to_be_missing() -> None:
    state = IdentityState(SCOPE, "production")
    await Index([Keeper(), Keeper()], SCOPE).learn(state, (), [2, 3])
    assert state.record(2) is None
    assert state.record(3) == record_of(3)


async def test_mpids_in_use_are_told() -> None:
    index = Index([Keeper() for _ in range(3)], SCOPE)
    assert await index.taken(MPIDS[10:20]) == set(MPIDS[10:15])


@given(
    st.lists(st.integers(0, 29), unique=True),
    st.lists(st.integers(0, 29), unique=True),
    st.lists(st.integers(0, 29), unique=True),
    st.integers(1, 5),
)
@settings(deadline=None)
async def test_changes_go_to_their_owners_and_nowhere_else(
    entries: list[int], records: list[int], profiles: list[int], shards: int
) -> None:
    keepers = [Keeper() for _ in range(shards)]
    index = Index(keepers, SCOPE)
    changes = [
        IdentityChange(
            SCOPE,
            environment,
            [IndexEntry(NAMES[each].type, NAMES[each].value, []) for each in entries],
            [RecordChange(MPIDS[each], [], 5) for each in records],
            7,
            [ProfileChange(MPIDS[each], 5) for each in profiles],
        )
        for environment in ("production", "development")
    ]
    await index.write(changes)
    for number, keeper in enumerate(keepers):
        assert len(keeper.asked) <= 1
        for part in keeper.written:
            assert part.entries or part.records or part.profiles
            assert part.intent == 7
            for entry in part.entries:
                slot = index.slot_of(part.environment, IdentityName(entry.type, entry.value))
                assert shard_of_slot(slot, shards) == number
            written_to = [record.mpid for record in part.records]
            for mpid in written_to + [profile.mpid for profile in part.profiles]:
                assert shard_of_slot(slot_of_mpid(mpid), shards) == number
    for change in changes:
        parts = [
            part
            for keeper in keepers
            for part in keeper.written
            if part.environment == change.environment
        ]
        written = sorted(entry.value for part in parts for entry in part.entries)
        assert written == sorted(entry.value for entry in change.entries)
        mpids = sorted(record.mpid for part in parts for record in part.records)
        assert mpids == sorted(record.mpid for record in change.records)
        shown = sorted(each.mpid for part in parts for each in part.profiles)
        assert shown == sorted(each.mpid for each in change.profiles)


def test_a_state_without_changes_writes_nothing() -> None:
    state = IdentityState(SCOPE, "production")
    state.learn_holders(NAMES[0], [Holder(5, 1)])
    state.learn_record(5, record_of(5))
    assert changes_of(state, 5, 77) is None


def test_a_state_writes_what_it_has_changed() -> None:
    state = IdentityState(SCOPE, "production")
    for name in NAMES[:3]:
        state.learn_holders(name, [])
    state.learn_record(5, IdentityRecord([Lookup("email", "old", 1)]))
    fork = state.fork()
    fork.create(6, 66, source_mpid=5)
    fork.link(6, NAMES[1])
    fork.link(5, NAMES[0], linked_ms=8)
    fork.show(6, "email", "As@Sent", 9)
    state.merge(fork)
    assert changes_of(state, 5, 77) == IdentityChange(
        SCOPE,
        "production",
        [
            IndexEntry("email", NAMES[0].value, [Holder(5, 1)]),
            IndexEntry("email", NAMES[1].value, [Holder(6, 1)]),
        ],
        [
            RecordChange(5, [Lookup("email", "old", 1), Lookup("email", NAMES[0].value, 1, 8)], 77),
            RecordChange(6, [Lookup("email", NAMES[1].value, 1)], 66, 5),
        ],
        intent=5,
        profiles=[ProfileChange(6, 9, {"email": "As@Sent"})],
    )


def test_a_change_of_a_profile_alone_is_written_too() -> None:
    """A type outside the priority is no lookup (spec/identity.md, 6, 6)."""
    state = IdentityState(SCOPE, "production")
    state.show(5, "alias", "nick", 9)
    profiles = [ProfileChange(5, 9, {"alias": "nick"})]
    expected = IdentityChange(SCOPE, "production", [], [], intent=3, profiles=profiles)
    assert changes_of(state, 3, 77) == expected
