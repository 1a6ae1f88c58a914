"""Modify beside the rows of the case tables: spec/identity.md, 6."""

import pytest

from actors.identity.attaching import MAX_HOLDERS, MAX_VALUES_PER_TYPE
from actors.identity.calls import ChangeRequest, IdentityProblem, ModifyAnswer, ModifyCall
from actors.identity.keys import IdentityName
from actors.identity.modify import modify
from actors.identity.state import IdentityRecord, IdentityState, Missing
from actors.model.profiles import Lookup
from actors.store.identities import Holder, ProfileChange
from tests.actors.identity.pool import BEST_MATCH, CONVERSION, DEFAULT, LINK, NOW, Pool, name

OTHER = "other"


def test_all_that_an_entry_names_is_asked_for_at_once() -> None:
    """The MPID's record with the entries, then the record of who loses a value."""
    changes = (ChangeRequest("email", "e1", "e2"), ChangeRequest(OTHER, None, "o1"))
    call = ModifyCall("production", 5, changes, NOW)
    state = IdentityState(1, "production")
    with pytest.raises(Missing) as raised:
        modify(state, call, LINK)
    asked = {name("em:e1"), name("em:e2"), name("oth:o1")}
    assert (raised.value.names, raised.value.mpids) == (asked, {5})


def test_values_are_compared_in_canonical_form_and_shown_as_sent() -> None:
    """The profile of the loser shows the value no longer."""
    pool = Pool("K{cid:c1,em:e1}, F{em:e2}", LINK)
    answer, state = pool.modify(1, [ChangeRequest("email", " E1", "E2")], LINK)
    assert answer == ModifyAnswer((("email", 1), ("email", 2)))
    assert set(pool.lookups()[1]) == {name("cid:c1"), name("em:e2")}
    assert state.profile_changes == {
        1: ProfileChange(1, NOW, {"email": "E2"}, [("email", "e1")]),
        2: ProfileChange(2, NOW, {}, [("email", "e2")]),
    }


def test_a_type_outside_the_priority_is_changed_on_the_profile_alone() -> None:
    """spec/identity.md, 6, 6; a device identity is no user identity and is not shown."""
    pool = Pool("K{cid:c1}", LINK)
    changes = [
        ChangeRequest("yahoo", "y1", "y2"),
        ChangeRequest("google", "g1", None),
        ChangeRequest("ios_idfa", None, "i"),
    ]
    answer, state = pool.modify(1, changes, LINK)
    assert answer == ModifyAnswer((("yahoo", 1), ("google", 1), ("ios_idfa", 1)))
    assert (set(state.changed_names), state.changed_mpids) == (set(), set())
    removed = [("yahoo", "y1"), ("google", "g1")]
    assert state.profile_changes == {1: ProfileChange(1, NOW, {"yahoo": "y2"}, removed)}


def test_what_is_given_and_taken_again_is_not_shown() -> None:
    pool = Pool("A{das:d1}", CONVERSION)
    changes = [ChangeRequest(OTHER, None, "o1"), ChangeRequest(OTHER, "o1", None)]
    _, state = pool.modify(1, changes, CONVERSION)
    assert state.profile_changes == {1: ProfileChange(1, NOW, {}, [(OTHER, "o1")])}
    assert set(pool.lookups()[1]) == {name("das:d1")}


def test_whether_a_user_is_known_is_noted_with_all_its_identities() -> None:
    """In both directions, and for who loses its last login ID to another."""
    pool = Pool("K{cid:c1,das:d1}, F{em:e2,das:d2}", LINK)
    pool.modify(
        1, [ChangeRequest("email", None, "e2"), ChangeRequest("customerid", "c1", None)], LINK
    )
    pool.check(LINK)
    assert [each.is_known for each in pool.holders[name("das:d1")]] == [True]
    assert [each.is_known for each in pool.holders[name("das:d2")]] == [False]
    pool.modify(2, [ChangeRequest("customerid", None, "c2")], LINK)
    assert [each.is_known for each in pool.holders[name("das:d2")]] == [True]


def test_nothing_stays_of_a_refused_call() -> None:
    """Row D14, and the profile too."""
    pool = Pool("K{cid:c1}, F{em:e3}", DEFAULT)
    changes = [ChangeRequest("email", None, "e3"), ChangeRequest("customerid", "c1", None)]
    answer, state = pool.modify(1, changes, DEFAULT)
    message = 'Identity type "customerid" is immutable.'
    assert answer == IdentityProblem(400, "BAD_REQUEST", message)
    assert not state.changed_names
    assert not state.profile_changes


def test_a_value_too_many_lets_the_oldest_go() -> None:
    """spec/identity.md, 4.3, also for what the profile shows."""
    pool = Pool("A{das:d1}")
    for number in range(MAX_VALUES_PER_TYPE + 1):
        _, state = pool.modify(1, [ChangeRequest(OTHER, None, f"o{number}")], BEST_MATCH)
    assert len(pool.records[1].values(OTHER)) == MAX_VALUES_PER_TYPE
    assert not pool.records[1].holds(IdentityName(OTHER, "o0"))
    last = {OTHER: f"o{MAX_VALUES_PER_TYPE}"}
    assert state.profile_changes == {1: ProfileChange(1, NOW, last, [(OTHER, "o0")])}


def test_a_holder_too_many_lets_the_oldest_anonymous_one_go() -> None:
    """spec/identity.md, 4.3; its record is asked for, as are all that may have to go."""
    shared = IdentityName(OTHER, "o1")
    mpids = range(1, MAX_HOLDERS + 1)
    state = IdentityState(1, "production")
    state.learn_holders(shared, [Holder(mpid, mpid, mpid == 1) for mpid in mpids])
    state.learn_record(5000, IdentityRecord([]))
    call = ModifyCall("production", 5000, (ChangeRequest(OTHER, None, "o1"),), NOW)
    with pytest.raises(Missing) as raised:
        modify(state, call, DEFAULT)
    assert raised.value.mpids == set(mpids)
    for mpid in mpids:
        login = [Lookup("customerid", "c", 1)] if mpid == 1 else []
        state.learn_record(mpid, IdentityRecord([Lookup(OTHER, "o1", mpid), *login]))
    assert modify(state, call, DEFAULT) == ModifyAnswer(((OTHER, 5000),))
    left = [each.mpid for each in state.holders(shared)]
    assert left == [1, *range(3, MAX_HOLDERS + 1), 5000]
    assert state.profile_changes[2] == ProfileChange(2, NOW, {}, [(OTHER, "o1")])
