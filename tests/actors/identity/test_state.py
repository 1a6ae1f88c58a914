"""What a resolution has read and decided: nothing is guessed, nothing incomplete stays."""

import pytest

from actors.identity.state import IdentityRecord, IdentityState, Missing
from actors.model.profiles import Lookup
from actors.store.identities import Holder, ProfileChange
from tests.actors.identity.pool import NOW, name, record

EM, DAS = name("em:e1"), name("das:d1")


@pytest.fixture
def state() -> IdentityState:
    """Make a state that has read records 5 and 6 and two entries."""
    state = IdentityState(1, "production")
    state.learn_holders(EM, [Holder(5, 2)])
    state.learn_holders(DAS, [Holder(5, 1), Holder(6, 4)])
    state.learn_record(5, record("em:e1", "das:d1"))
    state.learn_record(6, record("das:d1"))
    return state


def test_what_was_not_read_is_asked_for_all_at_once(state: IdentityState) -> None:
    """Entries, and records of the holders of those that are known."""
    unknown = name("rk:r1")
    state.learn_holders(name("oth:o1"), [Holder(6, 1), Holder(7, 2), Holder(8, 3)])
    with pytest.raises(Missing) as raised:
        state.require({EM, name("oth:o1"), unknown})
    assert (raised.value.names, raised.value.mpids) == ({unknown}, {7, 8})
    state.require({EM, DAS})


def test_a_decision_on_what_was_not_read_is_refused(state: IdentityState) -> None:
    """Each question names what has to be read for it; that there is no record is an answer too."""
    with pytest.raises(Missing) as raised:
        state.link(5, name("rk:r1"))
    assert raised.value.names == {name("rk:r1")}
    with pytest.raises(Missing) as raised:
        state.record(7)
    assert raised.value.mpids == {7}
    state.learn_record(7, None)
    assert state.record(7) is None
    assert state.existing(7) == IdentityRecord([])
    assert set(state.changed_names) == set()


def test_a_link_is_the_newest_of_its_identity(state: IdentityState) -> None:
    """spec/identity.md, 7.2: link order is a counter kept with each identity."""
    state.learn_holders(name("rk:r1"), [])
    state.link(6, EM)
    state.link(6, name("rk:r1"))
    assert state.holders(EM) == [Holder(5, 2), Holder(6, 3)]
    assert state.holders(name("rk:r1")) == [Holder(6, 1)]
    assert [(each.type, each.link) for each in state.existing(6).lookups] == [
        (DAS.type, 1),
        (EM.type, 3),
        ("roku_aid", 1),
    ]
    assert (set(state.changed_names), state.changed_mpids) == ({EM, name("rk:r1")}, {6})


def test_unlinking_takes_an_identity_from_one_record(state: IdentityState) -> None:
    """Other holders keep it."""
    state.unlink(5, DAS)
    assert state.holders(DAS) == [Holder(6, 4)]
    assert not state.existing(5).holds(DAS)
    assert state.existing(5).holds(EM)
    assert state.existing(6).holds(DAS)
    assert (set(state.changed_names), state.changed_mpids) == ({DAS}, {5})


def test_a_new_record_keeps_when_it_was_made(state: IdentityState) -> None:
    """Through all changes that follow."""
    state.create(9, NOW)
    state.link(9, DAS)
    state.unlink(9, DAS)
    assert state.existing(9) == IdentityRecord([], created_ms=NOW)
    assert state.changed_mpids == {9}


def test_the_changes_of_a_fork_are_its_own_until_they_are_merged(state: IdentityState) -> None:
    """A decision that is broken off leaves nothing behind."""
    fork = state.fork()
    fork.link(6, EM)
    fork.create(9, NOW)
    assert [each.mpid for each in fork.holders(EM)] == [5, 6]
    assert [each.mpid for each in state.holders(EM)] == [5]
    assert not state.knows_record(9)
    assert state.changed_mpids == set()
    state.merge(fork)
    assert state.holders(EM) == [Holder(5, 2), Holder(6, 3)]
    assert state.existing(6).holds(EM)
    assert (set(state.changed_names), state.changed_mpids) == ({EM}, {6, 9})


def test_a_fork_sees_what_was_read_and_decided_before(state: IdentityState) -> None:
    """Also what is read while it exists."""
    state.link(6, EM)
    fork = state.fork()
    assert fork.knows_holders(EM)
    assert fork.knows_record(6)
    assert fork.existing(6).holds(EM)
    assert not fork.knows_record(7)
    state.learn_record(7, record("rk:r1"))
    assert fork.existing(7).holds(name("rk:r1"))


def test_reading_again_does_not_undo_a_decision(state: IdentityState) -> None:
    """What is on disk is older than what was decided on it."""
    state.unlink(5, EM)
    state.learn_holders(EM, [Holder(5, 2)])
    state.learn_record(5, record("em:e1", "das:d1"))
    assert state.holders(EM) == []
    assert not state.existing(5).holds(EM)


def test_the_values_of_a_type_come_in_the_order_in_which_the_record_got_them() -> None:
    """Links count per identity; those of different values say nothing about each other."""
    lookups = [Lookup("email", "old", 40), Lookup("other", "o", 1), Lookup("email", "new", 1)]
    assert [each.value for each in IdentityRecord(lookups).values("email")] == ["old", "new"]
    assert IdentityRecord(lookups).has_any(frozenset({"customerid", "other"}))
    assert not IdentityRecord(lookups).has_any(frozenset({"customerid"}))


def test_what_profiles_show_is_merged_in_the_order_of_the_calls(state: IdentityState) -> None:
    """Several calls are decided on one state before anything is written."""
    for value, ms in (("e2", 10), ("e3", 12)):
        fork = state.fork()
        fork.hide(5, name(f"em:{value}"), ms)
        fork.show(5, "email", value.upper(), ms)
        fork.show(5, "roku_aid", "no user identity", ms)
        state.merge(fork)
    fork = state.fork()
    fork.show(5, "alias", "nick", 11)
    fork.open_profile(6, 3, 11)
    state.merge(fork)
    assert state.profile_changes == {
        5: ProfileChange(
            5, 12, {"email": "E3", "alias": "nick"}, [("email", "e2"), ("email", "e3")]
        ),
        6: ProfileChange(6, 11, new_in=3),
    }
    fork = state.fork()
    fork.hide(5, name("em:e3"), 13)
    state.merge(fork)
    assert state.profile_changes[5].shown == {"alias": "nick"}


def test_a_record_keeps_its_source(state: IdentityState) -> None:
    """Through changes, and once it has been written."""
    state.create(9, NOW, source_mpid=5)
    state.link(9, DAS)
    state.unlink(9, DAS)
    state.settle()
    assert state.existing(9) == IdentityRecord([], NOW, 5)


def test_what_cannot_be_written_is_taken_back_as_a_whole(state: IdentityState) -> None:
    """Several decisions on the same; what was settled before stays."""
    first = state.fork()
    first.unlink(6, DAS)
    state.merge(first)
    state.settle()
    assert (set(state.changed_names), state.changed_mpids) == (set(), set())
    for mpid in (9, 10):
        fork = state.fork()
        fork.create(mpid, NOW)
        fork.link(mpid, DAS)
        fork.show(mpid, "email", "E1", NOW)
        state.merge(fork)
    fork = state.fork()
    fork.erase(5)
    state.merge(fork)
    state.revert()
    assert state.holders(DAS) == [Holder(5, 1)]
    assert state.holders(EM) == [Holder(5, 2)]
    assert state.record(5) == record("em:e1", "das:d1")
    assert state.record(6) == IdentityRecord([])
    assert not state.knows_record(9)
    assert not state.knows_record(10)
    changes = state.changed_names, state.changed_mpids, state.profile_changes
    assert not any(changes)
